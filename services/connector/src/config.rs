//! Where the providers and the vault are, read once.

use std::net::SocketAddr;
use std::str::FromStr;

use coachbot_common::config::{Reader, Security};
use tracing::warn;
use url::Url;

use crate::http::{BaseUrl, Limits};

/// The model of a workspace that names none.
const DEFAULT_MODEL: &str = "gpt-4o";

/// Everything that the connector is told, in one process with others or alone.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where each provider is.
    pub providers: Providers,
    /// The bounds of one provider call; only tests change them.
    pub limits: Limits,
}

/// What the connector is told besides when it runs by itself.
#[derive(Clone, Debug)]
pub struct Standalone {
    /// The rest.
    pub config: Config,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the vault is.
    pub vault: Url,
    /// How both are talked to.
    pub security: Security,
}

/// Where each provider is, and what workspaces that say nothing use.
#[derive(Clone, Debug)]
pub struct Providers {
    /// Twilio.
    pub twilio: BaseUrl,
    /// Vapi, by region.
    pub vapi: Regional,
    /// Cal.com.
    pub calcom: BaseUrl,
    /// `OpenAI`, by region.
    pub openai: Regional,
    /// The model of a workspace that names none.
    pub openai_default_model: String,
}

/// A region of a provider. A workspace picks one; it never supplies a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// The European Union.
    Eu,
    /// The United States.
    Us,
}

/// A text that names no region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("region must be us or eu")]
pub struct UnknownRegion;

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        match text {
            "eu" => Ok(Self::Eu),
            "us" => Ok(Self::Us),
            _ => Err(UnknownRegion),
        }
    }
}

/// The hosts of a provider that keeps its regions apart.
#[derive(Clone, Debug)]
pub struct Regional {
    /// Without a region.
    pub plain: BaseUrl,
    /// Region `eu`.
    pub eu: BaseUrl,
    /// Region `us`.
    pub us: BaseUrl,
}

impl Regional {
    /// The host of a region, or the plain one.
    #[must_use]
    pub const fn of(&self, region: Option<Region>) -> &BaseUrl {
        match region {
            None => &self.plain,
            Some(Region::Eu) => &self.eu,
            Some(Region::Us) => &self.us,
        }
    }
}

impl Config {
    /// Reads what the connector needs in every process that holds it.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let vapi = reader.url("COACHBOT_VAPI_BASE_URL", "https://api.vapi.ai");
        let providers = Providers {
            twilio: base(reader, "COACHBOT_TWILIO_BASE_URL", "https://api.twilio.com"),
            vapi: Regional {
                eu: base(reader, "COACHBOT_VAPI_BASE_URL_EU", "https://api.eu.vapi.ai"),
                // The plain host is that of the US region: whoever replaces one means both.
                us: base(reader, "COACHBOT_VAPI_BASE_URL_US", vapi.as_str()),
                plain: BaseUrl::new(vapi),
            },
            calcom: base(reader, "COACHBOT_CALCOM_BASE_URL", "https://api.cal.com"),
            openai: Regional {
                plain: base(reader, "COACHBOT_OPENAI_BASE_URL", "https://api.openai.com/v1"),
                eu: base(reader, "COACHBOT_OPENAI_BASE_URL_EU", "https://eu.api.openai.com/v1"),
                us: base(reader, "COACHBOT_OPENAI_BASE_URL_US", "https://us.api.openai.com/v1"),
            },
            openai_default_model: {
                let model = default_model(reader);
                only_known_api(reader).and(model)?
            },
        };
        Some(Self { providers, limits: Limits::default() })
    }
}

impl Standalone {
    /// Reads what the connector needs when it runs by itself.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let config = Config::read(reader);
        let listen = match reader.text("COACHBOT_LISTEN") {
            None => Some(SocketAddr::from(([127, 0, 0, 1], 50052))),
            Some(_) => reader.parse("COACHBOT_LISTEN", "an address and a port such as 127.0.0.1:50052"),
        };
        let vault = reader.url("COACHBOT_VAULT_URL", "http://127.0.0.1:50051");
        let security = reader.security();
        Some(Self { config: config?, listen: listen?, vault, security: security? })
    }
}

impl Providers {
    /// Says which credentials would travel in the open.
    pub fn warn_of_plain_http(&self) {
        let all = [
            ("COACHBOT_TWILIO_BASE_URL", &self.twilio),
            ("COACHBOT_VAPI_BASE_URL", &self.vapi.plain),
            ("COACHBOT_VAPI_BASE_URL_EU", &self.vapi.eu),
            ("COACHBOT_VAPI_BASE_URL_US", &self.vapi.us),
            ("COACHBOT_CALCOM_BASE_URL", &self.calcom),
            ("COACHBOT_OPENAI_BASE_URL", &self.openai.plain),
            ("COACHBOT_OPENAI_BASE_URL_EU", &self.openai.eu),
            ("COACHBOT_OPENAI_BASE_URL_US", &self.openai.us),
        ];
        for (variable, _) in all.iter().filter(|(_, base)| base.is_plain()) {
            warn!(variable, "provider is called over plain http: credentials travel unencrypted");
        }
    }
}

fn base(reader: &mut Reader<'_>, name: &str, default: &str) -> BaseUrl {
    BaseUrl::new(reader.url(name, default))
}

