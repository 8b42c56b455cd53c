//! Credentials, sealed, and what may be shown of them.

use std::collections::BTreeMap;

use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::db::{execute, read, transaction};
use coachbot_common::id::WorkspaceId;
use coachbot_integrations::Provider;
use jiff::Timestamp;
use sqlx::types::Json;
use tracing::instrument;

use super::changes::announce;
use super::data_keys::{self, hold_data_key};
use super::{DataKey, SealedUnder, Store, StoreError, from_column, key_id, to_column};
use crate::integration::{Subject, Verification};
use crate::keyring::KeyId;

/// Where the credentials of one provider stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Of the last save or deletion.
    pub revision: u64,
    /// What is stored; `None` after a deletion.
    pub sealed: Option<Sealed>,
}

/// Sealed credentials with what opens them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The sealed fields.
    pub encrypted_data: Vec<u8>,
    /// The data key that sealed them; `None` when it is gone.
    pub data_key: Option<DataKey>,
}

/// A save.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The revision that the save was made from, 0 for none. The new one is the next.
    pub from_revision: u64,
    /// The sealed fields, bound to the new revision.
    pub encrypted_data: Vec<u8>,
    /// What may be shown of them.
    pub shown_fields: BTreeMap<String, String>,
}

/// Stored credentials, as far as they are in clear.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Of which provider.
    pub provider: Provider,
    /// Ids in clear, secrets masked.
    pub shown_fields: BTreeMap<String, String>,
    /// Of the last save.
    pub revision: u64,
    /// When they were saved.
    pub updated_at: Timestamp,
    /// The platform key that is needed to open them; `None` when the data key is
    /// gone.
    pub platform_key_id: Option<KeyId>,
    /// Whether this revision was found not to open.
    pub failed: bool,
    /// What the last check of this revision found.
    pub verification: Option<Verification>,
}

type ListedRow =
    (String, Json<BTreeMap<String, String>>, i64, i64, Option<Vec<u8>>, bool, Option<Json<Verification>>);

