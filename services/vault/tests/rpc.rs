//! The real server, over a real socket and laid directly: what callers are told.

#![expect(clippy::unwrap_used, reason = "a test may")]

#[expect(dead_code, reason = "this test binary uses a part of it")]
mod support;

use std::pin::pin;
use std::task::Poll;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coachbot_common::db::Database;
use coachbot_common::fault::FaultKind;
use coachbot_common::testing::fresh_postgres;
use coachbot_proto::types::v1::{Probe, Provider, Verdict, Verification};
use coachbot_proto::vault::v1 as wire;
use coachbot_proto::vault::v1::MacAlgorithm;
use coachbot_vault::store::MIGRATIONS;
use support::{
    BOTH, FROM, KEY, Mode, Running, SID, TOKEN, call, config, map, put_request, reason, sqlite, start, told,
    twilio, workspace,
};

fn invalid(fields: &[&str]) -> (FaultKind, Option<String>, Vec<String>) {
    (FaultKind::Invalid, None, fields.iter().map(|field| (*field).to_owned()).collect())
}

/// One run of `test` for each way to reach a vault, each over a fresh file.
async fn in_both_modes(test: impl AsyncFn(&Running)) {
    for mode in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let vault = start(mode, config(&sqlite(folder.path()), Some(KEY))).await;
        test(&vault).await;
        vault.end().await;
    }
}

fn verification() -> Verification {
    Verification {
        verdict: Verdict::NotFound.into(),
        field: Some("model".to_owned()),
        message: "OpenAI can't find model gpt-4o.".to_owned(),
        fix: Some("choose another".to_owned()),
        checked_at: Some(prost_types::Timestamp { seconds: 1_795_000_000, nanos: 123_456_000 }),
        probes: vec![Probe { name: "models".to_owned(), http_status: Some(200), milliseconds: 31 }],
        warnings: Vec::new(),
    }
}

#[tokio::test]
async fn credentials_are_saved_shown_leased_checked_and_forgotten() {
    in_both_modes(async |vault| {
        let workspace = workspace();
        let saved =
            vault.put(&workspace, Provider::Twilio, &twilio(TOKEN)).await.unwrap().integration.unwrap();
        let shown = map(&[("account_sid", SID), ("auth_token", "…e1f0"), ("from", FROM)]);
        assert_eq!((saved.fields.clone(), saved.revision, saved.readable), (shown, 1, true));
        assert_eq!(saved.verification, None);

        let leased = vault.lease(&workspace, Provider::Twilio).await.unwrap();
        assert_eq!((leased.fields, leased.revision), (map(&twilio(TOKEN)), 1));

        vault.put(&workspace, Provider::Openai, &[("api_key", "sk-1")]).await.unwrap();
        let record = |revision| wire::RecordVerificationRequest {
            workspace_id: workspace.clone(),
            provider: Provider::Twilio.into(),
            revision,
            verification: Some(verification()),
        };
        let mut connector = vault.connector.clone();
        for (revision, recorded) in [(0, false), (2, false), (1, true)] {
            let answer = connector.record_verification(call(record(revision))).await.unwrap();
            assert_eq!(answer.into_inner().recorded, recorded, "{revision}");
        }
        let mut gateway = vault.gateway.clone();
        let describe = wire::DescribeIntegrationsRequest { workspace_id: workspace.clone() };
        let described = gateway.describe_integrations(call(describe.clone())).await.unwrap().into_inner();
        let providers: Vec<_> = described.integrations.iter().map(wire::Integration::provider).collect();
        assert_eq!(providers, [Provider::Twilio, Provider::Openai]);
        assert_eq!(
            described.integrations[0],
            wire::Integration { verification: Some(verification()), ..saved }
        );
        assert_eq!(described.tool_token_hint, None);

        // A save resets the verification.
        vault.put(&workspace, Provider::Twilio, &[("from", "whatsapp:+447700900111")]).await.unwrap();
        let described = gateway.describe_integrations(call(describe.clone())).await.unwrap().into_inner();
        assert_eq!((described.integrations[0].revision, &described.integrations[0].verification), (2, &None));
        assert_eq!(vault.lease(&workspace, Provider::Twilio).await.unwrap().fields["auth_token"], TOKEN);

        let delete = || wire::DeleteCredentialsRequest {
            workspace_id: workspace.clone(),
            provider: Provider::Twilio.into(),
        };
        for deleted in [true, false] {
            let answer = gateway.delete_credentials(call(delete())).await.unwrap();
            assert_eq!(answer.into_inner().deleted, deleted);
        }
        let refused = vault.lease(&workspace, Provider::Twilio).await.unwrap_err();
        assert_eq!(told(&refused), reason(FaultKind::NotFound, "NOT_CONNECTED"));

        let delete = wire::DeleteWorkspaceRequest { workspace_id: workspace.clone() };
        gateway.delete_workspace(call(delete.clone())).await.unwrap();
        gateway.delete_workspace(call(delete)).await.unwrap();
        let described = gateway.describe_integrations(call(describe)).await.unwrap().into_inner();
        assert_eq!(described, wire::DescribeIntegrationsResponse::default());
    })
    .await;
}

