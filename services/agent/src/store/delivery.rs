//! Delivery states as the provider reports them, in any order.

use coachbot_common::id::{Uuid, WorkspaceId};
use jiff::Timestamp;
use tracing::instrument;

use super::tx::{Tx, on};
use super::{Store, StoreError, conversations, runs, settle, word};
use crate::conversation::{ConversationId, MessageStatus};
use crate::intent::{IntentId, Purpose};

/// One report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// Of which message.
    pub intent: IntentId,
    /// The provider's id of it.
    pub provider_message_id: String,
    /// Where it is; `None`: nothing but that the provider has it.
    pub status: Option<MessageStatus>,
    /// Why it failed: the provider's code, or a word of ours, with our words for it.
    pub failure: Option<(String, String)>,
}

impl Store {
    /// Takes a report. That it came proves that the provider took the message,
    /// also when its answer was lost or is still under way.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.message.report", skip_all, fields(intent = %report.intent))]
    pub async fn report_delivery(&self, report: &Report, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = take(&mut tx, report, now).await;
        tx.end(outcome).await
    }
}

async fn take(tx: &mut Tx, report: &Report, now: Timestamp) -> Result<(), StoreError> {
    let found: Option<(Uuid, String)> = on!(tx, |it| {
        sqlx::query_as(
            "SELECT conversation_id, purpose FROM intents
             WHERE workspace_id = $1 AND intent_id = $2 AND purpose <> 'booking'",
        )
        .bind(report.workspace.as_uuid())
        .bind(report.intent.as_uuid())
        .fetch_optional(it)
        .await
    })?;
    // The lead was deleted meanwhile: the report is about nothing.
    let Some((conversation, purpose)) = found else { return Ok(()) };
    let purpose = word(Purpose::of_word(&purpose), "intents", "purpose")?;
    let conversation = ConversationId::from_uuid(conversation);
    let Some(standing) = conversations::lock(tx, report.workspace, conversation).await? else {
        return Ok(());
    };
    let status = report.status.unwrap_or(MessageStatus::Accepted);
    settle::accept(tx, &standing, report.intent, &report.provider_message_id, status, now).await?;
    if let (MessageStatus::Failed, Some((code, words))) = (status, &report.failure) {
        settle::fail_message(tx, &standing, report.intent, purpose, code, words, now).await?;
    }
    runs::wake(tx, &standing, now).await
}
