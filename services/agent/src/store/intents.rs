//! Intents: claimed, begun, settled.

use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::db::{read, write};
use coachbot_common::id::{Uuid, WorkspaceId};
use jiff::Timestamp;
use sqlx::types::Json;
use tracing::instrument;

use super::conversations::{self, Standing};
use super::messages::set_status;
use super::settle::{settle, settle_alone};
use super::tx::{Tx, on, rows};
use super::{Store, StoreError, runs, word};
use crate::conversation::{ConversationId, MessageStatus, RunId};
use crate::escalation::Reason;
use crate::intent::{Booked, Intent, IntentId, Payload, Purpose, State};
use crate::lead::LeadId;

/// What became of the wish to begin an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is sending: ask the provider, now and once.
    Go(Box<Intent>),
    /// It may not happen any more, and is dropped.
    Dropped,
}

/// What became of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The provider took the message.
    Accepted {
        /// The provider's id.
        provider_id: String,
        /// Where the message is.
        status: MessageStatus,
        /// The provider's code when it failed since, with our words for it.
        failure: Option<(String, String)>,
    },
    /// The provider made the booking.
    Booked(Booked),
    /// It did not happen, and will not.
    Failed {
        /// The provider's code, or a word of ours.
        code: String,
        /// One line for a person.
        message: String,
        /// The escalation that it raises.
        escalation: Option<Reason>,
    },
    /// It did not happen, and is to be tried again then.
    Again {
        /// When.
        due_at: Timestamp,
        /// Since when it fails.
        failing_since: Option<Timestamp>,
    },
    /// It may have happened: look for evidence then.
    Unknown {
        /// When.
        due_at: Timestamp,
        /// When its absence was first seen.
        absent_at: Option<Timestamp>,
        /// The refusal that the evidence is looked for against.
        code: Option<String>,
    },
    /// It did not happen, and is wanted no more.
    Dropped,
}

type Row = (
    Uuid,
    Uuid,
    Uuid,
    Uuid,
    String,
    String,
    Option<Uuid>,
    i64,
    i64,
    Json<Payload>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
);

macro_rules! columns {
    () => {
        "workspace_id, intent_id, conversation_id, lead_id, purpose, state, run_id, fence, attempts, payload,
         sending_at, absent_at, failing_since, code, traceparent"
    };
}

/// What is due and first in its conversation's row. Messages keep their order; a
/// booking is in nobody's way.
macro_rules! due {
    () => {
        "FROM intents i
         WHERE i.state IN ('planned', 'sending', 'unknown') AND i.due_at <= $1
           AND (i.purpose = 'booking' OR NOT EXISTS (
                SELECT 1 FROM intents earlier
                WHERE earlier.workspace_id = i.workspace_id AND earlier.conversation_id = i.conversation_id
                  AND earlier.seq < i.seq AND earlier.state IN ('planned', 'sending', 'unknown')
                  AND earlier.purpose <> 'booking'))"
    };
}

const CLAIM_SQLITE: &str = concat!(
    "UPDATE intents SET fence = fence + 1, due_at = $2 WHERE (workspace_id, intent_id) IN (
         SELECT i.workspace_id, i.intent_id ",
    due!(),
    " ORDER BY i.due_at LIMIT $3) RETURNING ",
    columns!()
);
const CLAIM_POSTGRES: &str = concat!(
    "UPDATE intents SET fence = fence + 1, due_at = $2 WHERE (workspace_id, intent_id) IN (
         SELECT i.workspace_id, i.intent_id ",
    due!(),
    " ORDER BY i.due_at LIMIT $3 FOR UPDATE OF i SKIP LOCKED) RETURNING ",
    columns!()
);

impl Store {
    /// Claims due intents of all workspaces, each for one worker until `lease`.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.intent.claim", skip_all)]
    pub async fn claim_intents(
        &self,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Vec<Intent>, StoreError> {
        let any: Option<i32> = read!(self.db, |pool| {
            sqlx::query_scalar(concat!("SELECT 1 ", due!(), " LIMIT 1"))
                .bind(to_micros(now))
                .fetch_optional(pool)
                .await
        })?;
        if any.is_none() || limit == 0 {
            return Ok(Vec::new());
        }
        let statement = if self.is_shared() { CLAIM_POSTGRES } else { CLAIM_SQLITE };
        let found: Vec<Row> = write!(self.db, |pool| {
            sqlx::query_as(statement)
                .bind(to_micros(now))
                .bind(to_micros(lease))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(pool)
                .await
        })?;
        self.commits.add();
        found.into_iter().map(from_row).collect()
    }

    /// Keeps a claim for longer. Says whether it still is the caller's.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn renew_intent(&self, intent: &Intent, lease: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = rows!(
            &mut tx,
            sqlx::query(
                "UPDATE intents SET due_at = $4
                 WHERE workspace_id = $1 AND intent_id = $2 AND fence = $3
                   AND state IN ('planned', 'sending', 'unknown')"
            )
            .bind(intent.workspace.as_uuid())
            .bind(intent.id.as_uuid())
            .bind(intent.fence)
            .bind(to_micros(lease))
        );
        tx.end(outcome).await.map(|rows| rows == 1)
    }

    /// Moves a claimed, planned intent to `sending`, if it may happen still: a
    /// person may have taken over, the lead may have opted out or written once
    /// more, the window may have closed.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.intent.begin", skip_all, fields(intent = %intent.id))]
    pub async fn begin_intent(
        &self,
        intent: &Intent,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Begun, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = begin(&mut tx, intent, now, lease).await;
        tx.end(outcome).await
    }

    /// Stores what became of a claimed intent, with everything that follows from
    /// it.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.intent.settle", skip_all, fields(intent = %intent.id))]
    pub async fn settle_intent(
        &self,
        intent: &Intent,
        settled: &Settled,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = settle_alone(&mut tx, intent, settled, now).await;
        tx.end(outcome).await
    }

    /// The intent of a tool call, as it stands.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn find_intent_of_call(
        &self,
        workspace: WorkspaceId,
        run: RunId,
        call_id: &str,
    ) -> Result<Option<Intent>, StoreError> {
        let row: Option<Row> = read!(self.db, |pool| {
            sqlx::query_as(concat!(
                "SELECT ",
                columns!(),
                " FROM intents WHERE workspace_id = $1 AND run_id = $2 AND call_id = $3"
            ))
            .bind(workspace.as_uuid())
            .bind(run.as_uuid())
            .bind(call_id)
            .fetch_optional(pool)
            .await
        })?;
        row.map(from_row).transpose()
    }

    /// Which of the provider's ids are other messages of ours to a lead already.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn known_provider_ids(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
    ) -> Result<Vec<String>, StoreError> {
        let ids: Vec<String> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT provider_id FROM intents
                 WHERE workspace_id = $1 AND lead_id = $2 AND provider_id IS NOT NULL
                 ORDER BY created_at DESC LIMIT 500",
            )
            .bind(workspace.as_uuid())
            .bind(lead.as_uuid())
            .fetch_all(pool)
            .await
        })?;
        Ok(ids)
    }
}

