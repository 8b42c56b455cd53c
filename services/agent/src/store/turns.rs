//! What the worker of a run stores: each write carries the run's fence, and ends
//! in one commit.

use coachbot_common::clock::from_micros;
use coachbot_common::id::new_id;
use jiff::Timestamp;
use tracing::instrument;

use super::conversations::{self, Standing};
use super::messages::{Begin, Outgoing, Place, drop_planned_replies, insert_intent, insert_outgoing};
use super::runs::{self, Run, hold, set_state};
use super::settings::settings_of;
use super::settle::settle_held;
use super::steps::{self, NewStep};
use super::tx::{Tx, on, rows};
use super::{Settled, Store, StoreError, bookings, escalations, ingest, leads};
use crate::conversation::Owner;
use crate::escalation::Reason;
use crate::intent::{Intent, IntentId, Payload, Purpose, State};
use crate::lead::Stage;

/// As often a newer message drops a reply.
pub const RELOADS: i64 = 2;

/// What a run found out since its last write.
#[derive(Clone, Default)]
pub struct Progress {
    /// Steps, in order.
    pub steps: Vec<NewStep>,
    /// What a person has to look at, though the bot goes on.
    pub escalations: Vec<Reason>,
    /// Whether slots were offered.
    pub offered: bool,
    /// Whether the last step is an answer that the lead does not get.
    pub held: bool,
    /// Model tokens used, on which day.
    pub tokens: Option<(String, u64)>,
}

/// What became of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyOutcome {
    /// Its first part is sending: ask the provider, now and once.
    Sending(Box<Intent>),
    /// It waits behind an earlier message.
    Planned,
    /// The lead wrote once more: answer that too.
    Superseded,
    /// The bot may not answer any more.
    Stopped,
}

/// A booking that the model asks for.
#[derive(Clone)]
pub struct Wish {
    /// The tool call.
    pub call_id: String,
    /// Which slot, and for whom.
    pub payload: Payload,
    /// How many messages of the lead the model knew.
    pub turn: i64,
}

/// What became of the wish to book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookingStart {
    /// It is sending: ask the provider, now and once.
    Go(Box<Intent>),
    /// The lead wrote once more: the model has to read that first.
    Newer,
    /// There is a booking in this conversation, at that time.
    Taken(Timestamp),
    /// The bot may not book any more.
    Stopped,
}

impl Store {
    /// Stores what a run found out, before it goes on.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.run.advance", skip_all, fields(run = %run.id))]
    pub async fn advance_run(
        &self,
        run: &Run,
        progress: &Progress,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = async {
            let mut standing = hold(&mut tx, run, lease).await?;
            flush(&mut tx, &mut standing, run, progress, false, now).await?;
            conversations::save(&mut tx, &standing, now).await
        }
        .await;
        tx.end(outcome).await
    }

    /// Ends a run without an answer.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.run.finish", skip_all, fields(run = %run.id))]
    pub async fn finish_run(
        &self,
        run: &Run,
        progress: &Progress,
        turn: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = async {
            let mut standing = hold(&mut tx, run, now).await?;
            flush(&mut tx, &mut standing, run, progress, false, now).await?;
            conversations::save(&mut tx, &standing, now).await?;
            finish(&mut tx, &standing, run, turn, now).await
        }
        .await;
        tx.end(outcome).await
    }

    /// Stores a reply and begins to send it, if it may be sent still, in the same
    /// transaction.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.run.reply", skip_all, fields(run = %run.id))]
    pub async fn reply(
        &self,
        run: &Run,
        progress: &Progress,
        parts: &[String],
        turn: i64,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<ReplyOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = reply(&mut tx, run, progress, parts, turn, now, lease).await;
        tx.end(outcome).await
    }

    /// Hands a conversation over: nobody answers until a person does, and the lead
    /// is told so, once.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.run.hand_off", skip_all, fields(run = %run.id, reason = reason.word()))]
    pub async fn hand_off(
        &self,
        run: &Run,
        progress: &Progress,
        reason: Reason,
        turn: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = hand_off(&mut tx, run, progress, reason, turn, now).await;
        tx.end(outcome).await
    }

