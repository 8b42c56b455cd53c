//! What a background task sleeps on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

/// Wakes one background task. A word that comes while it works is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake(Arc<Notify>);

impl Wake {
    /// Says that there is something to do.
    pub(crate) fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for the word, or so long: whether woken or not, it is looked again.
    pub(crate) async fn wait(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.0.notified()).await;
    }
}

/// Lets time pass, whatever happens.
pub(crate) async fn pause(length: Duration) {
    let _ = tokio::time::timeout(length, std::future::pending::<()>()).await;
}
