use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct MockClock {
    now: Mutex<Timestamp>,
}

impl MockClock {
    /// A clock that shows `text`, such as `2026-11-25T12:00:00Z`.
    ///
    /// # Panics
    /// When the text is not an instant.
    #[must_use]
    pub fn at(text: &str) -> Arc<Self> {
        let now = text.parse().expect("the test gives an instant");
        Arc::new(Self { now: Mutex::new(now) })
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: impl Into<Step>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by.into().0;
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A length of time, in either library's type.
#[derive(Clone, Copy, Debug)]
pub struct Step(SignedDuration);

impl From<SignedDuration> for Step {
    fn from(length: SignedDuration) -> Self {
        Self(length)
    }
}

impl From<std::time::Duration> for Step {
    fn from(length: std::time::Duration) -> Self {
        Self(SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX))
    }
}
