//! The services over real sockets, with the workers running: what each call
//! promises, and whom it refuses.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic too")]

use std::net::SocketAddr;
use std::time::Duration;

use coachbot_agent::testing::FakeConnector;
use coachbot_agent::{Config, SERVICES, Standalone};
use coachbot_common::clock::{Clock as _, SystemClock, to_wire};
use coachbot_common::config::Security;
use coachbot_common::db::Database;
use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_common::lifecycle::Stop;
use coachbot_common::rpc::{self, Identity, Rpc, Transport, connect, with_deadline};
use coachbot_proto::agent::v1::agent_service_client::AgentServiceClient;
use coachbot_proto::agent::v1::inbox_service_client::InboxServiceClient;
use coachbot_proto::agent::v1::settings_service_client::SettingsServiceClient;
use coachbot_proto::agent::v1::{
    Channel, DeleteLeadRequest, DeleteWorkspaceRequest, GetConversationRequest, GetLeadRequest,
    GetSettingsRequest, IngestLeadRequest, IngestMessageRequest, LeadSource, ListLeadsRequest, MessageStatus,
    Page, PutSettingsRequest, PutWorkspaceRequest, Settings,
};
use tokio::net::TcpListener;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

struct Server {
    address: SocketAddr,
    fake: FakeConnector,
    stop: Stop,
    _folder: tempfile::TempDir,
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A running agent, and a connector in memory behind a socket.
async fn server() -> Server {
    let stop = Stop::new();
    let fake = FakeConnector::new(SystemClock::shared());
    let (at, connector) = listener().await;
    let served = Rpc {
        routes: fake.routes(),
        names: vec![],
        policy: FakeConnector::policy(),
        security: Security::Plain,
        everyone: None,
        descriptors: coachbot_proto::DESCRIPTORS,
    };
    tokio::spawn(rpc::serve(served, at, stop.clone()));
    let folder = tempfile::tempdir().unwrap();
    let (at, address) = listener().await;
    let alone = Standalone {
        config: Config {
            database: Database::Sqlite(folder.path().join("agent.sqlite")),
            public_url: "https://bot.example".parse().unwrap(),
        },
        listen: address,
        connector: format!("http://{connector}").parse().unwrap(),
        security: Security::Plain,
    };
    tokio::spawn(coachbot_agent::run(alone, at, stop.clone()));
    Server { address, fake, stop, _folder: folder }
}

impl Server {
    fn transport(&self, caller: Identity) -> Transport {
        connect(&format!("http://{}", self.address).parse().unwrap(), &Security::Plain, caller).unwrap()
    }

    fn service(&self) -> AgentServiceClient<Transport> {
        AgentServiceClient::new(self.transport(Identity::Gateway))
    }

    fn inbox(&self) -> InboxServiceClient<Transport> {
        InboxServiceClient::new(self.transport(Identity::Gateway))
    }

    fn settings(&self) -> SettingsServiceClient<Transport> {
        SettingsServiceClient::new(self.transport(Identity::Gateway))
    }

