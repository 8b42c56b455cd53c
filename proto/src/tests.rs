//! Walks the descriptors: what is marked secret is never printed, and what
//! looks like a secret is marked.

use std::fmt::Debug;

use prost::Message;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

use super::DESCRIPTORS;

type DebugText = fn(&[u8]) -> String;

fn debug_text<M: Message + Default + Debug>(encoded: &[u8]) -> String {
    format!("{:?} {:#?}", M::decode(encoded).unwrap(), M::decode(encoded).unwrap())
}

mod every_message {
    include!(concat!(env!("OUT_DIR"), "/every_message.rs"));
}

const PLANT: &str = "PLANTED-c0ffee";
const PLAIN: &str = "plain-text";

fn pool() -> DescriptorPool {
    DescriptorPool::decode(DESCRIPTORS).unwrap()
}

fn is_secret(field: &FieldDescriptor) -> bool {
    let secret = field.parent_pool().get_extension_by_name("coachbot.types.v1.secret").unwrap();
    field.options().get_extension(&secret).as_bool().unwrap_or(false)
}

/// A message with every field set; the text in secret fields is the plant.
fn planted(message: &MessageDescriptor) -> DynamicMessage {
    let mut dynamic = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let text = if is_secret(&field) { PLANT } else { PLAIN };
        let value = if field.is_map() {
            Value::Map([(MapKey::String(text.into()), Value::String(text.into()))].into())
        } else if field.is_list() {
            Value::List(vec![single(&field, text)])
        } else {
            single(&field, text)
        };
        dynamic.set_field(&field, value);
    }
    dynamic
}

fn single(field: &FieldDescriptor, text: &str) -> Value {
    match field.kind() {
        Kind::String => Value::String(text.into()),
        Kind::Bytes => Value::Bytes(text.as_bytes().to_vec().into()),
        Kind::Message(inner) => Value::Message(planted(&inner)),
        other => other.default_value(),
    }
}

#[test]
fn no_message_prints_a_field_that_is_marked_secret() {
    let pool = pool();
    let bytes_as_printed = format!("{:?}", PLANT.as_bytes());
    let mut with_secrets = 0;
    for (name, debug_text) in every_message::EVERY_MESSAGE {
        let descriptor = pool.get_message_by_name(name).unwrap();
        let text = debug_text(&planted(&descriptor).encode_to_vec());
        assert!(!text.contains(PLANT), "{name} prints a secret: {text}");
        assert!(!text.contains(bytes_as_printed.trim_matches(['[', ']'])), "{name} prints secret bytes");
        if descriptor.fields().any(|field| is_secret(&field)) {
            with_secrets += 1;
            assert!(text.contains("[redacted]"), "{name}: {text}");
        } else if descriptor.fields().any(|field| matches!(field.kind(), Kind::String)) {
            assert!(text.contains(PLAIN), "{name} hides what is not secret: {text}");
        }
    }
    assert!(with_secrets > 5, "the marks were lost on the way: {with_secrets}");
}

#[test]
fn a_field_that_is_named_like_a_secret_is_marked() {
    // Named like one, and shown on purpose: ids of keys and masked hints.
    const SHOWN: &[&str] = &[
        "coachbot.vault.v1.GetStatusResponse.configured_key_id",
        "coachbot.vault.v1.GetStatusResponse.stored_key_id",
        "coachbot.vault.v1.DescribeIntegrationsResponse.tool_token_hint",
        "coachbot.vault.v1.Integration.fields",
        "coachbot.vault.v1.VerifyMacResponse.clear_fields",
    ];
    const WORDS: &[&str] = &["secret", "token", "key", "password", "plaintext", "mac", "candidate", "fields"];
    let mut unmarked = Vec::new();
    for message in pool().all_messages().filter(|message| message.package_name().starts_with("coachbot.")) {
        if message.is_map_entry() {
            continue;
        }
        for field in message.fields() {
            let texty = matches!(field.kind(), Kind::String | Kind::Bytes) || field.is_map();
            let looks_secret = field
                .name()
                .split('_')
                .any(|part| WORDS.iter().any(|word| part == *word || part.strip_suffix('s') == Some(word)));
            if texty && looks_secret && !is_secret(&field) && !SHOWN.contains(&field.full_name()) {
                unmarked.push(field.full_name().to_owned());
            }
        }
    }
    assert_eq!(unmarked, Vec::<String>::new());
}

#[test]
fn every_enum_begins_with_unspecified_and_every_rpc_has_messages_of_its_own() {
    let pool = pool();
    for enumeration in pool.all_enums().filter(|found| found.package_name().starts_with("coachbot.")) {
        let zero = enumeration.get_value(0).unwrap();
        assert!(zero.name().ends_with("_UNSPECIFIED"), "{}", zero.full_name());
    }
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        assert_eq!(method.input().name(), format!("{}Request", method.name()));
        assert_eq!(method.output().name(), format!("{}Response", method.name()));
        assert!(method.input().fields().all(|field| field.cardinality() != Cardinality::Required));
    }
}
