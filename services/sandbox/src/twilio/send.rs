//! Sends a message, as far as Twilio would.

use std::collections::BTreeMap;

use coachbot_common::secret::sha256;
use serde_json::Value;
use url::Url;

use super::chat::{Chat, NewMessage};
use super::refuse;
use crate::accounts::{RECIPIENTS, Recipient, TEMPLATES, Template, TwilioAccount};
use crate::call::Asked;
use crate::ledger::Effect;
use crate::outcome::Outcome;

/// Longest text, in characters.
const LONGEST_BODY: usize = 1600;

/// Every field of the specification; those of the second list may be repeated.
const FIELDS: [&str; 23] = [
    "To",
    "From",
    "FallbackFrom",
    "MessagingServiceSid",
    "Body",
    "ContentSid",
    "ContentVariables",
    "StatusCallback",
    "ApplicationSid",
    "MaxPrice",
    "ProvideFeedback",
    "Attempt",
    "ValidityPeriod",
    "ForceDelivery",
    "ContentRetention",
    "AddressRetention",
    "SmartEncoded",
    "TrafficType",
    "ShortenUrls",
    "ScheduleType",
    "SendAt",
    "SendAsMms",
    "RiskCheck",
];
const LISTS: [&str; 2] = ["MediaUrl", "PersistentAction"];

type Form = BTreeMap<String, String>;

/// Judges the request, and takes the message.
pub fn judge(chat: &mut Chat, account: &TwilioAccount, asked: &Asked) -> Outcome {
    match draft(chat, account, asked) {
        Err(refused) => refused,
        Ok((draft, content_sid)) => {
            let message = chat.take(draft, asked.now);
            let effect = Effect::Message {
                sid: message.sid.clone(),
                account_sid: message.account_sid.clone(),
                to: message.to.clone(),
                from: message.from.clone(),
                body: message.body.clone(),
                body_sha256: hex::encode(sha256(message.body.as_bytes())),
                content_sid,
                status_callback: message.status_callback.clone(),
            };
            Outcome::accepted(201, message.describe()).with_effect(effect)
        }
    }
}

fn draft(
    chat: &Chat,
    account: &TwilioAccount,
    asked: &Asked,
) -> Result<(NewMessage, Option<String>), Outcome> {
    let (form, has_media) = fields(asked)?;
    let get = |name: &str| form.get(name).filter(|value| !value.is_empty());
    let Some(to) = get("To") else {
        return Err(wrong(21604, "A 'To' phone number is required.", "To is missing"));
    };
    let Some(from) = get("From") else {
        return Err(match get("MessagingServiceSid") {
            None => wrong(21603, "A 'From' phone number is required.", "From is missing"),
            Some(_) => no(21701, "The Messaging Service does not exist."),
        });
    };
    check_addresses(account, from, to)?;
    let content = get("ContentSid");
    let body = match (get("Body"), content) {
        (Some(_), Some(_)) => {
            return Err(wrong(20001, "Body and ContentSid exclude each other.", "Body beside ContentSid"));
        }
        (Some(body), None) if body.chars().count() > LONGEST_BODY => {
            let text = "The concatenated message body exceeds the 1600 character limit";
            return Err(wrong(21617, text, "Body is too long"));
        }
        (Some(body), None) => body.clone(),
        (None, Some(sid)) => from_template(sid, get("ContentVariables"))?,
        (None, None) if has_media => String::new(),
        (None, None) => {
            let text = "A text message body or media urls must be specified.";
            return Err(wrong(21619, text, "neither Body nor ContentSid"));
        }
    };
    if content.is_none() && form.contains_key("ContentVariables") {
        return Err(wrong(
            21656,
            "ContentVariables need a ContentSid.",
            "ContentVariables without ContentSid",
        ));
    }
    if has_media && content.is_some() {
        return Err(wrong(
            20001,
            "MediaUrl and ContentSid exclude each other.",
            "MediaUrl beside ContentSid",
        ));
    }
    if form.contains_key("ScheduleType") || form.contains_key("SendAt") {
        let text = "MessagingServiceSid is required to schedule a message";
        return Err(wrong(35118, text, "scheduling without a Messaging Service"));
    }
    let seconds = get("ValidityPeriod").map(|value| value.parse::<u32>());
    if seconds.is_some_and(|value| !value.is_ok_and(|value| (1..=36_000).contains(&value))) {
        return Err(wrong(20001, "ValidityPeriod is out of range.", "ValidityPeriod is not 1 to 36000"));
    }
    let callback = get("StatusCallback");
    if callback.is_some_and(|url| !is_callback(url)) {
        return Err(wrong(21609, "The StatusCallback URL is not valid.", "StatusCallback is not a URL"));
    }
    let fate = match RECIPIENTS.iter().find(|(address, _)| address == to) {
        Some((_, Recipient::Refused(code))) => return Err(no(*code, "This recipient cannot be written to.")),
        Some((_, Recipient::Undelivered(code))) => Some(*code),
        None if content.is_none() && !chat.is_open(to, from, asked.now) => Some(63016),
        None => None,
    };
    let draft = NewMessage {
        account_sid: account.sid.to_owned(),
        to: to.clone(),
        from: from.clone(),
        body,
        fate,
        status_callback: callback.cloned(),
    };
    Ok((draft, content.cloned()))
}

