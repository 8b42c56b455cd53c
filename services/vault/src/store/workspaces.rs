//! A workspace's end.

use coachbot_common::db::transaction;
use coachbot_common::id::WorkspaceId;
use tracing::instrument;

use super::changes::announce;
use super::{Store, StoreError};

impl Store {
    /// Deletes everything of a workspace, its data keys first: from then on
    /// nothing of it can be opened, whatever is left of it in backups of the
    /// other tables.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.workspace.delete", skip_all, fields(%workspace))]
    pub async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<(), StoreError> {
        transaction!(self.db, |tx| {
            for statement in [
                "DELETE FROM data_keys WHERE workspace_id = $1",
                "DELETE FROM workspace_integrations WHERE workspace_id = $1",
                "DELETE FROM tool_tokens WHERE workspace_id = $1",
            ] {
                sqlx::query(statement).bind(workspace.as_uuid()).execute(&mut **tx).await?;
            }
            announce!(self.db, tx, format!("{workspace}/*"));
            Ok::<_, StoreError>(())
        })
    }
}
