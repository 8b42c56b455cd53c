//! Understands the little that the script needs of what a lead writes.

use super::transcript::{Slot, Transcript, Turn};

/// Part of the question for a name, by which its answer is known.
pub const NAME_QUESTION: &str = "your name";

/// Values that say that nothing is known.
const NOTHING: [&str; 7] = ["", "unknown", "none", "null", "-", "not known", "not given"];

/// Keys that are about somebody else.
const OTHERS: [&str; 11] =
    ["workspace", "coach", "business", "company", "tool", "file", "your", "my", "assistant", "agent", "bot"];

/// An e-mail address in a text.
pub fn email(text: &str) -> Option<String> {
    let ends = |letter: char| letter.is_whitespace() || "<>(),;:\"'`[]{}".contains(letter);
    let is_email = |word: &&str| {
        word.split_once('@')
            .is_some_and(|(who, place)| !who.is_empty() && place.contains('.') && !place.contains('@'))
    };
    text.split(ends).map(|word| word.trim_matches(['.', '!', '?'])).find(is_email).map(str::to_owned)
}

/// What is known of the lead's name and address.
pub fn identity(transcript: &Transcript) -> (Option<String>, Option<String>) {
    let (mut name, mut address) = (noted_name(&transcript.notes), noted_email(&transcript.notes));
    let mut asked = false;
    for turn in &transcript.turns {
        match turn {
            Turn::Assistant(text) => asked = text.contains(NAME_QUESTION),
            Turn::User(text) => {
                name = told_name(text, asked).or(name);
                address = email(text).or(address);
            }
            Turn::Call | Turn::Output { .. } => {}
        }
    }
    (name, address)
}

/// The value of a note's line whose key, of at most four words, ends so.
fn noted<'a>(line: &'a str, ending: &str) -> Option<&'a str> {
    let sentence = || line.split_once(" is ").filter(|(key, _)| key.starts_with("The lead's "));
    let (key, value) = line.split_once(':').or_else(sentence)?;
    let key = key.trim().trim_matches(['"', '*', '-', ' ']).to_lowercase();
    let value = value.trim().trim_matches(['"', '*', ',', '.', ' ']);
    let is_about_lead = key.ends_with(ending)
        && key.split_whitespace().count() <= 4
        && !OTHERS.iter().any(|other| key.contains(other));
    (is_about_lead && !NOTHING.contains(&value.to_lowercase().as_str())).then_some(value)
}

/// A note such as `Name: Zoë K.` or `The lead's name is Zoë.`
fn noted_name(notes: &str) -> Option<String> {
    let name = notes.lines().find_map(|line| noted(line, "name"))?;
    (name.chars().count() <= 60).then(|| name.to_owned())
}

/// A note such as `E-mail: zoe@example.com`.
fn noted_email(notes: &str) -> Option<String> {
    let of_lead = |line: &&str| noted(line, "mail").or_else(|| noted(line, "mail address")).is_some();
    notes.lines().filter(of_lead).find_map(email)
}

/// The name in `My name is Zoë`, or in the answer to the question for it.
fn told_name(text: &str, asked: bool) -> Option<String> {
    const BEGINNINGS: [&str; 7] =
        ["my name is ", "my name's ", "i am ", "i'm ", "this is ", "it's ", "name: "];
    const SURE: usize = 2;
    let lower = text.to_lowercase();
    let told = BEGINNINGS.iter().enumerate().find_map(|(index, beginning)| {
        let at = lower.find(beginning)?;
        // Small letters may be longer or shorter than the capitals they come from.
        let rest = text.get(at + beginning.len()..)?;
        (asked || index < SURE).then_some(rest)
    });
    let rest = told.or_else(|| asked.then_some(text))?;
    let stops = |word: &str| {
        word.contains('@')
            || word.starts_with('#')
            || matches!(
                word.to_lowercase().as_str(),
                "and" | "my" | "mail" | "email" | "e-mail" | "address" | "is"
            )
    };
    let words: Vec<_> = rest
        .split(|letter: char| letter.is_whitespace() || ",;:<>()".contains(letter))
        .filter(|word| !word.is_empty())
        .take_while(|word| !stops(word))
        .take(5)
        .collect();
    let name = words.join(" ").trim_matches(['.', '!', '?']).to_owned();
    let is_name = name.chars().any(char::is_alphabetic)
        && name.chars().count() <= 60
        && !name.chars().any(|letter| letter.is_ascii_digit())
        && words.len() <= 4;
    is_name.then_some(name)
}

