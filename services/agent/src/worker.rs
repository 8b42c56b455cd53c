//! Takes due work and sees it through.

use std::sync::Arc;
use std::time::Duration;

use coachbot_common::lifecycle::{Stop, Tasks};
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span, debug, field, info_span, warn};

use crate::agent::{Agent, continue_trace};
use crate::conversation::RunId;
use crate::effects;
use crate::intent::{Intent, Purpose, State};
use crate::store::{Begun, Run, Settled, StoreError};

/// So many runs and effects are under way at once.
const AT_ONCE: usize = 32;

/// The longest pause between two looks: other replicas wake nobody here.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);

/// A piece of due work, claimed.
enum Work {
    Run(Run),
    Effect(Box<Intent>),
}

impl Agent {
    /// Starts the workers. Where no other process writes to the same tables, work
    /// that a killed process left is taken up at once.
    pub(crate) fn start(self: &Arc<Self>, tasks: &Tasks) {
        let (agent, spawner) = (Arc::clone(self), tasks.clone());
        tasks.spawn("agent worker", async move {
            let stop = spawner.stop().clone();
            agent.work(&spawner, &stop).await;
        });
    }

    async fn work(self: Arc<Self>, tasks: &Tasks, stop: &Stop) {
        if !self.store.is_shared()
            && let Err(error) = self.store.end_leases(self.now()).await
        {
            warn!(%error, "leases could not be ended, they end by themselves");
        }
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        while !stop.is_cancelled() {
            let free = permits.available_permits();
            match self.claim(free).await {
                Ok(found) => {
                    for work in found {
                        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                        let agent = Arc::clone(&self);
                        tasks.spawn("agent work", async move {
                            agent.see_through(work).await;
                            drop(permit);
                            // Something may follow from it: the next part, or a parked run.
                            agent.wake.notify_one();
                        });
                    }
                }
                Err(error) => warn!(%error, "due work could not be claimed"),
            }
            // With no hand free there is nothing to look for: whoever ends wakes us.
            let sleep = if permits.available_permits() == 0 { LONGEST_SLEEP } else { self.until_due().await };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tokio::time::timeout(sleep, self.wake.notified()) => {}
            }
        }
    }

    async fn until_due(&self) -> Duration {
        match self.store.next_due().await {
            Ok(Some(due)) => {
                let wait = self.now().duration_until(due);
                let floor = Duration::from_millis(5);
                Duration::try_from(wait).unwrap_or_default().clamp(floor, LONGEST_SLEEP)
            }
            Ok(None) => LONGEST_SLEEP,
            Err(_) => LONGEST_SLEEP,
        }
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Work>, StoreError> {
        let (now, lease) = (self.now(), self.lease());
        let effects = self.store.claim_intents(now, lease, limit).await?;
        let left = limit.saturating_sub(effects.len());
        let runs = self.store.claim_runs(now, lease, left).await?;
        Ok(effects
            .into_iter()
            .map(|intent| Work::Effect(Box::new(intent)))
            .chain(runs.into_iter().map(Work::Run))
            .collect())
    }

    /// Does everything that is due by the clock, and what becomes due by it.
    ///
    /// # Errors
    /// When due work cannot be claimed.
    pub async fn drain(&self) -> Result<(), StoreError> {
        loop {
            let found = self.claim(AT_ONCE).await?;
            if found.is_empty() {
                return Ok(());
            }
            for work in found {
                self.see_through(work).await;
            }
        }
    }

    async fn see_through(&self, work: Work) {
        let outcome = match work {
            Work::Run(run) => {
                let span = span("agent.turn", &run.workspace, Some(run.id), run.traceparent.as_deref());
                self.answer(run).instrument(span).await
            }
            Work::Effect(intent) => {
                let traceparent = intent.traceparent.clone();
                let span = span("agent.effect", &intent.workspace, intent.run, traceparent.as_deref());
                self.settle(intent).instrument(span).await
            }
        };
        match outcome {
            Ok(()) => {}
            Err(StoreError::Overtaken) => debug!("the work is somebody else's by now"),
            // It is taken up again when the lease is over.
            Err(error) => warn!(%error, "work was interrupted"),
        }
    }

    /// Sees a claimed effect through: tries it, or looks for what became of it.
    async fn settle(&self, intent: Box<Intent>) -> Result<(), StoreError> {
        match intent.state {
            State::Planned => match self.store.begin_intent(&intent, self.now(), self.lease()).await? {
                Begun::Go(intent) => self.perform(&intent).await,
                Begun::Dropped => {
                    debug!(intent = %intent.id, "an effect is wanted no more");
                    Ok(())
                }
            },
            // In `sending` with its lease over: whoever asked is gone, and so is the answer.
            _ => self.find(&intent).await,
        }
    }

    /// Asks the provider for an effect whose row says `sending`, once.
    pub(crate) async fn perform(&self, intent: &Intent) -> Result<(), StoreError> {
        if let Some(settled) = self.ask(intent).await {
            self.store.settle_intent(intent, &settled, self.now()).await?;
        }
        Ok(())
    }

    /// As [`Agent::perform`], without storing what became of it. `None`: the
    /// claim was lost meanwhile.
    pub(crate) async fn ask(&self, intent: &Intent) -> Option<Settled> {
        let now = || self.now();
        let renew = || self.store.renew_intent(intent, self.lease());
        match intent.purpose {
            Purpose::Booking => self.while_renewing(effects::book(&self.connector, intent, now), renew).await,
            _ => {
                let sending = effects::send(&self.connector, &self.public_url, intent, now);
                self.while_renewing(sending, renew).await
            }
        }
    }

    async fn find(&self, intent: &Intent) -> Result<(), StoreError> {
        let now = || self.now();
        let renew = || self.store.renew_intent(intent, self.lease());
        let settled = if intent.purpose == Purpose::Booking {
            self.while_renewing(effects::find_booking(&self.connector, intent, now), renew).await
        } else {
            let known = self.store.known_provider_ids(intent.workspace, intent.lead).await?;
            let finding = effects::find_message(&self.connector, intent, &known, now);
            self.while_renewing(finding, renew).await
        };
        if let Some(settled) = settled {
            self.store.settle_intent(intent, &settled, self.now()).await?;
        }
        Ok(())
    }
}

fn span(
    name: &'static str,
    workspace: &coachbot_common::id::WorkspaceId,
    run: Option<RunId>,
    traceparent: Option<&str>,
) -> Span {
    let span = info_span!("agent.work", otel.name = name, workspace.id = %workspace, run.id = field::Empty);
    if let Some(run) = run {
        span.record("run.id", field::display(run));
    }
    continue_trace(&span, traceparent);
    span
}
