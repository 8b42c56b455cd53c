//! What the vault promises beyond its store, on both engines.

use std::collections::BTreeMap;
use std::time::Duration;

use coachbot_common::db::{Db, execute};
use coachbot_common::id::new_id;
use coachbot_common::suite;
use coachbot_common::testing::{MockClock, fresh_postgres};
use coachbot_integrations::{Fields, Provider};
use jiff::Timestamp;
use secrecy::SecretString;

use super::*;
use crate::platform::FirstUse;
use crate::store::MIGRATIONS;

const KEY: &str = "c14f02afbd050f8e2f1dac88b3fce28ae5c3071c5ca93543efdb992e3b955ee3";
const OTHER_KEY: &str = "b2b3fb36d00a56932f088c140700622cc4db73a1cff473c42fc7c5ff26802bde";
const SID: &str = "AC00112233445566778899aabbccddeeff";

fn clock() -> Arc<MockClock> {
    MockClock::at("2026-11-25T12:00:00Z")
}

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn twilio() -> Subject {
    Subject { workspace: WorkspaceId::from_uuid(new_id(now())), provider: Provider::Twilio }
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect()
}

fn first_save(token: &str) -> Fields {
    fields(&[("account_sid", SID), ("auth_token", token), ("from", "whatsapp:+447700900999")])
}

async fn judged(db: &Db, key: Option<&str>) -> Platform {
    let key = key.map(SecretString::from);
    Platform::judge(Some(&Store::new(db.clone())), key.as_ref(), FirstUse::Enrol(now())).await.unwrap()
}

async fn vault_with(db: &Db, key: Option<&str>, clock: Arc<MockClock>) -> Arc<Vault> {
    Arc::new(Vault::new(Store::new(db.clone()), judged(db, key).await, clock))
}

async fn vault(db: &Db) -> Arc<Vault> {
    vault_with(db, Some(KEY), clock()).await
}

async fn leased(vault: &Vault, subject: Subject) -> (BTreeMap<String, String>, u64) {
    let leased = vault.lease(subject).await.map_err(|error| error.to_string()).unwrap();
    (coachbot_integrations::to_wire(&leased.fields), leased.revision)
}

fn text(key: &str) -> Option<KeyId> {
    crate::platform_key::parse(Some(&key.into())).ok().map(|key| key.id())
}

async fn run(db: &Db, statement: &'static str, subject: Subject) {
    let rows = execute!(db, sqlx::query(statement).bind(subject.workspace.as_uuid())).unwrap();
    assert_eq!(rows, 1);
}

/// Flips the last byte of a sealed column, whatever the engine.
async fn damage(db: &Db, subject: Subject, column: &'static str) {
    let statement = match (column, db) {
        ("record", Db::Sqlite { .. }) => {
            "UPDATE workspace_integrations SET encrypted_data = CAST(substr(encrypted_data, 1, length(encrypted_data) - 1) || x'00' AS BLOB) WHERE workspace_id = $1"
        }
        ("record", Db::Postgres(_)) => {
            "UPDATE workspace_integrations SET encrypted_data = substring(encrypted_data FROM 1 FOR octet_length(encrypted_data) - 1) || '\\x00'::bytea WHERE workspace_id = $1"
        }
        (_, Db::Sqlite { .. }) => {
            "UPDATE data_keys SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB) WHERE workspace_id = $1"
        }
        (_, Db::Postgres(_)) => {
            "UPDATE data_keys SET sealed = substring(sealed FROM 1 FOR octet_length(sealed) - 1) || '\\x00'::bytea WHERE workspace_id = $1"
        }
    };
    run(db, statement, subject).await;
}

async fn a_partial_update_is_merged_inside(db: Db) {
    let (vault, subject) = (vault(&db).await, twilio());
    vault.put(subject, &first_save("token-1")).await.unwrap();
    let saved = vault.put(subject, &fields(&[("from", "whatsapp:+447700900111")])).await.unwrap();
    assert_eq!((saved.revision, saved.readable), (2, true));
    let (found, revision) = leased(&vault, subject).await;
    assert_eq!(revision, 2);
    assert_eq!(found["auth_token"], "token-1");
    assert_eq!(found["from"], "whatsapp:+447700900111");
    let refused = vault.put(subject, &fields(&[("auth_token", ""), ("nonsense", "x")])).await;
    let Err(Error::Fields(problems)) = refused else { panic!("saved") };
    let names: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(names, ["auth_token", "nonsense"]);
    assert_eq!(leased(&vault, subject).await.1, 2);
}

