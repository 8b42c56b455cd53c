//! What Twilio sends: judged, stored once, answered, handed on.

use std::time::Duration;

use coachbot_common::db::{Db, read};
use coachbot_common::testing::fresh_postgres;
use coachbot_gateway::store::{Arrival, Bounds, InboxKind, MIGRATIONS, Store};
use coachbot_proto::agent::v1::IngestMessageRequest;
use coachbot_proto::vault::v1::KeyState;
use tonic::Status;

use crate::support::agent::Taken;
use crate::support::twilio::{LEAD, PUBLIC, TOKEN, body, message, sid, sign, status};
use crate::support::{Answer, FakeAgent, FakeVault, KEY, OTHER_KEY, TestGateway};

const INTENT: &str = "01937a3e-6f00-7000-8000-0000000000aa";

fn messages(workspace: &str) -> String {
    format!("/webhooks/twilio/{workspace}/messages")
}

fn statuses(workspace: &str) -> String {
    format!("/webhooks/twilio/{workspace}/status/{INTENT}")
}

/// Rows of the inbox: all, and those that are not verified.
async fn rows(test: &TestGateway) -> (i64, i64) {
    let db = Db::open(&test.database, &MIGRATIONS).await.unwrap();
    let counted: (i64, i64) = read!(db, |pool| {
        sqlx::query_as("SELECT COUNT(*), COALESCE(SUM(NOT verified), 0) FROM webhook_inbox")
            .fetch_one(pool)
            .await
    })
    .unwrap();
    db.close().await;
    counted
}

fn assert_taken(answer: &Answer) {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/xml")), "{answer:?}");
    assert_eq!(answer.body, "<Response></Response>");
}

fn texts(messages: &[IngestMessageRequest]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

#[tokio::test]
async fn a_signed_message_is_stored_answered_and_handed_on() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let sent = message(1, LEAD, "Hi! Can I book Tue 9am? 👍 a+b=c & 50%");
    assert_taken(&test.twilio(&messages(&workspace), &sent).await);
    test.agent.took_messages(1).await;
    let taken = test.agent.messages().remove(0);
    let expected = IngestMessageRequest {
        workspace_id: workspace.clone(),
        provider_message_id: sid(1),
        from: LEAD.to_owned(),
        external_user_id: None,
        profile_name: Some("Zoë K.".to_owned()),
        text: "Hi! Can I book Tue 9am? 👍 a+b=c & 50%".to_owned(),
        media_types: Vec::new(),
        received_at: Some(prost_types::Timestamp { seconds: 1_795_608_000, nanos: 0 }),
    };
    assert!(taken == expected);
    assert_eq!(rows(&test).await, (1, 0));

    let answer = test.twilio(&statuses(&workspace), &status(7, "delivered")).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    test.agent.took(|ledger| ledger.iter().any(|taken| matches!(taken, Taken::Status(_)))).await;
    let state = test.agent.statuses().remove(0);
    assert_eq!((state.workspace_id, state.intent_id), (workspace, INTENT.to_owned()));
    assert_eq!((state.provider_message_id, state.status.as_str()), (sid(7), "delivered"));
    assert_eq!(state.error_code, None);
    test.end().await;
}

#[tokio::test]
async fn the_port_may_be_written_and_a_query_is_signed_with_the_path() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let path = messages(&workspace);
    let sent = message(1, LEAD, "Hi");
    let signature = sign(TOKEN, &format!("{PUBLIC}:443{path}"), &sent);
    assert_taken(&test.webhook(&path, &signature, &body(&sent)).await);
    assert_taken(&test.twilio(&format!("{path}?a=%2F&b"), &message(2, LEAD, "again")).await);
    let elsewhere = sign(TOKEN, &format!("https://evil.example{path}"), &sent);
    assert_eq!(test.webhook(&path, &elsewhere, &body(&sent)).await.status, 403);
    test.end().await;
}

