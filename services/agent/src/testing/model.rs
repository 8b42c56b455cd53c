use coachbot_proto::connector::v1::item::Kind;
use coachbot_proto::connector::v1::model_service_server::ModelService;
use coachbot_proto::connector::v1::{GenerateRequest, GenerateResponse};
use tonic::{Request, Response, Status};

use super::{FakeConnector, Operation, response, say};

#[tonic::async_trait]
impl ModelService for FakeConnector {
    async fn generate(
        &self,
        request: Request<GenerateRequest>,
    ) -> Result<Response<GenerateResponse>, Status> {
        let fault = self.begin(Operation::Generate).await?;
        let answer = self.play(request.into_inner());
        self.end(fault).await?;
        Ok(Response::new(answer))
    }
}

impl FakeConnector {
    fn play(&self, request: GenerateRequest) -> GenerateResponse {
        let mut state = self.state();
        let broken = broken_promises(&request);
        state.violations.extend(broken);
        let answer = match (state.answers.pop_front(), &mut state.script) {
            (Some(answer), _) => answer,
            (None, Some(script)) => script(&request),
            (None, None) => response([say("Hello!")]),
        };
        state.asked.push(request);
        answer
    }
}

/// What every request keeps: each tool call is answered exactly once, and behind
/// it.
fn broken_promises(request: &GenerateRequest) -> Vec<String> {
    let mut open = Vec::new();
    let mut broken = Vec::new();
    for item in &request.items {
        match &item.kind {
            Some(Kind::ToolCall(call)) => open.push(call.call_id.clone()),
            Some(Kind::ToolResult(result)) => match open.iter().position(|id| *id == result.call_id) {
                Some(index) => drop(open.remove(index)),
                None => broken.push(format!("a result without a call: {}", result.call_id)),
            },
            Some(Kind::UserText(_)) if !open.is_empty() => broken.push("a call left open".to_owned()),
            Some(_) => {}
            None => broken.push("an item of no kind".to_owned()),
        }
    }
    broken.extend(open.into_iter().map(|id| format!("a call without a result: {id}")));
    if request.max_output_tokens < 16 {
        broken.push("max_output_tokens below 16".to_owned());
    }
    broken
}
