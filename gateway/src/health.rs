//! `/healthz`: alive. `/readyz`: able to work, with one word for each thing that
//! is needed.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use coachbot_proto::vault::v1::KeyState;
use http::StatusCode;
use serde::Serialize;

use crate::app::SharedApp;

/// How long the database may take to answer.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Ok,
    /// It answers, and cannot do all of its work.
    Degraded,
    /// It does not answer.
    Unavailable,
}

#[derive(Debug, Serialize)]
struct Ready {
    status: Word,
    checks: Checks,
}

#[derive(Debug, Serialize)]
struct Checks {
    database: Check,
    vault: VaultCheck,
    connector: Check,
    agent: Check,
}

#[derive(Debug, Serialize)]
struct Check {
    status: Word,
}

#[derive(Debug, Serialize)]
struct VaultCheck {
    status: Word,
    /// `OK`, `KEY_MISSING`, …; null when the vault does not answer.
    key_state: Option<&'static str>,
}

const fn word(is_there: bool) -> Word {
    if is_there { Word::Ok } else { Word::Unavailable }
}

/// The process is alive.
pub(crate) async fn healthz() -> Response {
    Json(serde_json::json!({ "status": "ok" })).into_response()
}

/// What is needed answers. Only without its own database can the gateway not
/// work; what else is away is said, and the rest works.
pub(crate) async fn readyz(State(app): State<SharedApp>) -> Response {
    let database = tokio::time::timeout(LIMIT, app.store.ping());
    let (database, vault, connector, agent) =
        tokio::join!(database, app.vault.status(), app.connector.is_ready(), app.agent.is_ready());
    let database = word(matches!(database, Ok(Ok(()))));
    let vault = match vault {
        Ok(key) => VaultCheck {
            status: if key.state == KeyState::Ok { Word::Ok } else { Word::Degraded },
            key_state: Some(key.name()),
        },
        Err(_) => VaultCheck { status: Word::Unavailable, key_state: None },
    };
    let (connector, agent) = (word(connector), word(agent));
    let all_well = [vault.status, connector, agent].iter().all(|status| *status == Word::Ok);
    let status = match database {
        Word::Ok if all_well => Word::Ok,
        Word::Ok => Word::Degraded,
        _ => Word::Unavailable,
    };
    let code = if status == Word::Unavailable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let check = |status| Check { status };
    let checks =
        Checks { database: check(database), vault, connector: check(connector), agent: check(agent) };
    (code, Json(Ready { status, checks })).into_response()
}
