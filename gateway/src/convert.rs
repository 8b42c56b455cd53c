//! Wire messages to plain types.

use std::collections::BTreeMap;

use coachbot_common::clock::from_wire;
use coachbot_integrations::Provider;
use coachbot_proto::types::v1 as types;
use coachbot_proto::types::v1::Verdict;
use coachbot_proto::vault::v1 as vault;
use coachbot_proto::vault::v1::KeyState;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::error::{Error, Lock, Peer};

/// What may be shown of one provider's stored credentials.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Integration {
    pub provider: Provider,
    /// Ids in clear, secrets masked.
    pub fields: BTreeMap<String, String>,
    pub revision: u64,
    pub updated_at: Timestamp,
    /// False when the credentials cannot be decrypted.
    pub readable: bool,
    /// `None` until the present revision was checked.
    pub verification: Option<Verification>,
}

/// One finished check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verification {
    pub verdict: Verdict,
    pub field: Option<String>,
    pub message: String,
    pub fix: Option<String>,
    pub checked_at: Timestamp,
    pub probes: Vec<Probe>,
    pub warnings: Vec<Warning>,
}

/// One request that a check made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub name: String,
    /// `None` when no HTTP answer came.
    pub http_status: Option<u32>,
    pub milliseconds: u32,
}

/// Something to look at although the check passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    pub code: String,
    pub message: String,
}

/// A tool token, shown.
pub(crate) struct ToolToken {
    pub token: SecretString,
    pub previous_valid_until: Option<Timestamp>,
}

/// Whether the platform key is usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyStatus {
    pub state: KeyState,
    pub configured_key_id: String,
    pub stored_key_id: String,
    /// Workspaces, as text, whose data key needs a key that is not loaded.
    pub degraded: Vec<String>,
}

impl KeyStatus {
    /// The state's name as the product's design writes it, such as `KEY_MISSING`.
    pub(crate) const fn name(&self) -> &'static str {
        match self.state {
            KeyState::Ok => "OK",
            KeyState::Degraded => "DEGRADED",
            KeyState::Missing => "KEY_MISSING",
            KeyState::Malformed => "KEY_MALFORMED",
            KeyState::Weak => "KEY_WEAK",
            KeyState::Mismatch => "KEY_MISMATCH",
            KeyState::Unspecified => "UNKNOWN",
        }
    }

    /// Why nothing of this workspace opens, if so.
    pub(crate) fn lock(&self, workspace: &str) -> Option<Lock> {
        match self.state {
            KeyState::Ok | KeyState::Unspecified => None,
            KeyState::Degraded => self.degraded.iter().any(|id| id == workspace).then_some(Lock::Mismatch),
            KeyState::Missing => Some(Lock::Missing),
            KeyState::Malformed => Some(Lock::Malformed),
            KeyState::Weak => Some(Lock::Weak),
            KeyState::Mismatch => Some(Lock::Mismatch),
        }
    }
}

const fn vault_answer(field: &'static str) -> Error {
    Error::Answer { peer: Peer::Vault, field }
}

impl TryFrom<vault::GetStatusResponse> for KeyStatus {
    type Error = Error;

    fn try_from(answer: vault::GetStatusResponse) -> Result<Self, Error> {
        let state = answer.state();
        if state == KeyState::Unspecified {
            return Err(vault_answer("state"));
        }
        Ok(Self {
            state,
            configured_key_id: answer.configured_key_id.unwrap_or_default(),
            stored_key_id: answer.stored_key_id.unwrap_or_default(),
            degraded: answer.degraded_workspace_ids,
        })
    }
}

impl TryFrom<vault::Integration> for Integration {
    type Error = Error;

    fn try_from(stored: vault::Integration) -> Result<Self, Error> {
        Ok(Self {
            provider: Provider::try_from(stored.provider).map_err(|_| vault_answer("provider"))?,
            fields: stored.fields,
            revision: stored.revision,
            updated_at: stored.updated_at.as_ref().and_then(from_wire).ok_or(vault_answer("updated_at"))?,
            readable: stored.readable,
            verification: stored.verification.map(Verification::try_from).transpose()?,
        })
    }
}

impl TryFrom<types::Verification> for Verification {
    type Error = Error;

    fn try_from(found: types::Verification) -> Result<Self, Error> {
        let wrong = |field| Error::Answer { peer: Peer::Connector, field };
        let verdict = found.verdict();
        if verdict == Verdict::Unspecified {
            return Err(wrong("verdict"));
        }
        Ok(Self {
            verdict,
            field: found.field,
            message: found.message,
            fix: found.fix,
            checked_at: found.checked_at.as_ref().and_then(from_wire).ok_or(wrong("checked_at"))?,
            probes: found
                .probes
                .into_iter()
                .map(|probe| Probe {
                    name: probe.name,
                    http_status: probe.http_status,
                    milliseconds: probe.milliseconds,
                })
                .collect(),
            warnings: found
                .warnings
                .into_iter()
                .map(|warning| Warning { code: warning.code, message: warning.message })
                .collect(),
        })
    }
}

impl From<vault::RevealToolTokenResponse> for ToolToken {
    fn from(answer: vault::RevealToolTokenResponse) -> Self {
        Self {
            token: answer.token.into(),
            previous_valid_until: answer.previous_valid_until.as_ref().and_then(from_wire),
        }
    }
}

impl From<vault::IssueToolTokenResponse> for ToolToken {
    fn from(answer: vault::IssueToolTokenResponse) -> Self {
        Self {
            token: answer.token.into(),
            previous_valid_until: answer.previous_valid_until.as_ref().and_then(from_wire),
        }
    }
}

/// The verdict as programs read it: `OK`, `KEY_REJECTED`, …
pub(crate) fn verdict_name(verdict: Verdict) -> &'static str {
    let name = verdict.as_str_name();
    name.strip_prefix("VERDICT_").unwrap_or(name)
}
