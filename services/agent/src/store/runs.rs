//! Runs: scheduled, claimed, loaded, put off.

use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::db::{read, write};
use coachbot_common::id::{Uuid, WorkspaceId, new_id};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::types::Json;
use tracing::instrument;

use super::conversations::{self, STANDING, Standing};
use super::inbox::{LeadColumns, MessageColumns, lead_from_row, message_from_row};
use super::messages::drop_planned_replies;
use super::steps::Step;
use super::tx::{Tx, on, rows};
use super::workspaces::Workspace;
use super::{Store, StoreError};
use crate::conversation::{ConversationId, Message, RunId};
use crate::lead::Lead;
use crate::settings::Settings;

/// As much of a conversation is read for the model: the lead's last messages with
/// everything that came after them.
const TURNS: i64 = 40;

/// A claimed run: the fence is the claim's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: RunId,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// How many replies a newer message dropped.
    pub reloads: i64,
    /// The claim's number.
    pub fence: i64,
    /// Model calls that failed since the last one that did not.
    pub failures: i64,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// Everything that a run answers from.
#[derive(Clone)]
pub struct RunContext {
    /// The workspace's facts.
    pub facts: Workspace,
    /// How its bot behaves.
    pub settings: Settings,
    /// Where the conversation stands.
    pub standing: Standing,
    /// With whom it is.
    pub lead: Lead,
    /// What the form asked besides.
    pub details: Value,
    /// What was said, in order.
    pub messages: Vec<Message>,
    /// What runs did, in order.
    pub steps: Vec<Step>,
    /// Whether replies of an earlier run wait to be sent.
    pub has_planned_replies: bool,
    /// Whether a message is on its way, or its answer was lost.
    pub has_sending: bool,
    /// Whether the lead has an accepted booking.
    pub is_booked: bool,
}

type Row = (Uuid, Uuid, Uuid, i64, i64, i64, Option<i64>, Option<String>);

macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "UPDATE runs SET state = 'working', fence = fence + 1, due_at = $2
             WHERE (workspace_id, run_id) IN (
                 SELECT workspace_id, run_id FROM runs
                 WHERE state IN ('pending', 'working') AND due_at <= $1
                 ORDER BY due_at LIMIT $3",
            $lock,
            ") RETURNING workspace_id, run_id, conversation_id, reloads, fence, failures, failing_since, traceparent"
        )
    };
}

