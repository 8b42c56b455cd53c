//! One run: load, model, tools, reply. Each step is stored before it is acted on,
//! so that whoever takes the run over goes on where it was left.

use coachbot_common::fault::FaultKind;
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use crate::agent::Agent;
use crate::claim::claims_booking;
use crate::connector::{Cause, Failure};
use crate::escalation::Reason;
use crate::item::{self, Call, Item};
use crate::model::{self, Answer};
use crate::prompt::zone;
use crate::store::{NewStep, Progress, ReplyOutcome, Run, RunContext, Step, StepKind, StoreError};
use crate::tools::{self, MOST_ANSWERS, MOST_TOOLS};
use crate::{effects, split, transcript};

/// So long a model that is away is waited for before a person is asked.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);

/// So often a model that answers without sense is asked again.
const TRIES: i64 = 2;

/// So often a model whose answer was lost is asked again: each time is billed.
const LOST: i64 = 5;

/// What a run does next.
enum Next {
    /// These calls of the last answer have no result yet; so many messages of the
    /// lead were known to it.
    Tools(Vec<Call>, i64),
    /// The model is to be asked.
    Model,
}

/// Whether a run goes on here.
pub(crate) enum Flow {
    /// It does.
    GoOn,
    /// It ended, was put aside or off, or is somebody else's.
    End,
}

impl Agent {
    /// Sees a claimed run through to its reply, or to where it has to wait.
    pub(crate) async fn answer(&self, mut run: Run) -> Result<(), StoreError> {
        // What was found out and not stored yet: it goes with the next commit.
        let mut progress = Progress::default();
        loop {
            let Some(mut context) = self.store.load_run(&run).await? else {
                return Err(StoreError::Overtaken);
            };
            let turn = context.standing.turn;
            if !context.standing.is_the_bots() {
                return self.store.finish_run(&run, &progress, turn, self.now()).await;
            }
            if context.has_planned_replies {
                self.store.drop_replies(&run, self.lease()).await?;
            }
            // Order is kept: what was said before must be settled first.
            if context.has_sending && self.store.park_run(&run, self.lease()).await? {
                return Ok(());
            }
            context.steps.extend(progress.steps.iter().map(|step| unsaved(&run, step)));
            let flow = match next(&run, &context) {
                Next::Tools(calls, known) => {
                    self.run_tools(&mut run, &context, &mut progress, (calls, known)).await?
                }
                Next::Model => self.ask_model(&mut run, &context, &mut progress).await?,
            };
            if matches!(flow, Flow::End) {
                return Ok(());
            }
        }
    }

    async fn ask_model(
        &self,
        run: &mut Run,
        context: &RunContext,
        progress: &mut Progress,
    ) -> Result<Flow, StoreError> {
        let turn = context.standing.turn;
        if count(run, context, StepKind::Model) >= MOST_ANSWERS
            || count(run, context, StepKind::Tool) > MOST_TOOLS
        {
            return self.give_up(run, progress, Reason::BudgetExhausted, turn).await;
        }
        let day = self.now().to_zoned_datetime(zone(&context.facts.timezone)).date().to_string();
        if self.store.tokens_used(run.workspace, &day).await? >= context.settings.daily_token_budget {
            return self.give_up(run, progress, Reason::DailyBudgetExhausted, turn).await;
        }
        let asking = model::ask(&self.connector, context, self.now());
        let Some(answer) = self.while_renewing(asking, || self.store.renew_run(run, self.lease())).await
        else {
            return Err(StoreError::Overtaken);
        };
        match answer {
            Ok(answer) => {
                run.failures = 0;
                run.failing_since = None;
                progress.tokens = Some((day, answer.tokens()));
                self.act_on(run, context, progress, answer).await
            }
            Err(failure) => self.without_answer(run, progress, &failure, turn).await,
        }
    }

    /// Stores an answer, and begins what it asks for.
    async fn act_on(
        &self,
        run: &mut Run,
        context: &RunContext,
        progress: &mut Progress,
        answer: Answer,
    ) -> Result<Flow, StoreError> {
        let turn = context.standing.turn;
        let calls = answer.calls();
        let text = item::reply(&answer.items);
        let refuses = item::refuses(&answer.items);
        let incomplete = answer.incomplete;
        progress.steps.push(answer.into_step(turn, self.now()));
        let held = if refuses {
            Some(Reason::ModelRefused)
        } else if incomplete || (calls.is_empty() && text.is_empty()) {
            Some(Reason::ModelFailed)
        } else if calls.is_empty() && !context.is_booked && claims_booking(&text) {
            warn!(run = %run.id, "a reply claims a booking that there is not, and is held");
            Some(Reason::ReplyHeld)
        } else {
            None
        };
        if let Some(reason) = held {
            progress.held = true;
            return self.give_up(run, progress, reason, turn).await;
        }
        if !calls.is_empty() {
            self.store.advance_run(run, &std::mem::take(progress), self.now(), self.lease()).await?;
            return Ok(Flow::GoOn);
        }
        let parts = split::parts(&text);
        let stored = std::mem::take(progress);
        match self.store.reply(run, &stored, &parts, turn, self.now(), self.lease()).await? {
            ReplyOutcome::Sending(intent) => {
                self.perform(&intent).await?;
                Ok(Flow::End)
            }
            ReplyOutcome::Planned => Ok(Flow::End),
            ReplyOutcome::Superseded => {
                info!(run = %run.id, "a newer message dropped the reply");
                run.reloads += 1;
                Ok(Flow::GoOn)
            }
            ReplyOutcome::Stopped => {
                info!(run = %run.id, "the reply may not be sent any more");
                Ok(Flow::End)
            }
        }
    }

