//! `/api/v1/workspaces/{id}/conversations`.

use axum::Json;
use axum::extract::State;
use coachbot_proto::agent::v1 as wire;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{List, Part};
use super::words::{
    author, broken, channel, instant, json, message_status, optional_instant, owner, step_kind,
};
use crate::app::SharedApp;
use crate::auth::{ApiCaller, ConversationId, Tenant};
use crate::error::Error;

/// What is said with one lead.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationView {
    #[schema(value_type = Uuid)]
    id: String,
    #[schema(value_type = Uuid)]
    lead_id: String,
    /// whatsapp or voice.
    #[schema(example = "whatsapp")]
    channel: String,
    /// Who answers: bot, person or nobody.
    #[schema(example = "bot")]
    owner: String,
    /// open or closed.
    #[schema(example = "open")]
    status: &'static str,
    /// Until when free text may be sent; null when the lead never wrote.
    #[schema(format = DateTime, required)]
    window_closes_at: Option<String>,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A conversation with its messages.
#[derive(Serialize, ToSchema)]
pub(crate) struct WholeConversation {
    #[serde(flatten)]
    conversation: ConversationView,
    /// Oldest first.
    messages: Vec<MessageView>,
}

/// One message.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    #[schema(value_type = Uuid)]
    id: String,
    /// inbound or outbound.
    #[schema(example = "inbound")]
    direction: &'static str,
    /// lead, bot, person or system.
    #[schema(example = "lead")]
    author: String,
    text: String,
    /// received, planned, sending, accepted, sent, delivered, read, failed,
    /// unknown or dropped.
    #[schema(example = "received")]
    status: String,
    /// Why it failed; null otherwise.
    #[schema(required)]
    error: Option<MessageErrorView>,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// What the bot did before it, in order.
    steps: Vec<StepView>,
}

/// Why a message failed.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageError)]
pub(crate) struct MessageErrorView {
    /// The provider's code, or a word of ours.
    #[schema(example = "63016")]
    code: String,
    /// One line for a person, with the fix.
    message: String,
}

/// One model call or tool run.
#[derive(Serialize, ToSchema)]
#[schema(as = Step)]
pub(crate) struct StepView {
    /// model or tool.
    #[schema(example = "tool")]
    kind: String,
    #[schema(example = "listSlots")]
    name: String,
    /// JSON.
    #[schema(value_type = Value)]
    arguments: serde_json::Value,
    /// JSON.
    #[schema(value_type = Value)]
    result: serde_json::Value,
    milliseconds: u32,
    /// 0 for a tool.
    tokens: u32,
}

impl TryFrom<wire::Conversation> for ConversationView {
    type Error = Error;

    fn try_from(conversation: wire::Conversation) -> Result<Self, Error> {
        Ok(Self {
            channel: channel(conversation.channel())?,
            owner: owner(conversation.owner())?,
            status: if conversation.open { "open" } else { "closed" },
            window_closes_at: optional_instant(conversation.window_closes_at.as_ref()),
            updated_at: instant(conversation.updated_at.as_ref(), "updated_at")?,
            id: conversation.conversation_id,
            lead_id: conversation.lead_id,
        })
    }
}

impl TryFrom<wire::Message> for MessageView {
    type Error = Error;

    fn try_from(message: wire::Message) -> Result<Self, Error> {
        Ok(Self {
            direction: if message.outbound { "outbound" } else { "inbound" },
            author: author(message.author())?,
            status: message_status(message.status())?,
            created_at: instant(message.created_at.as_ref(), "created_at")?,
            id: message.message_id,
            text: message.text,
            error: message.error.map(|error| MessageErrorView { code: error.code, message: error.message }),
            steps: message.steps.into_iter().map(StepView::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<wire::Step> for StepView {
    type Error = Error;

    fn try_from(step: wire::Step) -> Result<Self, Error> {
        Ok(Self {
            kind: step_kind(step.kind())?,
            name: step.name,
            arguments: json(step.arguments),
            result: json(step.result),
            milliseconds: step.milliseconds,
            tokens: step.tokens,
        })
    }
}

/// List conversations
#[utoipa::path(
    get, path = "/workspaces/{id}/conversations", tag = "conversations",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "How many at most; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Last changed first", body = List<ConversationView>)),
)]
pub(crate) async fn list_conversations(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    Part(cut): Part,
) -> Result<Json<List<ConversationView>>, Error> {
    let workspace = tenant.workspace.id;
    let answer = app.ask_agent(workspace, || app.agent.conversations(workspace, cut.clone())).await?;
    List::of(answer.conversations, answer.next_cursor).map(Json)
}

/// Read a conversation with its messages
#[utoipa::path(
    get, path = "/workspaces/{id}/conversations/{conversation_id}", tag = "conversations",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("conversation_id" = Uuid, Path, description = "The conversation"),
    ),
    responses((status = 200, description = "The conversation", body = WholeConversation)),
)]
pub(crate) async fn read_conversation(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    ConversationId(conversation): ConversationId,
) -> Result<Json<WholeConversation>, Error> {
    let answer = app.agent.conversation(tenant.workspace.id, conversation).await?;
    let messages = answer.messages.into_iter().map(MessageView::try_from).collect::<Result<_, _>>()?;
    let conversation = answer.conversation.ok_or(broken("conversation"))?.try_into()?;
    Ok(Json(WholeConversation { conversation, messages }))
}
