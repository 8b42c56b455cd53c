//! A vault that cannot open what is stored: it serves the rest, says why, and
//! changes nothing.

#![expect(clippy::unwrap_used, reason = "a test may")]

#[expect(dead_code, reason = "this test binary uses a part of it")]
mod support;

use coachbot_common::db::{Db, execute, read};
use coachbot_common::fault::{FaultKind, Refusal};
use coachbot_common::testing::{fresh_postgres, fresh_sqlite};
use coachbot_proto::types::v1::Provider;
use coachbot_proto::vault::v1 as wire;
use coachbot_proto::vault::v1::{GetStatusResponse, KeyState, MacAlgorithm};
use coachbot_vault::store::MIGRATIONS;
use support::{
    BOTH, KEY, KEY_ID, Mode, OTHER_KEY, OTHER_KEY_ID, Running, TOKEN, bytes_of, call, config, reason, sqlite,
    start, told, twilio, workspace,
};

/// Everything that a locked vault refuses, and what it still does without
/// changing anything.
async fn use_all_of(vault: &Running, workspace: &str, locked: &str) {
    let mut gateway = vault.gateway.clone();
    let expected = reason(FaultKind::NotReady, locked);
    let refused = vault.put(workspace, Provider::Twilio, &twilio("another")).await.unwrap_err();
    assert_eq!(told(&refused), expected);
    let metadata = Refusal::from_status(&refused).metadata;
    assert_eq!(metadata.get("variable").map(String::as_str), Some("INTEGRATIONS_ENCRYPTION_KEY"));
    let refused = vault.put(&support::workspace(), Provider::Twilio, &twilio("new")).await.unwrap_err();
    assert_eq!(told(&refused), expected);
    assert_eq!(told(&vault.lease(workspace, Provider::Twilio).await.unwrap_err()), expected);
    let owner = || workspace.to_owned();
    let issue = wire::IssueToolTokenRequest { workspace_id: owner() };
    assert_eq!(told(&gateway.issue_tool_token(call(issue)).await.unwrap_err()), expected);
    let reveal = wire::RevealToolTokenRequest { workspace_id: owner() };
    assert_eq!(told(&gateway.reveal_tool_token(call(reveal)).await.unwrap_err()), expected);
    let mac = wire::VerifyMacRequest {
        workspace_id: owner(),
        provider: Provider::Twilio.into(),
        field: "auth_token".to_owned(),
        algorithm: MacAlgorithm::HmacSha1.into(),
        candidates: vec![Vec::new()],
        mac: vec![0; 20],
    };
    assert_eq!(told(&gateway.verify_mac(call(mac)).await.unwrap_err()), expected);

    let describe = wire::DescribeIntegrationsRequest { workspace_id: owner() };
    let described = gateway.describe_integrations(call(describe)).await.unwrap().into_inner();
    let readable: Vec<_> = described.integrations.iter().map(|listed| listed.readable).collect();
    assert_eq!(readable, [false]);
    let check = wire::CheckToolTokenRequest { token: format!("cbt_{}", "x".repeat(43)) };
    assert_eq!(gateway.check_tool_token(call(check)).await.unwrap_err().code(), tonic::Code::NotFound);
    // Nothing of this workspace is stored.
    let delete = wire::DeleteCredentialsRequest {
        workspace_id: support::workspace(),
        provider: Provider::Vapi.into(),
    };
    assert!(!gateway.delete_credentials(call(delete)).await.unwrap().into_inner().deleted);
}

fn mismatch() -> GetStatusResponse {
    GetStatusResponse {
        state: KeyState::Mismatch.into(),
        configured_key_id: Some(OTHER_KEY_ID.to_owned()),
        stored_key_id: Some(KEY_ID.to_owned()),
        degraded_workspace_ids: Vec::new(),
    }
}

fn usable() -> GetStatusResponse {
    GetStatusResponse {
        state: KeyState::Ok.into(),
        configured_key_id: Some(KEY_ID.to_owned()),
        stored_key_id: Some(KEY_ID.to_owned()),
        degraded_workspace_ids: Vec::new(),
    }
}

#[tokio::test]
async fn another_key_changes_not_one_byte_of_a_sqlite_database() {
    for mode in BOTH {
        // Made over a socket, for that run closes its files at the end.
        let folder = tempfile::tempdir().unwrap();
        let database = sqlite(folder.path());
        let vault = start(Mode::Socket, config(&database, Some(KEY))).await;
        let workspace = workspace();
        vault.put(&workspace, Provider::Twilio, &twilio(TOKEN)).await.unwrap();
        assert_eq!(vault.status().await, usable());
        vault.end().await;

        let before = bytes_of(folder.path());
        assert!(before.values().any(|bytes| bytes.len() > 4096));
        let vault = start(mode, config(&database, Some(OTHER_KEY))).await;
        assert_eq!(vault.status().await, mismatch());
        use_all_of(&vault, &workspace, "KEY_MISMATCH").await;
        assert_eq!(coachbot_vault::status(&config(&database, Some(OTHER_KEY))).await.unwrap(), mismatch());
        vault.end().await;
        // Also the journal is empty, if it is there at all.
        let after = bytes_of(folder.path());
        for (path, bytes) in &after {
            match before.get(path) {
                Some(known) => assert!(known == bytes, "{mode:?}: {} changed", path.display()),
                None => assert!(
                    path.to_string_lossy().ends_with("-shm") || bytes.is_empty(),
                    "{mode:?}: {} is new",
                    path.display()
                ),
            }
        }
        assert!(before.keys().all(|path| after.contains_key(path)));

        // The right key again.
        let vault = start(mode, config(&database, Some(KEY))).await;
        assert_eq!(vault.status().await, usable());
        assert_eq!(vault.lease(&workspace, Provider::Twilio).await.unwrap().fields["auth_token"], TOKEN);
        vault.end().await;
    }
}

