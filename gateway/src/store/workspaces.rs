use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::db::{read, transaction, write};
use coachbot_common::id::WorkspaceId;
use coachbot_integrations::Channel;
use jiff::Timestamp;
use uuid::Uuid;

use super::{FormId, Position, Store, StoreError, UserId, bounds};

/// The facts of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// 1 to 80 characters.
    pub name: String,
    /// How it talks with its leads. Never changes.
    pub channel: Channel,
    /// A name of the IANA time zone database, for the dashboard.
    pub timezone: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a change sets; `None` keeps what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceChange<'a> {
    /// The name.
    pub name: Option<&'a str>,
    /// The time zone.
    pub timezone: Option<&'a str>,
}

type Row = (Uuid, String, String, String, i64);

pub(super) fn channel(slug: &str, id: Uuid) -> Result<Channel, StoreError> {
    Channel::parse(slug).ok_or(StoreError::Unreadable { table: "workspaces", column: "channel", id })
}

fn workspace((id, name, slug, timezone, created_at): Row) -> Result<Workspace, StoreError> {
    Ok(Workspace {
        id: WorkspaceId::from_uuid(id),
        name,
        channel: channel(&slug, id)?,
        timezone,
        created_at: from_micros(created_at),
    })
}

impl Store {
    /// Keeps a new workspace with its form, and makes this user its owner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_workspace(
        &self,
        owner: UserId,
        workspace: &Workspace,
        form: FormId,
    ) -> Result<(), StoreError> {
        transaction!(self.db, |tx| {
            sqlx::query(
                "INSERT INTO workspaces (id, name, channel, timezone, created_at) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(workspace.id.as_uuid())
            .bind(workspace.name.as_str())
            .bind(workspace.channel.slug())
            .bind(workspace.timezone.as_str())
            .bind(to_micros(workspace.created_at))
            .execute(&mut **tx)
            .await?;
            sqlx::query(
                "INSERT INTO memberships (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'owner', $3)",
            )
            .bind(workspace.id.as_uuid())
            .bind(owner.as_uuid())
            .bind(to_micros(workspace.created_at))
            .execute(&mut **tx)
            .await?;
            sqlx::query("INSERT INTO forms (workspace_id, position, id, created_at) VALUES ($1, 1, $2, $3)")
                .bind(workspace.id.as_uuid())
                .bind(form.as_uuid())
                .bind(to_micros(workspace.created_at))
                .execute(&mut **tx)
                .await?;
            Ok::<_, StoreError>(())
        })
    }

    /// A workspace of this user that lives.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace(&self, user: UserId, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        let row: Option<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT w.id, w.name, w.channel, w.timezone, w.created_at FROM workspaces w \
                 JOIN memberships m ON m.workspace_id = w.id \
                 WHERE w.id = $1 AND m.user_id = $2 AND w.deleting_at IS NULL",
            )
            .bind(id.as_uuid())
            .bind(user.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        row.map(workspace).transpose()
    }

    /// This user's workspaces that live, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspaces(
        &self,
        user: UserId,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<Workspace>, StoreError> {
        let (created_at, id) = bounds(after);
        let rows: Vec<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT w.id, w.name, w.channel, w.timezone, w.created_at FROM memberships m \
                 JOIN workspaces w ON w.id = m.workspace_id \
                 WHERE m.user_id = $1 AND w.deleting_at IS NULL AND (w.created_at, w.id) < ($2, $3) \
                 ORDER BY w.created_at DESC, w.id DESC LIMIT $4",
            )
            .bind(user.as_uuid())
            .bind(created_at)
            .bind(id)
            .bind(limit)
            .fetch_all(pool)
            .await
        })?;
        rows.into_iter().map(workspace).collect()
    }

    /// Changes a workspace of this user: what it is then, or `None` when there is
    /// no such workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_workspace(
        &self,
        user: UserId,
        id: WorkspaceId,
        change: WorkspaceChange<'_>,
    ) -> Result<Option<Workspace>, StoreError> {
        let row: Option<Row> = write!(self.db, |pool| {
            sqlx::query_as(
                "UPDATE workspaces SET name = COALESCE($3, name), timezone = COALESCE($4, timezone), \
                 facts_version = facts_version + 1 \
                 WHERE id = $1 AND deleting_at IS NULL AND EXISTS \
                 (SELECT 1 FROM memberships WHERE workspace_id = $1 AND user_id = $2) \
                 RETURNING id, name, channel, timezone, created_at",
            )
            .bind(id.as_uuid())
            .bind(user.as_uuid())
            .bind(change.name)
            .bind(change.timezone)
            .fetch_optional(pool)
            .await
        })?;
        row.map(workspace).transpose()
    }

    /// The channel of a workspace that lives, whoever asks: what a webhook's path
    /// names. A look-up without a user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_of(&self, id: WorkspaceId) -> Result<Option<Channel>, StoreError> {
        let slug: Option<String> = read!(self.db, |pool| {
            sqlx::query_scalar("SELECT channel FROM workspaces WHERE id = $1 AND deleting_at IS NULL")
                .bind(id.as_uuid())
                .fetch_optional(pool)
                .await
        })?;
        slug.map(|slug| channel(&slug, id.as_uuid())).transpose()
    }

    /// Hides a workspace of this user from now on and marks it to be deleted: says
    /// whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_for_deletion(
        &self,
        user: UserId,
        id: WorkspaceId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let marked = write!(self.db, |pool| {
            sqlx::query(
                "UPDATE workspaces SET deleting_at = $3 WHERE id = $1 AND deleting_at IS NULL AND EXISTS \
                 (SELECT 1 FROM memberships WHERE workspace_id = $1 AND user_id = $2)",
            )
            .bind(id.as_uuid())
            .bind(user.as_uuid())
            .bind(to_micros(now))
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })?;
        Ok(marked > 0)
    }

    /// The workspaces of all tenants that are to be deleted, oldest mark first: the
    /// claim of the one task that does it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn marked_for_deletion(&self, limit: i64) -> Result<Vec<WorkspaceId>, StoreError> {
        let rows: Vec<Uuid> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT id FROM workspaces WHERE deleting_at IS NOT NULL ORDER BY deleting_at, id LIMIT $1",
            )
            .bind(limit)
            .fetch_all(pool)
            .await
        })?;
        Ok(rows.into_iter().map(WorkspaceId::from_uuid).collect())
    }

    /// Forgets a workspace that is marked, its memberships with it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_workspace(&self, id: WorkspaceId) -> Result<(), StoreError> {
        write!(self.db, |pool| {
            sqlx::query("DELETE FROM workspaces WHERE id = $1 AND deleting_at IS NOT NULL")
                .bind(id.as_uuid())
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }
}
