//! Keys, and the ids by which they are known.

use std::fmt;

use coachbot_common::secret::{constant_time_eq, random_bytes};
use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

const KEY_ID_INFO: &[u8] = b"coachbot/vault/key-id/v1";
const KEY_CHECK_INFO: &[u8] = b"coachbot/vault/key-check/v1";

/// A platform key or a data key. Wiped when it is dropped; it has no `Debug`, and
/// equality only by [`KeyCheck`].
pub struct SecretKey(Box<Zeroizing<[u8; KEY_BYTES]>>);

impl SecretKey {
    /// Makes a key from the operating system's random bytes.
    #[must_use]
    pub fn random() -> Self {
        Self(Box::new(Zeroizing::new(random_bytes())))
    }

    /// Takes a key; `None` when there are not exactly 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Box::new(Zeroizing::new([0; KEY_BYTES]));
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The bytes, for a cipher and nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The id by which records name this key. It says nothing about the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(self.derive(KEY_ID_INFO))
    }

    /// What is stored of a key, so that it can be told from every other.
    #[must_use]
    pub fn check(&self) -> KeyCheck {
        KeyCheck(self.derive(KEY_CHECK_INFO))
    }

    fn derive<const N: usize>(&self, info: &[u8]) -> [u8; N] {
        let mut derived = [0; N];
        Hkdf::<Sha512>::new(None, self.expose())
            .expand(info, &mut derived)
            .expect("HKDF-SHA-512 gives up to 16320 bytes");
        derived
    }
}

/// 8 bytes that name a key; as text, 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; KeyId::BYTES]);

impl KeyId {
    /// Bytes of an id.
    pub const BYTES: usize = 8;

    /// Takes an id out of a record.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Takes an id from a column; `None` when it has not exactly 8 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The id for a record or a column.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 16 bytes derived from a key, by which a configured key is compared with the
/// one that the data knows.
#[derive(Clone)]
pub struct KeyCheck([u8; KeyCheck::BYTES]);

impl KeyCheck {
    /// Bytes of a check value.
    pub const BYTES: usize = 16;

    /// The value for a column.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Whether the stored value is this one, in constant time.
    #[must_use]
    pub fn is(&self, stored: &[u8]) -> bool {
        constant_time_eq(&self.0, stored)
    }
}

/// The keys that may open a record, by id. The first is the one that seals;
/// others are kept to open what was sealed before a rotation.
pub struct Keyring {
    current: KeyId,
    keys: Vec<(KeyId, SecretKey)>,
}

impl Keyring {
    /// A ring of one key.
    #[must_use]
    pub fn new(current: SecretKey) -> Self {
        let id = current.id();
        Self { current: id, keys: vec![(id, current)] }
    }

    /// Adds a key that opens and does not seal.
    #[must_use]
    pub fn with_retired(mut self, key: SecretKey) -> Self {
        let id = key.id();
        if self.get(id).is_none() {
            self.keys.push((id, key));
        }
        self
    }

    /// The id of the key that seals.
    #[must_use]
    pub const fn current_id(&self) -> KeyId {
        self.current
    }

    /// The key that seals.
    ///
    /// # Panics
    /// Never: a ring is made with its current key.
    #[must_use]
    pub fn current(&self) -> &SecretKey {
        self.get(self.current).expect("a ring is made with its current key")
    }

    /// The key of that id, if it is in the ring.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&SecretKey> {
        self.keys.iter().find(|(known, _)| *known == id).map(|(_, key)| key)
    }

    /// The ids in the ring, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.iter().map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_check_values_are_the_known_ones() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../fixtures/cbv1_records.json")).unwrap();
        for known in file["keys"].as_array().unwrap() {
            let text = |name: &str| known[name].as_str().unwrap();
            let key = SecretKey::from_slice(&hex::decode(text("key")).unwrap()).unwrap();
            assert_eq!(key.id().to_string(), text("key_id"));
            assert!(key.check().is(&hex::decode(text("key_check")).unwrap()));
            assert!(!key.check().is(&[0; 16]));
            assert!(!key.check().is(&[]));
        }
    }

    #[test]
    fn a_ring_opens_with_every_key_and_seals_with_one() {
        let (first, second) = (SecretKey::random(), SecretKey::random());
        let (first_id, second_id) = (first.id(), second.id());
        let again = SecretKey::from_slice(second.expose()).unwrap();
        let ring = Keyring::new(first).with_retired(second).with_retired(again);
        assert_eq!(ring.current_id(), first_id);
        assert_eq!(ring.current().id(), first_id);
        assert_eq!(ring.ids().collect::<Vec<_>>(), [first_id, second_id]);
        assert!(ring.get(KeyId::from_bytes([0; 8])).is_none());
    }

    #[test]
    fn only_thirty_two_bytes_are_a_key() {
        for length in [0, 16, 31, 33, 64] {
            assert!(SecretKey::from_slice(&vec![7; length]).is_none());
        }
    }
}
