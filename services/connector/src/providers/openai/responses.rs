//! A model's turn by the Responses API
//! (<https://developers.openai.com/api/docs/guides/migrate-to-responses>).

use coachbot_proto::connector::v1::GenerateResponse;
use serde_json::value::RawValue;
use tracing::warn;

use super::input::{Body, Optional, input};
use super::output;
use super::wire::{self, Named};
use crate::failure::Reason;
use crate::http::{Answer, BaseUrl, Operation, Request};
use crate::providers::call::{Caller, Failed, Nature, settled, unreadable, word};
use crate::providers::credentials::Openai;
use crate::providers::is_json_object;

/// What a model is asked.
pub(crate) struct Prompt {
    /// What it is and how it behaves.
    pub instructions: String,
    /// The conversation so far.
    pub items: Vec<Step>,
    /// What it may ask for.
    pub tools: Vec<Tool>,
    /// Its bound, reasoning included.
    pub max_output_tokens: u32,
    /// A hash that stands for the lead; may be empty.
    pub safety_identifier: String,
}

/// One step of a conversation.
pub(crate) enum Step {
    /// What the lead wrote.
    User(String),
    /// What the model, or a person in its place, wrote.
    Assistant { text: String, commentary: bool },
    /// A tool that the model wants to be run.
    Call { call_id: String, name: String, arguments: String },
    /// What it answered.
    Result { call_id: String, output: String },
    /// An item that only its model understands.
    Opaque { model: String, json: Box<RawValue> },
}

/// A tool.
pub(crate) struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// A JSON Schema.
    pub parameters: Box<RawValue>,
}

/// The models of one account.
pub(crate) struct Model<'a> {
    pub(in crate::providers) caller: Caller<'a>,
    pub(in crate::providers) base: &'a BaseUrl,
    pub(in crate::providers) own: &'a Openai,
    pub(in crate::providers) model: &'a str,
}

/// What an answer asks us to do.
enum Turn {
    Done(GenerateResponse),
    /// Ask again without this.
    Without(Optional),
}

impl Model<'_> {
    /// Asks for the next turn. A refusal that names a parameter which the request
    /// can do without is asked again, once: nothing was generated.
    pub(crate) async fn generate(&self, prompt: &Prompt) -> Result<GenerateResponse, Failed> {
        let mut body = Body {
            model: self.model,
            instructions: &prompt.instructions,
            store: false,
            input: input(&prompt.items, self.model),
            tools: prompt.tools.iter().map(Into::into).collect(),
            parallel_tool_calls: (!prompt.tools.is_empty()).then_some(false),
            max_output_tokens: prompt.max_output_tokens,
            safety_identifier: Some(prompt.safety_identifier.as_str()).filter(|text| !text.is_empty()),
        };
        let optional = match self.ask(&body, Some(&body)).await? {
            Turn::Done(turn) => return Ok(turn),
            Turn::Without(optional) => optional,
        };
        warn!(parameter = optional.name(), "the model does not take a parameter: asked again without it");
        body.leave_out(optional);
        match self.ask(&body, None).await? {
            Turn::Done(turn) => Ok(turn),
            Turn::Without(_) => Err(Failed::new(Reason::Refused, "unsupported_parameter")),
        }
    }

    async fn ask(&self, body: &Body<'_>, may_shorten: Option<&Body<'_>>) -> Result<Turn, Failed> {
        let text = serde_json::to_string(body).expect("texts, numbers and JSON are JSON");
        let request =
            Request::post_json(Operation::OpenaiCreateResponse, self.base.below(&["responses"]), text)
                .authorization(self.own.authorization());
        self.caller.once(Nature::Turn, request, |answer| self.judge(answer, may_shorten)).await
    }

    fn judge(&self, answer: &Answer, may_shorten: Option<&Body<'_>>) -> Result<Turn, Failed> {
        let unwanted = || may_shorten?.sent(wire::unsupported(answer)?.as_str());
        if let Some(optional) = unwanted() {
            return Ok(Turn::Without(optional));
        }
        if let Some(failed) = failure(answer) {
            return Err(failed);
        }
        let response: output::Response<'_> = answer.json().ok_or_else(|| unreadable(Nature::Turn, answer))?;
        if let Some(failed) = response.failure(answer) {
            return Err(failed);
        }
        let request_id = answer.header("x-request-id").unwrap_or_default();
        let turn = response.turn(self.model, request_id);
        turn.map(Turn::Done).ok_or_else(|| unreadable(Nature::Turn, answer))
    }
}

/// What is wrong with an answer that is no success. The code comes before the
/// status: it names causes that share a status with a bad key.
fn failure(answer: &Answer) -> Option<Failed> {
    if answer.status.is_success() {
        return settled(Nature::Turn, answer, None);
    }
    let code = wire::code_of(answer);
    let by = |reason| Some(Failed::by(reason, answer, code.as_deref().and_then(word)));
    if answer.status.is_client_error()
        && let Some(named) = wire::cause_of(answer)
    {
        return match named {
            Named::Quota => by(Reason::NoQuota),
            // The key is good, and another one is needed all the same.
            Named::Scope => by(Reason::CredentialRejected),
            Named::Region | Named::Country => by(Reason::Refused),
            Named::Model => by(Reason::NotFound),
        };
    }
    if let Some(failed) = settled(Nature::Turn, answer, code.as_deref().and_then(word)) {
        return Some(failed);
    }
    match answer.status.as_u16() {
        401 => by(Reason::CredentialRejected),
        _ if !is_json_object(answer) => Some(unreadable(Nature::Turn, answer)),
        // Another base URL than the provider's.
        404 => Some(unreadable(Nature::Turn, answer)),
        // A conflict passes.
        409 => by(Reason::ProviderAway),
        _ => by(Reason::Refused),
    }
}
