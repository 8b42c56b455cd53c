//! Which fields each provider has, which of them are secret, and what they must
//! look like.
//!
//! Vault (saving), connector (drafts) and gateway (cards) all need this
//! knowledge; it holds no secret of its own and calls nobody.

mod check;
mod fields;
mod mask;
mod provider;

pub use check::FieldProblem;
pub use fields::{FieldSpec, Fields, clear_fields, from_wire, merge, shown_fields, to_wire};
pub use mask::mask;
pub use provider::{Channel, Provider, UnknownProvider};