impl Store {
    /// The credentials of one provider; a deleted one has a revision and nothing
    /// else.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.integration.find", skip_all, fields(%subject))]
    pub async fn find_record(&self, subject: Subject) -> Result<Option<Record>, StoreError> {
        type Row = (i64, Option<Vec<u8>>, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
        let row: Option<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT i.revision, i.encrypted_data, d.version, d.key_id, d.platform_key_id, d.sealed
                 FROM workspace_integrations i
                 LEFT JOIN data_keys d ON d.workspace_id = i.workspace_id AND d.key_id = i.key_id
                 WHERE i.workspace_id = $1 AND i.provider = $2",
            )
            .bind(subject.workspace.as_uuid())
            .bind(subject.provider.slug())
            .fetch_optional(pool)
            .await
        })?;
        let Some((revision, encrypted_data, version, id, platform_id, sealed)) = row else {
            return Ok(None);
        };
        let data_key = data_keys::from_columns((version, id, platform_id, sealed))?;
        let sealed = encrypted_data.map(|encrypted_data| Sealed { encrypted_data, data_key });
        Ok(Some(Record { revision: from_column(revision), sealed }))
    }

    /// Stores a save, unless there was another one, or a deletion, since the
    /// revision that it was made from. Forgets the last check.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] then, and nothing is stored; otherwise when the
    /// database cannot.
    #[instrument(name = "db.integration.save", skip_all, fields(%subject))]
    pub async fn save_record(
        &self,
        subject: Subject,
        record: &NewRecord,
        under: SealedUnder<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        transaction!(self.db, |tx| {
            hold_data_key!(self.db, tx, subject.workspace, under, now);
            let statement = if record.from_revision == 0 {
                "INSERT INTO workspace_integrations
                     (workspace_id, provider, revision, encrypted_data, key_id, shown_fields, updated_at)
                 VALUES ($1, $2, $3 + 1, $4, $5, $6, $7)
                 ON CONFLICT DO NOTHING"
            } else {
                "UPDATE workspace_integrations
                 SET revision = revision + 1, encrypted_data = $4, key_id = $5, shown_fields = $6,
                     updated_at = $7, verification = NULL, failed_revision = NULL
                 WHERE workspace_id = $1 AND provider = $2 AND revision = $3"
            };
            let query = sqlx::query(statement)
                .bind(subject.workspace.as_uuid())
                .bind(subject.provider.slug())
                .bind(to_column(record.from_revision))
                .bind(record.encrypted_data.as_slice())
                .bind(under.key_id().as_bytes().to_vec())
                .bind(Json(&record.shown_fields))
                .bind(to_micros(now));
            if query.execute(&mut **tx).await?.rows_affected() != 1 {
                return Err(StoreError::Overtaken);
            }
            announce!(self.db, tx, subject.to_string());
            Ok::<_, StoreError>(())
        })
    }

    /// What is stored of a workspace, as far as it is in clear, in the order of
    /// the providers.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.integration.list", skip_all, fields(%workspace))]
    pub async fn list_integrations(&self, workspace: WorkspaceId) -> Result<Vec<Listed>, StoreError> {
        let rows: Vec<ListedRow> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT i.provider, i.shown_fields, i.revision, i.updated_at, d.platform_key_id,
                        COALESCE(i.failed_revision = i.revision, FALSE), i.verification
                 FROM workspace_integrations i
                 LEFT JOIN data_keys d ON d.workspace_id = i.workspace_id AND d.key_id = i.key_id
                 WHERE i.workspace_id = $1 AND i.encrypted_data IS NOT NULL",
            )
            .bind(workspace.as_uuid())
            .fetch_all(pool)
            .await
        })?;
        let mut listed = rows.into_iter().map(Listed::try_from).collect::<Result<Vec<_>, _>>()?;
        listed.sort_by_key(|listed| listed.provider);
        Ok(listed)
    }

    /// Forgets the credentials of one provider; its revision stays, and grows.
    /// Says whether there were any.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.integration.delete", skip_all, fields(%subject))]
    pub async fn delete_record(&self, subject: Subject, now: Timestamp) -> Result<bool, StoreError> {
        transaction!(self.db, |tx| {
            let query = sqlx::query(
                "UPDATE workspace_integrations
                 SET revision = revision + 1, encrypted_data = NULL, key_id = NULL, shown_fields = $3,
                     updated_at = $4, verification = NULL, failed_revision = NULL
                 WHERE workspace_id = $1 AND provider = $2 AND encrypted_data IS NOT NULL",
            )
            .bind(subject.workspace.as_uuid())
            .bind(subject.provider.slug())
            .bind(Json(BTreeMap::<String, String>::new()))
            .bind(to_micros(now));
            let deleted = query.execute(&mut **tx).await?.rows_affected() == 1;
            announce!(self.db, tx, subject.to_string());
            Ok::<_, StoreError>(deleted)
        })
    }

    /// Remembers that this revision does not open.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.integration.mark_failed", skip_all, fields(%subject))]
    pub async fn mark_failed_opening(&self, subject: Subject, revision: u64) -> Result<(), StoreError> {
        execute!(
            self.db,
            sqlx::query(
                "UPDATE workspace_integrations SET failed_revision = revision
                 WHERE workspace_id = $1 AND provider = $2 AND revision = $3
                   AND (failed_revision IS NULL OR failed_revision <> revision)"
            )
            .bind(subject.workspace.as_uuid())
            .bind(subject.provider.slug())
            .bind(to_column(revision))
        )?;
        Ok(())
    }

    /// Stores what a check of this revision found. Says whether the revision is
    /// still the stored one.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.integration.record_verification", skip_all, fields(%subject))]
    pub async fn record_verification(
        &self,
        subject: Subject,
        revision: u64,
        verification: &Verification,
    ) -> Result<bool, StoreError> {
        let rows = execute!(
            self.db,
            sqlx::query(
                "UPDATE workspace_integrations SET verification = $4
                 WHERE workspace_id = $1 AND provider = $2 AND revision = $3
                   AND encrypted_data IS NOT NULL"
            )
            .bind(subject.workspace.as_uuid())
            .bind(subject.provider.slug())
            .bind(to_column(revision))
            .bind(Json(verification))
        )?;
        Ok(rows == 1)
    }
}

impl TryFrom<ListedRow> for Listed {
    type Error = StoreError;

    fn try_from(row: ListedRow) -> Result<Self, StoreError> {
        const TABLE: &str = "workspace_integrations";
        let (provider, shown_fields, revision, updated_at, platform_key_id, failed, verification) = row;
        Ok(Self {
            provider: provider
                .parse()
                .map_err(|_| StoreError::Unreadable { table: TABLE, column: "provider" })?,
            shown_fields: shown_fields.0,
            revision: from_column(revision),
            updated_at: from_micros(updated_at),
            platform_key_id: platform_key_id
                .map(|id| key_id(&id, "data_keys", "platform_key_id"))
                .transpose()?,
            failed,
            verification: verification.map(|verification| verification.0),
        })
    }
}
