//! Webhooks that came while the vault was locked or away: kept without effect,
//! and judged when it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coachbot_common::id::WorkspaceId;
use coachbot_common::lifecycle::Stop;
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use crate::app::{App, SharedApp};
use crate::error::{Error, Lock};
use crate::store::Bounds;
use crate::wake::Wake;
use crate::webhooks::twilio::{Params, is_genuine};

/// How many unverified rows there may be.
pub(crate) const BOUNDS: Bounds = Bounds { workspace: 500, all: 10_000 };

/// How soon the vault is asked again while it is locked or away, and how often it
/// is looked for what another process kept.
const RETRY: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(10);

/// How long a workspace is left alone whose credentials alone do not open.
const LEFT_ALONE: SignedDuration = SignedDuration::from_secs(15);

/// How many workspaces, and how many of their rows, are taken at once.
const WORKSPACES: i64 = 100;
const ROWS: i64 = 50;

/// The word to the task, which is only worth giving while something is kept.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    wake: Wake,
    occupied: AtomicBool,
}

impl Quarantine {
    /// Says that a request was kept: the first one has the vault asked again soon.
    pub(crate) fn kept(&self) {
        if !self.occupied.swap(true, Ordering::Relaxed) {
            self.wake.wake();
        }
    }

    /// Says that the vault answers.
    pub(crate) fn vault_is_back(&self) {
        if self.occupied.load(Ordering::Relaxed) {
            self.wake.wake();
        }
    }
}

/// Judges what is kept, from the start of the process to its end.
pub(crate) async fn run(app: SharedApp, stop: Stop) {
    let mut waiting = false;
    loop {
        let round = async {
            let wait = match judge_all(&app).await {
                Ok(()) => {
                    waiting = false;
                    IDLE
                }
                Err(error) => {
                    if !waiting {
                        warn!(error = error.chain(), "unverified webhooks wait");
                    }
                    waiting = true;
                    RETRY
                }
            };
            let wait = if app.quarantine.occupied.load(Ordering::Relaxed) { RETRY } else { wait };
            app.quarantine.wake.wait(wait).await;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

async fn judge_all(app: &App) -> Result<(), Error> {
    loop {
        let before = app.quarantine.occupied.swap(false, Ordering::Relaxed);
        let workspaces = app.store.workspaces_in_quarantine(app.now(), WORKSPACES).await;
        match &workspaces {
            Ok(workspaces) if workspaces.is_empty() => return Ok(()),
            Ok(_) => app.quarantine.occupied.store(true, Ordering::Relaxed),
            // Not known, so as before.
            Err(_) => app.quarantine.occupied.store(before, Ordering::Relaxed),
        }
        for workspace in workspaces? {
            match judge(app, workspace).await {
                Ok(()) => {}
                // The next would find it so too.
                Err(
                    error @ (Error::Away { .. }
                    | Error::Store(_)
                    | Error::Locked(Lock::Missing | Lock::Malformed | Lock::Weak)),
                ) => return Err(error),
                Err(error) => {
                    info!(error = error.chain(), %workspace, "the unverified webhooks of a workspace wait");
                    let until = app.now().saturating_add(LEFT_ALONE).unwrap_or(Timestamp::MAX);
                    app.store.postpone_quarantine(workspace, until).await?;
                }
            }
        }
    }
}

/// Judges the rows of one workspace, in their order.
async fn judge(app: &App, workspace: WorkspaceId) -> Result<(), Error> {
    loop {
        let rows = app.store.unverified(workspace, ROWS).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let params = Params::parse(&row.payload);
            if is_genuine(app, workspace, &row.target, &params, &row.signature).await? {
                app.store.release_from_quarantine(workspace, row.number, app.now()).await?;
                app.inbox.wake();
            } else if app.store.discard_unverified(workspace, row.number).await? {
                warn!(
                    monotonic_counter.coachbot_gateway_webhooks_discarded = 1_u64,
                    %workspace,
                    kind = row.kind.slug(),
                    number = row.number,
                    "an unverified webhook is not genuine and was discarded"
                );
            }
        }
    }
}
