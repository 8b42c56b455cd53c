use coachbot_common::clock::to_micros;
use coachbot_common::db::{execute, read, transaction};
use coachbot_common::id::WorkspaceId;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Arrival, Hash, InboxKind, Store, StoreError};

/// How many unverified rows there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of one workspace.
    pub workspace: i64,
    /// Of all together.
    pub all: i64,
}

/// What became of a request that could not be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quarantined {
    /// It is stored, without effect.
    Kept,
    /// The same was stored before.
    Known,
    /// There is no room, or the workspace is gone.
    Full,
}

/// What is needed to verify a request later. No `Debug`: the payload is a lead's.
#[derive(Clone, PartialEq, Eq)]
pub struct Unverified {
    /// The row.
    pub number: i64,
    /// What it says it is.
    pub kind: InboxKind,
    /// Path and query as they were signed.
    pub target: String,
    /// The MAC.
    pub signature: Vec<u8>,
    /// The body as it was received.
    pub payload: Vec<u8>,
}

type UnverifiedRow = (i64, String, String, Vec<u8>, Vec<u8>);

impl Store {
    /// Stores a request that cannot be verified now, as long as there is room, in
    /// one statement. Requests that come at the same time may pass the bounds by
    /// their number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quarantine(
        &self,
        arrival: &Arrival,
        target: &str,
        signature: &[u8],
        digest: &Hash,
        bounds: Bounds,
    ) -> Result<Quarantined, StoreError> {
        let variant = hex(digest);
        let inserted = execute!(
            self.db,
            sqlx::query(
                "INSERT INTO webhook_inbox (workspace_id, kind, provider_key, variant, verified, target, \
                 signature, intent_id, lane, payload, received_at, traceparent, next_at) \
                 SELECT id, $2, $3, $4, FALSE, $5, $6, $7, $8, $9, $10, $11, $10 FROM workspaces \
                 WHERE id = $1 AND deleting_at IS NULL \
                 AND (SELECT COUNT(*) FROM webhook_inbox WHERE workspace_id = $1 AND NOT verified) < $12 \
                 AND (SELECT COUNT(*) FROM webhook_inbox WHERE NOT verified) < $13 \
                 ON CONFLICT DO NOTHING",
            )
            .bind(arrival.workspace.as_uuid())
            .bind(arrival.kind.slug())
            .bind(arrival.key.as_str())
            .bind(variant.as_str())
            .bind(target)
            .bind(signature)
            .bind(arrival.intent)
            .bind(arrival.lane.as_slice())
            .bind(arrival.payload.as_slice())
            .bind(to_micros(arrival.received_at))
            .bind(arrival.traceparent.as_deref())
            .bind(bounds.workspace)
            .bind(bounds.all)
        )?;
        if inserted > 0 {
            return Ok(Quarantined::Kept);
        }
        let known: Option<i64> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT number FROM webhook_inbox \
                 WHERE workspace_id = $1 AND kind = $2 AND provider_key = $3 AND variant = $4",
            )
            .bind(arrival.workspace.as_uuid())
            .bind(arrival.kind.slug())
            .bind(arrival.key.as_str())
            .bind(variant.as_str())
            .fetch_optional(pool)
            .await
        })?;
        Ok(if known.is_some() { Quarantined::Known } else { Quarantined::Full })
    }

    /// The workspaces that live, of all tenants, with unverified rows that are to be
    /// looked at: the claim of the task that verifies. Verifying twice is safe, so
    /// that nothing is leased.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspaces_in_quarantine(
        &self,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<WorkspaceId>, StoreError> {
        let rows: Vec<(Uuid, i64)> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT i.workspace_id, MIN(i.next_at) FROM webhook_inbox i \
                 JOIN workspaces w ON w.id = i.workspace_id \
                 WHERE NOT i.verified AND i.next_at <= $1 AND w.deleting_at IS NULL \
                 GROUP BY i.workspace_id ORDER BY 2, 1 LIMIT $2",
            )
            .bind(to_micros(now))
            .bind(limit)
            .fetch_all(pool)
            .await
        })?;
        Ok(rows.into_iter().map(|(id, _)| WorkspaceId::from_uuid(id)).collect())
    }

    /// The unverified rows of a workspace, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unverified(
        &self,
        workspace: WorkspaceId,
        limit: i64,
    ) -> Result<Vec<Unverified>, StoreError> {
        let rows: Vec<UnverifiedRow> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT number, kind, target, signature, payload FROM webhook_inbox \
                 WHERE workspace_id = $1 AND NOT verified ORDER BY number LIMIT $2",
            )
            .bind(workspace.as_uuid())
            .bind(limit)
            .fetch_all(pool)
            .await
        })?;
        rows.into_iter()
            .map(|(number, kind, target, signature, payload)| {
                let kind = InboxKind::parse(&kind, workspace.as_uuid())?;
                Ok(Unverified { number, kind, target, signature, payload })
            })
            .collect()
    }

    /// Counts a row as genuine from now on. When the same came meanwhile and was
    /// verified at once, the row goes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_from_quarantine(
        &self,
        workspace: WorkspaceId,
        number: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let released: Result<u64, StoreError> = transaction!(self.db, |tx| {
            let released = sqlx::query(
                "UPDATE webhook_inbox SET verified = TRUE, variant = '', target = NULL, signature = NULL, \
                 next_at = $3 WHERE workspace_id = $1 AND number = $2 AND NOT verified AND NOT EXISTS \
                 (SELECT 1 FROM webhook_inbox v WHERE v.workspace_id = $1 AND v.kind = webhook_inbox.kind \
                 AND v.provider_key = webhook_inbox.provider_key AND v.verified)",
            )
            .bind(workspace.as_uuid())
            .bind(number)
            .bind(to_micros(now))
            .execute(&mut **tx)
            .await?
            .rows_affected();
            if released == 0 {
                sqlx::query(
                    "DELETE FROM webhook_inbox WHERE workspace_id = $1 AND number = $2 AND NOT verified",
                )
                .bind(workspace.as_uuid())
                .bind(number)
                .execute(&mut **tx)
                .await?;
            }
            Ok::<_, StoreError>(released)
        });
        match released {
            Ok(_) => Ok(()),
            // Between the look and the commit another process stored it.
            Err(StoreError::Db(error)) if error.is_unique_violation() => {
                self.discard_unverified(workspace, number).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets a row that is not genuine: says whether this call did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discard_unverified(&self, workspace: WorkspaceId, number: i64) -> Result<bool, StoreError> {
        let gone = execute!(
            self.db,
            sqlx::query("DELETE FROM webhook_inbox WHERE workspace_id = $1 AND number = $2 AND NOT verified")
                .bind(workspace.as_uuid())
                .bind(number)
        )?;
        Ok(gone > 0)
    }

    /// Leaves the unverified rows of a workspace alone until then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone_quarantine(
        &self,
        workspace: WorkspaceId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self.db,
            sqlx::query("UPDATE webhook_inbox SET next_at = $2 WHERE workspace_id = $1 AND NOT verified")
                .bind(workspace.as_uuid())
                .bind(to_micros(until))
        )?;
        Ok(())
    }
}

fn hex(digest: &Hash) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
