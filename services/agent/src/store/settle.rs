//! What became of effects, with everything that follows from it.

use coachbot_common::clock::to_micros;
use jiff::Timestamp;

use super::conversations::Standing;
use super::intents::{Settled, hold};
use super::messages::{raise_status, set_error, set_status};
use super::tx::{Tx, rows};
use super::{StoreError, bookings, escalations, leads, runs};
use crate::conversation::MessageStatus;
use crate::escalation::Reason;
use crate::intent::{BookingState, Intent, IntentId, Payload, Purpose, State};
use crate::lead::Stage;

pub(super) async fn settle_alone(
    tx: &mut Tx,
    intent: &Intent,
    settled: &Settled,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (standing, state, _) = hold(tx, intent).await?;
    settle_from(tx, &standing, intent, state, settled, now).await?;
    runs::wake(tx, &standing, now).await
}

/// Settles an intent whose row the caller has not seen yet in this transaction.
pub(super) async fn settle_held(
    tx: &mut Tx,
    intent: &Intent,
    settled: &Settled,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (standing, state, _) = hold(tx, intent).await?;
    settle_from(tx, &standing, intent, state, settled, now).await
}

async fn settle_from(
    tx: &mut Tx,
    standing: &Standing,
    intent: &Intent,
    state: State,
    settled: &Settled,
    now: Timestamp,
) -> Result<(), StoreError> {
    let proven = matches!(settled, Settled::Accepted { .. } | Settled::Booked(_));
    // A status callback was faster, and proved more than was found out here.
    if !proven && !matches!(state, State::Planned | State::Sending | State::Unknown) {
        return Ok(());
    }
    settle(tx, standing, intent, settled, now).await
}

pub(super) async fn settle(
    tx: &mut Tx,
    standing: &Standing,
    intent: &Intent,
    settled: &Settled,
    now: Timestamp,
) -> Result<(), StoreError> {
    let message = intent.id.as_uuid();
    let is_message = intent.purpose != Purpose::Booking;
    match settled {
        Settled::Accepted { provider_id, status, failure } => {
            accept(tx, standing, intent.id, provider_id, *status, now).await?;
            if let Some((code, words)) = failure {
                fail_message(tx, standing, intent.id, intent.purpose, code, words, now).await?;
            }
        }
        Settled::Booked(booked) => {
            update(tx, intent, State::Accepted, None, now).await?;
            set_provider_id(tx, standing, intent.id, &booked.provider_uid).await?;
            bookings::insert(tx, standing, intent.id, booked, now).await?;
            if let Payload::Booking { name, email, .. } = &intent.payload {
                leads::learn(tx, standing.workspace, standing.lead, name, email.as_deref()).await?;
            }
            if booked.state == BookingState::Accepted {
                leads::advance(tx, standing.workspace, standing.lead, Stage::Booked).await?;
            }
        }
        Settled::Failed { code, message: words, escalation } => {
            update(tx, intent, State::Failed, Some(code), now).await?;
            if is_message {
                set_error(tx, standing, message, code, words).await?;
                if code == "21610" {
                    leads::opt_out(tx, standing.workspace, standing.lead).await?;
                }
                drop_siblings(tx, intent).await?;
            }
            if let Some(reason) = escalation {
                escalations::raise(tx, standing, *reason, now).await?;
            }
        }
        Settled::Again { due_at, failing_since } => {
            wait(tx, intent, State::Planned, *due_at, None, *failing_since, None).await?;
            if is_message {
                set_status(tx, standing, message, MessageStatus::Planned).await?;
            }
        }
        Settled::Unknown { due_at, absent_at, code } => {
            wait(tx, intent, State::Unknown, *due_at, *absent_at, None, code.as_deref()).await?;
            if is_message {
                set_status(tx, standing, message, MessageStatus::Unknown).await?;
            }
        }
        Settled::Dropped => {
            update(tx, intent, State::Dropped, None, now).await?;
            if is_message {
                set_status(tx, standing, message, MessageStatus::Dropped).await?;
                drop_siblings(tx, intent).await?;
            }
        }
    }
    Ok(())
}

