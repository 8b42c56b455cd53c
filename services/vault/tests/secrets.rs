//! Planted secrets are in no log at trace level and in no database, whatever goes
//! well or wrong.

#![expect(clippy::unwrap_used, reason = "a test may")]

#[expect(dead_code, reason = "this test binary uses a part of it")]
mod support;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use coachbot_common::db::{Db, execute, read};
use coachbot_common::testing::{CapturedLogs, TestDb, fresh_postgres, fresh_sqlite};
use coachbot_proto::types::v1::Provider;
use coachbot_proto::vault::v1 as wire;
use coachbot_vault::store::MIGRATIONS;
use support::{BOTH, FROM, KEY, OTHER_KEY, Running, SID, bytes_of, call, config, start, twilio, workspace};

/// Not hex, not short, and nowhere else in the product.
const AUTH_TOKEN: &str = "planted-auth-token-Zq81mXw9";
const API_KEY: &str = "sk-planted-api-key-Vb72kRt5";
const REJECTED: &str = "planted\nrejected-Pl33nGh4";
const WRONG_PLACE: &str = "planted-as-a-field-name-Wq58zLm2";
const SIGNED: &str = "planted-what-a-lead-wrote-Ky64dFs1";
const MALFORMED_KEY: &str = "planted-malformed-platform-key-Rt19";

/// Each secret as it is, in hex and in base64.
fn spellings(secrets: &[&str]) -> Vec<String> {
    secrets
        .iter()
        .flat_map(|secret| {
            [
                (*secret).to_owned(),
                hex::encode(secret),
                STANDARD.encode(secret).trim_end_matches('=').to_owned(),
                URL_SAFE_NO_PAD.encode(secret),
            ]
        })
        .collect()
}

/// Everything that callers do, right and wrong. Gives the tool token.
async fn use_everything(vault: &Running, workspace: &str) -> String {
    let mut gateway = vault.gateway.clone();
    vault.put(workspace, Provider::Twilio, &twilio(AUTH_TOKEN)).await.unwrap();
    vault.put(workspace, Provider::Openai, &[("api_key", API_KEY)]).await.unwrap();
    vault.put(workspace, Provider::Openai, &[("model", "gpt-4o")]).await.unwrap();
    for _ in 0..2 {
        vault.lease(workspace, Provider::Twilio).await.unwrap();
        vault.lease(workspace, Provider::Openai).await.unwrap();
    }
    let wrong = [("auth_token", REJECTED), (WRONG_PLACE, AUTH_TOKEN)];
    vault.put(workspace, Provider::Twilio, &wrong).await.unwrap_err();
    vault.put("nonsense", Provider::Twilio, &twilio(AUTH_TOKEN)).await.unwrap_err();
    let mac = |field: &str| wire::VerifyMacRequest {
        workspace_id: workspace.to_owned(),
        provider: Provider::Twilio.into(),
        field: field.to_owned(),
        algorithm: wire::MacAlgorithm::HmacSha256.into(),
        candidates: vec![SIGNED.as_bytes().to_vec()],
        mac: vec![7; 32],
    };
    gateway.verify_mac(call(mac("auth_token"))).await.unwrap();
    gateway.verify_mac(call(mac("nonsense"))).await.unwrap_err();
    let issue = wire::IssueToolTokenRequest { workspace_id: workspace.to_owned() };
    let token = gateway.issue_tool_token(call(issue)).await.unwrap().into_inner().token;
    let reveal = wire::RevealToolTokenRequest { workspace_id: workspace.to_owned() };
    gateway.reveal_tool_token(call(reveal)).await.unwrap();
    gateway.check_tool_token(call(wire::CheckToolTokenRequest { token: token.clone() })).await.unwrap();
    // Nobody's, and still not to be repeated.
    let nobodys = token.replace("cbt_", "cbt_x");
    gateway.check_tool_token(call(wire::CheckToolTokenRequest { token: nobodys })).await.unwrap_err();
    let describe = wire::DescribeIntegrationsRequest { workspace_id: workspace.to_owned() };
    gateway.describe_integrations(call(describe)).await.unwrap();
    token
}

