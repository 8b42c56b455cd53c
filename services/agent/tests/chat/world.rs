//! An agent over a fresh database, a connector in memory, and a clock that stands
//! still.

use std::sync::Arc;

use coachbot_agent::agent::Agent;
use coachbot_agent::store::Store;
use coachbot_agent::testing::FakeConnector;
use coachbot_common::clock::{Clock as _, to_wire};
use coachbot_common::db::Db;
use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_common::rpc::{self, Identity, Transport, with_deadline};
use coachbot_common::testing::MockClock;
use coachbot_proto::agent::v1::agent_service_client::AgentServiceClient;
use coachbot_proto::agent::v1::inbox_service_client::InboxServiceClient;
use coachbot_proto::agent::v1::settings_service_client::SettingsServiceClient;
use coachbot_proto::agent::v1::{
    Channel, Conversation, Escalation, GetConversationRequest, GetSettingsRequest,
    IngestDeliveryStatusRequest, IngestLeadRequest, IngestMessageRequest, IngestMessageResponse, Lead,
    LeadSource, ListBookingsRequest, ListConversationsRequest, ListEscalationsRequest, ListLeadsRequest,
    Message, MessageStatus, Page, PutSettingsRequest, PutWorkspaceRequest, Settings,
};
use std::time::Duration;

pub const NOW: &str = "2026-11-25T12:00:00Z";
pub const ANNA: &str = "whatsapp:+447700900123";

pub struct World {
    pub agent: Arc<Agent>,
    pub fake: FakeConnector,
    pub clock: Arc<MockClock>,
    pub workspace: String,
    pub db: Db,
    transport: Transport,
    count: std::sync::atomic::AtomicU64,
}

fn limit<T>(message: T) -> tonic::Request<T> {
    with_deadline(message, Duration::from_secs(10))
}

impl World {
    pub fn new(db: Db) -> Self {
        let clock = MockClock::at(NOW);
        let fake = FakeConnector::new(clock.clone());
        let workspace = WorkspaceId::from_uuid(new_id(clock.now())).to_string();
        let (agent, transport) = Self::agent(&db, &fake, &clock);
        Self { agent, fake, clock, workspace, db, transport, count: 0.into() }
    }

    fn agent(db: &Db, fake: &FakeConnector, clock: &Arc<MockClock>) -> (Arc<Agent>, Transport) {
        let url = "https://bot.example".parse().unwrap();
        let agent = Arc::new(Agent::new(Store::new(db.clone()), fake.transport(), url, clock.clone()));
        let routes = coachbot_agent::routes(&agent).prepare();
        (agent, rpc::direct(routes, coachbot_agent::policy(), Identity::Gateway))
    }

    /// Another process over the same database.
    pub fn another(&self) -> Arc<Agent> {
        Self::agent(&self.db, &self.fake, &self.clock).0
    }

    pub fn service(&self) -> AgentServiceClient<Transport> {
        AgentServiceClient::new(self.transport.clone())
    }

    pub fn inbox(&self) -> InboxServiceClient<Transport> {
        InboxServiceClient::new(self.transport.clone())
    }

    pub fn settings(&self) -> SettingsServiceClient<Transport> {
        SettingsServiceClient::new(self.transport.clone())
    }

    pub async fn known(self) -> Self {
        self.put_workspace(Channel::Whatsapp).await;
        self
    }

    pub async fn put_workspace(&self, channel: Channel) {
        let request = PutWorkspaceRequest {
            workspace_id: self.workspace.clone(),
            name: "Northside".into(),
            channel: channel.into(),
            timezone: "Europe/London".into(),
            version: 1,
        };
        self.service().put_workspace(limit(request)).await.unwrap();
    }

    pub fn message(&self, from: &str, text: &str) -> IngestMessageRequest {
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        IngestMessageRequest {
            workspace_id: self.workspace.clone(),
            provider_message_id: format!("SMin{number:028}"),
            from: from.into(),
            external_user_id: None,
            profile_name: Some("Anna King".into()),
            text: text.into(),
            media_types: vec![],
            received_at: Some(to_wire(self.clock.now())),
        }
    }

    pub async fn ingest(&self, request: IngestMessageRequest) -> IngestMessageResponse {
        self.service().ingest_message(limit(request)).await.unwrap().into_inner()
    }

