//! What happens when something is away.

use std::time::Duration;

use coachbot_common::db::Database;
use coachbot_integrations::Provider;
use coachbot_proto::vault::v1::KeyState;
use serde_json::json;
use tonic::Status;

use crate::support::agent::Taken;
use crate::support::{FakeAgent, FakeVault, TestGateway};

#[tokio::test]
async fn ready_says_one_word_for_each_thing_that_is_needed() {
    let test = TestGateway::start().await;
    assert_eq!(test.send("GET", "/healthz", &[], "").await.status, 200);
    let ready = test.send("GET", "/readyz", &[], "").await;
    assert_eq!(ready.status, 200);
    assert_eq!(
        ready.json(),
        json!({"status": "ok", "checks": {
            "database": {"status": "ok"},
            "vault": {"status": "ok", "key_state": "OK"},
            "connector": {"status": "ok"},
            "agent": {"status": "ok"},
        }})
    );

    test.vault.lock(KeyState::Missing, "KEY_MISSING");
    let ready = test.send("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")));
    assert_eq!(ready.json()["checks"]["vault"], json!({"status": "degraded", "key_state": "KEY_MISSING"}));

    test.vault.be_away(true);
    let ready = test.send("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")));
    assert_eq!(ready.json()["checks"]["vault"], json!({"status": "unavailable", "key_state": null}));

    test.gateway.close().await;
    let ready = test.send("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("unavailable")));
    assert_eq!(test.send("GET", "/healthz", &[], "").await.status, 200);
    test.end().await;
}

#[tokio::test]
async fn a_vault_that_is_away_is_a_503_and_the_rest_works() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    test.vault.be_away(true);
    let away = test.get(&format!("/workspaces/{id}/integrations")).await;
    away.problem(503);
    assert_eq!(away.header("retry-after"), Some("10"));
    test.get(&format!("/workspaces/{id}/integrations/vapi/tool-token")).await.problem(503);
    let put = json!({"fields": {"api_key": "sk-1"}});
    test.call("PUT", &format!("/workspaces/{id}/integrations/openai"), Some(put)).await.problem(503);
    assert_eq!(test.get(&format!("/workspaces/{id}")).await.status, 200);
    assert_eq!(test.get(&format!("/workspaces/{id}/webhooks")).await.status, 200);
    test.end().await;
}

#[tokio::test]
async fn a_vault_that_hangs_is_given_up() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    test.vault.hang();
    let path = format!("/workspaces/{id}/integrations");
    let answer = tokio::time::timeout(Duration::from_secs(15), test.get(&path)).await;
    answer.expect("the call has a deadline").problem(503);
    test.end().await;
}

#[tokio::test]
async fn a_fault_of_another_service_is_told_as_ours_and_without_its_words() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    let path = format!("/workspaces/{id}/integrations/openai/verify");
    for (status, code) in [
        (Status::internal("s3cret words"), 500),
        (Status::permission_denied("s3cret words"), 500),
        (Status::unavailable("s3cret words"), 503),
        (Status::cancelled("Timeout expired"), 503),
        (Status::deadline_exceeded("s3cret words"), 503),
    ] {
        test.connector.find(Err(status));
        let answer = test.call("POST", &path, None).await;
        answer.problem(code);
        assert!(!answer.body.contains("s3cret"), "{answer:?}");
    }
    test.end().await;
}

#[tokio::test]
async fn a_deletion_waits_for_the_vault_and_survives_a_restart() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    test.vault.be_away(true);
    assert_eq!(test.call("DELETE", &format!("/workspaces/{id}"), None).await.status, 204);
    test.get(&format!("/workspaces/{id}")).await.problem(404);
    assert!(!test.vault.was_deleted(&id));

    let database: Database = test.database.clone();
    let (vault, agent) = (test.vault.clone(), test.agent.clone());
    let folder = test.end().await;
    vault.be_away(false);
    let again = TestGateway::over(database, "http://localhost", vault.clone(), agent.clone()).await;
    tokio::time::timeout(Duration::from_secs(10), vault.deleted(&id))
        .await
        .expect("it is gone on with at the start");
    agent.took(|ledger| ledger.contains(&Taken::Gone(id.clone()))).await;
    again.get(&format!("/workspaces/{id}")).await.problem(404);
    again.end().await;
    drop(folder);
}

#[tokio::test]
async fn a_vault_that_comes_back_gets_what_was_left() {
    let test = TestGateway::start().await;
    let first = test.workspace("voice").await;
    let second = test.workspace("voice").await;
    test.vault.be_away(true);
    assert_eq!(test.call("DELETE", &format!("/workspaces/{first}"), None).await.status, 204);
    test.vault.be_away(false);
    // The next deletion wakes the task, which takes what is left too.
    assert_eq!(test.call("DELETE", &format!("/workspaces/{second}"), None).await.status, 204);
    for id in [&first, &second] {
        tokio::time::timeout(Duration::from_secs(10), test.vault.deleted(id)).await.unwrap();
    }
    test.end().await;
}

#[tokio::test]
async fn a_save_beside_a_deletion_leaves_nothing_in_the_vault() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    let hold = test.vault.hold();
    let path = format!("/workspaces/{id}/integrations/openai");
    let save = test.call("PUT", &path, Some(json!({"fields": {"api_key": "sk-0123456789abcdef0123"}})));
    let delete = async {
        hold.arrived().await;
        assert_eq!(test.call("DELETE", &format!("/workspaces/{id}"), None).await.status, 204);
        test.vault.deleted(&id).await;
        hold.go_on();
    };
    let (saved, ()) = tokio::join!(save, delete);
    saved.problem(404);
    assert!(test.vault.stored(&id, Provider::Openai).is_empty());
    test.end().await;
}

#[tokio::test]
async fn an_empty_database_without_keys_gets_its_owner_by_the_first_link() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder.path().join("gateway.sqlite"));
    let config = coachbot_gateway::Config::new("127.0.0.1:1".parse().unwrap(), database.clone());
    let clock = coachbot_common::testing::MockClock::at("2026-11-25T12:00:00Z");
    let link = coachbot_gateway::sign_in_link(&config, clock).await.unwrap();
    assert_eq!(link.origin().ascii_serialization(), "http://localhost:1");

    // A server on the same database knows the link; its bootstrap keys come too late.
    let test =
        TestGateway::over(database, "http://localhost", FakeVault::default(), FakeAgent::default()).await;
    let answer = test.send("GET", link.path(), &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    test.get("/workspaces").await.problem(401);
    test.end().await;
}
