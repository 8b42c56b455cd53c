//! What the vault does, without the wire: keys, values, and the order of things.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use coachbot_common::clock::SharedClock;
use coachbot_common::id::WorkspaceId;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, warn};

use crate::cache::Cache;
use crate::error::Error;
use crate::integration::Subject;
use crate::keyring::{KeyId, Keyring, SecretKey};
use crate::platform::{Lock, Platform};
use crate::seal::{self, Context, Purpose};
use crate::store::{Change, DataKey, SealedUnder, Store};

mod bundle;
mod credentials;
mod replicas;
mod tool_tokens;

#[cfg(test)]
mod tests;

pub use credentials::{Leased, MacCheck, MacMatch};

/// How often a save that another replica overtook is made again.
const ATTEMPTS: usize = 16;

/// Saves of one row wait for each other in this process; this many rows do not.
const STRIPES: usize = 64;

/// The vault.
pub struct Vault {
    store: Store,
    platform: Platform,
    cache: Cache,
    clock: SharedClock,
    turns: Turns,
    writes: TaskTracker,
}

/// How the platform key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is usable.
    Ok {
        /// Its id.
        key_id: KeyId,
        /// Workspaces that need another one.
        degraded: Vec<WorkspaceId>,
    },
    /// It is not.
    Locked(Lock),
}

impl Status {
    /// Judges a platform key together with the data keys.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn of(platform: &Platform, store: Option<&Store>) -> Result<Self, Error> {
        let key_id = match platform.keyring() {
            Err(lock) => return Ok(Self::Locked(lock)),
            Ok(keyring) => keyring.current_id(),
        };
        let degraded = match store {
            Some(store) => store.workspaces_needing_another_key(key_id).await?,
            None => Vec::new(),
        };
        Ok(Self::Ok { key_id, degraded })
    }
}

/// Why a stored value stays closed.
enum Closed {
    /// Its data key needs a platform key that is not loaded.
    NeedsAnotherKey { loaded: KeyId, needed: KeyId },
    /// It is damaged, or its data key is. For the log only.
    Damaged { part: &'static str, reason: &'static str },
}

impl Vault {
    /// A vault over open tables and a judged key.
    #[must_use]
    pub fn new(store: Store, platform: Platform, clock: SharedClock) -> Self {
        let cache = Cache::new(store.is_shared());
        Self { store, platform, cache, clock, turns: Turns::new(), writes: TaskTracker::new() }
    }

    /// How the platform key stands.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn status(&self) -> Result<Status, Error> {
        Status::of(&self.platform, Some(&self.store)).await
    }

    /// Forgets everything of a workspace.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<(), Error> {
        let _stale = self.invalidating(Change::Workspace(workspace));
        Ok(self.store.delete_workspace(workspace).await?)
    }

    /// Runs a write to its end, whatever becomes of the caller. A write that was
    /// dropped half-way may still be committed, after the cache was told.
    ///
    /// # Errors
    /// The work's own, or [`Error::WriteEnded`] when it panicked.
    pub async fn to_the_end<T, W>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let running = self.writes.spawn(work(Arc::clone(self)).in_current_span());
        running.await.map_err(|_| Error::WriteEnded)?
    }

    /// Waits for the writes under way.
    pub async fn finish_writes(&self) {
        self.writes.close();
        self.writes.wait().await;
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Drops cached entries when the returned value is dropped: after the write,
    /// whatever came out of it.
    fn invalidating(&self, change: Change) -> Invalidation<'_> {
        Invalidation { cache: &self.cache, change }
    }

    /// The key that seals new values of a workspace: the stored one, or a fresh
    /// one where there is none yet, or none that opens.
    async fn sealing_key(&self, keyring: &Keyring, workspace: WorkspaceId) -> Result<SealingKey, Error> {
        let version = match self.store.find_data_key(workspace).await? {
            None => 1,
            Some(stored) => match open_data_key(keyring, workspace, &stored) {
                Ok(ring) => return Ok(SealingKey { ring, fresh: None, stored_id: stored.key_id }),
                Err(Closed::NeedsAnotherKey { loaded, needed }) => {
                    return Err(Error::NeedsAnotherKey { loaded, needed });
                }
                Err(Closed::Damaged { part, reason }) => {
                    warn!(%workspace, part, reason, key.id = %stored.key_id, "a data key does not open, making another");
                    stored.version + 1
                }
            },
        };
        let key = SecretKey::random();
        let text = workspace.to_string();
        let fresh = DataKey {
            version,
            key_id: key.id(),
            platform_key_id: keyring.current_id(),
            sealed: seal::seal(keyring.current(), &data_key_context(&text, version), key.expose())?,
        };
        Ok(SealingKey { stored_id: fresh.key_id, ring: Keyring::new(key), fresh: Some(fresh) })
    }
}

/// An opened data key for new values.
struct SealingKey {
    ring: Keyring,
    stored_id: KeyId,
    /// To be stored together with the first value that it seals.
    fresh: Option<DataKey>,
}

impl SealingKey {
    fn under(&self) -> SealedUnder<'_> {
        self.fresh.as_ref().map_or(SealedUnder::Stored(self.stored_id), SealedUnder::Fresh)
    }
}

const fn data_key_context(workspace: &str, version: u64) -> Context<'_> {
    Context { purpose: Purpose::DataKey, workspace, provider: "*", field: "*", revision: version }
}

/// Opens a workspace's data key into a ring that opens its values.
fn open_data_key(keyring: &Keyring, workspace: WorkspaceId, stored: &DataKey) -> Result<Keyring, Closed> {
    if keyring.get(stored.platform_key_id).is_none() {
        return Err(Closed::NeedsAnotherKey { loaded: keyring.current_id(), needed: stored.platform_key_id });
    }
    let damaged = |reason| Closed::Damaged { part: "data key", reason };
    let workspace = workspace.to_string();
    let opened = seal::open(keyring, &data_key_context(&workspace, stored.version), &stored.sealed)
        .map_err(|unsealable| damaged(unsealable.reason()))?;
    let key = SecretKey::from_slice(&opened).ok_or_else(|| damaged("NOT_A_KEY"))?;
    Ok(Keyring::new(key))
}

/// Opens a value with its data key.
fn open_value(
    keyring: &Keyring,
    workspace: WorkspaceId,
    data_key: Option<&DataKey>,
    context: &Context<'_>,
    sealed: &[u8],
) -> Result<seal::Plaintext, Closed> {
    let data_key = data_key.ok_or(Closed::Damaged { part: "data key", reason: "GONE" })?;
    let ring = open_data_key(keyring, workspace, data_key)?;
    seal::open(&ring, context, sealed)
        .map_err(|unsealable| Closed::Damaged { part: "value", reason: unsealable.reason() })
}

struct Invalidation<'a> {
    cache: &'a Cache,
    change: Change,
}

impl Drop for Invalidation<'_> {
    fn drop(&mut self) {
        self.cache.invalidate(self.change);
    }
}

/// Lets writers of one row go one after the other, so that they do not overtake
/// each other for ever. Between processes the store's conditions decide.
struct Turns {
    stripes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Turns {
    fn new() -> Self {
        let stripes = std::iter::repeat_with(Mutex::default).take(STRIPES).collect();
        Self { stripes, hasher: RandomState::new() }
    }

    async fn of(&self, subject: Subject) -> Option<MutexGuard<'_, ()>> {
        let index = self.hasher.hash_one(subject) % STRIPES as u64;
        match self.stripes.get(usize::try_from(index).unwrap_or_default()) {
            Some(stripe) => Some(stripe.lock().await),
            None => None,
        }
    }
}
