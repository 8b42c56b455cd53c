//! Conversations, and where one stands while it is locked.

use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::id::{Uuid, WorkspaceId, new_id};
use jiff::Timestamp;

use super::tx::{Tx, by_engine, on, rows};
use super::{StoreError, word};
use crate::conversation::{Channel, ConversationId, Owner, QUIET};
use crate::lead::LeadId;

/// A conversation with its lead, as far as sending depends on them.
#[derive(Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub conversation: ConversationId,
    /// With whom.
    pub lead: LeadId,
    /// Who answers.
    pub owner: Owner,
    /// How many messages the lead wrote.
    pub turn: i64,
    /// The last number given.
    pub(super) seq: i64,
    /// Until when free text may be sent.
    pub window_closes_at: Option<Timestamp>,
    /// Whether the hand-off sentence was said.
    pub handed_off: bool,
    /// Whether the lead wants no messages.
    pub opted_out: bool,
    /// Where messages go.
    pub address: Option<String>,
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standing")
            .field("conversation", &self.conversation)
            .field("owner", &self.owner)
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

impl Standing {
    /// Whether free text may be sent.
    #[must_use]
    pub fn window_is_open(&self, now: Timestamp) -> bool {
        self.window_closes_at.is_some_and(|closes| now < closes)
    }

    /// Whether the model may still answer.
    #[must_use]
    pub fn is_the_bots(&self) -> bool {
        self.owner == Owner::Bot && !self.opted_out
    }

    /// The next number in the conversation's order.
    pub(super) fn next(&mut self) -> i64 {
        self.seq += 1;
        self.seq
    }
}

type Row = (Uuid, String, i64, i64, Option<i64>, bool, bool, Option<String>);

macro_rules! standing {
    ($lock:literal) => {
        concat!(
            "SELECT c.lead_id, c.owner, c.turn, c.seq, c.window_closes_at, c.handed_off, l.opted_out, l.address
             FROM conversations c
             JOIN leads l ON l.workspace_id = c.workspace_id AND l.lead_id = c.lead_id
             WHERE c.workspace_id = $1 AND c.conversation_id = $2",
            $lock
        )
    };
}

pub(super) const STANDING: &str = standing!("");
const LOCKED_STANDING: &str = standing!(" FOR UPDATE OF c");

/// Locks a conversation; `None` when it is gone.
pub(super) async fn lock(
    tx: &mut Tx,
    workspace: WorkspaceId,
    conversation: ConversationId,
) -> Result<Option<Standing>, StoreError> {
    let statement = by_engine!(tx, sqlite: STANDING, postgres: LOCKED_STANDING);
    let row: Option<Row> = on!(tx, |it| {
        sqlx::query_as(statement)
            .bind(workspace.as_uuid())
            .bind(conversation.as_uuid())
            .fetch_optional(it)
            .await
    })?;
    row.map(|row| from_row(workspace, conversation, row)).transpose()
}

pub(super) fn from_row(
    workspace: WorkspaceId,
    conversation: ConversationId,
    row: Row,
) -> Result<Standing, StoreError> {
    let (lead, owner, turn, seq, window, handed_off, opted_out, address) = row;
    Ok(Standing {
        workspace,
        conversation,
        lead: LeadId::from_uuid(lead),
        owner: word(Owner::of_word(&owner), "conversations", "owner")?,
        turn,
        seq,
        window_closes_at: window.map(from_micros),
        handed_off,
        opted_out,
        address,
    })
}

/// Writes back what changed while it was locked.
pub(super) async fn save(tx: &mut Tx, standing: &Standing, now: Timestamp) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE conversations
             SET owner = $3, turn = $4, seq = $5, window_closes_at = $6, handed_off = $7, updated_at = $8
             WHERE workspace_id = $1 AND conversation_id = $2"
        )
        .bind(standing.workspace.as_uuid())
        .bind(standing.conversation.as_uuid())
        .bind(standing.owner.word())
        .bind(standing.turn)
        .bind(standing.seq)
        .bind(standing.window_closes_at.map(to_micros))
        .bind(standing.handed_off)
        .bind(to_micros(now))
    )?;
    Ok(())
}

/// The lead's open conversation, locked. One that was quiet for too long is
/// closed instead.
pub(super) async fn lock_open(
    tx: &mut Tx,
    workspace: WorkspaceId,
    lead: LeadId,
    now: Timestamp,
) -> Result<Option<Standing>, StoreError> {
    let open: Option<(Uuid, i64)> = on!(tx, |it| {
        sqlx::query_as(
            "SELECT conversation_id, updated_at FROM conversations
             WHERE workspace_id = $1 AND lead_id = $2 AND is_open",
        )
        .bind(workspace.as_uuid())
        .bind(lead.as_uuid())
        .fetch_optional(it)
        .await
    })?;
    let Some((conversation, updated_at)) = open else { return Ok(None) };
    let conversation = ConversationId::from_uuid(conversation);
    if from_micros(updated_at) + QUIET < now {
        close(tx, workspace, conversation).await?;
        return Ok(None);
    }
    lock(tx, workspace, conversation).await
}

/// Closes a conversation: the lead's next message opens another one.
pub(super) async fn close(
    tx: &mut Tx,
    workspace: WorkspaceId,
    conversation: ConversationId,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE conversations SET is_open = FALSE WHERE workspace_id = $1 AND conversation_id = $2"
        )
        .bind(workspace.as_uuid())
        .bind(conversation.as_uuid())
    )?;
    Ok(())
}

/// Opens a conversation with a lead who has no open one.
pub(super) async fn open(
    tx: &mut Tx,
    workspace: WorkspaceId,
    lead: LeadId,
    channel: Channel,
    now: Timestamp,
) -> Result<Standing, StoreError> {
    let conversation = ConversationId::from_uuid(new_id(now));
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO conversations (workspace_id, conversation_id, lead_id, channel, owner, is_open, turn, seq,
                                        handed_off, created_at, updated_at)
             VALUES ($1, $2, $3, $4, 'bot', TRUE, 0, 0, FALSE, $5, $5)"
        )
        .bind(workspace.as_uuid())
        .bind(conversation.as_uuid())
        .bind(lead.as_uuid())
        .bind(channel.word())
        .bind(to_micros(now))
    )?;
    lock(tx, workspace, conversation)
        .await?
        .ok_or(StoreError::Unreadable { table: "conversations", column: "conversation_id" })
}
