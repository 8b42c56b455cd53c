//! The four providers in one process, simulated strictly.
//!
//! Twilio, Cal.com, `OpenAI` and Vapi as far as the product calls them: what the
//! providers refuse is refused here with their words, what they do is done here
//! to a small state of its own and written into a ledger by which tests judge.
//! The model is a script and says so.

pub mod accounts;
mod calcom;
mod call;
mod config;
mod control;
pub mod faults;
mod held;
mod leads;
pub mod ledger;
mod openai;
mod outcome;
pub mod providers;
mod routes;
mod sandbox;
mod save;
pub mod script;
mod twilio;
mod vapi;
mod wire;
mod world;

use std::net::SocketAddr;

use coachbot_common::clock::SystemClock;
use coachbot_common::lifecycle::Stop;
use tokio::net::TcpListener;

pub use config::Config;
pub use sandbox::{Error, Running, Sandbox};

/// Runs the sandbox by itself until `stop`.
///
/// # Errors
/// [`Error`] when it cannot start, or serving fails.
pub async fn run(config: Config, listener: TcpListener, stop: Stop) -> Result<(), Error> {
    let sandbox = Sandbox::open(&config, SystemClock::shared(), stop).await?;
    sandbox.serve(listener).await
}

/// Where the sandbox listens unless told otherwise.
#[must_use]
pub const fn default_listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8090)
}
