//! Twilio's signatures, as its own library computes them.

use coachbot_common::config::{MapEnv, Reader};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha1::Sha1;

use super::*;
use crate::config::Config;

const TOKEN: &[u8] = b"0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const BODY: &str = "SmsMessageSid=SM5f0d6c1b2a3948576071829304a5b6c7&NumMedia=0&ProfileName=Zo%C3%AB+K.&MessageType=text&SmsSid=SM5f0d6c1b2a3948576071829304a5b6c7&WaId=447700900123&SmsStatus=received&Body=Hi%21+Can+I+book+Tue+9am%3F+%F0%9F%91%8D+a%2Bb%3Dc+%26+50%25&To=whatsapp%3A%2B447700900999&ButtonPayload=&NumSegments=1&MessageSid=SM5f0d6c1b2a3948576071829304a5b6c7&AccountSid=AC00112233445566778899aabbccddeeff&From=whatsapp%3A%2B447700900123&ApiVersion=2010-04-01";

fn public_url(text: &str) -> PublicUrl {
    let env = MapEnv::from([("COACHBOT_PUBLIC_URL", text)]);
    Config::read(&mut Reader::new(&env)).unwrap().public_url()
}

/// Which candidate has this signature.
fn matched(target: &str, body: &str, signature: &str) -> Option<usize> {
    let params = Params::parse(body.as_bytes());
    let candidates = candidates(&public_url("https://hooks.coachbot.example"), target, &params);
    candidates.iter().position(|candidate| {
        let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN).unwrap();
        mac.update(candidate);
        mac.verify_slice(&STANDARD.decode(signature).unwrap()).is_ok()
    })
}

#[test]
fn a_form_is_signed_decoded_and_sorted_with_or_without_the_port() {
    let target = "/ingress/twilio/ws_7Q2M";
    let text =
        Params::parse(BODY.as_bytes()).signed_with("https://hooks.coachbot.example/ingress/twilio/ws_7Q2M");
    assert_eq!(text.len(), 442);
    let digest: String = sha256(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "c7a56ed671d9f4005db7b33600fa7f99ad02ba4d788e35fae3f2bec3deb1809d");
    assert_eq!(matched(target, BODY, "f41L8JD28WHZDSUMmZOPBZ92W5E="), Some(0));
    assert_eq!(matched(target, BODY, "4oPziGk8Zv3BabSTAcy5s+IS37I="), Some(1));
    let changed = BODY.replace("+50%25", "+50%25%21");
    assert_eq!(matched(target, &changed, "f41L8JD28WHZDSUMmZOPBZ92W5E="), None);
    assert_eq!(matched(target, &changed, "eIZBvL+577/c+6b/YvaEneBcPBQ="), Some(0));
    assert_eq!(matched("/ingress/twilio/ws_7Q2N", BODY, "f41L8JD28WHZDSUMmZOPBZ92W5E="), None);
}

#[test]
fn a_query_is_signed_as_it_is_and_values_of_one_name_are_distinct_and_sorted() {
    let target = "/ingress/twilio/status?ws=ws_7Q2M&step=01J9%2FZX";
    let body = "MessageSid=SM00ff11ee22dd33cc44bb55aa66997788&MessageStatus=delivered&AccountSid=AC00112233445566778899aabbccddeeff&Tag=beta&Tag=alpha&Tag=beta&tag=x&To=whatsapp%3A%2B447700900123&From=whatsapp%3A%2B447700900999";
    assert_eq!(matched(target, body, "GjFNJ+dennHtWIFUTgzIZOenahw="), Some(0));
    assert_eq!(matched(target, &body.replace("Tag=beta", "Tag=gamma"), "GjFNJ+dennHtWIFUTgzIZOenahw="), None);
}

#[test]
fn a_shared_key_or_a_malformed_signature_is_refused_before_anybody_is_asked() {
    let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    };
    const GOOD: (&str, &str) = ("x-twilio-signature", "f41L8JD28WHZDSUMmZOPBZ92W5E=");
    assert_eq!(signature(&headers(&[GOOD])).unwrap().len(), 20);
    let settings = ("x-twilio-webhooks-signature-settings", "key=whk_1,algorithm=HMAC_SHA256");
    let long = ("x-twilio-signature", "fo2eBg0nLmFTe3xchGfqkU+1n/iRR+aeqm9ZD9d5YeY=");
    for wrong in [
        &[][..],
        &[GOOD, settings],
        &[GOOD, ("x-twilio-webhooks-signature-settings", "")],
        &[GOOD, GOOD],
        &[long],
        &[("x-twilio-signature", "")],
        &[("x-twilio-signature", "not base64")],
    ] {
        assert!(matches!(signature(&headers(wrong)), Err(Error::NotGenuine)));
    }
}

