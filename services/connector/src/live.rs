//! Live calls from beginning to end: lease, ask the provider, tell what became of
//! it. Nothing is kept.

use std::future::Future;
use std::time::Duration;

use coachbot_common::clock::SharedClock;
use coachbot_common::id::WorkspaceId;
use coachbot_common::lifecycle::Tasks;
use coachbot_common::rpc::Transport;
use coachbot_integrations::Provider;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Instrument as _, error, warn};

use crate::convert::Subject;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::failure::{CallFailure, Reason};
use crate::http::Purpose;
use crate::providers::{Failed, Providers, Stored, Wait};
use crate::vault::{Leased, NoLease, Vault};
use crate::verify::Sealed;

/// Kept back of the caller's deadline, so that it hears the reason and not only
/// that time is over.
const RESERVE: Duration = Duration::from_millis(250);

/// An effect with less time than this before it is not begun: it would most
/// likely end unknown.
const SHORTEST_EFFECT: Duration = Duration::from_millis(500);

/// Makes live calls.
#[derive(Clone)]
pub struct Live {
    providers: Providers,
    vault: Vault,
    clock: SharedClock,
    tasks: Tasks,
}

impl Live {
    /// Takes the providers, the vault, the clock, and where effects run.
    #[must_use]
    pub fn new(providers: Providers, vault: Transport, clock: SharedClock, tasks: Tasks) -> Self {
        Self { providers, vault: Vault::new(vault), clock, tasks }
    }

    /// The providers, for one call.
    pub(crate) const fn providers(&self) -> &Providers {
        &self.providers
    }

    /// Gets the credentials for one request. Until they are here nothing was
    /// sent, and the failures say so.
    pub(crate) async fn lease<S: Stored>(
        &self,
        workspace: WorkspaceId,
        deadline: Deadline,
    ) -> Result<S, Error> {
        let provider = S::PROVIDER;
        let failed = |reason, code: &str| {
            Err(Error::Call(CallFailure { provider, reason, code: code.to_owned(), retry_at: None }))
        };
        let fields = match self.vault.lease(Subject { workspace, provider }, deadline).await {
            Ok(Ok(Leased { fields, revision: _ })) => fields,
            Ok(Err(NoLease::NotConnected)) => return failed(Reason::NotConnected, "NOT_CONNECTED"),
            Ok(Err(NoLease::Sealed(sealed))) => return failed(Reason::CannotDecrypt, why(sealed)),
            Err(Error::VaultAway(refusal)) => {
                warn!(error = %refusal, "the vault does not answer");
                return failed(Reason::ProviderAway, "vault");
            }
            Err(other) => return Err(other),
        };
        S::read(&fields).or_else(|incomplete| {
            error!(%provider, field = incomplete.field, "stored credentials are not usable");
            failed(Reason::CannotDecrypt, why(Sealed::Damaged))
        })
    }

    /// When the calls of a read must have ended.
    pub(crate) fn until(&self, purpose: Purpose, deadline: Deadline) -> Instant {
        let longest = self.providers.limits().total_of(purpose);
        let left = deadline.left().map_or(longest, |left| {
            // With less than that in all, the stack's own answer comes first.
            if left > RESERVE { left - RESERVE } else { left }
        });
        Instant::now() + left.min(longest)
    }

    /// When an effect must have ended, unless there is too little time to begin.
    pub(crate) fn until_effect(
        &self,
        provider: Provider,
        purpose: Purpose,
        deadline: Deadline,
    ) -> Result<Instant, Error> {
        if deadline.left().is_some_and(|left| left < SHORTEST_EFFECT) {
            let code = "deadline".to_owned();
            let reason = Reason::ProviderAway;
            return Err(Error::Call(CallFailure { provider, reason, code, retry_at: None }));
        }
        Ok(self.until(purpose, deadline))
    }

    /// Runs an effect in a task of its own, in the current span: a caller that
    /// leaves does not cut the call half-way.
    pub(crate) async fn effect<T: Send + 'static>(
        &self,
        provider: Provider,
        work: impl Future<Output = Result<T, Failed>> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        let task = async move {
            if let Err(outcome) = sender.send(work.await) {
                let outcome = outcome.map_or_else(|failed| failed.reason.name(), |_| "DONE");
                warn!(%provider, outcome, "the caller left before the provider had answered");
            }
        };
        self.tasks.spawn("connector.effect", task.in_current_span());
        match receiver.await {
            Ok(outcome) => self.told(provider, outcome),
            // The task died, and the process is about to.
            Err(_) => self.told(provider, Err(Failed::new(Reason::UnknownEffect, "task"))),
        }
    }

    /// Puts a provider's failure into the contract's form.
    pub(crate) fn told<T>(&self, provider: Provider, outcome: Result<T, Failed>) -> Result<T, Error> {
        outcome.map_err(|Failed { reason, code, wait, .. }| {
            let retry_at = wait.and_then(|wait| match wait {
                Wait::For(length) => self.clock.now().checked_add(length).ok(),
                Wait::Until(at) => Some(at),
            });
            Error::Call(CallFailure { provider, reason, code, retry_at })
        })
    }
}

/// The code beside `CANNOT_DECRYPT`: the vault's own word.
const fn why(sealed: Sealed) -> &'static str {
    match sealed {
        Sealed::KeyMissing => "KEY_MISSING",
        Sealed::KeyMalformed => "KEY_MALFORMED",
        Sealed::KeyWeak => "KEY_WEAK",
        Sealed::KeyMismatch => "KEY_MISMATCH",
        Sealed::Damaged => "CANNOT_DECRYPT",
    }
}
