//! Live calls: how a request is made, when a read is made again, and what the
//! failures mean that all providers have in common.

use std::future::pending;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use tracing::info;

use super::wait;
use crate::failure::Reason;
use crate::http::{Answer, Cause, Failure, HttpClient, Purpose, Request, Unreadable};

/// Pauses before a read is made again: it is made three times at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// A provider that asks for a longer pause is not asked again here.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What happens at the provider when a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Nothing: it may be made again.
    Read,
    /// Something that must not happen twice: a lost answer leaves it unknown.
    Effect,
    /// Money is spent and nothing else happens: it is not made again here, and a
    /// lost answer is a lost answer.
    Turn,
}

/// A call that failed, as the provider's code sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub reason: Reason,
    pub code: String,
    pub wait: Option<Wait>,
    /// Whether a read is worth making again at once.
    again: bool,
}

/// How long the provider wants to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    For(Duration),
    Until(Timestamp),
}

impl Failed {
    pub(crate) fn new(reason: Reason, code: impl Into<String>) -> Self {
        Self { reason, code: code.into(), wait: None, again: false }
    }

    /// With the provider's own code, or the status.
    pub(super) fn by(reason: Reason, answer: &Answer, code: Option<String>) -> Self {
        Self::new(reason, code.unwrap_or_else(|| answer.status.as_u16().to_string()))
    }

    /// With what the answer's headers say about asking again.
    pub(super) fn waiting(mut self, answer: &Answer) -> Self {
        self.wait = wait::asked_for(answer);
        self
    }

    fn again_if(mut self, worth_it: bool) -> Self {
        self.again = worth_it;
        self
    }

    /// The pause before a read is made again; `None` when it is not.
    fn pause(&self, made: usize) -> Option<Duration> {
        let usual = *PAUSES.get(made).filter(|_| self.again)?;
        match self.wait {
            None => Some(usual),
            Some(Wait::For(wanted)) => (wanted <= LONGEST_PAUSE).then(|| usual.max(wanted)),
            Some(Wait::Until(_)) => None,
        }
    }
}

/// Makes the calls of one request, which all end by one instant.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub http: &'a HttpClient,
    pub purpose: Purpose,
    pub until: Instant,
}

impl Caller<'_> {
    /// Makes a call once, whatever comes.
    pub(super) async fn once<T>(
        &self,
        nature: Nature,
        request: Request,
        judge: impl FnOnce(&Answer) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let left = self.until.duration_since(Instant::now());
        match self.http.send(request.made_for(self.purpose), left).await {
            Ok(answer) => judge(&answer),
            Err(failure) => Err(unanswered(nature, failure)),
        }
    }

    /// Makes a read, and makes it again, at most twice, when the connection was
    /// lost or the provider answered 502, 503 or 504.
    pub(super) async fn read<T>(
        &self,
        request: Request,
        judge: impl Fn(&Answer) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let operation = request.operation().name();
        let mut made = 0;
        loop {
            let failed = match self.once(Nature::Read, request.clone(), &judge).await {
                Ok(found) => return Ok(found),
                Err(failed) => failed,
            };
            let left = self.until.duration_since(Instant::now());
            let Some(pause) = failed.pause(made).filter(|pause| *pause < left) else { return Err(failed) };
            made += 1;
            info!(operation, code = failed.code, made, "a read is made again");
            // Ends with the request: whoever no longer waits drops it.
            let _ = timeout(pause, pending::<()>()).await;
        }
    }
}

/// No answer came at all.
fn unanswered(nature: Nature, failure: Failure) -> Failed {
    let reason = match nature {
        Nature::Effect if failure.may_have_arrived => Reason::UnknownEffect,
        _ => Reason::ProviderAway,
    };
    Failed::new(reason, failure.cause.code()).again_if(failure.cause == Cause::ConnectionLost)
}

/// The rows that are about HTTP alone: the provider's trouble, its limits, no
/// money, and an answer that is not one. `None` for what the provider's page must
/// be asked about: a success, or a refusal that can be read.
pub(super) fn settled(nature: Nature, answer: &Answer, code: Option<String>) -> Option<Failed> {
    let status = answer.status.as_u16();
    match status {
        402 => Some(Failed::by(Reason::NoQuota, answer, code)),
        429 => Some(Failed::by(Reason::RateLimited, answer, code).waiting(answer)),
        408 | 500..=599 => {
            let reason = if nature == Nature::Effect { Reason::UnknownEffect } else { Reason::ProviderAway };
            let passing = matches!(status, 502..=504);
            Some(Failed::by(reason, answer, code).waiting(answer).again_if(passing))
        }
        200..=299 | 400..=499 => match answer.unreadable()? {
            Unreadable::BrokeOff(cause) if nature != Nature::Effect => {
                let lost = cause == Cause::ConnectionLost;
                Some(Failed::new(Reason::ProviderAway, cause.code()).again_if(lost))
            }
            Unreadable::BrokeOff(_) | Unreadable::Encoded | Unreadable::TooLong => {
                Some(unreadable(nature, answer))
            }
        },
        _ => Some(unreadable(nature, answer)),
    }
}

/// An answer that no page knows. A refusal did nothing, whatever it says; behind
/// any other one the effect may have happened.
pub(super) fn unreadable(nature: Nature, answer: &Answer) -> Failed {
    let reason = match nature {
        Nature::Effect if !answer.status.is_client_error() => Reason::UnknownEffect,
        _ => Reason::UnreadableAnswer,
    };
    Failed::by(reason, answer, None)
}

/// A provider's code as it may be told: a word of lower-case letters, digits and
/// underscores. No secret has that form, and no text.
pub(super) fn word(code: &str) -> Option<String> {
    let fits = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
    (!code.is_empty() && code.len() <= 64 && code.bytes().all(fits)).then(|| code.to_owned())
}
