//! What the stubs' honest side does, and remembers.

use coachbot_integrations::Provider;
use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::stub::Reply;
use super::{ACCOUNT_SID, ASSISTANT_ID, EVENT_TYPE_ID, PHONE_NUMBER_ID, samples};

/// What happened at the providers.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Messages, in order, as Twilio has them.
    pub messages: Vec<Value>,
    /// Bookings, in order, as Cal.com has them.
    pub bookings: Vec<Value>,
    /// How many turns a model made.
    pub turns: usize,
}

/// A request whose key is good.
pub(super) struct Asked<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a str,
    pub body: &'a [u8],
}

impl Ledger {
    /// Does what is asked; `None` for what the provider does not have.
    pub(super) fn answer(&mut self, provider: Provider, asked: &Asked<'_>) -> Option<Reply> {
        match provider {
            Provider::Twilio => self.twilio(asked),
            Provider::Vapi => vapi(asked.path),
            Provider::Calcom => self.calcom(asked),
            Provider::Openai => self.openai(asked),
        }
    }

    fn twilio(&mut self, asked: &Asked<'_>) -> Option<Reply> {
        let account = format!("/twilio/2010-04-01/Accounts/{ACCOUNT_SID}");
        let rest = asked.path.strip_prefix(&account)?;
        if rest == ".json" {
            return Some(Reply::json(200, &samples::account(json!({}))));
        }
        if rest == "/Messages.json" && *asked.method == Method::POST {
            let form: std::collections::BTreeMap<_, _> = form_urlencoded::parse(asked.body).collect();
            let field = |name: &str| form.get(name).map(ToString::to_string).unwrap_or_default();
            let body = form.get("Body").map_or_else(|| field("ContentVariables"), ToString::to_string);
            let message = samples::message(json!({
                "sid": format!("SM{:032x}", self.messages.len() + 1),
                "to": field("To"), "from": field("From"), "body": body,
            }));
            self.messages.push(message.clone());
            return Some(Reply::json(201, &message));
        }
        if rest == "/Messages.json" {
            let query: std::collections::BTreeMap<_, _> =
                form_urlencoded::parse(asked.query.as_bytes()).collect();
            let fits = |message: &&Value| {
                [("To", "to"), ("From", "from")].iter().all(|(parameter, member)| {
                    query.get(*parameter).is_none_or(|wanted| message.get(*member) == Some(&json!(wanted)))
                })
            };
            let found: Vec<_> = self.messages.iter().rev().filter(fits).cloned().collect();
            return Some(Reply::json(200, &samples::message_page(&found, None)));
        }
        let sid = rest.strip_prefix("/Messages/")?.strip_suffix(".json")?;
        let found = self.messages.iter().find(|message| message.get("sid") == Some(&json!(sid)))?;
        Some(Reply::json(200, found))
    }

    fn calcom(&mut self, asked: &Asked<'_>) -> Option<Reply> {
        let rest = asked.path.strip_prefix("/calcom/v2")?;
        let data =
            |status, data: Value| Some(Reply::json(status, &json!({ "status": "success", "data": data })));
        match rest {
            "/slots" => Some(Reply::json(200, &samples::slots())),
            "/bookings" if *asked.method == Method::POST => {
                let sent: Value = serde_json::from_slice(asked.body).ok()?;
                let start = sent.get("start")?.as_str()?.replace('Z', ".000Z");
                if self.bookings.iter().any(|booking| booking.get("start") == Some(&json!(start))) {
                    let text = "User either already has booking at this time or is not available";
                    let refused = samples::refusal(Provider::Calcom, 400, "BadRequestException", text);
                    return Some(Reply::json(400, &refused));
                }
                let booking = samples::booking(json!({
                    "uid": format!("booking{}", self.bookings.len() + 1),
                    "start": start, "metadata": sent.get("metadata"),
                }));
                self.bookings.push(booking.clone());
                data(201, booking)
            }
            "/bookings" => {
                let found: Vec<_> = self.bookings.iter().rev().cloned().collect();
                Some(Reply::json(200, &samples::booking_page(&found)))
            }
            _ if rest == format!("/event-types/{EVENT_TYPE_ID}") => {
                Some(Reply::json(200, &samples::event_type(json!({}))))
            }
            _ => {
                let uid = rest.strip_prefix("/bookings/")?;
                let found = self.bookings.iter().find(|booking| booking.get("uid") == Some(&json!(uid)))?;
                data(200, found.clone())
            }
        }
    }

    fn openai(&mut self, asked: &Asked<'_>) -> Option<Reply> {
        match asked.path {
            "/openai/v1/models" => Some(Reply::json(200, &samples::models())),
            "/openai/v1/responses" if *asked.method == Method::POST => {
                self.turns += 1;
                let reply = Reply::json(200, &samples::response(json!({})));
                Some(reply.header("x-request-id", "req_0123456789abcdef"))
            }
            _ => None,
        }
    }
}

fn vapi(path: &str) -> Option<Reply> {
    if path == format!("/vapi/assistant/{ASSISTANT_ID}") {
        return Some(Reply::json(200, &samples::assistant(json!({}))));
    }
    (path == format!("/vapi/phone-number/{PHONE_NUMBER_ID}"))
        .then(|| Reply::json(200, &samples::phone_number(json!({}))))
}
