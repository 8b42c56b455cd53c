//! What the tests of the live calls share.

#![expect(dead_code, reason = "each test binary uses a part of it")]

use std::time::Duration;

use coachbot_common::fault::Refusal;
use coachbot_common::rpc::{Identity, Transport, with_deadline};
use coachbot_common::testing::MockClock;
use coachbot_connector::http::Limits;
use coachbot_connector::testing::{
    FakeVault, Reply, StubProviders, WORKSPACE, config_at, laid_over, refusal, stored,
};
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::calendar_service_client::CalendarServiceClient;
use coachbot_proto::connector::v1::messaging_service_client::MessagingServiceClient;
use coachbot_proto::connector::v1::model_service_client::ModelServiceClient;
use coachbot_proto::connector::v1::{
    AssistantText, Booking, CreateBookingRequest, GenerateRequest, GenerateResponse, GetBookingRequest,
    GetEventTypeRequest, GetEventTypeResponse, GetMessageRequest, Item, ListBookingsRequest,
    ListMessagesRequest, ListSlotsRequest, ListSlotsResponse, ProviderMessage, SendMessageRequest,
    SendMessageResponse, Text, Tool, UserText, item::Kind,
};
use jiff::Timestamp;
use serde_json::Value;
use tonic::{Code, Status};
use url::Url;

pub const NOW: &str = "2026-11-25T12:00:00Z";
pub const INTENT: &str = "01937a3e-6f00-7000-8000-0000000000f1";
pub const LEAD: &str = "whatsapp:+447700900123";
pub const OWN: &str = "whatsapp:+447700900999";

/// A connector over the stubs, and a client of each live service.
#[derive(Clone)]
pub struct Live {
    transport: Transport,
    pub within: Duration,
}

impl Live {
    pub fn at(root: &Url, provider: Provider) -> Self {
        Self::with(root, Limits::default(), &FakeVault::with(stored(provider)))
    }

    pub fn with(root: &Url, limits: Limits, vault: &FakeVault) -> Self {
        let clock = MockClock::at(NOW);
        let transport = laid_over(&config_at(root, limits), vault, clock, Identity::Agent);
        Self { transport, within: Duration::from_secs(20) }
    }

    pub fn over(transport: Transport) -> Self {
        Self { transport, within: Duration::from_secs(20) }
    }

    pub fn within(&self, within: Duration) -> Self {
        Self { within, ..self.clone() }
    }

    fn ask<T>(&self, message: T) -> tonic::Request<T> {
        with_deadline(message, self.within)
    }

    pub async fn send(&self, request: SendMessageRequest) -> Result<SendMessageResponse, Status> {
        let mut client = MessagingServiceClient::new(self.transport.clone());
        Ok(client.send_message(self.ask(request)).await?.into_inner())
    }

    pub async fn messages(&self, to: Option<&str>, from: &str) -> Result<Vec<ProviderMessage>, Status> {
        let request = ListMessagesRequest {
            workspace_id: WORKSPACE.to_owned(),
            to: to.map(str::to_owned),
            created_from: Some(at(from)),
        };
        let mut client = MessagingServiceClient::new(self.transport.clone());
        Ok(client.list_messages(self.ask(request)).await?.into_inner().messages)
    }

    pub async fn message(&self, sid: &str) -> Result<ProviderMessage, Status> {
        let request =
            GetMessageRequest { workspace_id: WORKSPACE.to_owned(), provider_message_id: sid.to_owned() };
        let mut client = MessagingServiceClient::new(self.transport.clone());
        Ok(client.get_message(self.ask(request)).await?.into_inner().message.unwrap())
    }

    pub async fn event_type(&self) -> Result<GetEventTypeResponse, Status> {
        let request = GetEventTypeRequest { workspace_id: WORKSPACE.to_owned() };
        let mut client = CalendarServiceClient::new(self.transport.clone());
        Ok(client.get_event_type(self.ask(request)).await?.into_inner())
    }

    pub async fn slots(&self, from: &str, until: &str) -> Result<ListSlotsResponse, Status> {
        let request = ListSlotsRequest {
            workspace_id: WORKSPACE.to_owned(),
            from: Some(at(from)),
            until: Some(at(until)),
        };
        let mut client = CalendarServiceClient::new(self.transport.clone());
        Ok(client.list_slots(self.ask(request)).await?.into_inner())
    }

    pub async fn book(&self, request: CreateBookingRequest) -> Result<Booking, Status> {
        let mut client = CalendarServiceClient::new(self.transport.clone());
        Ok(client.create_booking(self.ask(request)).await?.into_inner().booking.unwrap())
    }

    pub async fn bookings(&self, from: &str) -> Result<Vec<Booking>, Status> {
        let request =
            ListBookingsRequest { workspace_id: WORKSPACE.to_owned(), created_from: Some(at(from)) };
        let mut client = CalendarServiceClient::new(self.transport.clone());
        Ok(client.list_bookings(self.ask(request)).await?.into_inner().bookings)
    }

