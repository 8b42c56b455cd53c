use std::fmt;

/// Who comes to a consult.
#[derive(Clone, PartialEq, Eq)]
pub struct Attendee {
    /// Their name.
    pub name: String,
    /// Where the invitation goes.
    pub email: Option<String>,
}

impl fmt::Debug for Attendee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attendee")
    }
}

/// What is wrong with an attendee, as the model is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttendee {
    /// No name, or none that a calendar takes.
    #[error("name must be the lead's name, 1 to 100 characters.")]
    Name,
    /// No e-mail address.
    #[error("email must be one e-mail address, such as anna@example.com.")]
    Email,
    /// Not the lead's own.
    #[error(
        "This e-mail address is not one that the lead gave in this conversation. Ask the lead for theirs."
    )]
    ForeignEmail,
}

impl Attendee {
    /// Reads an attendee. The e-mail address must be one that the lead gave: it
    /// is where the invitation goes.
    ///
    /// # Errors
    /// [`InvalidAttendee`].
    pub fn parse<'a>(
        name: &str,
        email: Option<&str>,
        given: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidAttendee> {
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(InvalidAttendee::Name);
        }
        let Some(email) = email else { return Ok(Self { name, email: None }) };
        if !is_email(email) {
            return Err(InvalidAttendee::Email);
        }
        if !given.into_iter().any(|text| mentions(text, email)) {
            return Err(InvalidAttendee::ForeignEmail);
        }
        Ok(Self { name, email: Some(email.to_owned()) })
    }
}

/// The shape that every mail provider takes, not all that RFC 5322 allows.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let plain = |char: char| !char.is_whitespace() && !char.is_control() && !"\"(),:;<>[\\]@".contains(char);
    let labels = domain.split('.').collect::<Vec<_>>();
    text.len() <= 254
        && !local.is_empty()
        && local.len() <= 64
        && local.chars().all(plain)
        && labels.len() >= 2
        && labels.iter().all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|char| char.is_alphanumeric() || char == '-')
        })
}

/// Whether a text holds the address as a whole, however it is spaced and cased.
fn mentions(text: &str, email: &str) -> bool {
    let wanted = email.to_lowercase();
    let spaced = text.to_lowercase();
    let tight: String = spaced.replace(" @ ", "@").replace(" @", "@").replace("@ ", "@");
    let part_of_address = |char: char| char.is_alphanumeric() || "._%+-@".contains(char);
    [spaced, tight].iter().any(|text| {
        text.match_indices(&wanted).any(|(at, found)| {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let mut after = text.get(at + found.len()..).unwrap_or_default().chars();
            // A full stop at the end of a sentence is no part of an address.
            let goes_on = match after.next() {
                Some('.') => after.next().is_some_and(char::is_alphanumeric),
                Some(char) => part_of_address(char),
                None => false,
            };
            !before.is_some_and(part_of_address) && !goes_on
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_must_be_one_that_the_lead_gave() {
        let given = ["I'm Anna, anna@example.com.", "or Anna.K @ Example.org"];
        let parse = |email| Attendee::parse(" Anna  King ", Some(email), given);
        let anna = |email: &str| Attendee { name: "Anna King".into(), email: Some(email.into()) };
        assert_eq!(parse("anna@example.com"), Ok(anna("anna@example.com")));
        assert_eq!(parse("anna.k@example.org"), Ok(anna("anna.k@example.org")));
        for foreign in ["ann@example.com", "na@example.com", "anna@example.co", "eve@example.com"] {
            assert_eq!(parse(foreign), Err(InvalidAttendee::ForeignEmail), "{foreign}");
        }
        for wrong in
            ["", "anna", "anna@", "@example.com", "anna@example", "a b@example.com", "a@b@c.de", "a@-b.de"]
        {
            assert_eq!(parse(wrong), Err(InvalidAttendee::Email), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_one_line_of_some_length() {
        for wrong in ["", "  ", "\u{7}", &"x".repeat(101)] {
            assert_eq!(Attendee::parse(wrong, None, []), Err(InvalidAttendee::Name));
        }
    }
}
