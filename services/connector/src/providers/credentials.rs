//! Credentials as types: what a lease or a draft holds, ready to be used.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coachbot_integrations::{Fields, Provider};
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::config::Region;

/// The credentials of one provider. Wiped when dropped.
#[derive(Debug)]
pub enum Credentials {
    /// Twilio's.
    Twilio(Twilio),
    /// Vapi's.
    Vapi(Vapi),
    /// Cal.com's.
    Calcom(Calcom),
    /// `OpenAI`'s.
    Openai(Openai),
}

/// What is stored lacks a field, or holds a value that the save would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field {field} is missing or malformed")]
pub struct Incomplete {
    /// Named as in the JSON API.
    pub field: &'static str,
}

/// An account's SID and token, and the number that messages come from.
pub struct Twilio {
    pub(super) account_sid: String,
    auth_token: SecretString,
    pub(super) from: String,
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers are printed nowhere.
        f.debug_struct("Twilio").field("account_sid", &self.account_sid).finish_non_exhaustive()
    }
}

/// A private key, and the two things that calls need.
#[derive(Debug)]
pub struct Vapi {
    api_key: SecretString,
    pub(super) assistant_id: String,
    pub(super) phone_number_id: String,
    pub(super) region: Option<Region>,
}

/// A key, the event type that is booked, and the zone of its slots.
#[derive(Debug)]
pub struct Calcom {
    api_key: SecretString,
    pub(super) event_type_id: String,
    pub(super) timezone: String,
}

/// A key, and the model that answers.
#[derive(Debug)]
pub struct Openai {
    api_key: SecretString,
    pub(super) model: Option<String>,
    pub(super) region: Option<Region>,
}

impl Credentials {
    /// Takes what is needed out of the fields.
    ///
    /// # Errors
    /// [`Incomplete`] names the first field that is missing or malformed.
    pub fn new(provider: Provider, fields: &Fields) -> Result<Self, Incomplete> {
        Ok(match provider {
            Provider::Twilio => Self::Twilio(Twilio::read(fields)?),
            Provider::Vapi => Self::Vapi(Vapi::read(fields)?),
            Provider::Calcom => Self::Calcom(Calcom::read(fields)?),
            Provider::Openai => Self::Openai(Openai::read(fields)?),
        })
    }
}

/// The credentials of one provider, for who knows which.
pub(crate) trait Stored: Sized + Send + Sync + 'static {
    /// Whose they are.
    const PROVIDER: Provider;

    /// Takes what is needed out of the fields.
    fn read(fields: &Fields) -> Result<Self, Incomplete>;
}

impl Stored for Twilio {
    const PROVIDER: Provider = Provider::Twilio;

    fn read(fields: &Fields) -> Result<Self, Incomplete> {
        Ok(Self {
            account_sid: clear(fields, "account_sid")?,
            auth_token: secret(fields, "auth_token")?,
            from: clear(fields, "from")?,
        })
    }
}

impl Stored for Vapi {
    const PROVIDER: Provider = Provider::Vapi;

    fn read(fields: &Fields) -> Result<Self, Incomplete> {
        Ok(Self {
            api_key: secret(fields, "api_key")?,
            assistant_id: clear(fields, "assistant_id")?,
            phone_number_id: clear(fields, "phone_number_id")?,
            region: region(fields)?,
        })
    }
}

impl Stored for Calcom {
    const PROVIDER: Provider = Provider::Calcom;

    fn read(fields: &Fields) -> Result<Self, Incomplete> {
        Ok(Self {
            api_key: secret(fields, "api_key")?,
            event_type_id: number(fields, "event_type_id")?,
            timezone: clear(fields, "timezone")?,
        })
    }
}

impl Stored for Openai {
    const PROVIDER: Provider = Provider::Openai;

    fn read(fields: &Fields) -> Result<Self, Incomplete> {
        Ok(Self {
            api_key: secret(fields, "api_key")?,
            model: optional(fields, "model"),
            region: region(fields)?,
        })
    }
}

