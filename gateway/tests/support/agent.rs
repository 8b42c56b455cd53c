//! An agent that keeps a ledger of what it took, and does what a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coachbot_common::fault::{Fault, FaultKind, to_status};
use coachbot_common::rpc::{Identity, Policy, Transport, direct};
use coachbot_proto::agent::v1::agent_service_server::{AgentService, AgentServiceServer};
use coachbot_proto::agent::v1::inbox_service_server::{InboxService, InboxServiceServer};
use coachbot_proto::agent::v1::settings_service_server::{SettingsService, SettingsServiceServer};
use coachbot_proto::agent::v1::*;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

const GATEWAY: &[Identity] = &[Identity::Gateway];

const POLICY: Policy = Policy::new(&[
    ("/coachbot.agent.v1.AgentService/PutWorkspace", GATEWAY),
    ("/coachbot.agent.v1.AgentService/DeleteWorkspace", GATEWAY),
    ("/coachbot.agent.v1.AgentService/IngestMessage", GATEWAY),
    ("/coachbot.agent.v1.AgentService/IngestDeliveryStatus", GATEWAY),
    ("/coachbot.agent.v1.AgentService/IngestLead", GATEWAY),
    ("/coachbot.agent.v1.InboxService/ListLeads", GATEWAY),
    ("/coachbot.agent.v1.InboxService/GetLead", GATEWAY),
    ("/coachbot.agent.v1.InboxService/DeleteLead", GATEWAY),
    ("/coachbot.agent.v1.InboxService/ListConversations", GATEWAY),
    ("/coachbot.agent.v1.InboxService/GetConversation", GATEWAY),
    ("/coachbot.agent.v1.InboxService/ListEscalations", GATEWAY),
    ("/coachbot.agent.v1.InboxService/ListBookings", GATEWAY),
    ("/coachbot.agent.v1.SettingsService/GetSettings", GATEWAY),
    ("/coachbot.agent.v1.SettingsService/PutSettings", GATEWAY),
]);

/// One thing that the agent took, in the order of taking.
#[derive(Clone, PartialEq)]
pub enum Taken {
    Facts(PutWorkspaceRequest),
    Gone(String),
    Message(IngestMessageRequest),
    Status(IngestDeliveryStatusRequest),
    Lead(IngestLeadRequest),
}

#[derive(Clone)]
pub struct FakeAgent {
    state: Arc<Mutex<State>>,
    ledger: watch::Sender<Vec<Taken>>,
}

#[derive(Default)]
struct State {
    away: bool,
    hangs: bool,
    /// Answers to the next calls that hand something on.
    refusals: Vec<Status>,
    /// By workspace.
    versions: BTreeMap<String, u64>,
    settings: BTreeMap<String, Settings>,
    leads: Vec<(String, String, Lead)>,
    conversations: Vec<(String, Conversation, Vec<Message>)>,
    escalations: Vec<(String, Escalation)>,
    bookings: Vec<(String, Booking)>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} must be better")]
struct Wrong(&'static str);

impl Fault for Wrong {
    fn kind(&self) -> FaultKind {
        FaultKind::Invalid
    }
    fn fields(&self) -> Vec<(String, String)> {
        vec![(self.0.to_owned(), self.to_string())]
    }
}

/// A refusal that names this field.
pub fn wrong(field: &'static str) -> Status {
    to_status(&Wrong(field), "agent.coachbot")
}

impl Default for FakeAgent {
    fn default() -> Self {
        Self { state: Arc::default(), ledger: watch::channel(Vec::new()).0 }
    }
}

fn instant() -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: 1_795_608_000, nanos: 0 }
}

fn defaults() -> Settings {
    Settings {
        opening_message: "Hi {first_name}".to_owned(),
        handoff_message: "Somebody will be with you.".to_owned(),
        debounce_milliseconds: 1_500,
        daily_token_budget: 500_000,
        language: "en".to_owned(),
        ..Settings::default()
    }
}

