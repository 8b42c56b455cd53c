//! What a field must look like: the "refuse locally" lists of the provider
//! pages. A value that passes can be put into a path, a header or a form.

use uuid::Uuid;

/// One refused field, in words for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// Named as in the request.
    pub field: String,
    /// What is wrong and how to put it right. Never the value.
    pub message: String,
}

/// Longest accepted value, in bytes. The longest keys seen have under 200.
const MAX_BYTES: usize = 1024;

/// The shape of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// `AC` and 32 hex digits.
    AccountSid,
    /// Anything printable: no source promises a shape for Twilio's tokens.
    Opaque,
    /// `whatsapp:+` and a number of E.164, 7 to 15 digits.
    WhatsappSender,
    /// A UUID with its dashes.
    Uuid,
    /// Visible ASCII that begins so.
    Prefixed(&'static str),
    /// A whole number above 0.
    PositiveInteger,
    /// A name of the IANA time zone database.
    TimeZone,
    /// A model name.
    Model,
    /// `us` or `eu`.
    Region,
}

impl Check {
    /// The value in its stored form, or what is wrong with it.
    pub(crate) fn apply(self, value: &str) -> Result<String, String> {
        if value.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        if value.chars().any(char::is_control) {
            return Err("holds a line break or another control character: paste it again".into());
        }
        match self {
            Self::AccountSid => account_sid(value),
            Self::Opaque => Ok(value.to_owned()),
            Self::WhatsappSender => whatsapp_sender(value),
            Self::Uuid => uuid(value),
            Self::Prefixed(prefix) => prefixed(value, prefix),
            Self::PositiveInteger => positive_integer(value),
            Self::TimeZone => time_zone(value),
            Self::Model => model(value),
            Self::Region => region(value),
        }
    }
}

fn account_sid(value: &str) -> Result<String, String> {
    let digits = value.strip_prefix("AC").unwrap_or_default();
    if digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(value.to_owned());
    }
    Err("must be AC and 32 hex digits: the Account SID on the first page of Twilio's console".into())
}

fn whatsapp_sender(value: &str) -> Result<String, String> {
    let digits = value.strip_prefix("whatsapp:+").unwrap_or_default();
    if (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
    {
        return Ok(value.to_owned());
    }
    Err("must be written as whatsapp:+447700900123, with the country code and without spaces".into())
}

fn uuid(value: &str) -> Result<String, String> {
    if value.len() == 36
        && let Ok(id) = Uuid::try_parse(value)
    {
        return Ok(id.hyphenated().to_string());
    }
    Err("must be a UUID such as 4a170597-a0c2-4657-8c32-cb93f080cead: copy the whole id".into())
}

fn prefixed(value: &str, prefix: &str) -> Result<String, String> {
    if value.strip_prefix(prefix).is_none_or(str::is_empty) && !prefix.is_empty() {
        return Err(format!("must begin with {prefix}: copy the whole key"));
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be printable ASCII without spaces: copy the whole key".into());
    }
    Ok(value.to_owned())
}

fn positive_integer(value: &str) -> Result<String, String> {
    match value.parse::<u32>() {
        Ok(number) if number > 0 && value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number.to_string()),
        _ => {
            Err("must be a whole number above 0, such as 1234567: the digits in the event type's address"
                .into())
        }
    }
}

fn time_zone(value: &str) -> Result<String, String> {
    jiff::tz::db()
        .get(value)
        .ok()
        .and_then(|zone| zone.iana_name().map(str::to_owned))
        .ok_or_else(|| "must be a time zone of the IANA list, such as Europe/London".into())
}

fn model(value: &str) -> Result<String, String> {
    if value.len() <= 128
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte))
    {
        return Ok(value.to_owned());
    }
    Err("must be a model's name such as gpt-4o: letters, digits and - . _ : / only".into())
}

fn region(value: &str) -> Result<String, String> {
    if matches!(value, "us" | "eu") {
        return Ok(value.to_owned());
    }
    Err("must be us, eu, or empty".into())
}
