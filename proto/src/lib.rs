//! The contracts between the services, and their bindings: nothing else.
//!
//! A field marked `(coachbot.types.v1.secret)` in the `.proto` files is left out
//! of the `Debug` text of its message.

use std::fmt;

/// What two or more services share: provider, verdict, verification.
#[expect(missing_docs, reason = "generated; the comments are in the .proto files")]
pub mod types {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("coachbot.types.v1");
    }
}

/// The vault's contract.
#[expect(missing_docs, clippy::allow_attributes, reason = "generated; the comments are in the .proto files")]
pub mod vault {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("coachbot.vault.v1");
    }
}

/// The connector's contract.
#[expect(missing_docs, clippy::allow_attributes, reason = "generated; the comments are in the .proto files")]
pub mod connector {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("coachbot.connector.v1");
    }
}

/// The agent's contract.
#[expect(missing_docs, clippy::allow_attributes, reason = "generated; the comments are in the .proto files")]
pub mod agent {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("coachbot.agent.v1");
    }
}

include!(concat!(env!("OUT_DIR"), "/redacted_debug.rs"));

/// All contracts as an encoded `google.protobuf.FileDescriptorSet`, imports
/// included: for reflection, and for tests that walk them.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Stands in a `Debug` text where a secret would be.
struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests;
