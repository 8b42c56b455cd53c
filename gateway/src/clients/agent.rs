use std::collections::BTreeMap;
use std::time::Duration;

use coachbot_common::clock::to_wire;
use coachbot_common::fault::{FaultKind, Refusal};
use coachbot_common::id::WorkspaceId;
use coachbot_common::rpc::{Transport, with_deadline};
use coachbot_integrations::{Channel, FieldProblem};
use coachbot_proto::agent::v1 as wire;
use coachbot_proto::agent::v1::agent_service_client::AgentServiceClient;
use coachbot_proto::agent::v1::inbox_service_client::InboxServiceClient;
use coachbot_proto::agent::v1::settings_service_client::SettingsServiceClient;
use jiff::Timestamp;
use tonic::Status;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

use super::{SHORT, is_serving, refused};
use crate::error::{Error, Peer};
use crate::store::Facts;

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub limit: u16,
    /// What the agent gave for the part before.
    pub cursor: Option<String>,
}

impl From<Cut> for wire::Page {
    fn from(cut: Cut) -> Self {
        Self { limit: cut.limit.into(), cursor: cut.cursor }
    }
}

/// Talks with the leads.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    intake: AgentServiceClient<Transport>,
    inbox: InboxServiceClient<Transport>,
    settings: SettingsServiceClient<Transport>,
    health: HealthClient<Transport>,
}

impl Agent {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            intake: AgentServiceClient::new(transport.clone()),
            inbox: InboxServiceClient::new(transport.clone()),
            settings: SettingsServiceClient::new(transport.clone()),
            health: HealthClient::new(transport),
        }
    }

    /// Whether the agent can do its work.
    pub(crate) async fn is_ready(&self) -> bool {
        is_serving(self.health.clone(), "coachbot.agent.v1.AgentService").await
    }

    /// Tells the facts of a workspace.
    pub(crate) async fn put_workspace(&self, facts: &Facts) -> Result<(), Error> {
        let channel = match facts.channel {
            Channel::Whatsapp => wire::Channel::Whatsapp,
            Channel::Voice => wire::Channel::Voice,
        };
        let request = wire::PutWorkspaceRequest {
            workspace_id: facts.workspace.to_string(),
            name: facts.name.clone(),
            channel: channel.into(),
            timezone: facts.timezone.clone(),
            version: facts.version,
        };
        self.intake.clone().put_workspace(with_deadline(request, SHORT)).await.map_err(of("workspace"))?;
        Ok(())
    }

    /// Has everything of a workspace forgotten.
    pub(crate) async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<(), Error> {
        let request = wire::DeleteWorkspaceRequest { workspace_id: workspace.to_string() };
        self.intake.clone().delete_workspace(with_deadline(request, SHORT)).await.map_err(of("workspace"))?;
        Ok(())
    }

    /// Hands a lead's message on. [`Error::NotFound`] while the agent does not know
    /// the workspace.
    pub(crate) async fn ingest_message(&self, message: wire::IngestMessageRequest) -> Result<(), Error> {
        self.intake.clone().ingest_message(with_deadline(message, SHORT)).await.map_err(of("workspace"))?;
        Ok(())
    }

    /// Hands a delivery state on.
    pub(crate) async fn ingest_status(&self, status: wire::IngestDeliveryStatusRequest) -> Result<(), Error> {
        let request = with_deadline(status, SHORT);
        self.intake.clone().ingest_delivery_status(request).await.map_err(of("workspace"))?;
        Ok(())
    }

    /// Hands a lead on: the id that the agent knows it by.
    pub(crate) async fn ingest_lead(
        &self,
        lead: wire::IngestLeadRequest,
        limit: Duration,
    ) -> Result<Uuid, Error> {
        let answer =
            self.intake.clone().ingest_lead(with_deadline(lead, limit)).await.map_err(of("workspace"))?;
        coachbot_common::id::parse(&answer.into_inner().lead_id).map_err(|_| broken("lead_id"))
    }

    pub(crate) async fn leads(
        &self,
        workspace: WorkspaceId,
        cut: Cut,
    ) -> Result<wire::ListLeadsResponse, Error> {
        let request = wire::ListLeadsRequest { workspace_id: workspace.to_string(), page: Some(cut.into()) };
        let answer = self.inbox.clone().list_leads(with_deadline(request, SHORT)).await;
        Ok(answer.map_err(of("workspace"))?.into_inner())
    }

    pub(crate) async fn lead(&self, workspace: WorkspaceId, lead: Uuid) -> Result<wire::Lead, Error> {
        let request = wire::GetLeadRequest { workspace_id: workspace.to_string(), lead_id: lead.to_string() };
        let answer = self.inbox.clone().get_lead(with_deadline(request, SHORT)).await;
        answer.map_err(of("lead"))?.into_inner().lead.ok_or(broken("lead"))
    }

    pub(crate) async fn delete_lead(&self, workspace: WorkspaceId, lead: Uuid) -> Result<(), Error> {
        let request =
            wire::DeleteLeadRequest { workspace_id: workspace.to_string(), lead_id: lead.to_string() };
        self.inbox.clone().delete_lead(with_deadline(request, SHORT)).await.map_err(of("lead"))?;
        Ok(())
    }

    pub(crate) async fn conversations(
        &self,
        workspace: WorkspaceId,
        cut: Cut,
    ) -> Result<wire::ListConversationsResponse, Error> {
        let request =
            wire::ListConversationsRequest { workspace_id: workspace.to_string(), page: Some(cut.into()) };
        let answer = self.inbox.clone().list_conversations(with_deadline(request, SHORT)).await;
        Ok(answer.map_err(of("workspace"))?.into_inner())
    }

    pub(crate) async fn conversation(
        &self,
        workspace: WorkspaceId,
        conversation: Uuid,
    ) -> Result<wire::GetConversationResponse, Error> {
        let request = wire::GetConversationRequest {
            workspace_id: workspace.to_string(),
            conversation_id: conversation.to_string(),
        };
        let answer = self.inbox.clone().get_conversation(with_deadline(request, SHORT)).await;
        Ok(answer.map_err(of("conversation"))?.into_inner())
    }

    pub(crate) async fn escalations(
        &self,
        workspace: WorkspaceId,
        cut: Cut,
    ) -> Result<wire::ListEscalationsResponse, Error> {
        let request =
            wire::ListEscalationsRequest { workspace_id: workspace.to_string(), page: Some(cut.into()) };
        let answer = self.inbox.clone().list_escalations(with_deadline(request, SHORT)).await;
        Ok(answer.map_err(of("workspace"))?.into_inner())
    }

    pub(crate) async fn bookings(
        &self,
        workspace: WorkspaceId,
        cut: Cut,
    ) -> Result<wire::ListBookingsResponse, Error> {
        let request =
            wire::ListBookingsRequest { workspace_id: workspace.to_string(), page: Some(cut.into()) };
        let answer = self.inbox.clone().list_bookings(with_deadline(request, SHORT)).await;
        Ok(answer.map_err(of("workspace"))?.into_inner())
    }

    pub(crate) async fn settings(&self, workspace: WorkspaceId) -> Result<wire::Settings, Error> {
        let request = wire::GetSettingsRequest { workspace_id: workspace.to_string() };
        let answer = self.settings.clone().get_settings(with_deadline(request, SHORT)).await;
        answer.map_err(of("workspace"))?.into_inner().settings.ok_or(broken("settings"))
    }

    pub(crate) async fn put_settings(
        &self,
        workspace: WorkspaceId,
        settings: wire::Settings,
    ) -> Result<wire::Settings, Error> {
        let request =
            wire::PutSettingsRequest { workspace_id: workspace.to_string(), settings: Some(settings) };
        let answer = self.settings.clone().put_settings(with_deadline(request, SHORT)).await;
        answer.map_err(of("workspace"))?.into_inner().settings.ok_or(broken("settings"))
    }
}

