//! The fields of each provider, and how a save merges into what is stored.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use crate::check::{Check, FieldProblem};
use crate::mask::{ELLIPSIS, mask};
use crate::provider::Provider;

/// Field values by name. Clear ids lie among them too: what is secret is said by
/// [`FieldSpec::secret`], and the whole is sealed as one record.
pub type Fields = BTreeMap<String, SecretString>;

/// One field of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// As in the JSON API, such as `auth_token`.
    pub name: &'static str,
    /// As on the card.
    pub label: &'static str,
    /// Never shown again once it is saved.
    pub secret: bool,
    /// Must be there at the first save.
    pub required: bool,
    /// A number in JSON.
    pub numeric: bool,
    /// Where a person finds it, or what it may be.
    pub help: &'static str,
    check: Check,
}

const fn secret(name: &'static str, label: &'static str, help: &'static str, check: Check) -> FieldSpec {
    FieldSpec { name, label, secret: true, required: true, numeric: false, help, check }
}

const fn clear(name: &'static str, label: &'static str, help: &'static str, check: Check) -> FieldSpec {
    FieldSpec { name, label, secret: false, required: true, numeric: false, help, check }
}

const fn optional(name: &'static str, label: &'static str, help: &'static str, check: Check) -> FieldSpec {
    FieldSpec { name, label, secret: false, required: false, numeric: false, help, check }
}

const TWILIO: &[FieldSpec] = &[
    clear(
        "account_sid",
        "Account SID",
        "Twilio console, first page, Account Info. Begins with AC.",
        Check::AccountSid,
    ),
    secret(
        "auth_token",
        "Auth Token",
        "Beside the Account SID. The Live one, not the test one.",
        Check::Opaque,
    ),
    clear("from", "From", "Your approved WhatsApp sender, as whatsapp:+447700900123.", Check::WhatsappSender),
];

const VAPI: &[FieldSpec] = &[
    secret("api_key", "API key", "Vapi's dashboard, API Keys: the Private key.", Check::Prefixed("")),
    clear("assistant_id", "Assistant ID", "Vapi → Assistants → top of the page.", Check::Uuid),
    clear("phone_number_id", "Phone Number ID", "Vapi → Phone Numbers → the row → ID column.", Check::Uuid),
    optional(
        "region",
        "Region",
        "eu when you sign in at dashboard.eu.vapi.ai; otherwise leave it empty.",
        Check::Region,
    ),
];

const CALCOM: &[FieldSpec] = &[
    secret(
        "api_key",
        "API key",
        "Cal.com → Settings → Developer → API Keys. Begins with cal_.",
        Check::Prefixed("cal_"),
    ),
    FieldSpec {
        numeric: true,
        ..clear(
            "event_type_id",
            "Event Type ID",
            "The digits at the end of the event type's address.",
            Check::PositiveInteger,
        )
    },
    clear(
        "timezone",
        "Timezone",
        "The zone that slots are offered in, such as Europe/London.",
        Check::TimeZone,
    ),
];

const OPENAI: &[FieldSpec] = &[
    secret("api_key", "API key", "platform.openai.com → API keys. Begins with sk-.", Check::Prefixed("sk-")),
    optional("model", "Model", "Leave it empty for the default, gpt-4o.", Check::Model),
    optional(
        "region",
        "Region",
        "us or eu when the key's project has data residency there; otherwise leave it empty.",
        Check::Region,
    ),
];

impl Provider {
    /// The provider's fields, in the order of the card.
    #[must_use]
    pub const fn fields(self) -> &'static [FieldSpec] {
        match self {
            Self::Twilio => TWILIO,
            Self::Vapi => VAPI,
            Self::Calcom => CALCOM,
            Self::Openai => OPENAI,
        }
    }

    /// The field of that name, if the provider has it.
    #[must_use]
    pub fn field(self, name: &str) -> Option<&'static FieldSpec> {
        self.fields().iter().find(|spec| spec.name == name)
    }
}

