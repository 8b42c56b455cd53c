use coachbot_common::clock::to_micros;
use coachbot_common::db::{execute, read};
use coachbot_common::id::WorkspaceId;
use coachbot_common::id_type;
use coachbot_integrations::Channel;
use jiff::Timestamp;
use uuid::Uuid;

use super::workspaces::channel;
use super::{Store, StoreError};

id_type! {
    /// A lead form, as its address names it.
    pub struct FormId
}

/// A form, and what a lead may see of its workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Its id.
    pub id: FormId,
    /// Whose form it is.
    pub workspace: WorkspaceId,
    /// The workspace's name.
    pub workspace_name: String,
    /// How the workspace talks with its leads.
    pub channel: Channel,
}

impl Store {
    /// Finds a form of a workspace that lives: a look-up without a workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn form(&self, id: FormId) -> Result<Option<Form>, StoreError> {
        let row: Option<(Uuid, String, String)> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT w.id, w.name, w.channel FROM forms f JOIN workspaces w ON w.id = f.workspace_id \
                 WHERE f.id = $1 AND w.deleting_at IS NULL",
            )
            .bind(id.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        row.map(|(workspace, workspace_name, slug)| {
            Ok(Form {
                id,
                workspace: WorkspaceId::from_uuid(workspace),
                workspace_name,
                channel: channel(&slug, workspace)?,
            })
        })
        .transpose()
    }

    /// The workspace's forms. One that has none, for it is older than forms are,
    /// gets `fresh`; of several that ask at once, one gives its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forms(
        &self,
        workspace: WorkspaceId,
        fresh: FormId,
        now: Timestamp,
    ) -> Result<Vec<FormId>, StoreError> {
        let known = self.known_forms(workspace).await?;
        if !known.is_empty() {
            return Ok(known);
        }
        execute!(
            self.db,
            sqlx::query(
                "INSERT INTO forms (workspace_id, position, id, created_at) \
                 SELECT id, 1, $2, $3 FROM workspaces WHERE id = $1 ON CONFLICT DO NOTHING",
            )
            .bind(workspace.as_uuid())
            .bind(fresh.as_uuid())
            .bind(to_micros(now))
        )?;
        self.known_forms(workspace).await
    }

    async fn known_forms(&self, workspace: WorkspaceId) -> Result<Vec<FormId>, StoreError> {
        let ids: Vec<Uuid> = read!(self.db, |pool| {
            sqlx::query_scalar("SELECT id FROM forms WHERE workspace_id = $1 ORDER BY position")
                .bind(workspace.as_uuid())
                .fetch_all(pool)
                .await
        })?;
        Ok(ids.into_iter().map(FormId::from_uuid).collect())
    }
}
