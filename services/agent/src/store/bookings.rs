//! Bookings that the provider made.

use coachbot_common::clock::to_micros;
use coachbot_common::id::WorkspaceId;
use jiff::Timestamp;

use super::StoreError;
use super::conversations::Standing;
use super::tx::{Tx, on, rows};
use crate::conversation::ConversationId;
use crate::intent::{Booked, IntentId};

/// Stores a booking; once, however often its evidence is seen.
pub(super) async fn insert(
    tx: &mut Tx,
    standing: &Standing,
    intent: IntentId,
    booked: &Booked,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO bookings (workspace_id, booking_id, conversation_id, lead_id, provider_uid, start_at, end_at,
                                   timezone, state, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (workspace_id, booking_id) DO NOTHING"
        )
        .bind(standing.workspace.as_uuid())
        .bind(intent.as_uuid())
        .bind(standing.conversation.as_uuid())
        .bind(standing.lead.as_uuid())
        .bind(booked.provider_uid.as_str())
        .bind(to_micros(booked.start))
        .bind(to_micros(booked.end))
        .bind(booked.timezone.as_str())
        .bind(booked.state.word())
        .bind(to_micros(now))
    )?;
    Ok(())
}

/// When the conversation's booking begins that is still to come, if there is one.
pub(super) async fn active(
    tx: &mut Tx,
    workspace: WorkspaceId,
    conversation: ConversationId,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let start: Option<i64> = on!(tx, |it| {
        sqlx::query_scalar(
            "SELECT start_at FROM bookings
             WHERE workspace_id = $1 AND conversation_id = $2 AND state IN ('pending', 'accepted') AND end_at > $3
             ORDER BY start_at LIMIT 1",
        )
        .bind(workspace.as_uuid())
        .bind(conversation.as_uuid())
        .bind(to_micros(now))
        .fetch_optional(it)
        .await
    })?;
    Ok(start)
}
