use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::db::{dialect, execute, read, transaction, write};
use coachbot_common::id::WorkspaceId;
use coachbot_common::id_type;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Hash, Store, StoreError};

id_type! {
    /// One turn of handing rows on: whoever holds it may settle them.
    pub struct Lease
}

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxKind {
    /// A lead's WhatsApp message.
    TwilioMessage,
    /// A delivery state of a message that was sent.
    TwilioStatus,
    /// A lead from a form.
    FormSubmission,
}

impl InboxKind {
    /// The name in the column.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::TwilioMessage => "twilio_message",
            Self::TwilioStatus => "twilio_status",
            Self::FormSubmission => "form_submission",
        }
    }

    pub(super) fn parse(slug: &str, workspace: Uuid) -> Result<Self, StoreError> {
        [Self::TwilioMessage, Self::TwilioStatus, Self::FormSubmission]
            .into_iter()
            .find(|kind| kind.slug() == slug)
            .ok_or(StoreError::Unreadable { table: "webhook_inbox", column: "kind", id: workspace })
    }
}

/// Something that came in, to be stored. No `Debug`: the payload is a lead's.
#[derive(Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Whom it came for.
    pub workspace: WorkspaceId,
    /// What it is.
    pub kind: InboxKind,
    /// The sender's key of it: with workspace and kind it is taken once.
    pub key: String,
    /// Of a status: the intent in the path.
    pub intent: Option<Uuid>,
    /// Whom it is about: rows of one lane keep their order.
    pub lane: Hash,
    /// The body as it was received.
    pub payload: Vec<u8>,
    /// When it came.
    pub received_at: Timestamp,
    /// The trace that it began in.
    pub traceparent: Option<String>,
}

/// A row that waits to be handed on. No `Debug`: the payload is a lead's.
#[derive(Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The order of arrival, over all tenants.
    pub number: i64,
    /// Whom it came for.
    pub workspace: WorkspaceId,
    /// What it is.
    pub kind: InboxKind,
    /// The sender's key of it.
    pub key: String,
    /// Of a status: the intent in the path.
    pub intent: Option<Uuid>,
    /// The body as it was received.
    pub payload: Vec<u8>,
    /// When it came.
    pub received_at: Timestamp,
    /// The trace that it began in.
    pub traceparent: Option<String>,
    /// How often it was tried, this time included.
    pub attempts: u32,
}

/// Why a claimed row was not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Nobody was there to take it: as if it had not been tried.
    Untried,
    /// It is to be tried again, from then on.
    Later(Timestamp),
    /// It will never be taken.
    Refused,
}

type Row = (i64, Uuid, String, String, Option<Uuid>, Vec<u8>, i64, Option<String>, i64);

