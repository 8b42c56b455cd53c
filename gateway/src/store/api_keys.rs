use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::db::{read, write};
use coachbot_common::id_type;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Hash, Position, Store, StoreError, UserId, bounds};

id_type! {
    /// An API key. The key itself is stored as a hash only.
    pub struct ApiKeyId
}

/// What may be shown of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for, in its owner's words.
    pub name: String,
    /// Its beginning and end, such as `cbk_…abcd`.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Whom a key that was sent belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The key.
    pub id: ApiKeyId,
    /// Whom it acts as.
    pub user: UserId,
    /// When it was last used, as far as it is written down.
    pub last_used_at: Option<Timestamp>,
}

type Row = (Uuid, String, String, i64, Option<i64>);

fn key((id, name, hint, created_at, last_used_at): Row) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_uuid(id),
        name,
        hint,
        created_at: from_micros(created_at),
        last_used_at: last_used_at.map(from_micros),
    }
}

impl Store {
    /// Keeps a new key of this user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_api_key(&self, user: UserId, key: &ApiKey, hash: &Hash) -> Result<(), StoreError> {
        write!(self.db, |pool| {
            sqlx::query(
                "INSERT INTO api_keys (id, user_id, hash, name, hint, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(key.id.as_uuid())
            .bind(user.as_uuid())
            .bind(hash.as_slice())
            .bind(key.name.as_str())
            .bind(key.hint.as_str())
            .bind(to_micros(key.created_at))
            .execute(pool)
            .await
            .map(drop)
        })?;
        Ok(())
    }

    /// Finds a key by its hash: a look-up without a workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key_by_hash(&self, hash: &Hash) -> Result<Option<KnownKey>, StoreError> {
        let row: Option<(Uuid, Uuid, Option<i64>)> = read!(self.db, |pool| {
            sqlx::query_as("SELECT id, user_id, last_used_at FROM api_keys WHERE hash = $1")
                .bind(hash.as_slice())
                .fetch_optional(pool)
                .await
        })?;
        Ok(row.map(|(id, user, last_used_at)| KnownKey {
            id: ApiKeyId::from_uuid(id),
            user: UserId::from_uuid(user),
            last_used_at: last_used_at.map(from_micros),
        }))
    }

    /// Writes down that a key was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
        write!(self.db, |pool| {
            sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1")
                .bind(id.as_uuid())
                .bind(to_micros(now))
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// This user's keys, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_keys(
        &self,
        user: UserId,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let (created_at, id) = bounds(after);
        let rows: Vec<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT id, name, hint, created_at, last_used_at FROM api_keys \
                 WHERE user_id = $1 AND (created_at, id) < ($2, $3) \
                 ORDER BY created_at DESC, id DESC LIMIT $4",
            )
            .bind(user.as_uuid())
            .bind(created_at)
            .bind(id)
            .bind(limit)
            .fetch_all(pool)
            .await
        })?;
        Ok(rows.into_iter().map(key).collect())
    }

    /// Forgets a key of this user: says whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_api_key(&self, user: UserId, id: ApiKeyId) -> Result<bool, StoreError> {
        let deleted = write!(self.db, |pool| {
            sqlx::query("DELETE FROM api_keys WHERE id = $1 AND user_id = $2")
                .bind(id.as_uuid())
                .bind(user.as_uuid())
                .execute(pool)
                .await
                .map(|done| done.rows_affected())
        })?;
        Ok(deleted > 0)
    }
}
