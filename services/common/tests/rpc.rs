//! The stack, laid directly and over a socket: the same answers in both.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::net::SocketAddr;
use std::time::Duration;

use coachbot_common::config::Security;
use coachbot_common::fault::FaultKind;
use coachbot_common::lifecycle::Stop;
use coachbot_common::rpc::{self, Identity, Policy, Rpc, Transport, with_deadline};
use coachbot_common::testing::Authority;
use coachbot_proto::connector::v1::connector_service_client::ConnectorServiceClient;
use coachbot_proto::connector::v1::connector_service_server::{ConnectorService, ConnectorServiceServer};
use coachbot_proto::connector::v1::{VerifyDraftRequest, VerifyDraftResponse, VerifyRequest, VerifyResponse};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use url::Url;

const VERIFY: &str = "/coachbot.connector.v1.ConnectorService/Verify";
const POLICY: Policy = Policy::new(&[(VERIFY, &[Identity::Gateway, Identity::Internal])]);

/// Does what the workspace id says.
#[derive(Clone)]
struct Sample;

#[tonic::async_trait]
impl ConnectorService for Sample {
    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        let caller = rpc::caller(request.extensions()).expect("the stack finds out who calls");
        match request.into_inner().workspace_id.as_str() {
            "panic" => panic!("as the test wants"),
            "hang" => std::future::pending().await,
            "who" => Err(Status::not_found(caller.name())),
            _ => Ok(Response::new(VerifyResponse::default())),
        }
    }

    async fn verify_draft(
        &self,
        _: Request<VerifyDraftRequest>,
    ) -> Result<Response<VerifyDraftResponse>, Status> {
        unreachable!("the table closes it")
    }
}

struct Served {
    url: Url,
    stop: Stop,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(security: Security, everyone: Option<Identity>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let scheme = if security == Security::Plain { "http" } else { "https" };
    let host = if security == Security::Plain { "127.0.0.1" } else { "localhost" };
    let url = Url::parse(&format!("{scheme}://{host}:{}", address.port())).unwrap();
    let stop = Stop::new();
    let offered = Rpc {
        routes: tonic::service::Routes::new(ConnectorServiceServer::new(Sample)),
        names: vec!["coachbot.connector.v1.ConnectorService"],
        policy: POLICY,
        security,
        everyone,
        descriptors: coachbot_proto::DESCRIPTORS,
    };
    tokio::spawn(rpc::serve(offered, listener, stop.clone()));
    Served { url, stop }
}

fn direct(caller: Identity) -> Transport {
    rpc::direct(ConnectorServiceServer::new(Sample), POLICY, caller)
}

async fn ask(transport: &Transport, what: &str, limit: Duration) -> Result<(), Status> {
    let request = VerifyRequest { workspace_id: what.to_owned(), provider: 1 };
    ConnectorServiceClient::new(transport.clone()).verify(with_deadline(request, limit)).await.map(drop)
}

const LONG: Duration = Duration::from_secs(10);

async fn both() -> (Served, [(&'static str, Transport); 2]) {
    let served = serve(Security::Plain, None).await;
    let socket = rpc::connect(&served.url, &Security::Plain, Identity::Gateway).unwrap();
    (served, [("direct", direct(Identity::Gateway)), ("socket", socket)])
}

#[tokio::test]
async fn a_handler_that_panics_answers_internal_and_the_server_lives() {
    let (_served, transports) = both().await;
    for (mode, transport) in &transports {
        let refused = ask(transport, "panic", LONG).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal, "{mode}");
        assert_eq!(refused.message(), "internal error", "{mode}");
        ask(transport, "", LONG).await.unwrap();
    }
}

#[tokio::test]
async fn a_deadline_of_50_ms_is_obeyed() {
    let (_served, transports) = both().await;
    for (mode, transport) in &transports {
        let asked = tokio::time::timeout(LONG, ask(transport, "hang", Duration::from_millis(50)));
        let refused = asked.await.expect("the deadline ends the call").unwrap_err();
        assert_eq!(FaultKind::of(&refused), FaultKind::Timeout, "{mode}: {refused:?}");
    }
}

#[tokio::test]
async fn the_caller_is_known_and_what_is_not_listed_is_closed() {
    let (_served, transports) = both().await;
    for (mode, transport) in &transports {
        assert_eq!(ask(transport, "who", LONG).await.unwrap_err().message(), "gateway", "{mode}");
        let draft = with_deadline(VerifyDraftRequest::default(), LONG);
        let refused = ConnectorServiceClient::new(transport.clone()).verify_draft(draft).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{mode}");
    }
    assert_eq!(ask(&direct(Identity::Agent), "", LONG).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn on_a_port_that_is_offered_to_others_everyone_is_internal() {
    let served = serve(Security::Plain, Some(Identity::Internal)).await;
    let claims_more = rpc::connect(&served.url, &Security::Plain, Identity::Gateway).unwrap();
    assert_eq!(ask(&claims_more, "who", LONG).await.unwrap_err().message(), "internal");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let transport = rpc::connect(&url, &Security::Plain, Identity::Gateway).unwrap();
    assert_eq!(ask(&transport, "", LONG).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_certificate_says_who_calls_and_nothing_else_does() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ours = Authority::new();
    let served = serve(Security::Mtls(ours.files(Identity::Connector)), None).await;
    let as_identity = |authority: &Authority, identity| {
        let security = Security::Mtls(authority.files(identity));
        // The name given here is not sent: the certificate decides.
        rpc::connect(&served.url, &security, Identity::Gateway).unwrap()
    };
    let internal = as_identity(&ours, Identity::Internal);
    assert_eq!(ask(&internal, "who", LONG).await.unwrap_err().message(), "internal");
    let agent = as_identity(&ours, Identity::Agent);
    assert_eq!(ask(&agent, "who", LONG).await.unwrap_err().code(), Code::PermissionDenied);
    let stranger = as_identity(&Authority::new(), Identity::Gateway);
    assert_eq!(ask(&stranger, "who", LONG).await.unwrap_err().code(), Code::Unavailable);
    let mut plain_url = served.url.clone();
    plain_url.set_scheme("http").unwrap();
    let plain = rpc::connect(&plain_url, &Security::Plain, Identity::Gateway).unwrap();
    assert!(ask(&plain, "who", LONG).await.is_err_and(|status| status.code() != Code::NotFound));
}

#[tokio::test]
async fn a_server_tells_its_health_and_says_when_it_ends() {
    let served = serve(Security::Plain, None).await;
    let transport = rpc::connect(&served.url, &Security::Plain, Identity::Internal).unwrap();
    let mut health = HealthClient::new(transport);
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let watched = health.watch(of("coachbot.connector.v1.ConnectorService")).await.unwrap();
    let mut watched = watched.into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    assert_eq!(health.check(of("nobody")).await.unwrap_err().code(), Code::NotFound);
    served.stop.cancel();
    let last = watched.message().await.unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
}