async fn partial_updates_at_once_lose_nothing(db: Db) {
    // Two replicas, of which neither waits for the other.
    let replicas = [vault(&db).await, vault(&db).await];
    let subject = Subject { provider: Provider::Openai, ..twilio() };
    replicas[0].put(subject, &fields(&[("api_key", "sk-first")])).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for round in 0..8 {
        for (replica, update) in replicas.iter().zip([("model", "gpt-4o-mini"), ("region", "eu")]) {
            let vault = Arc::clone(replica);
            let update = if round == 7 { update } else { ("api_key", "sk-again") };
            tasks.spawn(
                async move { vault.put(subject, &fields(&[update])).await.map(|saved| saved.revision) },
            );
        }
    }
    let mut revisions: Vec<_> = tasks.join_all().await.into_iter().map(Result::unwrap).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=17).collect::<Vec<_>>());
    for vault in [vault(&db).await] {
        let (found, revision) = leased(&vault, subject).await;
        assert_eq!(revision, 17);
        assert_eq!((found["model"].as_str(), found["region"].as_str()), ("gpt-4o-mini", "eu"));
    }
}

async fn a_warm_lease_runs_no_statement(db: Db) {
    let (vault, subject) = (vault(&db).await, twilio());
    vault.put(subject, &first_save("token-1")).await.unwrap();
    let cold = leased(&vault, subject).await;
    // No statement can run any more.
    db.close().await;
    assert_eq!(leased(&vault, subject).await, cold);
    let other = Subject { provider: Provider::Openai, ..subject };
    assert!(matches!(vault.lease(other).await, Err(Error::Store(_))));
}

async fn a_save_and_a_deletion_are_seen_at_once_by_this_process(db: Db) {
    let (vault, subject) = (vault(&db).await, twilio());
    for round in 1..=5 {
        let token = format!("token-{round}");
        vault.put(subject, &first_save(&token)).await.unwrap();
        assert_eq!(leased(&vault, subject).await.0["auth_token"], token);
        assert_eq!(leased(&vault, subject).await.0["auth_token"], token);
    }
    assert!(vault.delete(subject).await.unwrap());
    assert!(!vault.delete(subject).await.unwrap());
    assert!(matches!(vault.lease(subject).await, Err(Error::NotConnected(Provider::Twilio))));
    let saved = vault.put(subject, &first_save("token-6")).await.unwrap();
    assert_eq!(saved.revision, 7);
    vault.delete_workspace(subject.workspace).await.unwrap();
    assert!(matches!(vault.lease(subject).await, Err(Error::NotConnected(_))));
}

async fn leases_during_saves_never_leave_an_old_entry_behind(db: Db) {
    let (vault, subject) = (vault(&db).await, twilio());
    vault.put(subject, &first_save("token-0")).await.unwrap();
    for round in 1..=20 {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let vault = Arc::clone(&vault);
            tasks.spawn(async move { leased(&vault, subject).await.1 });
        }
        let saved = vault.put(subject, &first_save(&format!("token-{round}"))).await.unwrap().revision;
        tasks.join_all().await;
        assert_eq!(leased(&vault, subject).await.1, saved);
    }
}

async fn an_old_ciphertext_does_not_open_as_a_newer_row(db: Db) {
    let (vault, subject) = (vault(&db).await, twilio());
    vault.put(subject, &first_save("token-1")).await.unwrap();
    let old = vault.store.find_record(subject).await.unwrap().unwrap().sealed.unwrap();
    vault.delete(subject).await.unwrap();
    vault.put(subject, &first_save("token-2")).await.unwrap();
    let statement = "UPDATE workspace_integrations SET encrypted_data = $2 WHERE workspace_id = $1";
    execute!(
        db,
        sqlx::query(statement).bind(subject.workspace.as_uuid()).bind(old.encrypted_data.as_slice())
    )
    .unwrap();
    assert!(matches!(vault.lease(subject).await, Err(Error::CannotDecrypt)));
}