impl FakeAgent {
    /// The gateway's way to it.
    pub fn transport(&self) -> Transport {
        let routes = tonic::service::Routes::new(AgentServiceServer::new(self.clone()))
            .add_service(InboxServiceServer::new(self.clone()))
            .add_service(SettingsServiceServer::new(self.clone()));
        direct(routes.prepare(), POLICY, Identity::Gateway)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn be_away(&self, away: bool) {
        self.state().away = away;
    }

    /// From now on it does not answer in time, or it does again.
    pub fn hang(&self, hangs: bool) {
        self.state().hangs = hangs;
    }

    /// Refuses the next thing that is handed on.
    pub fn refuse(&self, status: Status) {
        self.state().refusals.push(status);
    }

    /// Forgets what it was told of workspaces, as if its database were new.
    pub fn forget_workspaces(&self) {
        self.state().versions.clear();
    }

    pub fn knows(&self, workspace: &str) -> bool {
        self.state().versions.contains_key(workspace)
    }

    pub fn add_conversation(&self, workspace: &str, conversation: Conversation, messages: Vec<Message>) {
        self.state().conversations.push((workspace.to_owned(), conversation, messages));
    }

    pub fn add_escalation(&self, workspace: &str, escalation: Escalation) {
        self.state().escalations.push((workspace.to_owned(), escalation));
    }

    pub fn add_booking(&self, workspace: &str, booking: Booking) {
        self.state().bookings.push((workspace.to_owned(), booking));
    }

    /// What it took so far.
    pub fn ledger(&self) -> Vec<Taken> {
        self.ledger.borrow().clone()
    }

    /// The messages that it took so far.
    pub fn messages(&self) -> Vec<IngestMessageRequest> {
        let message = |taken| match taken {
            Taken::Message(message) => Some(message),
            _ => None,
        };
        self.ledger().into_iter().filter_map(message).collect()
    }

    pub fn statuses(&self) -> Vec<IngestDeliveryStatusRequest> {
        let status = |taken| match taken {
            Taken::Status(status) => Some(status),
            _ => None,
        };
        self.ledger().into_iter().filter_map(status).collect()
    }

    pub fn leads(&self) -> Vec<IngestLeadRequest> {
        let lead = |taken| match taken {
            Taken::Lead(lead) => Some(lead),
            _ => None,
        };
        self.ledger().into_iter().filter_map(lead).collect()
    }

    /// Waits until the ledger holds what is wanted.
    pub async fn took(&self, what: impl Fn(&[Taken]) -> bool) {
        let mut ledger = self.ledger.subscribe();
        let waiting = ledger.wait_for(|ledger| what(ledger));
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes in time").unwrap();
    }

    /// Waits until it took so many messages.
    pub async fn took_messages(&self, count: usize) {
        self.took(|ledger| ledger.iter().filter(|taken| matches!(taken, Taken::Message(_))).count() >= count)
            .await;
    }

    /// Waits until it heard of a workspace in this version.
    pub async fn was_told(&self, workspace: &str, version: u64) {
        self.took(|ledger| {
            ledger.iter().any(|taken| {
                matches!(taken, Taken::Facts(facts)
                    if facts.workspace_id == workspace && facts.version == version)
            })
        })
        .await;
    }

    async fn present(&self) -> Result<(), Status> {
        if self.state().hangs {
            std::future::pending::<()>().await;
        }
        if self.state().away { Err(Status::unavailable("away")) } else { Ok(()) }
    }

    /// Whether it takes something for this workspace now.
    async fn takes(&self, workspace: &str) -> Result<(), Status> {
        self.present().await?;
        let mut state = self.state();
        if !state.refusals.is_empty() {
            return Err(state.refusals.remove(0));
        }
        if state.versions.contains_key(workspace) { Ok(()) } else { Err(Status::not_found("workspace")) }
    }

    async fn known(&self, workspace: &str) -> Result<(), Status> {
        self.present().await?;
        if self.knows(workspace) { Ok(()) } else { Err(Status::not_found("workspace")) }
    }

    fn take(&self, taken: Taken) {
        self.ledger.send_modify(|ledger| ledger.push(taken));
    }
}

#[tonic::async_trait]
impl AgentService for FakeAgent {
    async fn put_workspace(
        &self,
        request: Request<PutWorkspaceRequest>,
    ) -> Result<Response<PutWorkspaceResponse>, Status> {
        self.present().await?;
        let facts = request.into_inner();
        let known = self.state().versions.get(&facts.workspace_id).copied().unwrap_or_default();
        self.state().versions.insert(facts.workspace_id.clone(), known.max(facts.version));
        self.take(Taken::Facts(facts));
        Ok(Response::new(PutWorkspaceResponse {}))
    }

