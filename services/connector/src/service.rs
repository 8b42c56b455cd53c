//! The gRPC services: decode, do, encode. This is `ConnectorService`; those of the
//! live calls are below.

mod calendar;
mod messaging;
mod model;

use coachbot_common::fault::to_status;
use coachbot_common::rpc::deadline_of;
use coachbot_integrations::from_wire;
use coachbot_proto::connector::v1::connector_service_server::ConnectorService;
use coachbot_proto::connector::v1::{VerifyDraftRequest, VerifyDraftResponse, VerifyRequest, VerifyResponse};
use tonic::{Request, Response, Status};

use crate::convert::Subject;
use crate::deadline::Deadline;
use crate::error::{DOMAIN, Error};
use crate::verify::Verifier;

pub use calendar::Calendar;
pub use messaging::Messaging;
pub use model::Model;

/// `coachbot.connector.v1.ConnectorService`.
#[derive(Clone)]
pub struct Connector {
    verifier: Verifier,
}

impl Connector {
    /// Takes what does the work.
    #[must_use]
    pub const fn new(verifier: Verifier) -> Self {
        Self { verifier }
    }
}

#[tonic::async_trait]
impl ConnectorService for Connector {
    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        let request = request.into_inner();
        let found = async {
            let subject = Subject::new(&request.workspace_id, request.provider)?;
            self.verifier.stored(subject, deadline).await
        };
        let verification = Some(found.await.map_err(refuse)?);
        Ok(Response::new(VerifyResponse { verification }))
    }

    async fn verify_draft(
        &self,
        request: Request<VerifyDraftRequest>,
    ) -> Result<Response<VerifyDraftResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        let request = request.into_inner();
        // First of all, so that the texts are wiped whatever comes.
        let draft = from_wire(request.fields);
        let found = async {
            let subject = Subject::new(&request.workspace_id, request.provider)?;
            self.verifier.draft(subject, &draft, deadline).await
        };
        let verification = Some(found.await.map_err(refuse)?);
        Ok(Response::new(VerifyDraftResponse { verification }))
    }
}

fn refuse(error: Error) -> Status {
    to_status(&error, DOMAIN)
}