#[tokio::test]
async fn a_tool_token_is_issued_shown_hinted_and_checked() {
    in_both_modes(async |vault| {
        let workspace = workspace();
        let mut gateway = vault.gateway.clone();
        let reveal = || call(wire::RevealToolTokenRequest { workspace_id: workspace.clone() });
        let none = gateway.reveal_tool_token(reveal()).await.unwrap_err();
        assert_eq!(told(&none), reason(FaultKind::NotFound, "NO_TOOL_TOKEN"));
        let issue = || call(wire::IssueToolTokenRequest { workspace_id: workspace.clone() });
        let issued = gateway.issue_tool_token(issue()).await.unwrap().into_inner();
        assert_eq!(gateway.issue_tool_token(issue()).await.unwrap().into_inner(), issued);
        let revealed = gateway.reveal_tool_token(reveal()).await.unwrap().into_inner();
        assert_eq!((&revealed.token, revealed.previous_valid_until), (&issued.token, None));
        assert!(issued.token.starts_with("cbt_") && issued.token.len() == 47);
        let describe = wire::DescribeIntegrationsRequest { workspace_id: workspace.clone() };
        let hint = gateway.describe_integrations(call(describe)).await.unwrap().into_inner().tool_token_hint;
        assert_eq!(hint.unwrap(), format!("cbt_…{}", &issued.token[43..]));
        let check = |token: &str| call(wire::CheckToolTokenRequest { token: token.to_owned() });
        let owner = gateway.check_tool_token(check(&issued.token)).await.unwrap().into_inner();
        assert_eq!(owner.workspace_id, workspace);
        let nobodys = gateway.check_tool_token(check(&issued.token.to_lowercase())).await.unwrap_err();
        assert_eq!(told(&nobodys), reason(FaultKind::NotFound, "NO_TOOL_TOKEN"));
    })
    .await;
}

