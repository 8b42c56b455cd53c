//! A bare durable insert against a webhook that is taken; commits of a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coachbot_agent::agent::Agent;
use coachbot_agent::store::Store;
use coachbot_agent::testing::{FakeConnector, call, say};
use coachbot_common::clock::{Clock as _, SystemClock, to_wire};
use coachbot_common::config::MapEnv;
use coachbot_common::db::{Database, Db, Migrations, execute};
use coachbot_common::id::new_id;
use coachbot_common::lifecycle::Stop;
use coachbot_common::rpc::{self, Identity, with_deadline};
use coachbot_common::testing::MockClock;
use coachbot_proto::agent::v1::agent_service_client::AgentServiceClient;
use coachbot_proto::agent::v1::{Channel, IngestMessageRequest, PutWorkspaceRequest};
use coachbot_sandbox::accounts::TWILIO;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::sample::Sample;

const ROUNDS: usize = 500;
const API_KEY: &str = "cbk_bench-bench-bench-bench-bench-bench";

/// The floor: one row, one commit.
const FLOOR: Migrations = Migrations {
    schema: "floor",
    sqlite: &[(1, "one table", "CREATE TABLE row (id BLOB PRIMARY KEY, body BLOB NOT NULL)")],
    postgres: &[],
};

pub(crate) async fn run() -> Result<()> {
    println!("\nA webhook, SQLite (synchronous=FULL), {ROUNDS} rounds, one at a time");
    let folder = tempfile::tempdir()?;
    let db = Db::open(&Database::Sqlite(folder.path().join("floor.sqlite")), &FLOOR).await?;
    let insert = async |_| {
        let (id, body) = (new_id(SystemClock.now()), vec![0_u8; 400]);
        execute!(db, sqlx::query("INSERT INTO row (id, body) VALUES ($1, $2)").bind(id).bind(body)).map(drop)
    };
    let floor = Sample::of("bare durable insert", ROUNDS, insert).await?;
    floor.print();
    webhooks().await?.print_against(&floor);
    commits().await
}

/// Signed webhooks over HTTP, each of another message, to a workspace without a
/// model: what it costs to take one.
async fn webhooks() -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    let env = MapEnv::from([
        ("INTEGRATIONS_ENCRYPTION_KEY", "c14f02afbd050f8e2f1dac88b3fce28ae5c3071c5ca93543efdb992e3b955ee3"),
        ("COACHBOT_BOOTSTRAP_API_KEY", API_KEY),
        ("COACHBOT_LISTEN", "127.0.0.1:0"),
        ("COACHBOT_CONNECTOR_LISTEN", ""),
    ])
    .with("COACHBOT_DATA_DIR", folder.path().to_string_lossy());
    let stop = Stop::new();
    let product = coachbot::start(coachbot::Config::read(&env)?, SystemClock::shared(), stop.clone());
    let product = product.await.map_err(anyhow::Error::from_boxed)?;
    let base = format!("http://localhost:{}", product.address().port());
    let http = reqwest::Client::builder().no_proxy().build()?;

    let account = TWILIO.first().context("the sandbox has an account")?;
    let sender = account.senders.first().context("the account has a sender")?;
    let workspaces = format!("{base}/api/v1/workspaces");
    let new = json!({"name": "Bench", "channel": "whatsapp", "timezone": "Europe/London"});
    let made: Value = http.post(&workspaces).bearer_auth(API_KEY).json(&new).send().await?.json().await?;
    let id = made.get("id").and_then(Value::as_str).context("a workspace")?;
    let fields = json!({"fields": {"account_sid": account.sid, "auth_token": account.token, "from": sender}});
    let path = format!("{workspaces}/{id}/integrations/twilio");
    http.put(path).bearer_auth(API_KEY).json(&fields).send().await?.error_for_status()?;

    let url = format!("{base}/webhooks/twilio/{id}/messages");
    let taken = Sample::of("webhook, signed, over HTTP, stored", ROUNDS, async |round| {
        let message = format!("SM{round:032x}");
        let form = BTreeMap::from([
            ("AccountSid", account.sid),
            ("Body", "Hi!"),
            ("From", "whatsapp:+447700900456"),
            ("MessageSid", &message),
            ("To", sender),
        ]);
        let mut signed = url.clone();
        form.iter().for_each(|(name, value)| signed.extend([*name, *value]));
        let mut mac = Hmac::<Sha1>::new_from_slice(account.token.as_bytes())?;
        mac.update(signed.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let request = http.post(&url).header("x-twilio-signature", signature).form(&form);
        request.send().await?.error_for_status()?.bytes().await?;
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    stop.cancel();
    product.finish().await.map_err(anyhow::Error::from_boxed)?;
    Ok(taken)
}

/// Counts, and does not time: a plain reply, and slots offered and one booked.
async fn commits() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = Database::Sqlite(folder.path().join("agent.sqlite"));
    let db = Db::open(&database, &coachbot_agent::store::MIGRATIONS).await?;
    let clock = MockClock::at("2026-11-25T12:00:00Z");
    let fake = FakeConnector::new(clock.clone());
    let url = "https://bot.example".parse()?;
    let agent = Arc::new(Agent::new(Store::new(db), fake.transport(), url, clock.clone()));
    let routes = coachbot_agent::routes(&agent).prepare();
    let mut service =
        AgentServiceClient::new(rpc::direct(routes, coachbot_agent::policy(), Identity::Gateway));
    let workspace = new_id(clock.now()).to_string();
    let limit = Duration::from_secs(10);
    let facts = PutWorkspaceRequest {
        workspace_id: workspace.clone(),
        name: "Bench".to_owned(),
        channel: Channel::Whatsapp.into(),
        timezone: "Europe/London".to_owned(),
        version: 1,
    };
    service.put_workspace(with_deadline(facts, limit)).await?;

    println!("\nCommits (the gateway takes a webhook with one insert)");
    let book = r#"{"start":"2026-12-01T09:00:00Z","name":"Anna King","email":"anna@example.com"}"#;
    let slots = r#"{"from":"2026-12-01","to":"2026-12-02"}"#;
    let runs = [
        ("run: plain reply", vec![say("Hello!")]),
        (
            "run: slots, booking, reply (at most 7)",
            vec![call("c1", "listSlots", slots), call("c2", "bookConsult", book), say("See you then.")],
        ),
    ];
    for (number, (name, answers)) in runs.into_iter().enumerate() {
        answers.into_iter().for_each(|answer| fake.answers([answer]));
        let before = agent.commits();
        let message = IngestMessageRequest {
            workspace_id: workspace.clone(),
            provider_message_id: format!("SM{number:032x}"),
            from: "whatsapp:+447700900456".to_owned(),
            text: "Book me Tuesday 9:00, anna@example.com".to_owned(),
            received_at: Some(to_wire(clock.now())),
            ..Default::default()
        };
        service.ingest_message(with_deadline(message, limit)).await?;
        let ingested = agent.commits();
        clock.advance(Duration::from_secs(2));
        agent.drain().await?;
        println!("  {:<44} {:>13}", "ingest of a message", ingested - before);
        println!("  {name:<44} {:>13}", agent.commits() - ingested);
    }
    Ok(())
}
