//! Configuration, read once, all problems reported together.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;
use url::Url;
use zeroize::Zeroizing;

use crate::db::Database;

mod names;

pub use names::{Process, VARIABLES, Variable};

/// Gets configuration by name. Tests pass a [`MapEnv`] and never touch the
/// process environment.
pub trait Env {
    /// The value, if the name is set to a text.
    fn get(&self, name: &str) -> Option<String>;
    /// Every name that is set.
    fn names(&self) -> Vec<String>;
}

/// The environment of the process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }
}

/// A fixed set of names and values.
#[derive(Clone, Default)]
pub struct MapEnv(BTreeMap<String, String>);

impl MapEnv {
    /// Sets one more name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

impl<const N: usize> From<[(&str, &str); N]> for MapEnv {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Env for MapEnv {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Everything that is wrong with the configuration, each line naming its
/// variable. No value is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// One line each, such as `COACHBOT_LISTEN must be …`.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for ConfigError {}

/// How a server and its clients talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Without encryption or proof of who calls: loopback, or written down by the
    /// operator.
    Plain,
    /// Mutual TLS.
    Mtls(TlsFiles),
}

/// Where a process finds its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM, the certificate and what signed it.
    pub cert: PathBuf,
    /// PEM, its private key.
    pub key: PathBuf,
    /// PEM, who signs the peers' certificates.
    pub ca: PathBuf,
}

/// Reads variables and collects what is wrong with them.
pub struct Reader<'a> {
    env: &'a dyn Env,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Starts to read.
    #[must_use]
    pub fn new(env: &'a dyn Env) -> Self {
        Self { env, problems: Vec::new() }
    }

    /// Records a problem with a variable.
    pub fn problem(&mut self, name: &str, message: impl fmt::Display) {
        self.problems.push(format!("{name} {message}"));
    }

    /// How many problems were recorded so far.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.problems.len()
    }

    /// The text of `NAME`, or of the file that `NAME_FILE` names without the line
    /// break at its end. Empty is unset; both set is a problem.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        let direct = self.env.get(name).filter(|text| !text.is_empty());
        let Some(path) = self.env.get(&file_name).filter(|text| !text.is_empty()) else {
            return direct;
        };
        if direct.is_some() {
            self.problem(name, format_args!("is set, and so is {file_name}: set one of them"));
            return None;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                Some(line.to_owned()).filter(|text| !text.is_empty())
            }
            Err(error) => {
                self.problem(&file_name, format_args!("names a file that cannot be read: {}", error.kind()));
                None
            }
        }
    }

    /// As [`Self::text`], for a value that is never printed.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// The value of `NAME` in its type; `what` completes "NAME must be …".
    pub fn parse<T: FromStr>(&mut self, name: &str, what: &str) -> Option<T> {
        let text = self.text(name)?;
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            self.problem(name, format_args!("must be {what}"));
        }
        parsed
    }

    /// A base URL without a slash at its end, by default `default`.
    ///
    /// # Panics
    /// When the default is not a base URL.
    pub fn url(&mut self, name: &str, default: &str) -> Url {
        let fallback = || base_url(default).expect("the default is a base URL");
        match self.text(name) {
            None => fallback(),
            Some(text) => base_url(text.trim()).unwrap_or_else(|| {
                self.problem(name, "must be an http:// or https:// address without user, query or fragment");
                fallback()
            }),
        }
    }

    /// Where `service` keeps its tables: `COACHBOT_DATABASE_URL`, or the file
    /// `<service>.sqlite` in the data folder.
    pub fn database(&mut self, service: &'static str) -> Option<Database> {
        let Some(url) = self.text("COACHBOT_DATABASE_URL") else {
            return Some(Database::Sqlite(self.data_dir().join(format!("{service}.sqlite"))));
        };
        if let Some(path) = url.strip_prefix("sqlite://").filter(|path| !path.is_empty()) {
            return Some(Database::Sqlite(path.into()));
        }
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if is_postgres && Url::parse(&url).is_ok_and(|parsed| parsed.has_host()) {
            return Some(Database::Postgres(url.into()));
        }
        self.problem(
            "COACHBOT_DATABASE_URL",
            "must be postgres://user:password@host/database or sqlite://path",
        );
        None
    }

    /// The data folder, by default `./data`.
    pub fn data_dir(&mut self) -> PathBuf {
        self.text("COACHBOT_DATA_DIR").unwrap_or_else(|| "./data".to_owned()).into()
    }

    /// How this process talks with the others: `COACHBOT_TRANSPORT` and the three
    /// `COACHBOT_TLS_*` files. Plain transport must be written.
    pub fn security(&mut self) -> Option<Security> {
        let files = self.tls_files();
        match self.text("COACHBOT_TRANSPORT").as_deref() {
            Some("plain") => Some(Security::Plain),
            None | Some("mtls") => {
                if files.is_none() {
                    self.problem(
                        "COACHBOT_TLS_CERT",
                        "and COACHBOT_TLS_KEY, COACHBOT_TLS_CA must be set, or COACHBOT_TRANSPORT=plain written",
                    );
                }
                files.map(Security::Mtls)
            }
            Some(_) => {
                self.problem("COACHBOT_TRANSPORT", "must be mtls or plain");
                None
            }
        }
    }

    /// The three `COACHBOT_TLS_*` files; some but not all of them is a problem.
    pub fn tls_files(&mut self) -> Option<TlsFiles> {
        const NAMES: [&str; 3] = ["COACHBOT_TLS_CERT", "COACHBOT_TLS_KEY", "COACHBOT_TLS_CA"];
        // These name files already, so that they have no `_FILE` form.
        let found = NAMES.map(|name| self.env.get(name).filter(|text| !text.is_empty()));
        let missing: Vec<_> =
            NAMES.iter().zip(&found).filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
        let [cert, key, ca] = found;
        match (cert, key, ca) {
            (Some(cert), Some(key), Some(ca)) => {
                Some(TlsFiles { cert: cert.into(), key: key.into(), ca: ca.into() })
            }
            _ if missing.len() == NAMES.len() => None,
            _ => {
                self.problem(
                    &missing.join(", "),
                    "must be set too: the three COACHBOT_TLS_* files go together",
                );
                None
            }
        }
    }

    /// Records a problem for every `COACHBOT_*` name that the product does not
    /// know: a typing error in a name would otherwise be a silent default.
    pub fn unknown_names(&mut self) {
        let mut unknown: Vec<_> = self
            .env
            .names()
            .into_iter()
            .filter(|name| name.starts_with("COACHBOT_") && !name.starts_with("COACHBOT_TEST_"))
            .filter(|name| !names::is_known(name))
            .collect();
        unknown.sort();
        for name in unknown {
            self.problem(&name, "is not a variable of Coachbot: the README lists them all");
        }
    }

    /// The value, unless a problem was recorded.
    ///
    /// # Errors
    /// All problems together.
    ///
    /// # Panics
    /// When there is no value although no problem was recorded.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        if self.problems.is_empty() {
            return Ok(value.expect("a missing value is recorded as a problem"));
        }
        Err(ConfigError { problems: self.problems })
    }
}

