//! Agent settings.

use coachbot_common::clock::to_micros;
use coachbot_common::db::read;
use coachbot_common::id::WorkspaceId;
use jiff::Timestamp;
use sqlx::types::Json;
use tracing::instrument;

use super::tx::{Tx, on, rows};
use super::{Store, StoreError};
use crate::settings::Settings;

const FIND: &str = "SELECT settings FROM settings WHERE workspace_id = $1";

impl Store {
    /// The settings of a workspace, or the defaults.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.settings.find", skip_all, fields(%workspace))]
    pub async fn find_settings(&self, workspace: WorkspaceId) -> Result<Settings, StoreError> {
        let stored: Option<Json<Settings>> = read!(self.db, |pool| {
            sqlx::query_scalar(FIND).bind(workspace.as_uuid()).fetch_optional(pool).await
        })?;
        Ok(stored.map(|stored| stored.0).unwrap_or_default())
    }

    /// Replaces the settings of a workspace, known already or not; of a deleted
    /// one nothing is kept.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.settings.put", skip_all, fields(%workspace))]
    pub async fn put_settings(
        &self,
        workspace: WorkspaceId,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = rows!(
            &mut tx,
            sqlx::query(
                "INSERT INTO settings (workspace_id, settings, updated_at)
                 SELECT $1, $2, $3
                 WHERE NOT EXISTS (SELECT 1 FROM workspaces WHERE workspace_id = $1 AND deleted)
                 ON CONFLICT (workspace_id) DO UPDATE
                 SET settings = excluded.settings, updated_at = excluded.updated_at"
            )
            .bind(workspace.as_uuid())
            .bind(Json(settings))
            .bind(to_micros(now))
        )
        .map(drop);
        tx.end(outcome).await
    }
}

pub(super) async fn settings_of(tx: &mut Tx, workspace: WorkspaceId) -> Result<Settings, StoreError> {
    let stored: Option<Json<Settings>> =
        on!(tx, |it| sqlx::query_scalar(FIND).bind(workspace.as_uuid()).fetch_optional(it).await)?;
    Ok(stored.map(|stored| stored.0).unwrap_or_default())
}
