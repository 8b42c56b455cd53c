//! The providers and the vault as tests need them, and the rows of the Verify
//! tables (feature `testing`).

mod judge;
mod ledger;
mod rows;
mod samples;
mod stub;
mod vault;

use std::collections::BTreeMap;
use std::time::Duration;

use coachbot_common::clock::SharedClock;
use coachbot_common::config::{MapEnv, Reader};
use coachbot_common::rpc::{Identity, Transport, direct};
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::connector_service_client::ConnectorServiceClient;
use coachbot_proto::vault::v1::vault_service_server::VaultServiceServer;
use url::Url;

pub use ledger::Ledger;
pub use rows::{Row, World, rows};
pub use samples::{
    ACCOUNT_SID, ASSISTANT_ID, EVENT_TYPE_ID, PHONE_NUMBER_ID, account, assistant, booking, booking_page,
    event_type, message, message_page, models, phone_number, refusal, response, slots,
};
pub use stub::{Reply, Seen, StubProviders};
pub use vault::{FakeVault, Recorded};

use crate::http::Limits;
use crate::{Config, build, policy};

/// A workspace of the tests.
pub const WORKSPACE: &str = "01937a3e-6f00-7000-8000-00000000000a";

/// The secret of each provider's stored fields: what must appear nowhere.
#[must_use]
pub const fn planted(provider: Provider) -> &'static str {
    match provider {
        Provider::Twilio => "planted-twilio-4b5a69788796a5b4c3d2",
        Provider::Vapi => "planted-vapi-0c1e4a559f1b6f3a2b7c9d10",
        Provider::Calcom => "cal_live_planted-6f3a2b7c9d100c1e4a559f1b",
        Provider::Openai => "sk-proj-planted-9f1b6f3a2b7c9d100c1e4a55",
    }
}

/// The fields of each provider as the vault would lease them.
#[must_use]
pub fn stored(provider: Provider) -> BTreeMap<String, String> {
    let secret = planted(provider);
    let pairs: &[(&str, &str)] = match provider {
        Provider::Twilio => {
            &[("account_sid", ACCOUNT_SID), ("auth_token", secret), ("from", "whatsapp:+447700900999")]
        }
        Provider::Vapi => {
            &[("api_key", secret), ("assistant_id", ASSISTANT_ID), ("phone_number_id", PHONE_NUMBER_ID)]
        }
        Provider::Calcom => {
            &[("api_key", secret), ("event_type_id", EVENT_TYPE_ID), ("timezone", "Europe/London")]
        }
        Provider::Openai => &[("api_key", secret), ("model", "gpt-6-luna")],
    };
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Shorter bounds, for what never answers.
#[must_use]
pub fn impatient() -> Limits {
    let short = Duration::from_millis(400);
    Limits {
        connect: Duration::from_millis(300),
        total: short,
        messaging: short,
        calendar: short,
        model: short,
        ..Limits::default()
    }
}

/// A configuration in which all hosts of all providers are below one address, as
/// the sandbox has them.
///
/// # Panics
/// When the address cannot be a base URL.
#[must_use]
pub fn config_at(root: &Url, limits: Limits) -> Config {
    let at = |path: &str| format!("{}{path}", root.as_str().trim_end_matches('/'));
    let env = MapEnv::default()
        .with("COACHBOT_TWILIO_BASE_URL", at("/twilio"))
        .with("COACHBOT_VAPI_BASE_URL", at("/vapi"))
        .with("COACHBOT_VAPI_BASE_URL_EU", at("/vapi"))
        .with("COACHBOT_CALCOM_BASE_URL", at("/calcom"))
        .with("COACHBOT_OPENAI_BASE_URL", at("/openai/v1"))
        .with("COACHBOT_OPENAI_BASE_URL_EU", at("/openai/v1"))
        .with("COACHBOT_OPENAI_BASE_URL_US", at("/openai/v1"));
    let mut reader = Reader::new(&env);
    let config = Config::read(&mut reader);
    Config { limits, ..reader.finish(config).expect("the address is a base URL") }
}

/// A client of a connector that is laid over a fake vault, both in this process.
///
/// # Panics
/// When the HTTP client cannot be made.
#[must_use]
pub fn connector(
    config: &Config,
    vault: &FakeVault,
    clock: SharedClock,
    caller: Identity,
) -> ConnectorServiceClient<Transport> {
    ConnectorServiceClient::new(laid_over(config, vault, clock, caller))
}

/// What carries the calls to all services of a connector that is laid over a fake
/// vault, both in this process.
///
/// # Panics
/// When the HTTP client cannot be made.
#[must_use]
pub fn laid_over(config: &Config, vault: &FakeVault, clock: SharedClock, caller: Identity) -> Transport {
    let below = direct(VaultServiceServer::new(vault.clone()), vault::policy(), Identity::Connector);
    let routes = build(config, below, clock).expect("the HTTP client can be made");
    direct(routes.prepare(), policy(), caller)
}