    async fn put(&self, workspace: &str, name: &str, version: u64) {
        let request = PutWorkspaceRequest {
            workspace_id: workspace.into(),
            name: name.into(),
            channel: Channel::Whatsapp.into(),
            timezone: "Europe/London".into(),
            version,
        };
        self.service().put_workspace(limit(request)).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn limit<T>(message: T) -> Request<T> {
    with_deadline(message, Duration::from_secs(20))
}

fn workspace() -> String {
    WorkspaceId::from_uuid(new_id(SystemClock.now())).to_string()
}

fn message(workspace: &str, id: &str, text: &str) -> IngestMessageRequest {
    IngestMessageRequest {
        workspace_id: workspace.into(),
        provider_message_id: id.into(),
        from: "whatsapp:+447700900123".into(),
        external_user_id: None,
        profile_name: None,
        text: text.into(),
        media_types: vec![],
        received_at: Some(to_wire(SystemClock.now())),
    }
}

fn lead(workspace: &str, submission: &str, phone: &str) -> IngestLeadRequest {
    IngestLeadRequest {
        workspace_id: workspace.into(),
        submission_id: submission.into(),
        source: LeadSource::Api.into(),
        name: "Anna".into(),
        phone: Some(phone.into()),
        received_at: Some(to_wire(SystemClock.now())),
        ..IngestLeadRequest::default()
    }
}

fn field(status: &Status) -> Vec<String> {
    let refusal = coachbot_common::fault::Refusal::from_status(status);
    refusal.fields.into_iter().map(|(field, _)| field).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_by_the_running_workers() {
    let server = server().await;
    for service in SERVICES {
        let asked = limit(HealthCheckRequest { service: service.to_owned() });
        HealthClient::new(server.transport(Identity::Gateway)).check(asked).await.unwrap();
    }
    let workspace = workspace();
    server.put(&workspace, "Northside", 1).await;
    let defaults = GetSettingsRequest { workspace_id: workspace.clone() };
    let settings =
        server.settings().get_settings(limit(defaults)).await.unwrap().into_inner().settings.unwrap();
    let quick = Settings { debounce_milliseconds: 50, ..settings };
    let request = PutSettingsRequest { workspace_id: workspace.clone(), settings: Some(quick) };
    server.settings().put_settings(limit(request)).await.unwrap();

    let ingested = server.service().ingest_message(limit(message(&workspace, "SM1", "Hi"))).await.unwrap();
    let request = GetConversationRequest {
        workspace_id: workspace.clone(),
        conversation_id: ingested.into_inner().conversation_id,
    };
    let answered = async {
        loop {
            let found = server.inbox().get_conversation(limit(request.clone())).await.unwrap().into_inner();
            if found.messages.last().unwrap().status() == MessageStatus::Accepted {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), answered).await.unwrap();
    assert_eq!(found.messages.len(), 2);
    assert_eq!(server.fake.texts(), ["Hello!"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_gateway_may_call() {
    let server = server().await;
    for caller in [Identity::Connector, Identity::Vault, Identity::Internal, Identity::Agent] {
        let mut client = InboxServiceClient::new(server.transport(caller));
        let asked = ListLeadsRequest { workspace_id: workspace(), page: None };
        assert_eq!(client.list_leads(limit(asked)).await.unwrap_err().code(), Code::PermissionDenied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_and_what_is_unknown_not_found() {
    let server = server().await;
    let known = workspace();
    server.put(&known, "Northside", 1).await;
    let mut service = server.service();

    let unknown = service.ingest_message(limit(message(&workspace(), "SM1", "Hi"))).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let unknown = service.ingest_lead(limit(lead(&workspace(), "one", "+447700900123"))).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    for (change, name) in [
        (IngestMessageRequest { workspace_id: "x".into(), ..message(&known, "SM1", "Hi") }, "workspace_id"),
        (IngestMessageRequest { from: "447700900123".into(), ..message(&known, "SM1", "Hi") }, "from"),
        (IngestMessageRequest { received_at: None, ..message(&known, "SM1", "Hi") }, "received_at"),
        (message(&known, "", "Hi"), "provider_message_id"),
    ] {
        let refused = service.ingest_message(limit(change)).await.unwrap_err();
        assert_eq!((refused.code(), field(&refused)), (Code::InvalidArgument, vec![name.to_owned()]));
    }
    let refused = service.ingest_lead(limit(lead(&known, "one", "0770"))).await.unwrap_err();
    assert_eq!(field(&refused), ["phone"]);
    let wrong = Settings { handoff_message: " ".into(), language: "?".into(), ..Settings::default() };
    let request = PutSettingsRequest { workspace_id: known.clone(), settings: Some(wrong) };
    let refused = server.settings().put_settings(limit(request)).await.unwrap_err();
    assert_eq!(field(&refused), ["handoff_message", "opening_message", "daily_token_budget", "language"]);
    let refused = ListLeadsRequest { workspace_id: known, page: Some(Page { limit: 201, cursor: None }) };
    assert_eq!(field(&server.inbox().list_leads(limit(refused)).await.unwrap_err()), ["limit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_newest_first_and_in_parts_and_belong_to_one_workspace() {
    let server = server().await;
    let (mine, other) = (workspace(), workspace());
    server.put(&mine, "Northside", 1).await;
    server.put(&other, "Southside", 1).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let request = lead(&mine, &number.to_string(), &format!("+44770090012{number}"));
        ids.insert(0, server.service().ingest_lead(limit(request)).await.unwrap().into_inner().lead_id);
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = Some(Page { limit: 2, cursor });
        let asked = ListLeadsRequest { workspace_id: mine.clone(), page };
        let found = server.inbox().list_leads(limit(asked)).await.unwrap().into_inner();
        seen.extend(found.leads.into_iter().map(|lead| lead.lead_id));
        cursor = found.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let foreign = GetLeadRequest { workspace_id: other.clone(), lead_id: ids[0].clone() };
    assert_eq!(server.inbox().get_lead(limit(foreign)).await.unwrap_err().code(), Code::NotFound);
    let foreign = DeleteLeadRequest { workspace_id: other, lead_id: ids[0].clone() };
    assert_eq!(server.inbox().delete_lead(limit(foreign)).await.unwrap_err().code(), Code::NotFound);
    let own = DeleteLeadRequest { workspace_id: mine.clone(), lead_id: ids[0].clone() };
    server.inbox().delete_lead(limit(own)).await.unwrap();
    let gone = GetLeadRequest { workspace_id: mine, lead_id: ids[0].clone() };
    assert_eq!(server.inbox().get_lead(limit(gone)).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workspace_stays_deleted() {
    let server = server().await;
    let workspace = workspace();
    server.put(&workspace, "Northside", 1).await;
    server.service().ingest_message(limit(message(&workspace, "SM1", "Hi"))).await.unwrap();
    for _ in 0..2 {
        let request = DeleteWorkspaceRequest { workspace_id: workspace.clone() };
        server.service().delete_workspace(limit(request)).await.unwrap();
    }
    // Late news of it bring nothing back.
    server.put(&workspace, "Northside", 2).await;
    let late = server.service().ingest_message(limit(message(&workspace, "SM2", "Hi"))).await.unwrap_err();
    assert_eq!(late.code(), Code::NotFound);
    let asked = ListLeadsRequest { workspace_id: workspace, page: None };
    assert_eq!(server.inbox().list_leads(limit(asked)).await.unwrap().into_inner().leads.len(), 0);
}
