//! Whether a reply says that something is booked.
//!
//! The rule is small on purpose. A sentence claims a booking when it holds one of
//! the phrases below, is no question, and holds before it no word that takes it back
//! or makes it depend on something ("not", "once", "would"). Phrases speak of *you*,
//! *I*, *we* or the consult, so that "that slot is booked" (by somebody else)
//! claims nothing.

use unicode_normalization::UnicodeNormalization as _;

const PHRASES: &[&str] = &[
    "you're booked",
    "you are booked",
    "you're now booked",
    "you are now booked",
    "you're all booked",
    "you are all booked",
    "you're confirmed",
    "you are confirmed",
    "you're scheduled",
    "you are scheduled",
    "booked you in",
    "booked you for",
    "got you booked",
    "have you booked",
    "i've booked",
    "i have booked",
    "i booked",
    "i've scheduled",
    "i have scheduled",
    "i've just booked",
    "i have just booked",
    "we've booked",
    "we have booked",
    "we've scheduled",
    "booking is confirmed",
    "booking confirmed",
    "booking is made",
    "booking has been made",
    "consult is booked",
    "consult is now booked",
    "consult is confirmed",
    "consult is scheduled",
    "consult has been booked",
    "consultation is booked",
    "consultation is confirmed",
    "consultation has been booked",
    "call is booked",
    "call is confirmed",
    "call is scheduled",
    "call has been booked",
    "appointment is booked",
    "appointment is confirmed",
    "appointment is scheduled",
    "appointment has been booked",
    "meeting is booked",
    "meeting is confirmed",
    "session is booked",
    "session is confirmed",
    "session has been booked",
    "slot is confirmed for you",
    "slot is booked for you",
    "ist gebucht",
    "habe ich gebucht",
    "habe dich gebucht",
    "termin ist bestätigt",
    "queda reservad",
    "está reservad",
    "cita está confirmada",
    "est réservé",
    "rendez-vous est confirmé",
];

const TAKES_BACK: &[&str] = &[
    "not",
    "isn't",
    "aren't",
    "hasn't",
    "haven't",
    "never",
    "no",
    "once",
    "if",
    "when",
    "until",
    "unless",
    "before",
    "after",
    "as soon as",
    "would",
    "could",
    "can",
    "can't",
    "cannot",
    "unable",
    "nicht",
    "noch",
    "wenn",
    "sobald",
    "cuando",
    "si",
    "quand",
    "dès",
];

/// Whether the text says that the lead has a booking.
#[must_use]
pub fn claims_booking(text: &str) -> bool {
    let plain: String = text
        .nfkc()
        .flat_map(char::to_lowercase)
        .map(|char| if matches!(char, '’' | '‘' | '`') { '\'' } else { char })
        .collect();
    plain.split_inclusive(['.', '!', '?', '\n', ';']).any(sentence_claims)
}

fn sentence_claims(sentence: &str) -> bool {
    let words: String = sentence
        .chars()
        .map(|char| if char.is_alphanumeric() || matches!(char, '\'' | '-') { char } else { ' ' })
        .collect();
    let words = format!(" {} ", words.split_whitespace().collect::<Vec<_>>().join(" "));
    if sentence.trim_end().ends_with('?') {
        return false;
    }
    PHRASES.iter().filter_map(|phrase| words.split_once(&format!(" {phrase}"))).any(|(before, _)| {
        let before = format!("{before} ");
        !TAKES_BACK.iter().any(|word| before.contains(&format!(" {word} ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_seen() {
        for text in [
            "You're booked for Tuesday at 09:00.",
            "Great news! You’re booked!",
            "Done. I've booked Tue 1 Dec, 09:00 for you.",
            "Your consult is confirmed for Tuesday.",
            "All set, your **consult is booked** 🎉",
            "You're booked for Tuesday, let me know if you need to change it.",
            "Dein Termin ist gebucht.",
        ] {
            assert!(claims_booking(text), "{text}");
        }
    }

    #[test]
    fn what_claims_nothing_passes() {
        for text in [
            "Shall I book Tuesday at 09:00 for you?",
            "That slot is already booked. Would Wednesday suit you?",
            "Tuesday is fully booked.",
            "You're not booked yet: which e-mail may I use?",
            "Once you're booked, you'll get an e-mail.",
            "Are you booked with another coach?",
            "Is it fine if I have booked the wrong day? No.",
            "I can book one of these: Tue 1 Dec, 09:00.",
            "Many clients like to get a call booked early.",
            "I couldn't book that, sorry.",
        ] {
            assert!(!claims_booking(text), "{text}");
        }
    }
}