    async fn delete_workspace(
        &self,
        request: Request<DeleteWorkspaceRequest>,
    ) -> Result<Response<DeleteWorkspaceResponse>, Status> {
        self.present().await?;
        let workspace = request.into_inner().workspace_id;
        self.state().versions.remove(&workspace);
        self.take(Taken::Gone(workspace));
        Ok(Response::new(DeleteWorkspaceResponse {}))
    }

    async fn ingest_message(
        &self,
        request: Request<IngestMessageRequest>,
    ) -> Result<Response<IngestMessageResponse>, Status> {
        let message = request.into_inner();
        self.takes(&message.workspace_id).await?;
        self.take(Taken::Message(message));
        Ok(Response::new(IngestMessageResponse::default()))
    }

    async fn ingest_delivery_status(
        &self,
        request: Request<IngestDeliveryStatusRequest>,
    ) -> Result<Response<IngestDeliveryStatusResponse>, Status> {
        let status = request.into_inner();
        self.takes(&status.workspace_id).await?;
        self.take(Taken::Status(status));
        Ok(Response::new(IngestDeliveryStatusResponse {}))
    }

    async fn ingest_lead(
        &self,
        request: Request<IngestLeadRequest>,
    ) -> Result<Response<IngestLeadResponse>, Status> {
        let lead = request.into_inner();
        self.takes(&lead.workspace_id).await?;
        let mut state = self.state();
        let known = state.leads.iter().find(|(_, submission, _)| *submission == lead.submission_id);
        let id = match known {
            Some((_, _, known)) => known.lead_id.clone(),
            None => {
                let id = format!("01937a3e-6f00-7000-8000-{:012x}", 0xabc + state.leads.len());
                let new = Lead {
                    lead_id: id.clone(),
                    name: lead.name.clone(),
                    phone: lead.phone.clone(),
                    email: lead.email.clone(),
                    stage: Stage::New.into(),
                    source: lead.source,
                    created_at: Some(instant()),
                };
                state.leads.push((lead.workspace_id.clone(), lead.submission_id.clone(), new));
                id
            }
        };
        drop(state);
        self.take(Taken::Lead(lead));
        Ok(Response::new(IngestLeadResponse { lead_id: id }))
    }
}

/// The rows of a workspace, newest first, one page; the cursor is a number.
fn cut<T: Clone>(rows: Vec<T>, page: Option<Page>) -> Result<(Vec<T>, Option<String>), Status> {
    let page = page.unwrap_or_default();
    let start: usize = match page.cursor {
        Some(cursor) => cursor.parse().map_err(|_| Status::invalid_argument("cursor"))?,
        None => 0,
    };
    let end = start + usize::try_from(page.limit).unwrap();
    let newest: Vec<T> = rows.into_iter().rev().collect();
    let next = (end < newest.len()).then(|| end.to_string());
    Ok((newest.into_iter().skip(start).take(end - start).collect(), next))
}

#[tonic::async_trait]
impl InboxService for FakeAgent {
    async fn list_leads(
        &self,
        request: Request<ListLeadsRequest>,
    ) -> Result<Response<ListLeadsResponse>, Status> {
        let request = request.into_inner();
        self.known(&request.workspace_id).await?;
        let state = self.state();
        let rows = state.leads.iter().filter(|(id, _, _)| *id == request.workspace_id);
        let (leads, next_cursor) = cut(rows.map(|(_, _, lead)| lead.clone()).collect(), request.page)?;
        Ok(Response::new(ListLeadsResponse { leads, next_cursor }))
    }

