//! Secrets: made, compared, hashed, and never printed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Compares without telling by its time where the difference is. Lengths are not
/// hidden.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Makes a token: the prefix, then 32 random bytes as 43 base64url characters.
///
/// # Panics
/// When the operating system has no random bytes to give: then nothing that
/// needs a secret can go on.
#[must_use]
pub fn random_token(prefix: &str) -> SecretString {
    let bytes = Zeroizing::new(random_bytes::<32>());
    let mut token = String::with_capacity(prefix.len() + 43);
    token.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(*bytes, &mut token);
    token.into()
}

/// Random bytes from the operating system.
///
/// # Panics
/// As [`random_token`].
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// The SHA-256 of a token, by which it is stored and found. Tokens have 256
/// random bits, so that no slow hash is needed.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn tokens_have_their_shape_and_differ() {
        let token = random_token("cbt_");
        let text = token.expose_secret();
        assert_eq!(text.len(), 4 + 43);
        assert!(text.starts_with("cbt_"));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_ne!(text, random_token("cbt_").expose_secret());
        assert_eq!(format!("{token:?}"), "SecretBox<str>([REDACTED])");
    }

    #[test]
    fn equal_means_equal() {
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"sama"));
        assert!(!constant_time_eq(b"same", b"longer"));
    }
}