impl Store {
    /// Claims due runs of all workspaces, each for one worker until `lease`.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.run.claim", skip_all)]
    pub async fn claim_runs(
        &self,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        let any: Option<i32> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT 1 FROM runs WHERE state IN ('pending', 'working') AND due_at <= $1 LIMIT 1",
            )
            .bind(to_micros(now))
            .fetch_optional(pool)
            .await
        })?;
        if any.is_none() || limit == 0 {
            return Ok(Vec::new());
        }
        let statement = if self.is_shared() { claim!(" FOR UPDATE SKIP LOCKED") } else { claim!("") };
        let found: Vec<Row> = write!(self.db, |pool| {
            sqlx::query_as(statement)
                .bind(to_micros(now))
                .bind(to_micros(lease))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(pool)
                .await
        })?;
        self.commits.add();
        Ok(found.into_iter().map(from_row).collect())
    }

    /// When the next run or intent is due, of any workspace.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT MIN(due_at) FROM (
                     SELECT MIN(due_at) AS due_at FROM runs WHERE state IN ('pending', 'working')
                     UNION ALL
                     SELECT MIN(i.due_at) FROM intents i
                     WHERE i.state IN ('planned', 'sending', 'unknown')
                       AND (i.purpose = 'booking' OR NOT EXISTS (
                            SELECT 1 FROM intents earlier
                            WHERE earlier.workspace_id = i.workspace_id
                              AND earlier.conversation_id = i.conversation_id AND earlier.seq < i.seq
                              AND earlier.state IN ('planned', 'sending', 'unknown')
                              AND earlier.purpose <> 'booking'))) AS due",
            )
            .fetch_one(pool)
            .await
        })?;
        Ok(next.map(from_micros))
    }

    /// Ends all leases. Only where no other process writes to the same tables:
    /// whoever held them is gone.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn end_leases(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = end_leases(&mut tx, now).await;
        tx.end(outcome).await
    }

    /// Keeps a claim for longer. Says whether it still is the caller's.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn renew_run(&self, run: &Run, lease: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = rows!(
            &mut tx,
            sqlx::query(
                "UPDATE runs SET due_at = $4
                 WHERE workspace_id = $1 AND run_id = $2 AND fence = $3 AND state = 'working'"
            )
            .bind(run.workspace.as_uuid())
            .bind(run.id.as_uuid())
            .bind(run.fence)
            .bind(to_micros(lease))
        );
        tx.end(outcome).await.map(|rows| rows == 1)
    }

    /// Reads what a run answers from; `None` when the lead or the workspace is
    /// gone.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.run.load", skip_all, fields(run = %run.id))]
    pub async fn load_run(&self, run: &Run) -> Result<Option<RunContext>, StoreError> {
        let (workspace, conversation) = (run.workspace, run.conversation);
        let Some(facts) = self.find_workspace(workspace).await? else { return Ok(None) };
        let row = read!(self.db, |pool| {
            sqlx::query_as(STANDING)
                .bind(workspace.as_uuid())
                .bind(conversation.as_uuid())
                .fetch_optional(pool)
                .await
        })?;
        let Some(row) = row else { return Ok(None) };
        let standing = conversations::from_row(workspace, conversation, row)?;
        let settings = self.find_settings(workspace).await?;
        let Some((lead, details)) = self.lead_with_details(&standing).await? else { return Ok(None) };
        let since = standing.turn - TURNS;
        let messages: Vec<MessageColumns> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT message_id, outbound, author, text, status, error_code, error_message, created_at, turn, seq,
                        run_id
                 FROM messages
                 WHERE workspace_id = $1 AND conversation_id = $2 AND turn BETWEEN $3 AND $4 ORDER BY seq",
            )
            .bind(workspace.as_uuid())
            .bind(conversation.as_uuid())
            .bind(since)
            // What comes meanwhile belongs to the next look.
            .bind(standing.turn)
            .fetch_all(pool)
            .await
        })?;
        let steps = self.steps_since(workspace, conversation, since).await?;
        let (planned, sending) = self.unsettled_messages(&standing).await?;
        let is_booked = self.has_accepted_booking(&standing).await?;
        Ok(Some(RunContext {
            facts,
            settings,
            lead,
            details,
            messages: messages.into_iter().map(message_from_row).collect::<Result<_, _>>()?,
            steps,
            has_planned_replies: planned > 0,
            has_sending: sending > 0,
            is_booked,
            standing,
        }))
    }

    async fn lead_with_details(&self, standing: &Standing) -> Result<Option<(Lead, Value)>, StoreError> {
        let row: Option<LeadColumns> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT lead_id, name, phone, email, stage, source, created_at
                 FROM leads WHERE workspace_id = $1 AND lead_id = $2",
            )
            .bind(standing.workspace.as_uuid())
            .bind(standing.lead.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        let details: Option<Json<Value>> = read!(self.db, |pool| {
            sqlx::query_scalar("SELECT details FROM leads WHERE workspace_id = $1 AND lead_id = $2")
                .bind(standing.workspace.as_uuid())
                .bind(standing.lead.as_uuid())
                .fetch_optional(pool)
                .await
        })?;
        let lead = row.map(lead_from_row).transpose()?;
        Ok(lead.zip(details.map(|details| details.0)))
    }

    async fn unsettled_messages(&self, standing: &Standing) -> Result<(i64, i64), StoreError> {
        let counts: (i64, i64) = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT COUNT(CASE WHEN state = 'planned' AND purpose = 'reply' THEN 1 END),
                        COUNT(CASE WHEN state IN ('sending', 'unknown') THEN 1 END)
                 FROM intents
                 WHERE workspace_id = $1 AND conversation_id = $2 AND purpose <> 'booking'
                   AND state IN ('planned', 'sending', 'unknown')",
            )
            .bind(standing.workspace.as_uuid())
            .bind(standing.conversation.as_uuid())
            .fetch_one(pool)
            .await
        })?;
        Ok(counts)
    }

    async fn has_accepted_booking(&self, standing: &Standing) -> Result<bool, StoreError> {
        let found: Option<i32> = read!(self.db, |pool| {
            sqlx::query_scalar(
                "SELECT 1 FROM bookings WHERE workspace_id = $1 AND lead_id = $2 AND state = 'accepted' LIMIT 1",
            )
            .bind(standing.workspace.as_uuid())
            .bind(standing.lead.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        Ok(found.is_some())
    }

    /// Drops the replies of an earlier run that wait to be sent: this run answers
    /// in their place.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    pub async fn drop_replies(&self, run: &Run, lease: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = async {
            let standing = hold(&mut tx, run, lease).await?;
            drop_planned_replies(&mut tx, &standing).await
        }
        .await;
        tx.end(outcome).await
    }

    /// Puts a run aside until an effect of its conversation is settled. Says
    /// whether there is one to wait for.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.run.park", skip_all, fields(run = %run.id))]
    pub async fn park_run(&self, run: &Run, lease: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = async {
            let standing = hold(&mut tx, run, lease).await?;
            let waits = has_unsettled(&mut tx, &standing).await?;
            if waits {
                set_state(&mut tx, run, "parked").await?;
            }
            Ok(waits)
        }
        .await;
        tx.end(outcome).await
    }

    /// Puts a run off until then, for something that it needs is away.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.run.postpone", skip_all, fields(run = %run.id))]
    pub async fn postpone_run(
        &self,
        run: &Run,
        due_at: Timestamp,
        failing_since: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = rows!(
            &mut tx,
            sqlx::query(
                "UPDATE runs SET due_at = $4, failures = $6, failing_since = $5
                 WHERE workspace_id = $1 AND run_id = $2 AND fence = $3 AND state = 'working'"
            )
            .bind(run.workspace.as_uuid())
            .bind(run.id.as_uuid())
            .bind(run.fence)
            .bind(to_micros(due_at))
            .bind(to_micros(failing_since))
            .bind(run.failures + 1)
        )
        .and_then(|rows| if rows == 1 { Ok(()) } else { Err(StoreError::Overtaken) });
        tx.end(outcome).await
    }
}

