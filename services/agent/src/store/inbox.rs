//! What a coach looks at.

use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::db::read;
use coachbot_common::id::{Uuid, WorkspaceId};
use jiff::Timestamp;
use tracing::instrument;

use super::steps::Step;
use super::tx::{Tx, on, rows};
use super::{Store, StoreError, word};
use crate::conversation::{
    Author, Channel, Conversation, ConversationId, Message, MessageError, MessageStatus, Owner, QUIET, RunId,
};
use crate::escalation::Reason;
use crate::intent::{BookingState, IntentId};
use crate::lead::{Lead, LeadId, Source, Stage};

/// Which part of a list is wanted: newest first, after a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many.
    pub limit: u32,
    /// The place after which they begin: the last one's time and id.
    pub after: Option<(i64, Uuid)>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The place of the last one, when there are more.
    pub next: Option<(i64, Uuid)>,
}

/// An escalation, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscalationRow {
    /// Its id.
    pub id: Uuid,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// Whom it is about.
    pub lead: LeadId,
    /// Why.
    pub reason: Reason,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When a person dealt with it.
    pub resolved_at: Option<Timestamp>,
}

/// A booking, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingRow {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub lead: LeadId,
    /// The provider's id.
    pub provider_uid: String,
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// IANA.
    pub timezone: String,
    /// How far it is.
    pub state: BookingState,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A conversation with everything in it.
#[derive(Clone)]
pub struct Talk {
    /// The conversation.
    pub conversation: Conversation,
    /// What was said, oldest first.
    pub messages: Vec<Message>,
    /// What runs did, in order.
    pub steps: Vec<Step>,
}

pub(super) type LeadColumns = (Uuid, String, Option<String>, Option<String>, String, String, i64);
pub(super) type MessageColumns =
    (Uuid, bool, String, String, String, Option<String>, Option<String>, i64, i64, i64, Option<Uuid>);
type ConversationColumns = (Uuid, Uuid, String, String, bool, Option<i64>, i64);
type EscalationColumns = (Uuid, Uuid, Uuid, String, i64, Option<i64>);
type BookingColumns = (Uuid, Uuid, String, i64, i64, String, String, i64);

/// One page of a table: one row more is asked for than is given, to know whether
/// there are more.
macro_rules! page {
    ($db:expr, $workspace:expr, $page:expr, $columns:literal, $table:literal, $time:literal, $id:literal) => {{
        let (time, id) = $page.after.unwrap_or((i64::MAX, Uuid::max()));
        read!($db, |pool| {
            sqlx::query_as(concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE workspace_id = $1 AND (",
                $time,
                ", ",
                $id,
                ") < ($2, $3) ORDER BY ",
                $time,
                " DESC, ",
                $id,
                " DESC LIMIT $4"
            ))
            .bind($workspace.as_uuid())
            .bind(time)
            .bind(id)
            .bind(i64::from($page.limit) + 1)
            .fetch_all(pool)
            .await
        })
    }};
}

fn paged<R, T>(
    rows: Vec<R>,
    page: Page,
    read: impl Fn(R) -> Result<T, StoreError>,
    place: impl Fn(&T) -> (i64, Uuid),
) -> Result<Paged<T>, StoreError> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    let items: Vec<T> = rows.into_iter().take(limit).map(read).collect::<Result<_, _>>()?;
    let next = items.last().filter(|_| more).map(place);
    Ok(Paged { items, next })
}

impl Store {
    /// Lists leads, newest first.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.lead.list", skip_all, fields(%workspace))]
    pub async fn list_leads(&self, workspace: WorkspaceId, page: Page) -> Result<Paged<Lead>, StoreError> {
        let rows: Vec<LeadColumns> = page!(
            self.db,
            workspace,
            page,
            "lead_id, name, phone, email, stage, source, created_at",
            "leads",
            "created_at",
            "lead_id"
        )?;
        paged(rows, page, lead_from_row, |lead| (to_micros(lead.created_at), lead.id.as_uuid()))
    }

