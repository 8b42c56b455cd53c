//! Ciphertext that was read lately, so that a warm lease runs no SQL statement.
//!
//! Never plaintext: an entry is opened anew for each call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coachbot_common::id::WorkspaceId;
use jiff::{SignedDuration, Timestamp};

use crate::integration::Subject;
use crate::store::{Change, DataKey};

/// How many entries are kept at most: about 1 KiB each.
const CAPACITY: usize = 8192;

/// How long an entry is trusted where other processes write too, and a notice of
/// theirs may have been missed.
pub const SHARED_TRUST: SignedDuration = SignedDuration::from_secs(5);

/// One record with what opens it, sealed both.
#[derive(Debug)]
pub struct Entry {
    /// The record's revision.
    pub revision: u64,
    /// The sealed fields.
    pub encrypted_data: Vec<u8>,
    /// The sealed data key.
    pub data_key: DataKey,
}

/// Taken before a read; what was read may be kept only if nothing was
/// invalidated since.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    generation: u64,
    read_at: Timestamp,
}

/// Entries by workspace and provider.
pub struct Cache {
    /// `None`: this process is the only one that writes.
    trust: Option<SignedDuration>,
    capacity: usize,
    inner: Mutex<Inner>,
}

type Entries = HashMap<Subject, (Timestamp, Arc<Entry>)>;

/// Two halves: what is used moves to the young one, and when that is full the old
/// one is dropped. So what is dropped was not used for at least half a capacity.
#[derive(Default)]
struct Inner {
    young: Entries,
    old: Entries,
    /// Grows with each invalidation.
    generation: u64,
}

impl Cache {
    /// An empty cache; `shared` when other processes write to the same tables.
    #[must_use]
    pub fn new(shared: bool) -> Self {
        Self::with_capacity(shared, CAPACITY)
    }

    fn with_capacity(shared: bool, capacity: usize) -> Self {
        Self { trust: shared.then_some(SHARED_TRUST), capacity, inner: Mutex::default() }
    }

    /// The entry, if it may still be trusted.
    #[must_use]
    pub fn get(&self, subject: Subject, now: Timestamp) -> Option<Arc<Entry>> {
        let mut inner = self.lock();
        if !inner.young.contains_key(&subject)
            && let Some(used) = inner.old.remove(&subject)
        {
            inner.insert(subject, used, self.capacity);
        }
        let (read_at, entry) = inner.young.get(&subject)?;
        // Neither too old nor from a future that the clock was set back from.
        let age = now.duration_since(*read_at);
        let trusted = self.trust.is_none_or(|limit| !age.is_negative() && age < limit);
        trusted.then(|| Arc::clone(entry))
    }

    /// To be taken before the read whose result may be kept.
    #[must_use]
    pub fn ticket(&self, now: Timestamp) -> Ticket {
        Ticket { generation: self.lock().generation, read_at: now }
    }

    /// Keeps what was read, unless something was invalidated since the ticket was
    /// taken: what was read may then be out of date.
    pub fn keep(&self, ticket: Ticket, subject: Subject, entry: Arc<Entry>) {
        let mut inner = self.lock();
        if inner.generation == ticket.generation {
            inner.old.remove(&subject);
            inner.insert(subject, (ticket.read_at, entry), self.capacity);
        }
    }