    /// Begins a booking, if it may happen still.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.run.book", skip_all, fields(run = %run.id))]
    pub async fn begin_booking(
        &self,
        run: &Run,
        progress: &Progress,
        wish: &Wish,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<BookingStart, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = begin_booking(&mut tx, run, progress, wish, now, lease).await;
        tx.end(outcome).await
    }

    /// Stores what became of a run's booking, together with the tool's result; or
    /// puts the run aside until that is known.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`], or when the database cannot.
    #[instrument(name = "db.run.settle_booking", skip_all, fields(run = %run.id))]
    pub async fn settle_booking(
        &self,
        run: &Run,
        progress: &Progress,
        (intent, settled): (&Intent, &Settled),
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = async {
            let mut standing = hold(&mut tx, run, lease).await?;
            settle_held(&mut tx, intent, settled, now).await?;
            flush(&mut tx, &mut standing, run, progress, false, now).await?;
            conversations::save(&mut tx, &standing, now).await?;
            if matches!(settled, Settled::Unknown { .. } | Settled::Again { .. }) {
                set_state(&mut tx, run, "parked").await?;
            }
            Ok(())
        }
        .await;
        tx.end(outcome).await
    }
}

/// Writes down what a run found out.
async fn flush(
    tx: &mut Tx,
    standing: &mut Standing,
    run: &Run,
    progress: &Progress,
    superseded: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let last = progress.steps.len();
    for (index, step) in progress.steps.iter().enumerate() {
        steps::insert(tx, standing, run.id, step, (superseded || progress.held) && index + 1 == last).await?;
    }
    if let Some((day, tokens)) = &progress.tokens {
        steps::use_tokens(tx, run.workspace, day, *tokens).await?;
    }
    if progress.offered {
        leads::advance(tx, standing.workspace, standing.lead, Stage::Qualified).await?;
    }
    for reason in &progress.escalations {
        escalations::raise(tx, standing, *reason, now).await?;
    }
    Ok(())
}

/// Ends a run; what the lead wrote meanwhile is answered by the next one.
async fn finish(
    tx: &mut Tx,
    standing: &Standing,
    run: &Run,
    turn: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    set_state(tx, run, "done").await?;
    if standing.turn <= turn || !standing.is_the_bots() {
        return Ok(());
    }
    let last: Option<i64> = on!(tx, |it| {
        sqlx::query_scalar(
            "SELECT MAX(created_at) FROM messages
             WHERE workspace_id = $1 AND conversation_id = $2 AND NOT outbound",
        )
        .bind(standing.workspace.as_uuid())
        .bind(standing.conversation.as_uuid())
        .fetch_one(it)
        .await
    })?;
    let settings = settings_of(tx, standing.workspace).await?;
    let due_at = last.map_or(now, from_micros) + ingest::debounce(&settings);
    runs::schedule(tx, standing, due_at.max(now), run.traceparent.as_deref(), now).await
}

async fn reply(
    tx: &mut Tx,
    run: &Run,
    progress: &Progress,
    parts: &[String],
    turn: i64,
    now: Timestamp,
    lease: Timestamp,
) -> Result<ReplyOutcome, StoreError> {
    let mut standing = hold(tx, run, lease).await?;
    let newer = standing.turn > turn;
    let superseded = newer && run.reloads < RELOADS && standing.is_the_bots();
    let address = standing.address.clone();
    let address = address.filter(|_| standing.is_the_bots() && standing.window_is_open(now) && !superseded);
    flush(tx, &mut standing, run, progress, address.is_none(), now).await?;
    let waits = has_unsettled_messages(tx, &standing).await?;
    let mut first = None;
    for (index, part) in parts.iter().enumerate() {
        let begin = match (&address, index) {
            (None, _) => Begin::Dropped,
            (Some(_), 0) if !waits => Begin::Sending(lease),
            (Some(_), _) => Begin::Planned,
        };
        let outgoing = Outgoing {
            purpose: Purpose::Reply,
            text: part,
            payload: Payload::Text { to: address.clone().unwrap_or_default(), body: part.clone() },
            run: Some(run.id),
            // Once its beginning is out, the rest of a reply follows.
            turn: (index == 0 && !newer).then_some(turn),
            traceparent: run.traceparent.as_deref(),
            begin,
        };
        let intent = insert_outgoing(tx, &mut standing, outgoing, now).await?;
        first = first.or(Some(intent));
    }
    conversations::save(tx, &standing, now).await?;
    if superseded {
        rows!(
            tx,
            sqlx::query("UPDATE runs SET reloads = reloads + 1 WHERE workspace_id = $1 AND run_id = $2")
                .bind(run.workspace.as_uuid())
                .bind(run.id.as_uuid())
        )?;
        return Ok(ReplyOutcome::Superseded);
    }
    finish(tx, &standing, run, turn, now).await?;
    Ok(match first.filter(|_| address.is_some()) {
        None => ReplyOutcome::Stopped,
        Some(intent) if intent.state == State::Sending => ReplyOutcome::Sending(Box::new(intent)),
        Some(_) => ReplyOutcome::Planned,
    })
}

