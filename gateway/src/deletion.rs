//! Deleting a workspace: marked and hidden at once, then the vault's part, then
//! the agent's, then ours, as often as needed until all are done.

use std::time::Duration;

use coachbot_common::id::WorkspaceId;
use coachbot_common::lifecycle::Stop;
use tracing::{info, warn};

use crate::app::SharedApp;
use crate::error::Error;

/// How soon it is tried again while a workspace is left.
const RETRY: Duration = Duration::from_secs(5);

/// How often it is looked for what another process marked and left.
const IDLE: Duration = Duration::from_secs(60);

/// How many are taken at once.
const BATCH: i64 = 50;

/// Deletes what is marked, from the start of the process to its end.
pub(crate) async fn run(app: SharedApp, stop: Stop) {
    loop {
        let round = async {
            let wait = match sweep(&app).await {
                Ok(()) => IDLE,
                Err(error) => {
                    let error = &error as &(dyn std::error::Error + 'static);
                    warn!(error, "workspaces wait to be deleted");
                    RETRY
                }
            };
            app.deletions.wait(wait).await;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

/// Deletes all that are marked. Each step is safe twice.
async fn sweep(app: &SharedApp) -> Result<(), Error> {
    loop {
        let marked = app.store.marked_for_deletion(BATCH).await?;
        if marked.is_empty() {
            return Ok(());
        }
        let mut failure = None;
        for workspace in marked {
            match delete(app, workspace).await {
                Ok(()) => {}
                // The next would find it away too.
                Err(error @ Error::Away { .. }) => return Err(error),
                // One that fails for itself does not hold up the others.
                Err(error) => failure = Some(error),
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
}

/// The vault's part first: data keys go before anything that could name them. The
/// agent's comes before ours, which is what remembers that it is still to come.
async fn delete(app: &SharedApp, workspace: WorkspaceId) -> Result<(), Error> {
    app.vault.delete_workspace(workspace).await?;
    app.agent.delete_workspace(workspace).await?;
    app.store.forget_workspace(workspace).await?;
    info!(%workspace, "workspace deleted");
    Ok(())
}