#[tokio::test]
async fn whatever_is_wrong_with_one_the_answer_is_the_same_and_nothing_is_stored() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let voice = test.workspace("voice").await;
    let others = test.workspace_of(OTHER_KEY, "whatsapp").await;
    let deleted = test.workspace("whatsapp").await;
    test.connect_twilio(&deleted).await;
    assert_eq!(test.call("DELETE", &format!("/workspaces/{deleted}"), None).await.status, 204);
    let sent = message(1, LEAD, "Hi");
    let path = messages(&workspace);
    let good = sign(TOKEN, &format!("{PUBLIC}{path}"), &sent);
    let changed = |from: &str, to: &str| body(&sent).replace(from, to);
    let mut foreign = sent.clone();
    foreign[2].1 = "AC99112233445566778899aabbccddeeff".to_owned();
    let without = |name: &str| sent.iter().filter(|(known, _)| known != name).cloned().collect::<Vec<_>>();

    let mut answers = vec![
        test.twilio_as("another token", &path, &sent).await,
        test.webhook(&path, &good, &changed("Body=Hi", "Body=Hi%21")).await,
        test.webhook(&path, &good, &changed("ButtonPayload=&", "")).await,
        test.webhook(&path, &good, &format!("{}&More=1", body(&sent))).await,
        test.webhook(&path, "", &body(&sent)).await,
        test.webhook(&path, "not base64!", &body(&sent)).await,
        test.webhook(&path, "AAAA", &body(&sent)).await,
        test.send("POST", &path, &[("content-type", "application/x-www-form-urlencoded")], &body(&sent))
            .await,
        test.webhook(&format!("{path}?x=1"), &good, &body(&sent)).await,
        test.twilio(&path, &foreign).await,
        test.twilio(&messages("01937a3e-6f00-7000-8000-00000000000a"), &sent).await,
        test.twilio(&messages("nothing"), &sent).await,
        test.twilio(&messages(&workspace.to_uppercase()), &sent).await,
        test.twilio(&messages(&voice), &sent).await,
        test.twilio(&messages(&others), &sent).await,
        test.twilio(&messages(&deleted), &sent).await,
        test.twilio(&format!("/webhooks/twilio/{workspace}/status/nothing"), &status(1, "sent")).await,
        test.twilio(&statuses(&workspace), &message(1, LEAD, "no status")).await,
    ];
    for name in ["MessageSid", "AccountSid", "From", "To"] {
        answers.push(test.twilio(&path, &without(name)).await);
    }
    let json = [("content-type", "application/json"), ("x-twilio-signature", good.as_str())];
    answers.push(test.send("POST", &path, &json, "{}").await);
    let shared_key = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-twilio-signature", good.as_str()),
        ("x-twilio-webhooks-signature-settings", "key=whk_1,algorithm=HMAC_SHA256"),
    ];
    answers.push(test.send("POST", &path, &shared_key, &body(&sent)).await);

    let first = answers[0].clone();
    first.problem(403);
    for answer in &answers {
        let headers = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.retain(|(name, _)| name != "date");
            headers
        };
        assert_eq!((answer.status, &answer.body), (403, &first.body));
        assert_eq!(headers(answer), headers(&first));
    }
    assert_eq!(rows(&test).await, (0, 0));
    assert!(test.agent.messages().is_empty());
    let large = test.webhook(&path, &good, &"a".repeat(65 * 1024)).await;
    assert_eq!(large.status, 413);
    test.end().await;
}

#[tokio::test]
async fn fifty_copies_at_once_are_one_row_and_one_message() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let path = messages(&workspace);
    let sent = message(1, LEAD, "Hi");
    let copies = futures_util::future::join_all((0..50).map(|_| test.twilio(&path, &sent))).await;
    copies.iter().for_each(assert_taken);
    // What comes behind them is handed on behind them.
    assert_taken(&test.twilio(&path, &message(2, LEAD, "Are you there?")).await);
    test.agent.took_messages(2).await;
    assert_taken(&test.twilio(&path, &sent).await);
    assert_eq!(texts(&test.agent.messages()), ["Hi", "Are you there?"]);
    assert_eq!(rows(&test).await, (2, 0));
    test.end().await;
}

