//! The workspaces' data keys, sealed.

use coachbot_common::db::read;
use coachbot_common::id::WorkspaceId;
use tracing::instrument;

use super::{Store, StoreError, from_column, key_id};
use crate::keyring::KeyId;

/// A data key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    /// From 1.
    pub version: u64,
    /// Its own id, which the records that it sealed carry.
    pub key_id: KeyId,
    /// The platform key under which it is sealed.
    pub platform_key_id: KeyId,
    /// The sealed key.
    pub sealed: Vec<u8>,
}

/// The data key that a new value was sealed under.
#[derive(Clone, Copy, Debug)]
pub enum SealedUnder<'a> {
    /// One that is stored already.
    Stored(KeyId),
    /// One that is stored together with the value.
    Fresh(&'a DataKey),
}

impl SealedUnder<'_> {
    /// Its id.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        match self {
            Self::Stored(id) => *id,
            Self::Fresh(key) => key.key_id,
        }
    }
}

/// The columns of a data key beside another row, all `NULL` when it is gone.
pub(super) type Columns = (Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);

pub(super) fn from_columns(columns: Columns) -> Result<Option<DataKey>, StoreError> {
    let (Some(version), Some(id), Some(platform_id), Some(sealed)) = columns else { return Ok(None) };
    Ok(Some(DataKey {
        version: from_column(version),
        key_id: key_id(&id, "data_keys", "key_id")?,
        platform_key_id: key_id(&platform_id, "data_keys", "platform_key_id")?,
        sealed,
    }))
}

impl Store {
    /// The workspace's newest data key, if it has one.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.data_key.find", skip_all, fields(%workspace))]
    pub async fn find_data_key(&self, workspace: WorkspaceId) -> Result<Option<DataKey>, StoreError> {
        let row: Option<Columns> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT version, key_id, platform_key_id, sealed FROM data_keys
                 WHERE workspace_id = $1 ORDER BY version DESC LIMIT 1",
            )
            .bind(workspace.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        row.map_or(Ok(None), from_columns)
    }
}

/// Inside a transaction, makes sure that the data key stays until its end: a fresh
/// one is stored, a stored one is locked against a deletion of the workspace.
/// Leaves the transaction with [`StoreError::Overtaken`] when it is gone, or when
/// somebody else stored one of the same version.
///
/// Always the transaction's first statement: a deletion begins with the data
/// keys too, and two that lock in one order cannot wait for each other.
macro_rules! hold_data_key {
    ($db:expr, $transaction:ident, $workspace:expr, $under:expr, $now:expr) => {
        let held = match $under {
            $crate::store::SealedUnder::Fresh(key) => {
                let query = sqlx::query(
                    "INSERT INTO data_keys (workspace_id, version, key_id, platform_key_id, sealed, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                )
                .bind($workspace.as_uuid())
                .bind($crate::store::to_column(key.version))
                .bind(key.key_id.as_bytes().as_slice())
                .bind(key.platform_key_id.as_bytes().as_slice())
                .bind(key.sealed.as_slice())
                .bind(::coachbot_common::clock::to_micros($now));
                query.execute(&mut **$transaction).await?.rows_affected() == 1
            }
            $crate::store::SealedUnder::Stored(id) => {
                // SQLite has one writer, which holds everything.
                let query = sqlx::query_scalar(::coachbot_common::db::dialect!(
                    $db,
                    sqlite: "SELECT CAST(1 AS BIGINT) FROM data_keys WHERE workspace_id = $1 AND key_id = $2",
                    postgres: "SELECT CAST(1 AS BIGINT) FROM data_keys WHERE workspace_id = $1 AND key_id = $2 FOR KEY SHARE"
                ))
                .bind($workspace.as_uuid())
                .bind(id.as_bytes().as_slice());
                let found: Option<i64> = query.fetch_optional(&mut **$transaction).await?;
                found.is_some()
            }
        };
        if !held {
            return Err($crate::store::StoreError::Overtaken);
        }
    };
}

pub(super) use hold_data_key;