async fn damage_everything(db: &Db) {
    for statement in [
        "UPDATE workspace_integrations SET encrypted_data = key_id",
        "UPDATE tool_tokens SET sealed = key_id",
    ] {
        assert!(execute!(db, sqlx::query(statement)).unwrap() > 0);
    }
}

/// The bytes of the files while they are open, journal included, or of all rows.
async fn stored(test: &TestDb) -> Vec<u8> {
    if let Some(folder) = test.folder() {
        return bytes_of(folder).into_values().flatten().collect();
    }
    let mut text = String::new();
    for statement in [
        "SELECT row_to_json(t)::text FROM keyring t",
        "SELECT row_to_json(t)::text FROM data_keys t",
        "SELECT row_to_json(t)::text FROM workspace_integrations t",
        "SELECT row_to_json(t)::text FROM tool_tokens t",
    ] {
        let rows: Vec<String> =
            read!(test.db, |pool| sqlx::query_scalar(statement).fetch_all(pool).await).unwrap();
        text.extend(rows);
    }
    text.into_bytes()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn planted_secrets_are_in_no_log_and_in_no_database() {
    let logs = CapturedLogs::start();
    let mut tokens = Vec::new();
    for mode in BOTH {
        let databases = [Some(fresh_sqlite(&MIGRATIONS).await), fresh_postgres(&MIGRATIONS).await];
        for test in databases.into_iter().flatten() {
            let vault = start(mode, config(&test.database(), Some(KEY))).await;
            let workspace = workspace();
            let token = use_everything(&vault, &workspace).await;
            let bytes = stored(&test).await;
            // What is in clear is found, so that the search is known to work.
            assert!(holds(&bytes, SID) && holds(&bytes, FROM));
            let planted = [AUTH_TOKEN, API_KEY, REJECTED, WRONG_PLACE, SIGNED, KEY, token.as_str()];
            for secret in spellings(&planted) {
                assert!(!holds(&bytes, &secret), "{mode:?}: {secret} is stored");
            }
            assert!(!holds(&bytes, &String::from_utf8_lossy(&hex::decode(KEY).unwrap())));
            vault.end().await;

            damage_everything(&test.db).await;
            let vault = start(mode, config(&test.database(), Some(KEY))).await;
            vault.lease(&workspace, Provider::Twilio).await.unwrap_err();
            vault.put(&workspace, Provider::Openai, &[("model", "gpt-4o")]).await.unwrap_err();
            let reveal = wire::RevealToolTokenRequest { workspace_id: workspace.clone() };
            vault.gateway.clone().reveal_tool_token(call(reveal)).await.unwrap_err();
            vault.end().await;

            for key in [MALFORMED_KEY, OTHER_KEY] {
                let vault = start(mode, config(&test.database(), Some(key))).await;
                vault.put(&workspace, Provider::Twilio, &twilio(AUTH_TOKEN)).await.unwrap_err();
                vault.lease(&workspace, Provider::Twilio).await.unwrap_err();
                vault.end().await;
            }
            tokens.push(token);
            test.end().await;
        }
    }
    let text = logs.text();
    // The log is at trace level, and tells which check failed.
    for expected in ["TRACE", "TRUNCATED", "vault.open_credential", "KEY_MALFORMED", "KEY_MISMATCH"] {
        assert!(text.contains(expected), "{expected} is not in the log");
    }
    let mut planted =
        vec![AUTH_TOKEN, API_KEY, REJECTED, WRONG_PLACE, SIGNED, MALFORMED_KEY, KEY, OTHER_KEY, FROM];
    // A phone number is no secret of ours, and still not for the log.
    planted.extend(tokens.iter().map(String::as_str));
    for secret in spellings(&planted) {
        let line = text.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
}

#[test]
fn the_configuration_prints_no_key() {
    let database = support::sqlite(std::path::Path::new("/nowhere"));
    let printed = format!("{:?}", config(&database, Some(KEY)));
    assert!(!printed.contains(KEY), "{printed}");
}