/// A lead as it goes to the agent.
pub(crate) struct NewLead {
    pub name: String,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub message: Option<String>,
    pub custom_fields: BTreeMap<String, String>,
}

impl NewLead {
    pub(crate) fn into_request(
        self,
        workspace: WorkspaceId,
        submission: String,
        source: wire::LeadSource,
        received_at: Timestamp,
    ) -> wire::IngestLeadRequest {
        wire::IngestLeadRequest {
            workspace_id: workspace.to_string(),
            submission_id: submission,
            source: source.into(),
            name: self.name,
            phone: self.phone,
            email: self.email,
            message: self.message,
            custom_fields: self.custom_fields,
            received_at: Some(to_wire(received_at)),
        }
    }
}

const fn broken(field: &'static str) -> Error {
    Error::Answer { peer: Peer::Agent, field }
}

/// What a refused call means to our caller, who asked for `what`.
fn of(what: &'static str) -> impl Fn(Status) -> Error {
    move |status| {
        let refusal = Refusal::from_status(&status);
        match refusal.kind {
            FaultKind::NotFound => Error::NotFound(what),
            // Our callers' fields have no message around them.
            FaultKind::Invalid if !refusal.fields.is_empty() => Error::Invalid(
                refusal.fields.into_iter().map(|(field, message)| as_ours(&field, message)).collect(),
            ),
            _ => refused(Peer::Agent, &status),
        }
    }
}

/// `settings.persona must …` as `persona must …`.
fn as_ours(field: &str, message: String) -> FieldProblem {
    let short = field.rsplit('.').next().unwrap_or_default();
    let message = match message.strip_prefix(field) {
        Some(rest) => format!("{short}{rest}"),
        None => message,
    };
    FieldProblem { field: short.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_our_callers_know_them() {
        let problem = as_ours("settings.persona", "settings.persona must be shorter".to_owned());
        assert_eq!(
            (problem.field.as_str(), problem.message.as_str()),
            ("persona", "persona must be shorter")
        );
        assert_eq!(as_ours("cursor", "is not one of ours".to_owned()).message, "is not one of ours");
    }
}