async fn a_damaged_record_is_said_unreadable_and_can_be_entered_again(db: Db) {
    let (vault, subject) = (vault(&db).await, twilio());
    vault.put(subject, &first_save("token-1")).await.unwrap();
    damage(&db, subject, "record").await;
    let readable = async || vault.describe(subject.workspace).await.unwrap()[0].readable;
    assert!(readable().await);
    assert!(matches!(vault.lease(subject).await, Err(Error::CannotDecrypt)));
    assert!(matches!(vault.lease(subject).await, Err(Error::CannotDecrypt)));
    assert!(!readable().await);
    // What cannot be read cannot be kept.
    let partial = vault.put(subject, &fields(&[("from", "whatsapp:+447700900111")])).await;
    assert!(matches!(partial, Err(Error::Fields(problems)) if problems.len() == 2));
    assert!(!readable().await);
    vault.put(subject, &first_save("token-2")).await.unwrap();
    assert!(readable().await);
    assert_eq!(leased(&vault, subject).await.0["auth_token"], "token-2");
}

async fn a_damaged_data_key_is_replaced_at_the_next_whole_save(db: Db) {
    let (vault, subject) = (vault(&db).await, twilio());
    vault.put(subject, &first_save("token-1")).await.unwrap();
    vault.issue_tool_token(subject.workspace).await.unwrap();
    damage(&db, subject, "data key").await;
    assert!(matches!(vault.lease(subject).await, Err(Error::CannotDecrypt)));
    assert!(matches!(vault.reveal_tool_token(subject.workspace).await, Err(Error::CannotDecrypt)));
    assert!(matches!(vault.issue_tool_token(subject.workspace).await, Err(Error::CannotDecrypt)));
    vault.put(subject, &first_save("token-2")).await.unwrap();
    assert_eq!(leased(&vault, subject).await.0["auth_token"], "token-2");
    assert_eq!(vault.store.find_data_key(subject.workspace).await.unwrap().unwrap().version, 2);
}

async fn a_record_moved_to_another_workspace_does_not_open(db: Db) {
    let (vault, one, other) = (vault(&db).await, twilio(), twilio());
    vault.put(one, &first_save("token-1")).await.unwrap();
    vault.put(other, &first_save("token-2")).await.unwrap();
    for statement in [
        "UPDATE workspace_integrations SET encrypted_data = (SELECT s.encrypted_data FROM workspace_integrations s WHERE s.workspace_id <> $1), key_id = (SELECT s.key_id FROM workspace_integrations s WHERE s.workspace_id <> $1) WHERE workspace_id = $1",
        "UPDATE data_keys SET sealed = (SELECT s.sealed FROM data_keys s WHERE s.workspace_id <> $1), key_id = (SELECT s.key_id FROM data_keys s WHERE s.workspace_id <> $1) WHERE workspace_id = $1",
    ] {
        run(&db, statement, other).await;
        assert!(matches!(vault.lease(other).await, Err(Error::CannotDecrypt)));
    }
    assert_eq!(leased(&vault, one).await.0["auth_token"], "token-1");
}

async fn another_key_over_existing_data_is_a_mismatch_that_names_both(db: Db) {
    let subject = twilio();
    vault(&db).await.put(subject, &first_save("token-1")).await.unwrap();
    let locked = vault_with(&db, Some(OTHER_KEY), clock()).await;
    let lock = Lock::Mismatch { configured: text(OTHER_KEY).unwrap(), stored: text(KEY) };
    assert_eq!(locked.status().await.unwrap(), Status::Locked(lock));
    assert!(!locked.describe(subject.workspace).await.unwrap()[0].readable);
    // The right key again, and nothing was lost.
    let again = vault(&db).await;
    assert_eq!(
        again.status().await.unwrap(),
        Status::Ok { key_id: text(KEY).unwrap(), degraded: Vec::new() }
    );
    assert_eq!(leased(&again, subject).await.0["auth_token"], "token-1");
}

async fn a_bad_key_is_a_state_that_names_the_key_the_data_knows(db: Db) {
    let weak = "00".repeat(32);
    let states = async |stored| {
        for (key, lock) in [
            (None, Lock::Missing { stored }),
            (Some("REPLACE_ME"), Lock::Malformed { stored }),
            (Some(weak.as_str()), Lock::Weak { stored }),
        ] {
            let vault = vault_with(&db, key, clock()).await;
            assert_eq!(vault.status().await.unwrap(), Status::Locked(lock));
        }
    };
    states(None).await;
    assert!(Store::new(db.clone()).is_empty().await.unwrap());
    vault(&db).await;
    states(text(KEY)).await;
}

