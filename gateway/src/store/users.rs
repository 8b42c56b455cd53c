use coachbot_common::clock::to_micros;
use coachbot_common::db::transaction;
use coachbot_common::id_type;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{ApiKey, Hash, Store, StoreError};

id_type! {
    /// A person, or a program that acts as one.
    pub struct UserId
}

/// An owner that an empty database begins with.
#[derive(Clone, Debug)]
pub struct NewOwner {
    /// Who.
    pub user: UserId,
    /// The key that the configuration gives this owner, with its hash.
    pub key: Option<(ApiKey, Hash)>,
}

impl Store {
    /// Makes the first owners, unless the database has some: says whether it did.
    /// Of several processes that try at once, one does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, owners: &[NewOwner], now: Timestamp) -> Result<bool, StoreError> {
        transaction!(self.db, |tx| {
            let claimed = sqlx::query(
                "INSERT INTO installation (id, claimed_at) VALUES (1, $1) ON CONFLICT DO NOTHING",
            )
            .bind(to_micros(now))
            .execute(&mut **tx)
            .await?
            .rows_affected();
            if claimed == 0 {
                return Ok::<_, StoreError>(false);
            }
            // A microsecond apart, so that the first of the list stays the first owner.
            let mut at = now;
            for owner in owners {
                sqlx::query("INSERT INTO users (id, created_at) VALUES ($1, $2)")
                    .bind(owner.user.as_uuid())
                    .bind(to_micros(at))
                    .execute(&mut **tx)
                    .await?;
                if let Some((key, hash)) = &owner.key {
                    sqlx::query(
                        "INSERT INTO api_keys (id, user_id, hash, name, hint, created_at) \
                         VALUES ($1, $2, $3, $4, $5, $6)",
                    )
                    .bind(key.id.as_uuid())
                    .bind(owner.user.as_uuid())
                    .bind(hash.as_slice())
                    .bind(key.name.as_str())
                    .bind(key.hint.as_str())
                    .bind(to_micros(key.created_at))
                    .execute(&mut **tx)
                    .await?;
                }
                at = at.saturating_add(SignedDuration::from_micros(1)).unwrap_or(at);
            }
            Ok(true)
        })
    }

    /// The owner whom sign-in links belong to; `None` on an empty database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_owner(&self) -> Result<Option<UserId>, StoreError> {
        // Over the writer, for it is asked right after a claim.
        let id: Option<Uuid> = coachbot_common::db::write!(self.db, |pool| {
            sqlx::query_scalar("SELECT id FROM users ORDER BY created_at, id LIMIT 1")
                .fetch_optional(pool)
                .await
        })?;
        Ok(id.map(UserId::from_uuid))
    }
}
