//! People who want something of a coach, and where they can be written to.

use std::fmt;

use coachbot_common::id_type;
use jiff::Timestamp;

use crate::words::words;

id_type! {
    /// One lead.
    pub struct LeadId
}

words! {
    /// How far a lead is. Stages move by facts.
    pub enum Stage {
        /// Nothing happened yet.
        New = "new",
        /// A message to them was accepted.
        Contacted = "contacted",
        /// They wrote, and were offered slots.
        Qualified = "qualified",
        /// They have an accepted booking.
        Booked = "booked",
        /// A person has to look.
        Escalated = "escalated",
        /// A person gave them up.
        Lost = "lost",
        /// They want no messages.
        OptedOut = "opted_out",
    }
}

words! {
    /// Where a lead came from.
    pub enum Source {
        /// The hosted form.
        Form = "form",
        /// They wrote first.
        Whatsapp = "whatsapp",
        /// They called.
        Phone = "phone",
        /// The JSON API.
        Api = "api",
    }
}

/// A lead, as it is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// As far as known; may be empty.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// As it was given.
    pub email: Option<String>,
    /// How far it is.
    pub stage: Stage,
    /// Where it came from.
    pub source: Source,
    /// When it came.
    pub created_at: Timestamp,
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").field("id", &self.id).field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// An address as the messaging provider writes it: a channel, a colon, and a phone
/// number or an opaque id of the person.
///
/// People may hide their number (twilio.com, changelog of July 2026), so that
/// nothing but the prefix is relied on.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

/// A text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a channel, a colon and an address, such as whatsapp:+<number>")]
pub struct InvalidAddress;

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`InvalidAddress`] when it has no prefix, nothing after it, or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let (channel, rest) = text.split_once(':').ok_or(InvalidAddress)?;
        let plain = text.len() <= 200 && !text.chars().any(|char| char.is_control() || char.is_whitespace());
        if channel.is_empty() || rest.is_empty() || !plain {
            return Err(InvalidAddress);
        }
        Ok(Self(text.to_owned()))
    }

    /// The WhatsApp address of a phone number.
    #[must_use]
    pub fn of_phone(phone: &str) -> Self {
        Self(format!("whatsapp:{phone}"))
    }

    /// As it was received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn rest(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, rest)| rest)
    }

    /// The phone number in E.164, if that is what it is.
    #[must_use]
    pub fn phone(&self) -> Option<&str> {
        is_phone(self.rest()).then(|| self.rest())
    }

    /// The provider's id of the person, if that is what it is.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        (!is_phone(self.rest())).then(|| self.rest())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

/// Whether a text is a phone number in E.164.
#[must_use]
pub fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

/// The first of the names, to address a lead by.
#[must_use]
pub fn first_name(name: &str) -> &str {
    name.split_whitespace().next().unwrap_or("there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_number_or_an_opaque_id() {
        let number = Address::parse("whatsapp:+447700900123").unwrap();
        assert_eq!((number.phone(), number.external_id()), (Some("+447700900123"), None));
        let hidden = Address::parse("whatsapp:US.ENT.A1B2C3D4E5").unwrap();
        assert_eq!((hidden.phone(), hidden.external_id()), (None, Some("US.ENT.A1B2C3D4E5")));
        for wrong in ["", "+447700900123", "whatsapp:", ":x", "whatsapp:a b", "whatsapp:\n"] {
            assert_eq!(Address::parse(wrong), Err(InvalidAddress), "{wrong}");
        }
        assert!(!format!("{number:?}").contains("7700"));
    }

    #[test]
    fn a_lead_without_a_name_is_addressed_all_the_same() {
        assert_eq!(first_name("  Zoë  King"), "Zoë");
        assert_eq!(first_name(" "), "there");
    }
}
