//! `OpenAI`: the list of models, and a model's turn.

mod input;
mod models;
mod output;
pub(crate) mod responses;
mod wire;

use jiff::civil::Date;

use super::credentials::Openai;
use super::{Calls, Checked, is_ok, settled_by_status, unexpected, unexpected_as};
use crate::http::{Answer, BaseUrl, Operation, Request};
use crate::verify::{Caution, Finding, Missing, Unexpected};

/// Lists the models, which is free, and looks for the one in use.
pub(super) async fn check(
    calls: &mut Calls<'_>,
    base: &BaseUrl,
    own: &Openai,
    model: &str,
    today: Date,
) -> Checked<Vec<Caution>> {
    let url = base.below(&["models"]);
    let request = Request::get(Operation::OpenaiListModels, url).authorization(own.authorization());
    judge(&calls.ask("models", request).await?, model, today)
}

fn judge(answer: &Answer, model: &str, today: Date) -> Checked<Vec<Caution>> {
    // The code comes before the status: it names causes that share a status with a bad key.
    if answer.status.is_client_error()
        && let Some(named) = wire::cause_of(answer)
    {
        return Err(match named {
            wire::Named::Quota => Finding::NoQuota,
            wire::Named::Scope => Finding::KeyLacksScope,
            wire::Named::Region => Finding::OtherRegion,
            wire::Named::Country => unexpected_as(answer, Unexpected::Country),
            wire::Named::Model => Finding::NotFound(Missing::Model(model.to_owned())),
        });
    }
    if let Some(finding) = settled_by_status(answer) {
        return Err(finding);
    }
    if is_ok(answer) {
        return answer
            .json::<wire::Models<'_>>()
            .filter(|list| list.object.text() == Some("list"))
            .map(|list| models::cautions(&list.data, model, today))
            .ok_or_else(|| unexpected(answer));
    }
    Err(match answer.status.as_u16() {
        401 => Finding::KeyRejected,
        _ => unexpected(answer),
    })
}
