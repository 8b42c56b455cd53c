//! Mutual TLS between our processes.

use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, ClientTlsConfig, Identity as KeyAndCertificate, ServerTlsConfig};
use url::Url;
use zeroize::Zeroizing;

use crate::config::TlsFiles;

/// A certificate file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read", .path.display())]
pub struct TlsError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    std::fs::read(path).map(Zeroizing::new).map_err(|source| TlsError { path: path.to_owned(), source })
}

fn own(files: &TlsFiles) -> Result<KeyAndCertificate, TlsError> {
    Ok(KeyAndCertificate::from_pem(read(&files.cert)?.as_slice(), read(&files.key)?.as_slice()))
}

fn authority(files: &TlsFiles) -> Result<Certificate, TlsError> {
    Ok(Certificate::from_pem(read(&files.ca)?.as_slice()))
}

/// Only peers with a certificate of this deployment get in.
pub(super) fn server(files: &TlsFiles) -> Result<ServerTlsConfig, TlsError> {
    Ok(ServerTlsConfig::new()
        .identity(own(files)?)
        .client_ca_root(authority(files)?)
        .client_auth_optional(false))
}

/// The server is checked by the name in its address.
pub(super) fn client(files: &TlsFiles, url: &Url) -> Result<ClientTlsConfig, TlsError> {
    let config = ClientTlsConfig::new().identity(own(files)?).ca_certificate(authority(files)?);
    Ok(match url.host_str() {
        Some(host) => config.domain_name(host),
        None => config,
    })
}
