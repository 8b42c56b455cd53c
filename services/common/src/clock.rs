//! The time of day, as an argument.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// Tells the time. Everything that stores or compares an instant takes one, so
/// that tests decide what time it is.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// A clock that is handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, to hand around.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX)
    }
}

/// Microseconds since 1970 for a column.
#[must_use]
pub fn to_micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// An instant from a column of microseconds; one out of range is the nearest
/// that is in it.
#[must_use]
pub fn from_micros(micros: i64) -> Timestamp {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(nearest)
}

/// An instant for a wire message.
#[must_use]
pub fn to_wire(at: Timestamp) -> prost_types::Timestamp {
    let nanos = at.subsec_nanosecond();
    let seconds = at.as_second();
    // The wire counts nanoseconds forward, jiff towards zero.
    if nanos < 0 {
        prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        prost_types::Timestamp { seconds, nanos }
    }
}

/// An instant from a wire message; `None` when it is out of range.
#[must_use]
pub fn from_wire(at: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}

/// A length of time as whole milliseconds, as far as a `u32` goes.
#[must_use]
pub fn milliseconds(length: Duration) -> u32 {
    u32::try_from(length.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_column_and_wire() {
        for text in ["2026-11-25T12:00:00.123456Z", "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z"] {
            let at: Timestamp = text.parse().unwrap();
            assert_eq!(from_micros(to_micros(at)), at, "{text}");
            assert_eq!(from_wire(&to_wire(at)), Some(at), "{text}");
        }
        assert_eq!(from_micros(i64::MAX), Timestamp::MAX);
    }
}
