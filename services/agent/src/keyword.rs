//! The words that end and restart messages, before any model sees them.

use unicode_normalization::UnicodeNormalization as _;

/// What a whole message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
}

/// The words of <https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out>.
const STOP: [&str; 8] = ["stop", "stopall", "unsubscribe", "end", "quit", "revoke", "optout", "cancel"];
const START: [&str; 2] = ["start", "unstop"];

/// The keyword that a whole message is, after NFKC, case folding and without
/// punctuation and the white space around it.
#[must_use]
pub fn keyword(text: &str) -> Option<Keyword> {
    // A keyword is short; what is long is none, and is not gone through.
    if text.len() > 200 {
        return None;
    }
    let plain: String = text
        .nfkc()
        .filter(|char| char.is_alphanumeric() || char.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    let word = plain.trim();
    if STOP.contains(&word) {
        Some(Keyword::Stop)
    } else if START.contains(&word) {
        Some(Keyword::Start)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_message_is_a_keyword_however_it_is_written() {
        for text in
            ["STOP", " stop. ", "Stop!!!", "ＳＴＯＰ", "«Unsubscribe»", "opt-out", "OPT-OUT", "\u{200b}end"]
        {
            assert_eq!(keyword(text), Some(Keyword::Stop), "{text}");
        }
        for text in ["START", "Unstop.", "start"] {
            assert_eq!(keyword(text), Some(Keyword::Start), "{text}");
        }
    }

    #[test]
    fn a_sentence_with_the_word_in_it_is_none() {
        for text in ["please stop", "When does it end?", "stop it", "", "cancel my booking", "👍"] {
            assert_eq!(keyword(text), None, "{text}");
        }
    }
}