/// Both on Postgres, which replicas share.
#[tokio::test]
async fn two_gateways_on_one_database_hand_each_row_on_once() {
    let Some(shared) = fresh_postgres(&MIGRATIONS).await else { return };
    let (vault, agent) = (FakeVault::default(), FakeAgent::default());
    let one = TestGateway::over(shared.database(), PUBLIC, vault.clone(), agent.clone()).await;
    let two = TestGateway::over(shared.database(), PUBLIC, vault, agent.clone()).await;
    let workspace = one.workspace("whatsapp").await;
    one.connect_twilio(&workspace).await;
    let path = messages(&workspace);
    let sent: Vec<_> =
        (0..40).map(|number| message(number, &format!("whatsapp:+4477009{number:05}"), "Hi")).collect();
    let both = sent.iter().flat_map(|params| [one.twilio(&path, params), two.twilio(&path, params)]);
    for answer in futures_util::future::join_all(both).await {
        assert_taken(&answer);
    }
    // What an agent did not know yet comes a second later.
    for clock in [&one.clock, &two.clock] {
        clock.advance(Duration::from_secs(3));
    }
    agent.took_messages(40).await;
    // Both look once more and find nothing.
    for (gateway, number) in [(&one, 100), (&two, 101)] {
        assert_taken(&gateway.twilio(&path, &message(number, LEAD, "last")).await);
    }
    agent.took_messages(42).await;
    assert_eq!(agent.messages().len(), 42);
    one.end().await;
    two.end().await;
    shared.end().await;
}

#[tokio::test]
async fn each_state_of_a_message_is_taken_once() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let path = statuses(&workspace);
    for state in ["sent", "delivered", "sent", "read", "delivered"] {
        assert_eq!(test.twilio(&path, &status(1, state)).await.status, 204);
    }
    let mut failed = status(2, "undelivered");
    failed.push(("ErrorCode".to_owned(), "63016".to_owned()));
    assert_eq!(test.twilio(&path, &failed).await.status, 204);
    test.agent
        .took(|ledger| ledger.iter().filter(|taken| matches!(taken, Taken::Status(_))).count() >= 4)
        .await;
    let taken = test.agent.statuses();
    let states: Vec<_> = taken.iter().map(|taken| taken.status.as_str()).collect();
    assert_eq!(states, ["sent", "delivered", "read", "undelivered"]);
    assert_eq!(taken[3].error_code, Some(63_016));
    assert_eq!(rows(&test).await, (4, 0));
    test.end().await;
}

#[tokio::test]
async fn a_leads_messages_are_handed_on_in_their_order() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let path = messages(&workspace);
    test.agent.refuse(Status::internal("a hiccup"));
    let other = "whatsapp:+447700900555";
    let mut expected = Vec::new();
    for number in 0..6 {
        let text = format!("number {number}");
        assert_taken(&test.twilio(&path, &message(number, LEAD, &text)).await);
        assert_taken(&test.twilio(&path, &message(100 + number, other, "other")).await);
        expected.push(text);
    }
    // The row that was refused is tried again when its time has come.
    test.agent.took(|_| true).await;
    let later = async {
        loop {
            test.clock.advance(Duration::from_secs(2));
            if test.agent.messages().len() >= 12 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), later).await.unwrap();
    let taken: Vec<_> = test.agent.messages().into_iter().filter(|message| message.from == LEAD).collect();
    assert_eq!(texts(&taken), expected);
    test.end().await;
}

#[tokio::test]
async fn rows_wait_for_an_agent_that_is_away_and_survive_a_restart() {
    let (test, workspace) = TestGateway::with_twilio().await;
    test.agent.be_away(true);
    assert_taken(&test.twilio(&messages(&workspace), &message(1, LEAD, "before")).await);
    let (database, vault, agent) = (test.database.clone(), test.vault.clone(), test.agent.clone());
    let folder = test.end().await;

    let again = TestGateway::over(database, PUBLIC, vault, agent.clone()).await;
    assert_taken(&again.twilio(&messages(&workspace), &message(2, LEAD, "after")).await);
    assert!(agent.messages().is_empty());
    agent.be_away(false);
    agent.took_messages(2).await;
    assert_eq!(texts(&agent.messages()), ["before", "after"]);
    again.end().await;
    drop(folder);
}

