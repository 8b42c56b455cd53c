//! Steps of runs, and what they cost.

use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::db::read;
use coachbot_common::id::{Uuid, WorkspaceId};
use jiff::Timestamp;

use super::conversations::Standing;
use super::tx::{Tx, rows};
use super::{Store, StoreError, word};
use crate::conversation::{ConversationId, RunId};
use crate::words::words;

words! {
    /// What a step is.
    pub enum StepKind {
        /// A model's answer.
        Model = "model",
        /// A tool's result.
        Tool = "tool",
    }
}

/// A step that is to be stored.
#[derive(Clone)]
pub struct NewStep {
    /// What it is.
    pub kind: StepKind,
    /// The model's or the tool's name.
    pub name: String,
    /// The model's id of the tool call.
    pub call_id: Option<String>,
    /// As the model wrote them.
    pub arguments: String,
    /// JSON: of a model, its items; of a tool, its result.
    pub result: String,
    /// How many messages of the lead were known.
    pub turn: i64,
    /// How long it took.
    pub milliseconds: u32,
    /// What it cost.
    pub tokens: u64,
    /// When it ended.
    pub created_at: Timestamp,
}

/// A stored step.
#[derive(Clone)]
pub struct Step {
    /// Of which run.
    pub run: RunId,
    /// Its place in the conversation.
    pub seq: i64,
    /// Whether it is a reply that was dropped before it was sent.
    pub superseded: bool,
    /// The rest.
    pub step: NewStep,
}

type Row = (Uuid, i64, i64, String, String, Option<String>, String, String, bool, i64, i64, i64);

pub(super) async fn insert(
    tx: &mut Tx,
    standing: &mut Standing,
    run: RunId,
    step: &NewStep,
    superseded: bool,
) -> Result<(), StoreError> {
    let seq = standing.next();
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO steps (workspace_id, run_id, number, conversation_id, seq, turn, kind, name, call_id,
                                arguments, result, superseded, milliseconds, tokens, created_at)
             VALUES ($1, $2,
                     (SELECT COALESCE(MAX(number), 0) + 1 FROM steps WHERE workspace_id = $1 AND run_id = $2),
                     $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        )
        .bind(standing.workspace.as_uuid())
        .bind(run.as_uuid())
        .bind(standing.conversation.as_uuid())
        .bind(seq)
        .bind(step.turn)
        .bind(step.kind.word())
        .bind(step.name.as_str())
        .bind(step.call_id.as_deref())
        .bind(step.arguments.as_str())
        .bind(step.result.as_str())
        .bind(superseded)
        .bind(i64::from(step.milliseconds))
        .bind(i64::try_from(step.tokens).unwrap_or(i64::MAX))
        .bind(to_micros(step.created_at))
    )?;
    Ok(())
}

pub(super) async fn use_tokens(
    tx: &mut Tx,
    workspace: WorkspaceId,
    day: &str,
    tokens: u64,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO token_usage (workspace_id, day, tokens) VALUES ($1, $2, $3)
             ON CONFLICT (workspace_id, day) DO UPDATE SET tokens = token_usage.tokens + excluded.tokens"
        )
        .bind(workspace.as_uuid())
        .bind(day)
        .bind(i64::try_from(tokens).unwrap_or(i64::MAX))
    )?;
    Ok(())
}

impl Store {
    /// The steps of a conversation since a turn, in order.
    pub(super) async fn steps_since(
        &self,
        workspace: WorkspaceId,
        conversation: ConversationId,
        turn: i64,
    ) -> Result<Vec<Step>, StoreError> {
        let found: Vec<Row> = read!(self.db, |pool| {
            sqlx::query_as(
                "SELECT run_id, seq, turn, kind, name, call_id, arguments, result, superseded, milliseconds,
                        tokens, created_at
                 FROM steps WHERE workspace_id = $1 AND conversation_id = $2 AND turn >= $3 ORDER BY seq",
            )
            .bind(workspace.as_uuid())
            .bind(conversation.as_uuid())
            .bind(turn)
            .fetch_all(pool)
            .await
        })?;
        found.into_iter().map(from_row).collect()
    }

    /// The tokens that a workspace used on a day.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn tokens_used(&self, workspace: WorkspaceId, day: &str) -> Result<u64, StoreError> {
        let tokens: Option<i64> = read!(self.db, |pool| {
            sqlx::query_scalar("SELECT tokens FROM token_usage WHERE workspace_id = $1 AND day = $2")
                .bind(workspace.as_uuid())
                .bind(day)
                .fetch_optional(pool)
                .await
        })?;
        Ok(tokens.and_then(|tokens| u64::try_from(tokens).ok()).unwrap_or_default())
    }
}

fn from_row(row: Row) -> Result<Step, StoreError> {
    let (run, seq, turn, kind, name, call_id, arguments, result, superseded, milliseconds, tokens, at) = row;
    let step = NewStep {
        kind: word(StepKind::of_word(&kind), "steps", "kind")?,
        name,
        call_id,
        arguments,
        result,
        turn,
        milliseconds: u32::try_from(milliseconds).unwrap_or_default(),
        tokens: u64::try_from(tokens).unwrap_or_default(),
        created_at: from_micros(at),
    };
    Ok(Step { run: RunId::from_uuid(run), seq, superseded, step })
}
