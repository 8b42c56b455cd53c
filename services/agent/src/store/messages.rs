//! Messages, and the intents of those that go out.

use coachbot_common::clock::to_micros;
use coachbot_common::id::{Uuid, new_id};
use jiff::Timestamp;
use sqlx::types::Json;

use super::StoreError;
use super::conversations::Standing;
use super::tx::{Tx, on, rows};
use crate::conversation::{Author, MessageStatus, RunId};
use crate::intent::{Intent, IntentId, Payload, Purpose, State};

/// A message that is to go out.
pub(super) struct Outgoing<'a> {
    pub(super) purpose: Purpose,
    /// As the inbox shows it.
    pub(super) text: &'a str,
    pub(super) payload: Payload,
    pub(super) run: Option<RunId>,
    /// Dropped when the lead writes once more before it is sent.
    pub(super) turn: Option<i64>,
    pub(super) traceparent: Option<&'a str>,
    pub(super) begin: Begin,
}

/// How a new message begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Its turn comes.
    Planned,
    /// The caller sends it at once, until then.
    Sending(Timestamp),
    /// It is kept to be seen only.
    Dropped,
}

pub(super) async fn insert_inbound(
    tx: &mut Tx,
    standing: &mut Standing,
    provider_message_id: &str,
    text: &str,
    received_at: Timestamp,
) -> Result<(), StoreError> {
    let (seq, turn) = (standing.next(), standing.turn);
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO messages (workspace_id, message_id, conversation_id, seq, turn, outbound, author, text,
                                   status, provider_message_id, created_at)
             VALUES ($1, $2, $3, $4, $5, FALSE, 'lead', $6, 'received', $7, $8)"
        )
        .bind(standing.workspace.as_uuid())
        .bind(new_id(received_at))
        .bind(standing.conversation.as_uuid())
        .bind(seq)
        .bind(turn)
        .bind(text)
        .bind(provider_message_id)
        .bind(to_micros(received_at))
    )?;
    Ok(())
}

/// Stores a message and its intent; gives the intent as its first claimer has it.
pub(super) async fn insert_outgoing(
    tx: &mut Tx,
    standing: &mut Standing,
    outgoing: Outgoing<'_>,
    now: Timestamp,
) -> Result<Intent, StoreError> {
    let id = new_id(now);
    let seq = standing.next();
    let author = if outgoing.purpose == Purpose::Reply { Author::Bot } else { Author::System };
    let (status, state, due_at) = match outgoing.begin {
        Begin::Planned => (MessageStatus::Planned, State::Planned, now),
        Begin::Sending(lease) => (MessageStatus::Sending, State::Sending, lease),
        Begin::Dropped => (MessageStatus::Dropped, State::Dropped, now),
    };
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO messages (workspace_id, message_id, conversation_id, seq, turn, outbound, author, text,
                                   status, run_id, created_at)
             VALUES ($1, $2, $3, $4, $5, TRUE, $6, $7, $8, $9, $10)"
        )
        .bind(standing.workspace.as_uuid())
        .bind(id)
        .bind(standing.conversation.as_uuid())
        .bind(seq)
        .bind(standing.turn)
        .bind(author.word())
        .bind(outgoing.text)
        .bind(status.word())
        .bind(outgoing.run.map(RunId::as_uuid))
        .bind(to_micros(now))
    )?;
    let intent = Intent {
        workspace: standing.workspace,
        id: IntentId::from_uuid(id),
        conversation: standing.conversation,
        lead: standing.lead,
        purpose: outgoing.purpose,
        state,
        run: outgoing.run,
        fence: 1,
        attempts: i64::from(state == State::Sending),
        payload: outgoing.payload,
        sending_at: (state == State::Sending).then_some(now),
        absent_at: None,
        failing_since: None,
        code: None,
        traceparent: outgoing.traceparent.map(str::to_owned),
    };
    insert_intent(tx, &intent, Place { seq, turn: outgoing.turn, call_id: None, due_at }, now).await?;
    Ok(intent)
}

