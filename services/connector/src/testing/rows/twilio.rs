//! Twilio's rows.

use coachbot_integrations::Provider::Twilio;
use coachbot_proto::types::v1::Verdict;
use serde_json::json;

use super::{Row, ends, passes, says, unexpected};
use crate::testing::{Reply, account};

const REJECTED: &str =
    "Twilio rejected the SID + Auth Token combination. Use the Live credentials, not test.";
const INACTIVE: &str = "Twilio says this account is not active.";

pub(super) fn rows() -> Vec<Row> {
    let found = |changes| Reply::json(200, &account(changes));
    let rejected = |name, status: u16, reply| {
        ends(Twilio, name, status.into(), reply, Verdict::KeyRejected, REJECTED).about("auth_token")
    };
    let inactive = |name, status: u16, reply| {
        ends(Twilio, name, status.into(), reply, Verdict::AccountInactive, INACTIVE)
    };

    let mut rows = vec![
        passes(Twilio, "active", vec![found(json!({}))]),
        passes(Twilio, "active, of no type", vec![found(json!({ "type": "absent" }))]),
        passes(Twilio, "a trial account", vec![found(json!({ "type": "Trial" }))]).warns(&["TRIAL_ACCOUNT"]),
        inactive("suspended", 200, found(json!({ "status": "suspended" }))),
        inactive("closed", 200, found(json!({ "status": "closed" }))),
        unexpected(Twilio, "no status", 200, found(json!({ "status": "absent" }))),
        unexpected(Twilio, "a status of another type", 200, found(json!({ "status": 1 }))),
        unexpected(Twilio, "an unknown status", 200, found(json!({ "status": "resting" }))),
        rejected("authenticate", 401, says(Twilio, 401, "20003", "Authenticate")),
        rejected("401 without a code", 401, says(Twilio, 401, "", "no")),
        rejected("401 without a body", 401, Reply::empty(401)),
        rejected("401 as a page", 401, Reply::page(401)),
        rejected("the test pair", 403, says(Twilio, 403, "20008", "Resource not accessible with Test")),
        rejected("403 with another code", 403, says(Twilio, 403, "20006", "Access denied")),
        rejected("403 without a code", 403, says(Twilio, 403, "", "no")),
        rejected("403 without a body", 403, Reply::empty(403)),
        rejected("an unknown account", 404, says(Twilio, 404, "20404", "was not found")),
        unexpected(Twilio, "bad request", 400, says(Twilio, 400, "20001", "no")),
        ends(
            Twilio,
            "limited by code",
            429,
            says(Twilio, 429, "20429", "Too Many Requests"),
            Verdict::RateLimited,
            "Twilio is limiting requests right now. The key was not judged; try again in a minute.",
        ),
    ];
    for status in [401, 403] {
        for code in ["20403", "20005", "10001"] {
            rows.push(inactive(
                "refused as inactive",
                status,
                says(Twilio, status, code, "Account not active"),
            ));
        }
    }
    let text_code = json!({ "code": "20005", "title": "Account not active", "status": 401 });
    rows.push(inactive("refused as inactive, code as a text", 401, Reply::json(401, &text_code)));
    rows
}
