//! Runs the tools that an answer asks for.

use std::time::Instant;

use coachbot_common::clock::{milliseconds, to_wire};
use coachbot_common::fault::FaultKind;
use coachbot_common::rpc::with_deadline;
use coachbot_proto::connector::v1::{GetEventTypeRequest, ListSlotsRequest};
use serde_json::Value;
use tracing::{info, warn};

use crate::agent::Agent;
use crate::connector::{Cause, Failure, READ};
use crate::conversation::Author;
use crate::escalation::Reason;
use crate::intent::{Booked, Intent, Payload, State};
use crate::item::Call;
use crate::prompt::zone;
use crate::store::{BookingStart, Progress, Run, RunContext, Settled, StepKind, StoreError, Wish};
use crate::tools::{self, Asked, Attendee, InvalidAttendee, MOST_TOOLS, failed};
use crate::turn::{Flow, calendar_is_missing, count, tool_step};

/// What a tool came to.
enum Outcome {
    /// Its result.
    Result(String),
    /// Its result is stored already.
    Stored,
    /// The run ends here, or waits.
    End,
}

impl Agent {
    /// Runs the calls in order. Those that only read are stored with the next
    /// commit: they can be run again.
    pub(crate) async fn run_tools(
        &self,
        run: &mut Run,
        context: &RunContext,
        progress: &mut Progress,
        (calls, turn): (Vec<Call>, i64),
    ) -> Result<Flow, StoreError> {
        let left = MOST_TOOLS.saturating_sub(count(run, context, StepKind::Tool));
        for (index, call) in calls.into_iter().enumerate() {
            if index >= left {
                return self.give_up(run, progress, Reason::BudgetExhausted, turn).await;
            }
            info!(run = %run.id, tool = known_name(&call.name), "a tool runs");
            let began = Instant::now();
            let outcome = match tools::arguments(&call.arguments) {
                // A slip that the model may mend; one that goes on ends at the budget.
                Err(error) => Outcome::Result(failed(error)),
                Ok(arguments) => match call.name.as_str() {
                    "listSlots" => self.list_slots(run, context, progress, &arguments).await?,
                    "bookConsult" => {
                        self.book_consult(run, context, progress, (&call, turn), &arguments).await?
                    }
                    "escalate" => {
                        let step = tool_step(&call, tools::done(), turn, 0, self.now());
                        // The missing calendar raised its escalation: this is that one.
                        let missing = calendar_is_missing(run, context, progress);
                        progress.steps.push(step);
                        if !missing {
                            return self.give_up(run, progress, Reason::PersonNeeded, turn).await;
                        }
                        Outcome::Stored
                    }
                    _ => broken(progress, "There is no tool of that name."),
                },
            };
            match outcome {
                Outcome::Result(result) => {
                    let took = milliseconds(began.elapsed());
                    progress.steps.push(tool_step(&call, result, turn, took, self.now()));
                }
                Outcome::Stored => {}
                Outcome::End => return Ok(Flow::End),
            }
        }
        Ok(Flow::GoOn)
    }

    async fn list_slots(
        &self,
        run: &Run,
        context: &RunContext,
        progress: &mut Progress,
        arguments: &Value,
    ) -> Result<Outcome, StoreError> {
        let window = match tools::window(arguments, &zone(&context.facts.timezone), self.now()) {
            Ok(window) => window,
            Err(error) => return Ok(Outcome::Result(failed(error))),
        };
        let request = ListSlotsRequest {
            workspace_id: run.workspace.to_string(),
            from: Some(to_wire(window.from)),
            until: Some(to_wire(window.until)),
        };
        let mut calendar = self.connector.calendar();
        let asking = calendar.list_slots(with_deadline(request, READ));
        let renew = || self.store.renew_run(run, self.lease());
        let Some(answer) = self.while_renewing(asking, renew).await else {
            return Err(StoreError::Overtaken);
        };
        match answer {
            Ok(slots) => {
                let (result, any) = tools::slots_answer(&slots.into_inner(), window, self.now());
                progress.offered |= any;
                Ok(Outcome::Result(result))
            }
            Err(status) => self.without_calendar(run, progress, &Failure::of(&status)).await,
        }
    }