/// The form's single fields, and whether it has media.
fn fields(asked: &Asked) -> Result<(Form, bool), Outcome> {
    if !asked.is_of_type("application/x-www-form-urlencoded") {
        let text = "A 'To' phone number is required.";
        return Err(wrong(21604, text, "the body is not form-encoded"));
    }
    let mut form = Form::new();
    let mut has_media = false;
    for (name, value) in asked.form() {
        if LISTS.contains(&name.as_str()) {
            has_media |= name == "MediaUrl";
        } else if !FIELDS.contains(&name.as_str()) {
            return Err(wrong(20001, "Unknown parameters", format!("unknown field {name}")));
        } else if form.insert(name.clone(), value).is_some() {
            return Err(wrong(20001, "Repeated parameters", format!("field {name} is repeated")));
        }
    }
    Ok((form, has_media))
}

fn check_addresses(account: &TwilioAccount, from: &str, to: &str) -> Result<(), Outcome> {
    let (sender, lead) = (from.strip_prefix("whatsapp:"), to.strip_prefix("whatsapp:"));
    match (sender, lead) {
        (Some(_), None) | (None, Some(_)) => {
            Err(no(21910, "Invalid From and To pair. From and To should be of the same channel"))
        }
        (None, None) if !is_number(to) => Err(no(21211, "Invalid 'To' Phone Number")),
        (None, None) => Err(no(21606, "The 'From' phone number is not a valid, SMS-capable number")),
        (Some(_), Some(lead)) if !is_number(lead) && !is_user_id(lead) => {
            Err(no(21211, "Invalid 'To' Phone Number"))
        }
        (Some(_), Some(_)) if !account.senders.contains(&from) => {
            Err(no(63007, "Twilio could not find a Channel with the specified From address"))
        }
        (Some(_), Some(_)) => Ok(()),
    }
}

/// E.164.
fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

/// A WhatsApp user id, such as `US.A1B2` or `US.ENT.A1B2`.
fn is_user_id(text: &str) -> bool {
    let Some((country, id)) = text.split_once('.') else { return false };
    let id = id.strip_prefix("ENT.").unwrap_or(id);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_callback(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.contains('_'))
    })
}

fn from_template(sid: &str, variables: Option<&String>) -> Result<String, Outcome> {
    let Some(template) = TEMPLATES.iter().find(|template| template.sid == sid) else {
        return Err(no(21655, "The ContentSid is invalid"));
    };
    let empty = || "{}".to_owned();
    let values = serde_json::from_str::<BTreeMap<String, Value>>(&variables.cloned().unwrap_or_else(empty));
    let Ok(values) = values else {
        return Err(variables_are_wrong("ContentVariables is not a JSON object"));
    };
    fill(template, &values)
}

fn fill(template: &Template, values: &BTreeMap<String, Value>) -> Result<String, Outcome> {
    if values.len() != template.gaps.len() {
        return Err(variables_are_wrong("ContentVariables does not fill the template's gaps"));
    }
    let mut text = template.text.to_owned();
    for gap in template.gaps {
        match values.get(*gap) {
            Some(Value::String(value)) if !value.trim().is_empty() => {
                text = text.replace(&format!("{{{{{gap}}}}}"), value);
            }
            _ => return Err(variables_are_wrong("ContentVariables has a missing, empty or other value")),
        }
    }
    Ok(text)
}

fn variables_are_wrong(what: &str) -> Outcome {
    wrong(21656, "The ContentVariables Parameter is invalid", what)
}

fn no(code: u32, message: &str) -> Outcome {
    refuse(400, code, message)
}

fn wrong(code: u32, message: &str, what: impl Into<String>) -> Outcome {
    refuse(400, code, message).violating(what)
}
