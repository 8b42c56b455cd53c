//! Builds the bindings without `protoc`, and a redacting `Debug` for every
//! message that has a field marked `(coachbot.types.v1.secret)`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, error, fs};

use prost::Message as _;
use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, MessageDescriptor};
use tonic_prost_build::FileDescriptorSet;

const FILES: &[&str] = &[
    "coachbot/types/v1/secret.proto",
    "coachbot/types/v1/types.proto",
    "coachbot/vault/v1/vault_service.proto",
    "coachbot/connector/v1/connector_service.proto",
    "coachbot/connector/v1/messaging_service.proto",
    "coachbot/connector/v1/calendar_service.proto",
    "coachbot/connector/v1/model_service.proto",
    "coachbot/agent/v1/agent_service.proto",
    "coachbot/agent/v1/settings_service.proto",
    "coachbot/agent/v1/inbox_service.proto",
];

#[expect(clippy::disallowed_methods, reason = "cargo passes a build script its folder this way")]
fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=coachbot");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).open_files(FILES)?;
    // The bytes keep the options that `prost_types` does not know.
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &encoded)?;

    let pool = DescriptorPool::decode(encoded.as_slice())?;
    let secret = pool
        .get_extension_by_name("coachbot.types.v1.secret")
        .ok_or("the option coachbot.types.v1.secret is not defined")?;
    let ours = || pool.all_messages().filter(|message| message.package_name().starts_with("coachbot."));
    let redacted: Vec<MessageDescriptor> =
        ours().filter(|message| message.fields().any(|field| is_secret(&field, &secret))).collect();

    fs::write(out.join("redacted_debug.rs"), redacting_impls(&redacted, &secret)?)?;
    fs::write(out.join("every_message.rs"), table_of(ours())?)?;

    tonic_prost_build::configure()
        .skip_debug(redacted.iter().map(|message| format!(".{}", message.full_name())))
        .btree_map(".")
        .compile_fds(FileDescriptorSet::decode(encoded.as_slice())?)?;
    Ok(())
}

fn is_secret(field: &FieldDescriptor, secret: &ExtensionDescriptor) -> bool {
    field.options().get_extension(secret).as_bool().unwrap_or(false)
}

/// `coachbot.vault.v1.GetStatusRequest` as `crate::vault::v1::GetStatusRequest`.
fn rust_path(message: &MessageDescriptor) -> String {
    let package = message.package_name().trim_start_matches("coachbot.").replace('.', "::");
    format!("crate::{package}::{}", message.name())
}

fn redacting_impls(
    messages: &[MessageDescriptor],
    secret: &ExtensionDescriptor,
) -> Result<String, std::fmt::Error> {
    let mut code = String::new();
    for message in messages {
        writeln!(code, "impl std::fmt::Debug for {} {{", rust_path(message))?;
        writeln!(code, "    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{")?;
        writeln!(code, "        f.debug_struct({:?})", message.name())?;
        // A choice is an enum beside the message, which would need a `Debug` of its own.
        let choices = message.oneofs().filter(|choice| !choice.is_synthetic()).count();
        assert!(choices == 0, "{} has secrets: use optional messages in place of oneof", message.full_name());
        for field in message.fields() {
            let name = field.name();
            if is_secret(&field, secret) {
                writeln!(code, "            .field({name:?}, &crate::Redacted)")?;
            } else {
                writeln!(code, "            .field({name:?}, &self.{name})")?;
            }
        }
        writeln!(code, "            .finish()\n    }}\n}}")?;
    }
    Ok(code)
}

/// A table from each message's full name to a function that decodes and prints
/// it, for the test that walks them all.
fn table_of(messages: impl Iterator<Item = MessageDescriptor>) -> Result<String, std::fmt::Error> {
    let mut code = String::from("pub(super) const EVERY_MESSAGE: &[(&str, super::DebugText)] = &[\n");
    for message in messages.filter(|message| message.parent_message().is_none()) {
        let path = rust_path(&message);
        writeln!(code, "    ({:?}, super::debug_text::<{path}>),", message.full_name())?;
    }
    code.push_str("];\n");
    Ok(code)
}
