//! Reading the platform key. A value that is no key is a state of the vault,
//! never a reason not to start.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::keyring::{KEY_BYTES, SecretKey};

/// The variable that holds the key; for messages.
pub const VARIABLE: &str = "INTEGRATIONS_ENCRYPTION_KEY";

/// Why a configured value is not used as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Unset, empty, or nothing but white space.
    Missing,
    /// Neither 64 hex digits nor the padded base64 of 32 bytes.
    Malformed,
    /// All bytes are equal, or count up or down by one.
    Weak,
}

/// Reads a key from 64 hex digits or 44 characters of padded base64. White space
/// around it comes from files and copying, and is dropped.
///
/// # Errors
/// [`Unusable`] says why the value is no key; it does not repeat the value.
pub fn parse(value: Option<&SecretString>) -> Result<SecretKey, Unusable> {
    let text = value.map_or("", |value| value.expose_secret()).trim_ascii();
    // One byte more than a key has, so that base64 of 33 bytes is seen to be too long.
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES + 1]);
    let decoded = match text.len() {
        0 => return Err(Unusable::Missing),
        64 => {
            let (key, _) = bytes.split_at_mut(KEY_BYTES);
            hex::decode_to_slice(text, key).ok().map(|()| KEY_BYTES)
        }
        44 => STANDARD.decode_slice(text, bytes.as_mut_slice()).ok(),
        _ => None,
    };
    let key = decoded.and_then(|length| SecretKey::from_slice(bytes.get(..length)?));
    match key {
        None => Err(Unusable::Malformed),
        Some(key) if is_weak(key.expose()) => Err(Unusable::Weak),
        Some(key) => Ok(key),
    }
}

/// Whether each byte differs from the one before by the same 0, 1 or -1; 255
/// counts on to 0.
fn is_weak(key: &[u8; KEY_BYTES]) -> bool {
    let steps = || key.iter().zip(key.iter().skip(1)).map(|(byte, next)| next.wrapping_sub(*byte));
    [0, 1, u8::MAX].into_iter().any(|step| steps().all(|found| found == step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_are_accepted_or_refused_for_the_known_reason() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../fixtures/key_parsing.json")).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 22);
        for case in cases {
            let value = case["value"].as_str().map(SecretString::from);
            let found = parse(value.as_ref());
            let reason = match &found {
                Ok(_) => None,
                Err(Unusable::Missing) => Some("KEY_MISSING"),
                Err(Unusable::Malformed) => Some("KEY_MALFORMED"),
                Err(Unusable::Weak) => Some("KEY_WEAK"),
            };
            assert_eq!(reason, case["reason"].as_str(), "{}", case["id"]);
            let key = found.ok().map(|key| hex::encode(key.expose()));
            assert_eq!(key.as_deref(), case["key"].as_str(), "{}", case["id"]);
        }
    }

    fn of(bytes: [u8; KEY_BYTES]) -> Result<SecretKey, Unusable> {
        parse(Some(&hex::encode(bytes).into()))
    }

    #[test]
    fn counting_up_or_down_is_weak_also_past_the_end() {
        for start in [0_u8, 1, 0x41, 240, 255] {
            let up = std::array::from_fn(|i| start.wrapping_add(u8::try_from(i).unwrap()));
            let down = std::array::from_fn(|i| start.wrapping_sub(u8::try_from(i).unwrap()));
            assert!(matches!(of(up), Err(Unusable::Weak)));
            assert!(matches!(of(down), Err(Unusable::Weak)));
        }
        let by_two = std::array::from_fn(|i| u8::try_from(2 * i).unwrap());
        assert!(of(by_two).is_ok());
        let mut nearly: [u8; KEY_BYTES] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        nearly[31] = 0;
        assert!(of(nearly).is_ok());
    }

    #[test]
    fn base64_of_one_byte_too_many_is_malformed() {
        let text = STANDARD.encode([9_u8; 33]);
        assert_eq!(text.len(), 44);
        assert!(matches!(parse(Some(&text.into())), Err(Unusable::Malformed)));
    }
}
