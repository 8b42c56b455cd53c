//! The lead's side: what a phone would do.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join_all;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::accounts::{TWILIO, TwilioAccount};
use crate::ledger::Effect;
use crate::providers::{Operation, Provider};
use crate::sandbox::Sandbox;
use crate::twilio::{Message, NewMessage, Webhook, new_sid, parameters, verdict};

/// What a lead writes, and how it is handed on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The product's webhook for incoming messages.
    workspace_webhook_url: String,
    /// The sender that the lead writes to, `whatsapp:+…`.
    to: String,
    /// The lead, `whatsapp:+…`.
    from: String,
    text: String,
    #[serde(default)]
    profile_name: String,
    /// How often the same webhook is sent, at the same time.
    #[serde(default = "one")]
    copies: usize,
    /// What a stranger changed.
    tamper: Option<Tamper>,
    /// An earlier message that is handed on once more.
    message_sid: Option<String>,
    /// More parameters, or other values.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tamper {
    /// The signature is another one.
    Signature,
    /// The text was changed after it was signed.
    Param,
    /// Signed well, but of another account.
    Account,
}

impl Tamper {
    const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Param => "param",
            Self::Account => "account",
        }
    }
}

const fn one() -> usize {
    1
}

/// `POST /_sandbox/leads/messages`
pub async fn write(State(sandbox): State<Sandbox>, Json(written): Json<Written>) -> Response {
    let Some(account) = TWILIO.iter().find(|account| account.senders.contains(&written.to.as_str())) else {
        return refuse("to is no sender of the sandbox");
    };
    if !(1..=1000).contains(&written.copies) {
        return refuse("copies must be between 1 and 1000");
    }
    let sid = written.message_sid.clone().unwrap_or_else(new_sid);
    // What a stranger makes up never was at the provider.
    if written.tamper.is_none() {
        let message = NewMessage {
            account_sid: account.sid.to_owned(),
            to: written.to.clone(),
            from: written.from.clone(),
            body: written.text.clone(),
            fate: None,
            status_callback: None,
        };
        let (_, number) = sandbox.change(|world, now| world.chat.receive(message, sid.clone(), now));
        sandbox.kept(number).await;
    }
    let webhook = webhook(account, &written, &sid);
    let copies = (0..written.copies).map(|_| hand_on(&sandbox, &webhook, &written, &sid));
    let statuses = join_all(copies).await;
    Json(json!({ "message_sid": sid, "status": statuses.first(), "statuses": statuses })).into_response()
}

async fn hand_on(sandbox: &Sandbox, webhook: &Webhook, written: &Written, sid: &str) -> Option<u16> {
    let status = tokio::select! {
        status = webhook.send(sandbox.http()) => status,
        () = sandbox.stop().cancelled() => None,
    };
    let effect = Effect::Inbound {
        sid: sid.to_owned(),
        from: written.from.clone(),
        to: written.to.clone(),
        tampered: written.tamper.map(|tamper| tamper.name().to_owned()),
    };
    let at = (Provider::Twilio, Operation::InboundMessage);
    sandbox.change(|world, now| world.ledger.write(now, at, verdict(status), None, Some(effect)));
    status
}

fn webhook(account: &TwilioAccount, written: &Written, sid: &str) -> Webhook {
    let stranger = TWILIO.iter().find(|other| other.sid != account.sid).map_or("AC", |other| other.sid);
    let account_sid = if matches!(written.tamper, Some(Tamper::Account)) { stranger } else { account.sid };
    let lead = written.from.strip_prefix("whatsapp:").unwrap_or(&written.from);
    let mut form: BTreeMap<String, String> = parameters([
        ("SmsMessageSid", sid),
        ("NumMedia", "0"),
        ("ProfileName", &written.profile_name),
        ("MessageType", "text"),
        ("SmsSid", sid),
        ("WaId", lead.trim_start_matches('+')),
        ("SmsStatus", "received"),
        ("Body", &written.text),
        ("To", &written.to),
        ("NumSegments", "1"),
        ("ReferralNumMedia", "0"),
        ("MessageSid", sid),
        ("AccountSid", account_sid),
        ("From", &written.from),
        ("ApiVersion", "2010-04-01"),
    ])
    .into_iter()
    .collect();
    form.extend(written.parameters.clone());
    let form: Vec<_> = form.into_iter().collect();
    let mut webhook = Webhook::new(account.token, &written.workspace_webhook_url, form);
    match written.tamper {
        Some(Tamper::Signature) => {
            // Still base64 of 20 bytes.
            let first = if webhook.signature.starts_with('A') { "B" } else { "A" };
            webhook.signature.replace_range(..1, first);
        }
        Some(Tamper::Param) => {
            for (_, value) in webhook.form.iter_mut().filter(|(name, _)| name == "Body") {
                value.push('!');
            }
        }
        Some(Tamper::Account) | None => {}
    }
    webhook
}

/// A lead and the sender whose chat it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The lead.
    from: String,
    /// The sender.
    to: String,
}

/// `POST /_sandbox/leads/read`: the lead looks at the chat.
pub async fn read(State(sandbox): State<Sandbox>, Json(pair): Json<Pair>) -> Json<Value> {
    Json(json!({ "read": sandbox.read_by_lead(&pair.from, &pair.to).await }))
}

/// `POST /_sandbox/leads/silence`: as if the lead had been silent for a day.
pub async fn fall_silent(State(sandbox): State<Sandbox>, Json(pair): Json<Pair>) -> StatusCode {
    sandbox.change(|world, _| world.chat.close_window(&pair.from, &pair.to));
    StatusCode::NO_CONTENT
}

/// Whose chat is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// The lead.
    with: String,
    /// Only with this sender.
    sender: Option<String>,
    /// Only messages after this place.
    #[serde(default)]
    after: u64,
    /// Any value: also what the lead does not see.
    all: Option<String>,
    /// Any value: wait until there is one.
    wait: Option<String>,
}

/// `GET /_sandbox/messages`: the chat as the lead sees it, oldest first.
pub async fn chat(State(sandbox): State<Sandbox>, Query(chosen): Query<Chosen>) -> Json<Value> {
    let fits = |message: &Message| {
        let (lead, sender) =
            if message.is_inbound() { (&message.from, &message.to) } else { (&message.to, &message.from) };
        *lead == chosen.with
            && message.seq > chosen.after
            && chosen.sender.as_ref().is_none_or(|wanted| wanted == sender)
            && (chosen.all.is_some() || message.is_seen_by_lead())
    };
    let find = |world: &crate::world::World| -> Vec<Value> {
        world.chat.all().into_iter().filter(|message| fits(message)).map(shown).collect()
    };
    let items =
        if chosen.wait.is_some() { sandbox.until(find).await } else { sandbox.look(|world, _| find(world)) };
    Json(json!({ "items": items }))
}

fn shown(message: &Message) -> Value {
    json!({
        "seq": message.seq,
        "sid": message.sid,
        "direction": if message.is_inbound() { "inbound" } else { "outbound" },
        "from": message.from,
        "to": message.to,
        "text": message.body,
        "status": message.status,
        "error_code": message.error_code,
        "at": message.created,
    })
}

fn refuse(what: &str) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": what }))).into_response()
}
