//! `coachbot-gateway`: the gateway as a process of its own.

use std::process::ExitCode;

use coachbot_common::config::{ProcessEnv, Reader};
use coachbot_common::lifecycle::{self, listen};
use coachbot_gateway::Standalone;

fn main() -> ExitCode {
    lifecycle::run("coachbot-gateway", async |stop| {
        let mut reader = Reader::new(&ProcessEnv);
        let config = Standalone::read(&mut reader);
        reader.unknown_names();
        let config = reader.finish(config)?;
        let listener = listen(config.gateway.listen, "COACHBOT_LISTEN").await?;
        Ok(coachbot_gateway::run(config, listener, stop).await?)
    })
}
