//! Calls that wait for their release.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use coachbot_common::lifecycle::Stop;
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use crate::providers::{Operation, Provider};

/// What becomes of a held call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// It goes on and is answered.
    Answer,
    /// Its connection is closed; what was not done yet is not done.
    Cut,
}

/// A held call as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct HeldCall {
    /// By which it is released.
    pub id: u64,
    /// Which provider.
    pub provider: Provider,
    /// What was asked.
    pub operation: Operation,
    /// Whether the effect has happened already.
    pub after_effect: bool,
    /// Whether the caller has gone away meanwhile.
    pub client_gone: bool,
}

/// Told when a caller no longer waits.
pub type Gone = Arc<AtomicBool>;

struct Waiting {
    call: HeldCall,
    gone: Gone,
    release: oneshot::Sender<Release>,
}

/// All calls that are held.
pub struct Held {
    waiting: Mutex<(u64, BTreeMap<u64, Waiting>)>,
    changed: watch::Sender<()>,
}

impl Default for Held {
    fn default() -> Self {
        Self { waiting: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Held {
    /// Waits for the release. The end of the sandbox is a cut.
    pub async fn wait(
        &self,
        (provider, operation): (Provider, Operation),
        after_effect: bool,
        gone: Gone,
        stop: &Stop,
    ) -> Release {
        let (release, released) = oneshot::channel();
        {
            let mut waiting = self.all();
            waiting.0 += 1;
            let id = waiting.0;
            let call = HeldCall { id, provider, operation, after_effect, client_gone: false };
            waiting.1.insert(id, Waiting { call, gone, release });
        }
        self.changed.send_replace(());
        tokio::select! {
            release = released => release.unwrap_or(Release::Cut),
            () = stop.cancelled() => Release::Cut,
        }
    }

    /// Releases one; `false` when there is none of this id.
    pub fn release(&self, id: u64, release: Release) -> bool {
        let Some(waiting) = self.all().1.remove(&id) else { return false };
        waiting.release.send(release).is_ok()
    }

    /// Those that are held now.
    #[must_use]
    pub fn list(&self) -> Vec<HeldCall> {
        let shown = |waiting: &Waiting| HeldCall {
            client_gone: waiting.gone.load(Ordering::SeqCst),
            ..waiting.call.clone()
        };
        self.all().1.values().map(shown).collect()
    }

    /// Cuts all.
    pub fn clear(&self) {
        self.all().1.clear();
    }

    /// Hears of the next call that is held.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn all(&self) -> std::sync::MutexGuard<'_, (u64, BTreeMap<u64, Waiting>)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
