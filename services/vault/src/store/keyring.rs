//! Which platform key the data knows. It belongs to no workspace.

use coachbot_common::clock::to_micros;
use coachbot_common::db::{execute, read};
use coachbot_common::id::WorkspaceId;
use jiff::Timestamp;
use tracing::instrument;

use super::{Store, StoreError, key_id, workspace_ids};
use crate::keyring::KeyId;

/// How many workspaces one status names at most.
const NAMED_WORKSPACES: i64 = 1000;

/// A platform key, as the data knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolledKey {
    /// Its id.
    pub key_id: KeyId,
    /// Its check value.
    pub key_check: Vec<u8>,
    /// Sealed under it.
    pub canary: Vec<u8>,
}

impl Store {
    /// The platform key that seals new data keys, if one was enrolled.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.keyring.find", skip_all)]
    pub async fn find_platform_key(&self) -> Result<Option<EnrolledKey>, StoreError> {
        let row: Option<(Vec<u8>, Vec<u8>, Vec<u8>)> = read!(self.db, |pool| {
            sqlx::query_as("SELECT key_id, key_check, canary FROM keyring WHERE is_current")
                .fetch_optional(pool)
                .await
        })?;
        row.map(|(id, key_check, canary)| {
            Ok(EnrolledKey { key_id: key_id(&id, "keyring", "key_id")?, key_check, canary })
        })
        .transpose()
    }

    /// Enrols the first platform key, unless there is one already or anything was
    /// sealed before. Says whether it did.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.keyring.enrol", skip_all, fields(key.id = %key.key_id))]
    pub async fn enrol_platform_key(&self, key: &EnrolledKey, now: Timestamp) -> Result<bool, StoreError> {
        // Of two replicas the second waits for the first at the unique index, and inserts nothing.
        let rows = execute!(
            self.db,
            sqlx::query(
                "INSERT INTO keyring (key_id, key_check, canary, is_current, enrolled_at)
                 SELECT $1, $2, $3, TRUE, $4
                 WHERE NOT EXISTS (SELECT 1 FROM data_keys)
                   AND NOT EXISTS (SELECT 1 FROM workspace_integrations)
                   AND NOT EXISTS (SELECT 1 FROM tool_tokens)
                 ON CONFLICT DO NOTHING"
            )
            .bind(key.key_id.as_bytes().as_slice())
            .bind(key.key_check.as_slice())
            .bind(key.canary.as_slice())
            .bind(to_micros(now))
        )?;
        Ok(rows == 1)
    }

    /// Whether nothing was ever sealed.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.keyring.is_empty", skip_all)]
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let found: Option<i64> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT CAST(1 AS BIGINT)
                 WHERE EXISTS (SELECT 1 FROM keyring)
                    OR EXISTS (SELECT 1 FROM data_keys)
                    OR EXISTS (SELECT 1 FROM workspace_integrations)
                    OR EXISTS (SELECT 1 FROM tool_tokens)",
            )
            .fetch_optional(pool)
            .await
        })?;
        Ok(found.is_none())
    }

    /// A platform key that some data key needs, for data whose keyring is lost.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.data_key.any", skip_all)]
    pub async fn any_platform_key_in_use(&self) -> Result<Option<KeyId>, StoreError> {
        let row: Option<Vec<u8>> = read!(self.db, |pool| {
            sqlx::query_scalar("SELECT platform_key_id FROM data_keys ORDER BY platform_key_id LIMIT 1")
                .fetch_optional(pool)
                .await
        })?;
        row.map(|id| key_id(&id, "data_keys", "platform_key_id")).transpose()
    }

    /// Workspaces with a data key that needs another platform key than this one,
    /// at most a thousand.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.data_key.find_foreign", skip_all)]
    pub async fn workspaces_needing_another_key(
        &self,
        loaded: KeyId,
    ) -> Result<Vec<WorkspaceId>, StoreError> {
        // Two ranges instead of `<>`: the index ends at once when there is none.
        let rows: Vec<uuid::Uuid> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT DISTINCT workspace_id FROM data_keys
                 WHERE platform_key_id < $1 OR platform_key_id > $1
                 ORDER BY workspace_id LIMIT $2",
            )
            .bind(loaded.as_bytes().as_slice())
            .bind(NAMED_WORKSPACES)
            .fetch_all(pool)
            .await
        })?;
        Ok(workspace_ids(rows))
    }
}
