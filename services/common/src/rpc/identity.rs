//! Who calls, and what each may call.

use std::str::FromStr;

use http::Extensions;
use tonic::Status;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A process that calls another, as its certificate names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The vault.
    Vault,
    /// The connector.
    Connector,
    /// The agent.
    Agent,
    /// The gateway.
    Gateway,
    /// Any other internal service: it may ask for Verify only.
    Internal,
}

/// A text that names no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no identity of that name")]
pub struct UnknownIdentity;

impl Identity {
    const ALL: [Self; 5] = [Self::Vault, Self::Connector, Self::Agent, Self::Gateway, Self::Internal];

    /// Its name, also the end of its URI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Connector => "connector",
            Self::Agent => "agent",
            Self::Gateway => "gateway",
            Self::Internal => "internal",
        }
    }

    /// The URI in its certificate, such as `spiffe://coachbot/svc/connector`.
    #[must_use]
    pub fn uri(self) -> String {
        format!("{URI_PREFIX}{}", self.name())
    }

    /// The identity of a certificate: its one URI among the subject's alternative
    /// names. A certificate with none, several, or a foreign one has no identity.
    pub(super) fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let mut uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        let only = uris.next().filter(|_| uris.next().is_none())?;
        only.strip_prefix(URI_PREFIX)?.parse().ok()
    }
}

const URI_PREFIX: &str = "spiffe://coachbot/svc/";

impl FromStr for Identity {
    type Err = UnknownIdentity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|identity| identity.name() == text).ok_or(UnknownIdentity)
    }
}

/// Who made this call, as the stack found out; `None` outside the stack.
#[must_use]
pub fn caller(extensions: &Extensions) -> Option<Identity> {
    extensions.get().copied()
}

/// Which identities may call which method. What is not listed is nobody's.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    rules: &'static [(&'static str, &'static [Identity])],
}

impl Policy {
    /// From a table of paths such as `/coachbot.vault.v1.VaultService/GetStatus`.
    #[must_use]
    pub const fn new(rules: &'static [(&'static str, &'static [Identity])]) -> Self {
        Self { rules }
    }

    /// The table, for tests that walk it.
    #[must_use]
    pub const fn rules(&self) -> &'static [(&'static str, &'static [Identity])] {
        self.rules
    }

    /// Lets the caller pass, or says why not. Health and reflection tell nothing
    /// about anybody and are everyone's.
    pub(super) fn admit(&self, path: &str, caller: Option<Identity>) -> Result<(), Status> {
        if path.starts_with("/grpc.health.v1.Health/") || path.starts_with("/grpc.reflection.") {
            return Ok(());
        }
        let Some(caller) = caller else {
            return Err(Status::unauthenticated(
                "the caller has no identity: use a certificate of this deployment",
            ));
        };
        let allowed = self.rules.iter().find(|(rule, _)| *rule == path).map(|(_, allowed)| *allowed);
        if allowed.is_some_and(|allowed| allowed.contains(&caller)) {
            return Ok(());
        }
        Err(Status::permission_denied(format!("{} may not call this", caller.name())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_closed() {
        const TABLE: Policy = Policy::new(&[("/a.B/Open", &[Identity::Gateway])]);
        assert!(TABLE.admit("/a.B/Open", Some(Identity::Gateway)).is_ok());
        assert!(TABLE.admit("/a.B/Open", Some(Identity::Internal)).is_err());
        assert!(TABLE.admit("/a.B/Open", None).is_err());
        assert!(TABLE.admit("/a.B/Other", Some(Identity::Gateway)).is_err());
        assert!(TABLE.admit("/grpc.health.v1.Health/Check", None).is_ok());
    }

    #[test]
    fn a_certificate_names_one_identity_or_none() {
        let certificate = |uris: &[&str]| {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params
                .subject_alt_names
                .extend(uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())));
            params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
        };
        let of = |uris: &[&str]| Identity::of_certificate(&certificate(uris));
        assert_eq!(of(&["spiffe://coachbot/svc/connector"]), Some(Identity::Connector));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["spiffe://elsewhere/svc/connector"]), None);
        assert_eq!(of(&["spiffe://coachbot/svc/connector", "spiffe://coachbot/svc/vault"]), None);
        assert_eq!(of(&["spiffe://coachbot/svc/nobody"]), None);
        assert_eq!(Identity::of_certificate(b"not a certificate"), None);
    }
}
