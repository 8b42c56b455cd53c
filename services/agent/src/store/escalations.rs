//! Escalations: at most one open for each conversation and reason.

use coachbot_common::clock::to_micros;
use coachbot_common::id::new_id;
use jiff::Timestamp;

use super::conversations::Standing;
use super::tx::{Tx, rows};
use super::{StoreError, leads};
use crate::escalation::Reason;
use crate::lead::Stage;

/// Raises an escalation, unless one of this reason is open.
pub(super) async fn raise(
    tx: &mut Tx,
    standing: &Standing,
    reason: Reason,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO escalations (workspace_id, escalation_id, conversation_id, lead_id, reason, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (workspace_id, conversation_id, reason) WHERE resolved_at IS NULL DO NOTHING"
        )
        .bind(standing.workspace.as_uuid())
        .bind(new_id(now))
        .bind(standing.conversation.as_uuid())
        .bind(standing.lead.as_uuid())
        .bind(reason.word())
        .bind(to_micros(now))
    )?;
    leads::advance(tx, standing.workspace, standing.lead, Stage::Escalated).await
}
