//! Which database, which public address, and where to listen, read once.

use std::net::SocketAddr;

use coachbot_common::config::{Reader, Security};
use coachbot_common::db::Database;
use url::Url;

/// Everything that the agent is told, in one process with others or alone.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the tables are.
    pub database: Database,
    /// Where providers reach the product: status callbacks go there.
    pub public_url: Url,
}

/// What the agent is told besides when it runs by itself.
#[derive(Clone, Debug)]
pub struct Standalone {
    /// The rest.
    pub config: Config,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the connector is.
    pub connector: Url,
    /// How both are talked to.
    pub security: Security,
}

impl Config {
    /// Reads what the agent needs in every process that holds it.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let public_url = reader.url("COACHBOT_PUBLIC_URL", "http://localhost:8080");
        let database = reader.database("agent");
        Some(Self { database: database?, public_url })
    }
}

impl Standalone {
    /// Reads what the agent needs when it runs by itself.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let config = Config::read(reader);
        let listen = match reader.text("COACHBOT_LISTEN") {
            None => Some(SocketAddr::from(([127, 0, 0, 1], 50053))),
            Some(_) => reader.parse("COACHBOT_LISTEN", "an address and a port such as 127.0.0.1:50053"),
        };
        let connector = reader.url("COACHBOT_CONNECTOR_URL", "http://127.0.0.1:50052");
        let security = reader.security();
        Some(Self { config: config?, listen: listen?, connector, security: security? })
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::config::MapEnv;

    use super::*;

    #[test]
    fn alone_it_listens_on_its_own_port_and_wants_a_word_about_transport() {
        let plain = MapEnv::from([("COACHBOT_TRANSPORT", "plain")]);
        let mut reader = Reader::new(&plain);
        let alone = Standalone::read(&mut reader);
        let alone = reader.finish(alone).unwrap();
        assert_eq!(alone.listen.to_string(), "127.0.0.1:50053");
        assert_eq!(alone.connector.as_str(), "http://127.0.0.1:50052/");
        assert_eq!(alone.config.public_url.as_str(), "http://localhost:8080/");
        let nothing = MapEnv::default();
        let mut reader = Reader::new(&nothing);
        let alone = Standalone::read(&mut reader);
        assert!(reader.finish(alone).unwrap_err().problems[0].starts_with("COACHBOT_TLS_CERT"));
    }
}
