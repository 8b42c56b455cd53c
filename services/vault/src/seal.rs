//! The record format CBV1: one sealed value, bound to what it belongs to.
//!
//! ```text
//! 0 "CBV1" · 4 suite 0x01 · 5 reserved 0 · 6 key id (8) · 14 salt (32) ·
//! 46 commitment (32) · 78 nonce (12) · 90 ciphertext (n) · then tag (16)
//! ```
//!
//! Each record has a key of its own, HKDF-SHA-512 of the sealing key under a
//! random salt, so that random 96-bit nonces never wear out. The commitment makes
//! a record open under one key only, which AES-GCM alone does not promise.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _, Nonce, Tag};
use coachbot_common::secret::{constant_time_eq, random_bytes};
use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::Zeroizing;

use crate::keyring::{KEY_BYTES, KeyId, Keyring, SecretKey};

#[cfg(test)]
mod tests;

const MAGIC: [u8; 4] = *b"CBV1";
const SUITE: u8 = 0x01;
const SALT_BYTES: usize = 32;
const COMMITMENT_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 90;

/// How many bytes a record has beyond its plaintext.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

const RECORD_KEY_INFO: &[&[u8]] = &[&MAGIC, &[SUITE], b"ENC"];
const COMMITMENT_INFO: &[&[u8]] = &[&MAGIC, &[SUITE], b"COMMIT"];

/// The opened bytes, wiped when dropped.
pub type Plaintext = Zeroizing<Vec<u8>>;

/// What a sealed value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A workspace's data key.
    DataKey,
    /// The fields of one provider.
    Credential,
    /// The secret under which a provider signs webhooks.
    WebhookSecret,
    /// The bearer token that Coachbot makes for Vapi.
    ToolToken,
    /// The proof that a platform key is the one that the data knows.
    Canary,
}

impl Purpose {
    /// The text that is bound into the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataKey => "dek",
            Self::Credential => "credential",
            Self::WebhookSecret => "webhook-secret",
            Self::ToolToken => "tool-token",
            Self::Canary => "canary",
        }
    }
}

/// What a record belongs to. Moved to another row, it does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// What for.
    pub purpose: Purpose,
    /// Whose: the id's 36 characters, or `*`.
    pub workspace: &'a str,
    /// Of which provider, or `*`.
    pub provider: &'a str,
    /// Which value, or `*`.
    pub field: &'a str,
    /// Which revision, version or generation of its row.
    pub revision: u64,
}

impl Context<'_> {
    /// Header and context, each text with its length before it, so that no two
    /// contexts run together to the same bytes.
    fn bind(&self, header: &[u8]) -> Vec<u8> {
        let texts = ["coachbot.vault", self.purpose.as_str(), self.workspace, self.provider, self.field];
        let mut bound = header.to_vec();
        for text in texts {
            // Texts here are ids and names; one of 4 GiB cannot come in.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            bound.extend_from_slice(&length.to_be_bytes());
            bound.extend_from_slice(text.as_bytes());
        }
        bound.extend_from_slice(&self.revision.to_be_bytes());
        bound
    }
}

/// Which check a record failed. For the vault's own log: callers learn only that
/// it does not open (NIST SP 800-38D, section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record does not open: {}", self.reason())]
pub enum Unsealable {
    /// Shorter than the shortest record.
    Truncated,
    /// Not CBV1.
    UnknownFormat,
    /// A cipher that this version does not know.
    UnknownSuite,
    /// The reserved byte is set.
    ReservedNotZero,
    /// Sealed under a key that is not in the ring.
    KeyUnknown,
    /// The key of that id is not the one that sealed.
    CommitmentMismatch,
    /// Changed, or bound to something else.
    AuthFailed,
}

impl Unsealable {
    /// The stable word for logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Truncated => "TRUNCATED",
            Self::UnknownFormat => "UNKNOWN_FORMAT",
            Self::UnknownSuite => "UNKNOWN_SUITE",
            Self::ReservedNotZero => "RESERVED_NOT_ZERO",
            Self::KeyUnknown => "KEY_UNKNOWN",
            Self::CommitmentMismatch => "COMMITMENT_MISMATCH",
            Self::AuthFailed => "AUTH_FAILED",
        }
    }
}

/// A value that the cipher refuses to seal: past 64 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is too long to be sealed")]
pub struct TooLong;

/// Seals a value under a fresh salt and nonce.
///
/// # Errors
/// [`TooLong`], past 64 GiB.
pub fn seal(key: &SecretKey, context: &Context<'_>, plaintext: &[u8]) -> Result<Vec<u8>, TooLong> {
    seal_with(key, context, plaintext, &random_bytes(), &random_bytes())
}