/// Which of the offered slots a text means.
pub fn choice(text: &str, offered: &[Slot]) -> Option<usize> {
    let plain = plain(text);
    if let Some(index) = offered.iter().position(|slot| plain.contains(&self::plain(&slot.label))) {
        return Some(index);
    }
    let times: Vec<_> = offered.iter().map(|slot| time(&slot.label)).collect();
    if let Some(wanted) = time(text) {
        let mut fitting = times.iter().enumerate().filter(|(_, own)| **own == Some(wanted));
        if let (Some((index, _)), None) = (fitting.next(), fitting.next()) {
            return Some(index);
        }
        return None;
    }
    let words: Vec<_> = plain.split(' ').filter(|word| !word.is_empty()).collect();
    let number = |word: &str| match word {
        "1" | "1st" | "first" | "one" => Some(0),
        "2" | "2nd" | "second" | "two" => Some(1),
        "3" | "3rd" | "third" | "three" => Some(2),
        "last" => offered.len().checked_sub(1),
        _ => None,
    };
    if words.len() > 8 {
        return None;
    }
    if let Some(index) = words.iter().find_map(|word| number(word)).filter(|index| *index < offered.len()) {
        return Some(index);
    }
    let agrees = words.iter().any(|word| matches!(*word, "yes" | "ok" | "okay" | "sure" | "perfect"));
    (agrees && offered.len() == 1).then_some(0)
}

/// Small letters and digits, with single spaces.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.to_lowercase().chars() {
        if letter.is_alphanumeric() || letter == ':' {
            plain.push(letter);
        } else if !plain.ends_with(' ') {
            plain.push(' ');
        }
    }
    plain.trim().to_owned()
}

/// A time of day such as `9:00`, in minutes.
fn time(text: &str) -> Option<u32> {
    text.split(|letter: char| !(letter.is_ascii_digit() || letter == ':')).find_map(|word| {
        let (hour, minute) = word.split_once(':')?;
        if minute.len() != 2 {
            return None;
        }
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    })
}

/// Whether the lead asks for a person.
pub fn wants_person(text: &str) -> bool {
    let plain = plain(text);
    [
        "human",
        "a person",
        "real person",
        "somebody real",
        "someone real",
        "talk to somebody",
        "talk to someone",
    ]
    .iter()
    .any(|words| plain.contains(words))
}

/// Whether none of the offered slots suits.
pub fn wants_others(text: &str) -> bool {
    let plain = plain(text);
    plain
        .split(' ')
        .any(|word| matches!(word, "other" | "others" | "another" | "different" | "later" | "more" | "none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Vec<Slot> {
        ["Tue 1 Dec, 09:00", "Tue 1 Dec, 09:30", "Wed 2 Dec, 14:00"]
            .map(|label| Slot { start: String::new(), label: label.to_owned() })
            .to_vec()
    }

    #[test]
    fn choices_are_understood() {
        for (text, index) in [
            ("1", Some(0)),
            (" 2. ", Some(1)),
            ("option 3 please", Some(2)),
            ("the first", Some(0)),
            ("The second one!", Some(1)),
            ("last", Some(2)),
            ("Wed 2 Dec, 14:00", Some(2)),
            ("tue 1 dec 09:30 works", Some(1)),
            ("9:30", Some(1)),
            ("14:00 is good", Some(2)),
            ("17:00", None),
            ("hm", None),
            ("yes", None),
            ("4", None),
        ] {
            assert_eq!(choice(text, &slots()), index, "{text}");
        }
        assert_eq!(choice("yes", &slots()[..1]), Some(0));
    }

    #[test]
    fn names_and_addresses_are_understood() {
        for (text, asked, name) in [
            ("My name is Zoë K. and my e-mail is zoe@example.com", false, Some("Zoë K")),
            ("I'm Zoë, zoe@example.com", true, Some("Zoë")),
            ("Zoë Kern zoe@example.com", true, Some("Zoë Kern")),
            ("Zoë", true, Some("Zoë")),
            ("Hi, I am looking for a coach", false, None),
            ("zoe@example.com", true, None),
            ("I want to come on the 3rd", true, None),
            ("Hello", false, None),
        ] {
            assert_eq!(told_name(text, asked).as_deref(), name, "{text}");
        }
        assert_eq!(email("write to <zoe@example.com>.").as_deref(), Some("zoe@example.com"));
        assert_eq!(email("zoe@example or @example.com"), None);
    }

    #[test]
    fn notes_about_the_lead_are_understood() {
        for (notes, name, address) in [
            ("Lead\n- Name: Zoë K.\n- E-mail: zoe@example.com", Some("Zoë K"), Some("zoe@example.com")),
            ("Workspace name: Northside\nLead name: unknown\nemail: unknown", None, None),
            (
                "The lead's name is Zoë.\nThe lead's e-mail address is zoe@example.com.",
                Some("Zoë"),
                Some("zoe@example.com"),
            ),
            ("Write to support@example.com when in doubt.", None, None),
            (
                "Your name is Ava.\nYour name: Ava\nA name is needed\nCoach's e-mail: sam@example.com",
                None,
                None,
            ),
        ] {
            assert_eq!(noted_name(notes).as_deref(), name, "{notes}");
            assert_eq!(noted_email(notes).as_deref(), address, "{notes}");
        }
    }
}