async fn a_lock_refuses_what_needs_a_key_and_nothing_else(db: Db) {
    let subject = twilio();
    let workspace = subject.workspace;
    let open = vault(&db).await;
    open.put(subject, &first_save("token-1")).await.unwrap();
    let token = open.issue_tool_token(workspace).await.unwrap();
    let vault = vault_with(&db, None, clock()).await;

    fn refused<T>(outcome: Result<T, Error>) {
        assert!(matches!(outcome, Err(Error::Locked(Lock::Missing { .. }))));
    }
    refused(vault.put(subject, &first_save("token-2")).await);
    refused(vault.lease(subject).await);
    let check = MacCheck {
        field: "auth_token".to_owned(),
        algorithm: crate::mac::Algorithm::HmacSha1,
        candidates: vec![Vec::new()],
        mac: vec![0; 20],
    };
    refused(vault.verify_mac(subject, &check).await);
    refused(vault.issue_tool_token(workspace).await);
    refused(vault.reveal_tool_token(workspace).await);

    assert_eq!(vault.check_tool_token(&token).await.unwrap(), workspace);
    assert_eq!(vault.describe(workspace).await.unwrap().len(), 1);
    assert!(vault.delete(subject).await.unwrap());
    vault.delete_workspace(workspace).await.unwrap();
    assert!(matches!(vault.check_tool_token(&token).await, Err(Error::NoToolToken)));
}

async fn a_workspace_whose_data_key_needs_another_key_is_locked_alone(db: Db) {
    let (vault, degraded, well) = (vault(&db).await, twilio(), twilio());
    for subject in [degraded, well] {
        vault.put(subject, &first_save("token-1")).await.unwrap();
    }
    let foreign = text(OTHER_KEY).unwrap();
    let statement = "UPDATE data_keys SET platform_key_id = $2 WHERE workspace_id = $1";
    execute!(
        db,
        sqlx::query(statement).bind(degraded.workspace.as_uuid()).bind(foreign.as_bytes().as_slice())
    )
    .unwrap();
    let loaded = text(KEY).unwrap();
    let status = Status::Ok { key_id: loaded, degraded: vec![degraded.workspace] };
    assert_eq!(vault.status().await.unwrap(), status);
    let refusals = [
        vault.lease(degraded).await.err(),
        vault.put(degraded, &first_save("token-2")).await.err(),
        vault.issue_tool_token(degraded.workspace).await.err(),
    ];
    for refusal in refusals {
        let Some(Error::NeedsAnotherKey { loaded: found, needed }) = refusal else { panic!("{refusal:?}") };
        assert_eq!((found, needed), (loaded, foreign));
    }
    assert!(!vault.describe(degraded.workspace).await.unwrap()[0].readable);
    assert_eq!(leased(&vault, well).await.1, 1);
}

async fn replicas_that_race_for_the_first_start_agree_on_one_key(db: Db) {
    let mut tasks = tokio::task::JoinSet::new();
    for key in [KEY, OTHER_KEY, KEY, OTHER_KEY] {
        let db = db.clone();
        tasks.spawn(async move { (key, vault_with(&db, Some(key), clock()).await.status().await.unwrap()) });
    }
    let known = tasks.join_all().await;
    let stored = Store::new(db).find_platform_key().await.unwrap().unwrap().key_id;
    for (key, status) in known {
        let expected = if text(key) == Some(stored) {
            Status::Ok { key_id: stored, degraded: Vec::new() }
        } else {
            Status::Locked(Lock::Mismatch { configured: text(key).unwrap(), stored: Some(stored) })
        };
        assert_eq!(status, expected);
    }
}

async fn a_keyring_that_is_lost_is_never_a_first_start(db: Db) {
    vault(&db).await.put(twilio(), &first_save("token-1")).await.unwrap();
    execute!(db, sqlx::query("DELETE FROM keyring")).unwrap();
    let lock = Lock::Mismatch { configured: text(OTHER_KEY).unwrap(), stored: text(KEY) };
    let vault = vault_with(&db, Some(OTHER_KEY), clock()).await;
    assert_eq!(vault.status().await.unwrap(), Status::Locked(lock));
}

