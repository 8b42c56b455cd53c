//! Vapi's rows; each of its two calls can end the check.

use coachbot_integrations::Provider::Vapi;
use coachbot_proto::types::v1::Verdict;
use serde_json::json;

use super::{Row, ends, passes, says, unexpected};
use crate::testing::{Reply, assistant, phone_number};

const REJECTED: &str = "Vapi rejected the API key (401/403). Re-copy the Private key, not the public one.";
const NO_ASSISTANT: &str = "Vapi can't find assistant id 4a170597-a0c2-4657-8c32-cb93f080cead.";
const NO_NUMBER: &str = "Vapi can't find phone number id c6ea6cb0-0dfb-4a65-918f-6a33abb54b64.";
const HOT_TIP: &str = "Invalid Key. Hot tip, you may be using the private key instead of the public key";

pub(super) fn rows() -> Vec<Row> {
    let found = || Reply::json(200, &assistant(json!({})));
    let number = |changes| Reply::json(200, &phone_number(changes));
    let both = |name, changes| passes(Vapi, name, vec![found(), number(changes)]);

    let mut rows = vec![
        both("both ids resolve", json!({})),
        both("a number of no status", json!({ "status": "absent" })),
        both("a blocked number", json!({ "status": "blocked" })).warns(&["PHONE_NUMBER_BLOCKED"]),
        both("a free number", json!({ "provider": "vapi" })).warns(&["FREE_PHONE_NUMBER"]),
        both("a free and blocked number", json!({ "provider": "vapi", "status": "blocked" }))
            .warns(&["PHONE_NUMBER_BLOCKED", "FREE_PHONE_NUMBER"]),
    ];

    // Step 1.
    let first =
        |name, status: u16, reply, verdict, message| ends(Vapi, name, status.into(), reply, verdict, message);
    let not_a_uuid = json!({ "message": ["id must be a UUID"], "error": "Bad Request", "statusCode": 400 });
    rows.extend([
        first(
            "another kind of key",
            401,
            says(Vapi, 401, "Unauthorized", HOT_TIP),
            Verdict::KeyRejected,
            REJECTED,
        )
        .about("api_key"),
        first("401 without a body", 401, Reply::empty(401), Verdict::KeyRejected, REJECTED).about("api_key"),
        first("forbidden", 403, says(Vapi, 403, "Forbidden", "no"), Verdict::KeyRejected, REJECTED)
            .about("api_key"),
        unexpected(Vapi, "a bot filter's code", 403, Reply::raw(403, "text/plain", "error code: 1020")),
        first("no assistant", 404, says(Vapi, 404, "Not Found", "no"), Verdict::NotFound, NO_ASSISTANT)
            .about("assistant_id"),
        first("no assistant, no body", 404, Reply::empty(404), Verdict::NotFound, NO_ASSISTANT)
            .about("assistant_id"),
        first("no uuid", 400, Reply::json(400, &not_a_uuid), Verdict::NotFound, NO_ASSISTANT)
            .about("assistant_id"),
        unexpected(Vapi, "another assistant", 200, Reply::json(200, &assistant(json!({ "id": "other" })))),
        unexpected(Vapi, "no id", 200, Reply::json(200, &assistant(json!({ "id": "absent" })))),
    ]);

    // Step 2: the same answers, and the assistant was found.
    rows.extend(rows_of_step_two(found, not_a_uuid));
    rows
}

fn rows_of_step_two(found: impl Fn() -> Reply, not_a_uuid: serde_json::Value) -> Vec<Row> {
    let second = |name: &str, status: u32, reply: Reply, verdict, message: &str| {
        let mut row = passes(Vapi, &format!("step 2, {name}"), vec![found(), reply]);
        row.probes = vec![("assistant", Some(200)), ("phone_number", Some(status))];
        row.verdict = verdict;
        row.message = message.to_owned();
        row
    };
    let not_understood = |status: u32| {
        format!(
            "Vapi gave an answer that Coachbot does not understand (HTTP {status}). The key was not judged."
        )
    };
    let other = Reply::json(200, &phone_number(json!({ "id": "other" })));
    vec![
        second("unauthorized", 401, says(Vapi, 401, "Unauthorized", HOT_TIP), Verdict::KeyRejected, REJECTED)
            .about("api_key"),
        second("forbidden", 403, says(Vapi, 403, "Forbidden", "no"), Verdict::KeyRejected, REJECTED)
            .about("api_key"),
        second("a page with 403", 403, Reply::page(403), Verdict::UnexpectedAnswer, &not_understood(403)),
        second("no number", 404, says(Vapi, 404, "Not Found", "no"), Verdict::NotFound, NO_NUMBER)
            .about("phone_number_id"),
        second("no uuid", 400, Reply::json(400, &not_a_uuid), Verdict::NotFound, NO_NUMBER)
            .about("phone_number_id"),
        second("another number", 200, other, Verdict::UnexpectedAnswer, &not_understood(200)),
        second(
            "limited",
            429,
            Reply::empty(429),
            Verdict::RateLimited,
            "Vapi is limiting requests right now. The key was not judged; try again in a minute.",
        ),
        second(
            "down",
            503,
            Reply::page(503),
            Verdict::ProviderDown,
            "Vapi is having trouble (HTTP 503). The key was not judged.",
        ),
        second(
            "broken off",
            200,
            Reply::raw(200, "application/json", "{").that_breaks_off(),
            Verdict::Network,
            "Vapi could not be reached (connection lost).",
        ),
    ]
}
