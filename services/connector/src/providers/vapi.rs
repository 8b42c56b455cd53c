//! Vapi: the assistant, then the phone number.

mod wire;

use http::HeaderValue;

use super::credentials::Vapi;
use super::{Calls, Checked, is_json_object, is_ok, settled_by_status, unexpected};
use crate::http::{Answer, BaseUrl, Operation, Request};
use crate::verify::{Caution, Finding, Missing};

/// Reads both things that a call needs; the first that is missing ends it.
pub(super) async fn check(calls: &mut Calls<'_>, base: &BaseUrl, own: &Vapi) -> Checked<Vec<Caution>> {
    let authorization: HeaderValue = own.authorization();

    let url = base.below(&["assistant", &own.assistant_id]);
    let request = Request::get(Operation::VapiFetchAssistant, url).authorization(authorization.clone());
    let answer = calls.ask("assistant", request).await?;
    judge(&answer, &own.assistant_id, Missing::Assistant)?;

    let url = base.below(&["phone-number", &own.phone_number_id]);
    let request = Request::get(Operation::VapiFetchPhoneNumber, url).authorization(authorization);
    let answer = calls.ask("phone_number", request).await?;
    let number = judge(&answer, &own.phone_number_id, Missing::PhoneNumber)?;

    let mut cautions = Vec::new();
    if number.status.text() == Some("blocked") {
        cautions.push(Caution::NumberBlocked);
    }
    if number.provider.text() == Some("vapi") {
        cautions.push(Caution::FreeNumber);
    }
    Ok(cautions)
}

fn judge<'a>(answer: &'a Answer, id: &str, missing: fn(String) -> Missing) -> Checked<wire::Resource<'a>> {
    if let Some(finding) = settled_by_status(answer) {
        return Err(finding);
    }
    if is_ok(answer) {
        return answer
            .json::<wire::Resource<'_>>()
            .filter(|found| found.id.text().is_some_and(|found| found.eq_ignore_ascii_case(id)))
            .ok_or_else(|| unexpected(answer));
    }
    Err(match answer.status.as_u16() {
        401 => Finding::KeyRejected,
        // A bot filter stands in front: only a refusal in JSON is Vapi's own.
        403 if is_json_object(answer) => Finding::KeyRejected,
        // 400 is Vapi's word for an id that is no UUID.
        400 | 404 if !answer.is_html() => Finding::NotFound(missing(id.to_owned())),
        _ => unexpected(answer),
    })
}