    /// One lead.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.lead.find", skip_all, fields(%workspace, %lead))]
    pub async fn find_lead(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Option<Lead>, StoreError> {
        let row: Option<LeadColumns> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT lead_id, name, phone, email, stage, source, created_at
                 FROM leads WHERE workspace_id = $1 AND lead_id = $2",
            )
            .bind(workspace.as_uuid())
            .bind(lead.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        row.map(lead_from_row).transpose()
    }

    /// Forgets a lead with everything of theirs. Says whether there was one.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.lead.delete", skip_all, fields(%workspace, %lead))]
    pub async fn delete_lead(&self, workspace: WorkspaceId, lead: LeadId) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = delete_lead(&mut tx, workspace, lead).await;
        tx.end(outcome).await
    }

    /// Lists conversations by their last change.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.conversation.list", skip_all, fields(%workspace))]
    pub async fn list_conversations(
        &self,
        workspace: WorkspaceId,
        page: Page,
        now: Timestamp,
    ) -> Result<Paged<Conversation>, StoreError> {
        let rows: Vec<ConversationColumns> = page!(
            self.db,
            workspace,
            page,
            "conversation_id, lead_id, channel, owner, is_open, window_closes_at, updated_at",
            "conversations",
            "updated_at",
            "conversation_id"
        )?;
        let place = |item: &Conversation| (to_micros(item.updated_at), item.id.as_uuid());
        paged(rows, page, |row| conversation_from_row(row, now), place)
    }

    /// The booking of an intent.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn find_booking(
        &self,
        workspace: WorkspaceId,
        intent: IntentId,
    ) -> Result<Option<BookingRow>, StoreError> {
        let row: Option<BookingColumns> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT booking_id, lead_id, provider_uid, start_at, end_at, timezone, state, created_at
                 FROM bookings WHERE workspace_id = $1 AND booking_id = $2",
            )
            .bind(workspace.as_uuid())
            .bind(intent.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        row.map(booking_from_row).transpose()
    }

    /// One conversation with its messages and the steps of its runs, oldest first.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.conversation.find", skip_all, fields(%workspace, %conversation))]
    pub async fn find_conversation(
        &self,
        workspace: WorkspaceId,
        conversation: ConversationId,
        now: Timestamp,
    ) -> Result<Option<Talk>, StoreError> {
        let row: Option<ConversationColumns> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT conversation_id, lead_id, channel, owner, is_open, window_closes_at, updated_at
                 FROM conversations WHERE workspace_id = $1 AND conversation_id = $2",
            )
            .bind(workspace.as_uuid())
            .bind(conversation.as_uuid())
            .fetch_optional(pool)
            .await
        })?;
        let Some(row) = row else { return Ok(None) };
        let messages: Vec<MessageColumns> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT message_id, outbound, author, text, status, error_code, error_message, created_at, turn, seq,
                        run_id
                 FROM messages WHERE workspace_id = $1 AND conversation_id = $2 ORDER BY seq",
            )
            .bind(workspace.as_uuid())
            .bind(conversation.as_uuid())
            .fetch_all(pool)
            .await
        })?;
        let messages = messages.into_iter().map(message_from_row).collect::<Result<_, _>>()?;
        let steps = self.steps_since(workspace, conversation, 0).await?;
        Ok(Some(Talk { conversation: conversation_from_row(row, now)?, messages, steps }))
    }

    /// Lists escalations, newest first.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.escalation.list", skip_all, fields(%workspace))]
    pub async fn list_escalations(
        &self,
        workspace: WorkspaceId,
        page: Page,
    ) -> Result<Paged<EscalationRow>, StoreError> {
        let rows: Vec<EscalationColumns> = page!(
            self.db,
            workspace,
            page,
            "escalation_id, conversation_id, lead_id, reason, created_at, resolved_at",
            "escalations",
            "created_at",
            "escalation_id"
        )?;
        paged(rows, page, escalation_from_row, |item| (to_micros(item.created_at), item.id))
    }

    /// Lists bookings, newest first.
    ///
    /// # Errors
    /// When the database cannot.
    #[instrument(name = "db.booking.list", skip_all, fields(%workspace))]
    pub async fn list_bookings(
        &self,
        workspace: WorkspaceId,
        page: Page,
    ) -> Result<Paged<BookingRow>, StoreError> {
        let rows: Vec<BookingColumns> = page!(
            self.db,
            workspace,
            page,
            "booking_id, lead_id, provider_uid, start_at, end_at, timezone, state, created_at",
            "bookings",
            "created_at",
            "booking_id"
        )?;
        paged(rows, page, booking_from_row, |item| (to_micros(item.created_at), item.id))
    }
}

