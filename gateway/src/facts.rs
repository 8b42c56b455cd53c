//! The facts of a workspace that a person types: values that exist are valid.

use std::sync::LazyLock;

/// Longest name, in characters.
pub(crate) const MAX_NAME: usize = 80;

/// A name of 1 to 80 characters without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Reads a name; the space around it is dropped. `Err` completes "name …".
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim();
        if name.is_empty() {
            return Err("must not be empty".into());
        }
        if name.chars().count() > MAX_NAME {
            return Err(format!("must have {MAX_NAME} characters at most"));
        }
        if name.chars().any(is_invisible_control) {
            return Err("must not hold line breaks or other control characters".into());
        }
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Control characters, line separators, and those that turn the direction of the
/// text around them.
fn is_invisible_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name of the IANA time zone database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone(String);

impl Zone {
    /// Reads a zone's name, in its one spelling. `Err` completes "timezone …".
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        jiff::tz::db()
            .get(text)
            .ok()
            .and_then(|zone| zone.iana_name().map(str::to_owned))
            .filter(|name| is_public(name))
            .map(Self)
            .ok_or_else(|| "must be a time zone of the IANA list, such as Europe/London".into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// A machine's zone folder also has copies with leap seconds and files that are
/// no zones.
fn is_public(name: &str) -> bool {
    let copies = ["posix/", "right/"];
    let others = ["Factory", "localtime", "posixrules"];
    !copies.iter().any(|prefix| name.starts_with(prefix)) && !others.contains(&name)
}

/// The zones that a form offers, in the order of the alphabet.
pub(crate) fn zones() -> &'static [String] {
    static ZONES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let mut names: Vec<String> = jiff::tz::db()
            .available()
            .map(|name| name.to_string())
            .filter(|name| is_public(name) && (name.contains('/') || name == "UTC"))
            .filter(|name| !name.starts_with("Etc/"))
            .collect();
        names.sort();
        names.dedup();
        names
    });
    &ZONES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(Name::parse("  Acme Coaching ").unwrap().as_str(), "Acme Coaching");
        assert_eq!(Name::parse(&"é".repeat(80)).unwrap().as_str().chars().count(), 80);
        for wrong in ["", "   ", "a\nb", "a\u{0}b", "a\u{202e}b", &"é".repeat(81)] {
            assert!(Name::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn zones_are_those_of_the_list_in_one_spelling() {
        assert_eq!(Zone::parse(" europe/london ").unwrap().as_str(), "Europe/London");
        assert_eq!(Zone::parse("UTC").unwrap().as_str(), "UTC");
        for wrong in
            ["", "Mars/Olympus", "+02:00", "right/Europe/London", "posix/UTC", "../etc/passwd", "Factory"]
        {
            assert!(Zone::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_zone_that_is_offered_is_accepted() {
        assert!(zones().len() > 300);
        assert!(zones().iter().all(|zone| Zone::parse(zone).is_ok_and(|read| read.as_str() == zone)));
    }
}
