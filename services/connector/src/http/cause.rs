//! Why no answer came: a closed list, told apart by types, never by text.
//!
//! | cause | told by |
//! | --- | --- |
//! | `Timeout` | our own timer, the HTTP library's, or `io::ErrorKind::TimedOut` |
//! | `Dns` | the error type of [`SystemResolver`], which nothing else makes |
//! | `Tls` | a `rustls::Error` anywhere in the chain |
//! | `ConnectionLost` | `io::ErrorKind`s of a connection that ended, and whatever fails after connecting |
//! | `Refused` | `io::ErrorKind::ConnectionRefused`, and whatever else keeps a connection from being made |

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Too slow: name, connection, TLS or answer.
    Timeout,
    /// The host's name has no address.
    Dns,
    /// The connection could not be secured.
    Tls,
    /// Nothing accepted the connection.
    Refused,
    /// The connection ended before a whole answer was there, or what came was
    /// not HTTP.
    ConnectionLost,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Timeout, Self::Dns, Self::Tls, Self::Refused, Self::ConnectionLost];

    /// The value of `error.type` in spans.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Refused => "refused",
            Self::ConnectionLost => "connection_lost",
        }
    }

    /// Finds the cause in an error's chain.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let decided = decisive(error);
        if let Some(cause) = decided {
            cause
        } else if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Refused
        } else {
            Self::ConnectionLost
        }
    }
}

/// The first link of the chain that settles it.
fn decisive(error: &(dyn Error + 'static)) -> Option<Cause> {
    let mut link = Some(error);
    while let Some(error) = link {
        if error.is::<LookupFailed>() {
            return Some(Cause::Dns);
        }
        if error.is::<rustls::Error>() {
            return Some(Cause::Tls);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // `source()` of an io::Error skips the error that it carries.
            let carried = error.get_ref().and_then(|inner| decisive(inner));
            if let Some(cause) = carried.or_else(|| by_kind(error.kind())) {
                return Some(cause);
            }
        }
        link = error.source();
    }
    None
}

fn by_kind(kind: io::ErrorKind) -> Option<Cause> {
    match kind {
        io::ErrorKind::TimedOut => Some(Cause::Timeout),
        io::ErrorKind::ConnectionRefused => Some(Cause::Refused),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(Cause::ConnectionLost),
        _ => None,
    }
}

/// The machine's resolver. It exists for its error type.
pub(super) struct SystemResolver;

/// A host's name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the host's name could not be resolved")]
struct LookupFailed(#[source] io::Error);

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The HTTP library puts the URL's port in place of 0.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(LookupFailed)?;
            let addresses: Vec<SocketAddr> = found.collect();
            if addresses.is_empty() {
                return Err(LookupFailed(io::ErrorKind::NotFound.into()).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_an_io_error_is_found() {
        let hidden = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(decisive(&hidden), Some(Cause::Tls));
        let nested = io::Error::other(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!(decisive(&nested), Some(Cause::ConnectionLost));
        assert_eq!(decisive(&io::Error::other("timed out, refused, dns, tls")), None);
    }

    #[test]
    fn a_failed_lookup_is_dns_whatever_the_system_said() {
        let failed = LookupFailed(io::ErrorKind::TimedOut.into());
        assert_eq!(decisive(&failed), Some(Cause::Dns));
    }
}