    /// Anna writes.
    pub async fn writes(&self, text: &str) -> IngestMessageResponse {
        self.ingest(self.message(ANNA, text)).await
    }

    /// Anna writes, the burst is over, and everything due is done.
    pub async fn chats(&self, text: &str) -> IngestMessageResponse {
        let ingested = self.writes(text).await;
        self.passes(2).await;
        ingested
    }

    /// Time passes, and everything due is done.
    pub async fn passes(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.agent.drain().await.unwrap();
        assert_eq!(self.fake.state().violations, Vec::<String>::new());
    }

    pub async fn submits(&self, submission: &str, phone: Option<&str>, email: Option<&str>) -> String {
        let request = IngestLeadRequest {
            workspace_id: self.workspace.clone(),
            submission_id: submission.into(),
            source: LeadSource::Form.into(),
            name: "Anna King".into(),
            phone: phone.map(Into::into),
            email: email.map(Into::into),
            message: Some("I want to run a marathon".into()),
            custom_fields: [("Budget".to_owned(), "100".to_owned())].into(),
            received_at: Some(to_wire(self.clock.now())),
        };
        self.service().ingest_lead(limit(request)).await.unwrap().into_inner().lead_id
    }

    pub async fn reports(&self, intent: &str, sid: &str, status: &str, code: Option<u32>) {
        let request = IngestDeliveryStatusRequest {
            workspace_id: self.workspace.clone(),
            intent_id: intent.into(),
            provider_message_id: sid.into(),
            status: status.into(),
            error_code: code,
        };
        self.service().ingest_delivery_status(limit(request)).await.unwrap();
    }

    pub async fn leads(&self) -> Vec<Lead> {
        let request = ListLeadsRequest { workspace_id: self.workspace.clone(), page: page() };
        self.inbox().list_leads(limit(request)).await.unwrap().into_inner().leads
    }

    pub async fn lead(&self) -> Lead {
        let mut leads = self.leads().await;
        assert_eq!(leads.len(), 1);
        leads.remove(0)
    }

    pub async fn conversations(&self) -> Vec<Conversation> {
        let request = ListConversationsRequest { workspace_id: self.workspace.clone(), page: page() };
        self.inbox().list_conversations(limit(request)).await.unwrap().into_inner().conversations
    }

    /// The one conversation with its messages.
    pub async fn conversation(&self) -> (Conversation, Vec<Message>) {
        let conversations = self.conversations().await;
        assert_eq!(conversations.len(), 1);
        self.conversation_of(&conversations[0].conversation_id).await
    }

    pub async fn conversation_of(&self, id: &str) -> (Conversation, Vec<Message>) {
        let request =
            GetConversationRequest { workspace_id: self.workspace.clone(), conversation_id: id.into() };
        let found = self.inbox().get_conversation(limit(request)).await.unwrap().into_inner();
        (found.conversation.unwrap(), found.messages)
    }

    /// What the messages of the one conversation say, and where they are.
    pub async fn said(&self) -> Vec<(String, MessageStatus)> {
        let (_, messages) = self.conversation().await;
        messages.iter().map(|message| (message.text.clone(), message.status())).collect()
    }

    pub async fn escalations(&self) -> Vec<Escalation> {
        let request = ListEscalationsRequest { workspace_id: self.workspace.clone(), page: page() };
        self.inbox().list_escalations(limit(request)).await.unwrap().into_inner().escalations
    }

    /// The reasons of all escalations, oldest first.
    pub async fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<_> = self.escalations().await.into_iter().map(|found| found.reason).collect();
        reasons.reverse();
        reasons
    }

    pub async fn bookings(&self) -> Vec<coachbot_proto::agent::v1::Booking> {
        let request = ListBookingsRequest { workspace_id: self.workspace.clone(), page: page() };
        self.inbox().list_bookings(limit(request)).await.unwrap().into_inner().bookings
    }

    pub async fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let request = GetSettingsRequest { workspace_id: self.workspace.clone() };
        let mut settings =
            self.settings().get_settings(limit(request)).await.unwrap().into_inner().settings.unwrap();
        change(&mut settings);
        let request = PutSettingsRequest { workspace_id: self.workspace.clone(), settings: Some(settings) };
        self.settings().put_settings(limit(request)).await.unwrap();
    }
}

fn page() -> Option<Page> {
    Some(Page { limit: 200, cursor: None })
}
