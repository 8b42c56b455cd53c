//! A connector that finds what a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coachbot_proto::connector::v1::connector_service_server::ConnectorService;
use coachbot_proto::connector::v1::*;
use coachbot_proto::types::v1::{Probe, Verdict, Verification, Warning};
use tonic::{Request, Response, Status};

#[derive(Clone, Default)]
pub struct FakeConnector(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answer: Option<Result<Verification, Status>>,
    drafts: Vec<BTreeMap<String, String>>,
}

/// A check with everything in it.
pub fn verification(verdict: Verdict, field: Option<&str>, message: &str) -> Verification {
    Verification {
        verdict: verdict.into(),
        field: field.map(str::to_owned),
        message: message.to_owned(),
        fix: (verdict != Verdict::Ok).then(|| "Look there.".to_owned()),
        checked_at: Some(prost_types::Timestamp { seconds: 1_795_608_000, nanos: 500_000_000 }),
        probes: vec![
            Probe { name: "models".to_owned(), http_status: Some(200), milliseconds: 183 },
            Probe { name: "models".to_owned(), http_status: None, milliseconds: 5 },
        ],
        warnings: match verdict {
            Verdict::OkWithWarning => {
                vec![Warning { code: "MODEL_SHUTS_DOWN".to_owned(), message: "It goes soon.".to_owned() }]
            }
            _ => Vec::new(),
        },
    }
}

impl FakeConnector {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers so from now on.
    pub fn find(&self, answer: Result<Verification, Status>) {
        self.state().answer = Some(answer);
    }

    /// The drafts that it was given.
    pub fn drafts(&self) -> Vec<BTreeMap<String, String>> {
        self.state().drafts.clone()
    }

    fn answer(&self) -> Result<Verification, Status> {
        let all_well = || Ok(verification(Verdict::Ok, None, "OpenAI accepted the credentials."));
        self.state().answer.clone().unwrap_or_else(all_well)
    }
}

#[tonic::async_trait]
impl ConnectorService for FakeConnector {
    async fn verify(&self, _: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        Ok(Response::new(VerifyResponse { verification: Some(self.answer()?) }))
    }

    async fn verify_draft(
        &self,
        request: Request<VerifyDraftRequest>,
    ) -> Result<Response<VerifyDraftResponse>, Status> {
        self.state().drafts.push(request.into_inner().fields);
        Ok(Response::new(VerifyDraftResponse { verification: Some(self.answer()?) }))
    }
}
