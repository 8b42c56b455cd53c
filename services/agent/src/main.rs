//! `coachbot-agent`: the agent by itself.

use std::process::ExitCode;

use coachbot_agent::Standalone;
use coachbot_common::config::{ProcessEnv, Reader};
use coachbot_common::lifecycle::{self, StartError};

fn main() -> ExitCode {
    lifecycle::run("coachbot-agent", async |stop| {
        let mut reader = Reader::new(&ProcessEnv);
        let alone = Standalone::read(&mut reader);
        reader.unknown_names();
        let alone = reader.finish(alone).map_err(StartError::from)?;
        let listener = lifecycle::listen(alone.listen, "COACHBOT_LISTEN").await?;
        Ok(coachbot_agent::run(alone, listener, stop).await?)
    })
}
