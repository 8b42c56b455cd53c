//! What every binary needs and no domain owns.
//!
//! Configuration, telemetry, the stack between an RPC's client and server,
//! databases, start and stop, secrets. Nothing here knows what a credential or a
//! lead is.

pub mod clock;
pub mod config;
pub mod db;
pub mod fault;
pub mod id;
pub mod lifecycle;
pub mod propagation;
pub mod rpc;
pub mod secret;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
