//! What a provider would not like about a request, by its page.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method};
use serde_json::Value;
use url::form_urlencoded;

/// What one call looks like.
#[derive(Clone, Copy)]
struct Call {
    /// A POST, and no GET.
    posts: bool,
    /// The part of the path that names it.
    path: &'static str,
    /// Whether something follows that part.
    with_id: bool,
    /// `cal-api-version`.
    version: Option<&'static str>,
    /// The names that its query may have.
    query: &'static [&'static str],
    body: Form,
}

/// What a body looks like.
#[derive(Clone, Copy)]
enum Form {
    None,
    /// The names that may be there, and those that must.
    Urlencoded(&'static [&'static str], &'static [&'static str]),
    Json(&'static [&'static str], &'static [&'static str]),
}

const fn get(path: &'static str, with_id: bool, query: &'static [&'static str]) -> Call {
    Call { posts: false, path, with_id, version: None, query, body: Form::None }
}

const fn of_calcom(version: &'static str, call: Call) -> Call {
    Call { version: Some(version), ..call }
}

const CALLS: &[Call] = &[
    get("/vapi/assistant/", true, &[]),
    get("/vapi/phone-number/", true, &[]),
    get("/openai/v1/models", false, &[]),
    get("/Messages/", true, &[]),
    get("/Messages.json", false, &["To", "From", "DateSent>", "PageSize", "Page", "PageToken"]),
    Call {
        posts: true,
        body: Form::Urlencoded(
            &["To", "From", "Body", "ContentSid", "ContentVariables", "StatusCallback"],
            &["To", "From", "StatusCallback"],
        ),
        ..get("/Messages.json", false, &[])
    },
    get("/twilio/2010-04-01/Accounts/", true, &[]),
    of_calcom("2024-06-14", get("/calcom/v2/event-types/", true, &[])),
    of_calcom(
        "2024-09-04",
        get("/calcom/v2/slots", false, &["eventTypeId", "start", "end", "timeZone", "format"]),
    ),
    of_calcom("2024-08-13", get("/calcom/v2/bookings/", true, &[])),
    of_calcom(
        "2024-08-13",
        get("/calcom/v2/bookings", false, &["eventTypeId", "afterCreatedAt", "sortCreated", "take"]),
    ),
    of_calcom(
        "2024-08-13",
        Call {
            posts: true,
            body: Form::Json(
                &["start", "eventTypeId", "attendee", "metadata"],
                &["start", "eventTypeId", "attendee", "metadata"],
            ),
            ..get("/calcom/v2/bookings", false, &[])
        },
    ),
    Call {
        posts: true,
        body: Form::Json(
            &[
                "model",
                "instructions",
                "store",
                "input",
                "tools",
                "parallel_tool_calls",
                "max_output_tokens",
                "safety_identifier",
            ],
            &["model", "store", "input", "max_output_tokens"],
        ),
        ..get("/openai/v1/responses", false, &[])
    },
];

impl Call {
    fn fits(&self, method: &Method, path: &str) -> bool {
        let here = if self.with_id { path.contains(self.path) } else { path.ends_with(self.path) };
        here && *method == if self.posts { Method::POST } else { Method::GET }
    }
}

/// What is wrong with a request.
pub(super) fn complaints(head: &Parts, body: &Bytes) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut mind = |wrong: bool, what: &str| {
        if wrong {
            complaints.push(what.to_owned());
        }
    };
    let headers = &head.headers;
    mind(headers.contains_key(ACCEPT_ENCODING), "asks for a content encoding");
    mind(!headers.contains_key(AUTHORIZATION), "has no Authorization");
    mind(headers.contains_key("referer"), "has a referer");
    let agent = headers.get("user-agent").map(HeaderValue::as_bytes).unwrap_or_default();
    mind(!agent.starts_with(b"coachbot/"), "does not say who it is");

    let Some(call) = CALLS.iter().find(|call| call.fits(&head.method, head.uri.path())) else {
        complaints.push("no provider has this call".to_owned());
        return complaints;
    };
    let version = headers.get("cal-api-version").map(HeaderValue::as_bytes);
    mind(version != call.version.map(str::as_bytes), "has the wrong cal-api-version");
    let query = head.uri.query();
    mind(query.is_some_and(str::is_empty) || call.query.is_empty() && query.is_some(), "has a query");
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        mind(!call.query.contains(&name.as_ref()), "has an unknown parameter in its query");
        mind(value.contains(' '), "has a space in its query: a bare +");
    }
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match &call.body {
        Form::None => {
            mind(!body.is_empty(), "has a body");
            mind(content_type.is_some(), "has a content type without a body");
        }
        Form::Urlencoded(may, must) => {
            mind(content_type != Some(b"application/x-www-form-urlencoded"), "has the wrong content type");
            let pairs: Vec<_> = form_urlencoded::parse(body).collect();
            let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_ref()).collect();
            mind(names.iter().any(|name| !may.contains(name)), "has an unknown field");
            mind(must.iter().any(|name| !names.contains(name)), "lacks a field");
            let once = |name: &&str| names.iter().filter(|found| *found == name).count() == 1;
            mind(!names.iter().all(once), "has a field twice");
            mind(names.contains(&"Body") == names.contains(&"ContentSid"), "has both or neither content");
            let bare = |(name, value): &(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
                matches!(name.as_ref(), "To" | "From") && value.contains(' ')
            };
            mind(pairs.iter().any(bare), "has a space in a number: a bare +");
        }
        Form::Json(may, must) => {
            mind(content_type != Some(b"application/json"), "has the wrong content type");
            let sent: Value = serde_json::from_slice(body).unwrap_or_default();
            let names: Vec<_> =
                sent.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            mind(names.iter().any(|name| !may.contains(name)), "has an unknown member");
            mind(must.iter().any(|name| !names.contains(name)), "lacks a member");
            if call.path.starts_with("/openai") {
                turn(&sent, &mut mind);
            } else {
                booking(&sent, &mut mind);
            }
        }
    }
    complaints
}

