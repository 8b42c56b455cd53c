//! Whether the platform key is usable: judged once at the start, against the data.
//!
//! A key that is missing, malformed, weak or another one is a state in which the
//! vault serves what needs no key, never a reason to exit.

use jiff::Timestamp;
use secrecy::SecretString;
use tracing::{error, info, warn};

use crate::error::Error;
use crate::keyring::{KeyId, Keyring, SecretKey};
use crate::platform_key::{self, Unusable, VARIABLE};
use crate::seal::{self, Context, Purpose};
use crate::store::{EnrolledKey, Store, StoreError};

/// What the canary is bound to. It belongs to no workspace.
const CANARY: Context<'_> =
    Context { purpose: Purpose::Canary, workspace: "*", provider: "*", field: "*", revision: 0 };

/// Nothing secret: that it opens is all there is to know.
const CANARY_TEXT: &[u8] = b"coachbot";

/// Why nothing can be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lock {
    /// No key is configured.
    #[error("{VARIABLE} is missing")]
    Missing {
        /// The key that the data knows.
        stored: Option<KeyId>,
    },
    /// The configured value is no key.
    #[error("{VARIABLE} is malformed")]
    Malformed {
        /// The key that the data knows.
        stored: Option<KeyId>,
    },
    /// The configured key could be guessed.
    #[error("{VARIABLE} is too weak")]
    Weak {
        /// The key that the data knows.
        stored: Option<KeyId>,
    },
    /// The data was sealed under another key.
    #[error("{VARIABLE} is not the key that the credentials were sealed with")]
    Mismatch {
        /// The configured key.
        configured: KeyId,
        /// The key that the data knows; `None` when data is there and its key is
        /// not told anywhere.
        stored: Option<KeyId>,
    },
}

impl Lock {
    /// The word for programs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "KEY_MISSING",
            Self::Malformed { .. } => "KEY_MALFORMED",
            Self::Weak { .. } => "KEY_WEAK",
            Self::Mismatch { .. } => "KEY_MISMATCH",
        }
    }

    /// The id of the configured key, when there is one.
    #[must_use]
    pub const fn configured(&self) -> Option<KeyId> {
        match self {
            Self::Mismatch { configured, .. } => Some(*configured),
            Self::Missing { .. } | Self::Malformed { .. } | Self::Weak { .. } => None,
        }
    }

    /// The id of the key that the data knows, when it knows one.
    #[must_use]
    pub const fn stored(&self) -> Option<KeyId> {
        match self {
            Self::Missing { stored }
            | Self::Malformed { stored }
            | Self::Weak { stored }
            | Self::Mismatch { stored, .. } => *stored,
        }
    }
}

/// The platform key, or why there is none.
pub enum Platform {
    /// It is the one that the data knows.
    Unlocked(Keyring),
    /// Nothing can be sealed or opened.
    Locked(Lock),
}

/// What a judgement may do to a database that knows no key yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUse {
    /// Enrol a good key.
    Enrol(Timestamp),
    /// Change nothing.
    LookOnly,
}

impl Platform {
    /// Judges the configured value against the data. Changes nothing but, where
    /// it may, the keyring of an empty database; `store` is `None` for a database
    /// that does not exist yet.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn judge(
        store: Option<&Store>,
        configured: Option<&SecretString>,
        first_use: FirstUse,
    ) -> Result<Self, Error> {
        let key = match platform_key::parse(configured) {
            Ok(key) => key,
            Err(unusable) => {
                let stored = stored_key_id(store).await?;
                return Ok(Self::Locked(match unusable {
                    Unusable::Missing => Lock::Missing { stored },
                    Unusable::Malformed => Lock::Malformed { stored },
                    Unusable::Weak => Lock::Weak { stored },
                }));
            }
        };
        let Some(store) = store else { return Ok(Self::Unlocked(Keyring::new(key))) };
        let mut known = store.find_platform_key().await?;
        if known.is_none() {
            match first_use {
                FirstUse::Enrol(now) => {
                    if store.enrol_platform_key(&enrolment(&key)?, now).await? {
                        info!(key.id = %key.id(), "platform key enrolled");
                    }
                    // Another replica may have been first: what is stored decides.
                    known = store.find_platform_key().await?;
                }
                FirstUse::LookOnly if store.is_empty().await? => {
                    return Ok(Self::Unlocked(Keyring::new(key)));
                }
                FirstUse::LookOnly => {}
            }
        }
        let Some(known) = known else {
            error!("there are credentials, but the keyring is lost: no key can be proved");
            let stored = store.any_platform_key_in_use().await?;
            return Ok(Self::Locked(Lock::Mismatch { configured: key.id(), stored }));
        };
        Ok(Self::prove(key, &known))
    }

    /// A key is proved by id, check value and canary.
    fn prove(key: SecretKey, known: &EnrolledKey) -> Self {
        let configured = key.id();
        let mismatch = Self::Locked(Lock::Mismatch { configured, stored: Some(known.key_id) });
        if configured != known.key_id || !key.check().is(&known.key_check) {
            return mismatch;
        }
        let keyring = Keyring::new(key);
        match seal::open(&keyring, &CANARY, &known.canary) {
            Ok(text) if text.as_slice() == CANARY_TEXT => Self::Unlocked(keyring),
            Ok(_) => mismatch,
            Err(unsealable) => {
                error!(key.id = %configured, reason = unsealable.reason(), "the canary does not open");
                mismatch
            }
        }
    }

    /// The keys, when they may be used.
    ///
    /// # Errors
    /// Why not.
    pub const fn keyring(&self) -> Result<&Keyring, Lock> {
        match self {
            Self::Unlocked(keyring) => Ok(keyring),
            Self::Locked(lock) => Err(*lock),
        }
    }

    /// Says in the log how the key stands.
    pub fn announce(&self) {
        match self {
            Self::Unlocked(keyring) => info!(key.id = %keyring.current_id(), "platform key is usable"),
            Self::Locked(lock) => warn!(
                reason = lock.reason(),
                configured_key_id = lock.configured().map(tracing::field::display),
                stored_key_id = lock.stored().map(tracing::field::display),
                "credentials are locked: {lock}; `coachbot key generate` makes a key for a first start"
            ),
        }
    }
}

async fn stored_key_id(store: Option<&Store>) -> Result<Option<KeyId>, StoreError> {
    let Some(store) = store else { return Ok(None) };
    match store.find_platform_key().await? {
        Some(known) => Ok(Some(known.key_id)),
        None => store.any_platform_key_in_use().await,
    }
}

fn enrolment(key: &SecretKey) -> Result<EnrolledKey, Error> {
    Ok(EnrolledKey {
        key_id: key.id(),
        key_check: key.check().as_bytes().to_vec(),
        canary: seal::seal(key, &CANARY, CANARY_TEXT)?,
    })
}
