//! A check from beginning to end: lease, ask the provider, put into words, have
//! it recorded.

mod finding;
pub mod messages;

use std::time::Duration;

use coachbot_common::clock::SharedClock;
use coachbot_common::rpc::Transport;
use coachbot_integrations::{FieldProblem, Fields, merge};
use coachbot_proto::types::v1::Verification;
use jiff::tz::TimeZone;
use tracing::{error, info};

pub use finding::{Caution, Check, Finding, Missing, Probe, Sealed, Unexpected};

use crate::convert::{Subject, verification};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::providers::{Credentials, Providers};
use crate::vault::{Leased, NoLease, Vault};

/// Longest time for all provider calls of one check together. Vapi's check makes
/// two, and a person waits for the pill.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Kept back of the caller's deadline, to have the result recorded and to answer.
const RESERVE: Duration = Duration::from_millis(500);

/// A provider that was given less than this was not given a chance: then the
/// deadline is the caller's fault, and no verdict is made of it.
const SHORTEST_CHANCE: Duration = Duration::from_secs(1);

/// Checks credentials.
#[derive(Clone)]
pub struct Verifier {
    providers: Providers,
    vault: Vault,
    clock: SharedClock,
}

impl Verifier {
    /// Takes the providers, the vault and the clock.
    #[must_use]
    pub fn new(providers: Providers, vault: Transport, clock: SharedClock) -> Self {
        Self { providers, vault: Vault::new(vault), clock }
    }

    /// Checks what is stored and has the result recorded beside it.
    pub(crate) async fn stored(&self, subject: Subject, deadline: Deadline) -> Result<Verification, Error> {
        let Leased { fields, revision } = match self.vault.lease(subject, deadline).await? {
            Ok(leased) => leased,
            Err(refused) => return Ok(self.finish(subject, &Check::without_calls(refused.into()))),
        };
        let check = match Credentials::new(subject.provider, &fields) {
            Ok(credentials) => {
                drop(fields);
                self.ask(&credentials, deadline).await?
            }
            Err(incomplete) => {
                error!(provider = %subject.provider, field = incomplete.field, "stored credentials are not usable");
                Check::without_calls(Finding::CannotDecrypt(Sealed::Damaged))
            }
        };
        let found = self.finish(subject, &check);
        if !check.probes.is_empty() {
            self.vault.record(subject, revision, found.clone(), deadline).await;
        }
        Ok(found)
    }

    /// Checks fields that are not saved yet, laid over those that are. Nothing is
    /// recorded.
    pub(crate) async fn draft(
        &self,
        subject: Subject,
        draft: &Fields,
        deadline: Deadline,
    ) -> Result<Verification, Error> {
        let stored = match self.vault.lease(subject, deadline).await? {
            Ok(leased) => Some(leased.fields),
            // Entered again as a whole, they would be saved over the damaged ones.
            Err(NoLease::NotConnected | NoLease::Sealed(Sealed::Damaged)) => None,
            // A locked vault could not save them either.
            Err(refused) => return Ok(self.finish(subject, &Check::without_calls(refused.into()))),
        };
        let merged = merge(subject.provider, stored.as_ref(), draft).map_err(Error::Draft)?;
        drop(stored);
        let credentials = Credentials::new(subject.provider, &merged).map_err(|incomplete| {
            Error::Draft(vec![FieldProblem {
                field: incomplete.field.to_owned(),
                message: incomplete.to_string(),
            }])
        })?;
        drop(merged);
        let check = self.ask(&credentials, deadline).await?;
        Ok(self.finish(subject, &check))
    }

    /// Asks the provider, in time for the caller's deadline.
    async fn ask(&self, credentials: &Credentials, deadline: Deadline) -> Result<Check, Error> {
        let left = deadline.left();
        let in_time = left.map_or(CHECK_TIMEOUT, |left| left.saturating_sub(RESERVE));
        let has_a_chance = in_time >= SHORTEST_CHANCE;
        let within = if has_a_chance { in_time.min(CHECK_TIMEOUT) } else { left.unwrap_or(CHECK_TIMEOUT) };
        let today = TimeZone::UTC.to_datetime(self.clock.now()).date();
        let check = self.providers.check(credentials, within, today).await;
        let cut_short = check.finding == Finding::Unreachable(crate::http::Cause::Timeout) && !has_a_chance;
        if cut_short { Err(Error::Deadline) } else { Ok(check) }
    }

    fn finish(&self, subject: Subject, check: &Check) -> Verification {
        let found = verification(subject.provider, check, self.clock.now());
        info!(
            workspace.id = %subject.workspace,
            provider = %subject.provider,
            verdict = found.verdict().as_str_name(),
            probes = found.probes.len(),
            "credentials checked",
        );
        found
    }
}