#[tokio::test]
async fn a_mac_is_compared_inside() {
    let text = |port: &str| {
        format!(
            "https://hooks.coachbot.example{port}/ingress/twilio/status?ws=ws_7Q2M&step=01J9%2FZXAccountSidAC00112233445566778899aabbccddeeffFromwhatsapp:+447700900999MessageSidSM00ff11ee22dd33cc44bb55aa66997788MessageStatusdeliveredTagalphaTagbetaTowhatsapp:+447700900123tagx"
        )
        .into_bytes()
    };
    let signature = STANDARD.decode("GjFNJ+dennHtWIFUTgzIZOenahw=").unwrap();
    in_both_modes(async |vault| {
        let workspace = workspace();
        vault.put(&workspace, Provider::Twilio, &twilio(TOKEN)).await.unwrap();
        let request = |candidates: Vec<Vec<u8>>, mac: &[u8]| wire::VerifyMacRequest {
            workspace_id: workspace.clone(),
            provider: Provider::Twilio.into(),
            field: "auth_token".to_owned(),
            algorithm: MacAlgorithm::HmacSha1.into(),
            candidates,
            mac: mac.to_vec(),
        };
        let mut gateway = vault.gateway.clone();
        let found = gateway
            .verify_mac(call(request(vec![text(":443"), text("")], &signature)))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(found.matched_candidate, Some(1));
        assert_eq!(found.clear_fields, map(&[("account_sid", SID), ("from", FROM)]));
        for (candidates, mac) in [
            (vec![text(":443")], signature.as_slice()),
            (vec![text("")], &signature[..19]),
            (vec![text("")], &[]),
        ] {
            let none = gateway.verify_mac(call(request(candidates, mac))).await.unwrap().into_inner();
            assert_eq!(none, wire::VerifyMacResponse::default());
        }

        let well = request(vec![text("")], &signature);
        let mut cases = vec![
            (wire::VerifyMacRequest { field: "account_sid".to_owned(), ..well.clone() }, "field"),
            (wire::VerifyMacRequest { field: "nonsense".to_owned(), ..well.clone() }, "field"),
            (wire::VerifyMacRequest { algorithm: 0, ..well.clone() }, "algorithm"),
            (wire::VerifyMacRequest { algorithm: 9, ..well.clone() }, "algorithm"),
            (wire::VerifyMacRequest { candidates: Vec::new(), ..well.clone() }, "candidates"),
            (wire::VerifyMacRequest { candidates: vec![Vec::new(); 5], ..well.clone() }, "candidates"),
        ];
        let large = vec![0; 2 * 1024 * 1024];
        let too_large = vec![large.clone(), large.clone(), vec![0]];
        cases.push((wire::VerifyMacRequest { candidates: too_large, ..well.clone() }, "candidates"));
        for (request, field) in cases {
            let refused = gateway.verify_mac(call(request)).await.unwrap_err();
            assert_eq!(told(&refused), invalid(&[field]));
        }
        // Exactly the bound passes.
        let none = gateway.verify_mac(call(request(vec![large.clone(), large], &signature))).await;
        assert_eq!(none.unwrap().into_inner().matched_candidate, None);
        let elsewhere =
            wire::VerifyMacRequest { provider: Provider::Openai.into(), field: "api_key".to_owned(), ..well };
        let refused = gateway.verify_mac(call(elsewhere)).await.unwrap_err();
        assert_eq!(told(&refused), reason(FaultKind::NotFound, "NOT_CONNECTED"));
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_field() {
    in_both_modes(async |vault| {
        let id = workspace();
        let put = async |workspace: &str, provider: i32, fields: &[(&str, &str)]| {
            let request =
                wire::PutCredentialsRequest { provider, ..put_request(workspace, Provider::Twilio, fields) };
            told(&vault.gateway.clone().put_credentials(call(request)).await.unwrap_err())
        };
        assert_eq!(put("nonsense", 1, &[]).await, invalid(&["workspace_id"]));
        assert_eq!(put(&id.to_uppercase(), 1, &[]).await, invalid(&["workspace_id"]));
        assert_eq!(put(&id, 0, &[]).await, invalid(&["provider"]));
        assert_eq!(put(&id, 99, &[]).await, invalid(&["provider"]));
        assert_eq!(put(&id, 1, &[]).await, invalid(&["account_sid", "auth_token", "from"]));
        let wrong = [("account_sid", SID), ("auth_token", "…e1f0"), ("from", "+44"), ("base_url", "x")];
        assert_eq!(put(&id, 1, &wrong).await, invalid(&["auth_token", "from", "base_url"]));
        let names: Vec<_> = (0..33).map(|number| format!("field_{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
        assert_eq!(put(&id, 1, &many).await, invalid(&["fields"]));

        let mut connector = vault.connector.clone();
        let mut record = async |verification| {
            let request = wire::RecordVerificationRequest {
                workspace_id: id.clone(),
                provider: 1,
                revision: 1,
                verification,
            };
            told(&connector.record_verification(call(request)).await.unwrap_err())
        };
        assert_eq!(record(None).await, invalid(&["verification"]));
        assert_eq!(
            record(Some(Verification { verdict: 0, ..verification() })).await,
            invalid(&["verification"])
        );
        let long = Verification { message: "x".repeat(2049), ..verification() };
        assert_eq!(record(Some(long)).await, invalid(&["verification"]));
        let timeless = Verification { checked_at: None, ..verification() };
        assert_eq!(record(Some(timeless)).await, invalid(&["verification"]));
    })
    .await;
}

#[tokio::test]
async fn plaintext_goes_to_the_connector_and_to_nobody_else() {
    in_both_modes(async |vault| {
        let workspace = workspace();
        vault.put(&workspace, Provider::Twilio, &twilio(TOKEN)).await.unwrap();
        let lease = || {
            call(wire::LeaseCredentialsRequest {
                workspace_id: workspace.clone(),
                provider: Provider::Twilio.into(),
            })
        };
        for client in [&vault.gateway, &vault.agent] {
            let refused = client.clone().lease_credentials(lease()).await.unwrap_err();
            assert_eq!(told(&refused), (FaultKind::Denied, None, Vec::new()));
        }
        let put = put_request(&workspace, Provider::Twilio, &twilio(TOKEN));
        let refused = vault.connector.clone().put_credentials(call(put)).await.unwrap_err();
        assert_eq!(told(&refused), (FaultKind::Denied, None, Vec::new()));
    })
    .await;
}

/// A table row for every RPC of the contract, and no other.
#[test]
fn the_policy_names_every_rpc() {
    let set: prost_types::FileDescriptorSet = prost::Message::decode(coachbot_proto::DESCRIPTORS).unwrap();
    let service = set
        .file
        .iter()
        .filter(|file| file.package() == "coachbot.vault.v1")
        .flat_map(|file| &file.service)
        .find(|service| service.name() == "VaultService")
        .unwrap();
    let mut expected: Vec<_> = service
        .method
        .iter()
        .map(|method| format!("/{}/{}", coachbot_vault::SERVICE, method.name()))
        .collect();
    let mut found: Vec<_> =
        coachbot_vault::policy().rules().iter().map(|(path, _)| (*path).to_owned()).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

/// Polls a call a few times and then drops it, as a client does that goes away.
async fn dropped_after(polls: usize, work: impl Future) {
    let mut work = pin!(work);
    let mut polled = 0;
    std::future::poll_fn(|context| {
        polled += 1;
        if work.as_mut().poll(context).is_ready() || polled == polls {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

async fn a_dropped_request_leaves_no_stale_lease(database: Database) {
    for mode in BOTH {
        let vault = start(mode, config(&database, Some(KEY))).await;
        let workspace = workspace();
        vault.put(&workspace, Provider::Openai, &[("api_key", "sk-0")]).await.unwrap();
        for round in 1..=30 {
            let key = format!("sk-{round}");
            let fields = [("api_key", key.as_str())];
            dropped_after(round, vault.put(&workspace, Provider::Openai, &fields)).await;
            dropped_after(round % 5 + 1, vault.lease(&workspace, Provider::Openai)).await;
            // A save waits for the one before it, so that this one is the last.
            let last = format!("sk-last-{round}");
            let saved = vault.put(&workspace, Provider::Openai, &[("api_key", &last)]).await.unwrap();
            let leased = vault.lease(&workspace, Provider::Openai).await.unwrap();
            assert_eq!(leased.fields, map(&[("api_key", &last)]), "{mode:?} {round}");
            assert_eq!(leased.revision, saved.integration.unwrap().revision);
        }
        vault.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_request_leaves_no_stale_lease_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    a_dropped_request_leaves_no_stale_lease(sqlite(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_request_leaves_no_stale_lease_on_postgres() {
    let Some(test) = fresh_postgres(&MIGRATIONS).await else { return };
    a_dropped_request_leaves_no_stale_lease(test.database()).await;
}

#[tokio::test]
async fn credentials_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = workspace();
    for revision in 1..=3 {
        let vault = start(Mode::Socket, config(&sqlite(folder.path()), Some(KEY))).await;
        let saved = vault.put(&workspace, Provider::Openai, &[("api_key", "sk-1")]).await.unwrap();
        assert_eq!(saved.integration.unwrap().revision, revision);
        assert_eq!(vault.lease(&workspace, Provider::Openai).await.unwrap().revision, revision);
        vault.end().await;
    }
}
