//! What is read of `OpenAI`'s JSON.

use serde::Deserialize;

use crate::http::Answer;
use crate::providers::node::Node;

/// The list of models.
#[derive(Deserialize)]
pub(super) struct Models<'a> {
    /// Must be `list`.
    #[serde(borrow, default)]
    pub object: Node<'a>,
    #[serde(borrow)]
    pub data: Vec<Model<'a>>,
}

/// One model.
#[derive(Deserialize)]
pub(super) struct Model<'a> {
    #[serde(borrow, default)]
    pub id: Node<'a>,
    /// `YYYY-MM-DD`, null, or not there.
    #[serde(borrow, default)]
    pub shutdown_date: Node<'a>,
}

/// What a refusal names as its cause, where that is not the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// No money, or a limit reached.
    Quota,
    /// The key may not do this.
    Scope,
    /// The key's project lives in another region.
    Region,
    /// The country of this server is not served.
    Country,
    /// The model is unknown, gone, or not this project's.
    Model,
}

/// By `code` (<https://developers.openai.com/docs/guides/error-codes>).
const CODES: [(&str, Named); 9] = [
    ("insufficient_quota", Named::Quota),
    ("credit_balance_exhausted", Named::Quota),
    ("organization_spend_limit_exceeded", Named::Quota),
    ("project_spend_limit_exceeded", Named::Quota),
    ("organization_usage_limit_exceeded", Named::Quota),
    ("billing_hard_limit_reached", Named::Quota),
    ("incorrect_hostname", Named::Region),
    ("unsupported_country_region_territory", Named::Country),
    ("model_not_found", Named::Model),
];

/// By `type`: since 2026 the code may name the limit, and the type stays.
const TYPES: [(&str, Named); 1] = [("insufficient_quota", Named::Quota)];

/// By the beginning of the text, where no code is given.
const TEXTS: [(&str, Named); 1] = [("You have insufficient permissions for this operation", Named::Scope)];

/// The cause that a refusal names; `error` is an object or a text.
pub(super) fn cause_of(answer: &Answer) -> Option<Named> {
    let body: Node<'_> = answer.json()?;
    let error = body.get("error");
    let by_code = found(&CODES, |code| error.get("code").text() == Some(code));
    let by_type = || found(&TYPES, |kind| error.get("type").text() == Some(kind));
    let text = error.text().or_else(|| error.get("message").text()).unwrap_or_default();
    by_code.or_else(by_type).or_else(|| found(&TEXTS, |start| text.starts_with(start)))
}

/// The code that a refusal names, or that a failed turn has.
pub(super) fn code_of(answer: &Answer) -> Option<String> {
    let body: Node<'_> = answer.json()?;
    body.get("error").get("code").text().map(str::to_owned)
}

/// Codes of a 400 that may be about a parameter which this model does not take;
/// some answers have none.
const UNSUPPORTED: [&str; 4] =
    ["unsupported_parameter", "unsupported_value", "invalid_value", "unknown_parameter"];

/// The parameter that a 400 does not want.
pub(super) fn unsupported(answer: &Answer) -> Option<String> {
    if answer.status.as_u16() != 400 {
        return None;
    }
    let body: Node<'_> = answer.json()?;
    let error = body.get("error");
    let fits = error.get("code").text().is_none_or(|code| UNSUPPORTED.contains(&code));
    error.get("param").text().filter(|_| fits).map(str::to_owned)
}

fn found(table: &[(&str, Named)], matches: impl Fn(&str) -> bool) -> Option<Named> {
    table.iter().find(|(word, _)| matches(word)).map(|(_, named)| *named)
}
