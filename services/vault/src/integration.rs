//! What the vault knows of an integration beside its secrets.

use std::collections::BTreeMap;
use std::fmt;

use coachbot_common::id::WorkspaceId;
use coachbot_integrations::Provider;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whose credentials of which provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Of which provider.
    pub provider: Provider,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.provider)
    }
}

/// What may be shown of stored credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Integration {
    /// Of which provider.
    pub provider: Provider,
    /// Ids in clear, secrets masked.
    pub shown_fields: BTreeMap<String, String>,
    /// Grows with each save and deletion, from 1.
    pub revision: u64,
    /// When they were saved.
    pub updated_at: Timestamp,
    /// False when they must be entered again.
    pub readable: bool,
    /// What the last check of this revision found.
    pub verification: Option<Verification>,
}

/// A finished check, as it is stored in clear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The wire enum's name, such as `VERDICT_OK`.
    pub verdict: String,
    /// The field that the verdict is about.
    pub field: Option<String>,
    /// One line for a person.
    pub message: String,
    /// One line that says where to look.
    pub fix: Option<String>,
    /// When it was made.
    pub checked_at: Timestamp,
    /// The provider calls that were made.
    pub probes: Vec<Probe>,
    /// What still deserves attention.
    pub warnings: Vec<Warning>,
}

/// One HTTP call of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What was asked for.
    pub name: String,
    /// `None` when no HTTP answer came.
    pub http_status: Option<u32>,
    /// How long it took.
    pub milliseconds: u32,
}

/// Something to look at although the check passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable, upper case.
    pub code: String,
    /// One line for a person.
    pub message: String,
}
