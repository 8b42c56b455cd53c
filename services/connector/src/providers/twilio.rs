//! Twilio: the account read, and messages.

pub(crate) mod messages;
pub(crate) mod wire;

use super::credentials::Twilio;
use super::{Calls, Checked, is_ok, settled_by_status, unexpected};
use crate::http::{Answer, BaseUrl, Operation, Request};
use crate::verify::{Caution, Finding};

/// Reads the account. The SID of the path and the SID of the Basic user are one
/// value, so that the two cannot differ.
pub(super) async fn check(calls: &mut Calls<'_>, base: &BaseUrl, own: &Twilio) -> Checked<Vec<Caution>> {
    // Without the ending the service answers XML.
    let resource = [own.account_sid.as_str(), ".json"].concat();
    let url = base.below(&["2010-04-01", "Accounts", &resource]);
    let request = Request::get(Operation::TwilioFetchAccount, url).authorization(own.authorization());
    judge(&calls.ask("account", request).await?)
}

fn judge(answer: &Answer) -> Checked<Vec<Caution>> {
    if let Some(finding) = settled_by_status(answer) {
        return Err(finding);
    }
    if is_ok(answer) {
        return account(answer);
    }
    // A suspended account is refused with the same statuses as a wrong key.
    if answer.status.is_client_error() && wire::says_inactive(answer) {
        return Err(Finding::AccountInactive);
    }
    Err(match answer.status.as_u16() {
        401 => Finding::KeyRejected,
        // 403: the test credentials, which may not read an account. 404: the SID is not one that the token sees.
        403 | 404 if !answer.is_html() => Finding::KeyRejected,
        _ => unexpected(answer),
    })
}

fn account(answer: &Answer) -> Checked<Vec<Caution>> {
    let Some(account) = answer.json::<wire::Account<'_>>() else { return Err(unexpected(answer)) };
    match account.status.text() {
        Some("active") if account.kind.text() == Some("Trial") => Ok(vec![Caution::TrialAccount]),
        Some("active") => Ok(Vec::new()),
        Some("suspended" | "closed") => Err(Finding::AccountInactive),
        _ => Err(unexpected(answer)),
    }
}