pub(super) async fn hold(tx: &mut Tx, intent: &Intent) -> Result<(Standing, State, Option<i64>), StoreError> {
    let standing =
        conversations::lock(tx, intent.workspace, intent.conversation).await?.ok_or(StoreError::Overtaken)?;
    let row: Option<(String, Option<i64>)> = on!(tx, |it| {
        sqlx::query_as(
            "SELECT state, turn FROM intents WHERE workspace_id = $1 AND intent_id = $2 AND fence = $3",
        )
        .bind(intent.workspace.as_uuid())
        .bind(intent.id.as_uuid())
        .bind(intent.fence)
        .fetch_optional(it)
        .await
    })?;
    let (state, turn) = row.ok_or(StoreError::Overtaken)?;
    Ok((standing, word(State::of_word(&state), "intents", "state")?, turn))
}

async fn begin(tx: &mut Tx, intent: &Intent, now: Timestamp, lease: Timestamp) -> Result<Begun, StoreError> {
    let (standing, state, turn) = hold(tx, intent).await?;
    if state != State::Planned {
        return Err(StoreError::Overtaken);
    }
    if !may_happen(&standing, intent, turn, now) {
        settle(tx, &standing, intent, &Settled::Dropped, now).await?;
        runs::wake(tx, &standing, now).await?;
        return Ok(Begun::Dropped);
    }
    rows!(
        tx,
        sqlx::query(
            "UPDATE intents
             SET state = 'sending', attempts = attempts + 1, sending_at = COALESCE(sending_at, $3), due_at = $4,
                 absent_at = NULL
             WHERE workspace_id = $1 AND intent_id = $2"
        )
        .bind(intent.workspace.as_uuid())
        .bind(intent.id.as_uuid())
        .bind(to_micros(now))
        .bind(to_micros(lease))
    )?;
    if intent.purpose != Purpose::Booking {
        set_status(tx, &standing, intent.id.as_uuid(), MessageStatus::Sending).await?;
    }
    let mut begun = intent.clone();
    begun.state = State::Sending;
    begun.attempts += 1;
    begun.sending_at = begun.sending_at.or(Some(now));
    begun.absent_at = None;
    Ok(Begun::Go(Box::new(begun)))
}

/// The condition under which an effect may still happen.
fn may_happen(standing: &Standing, intent: &Intent, turn: Option<i64>, now: Timestamp) -> bool {
    match intent.purpose {
        Purpose::Reply => {
            standing.is_the_bots()
                && standing.window_is_open(now)
                && turn.is_none_or(|turn| turn == standing.turn)
        }
        // The one message without a window.
        Purpose::FirstTouch => standing.is_the_bots(),
        // Whoever opted out is told so.
        Purpose::Stop => standing.window_is_open(now),
        Purpose::Start | Purpose::Handoff => !standing.opted_out && standing.window_is_open(now),
        Purpose::Booking => {
            let to_come = matches!(&intent.payload, Payload::Booking { start, .. } if *start > now);
            standing.is_the_bots() && to_come
        }
    }
}

pub(super) fn from_row(row: Row) -> Result<Intent, StoreError> {
    let (
        workspace,
        id,
        conversation,
        lead,
        purpose,
        state,
        run,
        fence,
        attempts,
        payload,
        sending_at,
        absent_at,
        failing_since,
        code,
        traceparent,
    ) = row;
    Ok(Intent {
        workspace: WorkspaceId::from_uuid(workspace),
        id: IntentId::from_uuid(id),
        conversation: ConversationId::from_uuid(conversation),
        lead: LeadId::from_uuid(lead),
        purpose: word(Purpose::of_word(&purpose), "intents", "purpose")?,
        state: word(State::of_word(&state), "intents", "state")?,
        run: run.map(RunId::from_uuid),
        fence,
        attempts,
        payload: payload.0,
        sending_at: sending_at.map(from_micros),
        absent_at: absent_at.map(from_micros),
        failing_since: failing_since.map(from_micros),
        code,
        traceparent,
    })
}
