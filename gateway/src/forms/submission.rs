//! What a lead fills in: every problem of it is found at once, and a value that
//! exists is valid.

use std::collections::BTreeMap;

use coachbot_integrations::FieldProblem;
use serde::{Deserialize, Serialize};

use crate::clients::NewLead;

/// Longest name, message, custom value and custom name, in characters.
pub(crate) const MAX_NAME: usize = 120;
pub(crate) const MAX_MESSAGE: usize = 4_000;
const MAX_CUSTOM_VALUE: usize = 2_000;
const MAX_CUSTOM_NAME: usize = 64;

/// Most custom fields.
const MAX_CUSTOM: usize = 30;

/// Longest address (RFC 5321, section 4.5.3.1.3, without its brackets).
const MAX_EMAIL: usize = 254;

/// Fewest and most digits of a number with its country (ITU-T E.164).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// A field that people do not see, and programs that fill in everything do.
pub(crate) const TRAP: &str = "_gotcha";

/// A value as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A text, or a number in its digits.
    Text(String),
    /// JSON's own.
    Flag(bool),
    /// Null: as if it were absent.
    Nothing,
    /// What no field takes.
    Other,
}

/// A lead, as it is stored until it is handed on. No `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Submission {
    pub name: String,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub message: Option<String>,
    pub custom_fields: BTreeMap<String, String>,
}

impl From<Submission> for NewLead {
    fn from(submission: Submission) -> Self {
        let Submission { name, phone, email, message, custom_fields } = submission;
        Self { name, phone, email, message, custom_fields }
    }
}

/// What was sent, read.
pub(crate) enum Read {
    /// A lead.
    Lead(Submission),
    /// The trap was filled in.
    Trapped,
}

/// Reads what was sent. `Err` names every refused field.
pub(crate) fn read(inputs: Vec<(String, Input)>) -> Result<Read, Vec<FieldProblem>> {
    let mut fields = Inputs::new(inputs);
    if fields.take(TRAP).is_some_and(|input| !matches!(&input, Input::Text(text) if text.trim().is_empty())) {
        return Ok(Read::Trapped);
    }
    let name = fields.required("name", name);
    let phone = fields.optional("phone", phone);
    let email = fields.optional("email", email);
    let message = fields.optional("message", message);
    fields.consent();
    if let (Ok(None), Ok(None)) = (&phone, &email) {
        fields.refuse("phone", "or email must be given, so that you can be reached");
    }
    let custom_fields = fields.custom();
    match (name, phone, email, message) {
        (Some(name), Ok(phone), Ok(email), Ok(message)) if fields.problems.is_empty() => {
            Ok(Read::Lead(Submission { name, phone, email, message, custom_fields }))
        }
        _ => Err(fields.problems),
    }
}

struct Inputs {
    inputs: Vec<(String, Input)>,
    problems: Vec<FieldProblem>,
}

/// The field is refused; that was recorded.
struct Refused;

impl Inputs {
    /// Values of one name, such as those of several ticked boxes, are one text.
    fn new(sent: Vec<(String, Input)>) -> Self {
        let mut inputs: Vec<(String, Input)> = Vec::new();
        for (name, input) in sent {
            match inputs.iter_mut().find(|(known, _)| *known == name) {
                Some((_, Input::Text(text))) => match input {
                    Input::Text(more) if text.is_empty() => *text = more,
                    Input::Text(more) => {
                        text.push_str(", ");
                        text.push_str(&more);
                    }
                    _ => {}
                },
                Some((_, first)) => *first = Input::Other,
                None => inputs.push((name, input)),
            }
        }
        Self { inputs, problems: Vec::new() }
    }

    fn refuse(&mut self, field: &str, words: &str) {
        self.problems.push(FieldProblem { field: field.to_owned(), message: format!("{field} {words}") });
    }

    fn take(&mut self, name: &str) -> Option<Input> {
        let at = self.inputs.iter().position(|(known, _)| known == name)?;
        Some(self.inputs.remove(at).1)
    }

