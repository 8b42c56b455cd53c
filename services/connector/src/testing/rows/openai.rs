//! `OpenAI`'s rows.

use coachbot_integrations::Provider::Openai;
use coachbot_proto::types::v1::Verdict;
use serde_json::json;

use super::{Row, ends, passes, says, unexpected};
use crate::testing::{Reply, models, planted};

const REJECTED: &str = "OpenAI rejected the API key.";
const NO_SCOPE: &str = "OpenAI accepts the key, but the key may not list models.";
const NO_QUOTA: &str = "OpenAI accepts the key, but the account has no credit left or has reached a limit.";
const OTHER_REGION: &str = "OpenAI says this key belongs to another region.";
const SCOPES: &str = "You have insufficient permissions for this operation. Missing scopes: api.model.read.";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = found();
    let refused = |name, status: u16, code, text| (name, status, says(Openai, status, code, text));
    let row = |(name, status, reply): (&'static str, u16, Reply), verdict, message| {
        ends(Openai, name, status.into(), reply, verdict, message)
    };
    let bare = |status: u16, text: &str| {
        Reply::json(status, &json!({ "error": format!("{text} {}", planted(Openai)) }))
    };

    for case in [
        refused("wrong key", 401, "invalid_api_key", "Incorrect API key provided:"),
        refused("no code", 401, "", "You must be a member of an organization to use the API"),
        ("an error as a text", 401, bare(401, "no")),
        ("no body", 401, Reply::empty(401)),
        ("a page", 401, Reply::page(401)),
    ] {
        rows.push(row(case, Verdict::KeyRejected, REJECTED).about("api_key"));
    }
    for status in [401, 403] {
        rows.push(row(refused("missing scopes", status, "", SCOPES), Verdict::KeyLacksScope, NO_SCOPE));
        let as_text = ("missing scopes, error as a text", status, bare(status, SCOPES));
        rows.push(row(as_text, Verdict::KeyLacksScope, NO_SCOPE));
    }
    let hostname = refused("another region", 401, "incorrect_hostname", "use eu.api.openai.com");
    rows.push(row(hostname, Verdict::UnexpectedAnswer, OTHER_REGION).about("region"));
    for status in [403, 404] {
        let gone = refused("a model that is gone", status, "model_not_found", "no such model");
        rows.push(row(gone, Verdict::NotFound, "OpenAI can't find model gpt-6-luna.").about("model"));
    }

    let country = says(Openai, 403, "unsupported_country_region_territory", "not supported");
    rows.push(unexpected(Openai, "an unsupported country", 403, country));
    rows.push(unexpected(Openai, "another 403", 403, says(Openai, 403, "something_new", "no")));
    rows.push(unexpected(Openai, "another base", 404, says(Openai, 404, "", "Invalid URL")));
    rows.push(unexpected(Openai, "404 without a body", 404, Reply::empty(404)));
    rows.push(unexpected(Openai, "bad request", 400, says(Openai, 400, "invalid_value", "no")));

    for code in [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    ] {
        rows.push(row(refused("no credit by code", 429, code, "quota"), Verdict::NoQuota, NO_QUOTA));
    }
    let by_type = json!({ "error": { "message": "quota", "type": "insufficient_quota", "param": null, "code": "new" } });
    rows.push(row(("no credit by type", 429, Reply::json(429, &by_type)), Verdict::NoQuota, NO_QUOTA));
    for code in ["rate_limit_exceeded", "slow_down"] {
        let limited = "OpenAI is limiting requests right now. The key was not judged; try again in a minute.";
        rows.push(row(refused("too fast", 429, code, "slow down"), Verdict::RateLimited, limited));
    }
    for code in ["slow_down", "server_is_overloaded"] {
        let down = "OpenAI is having trouble (HTTP 503). The key was not judged.";
        rows.push(row(refused("overloaded", 503, code, "overloaded"), Verdict::ProviderDown, down));
    }
    rows
}

fn found() -> Vec<Row> {
    let list = || vec![Reply::json(200, &models())];
    let using = |name, model: Option<&str>, replies| {
        let mut row = passes(Openai, name, replies);
        row.fields.remove("model");
        row.fields.extend(model.map(|model| ("model".to_owned(), model.to_owned())));
        row
    };
    let short = |body| vec![Reply::json(200, &body)];
    vec![
        using("a model that stays", Some("gpt-6-luna"), list()),
        using("a fine-tuned model", Some("ft:gpt-6-luna:northside::C1"), list()),
        using("the default model", None, list()).warns(&["MODEL_SHUTS_DOWN"]),
        using("a model with an end", Some("gpt-4o"), list()).warns(&["MODEL_SHUTS_DOWN"]),
        using("a model past its end", Some("gpt-4o-2024-05-13"), list()).warns(&["MODEL_SHUTS_DOWN"]),
        using(
            "a model of the table",
            Some("gpt-5.1"),
            short(json!({ "object": "list", "data": [{ "id": "gpt-5.1" }] })),
        )
        .warns(&["MODEL_SHUTS_DOWN"]),
        using("an unlisted model", Some("gpt-7"), list()).warns(&["MODEL_NOT_AVAILABLE"]),
        using("an unlisted model with an end", Some("gpt-5"), list())
            .warns(&["MODEL_NOT_AVAILABLE", "MODEL_SHUTS_DOWN"]),
        using("no models", Some("gpt-7"), short(json!({ "object": "list", "data": [] })))
            .warns(&["MODEL_NOT_AVAILABLE"]),
        unexpected(Openai, "no list", 200, Reply::json(200, &json!({ "object": "model", "data": [] }))),
        unexpected(Openai, "a list of nothing", 200, Reply::json(200, &json!({ "object": "list" }))),
    ]
}