/// Every row of every table of the vault, as text.
async fn rows_of(db: &Db) -> Vec<String> {
    let mut rows = Vec::new();
    for statement in [
        "SELECT row_to_json(t)::text FROM keyring t ORDER BY 1",
        "SELECT row_to_json(t)::text FROM data_keys t ORDER BY 1",
        "SELECT row_to_json(t)::text FROM workspace_integrations t ORDER BY 1",
        "SELECT row_to_json(t)::text FROM tool_tokens t ORDER BY 1",
        "SELECT row_to_json(t)::text FROM _sqlx_migrations t ORDER BY 1",
    ] {
        let found: Vec<String> =
            read!(db, |pool| sqlx::query_scalar(statement).fetch_all(pool).await).unwrap();
        rows.extend(found);
    }
    rows
}

#[tokio::test]
async fn another_key_changes_no_row_of_a_postgres_database() {
    let Some(test) = fresh_postgres(&MIGRATIONS).await else { return };
    let database = test.database();
    let vault = start(Mode::Socket, config(&database, Some(KEY))).await;
    let workspace = workspace();
    vault.put(&workspace, Provider::Twilio, &twilio(TOKEN)).await.unwrap();
    let issue = wire::IssueToolTokenRequest { workspace_id: workspace.clone() };
    vault.gateway.clone().issue_tool_token(call(issue)).await.unwrap();
    vault.end().await;
    let before = rows_of(&test.db).await;
    assert_eq!(before.len(), 5);
    for mode in BOTH {
        let vault = start(mode, config(&database, Some(OTHER_KEY))).await;
        assert_eq!(vault.status().await, mismatch());
        use_all_of(&vault, &workspace, "KEY_MISMATCH").await;
        vault.end().await;
        assert_eq!(coachbot_vault::status(&config(&database, Some(OTHER_KEY))).await.unwrap(), mismatch());
    }
    assert_eq!(rows_of(&test.db).await, before);
}

#[tokio::test]
async fn without_a_usable_key_a_vault_starts_and_says_why_it_is_locked() {
    let weak = "41".repeat(32);
    for (key, state, word) in [
        (None, KeyState::Missing, "KEY_MISSING"),
        (Some("REPLACE_ME"), KeyState::Malformed, "KEY_MALFORMED"),
        (Some(weak.as_str()), KeyState::Weak, "KEY_WEAK"),
    ] {
        for mode in BOTH {
            let folder = tempfile::tempdir().unwrap();
            let vault = start(mode, config(&sqlite(folder.path()), key)).await;
            let status = vault.status().await;
            assert_eq!((status.state(), status.configured_key_id, status.stored_key_id), (state, None, None));
            let refused = vault.put(&workspace(), Provider::Twilio, &twilio(TOKEN)).await.unwrap_err();
            assert_eq!(told(&refused), reason(FaultKind::NotReady, word));
            vault.end().await;
        }
    }
}

#[tokio::test]
async fn a_status_is_told_without_making_a_database_or_enrolling_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(&folder.path().join("not-yet"));
    let status = coachbot_vault::status(&config(&database, None)).await.unwrap();
    assert_eq!(status.state(), KeyState::Missing);
    let status = coachbot_vault::status(&config(&database, Some(KEY))).await.unwrap();
    assert_eq!(status.state(), KeyState::Ok);
    assert!(!folder.path().join("not-yet").exists());

    // Tables without a key: looking does not enrol one.
    for test in
        [Some(fresh_sqlite(&MIGRATIONS).await), fresh_postgres(&MIGRATIONS).await].into_iter().flatten()
    {
        let status = coachbot_vault::status(&config(&test.database(), Some(OTHER_KEY))).await.unwrap();
        assert_eq!(status.state(), KeyState::Ok);
        let vault = start(Mode::Direct, config(&test.database(), Some(KEY))).await;
        assert_eq!(vault.status().await, usable());
        // Beside a running vault.
        assert_eq!(coachbot_vault::status(&config(&test.database(), Some(KEY))).await.unwrap(), usable());
        vault.end().await;
        test.end().await;
    }
}

#[tokio::test]
async fn a_damaged_record_is_told_as_such_and_listed_as_unreadable() {
    for mode in BOTH {
        for test in
            [Some(fresh_sqlite(&MIGRATIONS).await), fresh_postgres(&MIGRATIONS).await].into_iter().flatten()
        {
            let vault = start(mode, config(&test.database(), Some(KEY))).await;
            let workspace = workspace();
            vault.put(&workspace, Provider::Twilio, &twilio(TOKEN)).await.unwrap();
            vault.put(&workspace, Provider::Openai, &[("api_key", "sk-1")]).await.unwrap();
            let statement = "UPDATE workspace_integrations SET encrypted_data = key_id WHERE provider = $1";
            assert_eq!(execute!(test.db, sqlx::query(statement).bind("twilio")).unwrap(), 1);
            let refused = vault.lease(&workspace, Provider::Twilio).await.unwrap_err();
            assert_eq!(told(&refused), reason(FaultKind::NotReady, "CANNOT_DECRYPT"));
            // Which check failed is not told.
            assert!(!refused.message().contains("TRUNCATED"), "{refused}");
            vault.lease(&workspace, Provider::Openai).await.unwrap();
            let describe = wire::DescribeIntegrationsRequest { workspace_id: workspace };
            let listed = vault.gateway.clone().describe_integrations(call(describe)).await.unwrap();
            let readable: Vec<_> =
                listed.into_inner().integrations.iter().map(|listed| listed.readable).collect();
            assert_eq!(readable, [false, true]);
            vault.end().await;
            test.end().await;
        }
    }
}
