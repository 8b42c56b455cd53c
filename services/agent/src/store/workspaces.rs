//! What the gateway told of workspaces.

use coachbot_common::db::read;
use coachbot_common::id::WorkspaceId;
use tracing::instrument;

use super::tx::{Tx, by_engine, on, rows};
use super::{Store, StoreError, word};
use crate::conversation::Channel;

/// A workspace's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// What leads know it by.
    pub name: String,
    /// How it talks with its leads.
    pub channel: Channel,
    /// IANA.
    pub timezone: String,
}

type Row = (String, String, String);

/// Everything that a workspace has, children first.
const TABLES: [&str; 11] = [
    "DELETE FROM steps WHERE workspace_id = $1",
    "DELETE FROM runs WHERE workspace_id = $1",
    "DELETE FROM intents WHERE workspace_id = $1",
    "DELETE FROM messages WHERE workspace_id = $1",
    "DELETE FROM bookings WHERE workspace_id = $1",
    "DELETE FROM escalations WHERE workspace_id = $1",
    "DELETE FROM conversations WHERE workspace_id = $1",
    "DELETE FROM submissions WHERE workspace_id = $1",
    "DELETE FROM leads WHERE workspace_id = $1",
    "DELETE FROM token_usage WHERE workspace_id = $1",
    "DELETE FROM settings WHERE workspace_id = $1",
];

impl Store {
    /// Stores a workspace's facts, unless newer ones are stored or it was deleted.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.workspace.put", skip_all, fields(workspace = %workspace.id))]
    pub async fn put_workspace(&self, workspace: &Workspace, version: u64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = rows!(
            &mut tx,
            sqlx::query(
                "INSERT INTO workspaces (workspace_id, name, channel, timezone, version, deleted)
                 VALUES ($1, $2, $3, $4, $5, FALSE)
                 ON CONFLICT (workspace_id) DO UPDATE
                 SET name = excluded.name, channel = excluded.channel, timezone = excluded.timezone,
                     version = excluded.version
                 WHERE NOT workspaces.deleted AND workspaces.version < excluded.version"
            )
            .bind(workspace.id.as_uuid())
            .bind(workspace.name.as_str())
            .bind(workspace.channel.word())
            .bind(workspace.timezone.as_str())
            .bind(i64::try_from(version).unwrap_or(i64::MAX))
        )
        .map(drop);
        tx.end(outcome).await
    }

    /// The facts of a workspace; `None` when it is unknown or deleted.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.workspace.find", skip_all, fields(%workspace))]
    pub async fn find_workspace(&self, workspace: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        let row: Option<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT name, channel, timezone FROM workspaces WHERE workspace_id = $1 AND NOT deleted",
            )
            .bind(workspace.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        row.map(|row| from_row(workspace, row)).transpose()
    }

    /// Forgets everything of a workspace but its id, so that late news of it do
    /// not bring it back.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.workspace.delete", skip_all, fields(%workspace))]
    pub async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = delete(&mut tx, workspace).await;
        tx.end(outcome).await
    }
}

async fn delete(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO workspaces (workspace_id, name, channel, timezone, version, deleted)
             VALUES ($1, '', 'whatsapp', 'UTC', 0, TRUE)
             ON CONFLICT (workspace_id) DO UPDATE SET name = '', timezone = 'UTC', deleted = TRUE"
        )
        .bind(workspace.as_uuid())
    )?;
    for statement in TABLES {
        rows!(tx, sqlx::query(statement).bind(workspace.as_uuid()))?;
    }
    Ok(())
}

/// Reads a workspace and keeps other ingests of it waiting, so that one lead is
/// not made twice.
pub(super) async fn hold_workspace(tx: &mut Tx, workspace: WorkspaceId) -> Result<Workspace, StoreError> {
    let statement = by_engine!(
        tx,
        sqlite: "SELECT name, channel, timezone FROM workspaces WHERE workspace_id = $1 AND NOT deleted",
        postgres: "SELECT name, channel, timezone FROM workspaces
                   WHERE workspace_id = $1 AND NOT deleted FOR UPDATE"
    );
    let row: Option<Row> =
        on!(tx, |it| sqlx::query_as(statement).bind(workspace.as_uuid()).fetch_optional(it).await)?;
    from_row(workspace, row.ok_or(StoreError::NoWorkspace)?)
}

fn from_row(id: WorkspaceId, (name, channel, timezone): Row) -> Result<Workspace, StoreError> {
    let channel = word(Channel::of_word(&channel), "workspaces", "channel")?;
    Ok(Workspace { id, name, channel, timezone })
}
