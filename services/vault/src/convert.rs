//! Wire types to the vault's own, and back.

use coachbot_common::clock::{from_wire as time_from_wire, to_wire as time_to_wire};
use coachbot_common::id::WorkspaceId;
use coachbot_integrations::to_wire;
use coachbot_proto::types::v1 as types;
use coachbot_proto::vault::v1 as wire;

use crate::error::Error;
use crate::integration::{Integration, Probe, Subject, Verification, Warning};
use crate::mac::Algorithm;
use crate::platform::Lock;
use crate::vault::{Leased, MacCheck, MacMatch, Status};

/// How many byte strings one MAC is compared with at most.
const CANDIDATES: usize = 4;

/// How long they may be together.
pub(crate) const CANDIDATE_BYTES: usize = 4 * 1024 * 1024;

/// How many fields one save may name: every provider has fewer.
const FIELDS: usize = 32;

/// Longest text of a verification, in bytes, and the most probes or warnings.
const VERIFICATION_TEXT_BYTES: usize = 2048;
const VERIFICATION_PARTS: usize = 32;

pub(crate) fn workspace(id: &str) -> Result<WorkspaceId, Error> {
    Ok(WorkspaceId::parse(id)?)
}

pub(crate) fn subject(workspace_id: &str, provider: i32) -> Result<Subject, Error> {
    Ok(Subject { workspace: workspace(workspace_id)?, provider: provider.try_into()? })
}

/// Bounds a save before it is looked at.
pub(crate) const fn few_fields(count: usize) -> Result<(), Error> {
    if count > FIELDS {
        return Err(Error::Request { field: "fields", problem: "must not be more than 32" });
    }
    Ok(())
}

pub(crate) fn mac_check(request: wire::VerifyMacRequest) -> Result<MacCheck, Error> {
    let algorithm = match request.algorithm() {
        wire::MacAlgorithm::Unspecified => {
            return Err(Error::Request {
                field: "algorithm",
                problem: "must be MAC_ALGORITHM_HMAC_SHA1 or MAC_ALGORITHM_HMAC_SHA256",
            });
        }
        wire::MacAlgorithm::HmacSha1 => Algorithm::HmacSha1,
        wire::MacAlgorithm::HmacSha256 => Algorithm::HmacSha256,
    };
    if request.candidates.is_empty() || request.candidates.len() > CANDIDATES {
        return Err(Error::Request { field: "candidates", problem: "must be 1 to 4" });
    }
    if request.candidates.iter().map(Vec::len).sum::<usize>() > CANDIDATE_BYTES {
        return Err(Error::Request { field: "candidates", problem: "must have at most 4 MiB together" });
    }
    Ok(MacCheck { field: request.field, algorithm, candidates: request.candidates, mac: request.mac })
}

pub(crate) fn verification(found: Option<types::Verification>) -> Result<Verification, Error> {
    let wrong = |problem| Error::Request { field: "verification", problem };
    let found = found.ok_or_else(|| wrong("is missing"))?;
    if found.verdict() == types::Verdict::Unspecified {
        return Err(wrong("must have a verdict"));
    }
    if found.probes.len() > VERIFICATION_PARTS || found.warnings.len() > VERIFICATION_PARTS {
        return Err(wrong("must have at most 32 probes and 32 warnings"));
    }
    let verdict = found.verdict().as_str_name().to_owned();
    let checked_at = found.checked_at.as_ref().and_then(time_from_wire);
    let verification = Verification {
        verdict,
        field: found.field,
        message: found.message,
        fix: found.fix,
        checked_at: checked_at.ok_or_else(|| wrong("must have a checked_at"))?,
        probes: found.probes.into_iter().map(Probe::from).collect(),
        warnings: found.warnings.into_iter().map(Warning::from).collect(),
    };
    let texts = [Some(&verification.message), verification.field.as_ref(), verification.fix.as_ref()];
    let parts = verification
        .probes
        .iter()
        .map(|probe| &probe.name)
        .chain(verification.warnings.iter().flat_map(|warning| [&warning.code, &warning.message]));
    if texts.into_iter().flatten().chain(parts).any(|text| text.len() > VERIFICATION_TEXT_BYTES) {
        return Err(wrong("must have texts of at most 2048 bytes"));
    }
    Ok(verification)
}

impl From<types::Probe> for Probe {
    fn from(probe: types::Probe) -> Self {
        Self { name: probe.name, http_status: probe.http_status, milliseconds: probe.milliseconds }
    }
}

impl From<Probe> for types::Probe {
    fn from(probe: Probe) -> Self {
        Self { name: probe.name, http_status: probe.http_status, milliseconds: probe.milliseconds }
    }
}

impl From<types::Warning> for Warning {
    fn from(warning: types::Warning) -> Self {
        Self { code: warning.code, message: warning.message }
    }
}

impl From<Warning> for types::Warning {
    fn from(warning: Warning) -> Self {
        Self { code: warning.code, message: warning.message }
    }
}

impl From<Verification> for types::Verification {
    fn from(found: Verification) -> Self {
        let verdict = types::Verdict::from_str_name(&found.verdict).unwrap_or_default();
        Self {
            verdict: verdict.into(),
            field: found.field,
            message: found.message,
            fix: found.fix,
            checked_at: Some(time_to_wire(found.checked_at)),
            probes: found.probes.into_iter().map(types::Probe::from).collect(),
            warnings: found.warnings.into_iter().map(types::Warning::from).collect(),
        }
    }
}

impl From<Integration> for wire::Integration {
    fn from(integration: Integration) -> Self {
        Self {
            provider: types::Provider::from(integration.provider).into(),
            fields: integration.shown_fields,
            revision: integration.revision,
            updated_at: Some(time_to_wire(integration.updated_at)),
            readable: integration.readable,
            verification: integration.verification.map(types::Verification::from),
        }
    }
}

impl From<Leased> for wire::LeaseCredentialsResponse {
    fn from(leased: Leased) -> Self {
        Self { fields: to_wire(&leased.fields), revision: leased.revision }
    }
}

impl From<MacMatch> for wire::VerifyMacResponse {
    fn from(matched: MacMatch) -> Self {
        Self { matched_candidate: u32::try_from(matched.candidate).ok(), clear_fields: matched.clear_fields }
    }
}

impl From<Status> for wire::GetStatusResponse {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok { key_id, degraded } => {
                let state = if degraded.is_empty() { wire::KeyState::Ok } else { wire::KeyState::Degraded };
                Self {
                    state: state.into(),
                    configured_key_id: Some(key_id.to_string()),
                    stored_key_id: Some(key_id.to_string()),
                    degraded_workspace_ids: degraded.iter().map(ToString::to_string).collect(),
                }
            }
            Status::Locked(lock) => Self {
                state: state_of(lock).into(),
                configured_key_id: lock.configured().map(|id| id.to_string()),
                stored_key_id: lock.stored().map(|id| id.to_string()),
                degraded_workspace_ids: Vec::new(),
            },
        }
    }
}

const fn state_of(lock: Lock) -> wire::KeyState {
    match lock {
        Lock::Missing { .. } => wire::KeyState::Missing,
        Lock::Malformed { .. } => wire::KeyState::Malformed,
        Lock::Weak { .. } => wire::KeyState::Weak,
        Lock::Mismatch { .. } => wire::KeyState::Mismatch,
    }
}
