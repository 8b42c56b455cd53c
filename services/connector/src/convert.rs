//! Wire types to the connector's own, and back.

pub(crate) mod calendar;
pub(crate) mod messaging;
pub(crate) mod model;
mod problems;

use coachbot_common::clock::{milliseconds, to_wire};
use coachbot_common::id::WorkspaceId;
use coachbot_integrations::Provider;
use coachbot_proto::types::v1 as wire;
use jiff::Timestamp;

use crate::error::Error;
use crate::verify::{Check, Finding, Probe, messages};

/// Which integration a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Of which provider.
    pub provider: Provider,
}

impl Subject {
    /// Reads the two fields that both requests begin with.
    pub(crate) fn new(workspace_id: &str, provider: i32) -> Result<Self, Error> {
        Ok(Self { workspace: WorkspaceId::parse(workspace_id)?, provider: provider.try_into()? })
    }
}

/// Puts a finished check into words.
pub(crate) fn verification(provider: Provider, check: &Check, checked_at: Timestamp) -> wire::Verification {
    let finding = &check.finding;
    let warnings = match finding {
        Finding::Accepted(cautions) => cautions
            .iter()
            .map(|caution| wire::Warning {
                code: messages::caution_code(caution).to_owned(),
                message: messages::caution_message(caution),
            })
            .collect(),
        _ => Vec::new(),
    };
    wire::Verification {
        verdict: messages::verdict(finding).into(),
        field: messages::field(provider, finding).map(str::to_owned),
        message: messages::message(provider, finding),
        fix: messages::fix(provider, finding),
        checked_at: Some(to_wire(checked_at)),
        probes: check.probes.iter().map(wire::Probe::from).collect(),
        warnings,
    }
}

impl From<&Probe> for wire::Probe {
    fn from(probe: &Probe) -> Self {
        Self {
            name: probe.name.to_owned(),
            http_status: probe.status.map(u32::from),
            milliseconds: milliseconds(probe.elapsed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_lower_case_id_and_one_of_four_providers() {
        let id = "01937a3e-6f00-7000-8000-00000000000a";
        let subject = Subject::new(id, wire::Provider::Calcom.into()).unwrap();
        assert_eq!((subject.workspace.to_string().as_str(), subject.provider), (id, Provider::Calcom));
        assert!(matches!(Subject::new(&id.to_uppercase(), 1), Err(Error::WorkspaceId(_))));
        assert!(matches!(Subject::new("", 1), Err(Error::WorkspaceId(_))));
        for number in [0, 5, -1] {
            assert!(matches!(Subject::new(id, number), Err(Error::Provider(_))));
        }
    }
}
