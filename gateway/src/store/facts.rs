use coachbot_common::db::{execute, read};
use coachbot_common::id::WorkspaceId;
use coachbot_integrations::Channel;
use uuid::Uuid;

use super::workspaces::channel;
use super::{Store, StoreError};

/// What the agent must know of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: String,
    /// How it talks with its leads.
    pub channel: Channel,
    /// A name of the IANA time zone database.
    pub timezone: String,
    /// Grows with each change, from 1.
    pub version: u64,
}

type Row = (Uuid, String, String, String, i64);

fn facts((id, name, slug, timezone, version): Row) -> Result<Facts, StoreError> {
    let unreadable = |_| StoreError::Unreadable { table: "workspaces", column: "facts_version", id };
    Ok(Facts {
        workspace: WorkspaceId::from_uuid(id),
        name,
        channel: channel(&slug, id)?,
        timezone,
        version: u64::try_from(version).map_err(unreadable)?,
    })
}

impl Store {
    /// The facts, of all tenants, that the agent has not taken yet: the claim of
    /// the task that tells it. Telling twice is safe, so that nothing is leased.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn untold_facts(&self, limit: i64) -> Result<Vec<Facts>, StoreError> {
        let rows: Vec<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT id, name, channel, timezone, facts_version FROM workspaces \
                 WHERE facts_delivered < facts_version AND deleting_at IS NULL ORDER BY id LIMIT $1",
            )
            .bind(limit)
            .fetch_all(pool)
            .await
        })?;
        rows.into_iter().map(facts).collect()
    }

    /// The facts of one workspace that lives, told or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn facts_of(&self, id: WorkspaceId) -> Result<Option<Facts>, StoreError> {
        let row: Option<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT id, name, channel, timezone, facts_version FROM workspaces \
                 WHERE id = $1 AND deleting_at IS NULL",
            )
            .bind(id.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        row.map(facts).transpose()
    }

    /// Writes down that the agent took this version: says whether the workspace
    /// still lives.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn facts_were_told(&self, id: WorkspaceId, version: u64) -> Result<bool, StoreError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let told = execute!(
            self.db,
            sqlx::query(
                "UPDATE workspaces SET facts_delivered = \
                 CASE WHEN facts_delivered < $2 THEN $2 ELSE facts_delivered END \
                 WHERE id = $1 AND deleting_at IS NULL",
            )
            .bind(id.as_uuid())
            .bind(version)
        )?;
        Ok(told > 0)
    }

    /// Has the facts told again: the agent does not know the workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell_facts_again(&self, id: WorkspaceId) -> Result<(), StoreError> {
        execute!(
            self.db,
            sqlx::query(
                "UPDATE workspaces SET facts_delivered = 0 WHERE id = $1 AND deleting_at IS NULL AND facts_delivered > 0",
            )
            .bind(id.as_uuid())
        )?;
        Ok(())
    }
}