impl Twilio {
    /// `Basic`, account SID and Auth Token.
    pub(super) fn authorization(&self) -> HeaderValue {
        let token = self.auth_token.expose_secret();
        let pair = Zeroizing::new([self.account_sid.as_bytes(), b":", token.as_bytes()].concat());
        let mut value = b"Basic ".to_vec();
        value.resize(6 + pair.len().div_ceil(3) * 4, 0);
        if let Some(room) = value.get_mut(6..) {
            STANDARD
                .encode_slice(pair.as_slice(), room)
                .expect("padded base64 has four letters for three bytes");
        }
        header(value)
    }
}

impl Vapi {
    /// `Bearer` and the private key.
    pub(super) fn authorization(&self) -> HeaderValue {
        bearer(&self.api_key)
    }
}

impl Calcom {
    /// The zone that slots are labelled in.
    pub(crate) fn timezone(&self) -> &str {
        &self.timezone
    }

    /// The event type as the number that it is.
    pub(super) fn event_type_number(&self) -> u64 {
        self.event_type_id.parse().expect("its digits were checked")
    }

    /// `Bearer` and the key.
    pub(super) fn authorization(&self) -> HeaderValue {
        bearer(&self.api_key)
    }
}

impl Openai {
    /// `Bearer` and the key.
    pub(super) fn authorization(&self) -> HeaderValue {
        bearer(&self.api_key)
    }
}

fn bearer(key: &SecretString) -> HeaderValue {
    header([b"Bearer ", key.expose_secret().as_bytes()].concat())
}

/// A header whose bytes are wiped when the last copy of it is dropped.
fn header(value: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from_owner(Zeroizing::new(value)))
        .expect("keys were checked to be visible ASCII")
}

/// A secret that can stand in a header. Twilio's token goes there as base64, so
/// that any text will do.
fn secret(fields: &Fields, field: &'static str) -> Result<SecretString, Incomplete> {
    let value = fields.get(field).ok_or(Incomplete { field })?;
    let text = value.expose_secret();
    let fits = field == "auth_token" || text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || !fits {
        return Err(Incomplete { field });
    }
    Ok(value.clone())
}

fn clear(fields: &Fields, field: &'static str) -> Result<String, Incomplete> {
    optional(fields, field).ok_or(Incomplete { field })
}

/// The digits of a whole number.
fn number(fields: &Fields, field: &'static str) -> Result<String, Incomplete> {
    clear(fields, field).and_then(|digits| match digits.parse::<u64>() {
        Ok(_) => Ok(digits),
        Err(_) => Err(Incomplete { field }),
    })
}

fn optional(fields: &Fields, field: &str) -> Option<String> {
    let value = fields.get(field)?.expose_secret();
    (!value.is_empty()).then(|| value.to_owned())
}

fn region(fields: &Fields) -> Result<Option<Region>, Incomplete> {
    optional(fields, "region")
        .map(|name| name.parse().map_err(|_| Incomplete { field: "region" }))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
    }

    #[test]
    fn basic_authentication_is_that_of_the_providers_page() {
        let own = fields(&[
            ("account_sid", "AC00112233445566778899aabbccddeeff"),
            ("auth_token", "0f1e2d3c"),
            ("from", "whatsapp:+447700900999"),
        ]);
        let Ok(Credentials::Twilio(own)) = Credentials::new(Provider::Twilio, &own) else { panic!() };
        let header = own.authorization();
        assert_eq!(header, "Basic QUMwMDExMjIzMzQ0NTU2Njc3ODg5OWFhYmJjY2RkZWVmZjowZjFlMmQzYw==");
    }

    #[test]
    fn a_missing_or_malformed_field_is_named() {
        let refused = |provider, pairs: &[_]| Credentials::new(provider, &fields(pairs)).unwrap_err().field;
        assert_eq!(refused(Provider::Twilio, &[("account_sid", "AC1")]), "auth_token");
        assert_eq!(refused(Provider::Calcom, &[("api_key", "cal_x\ny"), ("event_type_id", "1")]), "api_key");
        assert_eq!(refused(Provider::Openai, &[("api_key", "sk-1"), ("region", "mars")]), "region");
        assert_eq!(refused(Provider::Openai, &[("api_key", "")]), "api_key");
    }

    #[test]
    fn debug_shows_no_secret() {
        let own = fields(&[("api_key", "sk-planted-secret"), ("model", "gpt-4o")]);
        let text = format!("{:?}", Credentials::new(Provider::Openai, &own).unwrap());
        assert!(!text.contains("planted"), "{text}");
    }
}