    async fn get_lead(&self, request: Request<GetLeadRequest>) -> Result<Response<GetLeadResponse>, Status> {
        let request = request.into_inner();
        self.known(&request.workspace_id).await?;
        let state = self.state();
        let found = state
            .leads
            .iter()
            .find(|(id, _, lead)| *id == request.workspace_id && lead.lead_id == request.lead_id);
        let lead = found.map(|(_, _, lead)| lead.clone()).ok_or(Status::not_found("lead"))?;
        Ok(Response::new(GetLeadResponse { lead: Some(lead) }))
    }

    async fn delete_lead(
        &self,
        request: Request<DeleteLeadRequest>,
    ) -> Result<Response<DeleteLeadResponse>, Status> {
        let request = request.into_inner();
        self.known(&request.workspace_id).await?;
        let mut state = self.state();
        let before = state.leads.len();
        state.leads.retain(|(id, _, lead)| *id != request.workspace_id || lead.lead_id != request.lead_id);
        if state.leads.len() == before {
            return Err(Status::not_found("lead"));
        }
        Ok(Response::new(DeleteLeadResponse {}))
    }

    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        let request = request.into_inner();
        self.known(&request.workspace_id).await?;
        let state = self.state();
        let rows = state.conversations.iter().filter(|(id, _, _)| *id == request.workspace_id);
        let (conversations, next_cursor) = cut(rows.map(|(_, one, _)| one.clone()).collect(), request.page)?;
        Ok(Response::new(ListConversationsResponse { conversations, next_cursor }))
    }

    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        let request = request.into_inner();
        self.known(&request.workspace_id).await?;
        let state = self.state();
        let found = state.conversations.iter().find(|(id, one, _)| {
            *id == request.workspace_id && one.conversation_id == request.conversation_id
        });
        let (_, conversation, messages) = found.ok_or(Status::not_found("conversation"))?.clone();
        Ok(Response::new(GetConversationResponse { conversation: Some(conversation), messages }))
    }

    async fn list_escalations(
        &self,
        request: Request<ListEscalationsRequest>,
    ) -> Result<Response<ListEscalationsResponse>, Status> {
        let request = request.into_inner();
        self.known(&request.workspace_id).await?;
        let state = self.state();
        let rows = state.escalations.iter().filter(|(id, _)| *id == request.workspace_id);
        let (escalations, next_cursor) = cut(rows.map(|(_, one)| one.clone()).collect(), request.page)?;
        Ok(Response::new(ListEscalationsResponse { escalations, next_cursor }))
    }

    async fn list_bookings(
        &self,
        request: Request<ListBookingsRequest>,
    ) -> Result<Response<ListBookingsResponse>, Status> {
        let request = request.into_inner();
        self.known(&request.workspace_id).await?;
        let state = self.state();
        let rows = state.bookings.iter().filter(|(id, _)| *id == request.workspace_id);
        let (bookings, next_cursor) = cut(rows.map(|(_, one)| one.clone()).collect(), request.page)?;
        Ok(Response::new(ListBookingsResponse { bookings, next_cursor }))
    }
}

#[tonic::async_trait]
impl SettingsService for FakeAgent {
    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<GetSettingsResponse>, Status> {
        let workspace = request.into_inner().workspace_id;
        self.known(&workspace).await?;
        let settings = self.state().settings.get(&workspace).cloned().unwrap_or_else(defaults);
        Ok(Response::new(GetSettingsResponse { settings: Some(settings) }))
    }

    async fn put_settings(
        &self,
        request: Request<PutSettingsRequest>,
    ) -> Result<Response<PutSettingsResponse>, Status> {
        let request = request.into_inner();
        self.known(&request.workspace_id).await?;
        let settings = request.settings.ok_or(Status::invalid_argument("settings"))?;
        if settings.persona.len() > 4_000 {
            return Err(wrong("settings.persona"));
        }
        self.state().settings.insert(request.workspace_id, settings.clone());
        Ok(Response::new(PutSettingsResponse { settings: Some(settings) }))
    }
}
