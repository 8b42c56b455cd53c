//! Every row of the design's two message tables and of the four providers'
//! Verify tables: what the provider does, and what must come of it.
//!
//! The messages are written out, and not taken from the code under test.

mod calcom;
mod openai;
mod twilio;
mod vapi;

use std::collections::BTreeMap;

use coachbot_integrations::Provider;
use coachbot_proto::types::v1::Verdict;

use super::{Reply, planted, refusal, stored};
use crate::http::MAX_BODY_BYTES;

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Names the row in a failure.
    pub name: String,
    /// Of which provider.
    pub provider: Provider,
    /// What the vault leases.
    pub fields: BTreeMap<String, String>,
    /// What the provider does.
    pub world: World,
    /// The verdict.
    pub verdict: Verdict,
    /// The field that it is about.
    pub field: Option<&'static str>,
    /// The message, word for word.
    pub message: String,
    /// The calls that were made, with their statuses.
    pub probes: Vec<(&'static str, Option<u32>)>,
    /// The codes of the warnings.
    pub warnings: Vec<&'static str>,
}

/// What a provider does.
#[derive(Clone, Debug)]
pub enum World {
    /// It answers the calls of the check so, in order.
    Answers(Vec<Reply>),
    /// Nothing listens.
    ClosedPort,
    /// It accepts connections and closes them.
    Closes,
    /// It accepts connections and says nothing.
    NeverAnswers,
    /// Its name has no address.
    NoSuchHost,
    /// It speaks no TLS where TLS is expected.
    NotTls,
}

/// All rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    Provider::ALL
        .into_iter()
        .flat_map(|provider| {
            let mut rows = match provider {
                Provider::Twilio => twilio::rows(),
                Provider::Vapi => vapi::rows(),
                Provider::Calcom => calcom::rows(),
                Provider::Openai => openai::rows(),
            };
            rows.extend(common(provider));
            rows
        })
        .collect()
}

/// The row of a passed check, to be changed.
fn passes(provider: Provider, name: &str, replies: Vec<Reply>) -> Row {
    let probes = match provider {
        Provider::Twilio => vec![("account", Some(200))],
        Provider::Vapi => vec![("assistant", Some(200)), ("phone_number", Some(200))],
        Provider::Calcom => vec![("event_type", Some(200))],
        Provider::Openai => vec![("models", Some(200))],
    };
    Row {
        name: format!("{provider}: {name}"),
        provider,
        fields: stored(provider),
        world: World::Answers(replies),
        verdict: Verdict::Ok,
        field: None,
        message: format!("{} accepted the credentials.", provider.name()),
        probes,
        warnings: Vec::new(),
    }
}

/// The row of a check that its first call ends.
fn ends(provider: Provider, name: &str, status: u32, reply: Reply, verdict: Verdict, message: &str) -> Row {
    let mut row = passes(provider, name, vec![reply]);
    row.probes.truncate(1);
    if let Some((_, first)) = row.probes.first_mut() {
        *first = Some(status);
    }
    row.verdict = verdict;
    row.message = message.to_owned();
    row
}

