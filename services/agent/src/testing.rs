//! The connector in memory: scripted, faulty, with a ledger of what happened.
//!
//! It keeps to the contract that the agent relies on: nothing is repeated here,
//! messages and bookings are listed as the providers list them, and a lost answer
//! looks like one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coachbot_common::clock::{SharedClock, from_wire, to_wire};
use coachbot_common::rpc::{self, Identity, Policy, Transport};
use coachbot_proto::connector::v1::calendar_service_server::CalendarServiceServer;
use coachbot_proto::connector::v1::item::Kind;
use coachbot_proto::connector::v1::messaging_service_server::MessagingServiceServer;
use coachbot_proto::connector::v1::model_service_server::ModelServiceServer;
use coachbot_proto::connector::v1::{
    AssistantText, BookingStatus, DeliveryStatus, GenerateRequest, GenerateResponse, Item, ToolCall,
};
use jiff::Timestamp;
use tokio::sync::Notify;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

mod calendar;
mod messaging;
mod model;

/// The calls that can be told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `SendMessage`.
    SendMessage,
    /// `ListMessages`.
    ListMessages,
    /// `ListSlots`.
    ListSlots,
    /// `CreateBooking`.
    CreateBooking,
    /// `ListBookings`.
    ListBookings,
    /// `Generate`.
    Generate,
}

/// How a call fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A failure of the closed list, and no effect.
    Fails {
        /// Such as `RATE_LIMITED`.
        reason: &'static str,
        /// The provider's code.
        code: &'static str,
    },
    /// The answer is lost, and there was no effect.
    LostBefore,
    /// The answer is lost after the effect.
    LostAfter,
    /// The connector itself is away.
    Away,
    /// Nothing: the call succeeds, and the next fault is for the one after it.
    None,
    /// Says that it was reached, and waits to be released; then goes on, with the
    /// effect.
    Held(Arc<Hold>),
    /// As `Held`, with the effect before it waits.
    HeldAfter(Arc<Hold>),
}

/// A held call.
#[derive(Debug, Default)]
pub struct Hold {
    /// Told when the call is there.
    pub reached: Notify,
    /// Tells the call to go on.
    pub release: Notify,
}

/// A message in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// The provider's id.
    pub sid: String,
    /// Where to.
    pub to: String,
    /// What it says; of a template, its SID and its variables.
    pub body: String,
    /// Where states are reported to.
    pub callback: String,
    /// When.
    pub at: Timestamp,
    /// Where it is.
    pub status: DeliveryStatus,
    /// The provider's code when it failed.
    pub error_code: Option<u32>,
}

impl SentMessage {
    /// The intent's id, from the callback's path.
    #[must_use]
    pub fn intent_id(&self) -> &str {
        self.callback.rsplit('/').next().unwrap_or_default()
    }
}

/// A booking in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeBooking {
    /// The provider's id.
    pub uid: String,
    /// The intent that made it.
    pub intent_id: String,
    /// When it starts.
    pub start: Timestamp,
    /// Who comes.
    pub name: String,
    /// Where the invitation goes.
    pub email: Option<String>,
    /// Where they can be called.
    pub phone: Option<String>,
    /// When it was made.
    pub at: Timestamp,
    /// How far it is.
    pub status: BookingStatus,
}

/// What the model answers with.
type Script = Box<dyn FnMut(&GenerateRequest) -> GenerateResponse + Send>;

/// Everything that the connector knows.
pub struct State {
    /// What was sent, in order.
    pub sent: Vec<SentMessage>,
    /// What was booked, in order.
    pub booked: Vec<MadeBooking>,
    /// What the model was asked, in order.
    pub asked: Vec<GenerateRequest>,
    /// Broken promises of the agent.
    pub violations: Vec<String>,
    /// How often each operation was called.
    pub calls: HashMap<Operation, usize>,
    /// Free slots.
    pub slots: Vec<Timestamp>,
    /// Their zone.
    pub timezone: String,
    /// Whether bookings wait for the coach's consent.
    pub pending: bool,
    /// What the next calls come to; those that have none succeed.
    faults: HashMap<Operation, VecDeque<Fault>>,
    /// What all calls come to.
    standing_faults: HashMap<Operation, Fault>,
    answers: VecDeque<GenerateResponse>,
    script: Option<Script>,
    count: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("sent", &self.sent)
            .field("booked", &self.booked)
            .finish_non_exhaustive()
    }
}

/// The connector in memory.
#[derive(Clone)]
pub struct FakeConnector {
    state: Arc<Mutex<State>>,
    clock: SharedClock,
}

impl std::fmt::Debug for FakeConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeConnector")
    }
}