    /// Drops what a change made out of date.
    pub fn invalidate(&self, change: Change) {
        let mut inner = self.lock();
        inner.generation = inner.generation.wrapping_add(1);
        let Inner { young, old, .. } = &mut *inner;
        for entries in [young, old] {
            match change {
                Change::Record(subject) => drop(entries.remove(&subject)),
                Change::Workspace(workspace) => drop_workspace(entries, workspace),
                Change::Everything => entries.clear(),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn insert(&mut self, subject: Subject, entry: (Timestamp, Arc<Entry>), capacity: usize) {
        if self.young.len() >= capacity / 2 && !self.young.contains_key(&subject) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(subject, entry);
    }
}

fn drop_workspace(entries: &mut Entries, workspace: WorkspaceId) {
    for provider in coachbot_integrations::Provider::ALL {
        entries.remove(&Subject { workspace, provider });
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::id::new_id;
    use coachbot_integrations::Provider;

    use super::*;
    use crate::keyring::KeyId;

    const NOON: &str = "2026-11-25T12:00:00Z";

    fn noon() -> Timestamp {
        NOON.parse().unwrap()
    }

    fn subject() -> Subject {
        Subject { workspace: WorkspaceId::from_uuid(new_id(noon())), provider: Provider::Twilio }
    }

    fn entry(revision: u64) -> Arc<Entry> {
        let id = KeyId::from_bytes([7; 8]);
        let data_key = DataKey { version: 11, key_id: id, platform_key_id: id, sealed: vec![1] };
        Arc::new(Entry { revision, encrypted_data: vec![2], data_key })
    }

    fn revision(cache: &Cache, subject: Subject, now: Timestamp) -> Option<u64> {
        cache.get(subject, now).map(|entry| entry.revision)
    }

    #[test]
    fn a_lone_process_trusts_for_ever_and_a_replica_for_five_seconds() {
        let (alone, replica) = (Cache::new(false), Cache::new(true));
        let subject = subject();
        for cache in [&alone, &replica] {
            cache.keep(cache.ticket(noon()), subject, entry(3));
        }
        let later = |milliseconds| noon() + SignedDuration::from_millis(milliseconds);
        assert_eq!(revision(&replica, subject, later(4_999)), Some(3));
        assert_eq!(revision(&replica, subject, later(5_000)), None);
        assert_eq!(revision(&replica, subject, later(-1)), None);
        assert_eq!(revision(&alone, subject, later(1_000_000_000)), Some(3));
    }

    #[test]
    fn a_read_that_an_invalidation_overtook_is_not_kept() {
        let cache = Cache::new(false);
        let (one, other) = (subject(), subject());
        let ticket = cache.ticket(noon());
        cache.invalidate(Change::Record(one));
        cache.keep(ticket, one, entry(1));
        assert_eq!(revision(&cache, one, noon()), None);
        // Not knowing which, it gives up any read that was under way.
        cache.keep(ticket, other, entry(1));
        assert_eq!(revision(&cache, other, noon()), None);
        cache.keep(cache.ticket(noon()), one, entry(2));
        assert_eq!(revision(&cache, one, noon()), Some(2));
    }

    #[test]
    fn a_change_drops_what_it_names_from_both_halves() {
        let (one, elsewhere) = (subject(), subject());
        let sibling = Subject { provider: Provider::Openai, ..one };
        let left_after = |change: Change| {
            // Of four, two lie in the old half.
            let cache = Cache::with_capacity(false, 4);
            for kept in [one, sibling, elsewhere] {
                cache.keep(cache.ticket(noon()), kept, entry(1));
            }
            cache.invalidate(change);
            [one, sibling, elsewhere].map(|kept| cache.get(kept, noon()).is_some())
        };
        assert_eq!(left_after(Change::Record(one)), [false, true, true]);
        assert_eq!(left_after(Change::Record(elsewhere)), [true, true, false]);
        assert_eq!(left_after(Change::Workspace(one.workspace)), [false, false, true]);
        assert_eq!(left_after(Change::Everything), [false, false, false]);
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let cache = Cache::with_capacity(false, 8);
        let used = subject();
        cache.keep(cache.ticket(noon()), used, entry(1));
        for _ in 0..100 {
            cache.keep(cache.ticket(noon()), subject(), entry(1));
            assert_eq!(revision(&cache, used, noon()), Some(1));
        }
        let inner = cache.lock();
        assert!(inner.young.len() + inner.old.len() <= 8);
    }
}
