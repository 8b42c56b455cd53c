//! Tool tokens: sealed to be shown, hashed to be checked.

use coachbot_common::clock::to_micros;
use coachbot_common::db::{read, transaction};
use coachbot_common::id::WorkspaceId;
use jiff::Timestamp;
use tracing::instrument;

use super::data_keys::{self, hold_data_key};
use super::{DataKey, SealedUnder, Store, StoreError, from_column, to_column};

/// A token as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolToken {
    /// From 1; grows with each rotation.
    pub generation: u64,
    /// The sealed token.
    pub sealed: Vec<u8>,
    /// The data key that sealed it; `None` when it is gone.
    pub data_key: Option<DataKey>,
}

/// A token to be stored.
#[derive(Clone, Debug)]
pub struct NewToolToken {
    /// From 1.
    pub generation: u64,
    /// The sealed token.
    pub sealed: Vec<u8>,
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// What may be shown of it.
    pub hint: String,
}

impl Store {
    /// The workspace's present token.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.tool_token.find", skip_all, fields(%workspace))]
    pub async fn find_tool_token(&self, workspace: WorkspaceId) -> Result<Option<ToolToken>, StoreError> {
        type Row = (i64, Vec<u8>, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
        let row: Option<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT t.generation, t.sealed, d.version, d.key_id, d.platform_key_id, d.sealed
                 FROM tool_tokens t
                 LEFT JOIN data_keys d ON d.workspace_id = t.workspace_id AND d.key_id = t.key_id
                 WHERE t.workspace_id = $1 AND t.valid_until IS NULL",
            )
            .bind(workspace.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        row.map(|(generation, sealed, version, id, platform_id, sealed_key)| {
            Ok(ToolToken {
                generation: from_column(generation),
                sealed,
                data_key: data_keys::from_columns((version, id, platform_id, sealed_key))?,
            })
        })
        .transpose()
    }

    /// What may be shown of the workspace's present token.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.tool_token.hint", skip_all, fields(%workspace))]
    pub async fn find_tool_token_hint(&self, workspace: WorkspaceId) -> Result<Option<String>, StoreError> {
        Ok(read!(self.db, |pool| {
            sqlx::query_scalar("SELECT hint FROM tool_tokens WHERE workspace_id = $1 AND valid_until IS NULL")
                .bind(workspace.as_uuid())
                .fetch_optional(pool)
                .await
        })?)
    }

    /// Stores a workspace's first token.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when it has one already, and nothing is stored;
    /// otherwise when the database cannot.
    #[instrument(name = "db.tool_token.insert", skip_all, fields(%workspace))]
    pub async fn insert_tool_token(
        &self,
        workspace: WorkspaceId,
        token: &NewToolToken,
        under: SealedUnder<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        transaction!(self.db, |tx| {
            hold_data_key!(self.db, tx, workspace, under, now);
            let query = sqlx::query(
                "INSERT INTO tool_tokens (workspace_id, generation, sealed, key_id, hash, hint, issued_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            )
            .bind(workspace.as_uuid())
            .bind(to_column(token.generation))
            .bind(token.sealed.as_slice())
            .bind(under.key_id().as_bytes().to_vec())
            .bind(token.hash.as_slice())
            .bind(token.hint.as_str())
            .bind(to_micros(now));
            if query.execute(&mut **tx).await?.rows_affected() != 1 {
                return Err(StoreError::Overtaken);
            }
            Ok::<_, StoreError>(())
        })
    }

    /// Whose token this is, by its SHA-256. Names no workspace: it finds one.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.tool_token.find_workspace", skip_all)]
    pub async fn find_workspace_of_tool_token(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<WorkspaceId>, StoreError> {
        let row: Option<uuid::Uuid> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT workspace_id FROM tool_tokens
                 WHERE hash = $1 AND (valid_until IS NULL OR valid_until > $2)",
            )
            .bind(hash.as_slice())
            .bind(to_micros(now))
            .fetch_optional(pool)
            .await
        })?;
        Ok(row.map(WorkspaceId::from_uuid))
    }
}
