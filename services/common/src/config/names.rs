//! Every variable of the product, who reads it, and its default: the README's
//! table, and the list by which a misspelt name is found.

/// A process of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// `coachbot-vault`.
    Vault,
    /// `coachbot-connector`.
    Connector,
    /// `coachbot-agent`.
    Agent,
    /// `coachbot-gateway`.
    Gateway,
    /// `coachbot serve`, which reads what the others read too.
    Serve,
    /// `coachbot sandbox`.
    Sandbox,
}

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name; each but the `COACHBOT_TLS_*` ones also as `NAME_FILE`.
    pub name: &'static str,
    /// Who reads it.
    pub processes: &'static [Process],
    /// Its default, in words for the table; empty when there is none.
    pub default: &'static str,
    /// What it is.
    pub meaning: &'static str,
}

use Process::{Agent, Connector, Gateway, Sandbox, Serve, Vault};

const EVERYONE: &[Process] = &[Vault, Connector, Agent, Gateway, Serve];
const STORES: &[Process] = &[Vault, Agent, Gateway, Serve];
const CALLS_OUT: &[Process] = &[Connector, Serve];
const FACES_OUT: &[Process] = &[Gateway, Serve];

const fn variable(
    name: &'static str,
    processes: &'static [Process],
    default: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable { name, processes, default, meaning }
}

/// All of them, in the order of the README's table.
pub const VARIABLES: &[Variable] = &[
    variable(
        "INTEGRATIONS_ENCRYPTION_KEY",
        &[Vault, Serve],
        "",
        "the platform key: 64 hex digits or padded base64 of 32 bytes",
    ),
    variable(
        "INTEGRATIONS_ENCRYPTION_KEYS_RETIRED",
        &[Vault, Serve],
        "",
        "reserved for key rotation; nothing reads it yet",
    ),
    variable(
        "COACHBOT_DATABASE_URL",
        STORES,
        "a SQLite file in the data folder",
        "`postgres://…`, or `sqlite://path` for a service by itself",
    ),
    variable(
        "COACHBOT_DATA_DIR",
        &[Vault, Agent, Gateway, Serve, Sandbox],
        "`./data`",
        "the folder of the SQLite files, and of the sandbox's state",
    ),
    variable(
        "COACHBOT_LISTEN",
        EVERYONE,
        "`127.0.0.1:` and 50051 vault, 50052 connector, 50053 agent, 8080 gateway and serve",
        "the address to listen on",
    ),
    variable(
        "COACHBOT_PUBLIC_URL",
        &[Gateway, Agent, Serve],
        "`http://localhost:` and the port",
        "the address that browsers and providers use; webhook URLs are made from it",
    ),
    variable(
        "COACHBOT_CONNECTOR_LISTEN",
        &[Serve],
        "`127.0.0.1:50052`",
        "where `serve` offers Verify to other services; empty for off",
    ),
    variable("COACHBOT_VAULT_URL", &[Connector, Gateway], "`http://127.0.0.1:50051`", "the vault"),
    variable("COACHBOT_CONNECTOR_URL", &[Agent, Gateway], "`http://127.0.0.1:50052`", "the connector"),
    variable("COACHBOT_AGENT_URL", &[Gateway], "`http://127.0.0.1:50053`", "the agent"),
    variable("COACHBOT_TRANSPORT", EVERYONE, "`mtls`", "`mtls`, or `plain` where no one else listens"),
    variable("COACHBOT_TLS_CERT", EVERYONE, "", "PEM file, this process's certificate"),
    variable("COACHBOT_TLS_KEY", EVERYONE, "", "PEM file, its private key"),
    variable("COACHBOT_TLS_CA", EVERYONE, "", "PEM file, who signs the peers' certificates"),
    variable(
        "COACHBOT_BOOTSTRAP_API_KEY",
        FACES_OUT,
        "",
        "API keys of at least 32 characters for an empty database, each an owner, comma between",
    ),
    variable("COACHBOT_TWILIO_BASE_URL", CALLS_OUT, "`https://api.twilio.com`", "Twilio"),
    variable("COACHBOT_VAPI_BASE_URL", CALLS_OUT, "`https://api.vapi.ai`", "Vapi"),
    variable("COACHBOT_VAPI_BASE_URL_EU", CALLS_OUT, "`https://api.eu.vapi.ai`", "Vapi, region `eu`"),
    variable("COACHBOT_VAPI_BASE_URL_US", CALLS_OUT, "`https://api.vapi.ai`", "Vapi, region `us`"),
    variable("COACHBOT_CALCOM_BASE_URL", CALLS_OUT, "`https://api.cal.com`", "Cal.com"),
    variable("COACHBOT_OPENAI_BASE_URL", CALLS_OUT, "`https://api.openai.com/v1`", "OpenAI"),
    variable(
        "COACHBOT_OPENAI_BASE_URL_EU",
        CALLS_OUT,
        "`https://eu.api.openai.com/v1`",
        "OpenAI, region `eu`",
    ),
    variable(
        "COACHBOT_OPENAI_BASE_URL_US",
        CALLS_OUT,
        "`https://us.api.openai.com/v1`",
        "OpenAI, region `us`",
    ),
    variable(
        "COACHBOT_OPENAI_API",
        CALLS_OUT,
        "`responses`",
        "reserved for the chat loop; nothing reads it yet",
    ),
    variable(
        "COACHBOT_OPENAI_DEFAULT_MODEL",
        CALLS_OUT,
        "`gpt-4o`",
        "the model of a workspace that names none",
    ),
    variable("COACHBOT_SANDBOX_LISTEN", &[Sandbox], "`127.0.0.1:8090`", "where the provider sandbox listens"),
    variable("RUST_LOG", EVERYONE, "`info`", "what is logged"),
    variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        EVERYONE,
        "",
        "where traces go (and the other standard `OTEL_*` names); unset: nowhere",
    ),
];

/// Whether the product knows the name, or the name without its `_FILE`.
pub(super) fn is_known(name: &str) -> bool {
    let known = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
    known(name) || name.strip_suffix("_FILE").is_some_and(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../../../README.md");

    fn row(variable: &Variable) -> String {
        let columns = [Vault, Connector, Agent, Gateway, Serve, Sandbox]
            .map(|process| if variable.processes.contains(&process) { "x" } else { "" })
            .join(" | ");
        format!("| `{}` | {columns} | {} | {} |", variable.name, variable.default, variable.meaning)
    }

    #[test]
    fn the_readme_has_the_table() {
        let head = "| variable | vault | connector | agent | gateway | serve | sandbox | default | what |\n\
                    | --- | --- | --- | --- | --- | --- | --- | --- | --- |";
        let rows: Vec<_> = VARIABLES.iter().map(row).collect();
        let table = format!("{head}\n{}", rows.join("\n"));
        assert!(README.contains(&table), "the README's table should be:\n{table}");
    }

    #[test]
    fn a_file_form_is_known_and_a_typing_error_is_not() {
        assert!(is_known("INTEGRATIONS_ENCRYPTION_KEY_FILE"));
        assert!(is_known("COACHBOT_LISTEN"));
        assert!(!is_known("COACHBOT_LISTNE"));
        assert!(!is_known("COACHBOT_FILE"));
    }
}
