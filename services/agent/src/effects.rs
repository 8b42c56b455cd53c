//! Effects outside: asked for once, and looked for when the answer is lost.

mod booking;
mod message;
mod refusals;

use jiff::{SignedDuration, Timestamp};

pub use booking::{book, find_booking};
pub use message::{find_message, send};
pub use refusals::{failure_words, status_of};

use crate::connector::Failure;
use crate::intent::Intent;

/// How long after a lost answer evidence is first looked for: what was done just
/// now may not be listed yet.
pub const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(5);

/// How long absence must last to be believed.
pub const SECOND_LOOK: SignedDuration = SignedDuration::from_secs(10);

/// How far two clocks may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(120);

/// The longest pause between two tries: what comes back is asked within a minute.
const LONGEST_PAUSE: i64 = 60;

/// When to try again, after so many tries.
#[must_use]
pub fn pause(tries: i64, retry_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let exponent = u32::try_from(tries.clamp(0, 6)).unwrap_or(6);
    let seconds = 2_i64.saturating_pow(exponent).min(LONGEST_PAUSE);
    let later = now + SignedDuration::from_secs(seconds);
    // A provider may say when; it cannot put off for ever.
    let told = retry_at.map(|at| at.min(now + SignedDuration::from_mins(5)));
    told.map_or(later, |at| at.max(later))
}

/// When to look for evidence again after it could not be read: never later than
/// in a minute, so that what is unknown is settled soon after the provider is back.
fn look_again(failure: &Failure, now: Timestamp) -> Timestamp {
    pause(3, failure.retry_at, now).min(now + SignedDuration::from_secs(LONGEST_PAUSE))
}

/// From when on evidence of an intent may be dated.
fn evidence_from(intent: &Intent, now: Timestamp) -> Timestamp {
    intent.sending_at.unwrap_or(now) - SKEW
}