/// Lays an update over what is stored and checks the whole.
///
/// An absent field keeps its stored value; an empty text removes an optional
/// field. White space around a value is dropped: it comes from copying.
///
/// # Errors
/// Every refused field, in the order of the card, unknown names last.
pub fn merge(
    provider: Provider,
    stored: Option<&Fields>,
    update: &Fields,
) -> Result<Fields, Vec<FieldProblem>> {
    let mut merged = Fields::new();
    let mut problems = Vec::new();
    let mut refuse = |field: &str, message: String| {
        problems.push(FieldProblem { field: field.to_owned(), message: format!("{field} {message}") });
    };

    for spec in provider.fields() {
        let Some(value) = update.get(spec.name) else {
            match stored.and_then(|fields| fields.get(spec.name)) {
                Some(kept) => drop(merged.insert(spec.name.to_owned(), kept.clone())),
                None if spec.required => refuse(spec.name, format!("is missing. {}", spec.help)),
                None => {}
            }
            continue;
        };
        let value = value.expose_secret().trim();
        if value.is_empty() {
            if spec.required {
                refuse(spec.name, format!("is empty. {}", spec.help));
            }
            continue;
        }
        if spec.secret && value.contains(ELLIPSIS) {
            refuse(
                spec.name,
                "is a masked value: leave it out to keep the stored one, or paste the whole".into(),
            );
            continue;
        }
        match spec.check.apply(value) {
            Ok(checked) => drop(merged.insert(spec.name.to_owned(), checked.into())),
            Err(message) => refuse(spec.name, message),
        }
    }

    let known: Vec<_> = provider.fields().iter().map(|spec| spec.name).collect();
    for name in update.keys().filter(|name| provider.field(name).is_none()) {
        // An unknown name may be a secret pasted into the wrong place: it is not repeated whole.
        let name: String = name.chars().filter(|letter| letter.is_ascii_graphic()).take(32).collect();
        refuse(&name, format!("is not a field of {}: use {}", provider.name(), known.join(", ")));
    }

    if problems.is_empty() { Ok(merged) } else { Err(problems) }
}

/// What may be shown: ids in clear, secrets masked. Computed at the save, so that
/// listing opens nothing.
#[must_use]
pub fn shown_fields(provider: Provider, fields: &Fields) -> BTreeMap<String, String> {
    let mut shown = clear_fields(provider, fields);
    for spec in provider.fields().iter().filter(|spec| spec.secret) {
        if let Some(value) = fields.get(spec.name) {
            shown.insert(spec.name.to_owned(), mask(value.expose_secret()));
        }
    }
    shown
}

/// The fields that are not secret.
#[must_use]
pub fn clear_fields(provider: Provider, fields: &Fields) -> BTreeMap<String, String> {
    provider
        .fields()
        .iter()
        .filter(|spec| !spec.secret)
        .filter_map(|spec| Some((spec.name.to_owned(), fields.get(spec.name)?.expose_secret().to_owned())))
        .collect()
}

/// Takes the values of a wire message; the texts are moved, not copied.
#[must_use]
pub fn from_wire(fields: BTreeMap<String, String>) -> Fields {
    fields.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect()
}