/// Where a new intent stands in its conversation.
pub(super) struct Place<'a> {
    pub(super) seq: i64,
    pub(super) turn: Option<i64>,
    pub(super) call_id: Option<&'a str>,
    pub(super) due_at: Timestamp,
}

pub(super) async fn insert_intent(
    tx: &mut Tx,
    intent: &Intent,
    place: Place<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO intents (workspace_id, intent_id, conversation_id, lead_id, purpose, state, run_id, call_id,
                                  seq, turn, fence, due_at, attempts, payload, sending_at, traceparent, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
        )
        .bind(intent.workspace.as_uuid())
        .bind(intent.id.as_uuid())
        .bind(intent.conversation.as_uuid())
        .bind(intent.lead.as_uuid())
        .bind(intent.purpose.word())
        .bind(intent.state.word())
        .bind(intent.run.map(RunId::as_uuid))
        .bind(place.call_id)
        .bind(place.seq)
        .bind(place.turn)
        .bind(intent.fence)
        .bind(to_micros(place.due_at))
        .bind(intent.attempts)
        .bind(Json(&intent.payload))
        .bind(intent.sending_at.map(to_micros))
        .bind(intent.traceparent.as_deref())
        .bind(to_micros(now))
    )?;
    Ok(())
}

/// Moves a message's state forward: the provider reports in any order.
pub(super) async fn raise_status(
    tx: &mut Tx,
    standing: &Standing,
    message: Uuid,
    to: MessageStatus,
    provider_message_id: Option<&str>,
) -> Result<MessageStatus, StoreError> {
    let present: Option<String> = on!(tx, |it| {
        sqlx::query_scalar("SELECT status FROM messages WHERE workspace_id = $1 AND message_id = $2")
            .bind(standing.workspace.as_uuid())
            .bind(message)
            .fetch_optional(it)
            .await
    })?;
    let unreadable = StoreError::Unreadable { table: "messages", column: "status" };
    let present = present.as_deref().and_then(MessageStatus::of_word).ok_or(unreadable)?;
    let status = if to.rank() > present.rank() { to } else { present };
    rows!(
        tx,
        sqlx::query(
            "UPDATE messages SET status = $3, provider_message_id = COALESCE(provider_message_id, $4)
             WHERE workspace_id = $1 AND message_id = $2"
        )
        .bind(standing.workspace.as_uuid())
        .bind(message)
        .bind(status.word())
        .bind(provider_message_id)
    )?;
    Ok(status)
}

/// Sets a message's state while it is ours to say.
pub(super) async fn set_status(
    tx: &mut Tx,
    standing: &Standing,
    message: Uuid,
    status: MessageStatus,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query("UPDATE messages SET status = $3 WHERE workspace_id = $1 AND message_id = $2")
            .bind(standing.workspace.as_uuid())
            .bind(message)
            .bind(status.word())
    )?;
    Ok(())
}

/// Says why a message failed.
pub(super) async fn set_error(
    tx: &mut Tx,
    standing: &Standing,
    message: Uuid,
    code: &str,
    words: &str,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE messages SET status = 'failed', error_code = $3, error_message = $4
             WHERE workspace_id = $1 AND message_id = $2"
        )
        .bind(standing.workspace.as_uuid())
        .bind(message)
        .bind(code)
        .bind(words)
    )?;
    Ok(())
}

/// Drops the replies of a conversation that are not sent yet.
pub(super) async fn drop_planned_replies(tx: &mut Tx, standing: &Standing) -> Result<(), StoreError> {
    for statement in [
        "UPDATE messages SET status = 'dropped'
         WHERE workspace_id = $1 AND conversation_id = $2 AND outbound AND status = 'planned' AND author = 'bot'",
        "UPDATE intents SET state = 'dropped'
         WHERE workspace_id = $1 AND conversation_id = $2 AND state = 'planned' AND purpose = 'reply'",
    ] {
        rows!(
            tx,
            sqlx::query(statement)
                .bind(standing.workspace.as_uuid())
                .bind(standing.conversation.as_uuid())
        )?;
    }
    Ok(())
}