impl Row {
    fn about(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    fn warns(mut self, codes: &[&'static str]) -> Self {
        self.verdict = Verdict::OkWithWarning;
        self.warnings = codes.to_vec();
        self
    }
}

/// A refusal of the provider's shape, which repeats the key.
fn says(provider: Provider, status: u16, code: &str, text: &str) -> Reply {
    Reply::json(status, &refusal(provider, status, code, text))
}

fn unexpected(provider: Provider, name: &str, status: u32, reply: Reply) -> Row {
    let message = format!(
        "{} gave an answer that Coachbot does not understand (HTTP {status}). The key was not judged.",
        provider.name()
    );
    ends(provider, name, status, reply, Verdict::UnexpectedAnswer, &message)
}

/// The rows that are the same for all providers.
fn common(provider: Provider) -> Vec<Row> {
    let name = provider.name();
    let text = |status, text: &str| says(provider, status, "", text);
    let mut rows = Vec::new();

    for status in [408_u16, 500, 501, 502, 503, 504, 520, 529] {
        let message = format!("{name} is having trouble (HTTP {status}). The key was not judged.");
        for reply in [text(status, "trouble"), Reply::page(status), Reply::empty(status)] {
            rows.push(ends(
                provider,
                "the provider is down",
                status.into(),
                reply,
                Verdict::ProviderDown,
                &message,
            ));
        }
    }

    let limited =
        format!("{name} is limiting requests right now. The key was not judged; try again in a minute.");
    for reply in
        [text(429, "Too many requests"), Reply::empty(429), Reply::page(429).header("retry-after", "30")]
    {
        rows.push(ends(provider, "too many requests", 429, reply, Verdict::RateLimited, &limited));
    }

    let quota = format!("{name} accepts the key, but the account has no credit left or has reached a limit.");
    rows.push(ends(provider, "payment required", 402, text(402, "pay"), Verdict::NoQuota, &quota));

    for status in [405_u16, 406, 407, 409, 410, 418, 422, 451] {
        rows.push(unexpected(provider, "another 4xx", status.into(), text(status, "no")));
    }
    for status in [301_u16, 302, 307, 308] {
        let elsewhere = Reply::empty(status).header("location", "http://127.0.0.1:9/elsewhere");
        rows.push(unexpected(provider, "a redirect", status.into(), elsewhere));
    }
    for status in [201_u16, 202, 204, 304] {
        rows.push(unexpected(provider, "another success", status.into(), Reply::empty(status)));
    }
    rows.push(unexpected(provider, "a page with 200", 200, Reply::page(200)));
    rows.push(unexpected(provider, "a page with 400", 400, Reply::page(400)));
    rows.push(unexpected(provider, "a page with 403", 403, Reply::page(403)));
    rows.push(unexpected(provider, "a page with 404", 404, Reply::page(404)));
    rows.push(unexpected(provider, "an empty 200", 200, Reply::empty(200)));
    rows.push(unexpected(provider, "half an answer", 200, Reply::raw(200, "application/json", "{\"id\": ")));
    rows.push(unexpected(provider, "a list", 200, Reply::raw(200, "application/json", "[]")));
    rows.push(unexpected(provider, "an empty object", 200, Reply::raw(200, "application/json", "{}")));
    for encoding in ["gzip", "br", "identity, gzip"] {
        for status in [200_u16, 401, 403, 404] {
            let encoded = text(status, "not what it seems").header("content-encoding", encoding);
            rows.push(unexpected(provider, "an encoded body", status.into(), encoded));
        }
    }
    for status in [200_u16, 401] {
        let long = Reply::raw(status, "application/json", vec![b' '; MAX_BODY_BYTES + 1]);
        rows.push(unexpected(provider, "a body beyond the limit", status.into(), long));
    }

    rows.extend(unreachable(provider));
    rows
}

fn unreachable(provider: Provider) -> Vec<Row> {
    let row = |cause: &str, world: World| {
        let message = format!("{} could not be reached ({cause}).", provider.name());
        let mut row = ends(provider, cause, 0, Reply::empty(200), Verdict::Network, &message);
        row.name = format!("{provider}: {world:?}");
        row.world = world;
        row.probes = row.probes.into_iter().map(|(name, _)| (name, None)).collect();
        row
    };
    let mut rows = vec![
        row("refused", World::ClosedPort),
        row("connection lost", World::Closes),
        row("timeout", World::NeverAnswers),
        row("DNS", World::NoSuchHost),
        row("TLS", World::NotTls),
    ];
    for status in [200_u16, 401, 403, 404] {
        let part = Reply::raw(status, "application/json", planted(provider));
        let lost = format!("{} could not be reached (connection lost).", provider.name());
        let slow = format!("{} could not be reached (timeout).", provider.name());
        rows.push(ends(
            provider,
            "a body that breaks off",
            status.into(),
            part.clone().that_breaks_off(),
            Verdict::Network,
            &lost,
        ));
        rows.push(ends(
            provider,
            "a body that never ends",
            status.into(),
            part.that_never_ends(),
            Verdict::Network,
            &slow,
        ));
    }
    rows
}
