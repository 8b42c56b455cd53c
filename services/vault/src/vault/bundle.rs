//! The plaintext of a record: all fields of one provider as a compact JSON object.

use std::collections::BTreeMap;

use coachbot_integrations::Fields;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::seal::Plaintext;

/// Writes the fields into a buffer that never grows, for growing leaves copies
/// behind.
pub(super) fn encode(fields: &Fields) -> Result<Plaintext, Error> {
    let texts: BTreeMap<&str, &str> =
        fields.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    // At worst each byte becomes six, as \u0000 does; each pair has four quotes, a colon and a comma.
    let longest: usize = texts.iter().map(|(name, value)| 6 * (name.len() + value.len() + 1)).sum();
    let mut buffer = Zeroizing::new(Vec::with_capacity(longest + 2));
    serde_json::to_writer(&mut *buffer, &texts).map_err(|_| Error::Encode)?;
    Ok(buffer)
}

/// Reads the fields back; `None` when the bytes are no such object. The parser's
/// own words are dropped, for they may quote a value.
pub(super) fn decode(plaintext: &Plaintext) -> Option<Fields> {
    serde_json::from_slice(plaintext).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_and_the_buffer_does_not_grow() {
        let pairs = [("api_key", "sk-\"quoted\\\" and £ and 👍"), ("control", "\u{1}\u{1f}"), ("empty", "")];
        let fields: Fields =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let plaintext = encode(&fields).unwrap();
        let longest: usize = pairs.iter().map(|(name, value)| 6 * (name.len() + value.len() + 1)).sum();
        assert_eq!(plaintext.capacity(), longest + 2);
        let back = decode(&plaintext).unwrap();
        for (name, value) in pairs {
            assert_eq!(back[name].expose_secret(), value);
        }
        assert_eq!(encode(&Fields::new()).unwrap().as_slice(), b"{}");
    }

    #[test]
    fn what_is_no_object_of_texts_is_refused() {
        for odd in ["", "[]", "{\"a\":1}", "{\"a\":\"b\"", "null"] {
            assert!(decode(&Zeroizing::new(odd.as_bytes().to_vec())).is_none(), "{odd}");
        }
    }
}
