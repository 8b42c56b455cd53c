//! Everything that the providers remember.

use serde::{Deserialize, Serialize};

use crate::calcom::Diary;
use crate::ledger::Ledger;
use crate::twilio::Chat;

/// The state of all providers, and what happened.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    /// Twilio's messages.
    pub chat: Chat,
    /// Cal.com's bookings.
    pub diary: Diary,
    /// What happened.
    pub ledger: Ledger,
}
