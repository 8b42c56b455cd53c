use coachbot_common::clock::to_micros;
use coachbot_common::db::{read, transaction, write};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Hash, Store, StoreError, UserId};

impl Store {
    /// Keeps a sign-in link, and forgets those that ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_sign_in_link(
        &self,
        user: UserId,
        hash: &Hash,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        transaction!(self.db, |tx| {
            sqlx::query("DELETE FROM sign_in_links WHERE expires_at <= $1")
                .bind(to_micros(now))
                .execute(&mut **tx)
                .await?;
            sqlx::query(
                "INSERT INTO sign_in_links (hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
            )
            .bind(hash.as_slice())
            .bind(user.as_uuid())
            .bind(to_micros(now))
            .bind(to_micros(expires_at))
            .execute(&mut **tx)
            .await?;
            Ok::<_, StoreError>(())
        })
    }

    /// Uses a sign-in link, once, for a session: `None` when it is unknown, used or
    /// ended. A look-up without a workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redeem_sign_in_link(
        &self,
        link: &Hash,
        session: &Hash,
        now: Timestamp,
        session_expires_at: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        transaction!(self.db, |tx| {
            let user: Option<Uuid> = sqlx::query_scalar(
                "UPDATE sign_in_links SET used_at = $2 \
                 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING user_id",
            )
            .bind(link.as_slice())
            .bind(to_micros(now))
            .fetch_optional(&mut **tx)
            .await?;
            let Some(user) = user else { return Ok::<_, StoreError>(None) };
            sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
                .bind(to_micros(now))
                .execute(&mut **tx)
                .await?;
            sqlx::query(
                "INSERT INTO sessions (hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
            )
            .bind(session.as_slice())
            .bind(user)
            .bind(to_micros(now))
            .bind(to_micros(session_expires_at))
            .execute(&mut **tx)
            .await?;
            Ok(Some(UserId::from_uuid(user)))
        })
    }

    /// Whose session this is; `None` when it is unknown or ended. A look-up without
    /// a workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session_user(&self, hash: &Hash, now: Timestamp) -> Result<Option<UserId>, StoreError> {
        let user: Option<Uuid> = read!(self.db, |pool| {
            sqlx::query_scalar("SELECT user_id FROM sessions WHERE hash = $1 AND expires_at > $2")
                .bind(hash.as_slice())
                .bind(to_micros(now))
                .fetch_optional(pool)
                .await
        })?;
        Ok(user.map(UserId::from_uuid))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_session(&self, hash: &Hash) -> Result<(), StoreError> {
        write!(self.db, |pool| {
            sqlx::query("DELETE FROM sessions WHERE hash = $1")
                .bind(hash.as_slice())
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }
}
