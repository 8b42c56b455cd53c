//! Where to listen, and where to keep the state.

use std::net::SocketAddr;
use std::path::PathBuf;

use coachbot_common::config::Reader;

use crate::default_listen;

/// What the sandbox is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder of the state's file; `None` keeps it in memory only.
    pub folder: Option<PathBuf>,
}

impl Config {
    /// Reads `COACHBOT_SANDBOX_LISTEN` and the data folder.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let listen = match reader.text("COACHBOT_SANDBOX_LISTEN") {
            None => default_listen(),
            Some(_) => {
                reader.parse("COACHBOT_SANDBOX_LISTEN", "an address and a port such as 127.0.0.1:8090")?
            }
        };
        Some(Self { listen, folder: Some(reader.data_dir().join("sandbox")) })
    }

    /// A free port of this machine, and nothing kept.
    #[must_use]
    pub const fn in_memory() -> Self {
        let loopback = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        Self { listen: SocketAddr::new(loopback, 0), folder: None }
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::config::MapEnv;

    use super::*;

    #[test]
    fn it_listens_on_its_own_port_and_keeps_its_state_in_the_data_folder() {
        let env = MapEnv::from([("COACHBOT_DATA_DIR", "somewhere")]);
        let mut reader = Reader::new(&env);
        let config = Config::read(&mut reader);
        let config = reader.finish(config).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8090");
        assert_eq!(config.folder, Some(PathBuf::from("somewhere/sandbox")));
    }

    #[test]
    fn a_wrong_address_is_named() {
        let env = MapEnv::from([("COACHBOT_SANDBOX_LISTEN", "here")]);
        let mut reader = Reader::new(&env);
        let config = Config::read(&mut reader);
        let problems = reader.finish(config).unwrap_err().problems;
        assert!(problems[0].starts_with("COACHBOT_SANDBOX_LISTEN"), "{problems:?}");
    }
}