    /// A text that may be missing or empty.
    fn optional(
        &mut self,
        name: &'static str,
        parse: fn(&str) -> Result<String, &'static str>,
    ) -> Result<Option<String>, Refused> {
        let words = match self.take(name) {
            None | Some(Input::Nothing) => return Ok(None),
            Some(Input::Text(text)) if text.trim().is_empty() => return Ok(None),
            Some(Input::Text(text)) => match parse(text.trim()) {
                Ok(value) => return Ok(Some(value)),
                Err(words) => words,
            },
            Some(_) => "must be a text",
        };
        self.refuse(name, words);
        Err(Refused)
    }

    fn required(
        &mut self,
        name: &'static str,
        parse: fn(&str) -> Result<String, &'static str>,
    ) -> Option<String> {
        let value = self.optional(name, parse).ok()?;
        if value.is_none() {
            self.refuse(name, "is missing");
        }
        value
    }

    /// A tick of a browser's form, or JSON's `true`.
    fn consent(&mut self) {
        let given = match self.take("consent") {
            Some(Input::Flag(given)) => given,
            Some(Input::Text(text)) => matches!(text.trim(), "true" | "on" | "yes" | "1"),
            _ => false,
        };
        if !given {
            self.refuse("consent", "must be true: without it you must not be contacted");
        }
    }

    /// What is left belongs to the form's own questions.
    fn custom(&mut self) -> BTreeMap<String, String> {
        let mut custom = BTreeMap::new();
        let left = std::mem::take(&mut self.inputs);
        if left.len() > MAX_CUSTOM {
            self.refuse("fields", "are too many");
            return custom;
        }
        for (name, input) in left {
            let shown = crate::api::body::shown(&name);
            if name.is_empty() || name.chars().count() > MAX_CUSTOM_NAME || name.chars().any(char::is_control)
            {
                self.refuse(&shown, "is not a name of a field");
                continue;
            }
            match input {
                Input::Nothing => {}
                Input::Flag(flag) => drop(custom.insert(name, flag.to_string())),
                Input::Text(text) if text.chars().count() > MAX_CUSTOM_VALUE => {
                    self.refuse(&shown, "must have 2000 characters at most");
                }
                Input::Text(text) if text.chars().any(is_unprintable) => {
                    self.refuse(&shown, "must not hold control characters");
                }
                Input::Text(text) => drop(custom.insert(name, text)),
                Input::Other => self.refuse(&shown, "must be a text, a number, true or false"),
            }
        }
        custom
    }
}

/// Line breaks and tabs are text, other control characters are not.
fn is_unprintable(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')
}

/// A person's name. `Err` completes "name …".
pub(crate) fn name(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.chars().count() > MAX_NAME {
        return Err("must have 120 characters at most");
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold line breaks or other control characters");
    }
    Ok(text.to_owned())
}

/// What somebody has to say. `Err` completes "message …".
pub(crate) fn message(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > MAX_MESSAGE {
        return Err("must have 4000 characters at most");
    }
    if text.chars().any(is_unprintable) {
        return Err("must not hold control characters");
    }
    Ok(text.to_owned())
}

/// A phone number with its country, as E.164 writes it. `Err` completes
/// "phone …".
pub(crate) fn phone(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "must be a number with its country, such as +44 7700 900123";
    // Many write the trunk zero that is left out after a country.
    let text = text.trim().replace("(0)", "");
    let digits = text.strip_prefix('+').ok_or(WRONG)?;
    let separators = [' ', '\u{a0}', '\u{202f}', '-', '\u{2010}', '\u{2011}', '.', '(', ')', '/'];
    let digits: String = digits.chars().filter(|letter| !separators.contains(letter)).collect();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if is_number && PHONE_DIGITS.contains(&digits.len()) { Ok(format!("+{digits}")) } else { Err(WRONG) }
}

