//! Saving, leasing, listing and checking credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::id::WorkspaceId;
use coachbot_integrations::{Fields, clear_fields, merge, shown_fields};
use secrecy::ExposeSecret as _;
use tracing::{instrument, warn};

use super::{ATTEMPTS, Closed, Vault, bundle, open_value};
use crate::cache::{Entry, Ticket};
use crate::error::Error;
use crate::integration::{Integration, Subject, Verification};
use crate::keyring::Keyring;
use crate::mac::{self, Algorithm};
use crate::seal::{self, Context, Purpose};
use crate::store::{Change, DataKey, NewRecord, SealedUnder};

/// The plaintext of one provider's credentials, for one call.
pub struct Leased {
    /// All fields.
    pub fields: Fields,
    /// The revision they are of.
    pub revision: u64,
}

/// A MAC to be compared.
pub struct MacCheck {
    /// The secret field that is the key.
    pub field: String,
    /// The hash.
    pub algorithm: Algorithm,
    /// What may have been signed.
    pub candidates: Vec<Vec<u8>>,
    /// The MAC that came with it.
    pub mac: Vec<u8>,
}

/// The candidate that a MAC belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacMatch {
    /// Which one, from 0.
    pub candidate: usize,
    /// The integration's clear ids.
    pub clear_fields: BTreeMap<String, String>,
}

const fn context(workspace: &str, subject: Subject, revision: u64) -> Context<'_> {
    Context {
        purpose: Purpose::Credential,
        workspace,
        provider: subject.provider.slug(),
        field: "credentials",
        revision,
    }
}

impl Vault {
    /// Merges an update into what is stored, and stores the whole as the next
    /// revision.
    ///
    /// Credentials that do not open any more count as absent: they must be
    /// entered again, whole.
    ///
    /// # Errors
    /// [`Error::Fields`] names what cannot be saved; [`Error::Locked`] and
    /// [`Error::NeedsAnotherKey`] when nothing can be sealed.
    pub async fn put(&self, subject: Subject, update: &Fields) -> Result<Integration, Error> {
        let keyring = self.platform.keyring()?;
        let _turn = self.turns.of(subject).await;
        let _stale = self.invalidating(Change::Record(subject));
        for _ in 0..ATTEMPTS {
            match self.put_once(keyring, subject, update).await {
                Err(Error::Contended) => {}
                done => return done,
            }
        }
        Err(Error::Contended)
    }

    async fn put_once(
        &self,
        keyring: &Keyring,
        subject: Subject,
        update: &Fields,
    ) -> Result<Integration, Error> {
        // In the column's unit, so that the answer is what a later listing tells.
        let now = from_micros(to_micros(self.clock.now()));
        let key = self.sealing_key(keyring, subject.workspace).await?;
        let record = self.store.find_record(subject).await?;
        let from_revision = record.as_ref().map_or(0, |record| record.revision);
        let sealed = record.and_then(|record| record.sealed);
        let stored = match sealed {
            None => None,
            Some(sealed) => {
                let found = open_fields(
                    keyring,
                    subject,
                    from_revision,
                    sealed.data_key.as_ref(),
                    &sealed.encrypted_data,
                );
                match found {
                    Ok(fields) => Some(fields),
                    Err(Closed::NeedsAnotherKey { loaded, needed }) => {
                        return Err(Error::NeedsAnotherKey { loaded, needed });
                    }
                    Err(Closed::Damaged { part, reason }) => {
                        log_closed(subject, from_revision, sealed.data_key.as_ref(), part, reason);
                        None
                    }
                }
            }
        };
        let merged = merge(subject.provider, stored.as_ref(), update).map_err(Error::Fields)?;
        let revision = from_revision + 1;
        let workspace = subject.workspace.to_string();
        let plaintext = bundle::encode(&merged)?;
        let record = NewRecord {
            from_revision,
            encrypted_data: seal::seal(
                key.ring.current(),
                &context(&workspace, subject, revision),
                &plaintext,
            )?,
            shown_fields: shown_fields(subject.provider, &merged),
        };
        self.store.save_record(subject, &record, key.under(), now).await?;
        if let SealedUnder::Fresh(fresh) = key.under() {
            tracing::info!(workspace = %subject.workspace, key.id = %fresh.key_id, "data key made");
        }
        Ok(Integration {
            provider: subject.provider,
            shown_fields: record.shown_fields,
            revision,
            updated_at: now,
            readable: true,
            verification: None,
        })
    }

    /// Hands out the plaintext for one call. A warm lease runs no SQL statement.
    ///
    /// # Errors
    /// [`Error::NotConnected`] when nothing is stored, [`Error::CannotDecrypt`]
    /// when it does not open, [`Error::Locked`] and [`Error::NeedsAnotherKey`]
    /// when nothing can be opened.
    pub async fn lease(&self, subject: Subject) -> Result<Leased, Error> {
        let keyring = self.platform.keyring()?;
        let (entry, read_now) = self.entry(subject).await?;
        let opened =
            open_fields(keyring, subject, entry.revision, Some(&entry.data_key), &entry.encrypted_data);
        match opened {
            Ok(fields) => {
                let revision = entry.revision;
                if let Some(ticket) = read_now {
                    self.cache.keep(ticket, subject, entry);
                }
                Ok(Leased { fields, revision })
            }
            Err(Closed::NeedsAnotherKey { loaded, needed }) => Err(Error::NeedsAnotherKey { loaded, needed }),
            Err(Closed::Damaged { part, reason }) => {
                Err(self.damaged(subject, entry.revision, Some(&entry.data_key), part, reason).await)
            }
        }
    }