/// A reply that lost one part is not continued.
async fn drop_siblings(tx: &mut Tx, intent: &Intent) -> Result<(), StoreError> {
    let (Purpose::Reply, Some(run)) = (intent.purpose, intent.run) else { return Ok(()) };
    for statement in [
        "UPDATE messages SET status = 'dropped'
         WHERE workspace_id = $1 AND run_id = $2 AND status = 'planned' AND author = 'bot'",
        "UPDATE intents SET state = 'dropped'
         WHERE workspace_id = $1 AND run_id = $2 AND state = 'planned' AND purpose = 'reply'",
    ] {
        rows!(tx, sqlx::query(statement).bind(intent.workspace.as_uuid()).bind(run.as_uuid()))?;
    }
    Ok(())
}

async fn update(
    tx: &mut Tx,
    intent: &Intent,
    state: State,
    code: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE intents SET state = $3, code = $4, due_at = $5, absent_at = NULL, failing_since = NULL
             WHERE workspace_id = $1 AND intent_id = $2"
        )
        .bind(intent.workspace.as_uuid())
        .bind(intent.id.as_uuid())
        .bind(state.word())
        .bind(code)
        .bind(to_micros(now))
    )?;
    Ok(())
}

async fn wait(
    tx: &mut Tx,
    intent: &Intent,
    state: State,
    due_at: Timestamp,
    absent_at: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    code: Option<&str>,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE intents SET state = $3, due_at = $4, absent_at = $5, failing_since = $6, code = $7
             WHERE workspace_id = $1 AND intent_id = $2"
        )
        .bind(intent.workspace.as_uuid())
        .bind(intent.id.as_uuid())
        .bind(state.word())
        .bind(to_micros(due_at))
        .bind(absent_at.map(to_micros))
        .bind(failing_since.map(to_micros))
        .bind(code)
    )?;
    Ok(())
}

async fn set_provider_id(
    tx: &mut Tx,
    standing: &Standing,
    intent: IntentId,
    provider_id: &str,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query("UPDATE intents SET provider_id = $3 WHERE workspace_id = $1 AND intent_id = $2")
            .bind(standing.workspace.as_uuid())
            .bind(intent.as_uuid())
            .bind(provider_id)
    )?;
    Ok(())
}

/// Takes the provider's word that a message is there, and where it is.
pub(super) async fn accept(
    tx: &mut Tx,
    standing: &Standing,
    intent: IntentId,
    provider_id: &str,
    status: MessageStatus,
    now: Timestamp,
) -> Result<(), StoreError> {
    let status = raise_status(tx, standing, intent.as_uuid(), status, Some(provider_id)).await?;
    let state = match status {
        MessageStatus::Delivered | MessageStatus::Read => State::Delivered,
        MessageStatus::Failed => State::Failed,
        _ => State::Accepted,
    };
    rows!(
        tx,
        sqlx::query(
            "UPDATE intents SET state = $3, provider_id = $4, due_at = $5, absent_at = NULL, failing_since = NULL
             WHERE workspace_id = $1 AND intent_id = $2"
        )
        .bind(standing.workspace.as_uuid())
        .bind(intent.as_uuid())
        .bind(state.word())
        .bind(provider_id)
        .bind(to_micros(now))
    )?;
    leads::advance(tx, standing.workspace, standing.lead, Stage::Contacted).await
}

/// Takes the provider's word that a message will not arrive.
pub(super) async fn fail_message(
    tx: &mut Tx,
    standing: &Standing,
    intent: IntentId,
    purpose: Purpose,
    code: &str,
    words: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    set_error(tx, standing, intent.as_uuid(), code, words).await?;
    rows!(
        tx,
        sqlx::query(
            "UPDATE intents SET state = 'failed', code = $3 WHERE workspace_id = $1 AND intent_id = $2"
        )
        .bind(standing.workspace.as_uuid())
        .bind(intent.as_uuid())
        .bind(code)
    )?;
    match code {
        "21610" => leads::opt_out(tx, standing.workspace, standing.lead).await,
        _ => escalations::raise(tx, standing, failure_reason(purpose, code), now).await,
    }
}

/// Which escalation a refused message raises.
pub(crate) const fn failure_reason(purpose: Purpose, code: &str) -> Reason {
    match (purpose, code.as_bytes()) {
        (Purpose::FirstTouch, b"63016") => Reason::TemplateNeeded,
        _ => Reason::SendFailed,
    }
}
