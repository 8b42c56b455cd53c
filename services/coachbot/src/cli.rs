//! The command line.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use coachbot_common::clock::SystemClock;
use coachbot_common::config::{Env, ProcessEnv, Reader};
use coachbot_common::lifecycle::{self, Failure, Stop};

use crate::newcomer::WithKeptKey;
use crate::{key, serve};

/// Answers a coach's leads, qualifies them, and books a consult in the coach's
/// own calendar.
///
/// Without a command it serves as `serve` does, with a platform key that it makes
/// and keeps in the data folder.
#[derive(Parser)]
#[command(name = "coachbot", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs all services in one process against the real providers
    Serve,
    /// Makes a platform key, or says whether the configured one fits the data
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Runs the provider sandbox alone: Twilio, Vapi, Cal.com and OpenAI, simulated
    Sandbox,
    /// Prints a one-time sign-in link for the dashboard, valid for 15 minutes
    Link,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Prints a new platform key for INTEGRATIONS_ENCRYPTION_KEY
    Generate,
    /// Says whether the configured key fits the stored data; exit code 0 if it does
    Status,
}

/// The process, from its first line to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    lifecycle::run("coachbot", move |stop| async move {
        match command {
            None => newcomer(stop).await,
            Some(Command::Serve) => serve_with(&ProcessEnv, None, stop).await,
            Some(Command::Key { command: KeyCommand::Generate }) => Ok(say(&key::generate())?),
            Some(Command::Key { command: KeyCommand::Status }) => key_status().await,
            Some(Command::Sandbox) => sandbox(stop).await,
            Some(Command::Link) => link().await,
        }
    })
}

async fn newcomer(stop: Stop) -> Result<(), Failure> {
    let (env, note) = WithKeptKey::over(ProcessEnv)?;
    serve_with(&env, note, stop).await
}

async fn serve_with(env: &dyn Env, note: Option<String>, stop: Stop) -> Result<(), Failure> {
    let config = serve::Config::read(env)?;
    let running = serve::start(config, SystemClock::shared(), stop).await?;
    let mut lines = running.greeting().await?;
    lines.extend(note);
    say(&lines.join("\n"))?;
    running.finish().await
}

async fn key_status() -> Result<(), Failure> {
    let mut reader = Reader::new(&ProcessEnv);
    let config = coachbot_vault::Config::read(&mut reader);
    let status = key::status(&reader.finish(config)?).await?;
    say(&status.sentence)?;
    if status.usable { Ok(()) } else { Err("the platform key is not usable".into()) }
}

async fn sandbox(stop: Stop) -> Result<(), Failure> {
    let mut reader = Reader::new(&ProcessEnv);
    let config = coachbot_sandbox::Config::read(&mut reader);
    reader.unknown_names();
    let config = reader.finish(config)?;
    let listener = lifecycle::listen(config.listen, "COACHBOT_SANDBOX_LISTEN").await?;
    say(&format!("Sandbox:      http://{}  (ledger: /_sandbox/ledger)", listener.local_addr()?))?;
    Ok(coachbot_sandbox::run(config, listener, stop).await?)
}

async fn link() -> Result<(), Failure> {
    let mut reader = Reader::new(&ProcessEnv);
    let config = coachbot_gateway::Config::read(&mut reader);
    let config = reader.finish(config)?;
    let link = coachbot_gateway::sign_in_link(&config, SystemClock::shared()).await?;
    Ok(say(link.as_str())?)
}

/// Prints for the person at the terminal: never through the logger, for links and
/// keys must not be kept in logs.
fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}
