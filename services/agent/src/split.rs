//! Long replies, in parts.

/// The provider refuses more than 1,600; how it counts is not settled
/// (twilio.md, section 10).
const LONGEST: usize = 1500;

/// More parts than these are no answer to read.
const MOST: usize = 3;

/// Splits a text into at most three parts of at most 1,500 UTF-16 units, at the
/// ends of sentences where there are any, else at white space. What does not fit
/// is left out, and the last part says so by an ellipsis.
#[must_use]
pub fn parts(text: &str) -> Vec<String> {
    let mut rest = text.trim();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let mut end = cut(rest);
        let last = parts.len() + 1 == MOST && end < rest.len();
        if last {
            // Room for the ellipsis.
            end = cut_within(rest, LONGEST - 1);
        }
        let (part, more) = rest.split_at(end);
        let mut part = part.trim().to_owned();
        if last {
            part.push('…');
        }
        if !part.is_empty() {
            parts.push(part);
        }
        if parts.len() == MOST {
            break;
        }
        rest = more.trim_start();
    }
    parts
}

fn cut(text: &str) -> usize {
    cut_within(text, LONGEST)
}

/// Where the first part ends, in bytes.
fn cut_within(text: &str, longest: usize) -> usize {
    let mut units = 0;
    let mut limit = text.len();
    let (mut sentence, mut space) = (None, None);
    let mut previous = None;
    for (at, char) in text.char_indices() {
        if units + char.len_utf16() > longest {
            limit = at;
            break;
        }
        units += char.len_utf16();
        if char.is_whitespace() {
            space = Some(at);
            if char == '\n' || matches!(previous, Some('.' | '!' | '?' | '…')) {
                sentence = Some(at);
            }
        }
        previous = Some(char);
    }
    if limit == text.len() {
        return limit;
    }
    // A sentence end in the first third would leave a stub and a second cut.
    let far_enough = |at: &usize| *at * 3 >= limit;
    sentence.filter(far_enough).or(space.filter(far_enough)).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_one_part_and_an_empty_one_none() {
        assert_eq!(parts("  Hi! How are you?  "), ["Hi! How are you?"]);
        assert_eq!(parts(" \n "), Vec::<String>::new());
    }

    #[test]
    fn a_long_text_is_cut_at_sentences() {
        let sentence = "This sentence is here to fill a message with something. ";
        let text = sentence.repeat(40);
        let parts = parts(&text);
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|part| part.encode_utf16().count() <= LONGEST && part.ends_with('.')));
        assert_eq!(parts.join(" "), text.trim());
    }

    #[test]
    fn there_are_at_most_three_parts_and_none_is_too_long() {
        for text in ["a".repeat(9000), "👍".repeat(9000), "word ".repeat(4000)] {
            let parts = parts(&text);
            assert_eq!(parts.len(), 3);
            assert!(parts.iter().all(|part| part.encode_utf16().count() <= LONGEST));
            assert!(parts[2].ends_with('…'));
        }
    }
}
