//! What is read of Vapi's JSON.

use serde::Deserialize;

use crate::providers::node::Node;

/// An assistant or a phone number. The answers also hold server headers and, for
/// an imported number, the secrets of a Twilio account: they are not named here,
/// so that no copy of them is made.
#[derive(Deserialize)]
pub(super) struct Resource<'a> {
    /// Must be the id that was asked for.
    #[serde(borrow, default)]
    pub id: Node<'a>,
    /// Of a number: `active`, `activating` or `blocked`.
    #[serde(borrow, default)]
    pub status: Node<'a>,
    /// Of a number: who carries it; `vapi` is a free one.
    #[serde(borrow, default)]
    pub provider: Node<'a>,
}