/// Seals under a given salt and nonce. A pair is never used twice: only
/// [`seal`], which draws them, and known answers call this.
fn seal_with(
    key: &SecretKey,
    context: &Context<'_>,
    plaintext: &[u8],
    salt: &[u8; SALT_BYTES],
    nonce: &[u8; NONCE_BYTES],
) -> Result<Vec<u8>, TooLong> {
    let derived = Derived::new(key, salt);
    // Of its final size from the start: growing would leave a copy of the plaintext behind.
    let mut record = Vec::with_capacity(OVERHEAD_BYTES + plaintext.len());
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&[SUITE, 0]);
    record.extend_from_slice(key.id().as_bytes());
    record.extend_from_slice(salt);
    record.extend_from_slice(derived.commitment.as_slice());
    record.extend_from_slice(nonce);
    let bound = context.bind(&record);
    record.extend_from_slice(plaintext);
    let (_, text) = record.split_at_mut(HEADER_BYTES);
    let tag = derived
        .cipher
        .encrypt_inout_detached(&Nonce::from(*nonce), &bound, InOutBuf::from(text))
        .map_err(|_| TooLong)?;
    record.extend_from_slice(&tag);
    Ok(record)
}

/// Opens a record with the key in the ring that it names.
///
/// # Errors
/// [`Unsealable`] names the first check that failed, in the order of its
/// variants.
pub fn open(keyring: &Keyring, context: &Context<'_>, record: &[u8]) -> Result<Plaintext, Unsealable> {
    let parts = Parts::split(record)?;
    let key = keyring.get(parts.key_id).ok_or(Unsealable::KeyUnknown)?;
    let derived = Derived::new(key, parts.salt);
    if !constant_time_eq(derived.commitment.as_slice(), parts.commitment) {
        return Err(Unsealable::CommitmentMismatch);
    }
    let bound = context.bind(parts.header);
    let mut text: Plaintext = Zeroizing::new(parts.ciphertext.to_vec());
    derived
        .cipher
        .decrypt_inout_detached(
            &Nonce::from(*parts.nonce),
            &bound,
            InOutBuf::from(text.as_mut_slice()),
            &Tag::from(*parts.tag),
        )
        .map_err(|_| Unsealable::AuthFailed)?;
    Ok(text)
}

/// Record key and commitment, from the sealing key and the record's salt.
struct Derived {
    cipher: Aes256Gcm,
    commitment: Zeroizing<[u8; COMMITMENT_BYTES]>,
}

impl Derived {
    fn new(key: &SecretKey, salt: &[u8; SALT_BYTES]) -> Self {
        let prk = Hkdf::<Sha512>::new(Some(salt), key.expose());
        let mut record_key = Zeroizing::new([0; KEY_BYTES]);
        let mut commitment = Zeroizing::new([0; COMMITMENT_BYTES]);
        for (info, output) in
            [(RECORD_KEY_INFO, record_key.as_mut_slice()), (COMMITMENT_INFO, commitment.as_mut_slice())]
        {
            prk.expand_multi_info(info, output).expect("HKDF-SHA-512 gives up to 16320 bytes");
        }
        Self { cipher: Aes256Gcm::new(&(*record_key).into()), commitment }
    }
}

/// A record, taken apart. Lengths are checked before anything is read.
struct Parts<'a> {
    header: &'a [u8],
    key_id: KeyId,
    salt: &'a [u8; SALT_BYTES],
    commitment: &'a [u8],
    nonce: &'a [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    fn split(record: &'a [u8]) -> Result<Self, Unsealable> {
        use Unsealable::{ReservedNotZero, Truncated, UnknownFormat, UnknownSuite};

        let (header, body) = record.split_at_checked(HEADER_BYTES).ok_or(Truncated)?;
        let (ciphertext, tag) = body.split_last_chunk::<TAG_BYTES>().ok_or(Truncated)?;
        let (magic, rest) = header.split_first_chunk::<4>().ok_or(Truncated)?;
        if *magic != MAGIC {
            return Err(UnknownFormat);
        }
        let ([suite, reserved], rest) = rest.split_first_chunk::<2>().ok_or(Truncated)?;
        if *suite != SUITE {
            return Err(UnknownSuite);
        }
        if *reserved != 0 {
            return Err(ReservedNotZero);
        }
        let (key_id, rest) = rest.split_first_chunk::<{ KeyId::BYTES }>().ok_or(Truncated)?;
        let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>().ok_or(Truncated)?;
        let (commitment, rest) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(Truncated)?;
        let (nonce, _) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Truncated)?;
        Ok(Self { header, key_id: KeyId::from_bytes(*key_id), salt, commitment, nonce, ciphertext, tag })
    }
}
