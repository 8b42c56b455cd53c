//! One card per provider, from what the vault may show.

use std::collections::BTreeMap;

use coachbot_integrations::{Channel, FieldProblem, FieldSpec, Provider};
use coachbot_proto::types::v1::Verdict;

use super::views::{
    CalcomSetup, Card, Field, FieldError, ProbeRow, ToolToken, TwilioSetup, VapiSetup, VerifyResult,
};
use super::{moment, sentence};
use crate::api::webhooks::Webhooks;
use crate::convert::{Integration, Verification, verdict_name};
use crate::store::Workspace;

/// Everything that a card is made of.
pub(super) struct Facts<'a> {
    pub workspace: &'a Workspace,
    pub provider: Provider,
    /// `None` when it is not connected.
    pub stored: Option<&'a Integration>,
    /// Whether the vault said what is stored.
    pub known: bool,
    /// Why nothing can be saved.
    pub save_refused: Option<String>,
    pub webhooks: &'a Webhooks,
    /// For Vapi.
    pub token: Option<ToolToken>,
    pub said: Said,
    /// A form that came back.
    pub refused: Option<&'a Refused>,
}

/// What the page says about what was just done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Saved,
    Removed,
}

/// A form that came back: what was typed, secrets left out, and what is wrong.
#[derive(Default)]
pub(super) struct Refused {
    pub typed: BTreeMap<&'static str, String>,
    pub problems: Vec<FieldProblem>,
    /// What is wrong with the whole.
    pub note: Option<String>,
}

pub(super) fn action(workspace: &Workspace, provider: Provider) -> String {
    format!("/w/{}/settings/integrations/{provider}", workspace.id)
}

pub(super) fn card(facts: Facts<'_>) -> Card {
    let Facts { workspace, provider, stored, known, save_refused, webhooks, token, said, refused } = facts;
    let id = provider.slug();
    let fields: Vec<_> =
        provider.fields().iter().map(|spec| field(spec, workspace, provider, stored, refused)).collect();
    let mut errors: Vec<FieldError> = Vec::new();
    if let Some(refused) = refused {
        let note = refused
            .note
            .iter()
            .map(|note| FieldError { target: format!("{id}-form"), message: note.clone() });
        errors.extend(note);
        errors.extend(refused.problems.iter().map(|problem| FieldError {
            target: format!("{id}-{}", problem.field),
            message: words(provider, problem),
        }));
    }
    let (state_text, state_icon, state_tone) = match stored {
        _ if !known => ("Not known right now", "minus", "none"),
        None => ("Not connected", "minus", "none"),
        Some(stored) if stored.readable => ("Connected", "check", "ok"),
        Some(_) => ("Can't be decrypted: enter again", "lock", "locked"),
    };
    let (monogram, purpose) = about(provider, workspace.channel);
    Card {
        id,
        name: provider.name(),
        monogram,
        purpose,
        optional: provider == Provider::Openai && workspace.channel == Channel::Voice,
        action: action(workspace, provider),
        connected: stored.is_some(),
        state_text,
        state_icon,
        state_tone,
        saved: said == Said::Saved,
        removed: said == Said::Removed,
        save_refused,
        fields,
        has_errors: !errors.is_empty(),
        errors,
        result: stored_result(workspace, provider, stored, known),
        twilio: webhooks
            .twilio
            .as_ref()
            .filter(|_| provider == Provider::Twilio)
            .map(|urls| TwilioSetup { messages_url: urls.messages.clone() }),
        vapi: webhooks.vapi.as_ref().filter(|_| provider == Provider::Vapi).map(|urls| VapiSetup {
            tools_url: urls.tools.clone(),
            events_url: urls.events.clone(),
            token: token.unwrap_or_default(),
        }),
        calcom: webhooks
            .calcom
            .as_ref()
            .filter(|_| provider == Provider::Calcom)
            .map(|urls| CalcomSetup { webhook_url: urls.events.clone() }),
    }
}

const fn about(provider: Provider, channel: Channel) -> (&'static str, &'static str) {
    match (provider, channel) {
        (Provider::Twilio, _) => ("T", "Sends WhatsApp messages, and signs the incoming ones."),
        (Provider::Vapi, _) => ("V", "Makes the phone calls. Model and voice live there."),
        (Provider::Calcom, _) => {
            ("C", "Gives the free slots of the coach's calendar, and takes the bookings.")
        }
        (Provider::Openai, Channel::Whatsapp) => {
            ("O", "Writes every WhatsApp reply, and the dashboard's chatbot.")
        }
        (Provider::Openai, Channel::Voice) => ("O", "For the dashboard's chatbot. Calls work without it."),
    }
}

