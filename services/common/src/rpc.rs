//! The one stack between an RPC's client and its server.
//!
//! A caller holds a generated client over a [`Transport`] and cannot tell whether
//! a connection or the service itself lies beneath: deadline, panic, identity and
//! trace are handled by the same code in both cases.

mod client;
mod identity;
mod serve;
mod stack;
mod tls;

use std::time::Duration;

pub use client::{ConnectError, connect, direct};
pub use identity::{Identity, Policy, UnknownIdentity, caller};
pub use serve::{Rpc, ServeError, serve};
pub use stack::{Guard, Guarded, deadline_of};

/// What carries a call: a connection, or the service laid directly beneath.
pub type Transport = tower::util::BoxCloneSyncService<
    http::Request<tonic::body::Body>,
    http::Response<tonic::body::Body>,
    tonic::Status,
>;

/// A request that the server gives up on after `limit`. Every call has one.
pub fn with_deadline<T>(message: T, limit: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(limit);
    request
}