    /// The sealed credentials, from the cache or the store; with a ticket to keep
    /// them when they came from the store.
    async fn entry(&self, subject: Subject) -> Result<(Arc<Entry>, Option<Ticket>), Error> {
        let now = self.clock.now();
        if let Some(entry) = self.cache.get(subject, now) {
            return Ok((entry, None));
        }
        let ticket = self.cache.ticket(now);
        let record = self.store.find_record(subject).await?;
        let not_connected = || Error::NotConnected(subject.provider);
        let record = record.ok_or_else(not_connected)?;
        let sealed = record.sealed.ok_or_else(not_connected)?;
        let Some(data_key) = sealed.data_key else {
            return Err(self.damaged(subject, record.revision, None, "data key", "GONE").await);
        };
        let entry = Entry { revision: record.revision, encrypted_data: sealed.encrypted_data, data_key };
        Ok((Arc::new(entry), Some(ticket)))
    }

    /// Remembers and logs that credentials do not open. That they do not is the
    /// answer, also when it cannot be remembered.
    async fn damaged(
        &self,
        subject: Subject,
        revision: u64,
        data_key: Option<&DataKey>,
        part: &'static str,
        reason: &'static str,
    ) -> Error {
        log_closed(subject, revision, data_key, part, reason);
        if let Err(error) = self.store.mark_failed_opening(subject, revision).await {
            warn!(%subject, revision, %error, "a failed opening could not be remembered");
        }
        Error::CannotDecrypt
    }

    /// What may be shown of a workspace's credentials. Opens nothing.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn describe(&self, workspace: WorkspaceId) -> Result<Vec<Integration>, Error> {
        let keyring = self.platform.keyring().ok();
        let listed = self.store.list_integrations(workspace).await?;
        let openable = |key| keyring.is_some_and(|keyring| keyring.get(key).is_some());
        Ok(listed
            .into_iter()
            .map(|listed| Integration {
                provider: listed.provider,
                shown_fields: listed.shown_fields,
                revision: listed.revision,
                updated_at: listed.updated_at,
                readable: !listed.failed && listed.platform_key_id.is_some_and(openable),
                verification: listed.verification,
            })
            .collect())
    }

    /// Forgets one provider's credentials. Says whether there were any.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn delete(&self, subject: Subject) -> Result<bool, Error> {
        let _turn = self.turns.of(subject).await;
        let _stale = self.invalidating(Change::Record(subject));
        Ok(self.store.delete_record(subject, self.clock.now()).await?)
    }

    /// Finds the candidate that a MAC belongs to, if any.
    ///
    /// # Errors
    /// [`Error::Request`] when the field is not a secret one of the provider;
    /// otherwise as [`Self::lease`].
    pub async fn verify_mac(&self, subject: Subject, check: &MacCheck) -> Result<Option<MacMatch>, Error> {
        let wrong_field =
            || Error::Request { field: "field", problem: "must be a secret field of the provider" };
        if subject.provider.field(&check.field).is_none_or(|spec| !spec.secret) {
            return Err(wrong_field());
        }
        let leased = self.lease(subject).await?;
        let key = leased.fields.get(&check.field).ok_or_else(wrong_field)?;
        let matched =
            mac::first_match(check.algorithm, key.expose_secret().as_bytes(), &check.candidates, &check.mac);
        Ok(matched.map(|candidate| MacMatch {
            candidate,
            clear_fields: clear_fields(subject.provider, &leased.fields),
        }))
    }

    /// Stores what a check of a revision found. Says whether that revision is
    /// still the stored one.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn record_verification(
        &self,
        subject: Subject,
        revision: u64,
        verification: &Verification,
    ) -> Result<bool, Error> {
        Ok(self.store.record_verification(subject, revision, verification).await?)
    }
}

#[instrument(name = "vault.open_credential", skip_all, fields(%subject, revision))]
fn open_fields(
    keyring: &Keyring,
    subject: Subject,
    revision: u64,
    data_key: Option<&DataKey>,
    encrypted_data: &[u8],
) -> Result<Fields, Closed> {
    let workspace = subject.workspace.to_string();
    let context = context(&workspace, subject, revision);
    let plaintext = open_value(keyring, subject.workspace, data_key, &context, encrypted_data)?;
    bundle::decode(&plaintext).ok_or(Closed::Damaged { part: "value", reason: "NOT_FIELDS" })
}

/// The one place that tells which check failed.
fn log_closed(
    subject: Subject,
    revision: u64,
    data_key: Option<&DataKey>,
    part: &'static str,
    reason: &'static str,
) {
    warn!(
        %subject,
        revision,
        key.id = data_key.map(|key| tracing::field::display(key.key_id)),
        part,
        reason,
        "credentials do not open"
    );
}
