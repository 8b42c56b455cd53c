//! Handing on what came in: stored rows go to the agent as often as needed, each
//! lead's in their order.

use std::time::Duration;

use coachbot_common::fault::FaultKind;
use coachbot_common::id::new_id;
use coachbot_common::lifecycle::Stop;
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use tracing::{Instrument as _, error, info, info_span, warn};

use crate::app::{App, SharedApp};
use crate::error::Error;
use crate::forms;
use crate::store::{InboxKind, Lease, Setback, Waiting};
use crate::trace::continue_from;
use crate::wake::pause;
use crate::webhooks::twilio;

/// How often it is looked for rows that became due or were left by another
/// process.
const IDLE: Duration = Duration::from_secs(2);

/// Longest pause while the agent or the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a turn holds its rows: longer than the calls of one turn can take.
const LEASE: SignedDuration = SignedDuration::from_secs(20);

/// How many rows a turn takes, and how many calls are under way at once.
const BATCH: i64 = 32;
const AT_ONCE: usize = 8;

/// Longest time until a row is tried again that fails for itself.
const LONGEST_BACKOFF: SignedDuration = SignedDuration::from_secs(300);

/// How long a row is kept that was handed on, so that a late copy is known.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How often such rows are swept out, and how many with one statement.
const SWEEP: SignedDuration = SignedDuration::from_hours(1);
const SWEPT: i64 = 1_000;

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing is due.
    Empty,
    /// Rows were settled; there may be more.
    Settled,
    /// The agent is away.
    AgentAway,
}

/// Hands on what waits, from the start of the process to its end.
pub(crate) async fn run(app: SharedApp, stop: Stop) {
    if !app.store.is_shared() {
        // Alone on this database: whoever held a row is gone.
        if let Err(error) = app.store.release_all_of_inbox(app.now()).await {
            Error::from(error).log();
        }
    }
    let mut failures = 0;
    let mut sweep_at = Timestamp::MIN;
    loop {
        let lease = Lease::from_uuid(new_id(app.now()));
        let round = async {
            let turn = turn(&app, lease).await;
            if app.now() >= sweep_at {
                sweep(&app).await;
                sweep_at = app.now().saturating_add(SWEEP).unwrap_or(Timestamp::MAX);
            }
            match turn {
                Ok(Turn::Settled) => failures = 0,
                Ok(Turn::Empty) => {
                    failures = 0;
                    app.inbox.wait(IDLE).await;
                }
                Ok(Turn::AgentAway) => {
                    if failures == 0 {
                        warn!("the agent is away: what comes in waits");
                    }
                    failures += 1;
                    pause(pause_after(failures)).await;
                }
                Err(error) => {
                    error.log();
                    failures += 1;
                    pause(pause_after(failures)).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                // The agent takes a row once, however often it is handed on.
                if let Err(error) = app.store.release_inbox(lease, app.now()).await {
                    Error::from(error).log();
                }
                return;
            }
            () = round => {}
        }
    }
}

/// Half a second, then twice as long each time.
fn pause_after(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    Duration::from_millis(500).saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// A second, then twice as long each time.
fn next_try(now: Timestamp, attempts: u32) -> Timestamp {
    let seconds = 1_i64.checked_shl(attempts.saturating_sub(1)).filter(|seconds| *seconds > 0);
    let wait = SignedDuration::from_secs(seconds.unwrap_or(i64::MAX)).min(LONGEST_BACKOFF);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// Takes what is due, hands it on, and writes down what became of it: two
/// commits, however many rows.
async fn turn(app: &App, lease: Lease) -> Result<Turn, Error> {
    let now = app.now();
    if !app.store.inbox_is_due(now).await? {
        return Ok(Turn::Empty);
    }
    let until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
    let rows = app.store.claim_inbox(lease, now, until, BATCH).await?;
    if rows.is_empty() {
        return Ok(Turn::Empty);
    }
    let outcomes: Vec<_> = stream::iter(rows)
        .map(|row| async move {
            let outcome = hand_on(app, &row).await;
            (row, outcome)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut setbacks = Vec::new();
    let mut away = false;
    for (row, outcome) in outcomes {
        let Err(error) = outcome else { continue };
        away |= matches!(error, Error::Away { .. });
        setbacks.push((row.number, setback(app, &row, &error).await?));
    }
    app.store.settle_inbox(lease, &setbacks, app.now()).await?;
    Ok(if away { Turn::AgentAway } else { Turn::Settled })
}

async fn hand_on(app: &App, row: &Waiting) -> Result<(), Error> {
    let span = info_span!(
        "inbox.hand_on",
        workspace = %row.workspace,
        kind = row.kind.slug(),
        number = row.number,
        attempts = row.attempts,
    );
    continue_from(&span, row.traceparent.as_deref());
    let work = async {
        match row.kind {
            InboxKind::TwilioMessage => app.agent.ingest_message(twilio::message(row)?).await,
            InboxKind::TwilioStatus => app.agent.ingest_status(twilio::status(row)?).await,
            InboxKind::FormSubmission => {
                let lead = forms::request_of(row)?;
                app.agent.ingest_lead(lead, Duration::from_secs(3)).await.map(drop)
            }
        }
    };
    work.instrument(span).await
}

/// What is to become of a row that was not taken.
async fn setback(app: &App, row: &Waiting, error: &Error) -> Result<Setback, Error> {
    let now = app.now();
    Ok(match error {
        // Not the row's fault: the pause is for all of them.
        Error::Away { .. } => Setback::Untried,
        Error::NotFound(_) => {
            info!(workspace = %row.workspace, "the agent does not know a workspace yet");
            app.store.tell_facts_again(row.workspace).await?;
            app.facts.wake();
            Setback::Later(next_try(now, row.attempts))
        }
        Error::Invalid(_) | Error::Unreadable => {
            refuse(row, error);
            Setback::Refused
        }
        Error::Peer { refusal, .. } if refusal.kind == FaultKind::Invalid => {
            refuse(row, error);
            Setback::Refused
        }
        error => {
            warn!(error = error.chain(), workspace = %row.workspace, number = row.number, "a row waits to be handed on");
            Setback::Later(next_try(now, row.attempts))
        }
    })
}

fn refuse(row: &Waiting, failure: &Error) {
    error!(
        error = failure.chain(),
        workspace = %row.workspace,
        kind = row.kind.slug(),
        number = row.number,
        "the agent cannot take a row, it is given up"
    );
}

/// Forgets rows that were handed on long ago.
async fn sweep(app: &App) {
    let Ok(before) = app.now().checked_sub(KEPT) else { return };
    loop {
        match app.store.forget_handed_on(before, SWEPT).await {
            Ok(forgotten) if forgotten == SWEPT.unsigned_abs() => {}
            Ok(_) => return,
            Err(error) => return Error::from(error).log(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        assert_eq!(pause_after(1), Duration::from_millis(500));
        assert_eq!(pause_after(3), Duration::from_secs(2));
        assert_eq!(pause_after(1_000), LONGEST_PAUSE);
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(next_try(now, 1), now + SignedDuration::from_secs(1));
        assert_eq!(next_try(now, 4), now + SignedDuration::from_secs(8));
        for many in [10, 63, 64, 65, u32::MAX] {
            assert_eq!(next_try(now, many), now + LONGEST_BACKOFF);
        }
    }
}
