use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use tempfile::TempDir;

use crate::config::TlsFiles;
use crate::rpc::Identity;

/// A certificate authority of one test, with a certificate per identity, as
/// files that are gone at the end.
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// When the files cannot be written.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is another authority")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { folder, issuer }
    }

    /// Makes a certificate for `localhost` with the identity's URI.
    ///
    /// # Panics
    /// When the files cannot be written.
    #[must_use]
    pub fn files(&self, identity: Identity) -> TlsFiles {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a host name");
        let uri = identity.uri().try_into().expect("a URI is ASCII");
        params.subject_alt_names.push(SanType::URI(uri));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let path = |end: &str| self.folder.path().join(format!("{}.{end}", identity.name()));
        std::fs::write(path("pem"), certificate.pem()).expect("a file");
        std::fs::write(path("key"), key.serialize_pem()).expect("a file");
        TlsFiles { cert: path("pem"), key: path("key"), ca: self.folder.path().join("ca.pem") }
    }
}