#[tokio::test]
async fn an_agent_that_forgot_the_workspace_is_told_again() {
    let (test, workspace) = TestGateway::with_twilio().await;
    test.agent.forget_workspaces();
    assert_taken(&test.twilio(&messages(&workspace), &message(1, LEAD, "Hi")).await);
    let told = |ledger: &[Taken]| ledger.iter().filter(|taken| matches!(taken, Taken::Facts(_))).count() >= 2;
    test.agent.took(told).await;
    test.clock.advance(Duration::from_secs(2));
    test.agent.took_messages(1).await;
    test.end().await;
}

#[tokio::test]
async fn a_row_that_the_agent_can_never_take_holds_nobody_up() {
    let (test, workspace) = TestGateway::with_twilio().await;
    test.agent.refuse(Status::invalid_argument("never"));
    assert_taken(&test.twilio(&messages(&workspace), &message(1, LEAD, "odd")).await);
    assert_taken(&test.twilio(&messages(&workspace), &message(2, LEAD, "even")).await);
    test.agent.took_messages(1).await;
    assert_eq!(texts(&test.agent.messages()), ["even"]);
    test.end().await;
}

#[tokio::test]
async fn what_comes_while_the_vault_is_away_is_judged_when_it_is_back() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let path = messages(&workspace);
    test.vault.be_away(true);
    let forged = message(1, LEAD, "forged");
    for _ in 0..2 {
        assert_taken(&test.twilio_as("another token", &path, &forged).await);
        assert_taken(&test.twilio(&path, &message(1, LEAD, "genuine")).await);
    }
    assert_taken(&test.twilio(&path, &message(2, LEAD, "second")).await);
    assert_eq!(test.twilio(&statuses(&workspace), &status(3, "sent")).await.status, 204);
    assert_eq!(rows(&test).await, (4, 4));
    // Whom nobody knows is refused without asking anybody.
    let unknown = messages("01937a3e-6f00-7000-8000-00000000000a");
    assert_eq!(test.twilio(&unknown, &message(9, LEAD, "Hi")).await.status, 403);
    let voice = test.workspace("voice").await;
    assert_eq!(test.twilio(&messages(&voice), &message(9, LEAD, "Hi")).await.status, 403);
    assert_eq!(test.webhook(&path, "", &body(&forged)).await.status, 403);
    assert!(test.agent.messages().is_empty());

    test.vault.be_away(false);
    // One that is verified at once stays behind those that came before it.
    assert_taken(&test.twilio(&path, &message(4, LEAD, "third")).await);
    test.agent.took_messages(3).await;
    assert_eq!(texts(&test.agent.messages()), ["genuine", "second", "third"]);
    test.agent.took(|ledger| ledger.iter().any(|taken| matches!(taken, Taken::Status(_)))).await;
    assert_eq!(rows(&test).await, (4, 0));
    // The genuine one is known now, whoever sends it.
    assert_taken(&test.twilio(&path, &message(1, LEAD, "genuine")).await);
    assert_eq!(rows(&test).await, (4, 0));
    test.end().await;
}

#[tokio::test]
async fn what_comes_while_the_vault_is_locked_survives_a_restart() {
    let (test, workspace) = TestGateway::with_twilio().await;
    test.vault.lock(KeyState::Missing, "KEY_MISSING");
    assert_taken(&test.twilio(&messages(&workspace), &message(1, LEAD, "locked")).await);
    let (database, vault, agent) = (test.database.clone(), test.vault.clone(), test.agent.clone());
    let folder = test.end().await;
    let again = TestGateway::over(database, PUBLIC, vault.clone(), agent.clone()).await;
    assert_taken(&again.twilio(&messages(&workspace), &message(2, LEAD, "still locked")).await);
    assert_eq!(rows(&again).await, (2, 2));
    vault.unlock();
    agent.took_messages(2).await;
    assert_eq!(texts(&agent.messages()), ["locked", "still locked"]);
    again.end().await;
    drop(folder);
}