fn waiting(row: Row) -> Result<Waiting, StoreError> {
    let (number, workspace, kind, key, intent, payload, received_at, traceparent, attempts) = row;
    Ok(Waiting {
        number,
        workspace: WorkspaceId::from_uuid(workspace),
        kind: InboxKind::parse(&kind, workspace)?,
        key,
        intent,
        payload,
        received_at: from_micros(received_at),
        traceparent,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}

impl Store {
    /// Stores what came in and is genuine, in one statement: says whether it is
    /// new. A workspace that does not live gets nothing.
    ///
    /// With a lease, whoever stored it hands it on before anybody else does,
    /// until then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_arrival(
        &self,
        arrival: &Arrival,
        lease: Option<(Lease, Timestamp)>,
    ) -> Result<bool, StoreError> {
        let next_at = lease.map_or(arrival.received_at, |(_, until)| until);
        let inserted = execute!(
            self.db,
            sqlx::query(
                "INSERT INTO webhook_inbox (workspace_id, kind, provider_key, variant, verified, intent_id, \
                 lane, payload, received_at, traceparent, lease, next_at) \
                 SELECT id, $2, $3, '', TRUE, $4, $5, $6, $7, $8, $9, $10 FROM workspaces \
                 WHERE id = $1 AND deleting_at IS NULL ON CONFLICT DO NOTHING",
            )
            .bind(arrival.workspace.as_uuid())
            .bind(arrival.kind.slug())
            .bind(arrival.key.as_str())
            .bind(arrival.intent)
            .bind(arrival.lane.as_slice())
            .bind(arrival.payload.as_slice())
            .bind(to_micros(arrival.received_at))
            .bind(arrival.traceparent.as_deref())
            .bind(lease.map(|(lease, _)| lease.as_uuid()))
            .bind(to_micros(next_at))
        )?;
        Ok(inserted > 0)
    }

    /// Takes rows of all tenants that are due, oldest first, for whoever holds the
    /// lease: until then nobody else gets them. Of each lane only the first row
    /// that waits, so that a lead's messages keep their order; one that is not
    /// verified yet holds up those behind it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_inbox(
        &self,
        lease: Lease,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Waiting>, StoreError> {
        let statement = dialect!(
            self.db,
            sqlite: "UPDATE webhook_inbox SET lease = $1, next_at = $2, attempts = attempts + 1 WHERE number IN \
                 (SELECT i.number FROM webhook_inbox i JOIN workspaces w ON w.id = i.workspace_id \
                 WHERE i.handed_on_at IS NULL AND i.next_at <= $3 AND i.verified AND w.deleting_at IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM webhook_inbox e WHERE e.workspace_id = i.workspace_id \
                 AND e.lane = i.lane AND e.number < i.number AND e.handed_on_at IS NULL) \
                 ORDER BY i.next_at, i.number LIMIT $4) \
                 RETURNING number, workspace_id, kind, provider_key, intent_id, payload, received_at, \
                 traceparent, attempts",
            postgres: "UPDATE webhook_inbox SET lease = $1, next_at = $2, attempts = attempts + 1 WHERE number IN \
                 (SELECT i.number FROM webhook_inbox i JOIN workspaces w ON w.id = i.workspace_id \
                 WHERE i.handed_on_at IS NULL AND i.next_at <= $3 AND i.verified AND w.deleting_at IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM webhook_inbox e WHERE e.workspace_id = i.workspace_id \
                 AND e.lane = i.lane AND e.number < i.number AND e.handed_on_at IS NULL) \
                 ORDER BY i.next_at, i.number LIMIT $4 FOR UPDATE OF i SKIP LOCKED) \
                 RETURNING number, workspace_id, kind, provider_key, intent_id, payload, received_at, \
                 traceparent, attempts"
        );
        let rows: Vec<Row> = write!(self.db, |pool| {
            sqlx::query_as(statement)
                .bind(lease.as_uuid())
                .bind(to_micros(until))
                .bind(to_micros(now))
                .bind(limit)
                .fetch_all(pool)
                .await
        })?;
        let mut claimed: Vec<Waiting> = rows.into_iter().map(waiting).collect::<Result<_, _>>()?;
        claimed.sort_by_key(|row| row.number);
        Ok(claimed)
    }

    /// Whether a row is due: a look before the claim, which writes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inbox_is_due(&self, now: Timestamp) -> Result<bool, StoreError> {
        let number: Option<i64> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT number FROM webhook_inbox \
                 WHERE handed_on_at IS NULL AND next_at <= $1 AND verified LIMIT 1",
            )
            .bind(to_micros(now))
            .fetch_optional(pool)
            .await
        })?;
        Ok(number.is_some())
    }

    /// Ends a lease in one commit: the rows with a setback are put back, all its
    /// others were handed on, and nothing of what they held is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle_inbox(
        &self,
        lease: Lease,
        setbacks: &[(i64, Setback)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const NOBODY: Hash = [0; 32];
        transaction!(self.db, |tx| {
            for (number, setback) in setbacks {
                let update = match setback {
                    Setback::Untried => sqlx::query(
                        "UPDATE webhook_inbox SET lease = NULL, next_at = $3, attempts = attempts - 1 \
                         WHERE number = $1 AND lease = $2",
                    )
                    .bind(number)
                    .bind(lease.as_uuid())
                    .bind(to_micros(now)),
                    Setback::Later(at) => sqlx::query(
                        "UPDATE webhook_inbox SET lease = NULL, next_at = $3 WHERE number = $1 AND lease = $2",
                    )
                    .bind(number)
                    .bind(lease.as_uuid())
                    .bind(to_micros(*at)),
                    Setback::Refused => sqlx::query(
                        "UPDATE webhook_inbox SET lease = NULL, handed_on_at = $3, refused = TRUE \
                         WHERE number = $1 AND lease = $2",
                    )
                    .bind(number)
                    .bind(lease.as_uuid())
                    .bind(to_micros(now)),
                };
                update.execute(&mut **tx).await?;
            }
            sqlx::query(
                "UPDATE webhook_inbox SET lease = NULL, handed_on_at = $2, payload = $3, lane = $4 WHERE lease = $1",
            )
            .bind(lease.as_uuid())
            .bind(to_micros(now))
            .bind(&[][..] as &[u8])
            .bind(NOBODY.as_slice())
            .execute(&mut **tx)
            .await?;
            Ok::<_, StoreError>(())
        })
    }

    /// Ends a lease whose rows will never be taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refuse_inbox(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        execute!(
            self.db,
            sqlx::query(
                "UPDATE webhook_inbox SET lease = NULL, handed_on_at = $2, refused = TRUE WHERE lease = $1",
            )
            .bind(lease.as_uuid())
            .bind(to_micros(now))
        )?;
        Ok(())
    }

    /// Gives back what a lease took and did not settle.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_inbox(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        execute!(
            self.db,
            sqlx::query("UPDATE webhook_inbox SET lease = NULL, next_at = $2 WHERE lease = $1")
                .bind(lease.as_uuid())
                .bind(to_micros(now))
        )?;
        Ok(())
    }

    /// Gives back what any lease took: for a process that is alone on its database
    /// and just started.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_all_of_inbox(&self, now: Timestamp) -> Result<(), StoreError> {
        execute!(
            self.db,
            sqlx::query(
                "UPDATE webhook_inbox SET lease = NULL, next_at = $1 WHERE lease IS NOT NULL AND handed_on_at IS NULL",
            )
            .bind(to_micros(now))
        )?;
        Ok(())
    }

    /// Forgets rows that were handed on before `before`, of all tenants: how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_handed_on(&self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        Ok(execute!(
            self.db,
            sqlx::query(
                "DELETE FROM webhook_inbox WHERE number IN \
                 (SELECT number FROM webhook_inbox WHERE handed_on_at < $1 LIMIT $2)",
            )
            .bind(to_micros(before))
            .bind(limit)
        )?)
    }
}