/// Lays the values open for a wire message.
#[must_use]
pub fn to_wire(fields: &Fields) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect()
    }

    fn refused(provider: Provider, stored: Option<&Fields>, update: &[(&str, &str)]) -> Vec<String> {
        let problems = merge(provider, stored, &fields(update)).unwrap_err();
        problems.into_iter().map(|problem| problem.field).collect()
    }

    const SID: &str = "AC00112233445566778899aabbccddeeff";
    const GOOD_TWILIO: &[(&str, &str)] =
        &[("account_sid", SID), ("auth_token", "token-1"), ("from", "whatsapp:+447700900999")];

    #[test]
    fn a_first_save_names_every_missing_field() {
        assert_eq!(refused(Provider::Twilio, None, &[]), ["account_sid", "auth_token", "from"]);
        assert_eq!(refused(Provider::Openai, None, &[]), ["api_key"]);
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let stored = merge(Provider::Twilio, None, &fields(GOOD_TWILIO)).unwrap();
        let update = fields(&[("from", " whatsapp:+447700900111 ")]);
        let merged = merge(Provider::Twilio, Some(&stored), &update).unwrap();
        assert_eq!(merged["auth_token"].expose_secret(), "token-1");
        assert_eq!(merged["from"].expose_secret(), "whatsapp:+447700900111");
    }

    #[test]
    fn an_empty_text_removes_an_optional_field_and_is_refused_for_a_required_one() {
        let stored =
            merge(Provider::Openai, None, &fields(&[("api_key", "sk-1"), ("model", "gpt-4o")])).unwrap();
        let merged = merge(Provider::Openai, Some(&stored), &fields(&[("model", "")])).unwrap();
        assert!(!merged.contains_key("model"));
        assert_eq!(refused(Provider::Openai, Some(&stored), &[("api_key", " ")]), ["api_key"]);
    }

    #[test]
    fn a_mask_sent_back_is_refused() {
        let stored =
            merge(Provider::Openai, None, &fields(&[("api_key", "sk-0123456789abcdef0123")])).unwrap();
        assert_eq!(refused(Provider::Openai, Some(&stored), &[("api_key", "sk-…0123")]), ["api_key"]);
    }

    #[test]
    fn malformed_values_are_refused_by_name_and_never_repeated() {
        let cases: &[(Provider, &str, &str)] = &[
            (Provider::Twilio, "account_sid", "AC123"),
            (Provider::Twilio, "account_sid", "SK00112233445566778899aabbccddeeff"),
            (Provider::Twilio, "auth_token", "a\nb"),
            (Provider::Twilio, "from", "+447700900999"),
            (Provider::Twilio, "from", "whatsapp:+44 7700 900999"),
            (Provider::Vapi, "api_key", "two words"),
            (Provider::Vapi, "assistant_id", "4a170597a0c246578c32cb93f080cead"),
            (Provider::Vapi, "phone_number_id", "../../call"),
            (Provider::Vapi, "region", "de"),
            (Provider::Calcom, "api_key", "sk-not-cal"),
            (Provider::Calcom, "event_type_id", "00"),
            (Provider::Calcom, "event_type_id", "+5"),
            (Provider::Calcom, "event_type_id", "12a"),
            (Provider::Calcom, "timezone", "Mars/Olympus"),
            (Provider::Openai, "api_key", "cal_live_x"),
            (Provider::Openai, "model", "gpt 4"),
        ];
        for (provider, field, value) in cases {
            let problems = merge(*provider, None, &fields(&[(field, value)])).unwrap_err();
            let problem = problems.iter().find(|problem| problem.field == *field).unwrap();
            assert!(!problem.message.contains(value), "{}", problem.message);
        }
    }

    #[test]
    fn a_prefix_alone_is_no_key() {
        assert_eq!(refused(Provider::Openai, None, &[("api_key", "sk-")]), ["api_key"]);
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_known_names() {
        let problems = merge(Provider::Openai, None, &fields(&[("api_key", "sk-1"), ("base_url", "x")]));
        let problems = problems.unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains("api_key, model, region"), "{}", problems[0].message);
    }

    #[test]
    fn ids_are_stored_in_one_spelling() {
        let update =
            fields(&[("api_key", "cal_live_x"), ("event_type_id", "0012"), ("timezone", "europe/london")]);
        let merged = merge(Provider::Calcom, None, &update).unwrap();
        assert_eq!(merged["event_type_id"].expose_secret(), "12");
        assert_eq!(merged["timezone"].expose_secret(), "Europe/London");
    }

    #[test]
    fn shown_fields_mask_secrets_and_nothing_else() {
        let merged = merge(Provider::Twilio, None, &fields(GOOD_TWILIO)).unwrap();
        let shown = shown_fields(Provider::Twilio, &merged);
        assert_eq!(shown["account_sid"], SID);
        assert_eq!(shown["auth_token"], "…");
        assert_eq!(clear_fields(Provider::Twilio, &merged).len(), 2);
    }
}