fn base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    let http = matches!(url.scheme(), "http" | "https");
    if !(plain && anonymous && http && url.has_host()) {
        return None;
    }
    let mut url = url;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn problems(env: &MapEnv, read: impl FnOnce(&mut Reader<'_>)) -> Vec<String> {
        let mut reader = Reader::new(env);
        read(&mut reader);
        reader.problems
    }

    #[test]
    fn all_problems_are_reported_together_and_no_value_is_repeated() {
        let env = MapEnv::from([
            ("COACHBOT_LISTEN", "eighty-eighty"),
            ("COACHBOT_PUBLIC_URL", "ftp://s3cret@host"),
            ("COACHBOT_LISTNE", "127.0.0.1:1"),
            ("COACHBOT_TEST_ANYTHING", "1"),
            ("COACHBOT_DATABASE_URL", "mysql://s3cret@host/db"),
        ]);
        let found = problems(&env, |reader| {
            let _: Option<SocketAddr> = reader.parse("COACHBOT_LISTEN", "an address such as 127.0.0.1:8080");
            reader.url("COACHBOT_PUBLIC_URL", "http://localhost:8080");
            reader.database("vault");
            reader.unknown_names();
        });
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(found.iter().all(|line| !line.contains("s3cret") && !line.contains("eighty")));
        assert!(found[3].starts_with("COACHBOT_LISTNE "));
    }

    #[test]
    fn a_secret_comes_by_name_or_by_file_and_not_by_both() {
        let folder = std::env::temp_dir().join(format!("coachbot-config-{}", std::process::id()));
        std::fs::write(&folder, "from-file\r\n").unwrap();
        let path = folder.to_str().unwrap();
        let by_file = MapEnv::from([("INTEGRATIONS_ENCRYPTION_KEY_FILE", path)]);
        assert_eq!(Reader::new(&by_file).text("INTEGRATIONS_ENCRYPTION_KEY").as_deref(), Some("from-file"));
        let both = by_file.with("INTEGRATIONS_ENCRYPTION_KEY", "direct");
        assert_eq!(problems(&both, |reader| drop(reader.text("INTEGRATIONS_ENCRYPTION_KEY"))).len(), 1);
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(
            problems(&MapEnv::from([("X_FILE", path)]), |reader| drop(reader.text("X"))),
            ["X_FILE names a file that cannot be read: entity not found"]
        );
    }

    #[test]
    fn plain_transport_must_be_written() {
        let nothing = MapEnv::default();
        assert_eq!(problems(&nothing, |reader| assert_eq!(reader.security(), None)).len(), 1);
        let plain = MapEnv::from([("COACHBOT_TRANSPORT", "plain")]);
        assert_eq!(Reader::new(&plain).security(), Some(Security::Plain));
        let some = MapEnv::from([("COACHBOT_TLS_CERT", "a.pem"), ("COACHBOT_TRANSPORT", "plain")]);
        let found = problems(&some, |reader| drop(reader.security()));
        assert!(found[0].starts_with("COACHBOT_TLS_KEY, COACHBOT_TLS_CA must be set too"), "{found:?}");
    }

    #[test]
    fn a_base_url_loses_its_last_slash_and_keeps_its_path() {
        let env = MapEnv::from([("A", "https://api.example/v1/")]);
        assert_eq!(Reader::new(&env).url("A", "https://other.example").as_str(), "https://api.example/v1");
    }
}