    /// What a calendar that cannot be read means.
    async fn without_calendar(
        &self,
        run: &Run,
        progress: &mut Progress,
        failure: &Failure,
    ) -> Result<Outcome, StoreError> {
        let code = failure.word();
        warn!(run = %run.id, code, "the calendar cannot be read");
        match failure.cause {
            Some(Cause::NotConnected) => progress.escalations.push(Reason::CalendarNotConnected),
            Some(Cause::CredentialRejected) => progress.escalations.push(Reason::CalendarKeyRejected),
            Some(Cause::NotFound | Cause::Refused) => progress.escalations.push(Reason::CalendarNeedsSetup),
            // The vault is locked or away, or the connector is: nothing goes without them.
            Some(Cause::CannotDecrypt) => return self.until_it_returns(run, failure).await,
            None if failure.kind == FaultKind::Unavailable => {
                return self.until_it_returns(run, failure).await;
            }
            _ => {}
        }
        Ok(Outcome::Result(failed(tools::refusal_text(&code))))
    }

    async fn until_it_returns(&self, run: &Run, failure: &Failure) -> Result<Outcome, StoreError> {
        let now = self.now();
        self.put_off(run, failure, run.failing_since.unwrap_or(now), now).await?;
        Ok(Outcome::End)
    }

    async fn book_consult(
        &self,
        run: &mut Run,
        context: &RunContext,
        progress: &mut Progress,
        (call, turn): (&Call, i64),
        arguments: &Value,
    ) -> Result<Outcome, StoreError> {
        // Begun before a crash, or put aside until its outcome is known.
        if let Some(intent) = self.store.find_intent_of_call(run.workspace, run.id, &call.call_id).await? {
            return self.resume_booking(run, &intent).await;
        }
        let payload = match self.wish(run, context, arguments).await? {
            Ok(payload) => payload,
            Err(Refused::Rule(words)) => return Ok(broken(progress, &words)),
            Err(Refused::Asked(words)) => return Ok(Outcome::Result(failed(&words))),
        };
        let wish = Wish { call_id: call.call_id.clone(), payload, turn };
        let stored = std::mem::take(progress);
        let intent = match self.store.begin_booking(run, &stored, &wish, self.now(), self.lease()).await? {
            BookingStart::Go(intent) => intent,
            BookingStart::Newer => {
                run.reloads += 1;
                return Ok(Outcome::Result(failed(tools::refusal_text("NEWER_MESSAGE"))));
            }
            BookingStart::Taken(start) => {
                let words = format!("There is a booking in this conversation already, at {start}.");
                return Ok(Outcome::Result(failed(&words)));
            }
            BookingStart::Stopped => {
                self.store.finish_run(run, progress, turn, self.now()).await?;
                return Ok(Outcome::End);
            }
        };
        let began = Instant::now();
        let asking = self.ask(&intent);
        let renew = || self.store.renew_run(run, self.lease());
        let Some(Some(settled)) = self.while_renewing(asking, renew).await else {
            return Err(StoreError::Overtaken);
        };
        let result = result_of(&settled);
        let waits = result.is_none();
        let mut step = Progress::default();
        if let Some(result) = result {
            let took = milliseconds(began.elapsed());
            step.steps.push(tool_step(call, result, turn, took, self.now()));
        }
        self.store.settle_booking(run, &step, (&intent, &settled), self.now(), self.lease()).await?;
        Ok(if waits { Outcome::End } else { Outcome::Stored })
    }