    /// What a failed model call means for the run.
    async fn without_answer(
        &self,
        run: &Run,
        progress: &mut Progress,
        failure: &Failure,
        turn: i64,
    ) -> Result<Flow, StoreError> {
        let now = self.now();
        warn!(run = %run.id, code = failure.word(), "the model did not answer");
        let failing_since = run.failing_since.unwrap_or(now);
        let reason = match failure.cause {
            Some(Cause::NotConnected) => {
                // Nothing is said: the coach sees why, and the bot goes on once there is a key.
                progress.escalations.push(Reason::ModelNotConnected);
                self.store.finish_run(run, progress, turn, now).await?;
                return Ok(Flow::End);
            }
            Some(Cause::CredentialRejected) => Some(Reason::ModelKeyRejected),
            Some(Cause::NoQuota) => Some(Reason::ModelNoQuota),
            Some(Cause::NotFound) => Some(Reason::ModelGone),
            Some(Cause::Refused) => Some(Reason::ModelFailed),
            Some(Cause::UnreadableAnswer) => (run.failures >= TRIES).then_some(Reason::ModelFailed),
            Some(Cause::UnknownEffect) => (run.failures >= LOST).then_some(Reason::ModelFailed),
            Some(Cause::RateLimited | Cause::ProviderAway) => {
                (failing_since + PATIENCE < now).then_some(Reason::ModelFailed)
            }
            // The vault is locked, or the connector is away: it comes back.
            Some(Cause::CannotDecrypt) => None,
            None => match failure.kind {
                FaultKind::Internal | FaultKind::Invalid | FaultKind::Timeout => {
                    (run.failures >= TRIES).then_some(Reason::ModelFailed)
                }
                _ => None,
            },
        };
        if let Some(reason) = reason {
            return self.give_up(run, progress, reason, turn).await;
        }
        self.put_off(run, failure, failing_since, now).await
    }

    pub(crate) async fn put_off(
        &self,
        run: &Run,
        failure: &Failure,
        failing_since: Timestamp,
        now: Timestamp,
    ) -> Result<Flow, StoreError> {
        let due_at = effects::pause(run.failures + 1, failure.retry_at, now);
        self.store.postpone_run(run, due_at, failing_since).await?;
        Ok(Flow::End)
    }

    /// Hands the conversation over to a person.
    pub(crate) async fn give_up(
        &self,
        run: &Run,
        progress: &Progress,
        reason: Reason,
        turn: i64,
    ) -> Result<Flow, StoreError> {
        warn!(run = %run.id, reason = reason.word(), "the conversation is handed over");
        self.store.hand_off(run, progress, reason, turn, self.now()).await?;
        self.wake.notify_one();
        Ok(Flow::End)
    }
}

/// How many steps of a kind the run has.
pub(crate) fn count(run: &Run, context: &RunContext, kind: StepKind) -> usize {
    context.steps.iter().filter(|step| step.run == run.id && step.step.kind == kind).count()
}

/// What the stored steps leave to be done.
fn next(run: &Run, context: &RunContext) -> Next {
    let mine = || context.steps.iter().filter(|step| step.run == run.id);
    let last = mine().rfind(|step| step.step.kind == StepKind::Model && !step.superseded);
    let Some(last) = last else { return Next::Model };
    let has_result = |call: &Call| {
        mine()
            .any(|step| step.step.kind == StepKind::Tool && step.step.call_id.as_ref() == Some(&call.call_id))
    };
    let items: Vec<Item> = transcript::stored_items(last);
    let open: Vec<Call> = item::calls(&items).into_iter().filter(|call| !has_result(call)).collect();
    if open.is_empty() { Next::Model } else { Next::Tools(open, last.step.turn) }
}

/// A step that goes with the next commit.
fn unsaved(run: &Run, step: &NewStep) -> Step {
    Step { run: run.id, seq: i64::MAX, superseded: false, step: step.clone() }
}

/// A tool's step.
pub(crate) fn tool_step(
    call: &Call,
    result: String,
    turn: i64,
    milliseconds: u32,
    now: Timestamp,
) -> NewStep {
    NewStep {
        kind: StepKind::Tool,
        name: call.name.clone(),
        call_id: Some(call.call_id.clone()),
        arguments: call.arguments.clone(),
        result,
        turn,
        milliseconds,
        tokens: 0,
        created_at: now,
    }
}

/// Whether Cal.com was found missing in this run.
pub(crate) fn calendar_is_missing(run: &Run, context: &RunContext, progress: &Progress) -> bool {
    let stored = context.steps.iter().filter(|step| step.run == run.id).map(|step| &step.step);
    stored
        .chain(&progress.steps)
        .any(|step| step.kind == StepKind::Tool && tools::says_not_connected(&step.result))
}