async fn end_leases(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    for statement in [
        "UPDATE runs SET due_at = $1 WHERE state = 'working' AND failures = 0 AND due_at > $1",
        "UPDATE intents SET due_at = $1 WHERE state = 'sending' AND due_at > $1",
    ] {
        rows!(tx, sqlx::query(statement).bind(to_micros(now)))?;
    }
    Ok(())
}

/// Schedules an answer to a message. A run that waits for the end of a burst
/// waits longer; one that is at work sees the message by itself.
pub(super) async fn schedule(
    tx: &mut Tx,
    standing: &Standing,
    due_at: Timestamp,
    traceparent: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO runs (workspace_id, run_id, conversation_id, state, reloads, fence, due_at, failures,
                               traceparent, created_at)
             VALUES ($1, $2, $3, 'pending', 0, 0, $4, 0, $5, $6)
             ON CONFLICT (workspace_id, conversation_id) WHERE state <> 'done' DO UPDATE
             SET due_at = CASE WHEN excluded.due_at > runs.due_at THEN excluded.due_at ELSE runs.due_at END
             WHERE runs.state = 'pending'"
        )
        .bind(standing.workspace.as_uuid())
        .bind(new_id(now))
        .bind(standing.conversation.as_uuid())
        .bind(to_micros(due_at))
        .bind(traceparent)
        .bind(to_micros(now))
    )?;
    Ok(())
}

/// Lets the conversation's parked run go on: an effect was settled.
pub(super) async fn wake(tx: &mut Tx, standing: &Standing, now: Timestamp) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE runs SET state = 'working', due_at = $3
             WHERE workspace_id = $1 AND conversation_id = $2 AND state = 'parked'"
        )
        .bind(standing.workspace.as_uuid())
        .bind(standing.conversation.as_uuid())
        .bind(to_micros(now))
    )?;
    Ok(())
}

/// Locks the conversation of a claimed run and keeps the claim until `lease`,
/// unless it is somebody else's by now.
pub(super) async fn hold(tx: &mut Tx, run: &Run, lease: Timestamp) -> Result<Standing, StoreError> {
    let standing =
        conversations::lock(tx, run.workspace, run.conversation).await?.ok_or(StoreError::Overtaken)?;
    let held = rows!(
        tx,
        sqlx::query(
            "UPDATE runs SET due_at = $4, failures = 0, failing_since = NULL
             WHERE workspace_id = $1 AND run_id = $2 AND fence = $3 AND state = 'working'"
        )
        .bind(run.workspace.as_uuid())
        .bind(run.id.as_uuid())
        .bind(run.fence)
        .bind(to_micros(lease))
    )?;
    if held == 1 { Ok(standing) } else { Err(StoreError::Overtaken) }
}

pub(super) async fn set_state(tx: &mut Tx, run: &Run, state: &'static str) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query("UPDATE runs SET state = $3 WHERE workspace_id = $1 AND run_id = $2")
            .bind(run.workspace.as_uuid())
            .bind(run.id.as_uuid())
            .bind(state)
    )?;
    Ok(())
}

/// Whether an effect of the conversation is under way.
pub(super) async fn has_unsettled(tx: &mut Tx, standing: &Standing) -> Result<bool, StoreError> {
    let found: Option<i32> = on!(tx, |it| {
        sqlx::query_scalar(
            "SELECT 1 FROM intents
             WHERE workspace_id = $1 AND conversation_id = $2 AND state IN ('planned', 'sending', 'unknown') LIMIT 1",
        )
        .bind(standing.workspace.as_uuid())
        .bind(standing.conversation.as_uuid())
        .fetch_optional(it)
        .await
    })?;
    Ok(found.is_some())
}

fn from_row(row: Row) -> Run {
    let (workspace, id, conversation, reloads, fence, failures, failing_since, traceparent) = row;
    Run {
        workspace: WorkspaceId::from_uuid(workspace),
        id: RunId::from_uuid(id),
        conversation: ConversationId::from_uuid(conversation),
        reloads,
        fence,
        failures,
        failing_since: failing_since.map(from_micros),
        traceparent,
    }
}