fn booking(sent: &Value, mind: &mut impl FnMut(bool, &str)) {
    let start = sent.get("start").and_then(Value::as_str).unwrap_or_default();
    mind(!start.ends_with('Z'), "has a start that is not UTC");
    mind(!sent.get("eventTypeId").is_some_and(Value::is_u64), "has an event type that is no number");
    let attendee = sent.get("attendee").and_then(Value::as_object);
    let names = ["name", "email", "phoneNumber", "timeZone", "language"];
    let unknown = |member: &String| !names.contains(&member.as_str());
    mind(attendee.is_none_or(|attendee| attendee.keys().any(unknown)), "has an unknown member of attendee");
    let has = |name| attendee.is_some_and(|attendee| attendee.get(name).is_some_and(Value::is_string));
    mind(!has("name") || !has("timeZone"), "has an attendee without name or zone");
    let metadata = sent.get("metadata").and_then(Value::as_object);
    mind(
        metadata.is_none_or(|metadata| metadata.is_empty() || !metadata.values().all(Value::is_string)),
        "has metadata that are no texts",
    );
}

fn turn(sent: &Value, mind: &mut impl FnMut(bool, &str)) {
    mind(sent.get("store") != Some(&Value::Bool(false)), "has the provider store the conversation");
    let list = |name| sent.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for tool in list("tools") {
        let flat = tool.get("type").and_then(Value::as_str) == Some("function") && tool.get("name").is_some();
        mind(!flat, "has a tool that is not flat");
        mind(tool.get("strict") != Some(&Value::Bool(true)), "has a tool that is not strict");
    }
    let text = |item: &Value, name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    let ids = |kind: &str| {
        let of_kind = list("input").iter().filter(|item| text(item, "type").as_deref() == Some(kind));
        let mut ids: Vec<_> = of_kind.filter_map(|item| text(item, "call_id")).collect();
        ids.sort();
        ids
    };
    mind(
        ids("function_call") != ids("function_call_output"),
        "has a tool call without its answer, or an answer without its call",
    );
}
