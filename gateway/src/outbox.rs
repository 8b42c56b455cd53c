//! Telling the agent the facts of the workspaces: as often as needed, by version.

use std::time::Duration;

use coachbot_common::id::WorkspaceId;
use coachbot_common::lifecycle::Stop;
use tracing::{debug, warn};

use crate::app::{App, SharedApp};
use crate::error::Error;
use crate::store::Facts;

/// How soon it is tried again while facts are untold.
const RETRY: Duration = Duration::from_secs(2);

/// How often it is looked for what another process changed and did not tell.
const IDLE: Duration = Duration::from_secs(30);

/// How many are taken at once.
const BATCH: i64 = 50;

/// Tells what is untold, from the start of the process to its end.
pub(crate) async fn run(app: SharedApp, stop: Stop) {
    loop {
        let round = async {
            let wait = match tell_all(&app).await {
                Ok(()) => IDLE,
                Err(error) => {
                    warn!(error = error.chain(), "the facts of workspaces wait to be told");
                    RETRY
                }
            };
            app.facts.wait(wait).await;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

async fn tell_all(app: &App) -> Result<(), Error> {
    loop {
        let untold = app.store.untold_facts(BATCH).await?;
        if untold.is_empty() {
            return Ok(());
        }
        let mut failure = None;
        for facts in untold {
            match tell(app, &facts).await {
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

/// Tells the facts of one workspace now, told or not.
pub(crate) async fn tell_now(app: &App, workspace: WorkspaceId) -> Result<(), Error> {
    match app.store.facts_of(workspace).await? {
        Some(facts) => tell(app, &facts).await,
        None => Err(Error::NotFound("workspace")),
    }
}

async fn tell(app: &App, facts: &Facts) -> Result<(), Error> {
    app.agent.put_workspace(facts).await?;
    if !app.store.facts_were_told(facts.workspace, facts.version).await? {
        // Deleted while it was told: the agent may have heard of that first.
        app.agent.delete_workspace(facts.workspace).await?;
    }
    debug!(workspace = %facts.workspace, version = facts.version, "facts told");
    Ok(())
}