#[tokio::test]
async fn credentials_that_do_not_open_keep_messages_until_they_are_entered_again() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let other = test.workspace("whatsapp").await;
    test.vault.damage();
    assert_taken(&test.twilio(&messages(&workspace), &message(1, LEAD, "damaged")).await);
    test.vault.mend();
    // Nothing is connected there: what came unverified goes.
    test.vault.be_away(true);
    assert_taken(&test.twilio(&messages(&other), &message(2, LEAD, "nobody's")).await);
    test.vault.be_away(false);
    let judged = async {
        loop {
            test.clock.advance(Duration::from_secs(20));
            if rows(&test).await == (1, 0) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), judged).await.unwrap();
    test.agent.took_messages(1).await;
    assert_eq!(texts(&test.agent.messages()), ["damaged"]);
    test.end().await;
}

#[tokio::test]
async fn the_quarantine_of_one_workspace_is_bounded() {
    let (test, workspace) = TestGateway::with_twilio().await;
    let other = test.workspace("whatsapp").await;
    test.vault.be_away(true);
    let store = Store::open(&test.database).await.unwrap();
    let id = coachbot_common::id::WorkspaceId::parse(&workspace).unwrap();
    for number in 0..500_u32 {
        let arrival = Arrival {
            workspace: id,
            kind: InboxKind::TwilioMessage,
            key: sid(1_000 + number),
            intent: None,
            lane: [1; 32],
            payload: Vec::new(),
            received_at: "2026-11-25T12:00:00Z".parse().unwrap(),
            traceparent: None,
        };
        let bounds = Bounds { workspace: 500, all: 10_000 };
        store.quarantine(&arrival, "/", &[0; 20], &[2; 32], bounds).await.unwrap();
    }
    store.close().await;
    let full = test.twilio(&messages(&workspace), &message(1, LEAD, "too many")).await;
    full.problem(503);
    assert_eq!(full.header("retry-after"), Some("10"));
    assert_taken(&test.twilio(&messages(&other), &message(1, LEAD, "room")).await);
    assert_eq!(rows(&test).await, (501, 501));
    test.end().await;
}

#[tokio::test]
async fn without_its_database_nothing_is_taken() {
    let (test, workspace) = TestGateway::with_twilio().await;
    test.gateway.close().await;
    test.twilio(&messages(&workspace), &message(1, LEAD, "Hi")).await.problem(503);
    test.twilio(&statuses(&workspace), &status(1, "sent")).await.problem(503);
    assert_eq!(rows(&test).await, (0, 0));
    test.end().await;
}

#[tokio::test]
async fn a_vault_that_hangs_holds_nobody_up_for_long() {
    let (test, workspace) = TestGateway::with_twilio().await;
    test.vault.hang();
    let (path, sent) = (messages(&workspace), message(1, LEAD, "Hi"));
    let answer = tokio::time::timeout(Duration::from_secs(10), test.twilio(&path, &sent)).await;
    assert_taken(&answer.expect("the provider waits 15 s"));
    assert_eq!(rows(&test).await, (1, 1));
    test.end().await;
}

#[tokio::test]
async fn the_facts_of_a_workspace_are_told_and_its_end_too() {
    let test = TestGateway::start().await;
    test.agent.be_away(true);
    let id = test.workspace("voice").await;
    test.agent.be_away(false);
    test.agent.was_told(&id, 1).await;
    let path = format!("/workspaces/{id}");
    let body = serde_json::json!({"name": "New name"});
    assert_eq!(test.call_as(KEY, "PATCH", &path, Some(body)).await.status, 200);
    test.agent.was_told(&id, 2).await;
    let last = test.agent.ledger().pop();
    let Some(Taken::Facts(facts)) = last else { panic!("facts come last") };
    assert_eq!((facts.name.as_str(), facts.timezone.as_str()), ("New name", "Europe/London"));

    // The vault's part comes first: while it is away the agent keeps its own.
    test.vault.be_away(true);
    assert_eq!(test.call("DELETE", &path, None).await.status, 204);
    assert!(test.agent.knows(&id));
    test.vault.be_away(false);
    test.agent.took(|ledger| ledger.contains(&Taken::Gone(id.clone()))).await;
    assert!(test.vault.was_deleted(&id) && !test.agent.knows(&id));
    test.end().await;
}