fn row(kind: InboxKind, payload: &str) -> Waiting {
    Waiting {
        number: 7,
        workspace: WorkspaceId::parse("01937a3e-6f00-7000-8000-00000000000a").unwrap(),
        kind,
        key: "SM5f0d6c1b2a3948576071829304a5b6c7".to_owned(),
        intent: Some(Uuid::from_u128(9)),
        payload: payload.as_bytes().to_vec(),
        received_at: Timestamp::UNIX_EPOCH,
        traceparent: None,
        attempts: 1,
    }
}

#[test]
fn a_message_is_read_as_the_agent_takes_it() {
    let read = message(&row(InboxKind::TwilioMessage, BODY)).unwrap();
    assert_eq!(read.provider_message_id, "SM5f0d6c1b2a3948576071829304a5b6c7");
    assert_eq!(read.from, "whatsapp:+447700900123");
    assert_eq!(read.text, "Hi! Can I book Tue 9am? 👍 a+b=c & 50%");
    assert_eq!(read.profile_name.as_deref(), Some("Zoë K."));
    assert_eq!((read.external_user_id, read.media_types), (None, Vec::new()));

    let picture =
        "From=whatsapp%3AUS.A1B2&ExternalUserId=US.A1B2&Body=&NumMedia=1&MediaContentType0=image%2Fjpeg";
    let read = message(&row(InboxKind::TwilioMessage, picture)).unwrap();
    assert_eq!((read.from.as_str(), read.text.as_str()), ("whatsapp:US.A1B2", ""));
    assert_eq!(read.external_user_id.as_deref(), Some("US.A1B2"));
    assert_eq!(read.media_types, ["image/jpeg"]);
    let place = "From=whatsapp%3A%2B447700900123&MessageType=location&Latitude=51.5&NumMedia=0";
    assert_eq!(message(&row(InboxKind::TwilioMessage, place)).unwrap().media_types, ["location"]);
    let many = "From=a&NumMedia=4000000000";
    assert_eq!(message(&row(InboxKind::TwilioMessage, many)).unwrap().media_types.len(), MAX_MEDIA);
    assert!(matches!(message(&row(InboxKind::TwilioMessage, "Body=x")), Err(Error::Unreadable)));
}

#[test]
fn a_status_is_read_as_the_agent_takes_it() {
    let body = "MessageSid=SM00&MessageStatus=undelivered&ErrorCode=63016";
    let read = status(&row(InboxKind::TwilioStatus, body)).unwrap();
    assert_eq!((read.provider_message_id.as_str(), read.status.as_str()), ("SM00", "undelivered"));
    assert_eq!(read.error_code, Some(63_016));
    assert_eq!(read.intent_id, Uuid::from_u128(9).to_string());
}

#[test]
fn what_lacks_what_every_request_has_is_nothing() {
    let key = |kind, body: &str, intent| key_and_lane(kind, &Params::parse(body.as_bytes()), intent);
    let whole = "MessageSid=SM1&AccountSid=AC1&From=a&To=b&MessageStatus=sent";
    assert_eq!(key(InboxKind::TwilioMessage, whole, None).unwrap().0, "SM1");
    assert_eq!(key(InboxKind::TwilioStatus, whole, Some(Uuid::nil())).unwrap().0, "SM1/sent");
    for missing in ["MessageSid=SM1&", "AccountSid=AC1&", "From=a&", "To=b&"] {
        assert!(key(InboxKind::TwilioMessage, &whole.replace(missing, ""), None).is_none(), "{missing}");
    }
    let without = whole.replace("&MessageStatus=sent", "");
    assert!(key(InboxKind::TwilioStatus, &without, Some(Uuid::nil())).is_none());
    for odd in ["MessageSid=SM%00", "MessageSid=", "MessageSid=SM1&MessageSid=SM2", "MessageSid=a/b"] {
        assert!(
            key(InboxKind::TwilioMessage, &whole.replace("MessageSid=SM1", odd), None).is_none(),
            "{odd}"
        );
    }
}
