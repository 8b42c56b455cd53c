//! Comparing a MAC under a stored secret, so that the secret stays inside.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// The hash under a MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1: Twilio's signatures, and nothing else.
    HmacSha1,
    /// HMAC-SHA256.
    HmacSha256,
}

/// The first of the candidates that has this MAC under the key. Each comparison
/// is in constant time; a MAC of the wrong length has no match.
#[must_use]
pub fn first_match(algorithm: Algorithm, key: &[u8], candidates: &[Vec<u8>], mac: &[u8]) -> Option<usize> {
    candidates.iter().position(|candidate| match algorithm {
        Algorithm::HmacSha1 => has_mac::<Hmac<Sha1>>(key, candidate, mac),
        Algorithm::HmacSha256 => has_mac::<Hmac<Sha256>>(key, candidate, mac),
    })
}

fn has_mac<M: Mac + KeyInit>(key: &[u8], candidate: &[u8], mac: &[u8]) -> bool {
    let mut keyed = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    keyed.update(candidate);
    keyed.verify_slice(mac).is_ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const TWILIO_TOKEN: &[u8] = b"0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    const PATH: &str = "/ingress/twilio/ws_7Q2M";
    const FORM: &str = "AccountSidAC00112233445566778899aabbccddeeffApiVersion2010-04-01BodyHi! Can I book Tue 9am? 👍 a+b=c & 50%ButtonPayloadFromwhatsapp:+447700900123MessageSidSM5f0d6c1b2a3948576071829304a5b6c7MessageTypetextNumMedia0NumSegments1ProfileNameZoë K.SmsMessageSidSM5f0d6c1b2a3948576071829304a5b6c7SmsSidSM5f0d6c1b2a3948576071829304a5b6c7SmsStatusreceivedTowhatsapp:+447700900999WaId447700900123";

    /// Both spellings of the address that Twilio may have signed.
    fn candidates() -> Vec<Vec<u8>> {
        ["https://hooks.coachbot.example", "https://hooks.coachbot.example:443"]
            .map(|origin| format!("{origin}{PATH}{FORM}").into_bytes())
            .to_vec()
    }

    fn twilio(candidates: &[Vec<u8>], signature: &str) -> Option<usize> {
        first_match(Algorithm::HmacSha1, TWILIO_TOKEN, candidates, &STANDARD.decode(signature).unwrap())
    }

    #[test]
    fn twilios_signature_of_a_form_matches_with_and_without_the_port() {
        assert_eq!(candidates()[0].len(), 442);
        assert_eq!(twilio(&candidates(), "f41L8JD28WHZDSUMmZOPBZ92W5E="), Some(0));
        assert_eq!(twilio(&candidates(), "4oPziGk8Zv3BabSTAcy5s+IS37I="), Some(1));
        assert_eq!(twilio(&candidates(), "eIZBvL+577/c+6b/YvaEneBcPBQ="), None);
    }

    #[test]
    fn twilios_signature_with_a_query_and_repeated_names_matches() {
        let text = "https://hooks.coachbot.example/ingress/twilio/status?ws=ws_7Q2M&step=01J9%2FZXAccountSidAC00112233445566778899aabbccddeeffFromwhatsapp:+447700900999MessageSidSM00ff11ee22dd33cc44bb55aa66997788MessageStatusdeliveredTagalphaTagbetaTowhatsapp:+447700900123tagx";
        let candidates = [text.as_bytes().to_vec()];
        assert_eq!(twilio(&candidates, "GjFNJ+dennHtWIFUTgzIZOenahw="), Some(0));
        assert_eq!(twilio(&candidates, "f41L8JD28WHZDSUMmZOPBZ92W5E="), None);
    }

    /// RFC 4231, test case 2.
    #[test]
    fn a_sha256_mac_matches_and_another_length_or_hash_does_not() {
        let candidates = [b"what do ya want for nothing?".to_vec()];
        let mac = hex::decode("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843").unwrap();
        assert_eq!(first_match(Algorithm::HmacSha256, b"Jefe", &candidates, &mac), Some(0));
        assert_eq!(first_match(Algorithm::HmacSha1, b"Jefe", &candidates, &mac), None);
        assert_eq!(first_match(Algorithm::HmacSha256, b"Jefe", &candidates, &mac[..31]), None);
        assert_eq!(first_match(Algorithm::HmacSha256, b"Jefe", &candidates, &[]), None);
        assert_eq!(first_match(Algorithm::HmacSha256, b"jefe", &candidates, &mac), None);
        assert_eq!(first_match(Algorithm::HmacSha256, b"Jefe", &[], &mac), None);
    }
}
