//! Asking the model for the next step.

use std::time::Instant;

use coachbot_common::clock::milliseconds;
use coachbot_common::rpc::with_deadline;
use coachbot_common::secret::sha256;
use coachbot_proto::connector::v1::{GenerateRequest, GenerateResponse};
use jiff::Timestamp;

use crate::connector::{Connector, Failure, MODEL};
use crate::item::{self, Call, Item};
use crate::store::{NewStep, RunContext, StepKind};
use crate::{prompt, tools, transcript};

/// The longest answer, reasoning included.
const OUTPUT_TOKENS: u32 = 4096;

/// What the model put out.
#[derive(Clone)]
pub struct Answer {
    /// Everything, in order.
    pub items: Vec<Item>,
    /// Whether it was cut.
    pub incomplete: bool,
    /// The model that answered.
    model: String,
    tokens: u64,
    milliseconds: u32,
}

impl Answer {
    /// The tools that it asks for.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        item::calls(&self.items)
    }

    /// What it cost.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The answer as a step.
    #[must_use]
    pub fn into_step(self, turn: i64, now: Timestamp) -> NewStep {
        NewStep {
            kind: StepKind::Model,
            name: self.model,
            call_id: None,
            arguments: "{}".to_owned(),
            result: serde_json::to_string(&self.items).unwrap_or_else(|_| "[]".to_owned()),
            turn,
            milliseconds: self.milliseconds,
            tokens: self.tokens,
            created_at: now,
        }
    }
}

/// Asks once.
///
/// # Errors
/// [`Failure`] says what to do about it.
pub async fn ask(connector: &Connector, context: &RunContext, now: Timestamp) -> Result<Answer, Failure> {
    let began = Instant::now();
    let request = request(context, now);
    let answer = connector.model().generate(with_deadline(request, MODEL)).await;
    let answer = answer.map_err(|status| Failure::of(&status))?.into_inner();
    Ok(read(answer, milliseconds(began.elapsed())))
}

fn read(answer: GenerateResponse, milliseconds: u32) -> Answer {
    Answer {
        items: answer.items.into_iter().filter_map(Item::from_wire).collect(),
        incomplete: answer.incomplete_reason.is_some(),
        model: answer.model,
        tokens: u64::from(answer.input_tokens) + u64::from(answer.output_tokens),
        milliseconds,
    }
}

fn request(context: &RunContext, now: Timestamp) -> GenerateRequest {
    let standing = &context.standing;
    GenerateRequest {
        workspace_id: standing.workspace.to_string(),
        instructions: prompt::instructions(context, now),
        items: transcript::items(context).into_iter().map(Item::into_wire).collect(),
        tools: tools::specs(),
        max_output_tokens: OUTPUT_TOKENS,
        safety_identifier: hex::encode(sha256(
            format!("{}/{}", standing.workspace, standing.lead).as_bytes(),
        )),
    }
}