impl FakeConnector {
    /// A connector with slots on Tuesday, 1 December 2026, and a model that says
    /// "Hello!" unless it is told otherwise.
    ///
    /// # Panics
    /// Never: the slots are instants.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        let slots = ["2026-12-01T09:00:00Z", "2026-12-01T10:00:00Z", "2026-12-02T15:30:00Z"];
        let state = State {
            sent: Vec::new(),
            booked: Vec::new(),
            asked: Vec::new(),
            violations: Vec::new(),
            calls: HashMap::new(),
            slots: slots.iter().filter_map(|text| text.parse().ok()).collect(),
            timezone: "Europe/London".to_owned(),
            pending: false,
            faults: HashMap::new(),
            standing_faults: HashMap::new(),
            answers: VecDeque::new(),
            script: None,
            count: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    /// What it knows, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an answer of the model.
    pub fn answers(&self, items: impl IntoIterator<Item = Item>) {
        let response = response(items);
        self.state().answers.push_back(response);
    }

    /// Queues an answer of the model as it is.
    pub fn answers_with(&self, response: GenerateResponse) {
        self.state().answers.push_back(response);
    }

    /// Lets a function answer when no answer is queued.
    pub fn plays(&self, script: impl FnMut(&GenerateRequest) -> GenerateResponse + Send + 'static) {
        self.state().script = Some(Box::new(script));
    }

    /// Queues how the next call of an operation comes out.
    pub fn fails(&self, operation: Operation, fault: Fault) {
        self.state().faults.entry(operation).or_default().push_back(fault);
    }

    /// How all calls of an operation come out from now on; `None`: well.
    pub fn always(&self, operation: Operation, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.state().standing_faults.insert(operation, fault),
            None => self.state().standing_faults.remove(&operation),
        };
    }

    /// The texts that were sent, in order.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.state().sent.iter().map(|message| message.body.clone()).collect()
    }

    /// How often an operation was called.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.state().calls.get(&operation).copied().unwrap_or_default()
    }

    /// A transport to it, as the agent's.
    #[must_use]
    pub fn transport(&self) -> Transport {
        rpc::direct(self.routes().prepare(), Self::policy(), Identity::Agent)
    }

    /// Its three services.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Routes::new(MessagingServiceServer::new(self.clone()))
            .add_service(CalendarServiceServer::new(self.clone()))
            .add_service(ModelServiceServer::new(self.clone()))
    }

    /// Who may call them.
    #[must_use]
    pub const fn policy() -> Policy {
        const AGENT: &[Identity] = &[Identity::Agent];
        Policy::new(&[
            ("/coachbot.connector.v1.MessagingService/SendMessage", AGENT),
            ("/coachbot.connector.v1.MessagingService/ListMessages", AGENT),
            ("/coachbot.connector.v1.CalendarService/GetEventType", AGENT),
            ("/coachbot.connector.v1.CalendarService/ListSlots", AGENT),
            ("/coachbot.connector.v1.CalendarService/CreateBooking", AGENT),
            ("/coachbot.connector.v1.CalendarService/ListBookings", AGENT),
            ("/coachbot.connector.v1.ModelService/Generate", AGENT),
        ])
    }

    /// Begins a call: what is to go wrong, if anything.
    async fn begin(&self, operation: Operation) -> Result<Option<Fault>, Status> {
        let fault = {
            let mut state = self.state();
            *state.calls.entry(operation).or_default() += 1;
            let queued = state.faults.get_mut(&operation).and_then(VecDeque::pop_front);
            queued.or_else(|| state.standing_faults.get(&operation).cloned())
        };
        match fault {
            Some(Fault::Fails { reason, code }) => Err(failed(reason, code)),
            Some(Fault::LostBefore) => Err(failed("UNKNOWN_EFFECT", "")),
            Some(Fault::Away) => Err(Status::unavailable("unavailable")),
            Some(Fault::Held(hold)) => {
                hold.reached.notify_one();
                hold.release.notified().await;
                Ok(None)
            }
            fault => Ok(fault),
        }
    }

    /// Ends a call whose effect happened: waits, or loses the answer.
    async fn end(&self, fault: Option<Fault>) -> Result<(), Status> {
        match fault {
            Some(Fault::LostAfter) => Err(failed("UNKNOWN_EFFECT", "")),
            Some(Fault::HeldAfter(hold)) => {
                hold.reached.notify_one();
                hold.release.notified().await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A failure as the connector tells it.
#[must_use]
pub fn failed(reason: &str, code: &str) -> Status {
    let status = match reason {
        "CREDENTIAL_REJECTED" | "NOT_CONNECTED" | "CANNOT_DECRYPT" | "NO_QUOTA" => Code::FailedPrecondition,
        "REFUSED" => Code::InvalidArgument,
        "NOT_FOUND" => Code::NotFound,
        "RATE_LIMITED" => Code::ResourceExhausted,
        "UNKNOWN_EFFECT" => Code::Aborted,
        _ => Code::Unavailable,
    };
    let mut details = ErrorDetails::new();
    let metadata = HashMap::from([("code".to_owned(), code.to_owned())]);
    details.set_error_info(reason, "connector.coachbot", metadata);
    Status::with_error_details(status, "the provider call failed", details)
}

/// What the model says to the lead.
#[must_use]
pub fn say(text: &str) -> Item {
    let said = AssistantText { text: text.to_owned(), commentary: false, refusal: false };
    Item { kind: Some(Kind::AssistantText(said)) }
}

/// A tool that the model asks for.
#[must_use]
pub fn call(call_id: &str, name: &str, arguments: &str) -> Item {
    let call =
        ToolCall { call_id: call_id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() };
    Item { kind: Some(Kind::ToolCall(call)) }
}

/// A whole answer of some items.
#[must_use]
pub fn response(items: impl IntoIterator<Item = Item>) -> GenerateResponse {
    GenerateResponse {
        items: items.into_iter().collect(),
        incomplete_reason: None,
        model: "gpt-4o".to_owned(),
        input_tokens: 100,
        output_tokens: 20,
        provider_request_id: "req_1".to_owned(),
    }
}

fn instant(at: Option<&prost_types::Timestamp>) -> Timestamp {
    at.and_then(from_wire).unwrap_or(Timestamp::MIN)
}

fn wire(at: Timestamp) -> Option<prost_types::Timestamp> {
    Some(to_wire(at))
}