async fn a_tool_token_is_made_once_and_shown_again(db: Db) {
    use secrecy::ExposeSecret as _;

    let (vault, one, other) = (vault(&db).await, twilio().workspace, twilio().workspace);
    assert!(matches!(vault.reveal_tool_token(one).await, Err(Error::NoToolToken)));
    assert_eq!(vault.tool_token_hint(one).await.unwrap(), None);
    let mut tasks = tokio::task::JoinSet::new();
    let rival = self::vault(&db).await;
    for vault in [&vault, &rival, &vault, &rival] {
        let vault = Arc::clone(vault);
        tasks.spawn(async move { vault.issue_tool_token(one).await.unwrap().expose_secret().to_owned() });
    }
    let mut issued = tasks.join_all().await;
    issued.dedup();
    assert_eq!(issued.len(), 1);
    let token = SecretString::from(issued.remove(0));
    assert_eq!(token.expose_secret().len(), 47);
    assert_eq!(vault.reveal_tool_token(one).await.unwrap().expose_secret(), token.expose_secret());
    let hint = vault.tool_token_hint(one).await.unwrap().unwrap();
    assert_eq!(hint, coachbot_integrations::mask(token.expose_secret()));
    let another = vault.issue_tool_token(other).await.unwrap();
    assert_eq!(vault.check_tool_token(&token).await.unwrap(), one);
    assert_eq!(vault.check_tool_token(&another).await.unwrap(), other);
    for odd in ["", "cbt_", "cbk_", &format!("{}x", token.expose_secret()), &token.expose_secret()[..46]] {
        let checked = vault.check_tool_token(&SecretString::from(odd)).await;
        assert!(matches!(checked, Err(Error::NoToolToken)), "{odd}");
    }
}

suite!(
    std::convert::identity::<Db>,
    MIGRATIONS,
    [
        a_partial_update_is_merged_inside,
        partial_updates_at_once_lose_nothing,
        a_warm_lease_runs_no_statement,
        a_save_and_a_deletion_are_seen_at_once_by_this_process,
        leases_during_saves_never_leave_an_old_entry_behind,
        an_old_ciphertext_does_not_open_as_a_newer_row,
        a_damaged_record_is_said_unreadable_and_can_be_entered_again,
        a_damaged_data_key_is_replaced_at_the_next_whole_save,
        a_record_moved_to_another_workspace_does_not_open,
        another_key_over_existing_data_is_a_mismatch_that_names_both,
        a_bad_key_is_a_state_that_names_the_key_the_data_knows,
        a_lock_refuses_what_needs_a_key_and_nothing_else,
        a_workspace_whose_data_key_needs_another_key_is_locked_alone,
        replicas_that_race_for_the_first_start_agree_on_one_key,
        a_keyring_that_is_lost_is_never_a_first_start,
        a_tool_token_is_made_once_and_shown_again,
    ]
);

#[tokio::test]
async fn a_replica_trusts_what_it_read_for_five_seconds() {
    let Some(test) = fresh_postgres(&MIGRATIONS).await else { return };
    let clock = clock();
    let (writer, reader) = (vault(&test.db).await, vault_with(&test.db, Some(KEY), clock.clone()).await);
    let subject = twilio();
    writer.put(subject, &first_save("token-1")).await.unwrap();
    assert_eq!(leased(&reader, subject).await.1, 1);
    // Nobody tells the reader: it does not follow changes here.
    writer.put(subject, &first_save("token-2")).await.unwrap();
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(leased(&reader, subject).await.1, 1);
    clock.advance(Duration::from_millis(1));
    assert_eq!(leased(&reader, subject).await.1, 2);
}

#[tokio::test]
async fn a_replica_hears_of_what_another_one_wrote() {
    let Some(test) = fresh_postgres(&MIGRATIONS).await else { return };
    let (writer, reader) = (vault(&test.db).await, vault(&test.db).await);
    let subject = twilio();
    let stop = coachbot_common::lifecycle::Stop::new();
    let following = tokio::spawn(Arc::clone(&reader).follow_changes(stop.clone()));
    let mut expected = 0;
    for change in ["save", "save", "delete", "save", "delete workspace", "save"] {
        match change {
            "save" => drop(writer.put(subject, &first_save("token-1")).await.unwrap()),
            "delete" => assert!(writer.delete(subject).await.unwrap()),
            _ => writer.delete_workspace(subject.workspace).await.unwrap(),
        }
        expected = if change == "delete workspace" { 0 } else { expected + 1 };
        // The reader's clock stands still: only a notice makes it read again.
        let heard = async {
            loop {
                match reader.lease(subject).await {
                    Ok(leased) if change == "save" && leased.revision == expected => break,
                    Err(Error::NotConnected(_)) if change != "save" => break,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
    }
    stop.cancel();
    following.await.unwrap();
}
