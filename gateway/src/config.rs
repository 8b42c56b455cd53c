//! The gateway's configuration.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use coachbot_common::config::{Reader, Security};
use coachbot_common::db::Database;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Shortest and longest accepted bootstrap key, in characters.
const BOOTSTRAP_KEY_LENGTH: std::ops::RangeInclusive<usize> = 32..=512;

/// What the gateway needs wherever it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the tables are.
    pub database: Database,
    /// Keys that an empty database begins with, each of an owner of its own.
    pub bootstrap_keys: Vec<SecretString>,
    public_url: Option<Url>,
}

/// What the gateway needs as a process of its own: where the others are.
#[derive(Clone, Debug)]
pub struct Standalone {
    /// What it needs anywhere.
    pub gateway: Config,
    /// The vault.
    pub vault_url: Url,
    /// The connector.
    pub connector_url: Url,
    /// The agent.
    pub agent_url: Url,
    /// How it talks with all of them.
    pub security: Security,
}

impl Config {
    /// Reads what the gateway needs wherever it runs. `None` when a problem was
    /// recorded.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let before = reader.problems();
        let listen =
            reader.parse("COACHBOT_LISTEN", "an address such as 127.0.0.1:8080").unwrap_or(DEFAULT_LISTEN);
        let public_url = reader.text("COACHBOT_PUBLIC_URL").map(|_| {
            let url = reader.url("COACHBOT_PUBLIC_URL", "http://localhost");
            if url.path() != "/" {
                reader.problem("COACHBOT_PUBLIC_URL", "must have no path: Coachbot takes a whole host name");
            }
            url
        });
        let bootstrap_keys = bootstrap_keys(reader);
        let database = reader.database("gateway");
        if reader.problems() > before {
            return None;
        }
        Some(Self { listen, database: database?, bootstrap_keys, public_url })
    }

    /// For tests and tools that know the values already.
    #[must_use]
    pub fn new(listen: SocketAddr, database: Database) -> Self {
        Self { listen, database, bootstrap_keys: Vec::new(), public_url: None }
    }

    /// Sets the address that browsers and providers use.
    #[must_use]
    pub fn with_public_url(mut self, url: Url) -> Self {
        self.public_url = Some(url);
        self
    }

    /// Sets the keys that an empty database begins with.
    #[must_use]
    pub fn with_bootstrap_keys(mut self, keys: Vec<SecretString>) -> Self {
        self.bootstrap_keys = keys;
        self
    }

    /// The address that browsers and providers use: the only source of the URLs
    /// that are shown.
    #[must_use]
    pub fn public_url(&self) -> PublicUrl {
        let url = self.public_url.clone().unwrap_or_else(|| {
            Url::parse(&format!("http://localhost:{}", self.listen.port()))
                .expect("a host and a port are a URL")
        });
        PublicUrl(url)
    }
}

impl Standalone {
    /// Reads what the gateway needs as a process of its own.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let gateway = Config::read(reader);
        let before = reader.problems();
        let vault_url = reader.url("COACHBOT_VAULT_URL", "http://127.0.0.1:50051");
        let connector_url = reader.url("COACHBOT_CONNECTOR_URL", "http://127.0.0.1:50052");
        let agent_url = reader.url("COACHBOT_AGENT_URL", "http://127.0.0.1:50053");
        let security = reader.security();
        if reader.problems() > before {
            return None;
        }
        Some(Self { gateway: gateway?, vault_url, connector_url, agent_url, security: security? })
    }
}

fn bootstrap_keys(reader: &mut Reader<'_>) -> Vec<SecretString> {
    const NAME: &str = "COACHBOT_BOOTSTRAP_API_KEY";
    let Some(list) = reader.secret(NAME) else { return Vec::new() };
    let keys: Vec<&str> = list.expose_secret().split(',').map(str::trim).collect();
    let sendable = |key: &str| key.bytes().all(|byte| byte.is_ascii_graphic());
    if keys.iter().any(|key| !BOOTSTRAP_KEY_LENGTH.contains(&key.len()) || !sendable(key)) {
        reader.problem(NAME, "must be keys of 32 to 512 printable ASCII characters, with commas between");
    }
    let mut different = keys.clone();
    different.sort_unstable();
    different.dedup();
    if different.len() < keys.len() {
        reader.problem(NAME, "must not hold the same key twice: each is an owner of its own");
    }
    keys.into_iter().map(SecretString::from).collect()
}

/// The address that browsers and providers use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Scheme, host and port, as a browser writes them in `Origin`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The address of a path, which begins with a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// The two ways in which a provider may write scheme, host and port when it
    /// signs an address: as it is, and with its port written out or left away.
    #[must_use]
    pub fn signed_origins(&self) -> [String; 2] {
        let (scheme, host) = (self.0.scheme(), self.0.host_str().unwrap_or_default());
        let other = match (self.0.port(), self.0.port_or_known_default()) {
            (None, Some(default)) => format!("{scheme}://{host}:{default}"),
            _ => format!("{scheme}://{host}"),
        };
        [self.origin(), other]
    }

    /// Whether browsers reach us encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the address leads to this machine alone, so that no provider can
    /// reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
            Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::config::MapEnv;

    use super::*;

    fn read(env: &MapEnv) -> Result<Config, Vec<String>> {
        let mut reader = Reader::new(env);
        let config = Config::read(&mut reader);
        reader.finish(config).map_err(|error| error.problems)
    }

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn nothing_set_is_a_gateway_on_this_machine() {
        let config = read(&MapEnv::default()).unwrap();
        assert_eq!(config.listen, DEFAULT_LISTEN);
        assert_eq!(config.public_url().join("/x"), "http://localhost:8080/x");
        assert!(config.public_url().is_local());
        assert!(config.bootstrap_keys.is_empty());
    }

    #[test]
    fn each_bootstrap_key_is_long_and_different() {
        let keys = |list: &str| read(&MapEnv::from([("COACHBOT_BOOTSTRAP_API_KEY", list)]));
        let other = KEY.replace('0', "z");
        assert_eq!(keys(&format!("{KEY}, {other}")).unwrap().bootstrap_keys.len(), 2);
        for wrong in ["short".to_owned(), format!("{KEY},{KEY}"), format!("{KEY},"), format!("{KEY} {KEY}")] {
            let problems = keys(&wrong).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with("COACHBOT_BOOTSTRAP_API_KEY must"), "{problems:?}");
            assert!(!problems[0].contains(KEY));
        }
    }

    #[test]
    fn the_public_url_is_a_whole_host() {
        let url = |text: &str| read(&MapEnv::from([("COACHBOT_PUBLIC_URL", text)]));
        let public = url("https://coach.example/").unwrap().public_url();
        assert_eq!(public.origin(), "https://coach.example");
        assert!(public.is_https() && !public.is_local());
        assert_eq!(public.signed_origins(), ["https://coach.example", "https://coach.example:443"]);
        let odd = url("http://coach.example:8080").unwrap().public_url();
        assert_eq!(odd.signed_origins(), ["http://coach.example:8080", "http://coach.example"]);
        assert!(url("http://127.0.0.1:9").unwrap().public_url().is_local());
        assert!(url("https://coach.example/bot").is_err());
        assert!(url("coach.example").is_err());
    }
}
