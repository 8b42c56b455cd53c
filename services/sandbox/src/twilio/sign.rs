//! Signs webhooks.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// `X-Twilio-Signature` of a form: the URL, then each name with its distinct
/// values, in bytewise order. See
/// <https://www.twilio.com/docs/usage/webhooks/webhooks-security>.
pub fn signature(token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in form {
        sorted.entry(name).or_default().insert(value);
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(url.as_bytes());
    for (name, values) in sorted {
        for value in values {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use url::form_urlencoded;

    use super::*;

    const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    const BODY: &str = "SmsMessageSid=SM5f0d6c1b2a3948576071829304a5b6c7&NumMedia=0&ProfileName=Zo%C3%AB+K.&MessageType=text&SmsSid=SM5f0d6c1b2a3948576071829304a5b6c7&WaId=447700900123&SmsStatus=received&Body=Hi%21+Can+I+book+Tue+9am%3F+%F0%9F%91%8D+a%2Bb%3Dc+%26+50%25&To=whatsapp%3A%2B447700900999&ButtonPayload=&NumSegments=1&MessageSid=SM5f0d6c1b2a3948576071829304a5b6c7&AccountSid=AC00112233445566778899aabbccddeeff&From=whatsapp%3A%2B447700900123&ApiVersion=2010-04-01";

    fn form(body: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    #[test]
    fn a_form_is_signed_as_the_official_library_does() {
        let sign = |url: &str, form: &[(String, String)]| signature(TOKEN, url, form);
        let url = "https://hooks.coachbot.example/ingress/twilio/ws_7Q2M";
        assert_eq!(sign(url, &form(BODY)), "f41L8JD28WHZDSUMmZOPBZ92W5E=");
        let with_port = "https://hooks.coachbot.example:443/ingress/twilio/ws_7Q2M";
        assert_eq!(sign(with_port, &form(BODY)), "4oPziGk8Zv3BabSTAcy5s+IS37I=");
        let changed = form(&BODY.replace("50%25", "50%25%21"));
        assert_eq!(sign(url, &changed), "eIZBvL+577/c+6b/YvaEneBcPBQ=");
    }

    #[test]
    fn repeated_values_count_once_and_capitals_come_first() {
        let body = "MessageSid=SM00ff11ee22dd33cc44bb55aa66997788&MessageStatus=delivered&AccountSid=AC00112233445566778899aabbccddeeff&Tag=beta&Tag=alpha&Tag=beta&tag=x&To=whatsapp%3A%2B447700900123&From=whatsapp%3A%2B447700900999";
        let url = "https://hooks.coachbot.example/ingress/twilio/status?ws=ws_7Q2M&step=01J9%2FZX";
        assert_eq!(signature(TOKEN, url, &form(body)), "GjFNJ+dennHtWIFUTgzIZOenahw=");
    }

    #[test]
    fn without_a_form_the_url_alone_is_signed() {
        let url = "https://hooks.coachbot.example/ingress/twilio/events?ws=ws_7Q2M&bodySHA256=b67d1b9e03f3fe14d632e8d3142229ce77d866234aa9f1c56c6bd03c174ad4f5";
        assert_eq!(signature(TOKEN, url, &[]), "225/LhILhY7/buNYsRqzrY05Wgo=");
    }
}