    /// Goes on with a booking that was begun.
    async fn resume_booking(&self, run: &Run, intent: &Intent) -> Result<Outcome, StoreError> {
        let code = match intent.state {
            State::Planned | State::Sending | State::Unknown => {
                // Settled this very moment: look again.
                if self.store.park_run(run, self.lease()).await? {
                    return Ok(Outcome::End);
                }
                return Err(StoreError::Overtaken);
            }
            State::Accepted | State::Delivered => {
                if let Some(found) = self.store.find_booking(intent.workspace, intent.id).await? {
                    return Ok(Outcome::Result(tools::booked(found.start, found.state)));
                }
                "UNKNOWN".to_owned()
            }
            State::Failed | State::Dropped => intent.code.clone().unwrap_or_default(),
        };
        Ok(Outcome::Result(failed(tools::refusal_text(&code))))
    }

    /// Reads what the model wants booked: only a slot that was offered, only for
    /// the lead.
    async fn wish(
        &self,
        run: &Run,
        context: &RunContext,
        arguments: &Value,
    ) -> Result<Result<Payload, Refused>, StoreError> {
        const NOT_OFFERED: &str =
            "start must be one of the slots that listSlots returned in the last 30 minutes. Call listSlots.";
        let asked = Asked::read(arguments);
        let now = self.now();
        let start = asked.start.and_then(tools::start_of).filter(|start| *start > now);
        let offered = start.and_then(|start| Some((start, tools::was_offered(&context.steps, start, now)?)));
        let Some((start, timezone)) = offered else {
            // One that was offered earlier is merely too old.
            let known = start.is_some_and(|start| tools::was_ever_offered(&context.steps, start));
            let words = NOT_OFFERED.to_owned();
            return Ok(Err(if known { Refused::Asked(words) } else { Refused::Rule(words) }));
        };
        let written = context.messages.iter().filter(|message| message.author == Author::Lead);
        let given = written.map(|message| message.text.as_str()).chain(context.lead.email.as_deref());
        let attendee = match Attendee::parse(asked.name, asked.email, given) {
            Ok(attendee) => attendee,
            Err(foreign @ InvalidAttendee::ForeignEmail) => {
                return Ok(Err(Refused::Rule(foreign.to_string())));
            }
            Err(error) => return Ok(Err(Refused::Asked(error.to_string()))),
        };
        if attendee.email.is_none() && !self.email_is_optional(run).await? {
            return Ok(Err(Refused::Asked(
                "email is needed: ask the lead for their e-mail address.".to_owned(),
            )));
        }
        let phone = context.lead.phone.clone();
        Ok(Ok(Payload::Booking { start, name: attendee.name, email: attendee.email, phone, timezone }))
    }

    async fn email_is_optional(&self, run: &Run) -> Result<bool, StoreError> {
        let request = GetEventTypeRequest { workspace_id: run.workspace.to_string() };
        let mut calendar = self.connector.calendar();
        let asking = calendar.get_event_type(with_deadline(request, READ));
        let renew = || self.store.renew_run(run, self.lease());
        match self.while_renewing(asking, renew).await {
            None => Err(StoreError::Overtaken),
            Some(Ok(event_type)) => Ok(event_type.into_inner().email_optional),
            Some(Err(_)) => Ok(false),
        }
    }
}

/// Why a wish to book is refused.
enum Refused {
    /// The lead has to be asked, or slots listed again.
    Asked(String),
    /// The model made something up.
    Rule(String),
}

/// The model is told, and so is the coach: it asked for what it may not have.
fn broken(progress: &mut Progress, words: &str) -> Outcome {
    progress.escalations.push(Reason::ModelBrokeRules);
    Outcome::Result(failed(words))
}

/// What the model is told; `None` while nothing is known.
fn result_of(settled: &Settled) -> Option<String> {
    Some(match settled {
        Settled::Booked(Booked { start, state, .. }) => tools::booked(*start, *state),
        Settled::Failed { code, .. } => failed(tools::refusal_text(code)),
        Settled::Dropped | Settled::Accepted { .. } => failed(tools::refusal_text("")),
        Settled::Again { .. } | Settled::Unknown { .. } => return None,
    })
}

/// A name that may be logged: the model may write anything there.
fn known_name(name: &str) -> &'static str {
    match name {
        "listSlots" => "listSlots",
        "bookConsult" => "bookConsult",
        "escalate" => "escalate",
        _ => "unknown",
    }
}
