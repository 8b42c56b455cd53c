//! The four providers: what each is asked, and how its answers are read.
//!
//! Each provider has its credentials as a type, its calls, and private wire
//! types (`<name>/wire.rs`) that name only the members that are read. What all
//! providers have in common, the rows of the tables that are about HTTP alone,
//! is here.

pub(crate) mod calcom;
mod call;
pub(crate) mod credentials;
mod node;
pub(crate) mod openai;
pub(crate) mod twilio;
mod vapi;
mod wait;

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::config::Providers as Settings;
use crate::http::{Answer, HttpClient, Limits, Purpose, Request, Unreadable};
use crate::verify::{Check, Finding, Probe, Unexpected};

pub use credentials::{Credentials, Incomplete};

pub(crate) use call::{Failed, Wait};
pub(crate) use credentials::Stored;

use call::Caller;

/// All providers, behind one HTTP client.
#[derive(Clone, Debug)]
pub struct Providers {
    http: HttpClient,
    settings: Settings,
}

impl Providers {
    /// Takes the client and where each provider is.
    #[must_use]
    pub fn new(http: HttpClient, settings: Settings) -> Self {
        Self { http, settings }
    }

    /// The bounds of its calls.
    pub(crate) const fn limits(&self) -> &Limits {
        self.http.limits()
    }

    /// The messages of an account, for calls that end by `until`.
    pub(crate) const fn messages<'a>(
        &'a self,
        own: &'a credentials::Twilio,
        until: Instant,
    ) -> twilio::messages::Messages<'a> {
        let caller = Caller { http: &self.http, purpose: Purpose::Messaging, until };
        twilio::messages::Messages { caller, base: &self.settings.twilio, own }
    }

    /// The calendar of an event type, for calls that end by `until`.
    pub(crate) const fn calendar<'a>(
        &'a self,
        own: &'a credentials::Calcom,
        until: Instant,
    ) -> calcom::calendar::Calendar<'a> {
        let caller = Caller { http: &self.http, purpose: Purpose::Calendar, until };
        calcom::calendar::Calendar { caller, base: &self.settings.calcom, own }
    }

    /// The model of an account, for calls that end by `until`.
    pub(crate) fn model<'a>(
        &'a self,
        own: &'a credentials::Openai,
        until: Instant,
    ) -> openai::responses::Model<'a> {
        let caller = Caller { http: &self.http, purpose: Purpose::Model, until };
        let base = self.settings.openai.of(own.region);
        openai::responses::Model { caller, base, own, model: self.model_of(own) }
    }

    fn model_of<'a>(&'a self, own: &'a credentials::Openai) -> &'a str {
        own.model.as_deref().unwrap_or(&self.settings.openai_default_model)
    }

    /// Asks the provider whether it accepts the credentials: reads only, which
    /// change nothing and cost nothing.
    ///
    /// `today` decides whether a model's last day is over.
    pub async fn check(
        &self,
        credentials: &Credentials,
        within: Duration,
        today: jiff::civil::Date,
    ) -> Check {
        let mut calls = Calls { http: &self.http, until: Instant::now() + within, made: Vec::new() };
        let at = &self.settings;
        let result = match credentials {
            Credentials::Twilio(own) => twilio::check(&mut calls, &at.twilio, own).await,
            Credentials::Vapi(own) => vapi::check(&mut calls, at.vapi.of(own.region), own).await,
            Credentials::Calcom(own) => calcom::check(&mut calls, &at.calcom, own).await,
            Credentials::Openai(own) => {
                let model = self.model_of(own);
                openai::check(&mut calls, at.openai.of(own.region), own, model, today).await
            }
        };
        let finding = result.map_or_else(|finding| finding, Finding::Accepted);
        Check { finding, probes: calls.made }
    }
}

/// `Ok` with what deserves attention, or the finding that ends the check.
type Checked<T> = Result<T, Finding>;

/// The calls of one check: counted, and bounded together.
struct Calls<'a> {
    http: &'a HttpClient,
    until: Instant,
    made: Vec<Probe>,
}

impl Calls<'_> {
    /// Makes one call and notes it. No answer at all ends the check.
    async fn ask(&mut self, name: &'static str, request: Request) -> Checked<Answer> {
        let result = self.http.send(request, self.until.duration_since(Instant::now())).await;
        let (status, elapsed) = match &result {
            Ok(answer) => (Some(answer.status.as_u16()), answer.elapsed),
            Err(failure) => (None, failure.elapsed),
        };
        self.made.push(Probe { name, status, elapsed });
        result.map_err(|failure| Finding::Unreachable(failure.cause))
    }
}

/// The rows that hold whatever the body says: the provider's money, limits and
/// troubles. None of them is about the key.
fn settled_by_status(answer: &Answer) -> Option<Finding> {
    match answer.status.as_u16() {
        402 => Some(Finding::NoQuota),
        429 => Some(Finding::RateLimited),
        status @ (408 | 500..=599) => Some(Finding::ProviderDown { status }),
        _ => settled_by_body(answer),
    }
}

/// An answer that could not be read whole says nothing about the key: what is
/// missing may have named another cause.
fn settled_by_body(answer: &Answer) -> Option<Finding> {
    match answer.unreadable()? {
        Unreadable::BrokeOff(cause) => Some(Finding::Unreachable(cause)),
        Unreadable::Encoded | Unreadable::TooLong => Some(unexpected(answer)),
    }
}

/// The last row of every table.
fn unexpected(answer: &Answer) -> Finding {
    unexpected_as(answer, Unexpected::Unknown)
}

fn unexpected_as(answer: &Answer, kind: Unexpected) -> Finding {
    Finding::Unexpected { status: answer.status.as_u16(), kind }
}

/// Whether the answer is an object of JSON, as all four providers send them; a
/// proxy or a bot filter sends something else.
fn is_json_object(answer: &Answer) -> bool {
    answer.json::<node::Node<'_>>().is_some_and(|body| body.is_object())
}

/// `true` for the one status that a read answers with.
fn is_ok(answer: &Answer) -> bool {
    answer.status == StatusCode::OK
}