async fn has_unsettled_messages(tx: &mut Tx, standing: &Standing) -> Result<bool, StoreError> {
    let found: Option<i32> = on!(tx, |it| {
        sqlx::query_scalar(
            "SELECT 1 FROM intents
             WHERE workspace_id = $1 AND conversation_id = $2 AND purpose <> 'booking'
               AND state IN ('planned', 'sending', 'unknown') LIMIT 1",
        )
        .bind(standing.workspace.as_uuid())
        .bind(standing.conversation.as_uuid())
        .fetch_optional(it)
        .await
    })?;
    Ok(found.is_some())
}

async fn hand_off(
    tx: &mut Tx,
    run: &Run,
    progress: &Progress,
    reason: Reason,
    turn: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut standing = hold(tx, run, now).await?;
    flush(tx, &mut standing, run, progress, false, now).await?;
    if standing.is_the_bots() {
        standing.owner = Owner::Nobody;
        drop_planned_replies(tx, &standing).await?;
        escalations::raise(tx, &standing, reason, now).await?;
        let address = standing.address.clone();
        if let Some(to) = address.filter(|_| !standing.handed_off && standing.window_is_open(now)) {
            let text = settings_of(tx, run.workspace).await?.handoff_message;
            standing.handed_off = true;
            let outgoing = Outgoing {
                purpose: Purpose::Handoff,
                text: &text,
                payload: Payload::Text { to, body: text.clone() },
                run: Some(run.id),
                turn: None,
                traceparent: run.traceparent.as_deref(),
                begin: Begin::Planned,
            };
            insert_outgoing(tx, &mut standing, outgoing, now).await?;
        }
    }
    conversations::save(tx, &standing, now).await?;
    finish(tx, &standing, run, turn, now).await
}

async fn begin_booking(
    tx: &mut Tx,
    run: &Run,
    progress: &Progress,
    wish: &Wish,
    now: Timestamp,
    lease: Timestamp,
) -> Result<BookingStart, StoreError> {
    let mut standing = hold(tx, run, lease).await?;
    flush(tx, &mut standing, run, progress, false, now).await?;
    conversations::save(tx, &standing, now).await?;
    if !standing.is_the_bots() {
        return Ok(BookingStart::Stopped);
    }
    if let Some(start) = bookings::active(tx, run.workspace, run.conversation, now).await? {
        return Ok(BookingStart::Taken(from_micros(start)));
    }
    if standing.turn > wish.turn && run.reloads < RELOADS {
        rows!(
            tx,
            sqlx::query("UPDATE runs SET reloads = reloads + 1 WHERE workspace_id = $1 AND run_id = $2")
                .bind(run.workspace.as_uuid())
                .bind(run.id.as_uuid())
        )?;
        return Ok(BookingStart::Newer);
    }
    let intent = Intent {
        workspace: run.workspace,
        id: IntentId::from_uuid(new_id(now)),
        conversation: run.conversation,
        lead: standing.lead,
        purpose: Purpose::Booking,
        state: State::Sending,
        run: Some(run.id),
        fence: 1,
        attempts: 1,
        payload: wish.payload.clone(),
        sending_at: Some(now),
        absent_at: None,
        failing_since: None,
        code: None,
        traceparent: run.traceparent.clone(),
    };
    let place =
        Place { seq: standing.next(), turn: Some(wish.turn), call_id: Some(&wish.call_id), due_at: lease };
    insert_intent(tx, &intent, place, now).await?;
    conversations::save(tx, &standing, now).await?;
    Ok(BookingStart::Go(Box::new(intent)))
}