fn words(provider: Provider, problem: &FieldProblem) -> String {
    let label = provider.field(&problem.field).map_or(problem.field.as_str(), |spec| spec.label);
    sentence(&problem.field, label, &problem.message)
}

fn field(
    spec: &'static FieldSpec,
    workspace: &Workspace,
    provider: Provider,
    stored: Option<&Integration>,
    refused: Option<&Refused>,
) -> Field {
    let id = format!("{provider}-{}", spec.name);
    let kept = stored.and_then(|stored| stored.fields.get(spec.name));
    let typed = refused.and_then(|refused| refused.typed.get(spec.name));
    let is_zone = provider == Provider::Calcom && spec.name == "timezone";
    let value = match (spec.secret, typed, kept) {
        (true, _, _) => String::new(),
        (false, Some(typed), _) => typed.clone(),
        (false, None, Some(kept)) => kept.clone(),
        // The workspace's zone is the first value of the calendar's.
        (false, None, None) if is_zone => workspace.timezone.clone(),
        (false, None, None) => String::new(),
    };
    let placeholder = match (kept, stored) {
        (Some(mask), Some(stored)) if spec.secret && stored.readable => {
            format!("stored: {mask}, leave empty to keep")
        }
        _ => String::new(),
    };
    let error = refused
        .and_then(|refused| refused.problems.iter().find(|problem| problem.field == spec.name))
        .map(|problem| words(provider, problem));
    let about =
        stored.and_then(|stored| stored.verification.as_ref()).and_then(|found| found.field.as_deref());
    let is_region = spec.name == "region";
    Field {
        described_by: match &error {
            Some(_) => format!("{id}-error {id}-help"),
            None => format!("{id}-help"),
        },
        id,
        name: spec.name,
        label: spec.label,
        help: spec.help,
        required: spec.required,
        is_secret: spec.secret,
        is_text: !spec.secret && !is_zone && !is_region,
        is_zone,
        is_region,
        region_default: !matches!(value.as_str(), "us" | "eu"),
        region_us: value == "us",
        region_eu: value == "eu",
        value,
        placeholder,
        numeric: spec.numeric,
        error,
        flagged: about == Some(spec.name),
    }
}

fn stored_result(
    workspace: &Workspace,
    provider: Provider,
    stored: Option<&Integration>,
    known: bool,
) -> VerifyResult {
    let plain = |verdict: &str, message: String| VerifyResult {
        tone: "none",
        icon: "minus",
        verdict: verdict.to_owned(),
        message,
        ..VerifyResult::default()
    };
    match stored {
        None if known => plain("NOT_CONNECTED", format!("{} is not connected.", provider.name())),
        Some(Integration { verification: Some(found), .. }) => result(found.clone(), workspace),
        _ => plain("NOT_CHECKED", "Not checked yet.".to_owned()),
    }
}

/// A check as the pill says it: colour, icon and words.
pub(super) fn result(found: Verification, workspace: &Workspace) -> VerifyResult {
    let (tone, icon) = tone(found.verdict, found.field.is_some());
    let count = found.probes.len();
    VerifyResult {
        tone,
        icon,
        verdict: verdict_name(found.verdict).to_owned(),
        message: found.message,
        field: found.field,
        fix: found.fix,
        has_warnings: !found.warnings.is_empty(),
        warnings: found.warnings.into_iter().map(|warning| warning.message).collect(),
        checked_at: Some(moment(found.checked_at, workspace)),
        checked_at_iso: found.checked_at.to_string(),
        has_probes: count > 0,
        probes_title: if count == 1 { "1 request".to_owned() } else { format!("{count} requests") },
        probes: found
            .probes
            .into_iter()
            .map(|probe| ProbeRow {
                name: probe.name.replace('_', " "),
                status: probe
                    .http_status
                    .map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}")),
                took: format!("{} ms", probe.milliseconds),
            })
            .collect(),
    }
}

const fn tone(verdict: Verdict, names_a_field: bool) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Ok => ("ok", "check"),
        Verdict::UnexpectedAnswer if names_a_field => ("bad", "cross"),
        Verdict::OkWithWarning
        | Verdict::KeyLacksScope
        | Verdict::RateLimited
        | Verdict::ProviderDown
        | Verdict::Network
        | Verdict::UnexpectedAnswer => ("warn", "alert"),
        Verdict::KeyRejected | Verdict::NotFound | Verdict::AccountInactive | Verdict::NoQuota => {
            ("bad", "cross")
        }
        Verdict::CannotDecrypt => ("locked", "lock"),
        Verdict::NotConnected | Verdict::Unspecified => ("none", "minus"),
    }
}
