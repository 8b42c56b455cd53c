//! Faults on demand.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::providers::{Operation, Provider};
use crate::script::Script;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Answers with an error of the provider's shape; `status`, else 503.
    Status,
    /// Goes on after `milliseconds`.
    Delay,
    /// Closes the connection; nothing was done.
    CutBeforeEffect,
    /// Does it, then closes the connection.
    CutAfterEffect,
    /// Answers that it was too fast.
    RateLimit,
    /// Answers with a page; `status`, else 502.
    Html,
    /// Waits for the release; then does it.
    Hold,
    /// Does it, then waits for the release.
    HoldAfterEffect,
    /// Somebody else has just taken the slot; with `status` 409 the provider says so in its other way.
    SlotTaken,
    /// Lists nothing, as a copy that lags behind.
    Stale,
    /// The model follows `script`.
    Script,
    /// Reports a message's states in the wrong order.
    Reorder,
    /// Reports each state twice.
    Duplicate,
    /// Reports nothing.
    Drop,
}

impl Kind {
    /// Whether it is about what is reported of a message.
    const fn is_of_reports(self) -> bool {
        matches!(self, Self::Reorder | Self::Duplicate | Self::Drop)
    }

    /// Whether it may be laid over the operation.
    const fn suits(self, operation: Operation) -> bool {
        match self {
            Self::Reorder | Self::Duplicate | Self::Drop => {
                matches!(operation, Operation::StatusCallback)
            }
            Self::Hold | Self::Delay => !matches!(operation, Operation::InboundMessage),
            Self::SlotTaken => matches!(operation, Operation::CreateBooking),
            Self::Stale => matches!(operation, Operation::ListMessages | Operation::ListBookings),
            Self::Script => matches!(operation, Operation::CreateResponse),
            Self::Status
            | Self::CutBeforeEffect
            | Self::CutAfterEffect
            | Self::RateLimit
            | Self::Html
            | Self::HoldAfterEffect => {
                !matches!(operation, Operation::StatusCallback | Operation::InboundMessage)
            }
        }
    }
}

/// A fault that waits for its calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// At which provider.
    pub provider: Provider,
    /// At which operation; absent: at each that it suits.
    pub operation: Option<Operation>,
    /// How many calls it meets.
    #[serde(default = "once")]
    pub times: u32,
    /// How many calls pass before.
    #[serde(default)]
    pub skip: u32,
    /// What happens.
    pub kind: Kind,
    /// The status of `status`, `html` and `slot_taken`.
    pub status: Option<u16>,
    /// The length of `delay`.
    pub milliseconds: Option<u64>,
    /// Whether `status`, `html` and `delay` come after the effect.
    #[serde(default)]
    pub after_effect: bool,
    /// What the model does.
    pub script: Option<Script>,
}

const fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that meets one call.
    #[must_use]
    pub const fn once(operation: Operation, provider: Provider, kind: Kind) -> Self {
        Self {
            provider,
            operation: Some(operation),
            times: 1,
            skip: 0,
            kind,
            status: None,
            milliseconds: None,
            after_effect: false,
            script: None,
        }
    }

    /// What keeps it from ever meeting a call, in words for its maker.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        if self.times == 0 {
            return Some("times must be at least 1");
        }
        if self.operation.is_some_and(|operation| operation.provider() != Some(self.provider)) {
            return Some("operation is not one of this provider");
        }
        if self.operation.is_some_and(|operation| !self.kind.suits(operation)) {
            return Some("kind does not suit this operation");
        }
        if !Operation::of(self.provider).any(|operation| self.meets(self.provider, operation)) {
            return Some("kind does not suit this provider");
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Some("status must be between 200 and 599");
        }
        match self.kind {
            Kind::Delay if self.milliseconds.is_none() => Some("delay needs milliseconds"),
            Kind::Script if self.script.is_none() => Some("script needs the name of a script"),
            _ => None,
        }
    }

    fn meets(&self, provider: Provider, operation: Operation) -> bool {
        self.provider == provider
            && self.operation.is_none_or(|own| own == operation)
            // What the provider does by itself is only meant where it is named, or nothing else can be.
            && (operation != Operation::StatusCallback || self.operation.is_some() || self.kind.is_of_reports())
            && self.kind.suits(operation)
    }
}

/// The faults that wait, oldest first.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Adds one.
    pub fn add(&self, fault: Fault) {
        self.all().push(fault);
    }

    /// Takes the fault that meets this call: the oldest one; a call that it lets
    /// pass is counted.
    pub fn take(&self, provider: Provider, operation: Operation) -> Option<Fault> {
        let mut all = self.all();
        let mut index = 0;
        while let Some(fault) = all.get_mut(index) {
            if !fault.meets(provider, operation) {
                index += 1;
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                index += 1;
                continue;
            }
            fault.times -= 1;
            let taken = fault.clone();
            if taken.times == 0 {
                all.remove(index);
            }
            return Some(taken);
        }
        None
    }

    /// Those that still wait.
    #[must_use]
    pub fn list(&self) -> Vec<Fault> {
        self.all().clone()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.all().clear();
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_fault_meets_as_many_calls_as_it_says_after_those_it_lets_pass() {
        let faults = Faults::default();
        faults.add(fault(
            r#"{"provider":"twilio","operation":"send_message","kind":"status","times":2,"skip":1}"#,
        ));
        let send = || faults.take(Provider::Twilio, Operation::SendMessage).is_some();
        assert_eq!([send(), send(), send(), send()], [false, true, true, false]);
    }

    #[test]
    fn a_fault_meets_its_own_operation_only() {
        let faults = Faults::default();
        faults.add(fault(r#"{"provider":"calcom","kind":"hold","operation":"create_booking"}"#));
        faults.add(fault(r#"{"provider":"twilio","kind":"hold"}"#));
        assert!(faults.take(Provider::Calcom, Operation::ListSlots).is_none());
        assert!(faults.take(Provider::Twilio, Operation::StatusCallback).is_none());
        assert!(faults.take(Provider::Twilio, Operation::FetchAccount).is_some());
        assert!(faults.take(Provider::Calcom, Operation::CreateBooking).is_some());
        assert!(faults.list().is_empty());
        faults.add(fault(r#"{"provider":"twilio","kind":"drop"}"#));
        assert!(faults.take(Provider::Twilio, Operation::SendMessage).is_none());
        assert!(faults.take(Provider::Twilio, Operation::StatusCallback).is_some());
    }

    #[test]
    fn a_fault_that_could_meet_nothing_is_refused() {
        for text in [
            r#"{"provider":"twilio","operation":"create_booking","kind":"status"}"#,
            r#"{"provider":"twilio","operation":"send_message","kind":"slot_taken"}"#,
            r#"{"provider":"twilio","operation":"send_message","kind":"reorder"}"#,
            r#"{"provider":"twilio","operation":"send_message","kind":"delay"}"#,
            r#"{"provider":"openai","operation":"create_response","kind":"script"}"#,
            r#"{"provider":"vapi","kind":"stale"}"#,
            r#"{"provider":"vapi","kind":"status","times":0}"#,
            r#"{"provider":"vapi","kind":"status","status":99}"#,
        ] {
            assert!(fault(text).problem().is_some(), "{text}");
        }
        assert!(serde_json::from_str::<Fault>(r#"{"provider":"vapi","kind":"explode"}"#).is_err());
    }
}
