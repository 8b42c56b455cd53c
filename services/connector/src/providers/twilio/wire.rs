//! What is read of Twilio's JSON.

use serde::Deserialize;

use crate::http::Answer;
use crate::providers::node::Node;

/// An account. The answer also holds the Auth Token in clear: it is not named
/// here, so that no copy of it is made.
#[derive(Deserialize)]
pub(super) struct Account<'a> {
    /// `active`, `suspended` or `closed`.
    #[serde(borrow, default)]
    pub status: Node<'a>,
    /// `Trial` or `Full`.
    #[serde(borrow, default, rename = "type")]
    pub kind: Node<'a>,
}

/// Codes that all mean "account not active"
/// (<https://www.twilio.com/docs/api/errors/20403>, `/20005`, `/10001`).
const INACTIVE: [i64; 3] = [20403, 20005, 10001];

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow, default)]
    code: Node<'a>,
}

/// Whether a refusal is about the account and not about the key.
pub(super) fn says_inactive(answer: &Answer) -> bool {
    answer
        .json::<Refusal<'_>>()
        .and_then(|refusal| refusal.code.integer())
        .is_some_and(|code| INACTIVE.contains(&code))
}