/// There is one of the provider's two APIs so far.
fn only_known_api(reader: &mut Reader<'_>) -> Option<()> {
    let problem = match reader.text("COACHBOT_OPENAI_API").as_deref() {
        None | Some("responses") => return Some(()),
        Some("chat_completions") => {
            "does not have chat_completions yet, which comes later: leave it out, or write responses"
        }
        Some(_) => "must be responses, which it is when it is left out",
    };
    reader.problem("COACHBOT_OPENAI_API", problem);
    None
}

/// The same rule as for the field `model`: the name goes into messages.
fn default_model(reader: &mut Reader<'_>) -> Option<String> {
    let Some(model) = reader.text("COACHBOT_OPENAI_DEFAULT_MODEL") else {
        return Some(DEFAULT_MODEL.to_owned());
    };
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"-._:/".contains(&letter);
    if model.len() <= 128 && model.bytes().all(fits) {
        return Some(model);
    }
    reader.problem("COACHBOT_OPENAI_DEFAULT_MODEL", "must be a model's name, such as gpt-4o");
    None
}

#[cfg(test)]
mod tests {
    use coachbot_common::config::{ConfigError, MapEnv};

    use super::*;

    fn read(env: &MapEnv) -> Result<Config, ConfigError> {
        let mut reader = Reader::new(env);
        let config = Config::read(&mut reader);
        reader.finish(config)
    }

    fn root(base: &BaseUrl) -> String {
        base.below(&[]).into()
    }

    #[test]
    fn the_defaults_are_the_providers_own_hosts() {
        let found = read(&MapEnv::default()).unwrap().providers;
        assert_eq!(root(&found.twilio), "https://api.twilio.com/");
        assert_eq!(root(found.vapi.of(None)), "https://api.vapi.ai/");
        assert_eq!(root(found.vapi.of(Some(Region::Us))), "https://api.vapi.ai/");
        assert_eq!(root(found.vapi.of(Some(Region::Eu))), "https://api.eu.vapi.ai/");
        assert_eq!(root(&found.calcom), "https://api.cal.com/");
        assert_eq!(root(found.openai.of(None)), "https://api.openai.com/v1");
        assert_eq!(root(found.openai.of(Some(Region::Us))), "https://us.api.openai.com/v1");
        assert_eq!(root(found.openai.of(Some(Region::Eu))), "https://eu.api.openai.com/v1");
        assert_eq!(found.openai_default_model, "gpt-4o");
    }

    #[test]
    fn regions_are_replaced_one_by_one_and_vapis_plain_host_is_its_us_host() {
        let env = MapEnv::from([
            ("COACHBOT_VAPI_BASE_URL", "http://127.0.0.1:8090/vapi/"),
            ("COACHBOT_OPENAI_BASE_URL_EU", "http://127.0.0.1:8090/openai/v1"),
        ]);
        let found = read(&env).unwrap().providers;
        assert_eq!(root(found.vapi.of(Some(Region::Us))), "http://127.0.0.1:8090/vapi");
        assert_eq!(root(found.vapi.of(Some(Region::Eu))), "https://api.eu.vapi.ai/");
        assert_eq!(root(found.openai.of(Some(Region::Eu))), "http://127.0.0.1:8090/openai/v1");
        assert_eq!(root(found.openai.of(None)), "https://api.openai.com/v1");
        assert!(found.vapi.plain.is_plain() && !found.openai.plain.is_plain());
    }

    #[test]
    fn every_problem_names_its_variable() {
        let env = MapEnv::from([
            ("COACHBOT_TWILIO_BASE_URL", "ftp://api.example"),
            ("COACHBOT_CALCOM_BASE_URL", "https://user:pass@api.example"),
            ("COACHBOT_OPENAI_DEFAULT_MODEL", "gpt 4"),
        ]);
        let problems = read(&env).unwrap_err().problems;
        let names: Vec<_> = problems.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(
            names,
            ["COACHBOT_TWILIO_BASE_URL", "COACHBOT_CALCOM_BASE_URL", "COACHBOT_OPENAI_DEFAULT_MODEL"]
        );
    }

    #[test]
    fn the_one_api_may_be_named_and_the_other_is_refused_as_not_there_yet() {
        assert!(read(&MapEnv::from([("COACHBOT_OPENAI_API", "responses")])).is_ok());
        for (api, word) in [("chat_completions", "comes later"), ("chat", "must be responses")] {
            let problems = read(&MapEnv::from([("COACHBOT_OPENAI_API", api)])).unwrap_err().problems;
            assert_eq!(problems.len(), 1);
            assert!(problems[0].starts_with("COACHBOT_OPENAI_API ") && problems[0].contains(word));
        }
    }

    #[test]
    fn alone_it_listens_on_its_own_port_and_wants_a_word_about_transport() {
        let plain = MapEnv::from([("COACHBOT_TRANSPORT", "plain")]);
        let mut reader = Reader::new(&plain);
        let alone = Standalone::read(&mut reader);
        let alone = reader.finish(alone).unwrap();
        assert_eq!(alone.listen.to_string(), "127.0.0.1:50052");
        assert_eq!(alone.vault.as_str(), "http://127.0.0.1:50051/");

        let nothing = MapEnv::default();
        let mut reader = Reader::new(&nothing);
        let alone = Standalone::read(&mut reader);
        assert!(reader.finish(alone).unwrap_err().problems[0].starts_with("COACHBOT_TLS_CERT"));
    }
}