    pub async fn booking(&self, uid: &str) -> Result<Booking, Status> {
        let request = GetBookingRequest { workspace_id: WORKSPACE.to_owned(), provider_uid: uid.to_owned() };
        let mut client = CalendarServiceClient::new(self.transport.clone());
        Ok(client.get_booking(self.ask(request)).await?.into_inner().booking.unwrap())
    }

    pub async fn generate(&self, request: GenerateRequest) -> Result<GenerateResponse, Status> {
        let mut client = ModelServiceClient::new(self.transport.clone());
        Ok(client.generate(self.ask(request)).await?.into_inner())
    }
}

pub fn at(text: &str) -> prost_types::Timestamp {
    coachbot_common::clock::to_wire(text.parse::<Timestamp>().unwrap())
}

pub fn text_to_lead(body: &str) -> SendMessageRequest {
    SendMessageRequest {
        workspace_id: WORKSPACE.to_owned(),
        to: LEAD.to_owned(),
        text: Some(Text { body: body.to_owned() }),
        template: None,
        status_callback_url: format!(
            "https://hooks.coachbot.example/webhooks/twilio/{WORKSPACE}/status/{INTENT}"
        ),
    }
}

pub fn new_booking() -> CreateBookingRequest {
    CreateBookingRequest {
        workspace_id: WORKSPACE.to_owned(),
        intent_id: INTENT.to_owned(),
        start: Some(at("2026-12-01T09:00:00Z")),
        attendee_name: "Zoë K.".to_owned(),
        attendee_email: Some("zoe@example.com".to_owned()),
        attendee_phone: Some("+447700900123".to_owned()),
    }
}

pub fn item(kind: Kind) -> Item {
    Item { kind: Some(kind) }
}

pub fn user(text: &str) -> Item {
    item(Kind::UserText(UserText { text: text.to_owned() }))
}

pub fn assistant(text: &str) -> Item {
    item(Kind::AssistantText(AssistantText { text: text.to_owned(), commentary: false, refusal: false }))
}

pub fn prompt(items: Vec<Item>) -> GenerateRequest {
    GenerateRequest {
        workspace_id: WORKSPACE.to_owned(),
        instructions: "You are Coachbot.".to_owned(),
        items,
        tools: vec![Tool {
            name: "listSlots".to_owned(),
            description: "Free consult slots between two dates".to_owned(),
            parameters_json:
                r#"{"type":"object","additionalProperties":false,"properties":{},"required":[]}"#.to_owned(),
        }],
        max_output_tokens: 800,
        safety_identifier: "5f2b1c".to_owned(),
    }
}

/// What a caller is told of a failed call.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub status: Code,
    pub reason: String,
    pub code: String,
    pub retry_at: Option<String>,
}

pub fn told(status: &Status, provider: Provider) -> Told {
    let read = Refusal::from_status(status);
    assert_eq!(read.metadata["provider"], provider.slug(), "{status:?}");
    assert_eq!(read.fields, [], "{status:?}");
    Told {
        status: status.code(),
        reason: read.reason.unwrap_or_default(),
        code: read.metadata["code"].clone(),
        retry_at: read.metadata.get("retry_at").cloned(),
    }
}

/// The gRPC code that goes with a reason.
pub fn code_of(reason: &str) -> Code {
    match reason {
        "CREDENTIAL_REJECTED" | "NO_QUOTA" | "NOT_CONNECTED" | "CANNOT_DECRYPT" => Code::FailedPrecondition,
        "REFUSED" => Code::InvalidArgument,
        "NOT_FOUND" => Code::NotFound,
        "RATE_LIMITED" => Code::ResourceExhausted,
        "PROVIDER_AWAY" | "UNREADABLE_ANSWER" => Code::Unavailable,
        "UNKNOWN_EFFECT" => Code::Aborted,
        other => panic!("{other} is no reason"),
    }
}

/// Asserts the reason and the code of a failure, and the status that goes with it.
pub fn assert_told(status: &Status, provider: Provider, reason: &str, code: &str, row: &str) {
    let found = told(status, provider);
    assert_eq!((found.reason.as_str(), found.code.as_str()), (reason, code), "{row}: {status:?}");
    assert_eq!(found.status, code_of(reason), "{row}");
}

/// A refusal in the provider's form, which repeats the key.
pub fn says(provider: Provider, status: u16, code: &str, text: &str) -> Reply {
    Reply::json(status, &refusal(provider, status, code, text))
}

/// A refusal of Cal.com's second form.
pub fn bare(status: u16, text: &Value) -> Reply {
    Reply::json(status, &serde_json::json!({ "statusCode": status, "message": text }))
}

/// Nothing that was asked would have displeased a provider.
pub fn assert_no_complaints(stub: &StubProviders) {
    let seen = stub.seen();
    assert!(seen.iter().all(|request| request.complaints.is_empty()), "{seen:#?}");
}

/// Asserts that a value keeps to a provider's specification.
pub fn assert_fits(schemas: &str, name: &str, value: &Value) {
    let mut schema: Value = serde_json::from_str(schemas).unwrap();
    assert!(schema["$defs"][name].is_object(), "{name}");
    schema["$ref"] = serde_json::json!(format!("#/$defs/{name}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{name}: {problems:#?}");
}
