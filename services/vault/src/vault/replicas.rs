//! Hearing of what other replicas wrote.

use std::sync::Arc;
use std::time::Duration;

use coachbot_common::lifecycle::Stop;
use tracing::warn;

use super::Vault;
use crate::store::{Change, StoreError};

/// How long to wait before listening again after a failure. Meanwhile cached
/// entries are trusted for as long as without notices.
const PAUSE: Duration = Duration::from_secs(1);

impl Vault {
    /// Drops what others changed from the cache, until `stop`. Where nobody else
    /// writes, there is nothing to hear and this ends at once.
    pub async fn follow_changes(self: Arc<Self>, stop: Stop) {
        while !stop.is_cancelled() {
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.listen() => outcome,
            };
            match outcome {
                Ok(()) => return,
                Err(error) => {
                    // What was said while nobody listened is unknown.
                    self.cache.invalidate(Change::Everything);
                    warn!(%error, "other replicas cannot be heard, listening again soon");
                }
            }
            let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
        }
    }

    async fn listen(&self) -> Result<(), StoreError> {
        let Some(mut changes) = self.store.changes().await? else { return Ok(()) };
        // What happened before this moment was not heard.
        self.cache.invalidate(Change::Everything);
        loop {
            self.cache.invalidate(changes.next().await?);
        }
    }
}