/// An e-mail address by its shape: whether it works shows when it is used. `Err`
/// completes "email …".
pub(crate) fn email(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "must be an address such as name@example.com";
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or(WRONG)?;
    let labels: Vec<&str> = domain.split('.').collect();
    let is_label = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_local = (1..=64).contains(&local.len())
        && !local.contains('@')
        && !local
            .chars()
            .any(|letter| letter.is_whitespace() || letter.is_control() || "<>()[],;:\\\"".contains(letter));
    let whole = is_local && labels.len() > 1 && labels.iter().all(is_label) && text.len() <= MAX_EMAIL;
    if whole { Ok(text.to_owned()) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pairs: &[(&str, &str)]) -> Vec<(String, Input)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Input::Text((*value).to_owned()))).collect()
    }

    fn lead(pairs: &[(&str, &str)]) -> Submission {
        match read(sent(pairs)) {
            Ok(Read::Lead(lead)) => lead,
            Ok(Read::Trapped) => panic!("trapped"),
            Err(problems) => panic!("{problems:?}"),
        }
    }

    fn refused(inputs: Vec<(String, Input)>) -> Vec<String> {
        match read(inputs) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|problem| problem.field).collect(),
        }
    }

    #[test]
    fn a_whole_form_becomes_a_lead_with_its_custom_fields() {
        let lead = lead(&[
            ("name", " Zoë K. "),
            ("phone", "+44 (0)7700 900-123"),
            ("email", "zoe@example.com"),
            ("message", "Hi\nthere"),
            ("goal", "Run"),
            ("goal", "Swim"),
            ("consent", "on"),
        ]);
        assert_eq!(lead.name, "Zoë K.");
        assert_eq!(lead.phone.as_deref(), Some("+447700900123"));
        assert_eq!(lead.message.as_deref(), Some("Hi\nthere"));
        assert_eq!(lead.custom_fields, BTreeMap::from([("goal".to_owned(), "Run, Swim".to_owned())]));
    }

    #[test]
    fn every_refused_field_is_named_at_once() {
        let mut fields =
            refused(sent(&[("name", ""), ("phone", "07700 900123"), ("email", "zoe"), ("consent", "no")]));
        fields.sort();
        assert_eq!(fields, ["consent", "email", "name", "phone"]);
        assert_eq!(refused(sent(&[("name", "Zoë"), ("consent", "true")])), ["phone"]);
        let whole = |consent| {
            let mut inputs = sent(&[("name", "Zoë"), ("email", "zoe@example.com")]);
            inputs.extend(consent);
            refused(inputs)
        };
        let flag = |given| Some(("consent".to_owned(), Input::Flag(given)));
        assert!(whole(flag(true)).is_empty());
        for wrong in [None, flag(false), Some(("consent".to_owned(), Input::Nothing))] {
            assert_eq!(whole(wrong), ["consent"]);
        }
        let nested = [flag(true), Some(("goal".to_owned(), Input::Other))].into_iter().flatten();
        let mut inputs = sent(&[("name", "Zoë"), ("email", "zoe@example.com"), ("note", "\u{0}")]);
        inputs.extend(nested);
        assert_eq!(refused(inputs), ["note", "goal"]);
        let many: Vec<_> = (0..=MAX_CUSTOM).map(|at| (format!("field{at}"), Input::Flag(true))).collect();
        let mut inputs = sent(&[("name", "Zoë"), ("email", "zoe@example.com"), ("consent", "1")]);
        inputs.extend(many);
        assert_eq!(refused(inputs), ["fields"]);
    }

    #[test]
    fn phone_numbers_have_their_country() {
        for (text, expected) in [
            ("+447700900123", "+447700900123"),
            ("+1 (415) 555-2671", "+14155552671"),
            ("+49.30.12 34 56", "+4930123456"),
        ] {
            assert_eq!(phone(text).unwrap(), expected);
        }
        for wrong in [
            "07700900123",
            "00447700900123",
            "+",
            "+0123456789",
            "+4477o0900123",
            "+1234567890123456",
            "++447700900123",
            "+123456",
        ] {
            assert!(phone(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_have_the_shape_of_one() {
        for right in ["a@b.co", "zoë.k+coach@mail.example.com", "x@münchen.example"] {
            assert!(email(right).is_ok(), "{right}");
        }
        for wrong in [
            "a",
            "a@b",
            "@b.co",
            "a@",
            "a b@c.de",
            "a@b..de",
            "a@-b.de",
            "a@b@c.de",
            "<a@b.de>",
            "a@b.de\nBcc:c@d.ef",
        ] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
        assert!(email(&format!("{}@b.de", "a".repeat(65))).is_err());
    }

    #[test]
    fn a_program_that_fills_in_everything_is_trapped() {
        assert!(matches!(read(sent(&[("name", "x"), (TRAP, "http://spam.example")])), Ok(Read::Trapped)));
        assert!(!matches!(read(sent(&[("name", "x"), (TRAP, " ")])), Ok(Read::Trapped)));
    }
}