async fn delete_lead(tx: &mut Tx, workspace: WorkspaceId, lead: LeadId) -> Result<bool, StoreError> {
    for statement in [
        "DELETE FROM steps WHERE workspace_id = $1 AND conversation_id IN
             (SELECT conversation_id FROM conversations WHERE workspace_id = $1 AND lead_id = $2)",
        "DELETE FROM runs WHERE workspace_id = $1 AND conversation_id IN
             (SELECT conversation_id FROM conversations WHERE workspace_id = $1 AND lead_id = $2)",
        "DELETE FROM messages WHERE workspace_id = $1 AND conversation_id IN
             (SELECT conversation_id FROM conversations WHERE workspace_id = $1 AND lead_id = $2)",
        "DELETE FROM intents WHERE workspace_id = $1 AND lead_id = $2",
        "DELETE FROM bookings WHERE workspace_id = $1 AND lead_id = $2",
        "DELETE FROM escalations WHERE workspace_id = $1 AND lead_id = $2",
        "DELETE FROM conversations WHERE workspace_id = $1 AND lead_id = $2",
        "DELETE FROM submissions WHERE workspace_id = $1 AND lead_id = $2",
    ] {
        rows!(tx, sqlx::query(statement).bind(workspace.as_uuid()).bind(lead.as_uuid()))?;
    }
    let gone: Option<Uuid> = on!(tx, |it| {
        sqlx::query_scalar("DELETE FROM leads WHERE workspace_id = $1 AND lead_id = $2 RETURNING lead_id")
            .bind(workspace.as_uuid())
            .bind(lead.as_uuid())
            .fetch_optional(it)
            .await
    })?;
    Ok(gone.is_some())
}

pub(super) fn lead_from_row(row: LeadColumns) -> Result<Lead, StoreError> {
    let (id, name, phone, email, stage, source, created_at) = row;
    Ok(Lead {
        id: LeadId::from_uuid(id),
        name,
        phone,
        email,
        stage: word(Stage::of_word(&stage), "leads", "stage")?,
        source: word(Source::of_word(&source), "leads", "source")?,
        created_at: from_micros(created_at),
    })
}

pub(super) fn message_from_row(row: MessageColumns) -> Result<Message, StoreError> {
    let (id, outbound, author, text, status, error_code, error_message, created_at, turn, seq, run) = row;
    let error = error_code.zip(error_message).map(|(code, message)| MessageError { code, message });
    Ok(Message {
        id,
        outbound,
        author: word(Author::of_word(&author), "messages", "author")?,
        text,
        status: word(MessageStatus::of_word(&status), "messages", "status")?,
        error,
        created_at: from_micros(created_at),
        turn,
        seq,
        run: run.map(RunId::from_uuid),
    })
}

fn conversation_from_row(row: ConversationColumns, now: Timestamp) -> Result<Conversation, StoreError> {
    let (id, lead, channel, owner, is_open, window, updated_at) = row;
    let updated_at = from_micros(updated_at);
    Ok(Conversation {
        id: ConversationId::from_uuid(id),
        lead: LeadId::from_uuid(lead),
        channel: word(Channel::of_word(&channel), "conversations", "channel")?,
        owner: word(Owner::of_word(&owner), "conversations", "owner")?,
        // A quiet one is closed by the next message only, and is not shown open until then.
        open: is_open && updated_at + QUIET >= now,
        window_closes_at: window.map(from_micros),
        updated_at,
    })
}

fn escalation_from_row(row: EscalationColumns) -> Result<EscalationRow, StoreError> {
    let (id, conversation, lead, reason, created_at, resolved_at) = row;
    Ok(EscalationRow {
        id,
        conversation: ConversationId::from_uuid(conversation),
        lead: LeadId::from_uuid(lead),
        reason: word(Reason::of_word(&reason), "escalations", "reason")?,
        created_at: from_micros(created_at),
        resolved_at: resolved_at.map(from_micros),
    })
}

fn booking_from_row(row: BookingColumns) -> Result<BookingRow, StoreError> {
    let (id, lead, provider_uid, start, end, timezone, state, created_at) = row;
    Ok(BookingRow {
        id,
        lead: LeadId::from_uuid(lead),
        provider_uid,
        start: from_micros(start),
        end: from_micros(end),
        timezone,
        state: word(BookingState::of_word(&state), "bookings", "state")?,
        created_at: from_micros(created_at),
    })
}
