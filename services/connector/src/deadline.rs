//! When a request must be answered.

use std::time::Duration;

use tokio::time::Instant;

/// When a request must be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Option<Instant>);

impl Deadline {
    /// What is left until then; `None` without a deadline.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|until| until.duration_since(Instant::now()))
    }

    /// Whether it is over.
    pub(crate) fn has_passed(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// How long a call of ours may take that should take `usual` at most.
    pub(crate) fn within(self, usual: Duration) -> Duration {
        self.left().map_or(usual, |left| left.min(usual))
    }
}
