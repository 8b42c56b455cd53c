//! Requests about messages.

use coachbot_common::id::WorkspaceId;
use coachbot_proto::connector::v1::{
    GetMessageRequest, ListMessagesRequest, SendMessageRequest, Template, Text,
};
use url::Url;

use super::problems::Problems;
use crate::error::Error;
use crate::providers::twilio::messages::{Content, Outgoing, Search};
use crate::providers::twilio::wire::is_message_sid;

/// The provider's own limit.
const MOST_CHARACTERS: usize = 1600;

/// Longer than any address of a channel.
const LONGEST_ADDRESS: usize = 256;

pub(crate) fn outgoing(request: SendMessageRequest) -> Result<(WorkspaceId, Outgoing), Error> {
    let workspace = WorkspaceId::parse(&request.workspace_id)?;
    let mut problems = Problems::default();
    problems.check(is_address(&request.to), "to", ADDRESS);
    problems.check(
        is_absolute(&request.status_callback_url),
        "status_callback_url",
        "must be an absolute http(s) URL",
    );
    let content = match (request.text, request.template) {
        (Some(text), None) => free_text(text, &mut problems),
        (None, Some(template)) => filled(template, &mut problems),
        _ => {
            problems.add("text", "exactly one of text and template must be given");
            Content::Text(String::new())
        }
    };
    problems
        .none((workspace, Outgoing { to: request.to, content, status_callback: request.status_callback_url }))
}

pub(crate) fn search(request: ListMessagesRequest) -> Result<(WorkspaceId, Search), Error> {
    let workspace = WorkspaceId::parse(&request.workspace_id)?;
    let mut problems = Problems::default();
    problems.check(request.to.as_deref().is_none_or(is_address), "to", ADDRESS);
    let created_from = problems.instant(request.created_from, "created_from");
    problems.none((workspace, Search { to: request.to, created_from }))
}

pub(crate) fn message_id(request: GetMessageRequest) -> Result<(WorkspaceId, String), Error> {
    let workspace = WorkspaceId::parse(&request.workspace_id)?;
    let mut problems = Problems::default();
    let id = request.provider_message_id;
    problems.check(is_message_sid(&id), "provider_message_id", "must begin with SM or MM");
    problems.none((workspace, id))
}

const ADDRESS: &str = "must be an address with its channel, such as whatsapp:+44…";

/// A channel, a colon and an opaque rest: it may be no number.
fn is_address(text: &str) -> bool {
    let Some((channel, rest)) = text.split_once(':') else { return false };
    !channel.is_empty()
        && !rest.is_empty()
        && text.len() <= LONGEST_ADDRESS
        && text.bytes().all(|letter| letter.is_ascii_graphic())
}

fn is_absolute(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn free_text(text: Text, problems: &mut Problems) -> Content {
    let length = text.body.chars().count();
    problems.check(
        !text.body.trim().is_empty() && length <= MOST_CHARACTERS,
        "text.body",
        "must have 1 to 1600 characters",
    );
    Content::Text(text.body)
}

fn filled(template: Template, problems: &mut Problems) -> Content {
    let digits = template.content_sid.strip_prefix("HX").unwrap_or_default();
    problems.check(
        digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "template.content_sid",
        "must be HX and 32 hexadecimal digits",
    );
    problems.check(
        template.variables.iter().all(|(gap, value)| !gap.is_empty() && !value.is_empty()),
        "template.variables",
        "must have no empty name or value",
    );
    Content::template(template.content_sid, template.variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_channel_and_anything_visible() {
        for good in ["whatsapp:+447700900123", "whatsapp:US.ENT.A1B2C3", "sms:+1"] {
            assert!(is_address(good), "{good}");
        }
        for wrong in ["", "+447700900123", "whatsapp:", ":+44", "whatsapp:+44 77", "whatsapp:+44\n"] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
