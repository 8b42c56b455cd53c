//! Start to ready, idle memory, size of the binary.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::sample::Sample;

const STARTS: usize = 20;

/// Measures the `coachbot` beside this program.
pub(crate) async fn run() -> Result<()> {
    let binary = std::env::current_exe()?.with_file_name("coachbot");
    if !binary.exists() {
        println!("\nNo coachbot beside this program: `cargo build` it with the same profile first.");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    println!("\nThe process ({}), SQLite, migrated, {STARTS} starts", profile(&binary));
    // The first start makes the tables.
    end(start(&binary, folder.path()).await?.0).await?;
    let mut last = None;
    let starts = Sample::of("start to ready (goal 60,000 us)", STARTS, async |_| {
        if let Some(child) = last.take() {
            end(child).await?;
        }
        let (child, _) = start(&binary, folder.path()).await?;
        last = Some(child);
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    starts.print();
    if let Some(child) = last {
        let memory = resident(&child)?;
        println!("  {:<44} {memory:>13.1} MiB (goal 25)", "idle memory (VmRSS)");
        end(child).await?;
    }
    let size = std::fs::metadata(&binary)?.len();
    #[expect(clippy::cast_precision_loss, reason = "megabytes for a person")]
    let megabytes = size as f64 / 1e6;
    println!("  {:<44} {megabytes:>13.1} MB (goal 20, stripped)", "size of the binary");
    Ok(())
}

fn profile(binary: &Path) -> String {
    binary.parent().and_then(Path::file_name).map(PathBuf::from).unwrap_or_default().display().to_string()
}

/// Starts it and waits for a 200 of `/readyz`.
async fn start(binary: &Path, folder: &Path) -> Result<(Child, Duration)> {
    let begin = Instant::now();
    let mut child = Command::new(binary)
        .arg("serve")
        .env_clear()
        .env("COACHBOT_DATA_DIR", folder)
        .env("COACHBOT_LISTEN", "127.0.0.1:0")
        .env("COACHBOT_CONNECTOR_LISTEN", "")
        .env(
            "INTEGRATIONS_ENCRYPTION_KEY",
            "c14f02afbd050f8e2f1dac88b3fce28ae5c3071c5ca93543efdb992e3b955ee3",
        )
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(link) = line.strip_prefix("Dashboard:") {
            let base = link.trim().split("/sign-in/").next().unwrap_or_default().to_owned();
            let answer =
                reqwest::Client::builder().no_proxy().build()?.get(format!("{base}/readyz")).send().await?;
            anyhow::ensure!(answer.status().is_success(), "not ready: {}", answer.status());
            return Ok((child, begin.elapsed()));
        }
    }
    anyhow::bail!("coachbot ended before it was ready")
}

async fn end(mut child: Child) -> Result<()> {
    child.kill().await?;
    Ok(())
}

fn resident(child: &Child) -> Result<f64> {
    let id = child.id().context("a running process")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}
