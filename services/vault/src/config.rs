//! Which key, which database, and where to listen, read once.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;

use coachbot_common::config::{Reader, Security};
use coachbot_common::db::Database;
use secrecy::SecretString;
use tracing::warn;
use zeroize::Zeroizing;

use crate::platform_key::VARIABLE;

/// The names of the key's file.
const FILE_VARIABLE: &str = "INTEGRATIONS_ENCRYPTION_KEY_FILE";

/// A longer file holds no key: the rest of it is not read.
const LONGEST_KEY_FILE: u64 = 4096;

/// Everything that the vault is told, in one process with others or alone.
#[derive(Clone, Debug)]
pub struct Config {
    /// The platform key as it was given, not judged yet: what is no key is a
    /// state of the vault, not a problem of the configuration.
    pub platform_key: Option<SecretString>,
    /// Where the tables are.
    pub database: Database,
}

/// What the vault is told besides when it runs by itself.
#[derive(Clone, Debug)]
pub struct Standalone {
    /// The rest.
    pub config: Config,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How callers are reached and known.
    pub security: Security,
}

impl Config {
    /// Reads what the vault needs in every process that holds it.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let platform_key = platform_key(reader);
        let database = reader.database("vault");
        Some(Self { platform_key, database: database? })
    }
}

impl Standalone {
    /// Reads what the vault needs when it runs by itself.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let config = Config::read(reader);
        let listen = match reader.text("COACHBOT_LISTEN") {
            None => Some(SocketAddr::from(([127, 0, 0, 1], 50051))),
            Some(_) => reader.parse("COACHBOT_LISTEN", "an address and a port such as 127.0.0.1:50051"),
        };
        let security = reader.security();
        reader.unknown_names();
        Some(Self { config: config?, listen: listen?, security: security? })
    }
}

/// The key, or what stands in its place. A file that cannot be read is a missing
/// key, and one that is not text a malformed one: the product works without.
fn platform_key(reader: &mut Reader<'_>) -> Option<SecretString> {
    // As a variable of its own: the common way makes a problem of an unreadable file.
    let Some(path) = reader.text(FILE_VARIABLE) else { return reader.secret(VARIABLE) };
    match read_key_file(&path) {
        Err(error) => {
            warn!(variable = FILE_VARIABLE, reason = %error.kind(), "the platform key's file cannot be read");
            None
        }
        // What is text, the common way can read: it finds out whether both are set.
        Ok(bytes) if std::str::from_utf8(&bytes).is_ok() => reader.secret(VARIABLE),
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned().into()),
    }
}

/// The file's beginning: a longer one holds no key.
fn read_key_file(path: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LONGEST_KEY_FILE).unwrap_or_default()));
    File::open(path)?.take(LONGEST_KEY_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use coachbot_common::config::{ConfigError, MapEnv};
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(env: &MapEnv) -> Result<Config, ConfigError> {
        let mut reader = Reader::new(env);
        let config = Config::read(&mut reader);
        reader.finish(config)
    }

    fn key_of(env: &MapEnv) -> Option<String> {
        read(env).unwrap().platform_key.map(|key| key.expose_secret().to_owned())
    }

    #[test]
    fn a_value_that_is_no_key_is_no_problem_of_the_configuration() {
        assert_eq!(key_of(&MapEnv::default()), None);
        let env = MapEnv::from([(VARIABLE, "REPLACE_ME")]);
        assert_eq!(key_of(&env).as_deref(), Some("REPLACE_ME"));
        assert!(!format!("{:?}", read(&env).unwrap()).contains("REPLACE_ME"));
    }

    #[test]
    fn a_key_file_is_read_and_one_that_cannot_be_is_a_missing_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let env = MapEnv::from([(FILE_VARIABLE, path.to_str().unwrap())]);
        assert_eq!(key_of(&env), None);
        std::fs::write(&path, "some-key\n").unwrap();
        assert_eq!(key_of(&env).as_deref(), Some("some-key"));
        // 32 raw bytes are a key for some products, and malformed here.
        std::fs::write(&path, [0xff; 32]).unwrap();
        assert!(key_of(&env).is_some_and(|text| !text.is_empty()));
        std::fs::write(&path, "some-key\n").unwrap();
        let both = env.with(VARIABLE, "another");
        assert!(read(&both).unwrap_err().problems[0].contains("set one of them"));
    }

    #[test]
    fn alone_it_listens_on_its_own_port_and_wants_a_word_about_transport() {
        let plain = MapEnv::from([("COACHBOT_TRANSPORT", "plain")]);
        let mut reader = Reader::new(&plain);
        let alone = Standalone::read(&mut reader);
        assert_eq!(reader.finish(alone).unwrap().listen.to_string(), "127.0.0.1:50051");
        let nothing = MapEnv::default();
        let mut reader = Reader::new(&nothing);
        let alone = Standalone::read(&mut reader);
        assert!(reader.finish(alone).unwrap_err().problems[0].starts_with("COACHBOT_TLS_CERT"));
    }
}
