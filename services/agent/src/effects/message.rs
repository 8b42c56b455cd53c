use coachbot_common::clock::{from_wire, to_wire};
use coachbot_common::rpc::with_deadline;
use coachbot_proto::connector::v1::{
    ListMessagesRequest, ProviderMessage, SendMessageRequest, Template, Text,
};
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};
use url::Url;

use super::refusals::{failure_words, of_wire};
use super::{FIRST_LOOK, SECOND_LOOK, evidence_from, look_again, pause};
use crate::connector::{Cause, Connector, EFFECT, Effect, Failure, READ};
use crate::conversation::MessageStatus;
use crate::escalation::Reason;
use crate::intent::{Intent, Payload, Purpose};
use crate::store::{Settled, failure_reason};

/// What cannot be found out within a day will not be.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);

/// Asks the provider to send a message, once.
pub async fn send(
    connector: &Connector,
    public_url: &Url,
    intent: &Intent,
    now: impl Fn() -> Timestamp,
) -> Settled {
    let Some(request) = request(public_url, intent) else { return Settled::Dropped };
    let answer = connector.messaging().send_message(with_deadline(request, EFFECT)).await;
    match answer {
        Ok(answer) => {
            let answer = answer.into_inner();
            let status = of_wire(answer.status());
            Settled::Accepted { provider_id: answer.provider_message_id, status, failure: None }
        }
        Err(status) => settled(intent, &Failure::of(&status), now()),
    }
}

fn request(public_url: &Url, intent: &Intent) -> Option<SendMessageRequest> {
    let base = public_url.as_str().trim_end_matches('/');
    let callback = format!("{base}/webhooks/twilio/{}/status/{}", intent.workspace, intent.id);
    let mut request = SendMessageRequest {
        workspace_id: intent.workspace.to_string(),
        status_callback_url: callback,
        ..SendMessageRequest::default()
    };
    match &intent.payload {
        Payload::Text { to, body } => {
            request.to.clone_from(to);
            request.text = Some(Text { body: body.clone() });
        }
        Payload::Template { to, content_sid, variables } => {
            request.to.clone_from(to);
            let variables = variables.clone().into_iter().collect();
            request.template = Some(Template { content_sid: content_sid.clone(), variables });
        }
        Payload::Booking { .. } => return None,
    }
    Some(request)
}

/// What a failed send means.
fn settled(intent: &Intent, failure: &Failure, now: Timestamp) -> Settled {
    if failure.cause == Some(Cause::NotConnected) {
        warn!(intent = %intent.id, "twilio is not connected, the message is dropped");
        return Settled::Dropped;
    }
    match failure.effect() {
        Effect::Refused => {
            let code = failure.word();
            warn!(intent = %intent.id, code, "a message was refused");
            Settled::Failed {
                message: failure_words(&code),
                escalation: escalation(intent.purpose, &code),
                code,
            }
        }
        Effect::NotYet => {
            info!(intent = %intent.id, code = failure.word(), "a message waits");
            let failing_since = intent.failing_since.unwrap_or(now);
            if failing_since + GIVE_UP < now {
                let code = failure.word();
                return Settled::Failed {
                    message: failure_words(&code),
                    escalation: Some(Reason::SendFailed),
                    code,
                };
            }
            Settled::Again {
                due_at: pause(intent.attempts, failure.retry_at, now),
                failing_since: Some(failing_since),
            }
        }
        Effect::Unknown => {
            warn!(intent = %intent.id, code = failure.word(), "the answer to a message was lost");
            Settled::Unknown { due_at: now + FIRST_LOOK, absent_at: None, code: None }
        }
    }
}

fn escalation(purpose: Purpose, code: &str) -> Option<Reason> {
    (code != "21610").then(|| failure_reason(purpose, code))
}

/// Looks for a message whose answer was lost. It is sent again only when the
/// provider twice did not have it, some seconds apart.
///
/// `known` are the provider's ids that belong to other messages of ours.
pub async fn find_message(
    connector: &Connector,
    intent: &Intent,
    known: &[String],
    now: impl Fn() -> Timestamp,
) -> Settled {
    let (to, body) = match &intent.payload {
        Payload::Text { to, body } => (to, Some(body.as_str())),
        // What the provider makes of a template is not known here.
        Payload::Template { to, .. } => (to, None),
        Payload::Booking { .. } => return Settled::Dropped,
    };
    let from = evidence_from(intent, now());
    let request = ListMessagesRequest {
        workspace_id: intent.workspace.to_string(),
        to: Some(to.clone()),
        created_from: Some(to_wire(from)),
    };
    let answer = connector.messaging().list_messages(with_deadline(request, READ)).await;
    let now = now();
    match answer {
        Ok(answer) => {
            let messages = answer.into_inner().messages;
            match messages.iter().rev().find(|found| is_it(found, to, body, from, known)) {
                Some(found) => accepted(found),
                None => absent(intent, now),
            }
        }
        Err(status) => {
            let failure = Failure::of(&status);
            warn!(intent = %intent.id, code = failure.word(), "evidence of a message cannot be read");
            if intent.sending_at.is_some_and(|at| at + GIVE_UP < now) {
                let code = "UNKNOWN".to_owned();
                return Settled::Failed {
                    message: failure_words(&code),
                    escalation: Some(Reason::SendFailed),
                    code,
                };
            }
            let due_at = look_again(&failure, now);
            Settled::Unknown { due_at, absent_at: intent.absent_at, code: None }
        }
    }
}

fn is_it(found: &ProviderMessage, to: &str, body: Option<&str>, from: Timestamp, known: &[String]) -> bool {
    let in_time = found.created_at.as_ref().and_then(from_wire).is_none_or(|at| at >= from);
    found.outbound
        && found.to == to
        && in_time
        && body.is_none_or(|body| found.body.trim() == body.trim())
        && !known.contains(&found.provider_message_id)
}

fn accepted(found: &ProviderMessage) -> Settled {
    let status = of_wire(found.status());
    let failure = (status == MessageStatus::Failed).then(|| {
        let code = found.error_code.map_or_else(|| "FAILED".to_owned(), |code| code.to_string());
        let words = failure_words(&code);
        (code, words)
    });
    Settled::Accepted { provider_id: found.provider_message_id.clone(), status, failure }
}

fn absent(intent: &Intent, now: Timestamp) -> Settled {
    match intent.absent_at {
        Some(first) if first + SECOND_LOOK <= now => {
            info!(intent = %intent.id, "a message was twice not there and is sent again");
            Settled::Again { due_at: pause(intent.attempts, None, now), failing_since: None }
        }
        first => {
            let first = first.unwrap_or(now);
            Settled::Unknown { due_at: first + SECOND_LOOK, absent_at: Some(first), code: None }
        }
    }
}
