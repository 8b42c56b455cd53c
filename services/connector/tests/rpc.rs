//! The service: what it asks of the vault, what it refuses, whom it answers, and
//! when.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic too")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use coachbot_common::config::Security;
use coachbot_common::fault::{FaultKind, Refusal};
use coachbot_common::lifecycle::Stop;
use coachbot_common::rpc::{self, Identity, Rpc, Transport, with_deadline};
use coachbot_common::testing::MockClock;
use coachbot_connector::http::Limits;
use coachbot_connector::testing::{
    FakeVault, Reply, StubProviders, WORKSPACE, config_at, connector, planted, stored,
};
use coachbot_connector::{SERVICE_NAMES, policy};
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::connector_service_client::ConnectorServiceClient;
use coachbot_proto::connector::v1::{VerifyDraftRequest, VerifyRequest};
use coachbot_proto::types::v1::{self as types, Verdict, Verification};
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use url::Url;

const USUAL: Duration = Duration::from_secs(20);

type Client = ConnectorServiceClient<Transport>;

fn client_of(root: &Url, vault: &FakeVault, caller: Identity) -> Client {
    connector(&config_at(root, Limits::default()), vault, MockClock::at("2026-11-25T12:00:00Z"), caller)
}

fn request(provider: Provider) -> VerifyRequest {
    VerifyRequest { workspace_id: WORKSPACE.to_owned(), provider: types::Provider::from(provider).into() }
}

async fn verify(client: &mut Client, provider: Provider) -> Result<Verification, Status> {
    let answer = client.verify(with_deadline(request(provider), USUAL)).await?;
    Ok(answer.into_inner().verification.unwrap())
}

async fn draft(
    client: &mut Client,
    provider: Provider,
    fields: &[(&str, &str)],
) -> Result<Verification, Status> {
    let request = VerifyDraftRequest {
        workspace_id: WORKSPACE.to_owned(),
        provider: types::Provider::from(provider).into(),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    let answer = client.verify_draft(with_deadline(request, USUAL)).await?;
    Ok(answer.into_inner().verification.unwrap())
}

/// A provider that accepts connections and says nothing.
async fn silent() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    format!("http://{address}").parse().unwrap()
}

fn refused_fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    Refusal::from_status(status).fields.into_iter().map(|(field, _)| field).collect()
}

#[tokio::test]
async fn a_request_that_names_nothing_is_refused_by_field_and_leases_nothing() {
    let stub = StubProviders::start().await;
    let vault = FakeVault::with(stored(Provider::Openai));
    let mut client = client_of(&stub.url(), &vault, Identity::Gateway);
    let cases = [
        (VerifyRequest { workspace_id: WORKSPACE.to_owned(), provider: 0 }, "provider"),
        (VerifyRequest { workspace_id: WORKSPACE.to_owned(), provider: 9 }, "provider"),
        (VerifyRequest { workspace_id: String::new(), provider: 1 }, "workspace_id"),
        (VerifyRequest { workspace_id: WORKSPACE.to_uppercase(), provider: 1 }, "workspace_id"),
        (VerifyRequest { workspace_id: "ws_7Q2M".to_owned(), provider: 1 }, "workspace_id"),
    ];
    for (request, field) in cases {
        let status = client.verify(with_deadline(request.clone(), USUAL)).await.unwrap_err();
        assert_eq!(refused_fields(&status), [field]);
        let request = VerifyDraftRequest {
            workspace_id: request.workspace_id,
            provider: request.provider,
            fields: stored(Provider::Openai),
        };
        let status = client.verify_draft(with_deadline(request, USUAL)).await.unwrap_err();
        assert_eq!(refused_fields(&status), [field]);
    }
    assert_eq!((vault.leases(), stub.seen().len()), (0, 0));
}

#[tokio::test]
async fn what_the_vault_cannot_give_is_a_verdict_and_is_not_recorded() {
    let locked =
        |end: &str| format!("The stored credentials can't be read: INTEGRATIONS_ENCRYPTION_KEY {end}.");
    let damaged = "These credentials can't be read any more. Enter them again.".to_owned();
    let cases = [
        (FaultKind::NotReady, "KEY_MISSING", Verdict::CannotDecrypt, locked("is missing")),
        (FaultKind::NotReady, "KEY_MALFORMED", Verdict::CannotDecrypt, locked("is malformed")),
        (FaultKind::NotReady, "KEY_WEAK", Verdict::CannotDecrypt, locked("is too weak")),
        (
            FaultKind::NotReady,
            "KEY_MISMATCH",
            Verdict::CannotDecrypt,
            locked("is not the key they were sealed with"),
        ),
        (FaultKind::NotReady, "CANNOT_DECRYPT", Verdict::CannotDecrypt, damaged),
        (FaultKind::NotFound, "NOT_CONNECTED", Verdict::NotConnected, String::new()),
    ];
    let stub = StubProviders::start().await;
    for (kind, reason, verdict, message) in cases {
        for provider in Provider::ALL {
            let vault = FakeVault::refusing(kind, Some(reason));
            let found =
                verify(&mut client_of(&stub.url(), &vault, Identity::Internal), provider).await.unwrap();
            let message = if message.is_empty() {
                format!("{} is not connected.", provider.name())
            } else {
                message.clone()
            };
            assert_eq!((found.verdict(), &found.message), (verdict, &message));
            assert_eq!((found.field.as_ref(), found.fix.is_some()), (None, true));
            assert_eq!((found.probes.len(), vault.recorded().len()), (0, 0));
        }
    }
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn stored_fields_that_cannot_be_used_are_damaged_credentials() {
    let stub = StubProviders::start().await;
    for provider in Provider::ALL {
        let vault = FakeVault::with(BTreeMap::new());
        let found = verify(&mut client_of(&stub.url(), &vault, Identity::Gateway), provider).await.unwrap();
        assert_eq!(found.message, "These credentials can't be read any more. Enter them again.");
        assert_eq!(vault.recorded().len(), 0);
    }
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn a_vault_that_is_away_is_unavailable_and_no_verdict() {
    let stub = StubProviders::start().await;
    let cases = [
        (FaultKind::Unavailable, Code::Unavailable),
        (FaultKind::RateLimited, Code::Unavailable),
        (FaultKind::Internal, Code::Internal),
        (FaultKind::Denied, Code::Internal),
    ];
    for (kind, code) in cases {
        let vault = FakeVault::refusing(kind, None);
        let mut client = client_of(&stub.url(), &vault, Identity::Gateway);
        assert_eq!(verify(&mut client, Provider::Twilio).await.unwrap_err().code(), code);
        assert_eq!(draft(&mut client, Provider::Twilio, &[]).await.unwrap_err().code(), code);
    }
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn a_vault_that_hangs_is_given_up_within_the_deadline() {
    let stub = StubProviders::start().await;
    let vault = FakeVault::refusing(FaultKind::Timeout, None);
    let mut client = client_of(&stub.url(), &vault, Identity::Gateway);
    let started = Instant::now();
    let status =
        client.verify(with_deadline(request(Provider::Vapi), Duration::from_millis(100))).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_failure_to_record_changes_nothing_of_the_answer() {
    let stub = StubProviders::start().await;
    let vault = FakeVault::with(stored(Provider::Vapi)).that_cannot_record();
    let found = verify(&mut client_of(&stub.url(), &vault, Identity::Gateway), Provider::Vapi).await.unwrap();
    assert_eq!(found.verdict(), Verdict::Ok);
}

#[tokio::test]
async fn a_result_is_recorded_for_the_leased_revision_under_the_same_subject() {
    let stub = StubProviders::start().await;
    for provider in Provider::ALL {
        let vault = FakeVault::with(stored(provider));
        let found = verify(&mut client_of(&stub.url(), &vault, Identity::Agent), provider).await.unwrap();
        let [recorded] = vault.recorded().try_into().unwrap();
        assert_eq!(recorded.workspace_id, WORKSPACE);
        assert_eq!(recorded.provider, i32::from(types::Provider::from(provider)));
        assert_eq!(recorded.revision, FakeVault::revision());
        assert_eq!(recorded.verification, Some(found));
    }
}

#[tokio::test]
async fn a_draft_is_checked_alone_where_nothing_is_stored() {
    let stub = StubProviders::start().await;
    for provider in Provider::ALL {
        let vault = FakeVault::default();
        let mut client = client_of(&stub.url(), &vault, Identity::Gateway);
        let fields = stored(provider);
        let pairs: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let found = draft(&mut client, provider, &pairs).await.unwrap();
        assert_eq!(found.verdict(), Verdict::Ok, "{found:?}");
        assert_eq!(vault.recorded().len(), 0);
    }
}

#[tokio::test]
async fn a_draft_is_laid_over_what_is_stored_and_never_recorded() {
    let stub = StubProviders::start().await;
    let vault = FakeVault::with(stored(Provider::Calcom));
    let mut client = client_of(&stub.url(), &vault, Identity::Gateway);

    let kept = draft(&mut client, Provider::Calcom, &[("event_type_id", "7")]).await.unwrap();
    assert_eq!(kept.message, "Cal.com can't find event type id 7.");
    let replaced = draft(&mut client, Provider::Calcom, &[("api_key", " cal_live_junk ")]).await.unwrap();
    assert_eq!(replaced.verdict(), Verdict::KeyRejected);
    let nothing = draft(&mut client, Provider::Calcom, &[]).await.unwrap();
    assert_eq!(nothing.verdict(), Verdict::Ok);
    assert_eq!((vault.recorded().len(), stub.seen().len()), (0, 3));
}

#[tokio::test]
async fn a_malformed_draft_names_its_fields_and_repeats_no_value() {
    let stub = StubProviders::start().await;
    let vault = FakeVault::default();
    let mut client = client_of(&stub.url(), &vault, Identity::Gateway);
    type Case<'a> = (Provider, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (Provider::Twilio, &[], &["account_sid", "auth_token", "from"]),
        (Provider::Calcom, &[("api_key", "planted-key")], &["api_key", "event_type_id", "timezone"]),
        (Provider::Openai, &[("api_key", "sk-…abcd")], &["api_key"]),
        (
            Provider::Openai,
            &[("api_key", "planted-key"), ("region", "planted-region")],
            &["api_key", "region"],
        ),
        (Provider::Openai, &[("api_key", "sk-ok"), ("base_url", "planted")], &["base_url"]),
        (
            Provider::Vapi,
            &[("api_key", "k"), ("assistant_id", "planted"), ("phone_number_id", "../x")],
            &["assistant_id", "phone_number_id"],
        ),
    ];
    for (provider, fields, names) in cases {
        let status = draft(&mut client, *provider, fields).await.unwrap_err();
        assert_eq!(refused_fields(&status), *names);
        assert!(!format!("{status:?}").contains("planted"), "{status:?}");
    }
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn a_draft_over_a_locked_vault_has_the_verdict_and_over_a_damaged_record_stands_alone() {
    let stub = StubProviders::start().await;
    let fields = stored(Provider::Openai);
    let pairs: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();

    let locked = FakeVault::refusing(FaultKind::NotReady, Some("KEY_MISSING"));
    let mut client = client_of(&stub.url(), &locked, Identity::Gateway);
    let found = draft(&mut client, Provider::Openai, &pairs).await.unwrap();
    assert_eq!((found.verdict(), stub.seen().len()), (Verdict::CannotDecrypt, 0));

    let damaged = FakeVault::refusing(FaultKind::NotReady, Some("CANNOT_DECRYPT"));
    let mut client = client_of(&stub.url(), &damaged, Identity::Gateway);
    assert_eq!(draft(&mut client, Provider::Openai, &pairs).await.unwrap().verdict(), Verdict::Ok);
    let status = draft(&mut client, Provider::Openai, &[("model", "gpt-4o")]).await.unwrap_err();
    assert_eq!(refused_fields(&status), ["api_key"]);
}

#[tokio::test]
async fn only_the_gateway_checks_drafts_and_the_vault_checks_nothing() {
    let stub = StubProviders::start().await;
    let vault = FakeVault::with(stored(Provider::Openai));
    for caller in
        [Identity::Gateway, Identity::Agent, Identity::Internal, Identity::Vault, Identity::Connector]
    {
        let mut client = client_of(&stub.url(), &vault, caller);
        let stored = verify(&mut client, Provider::Openai).await.map_err(|status| status.code());
        let drafted = draft(&mut client, Provider::Openai, &[]).await.map_err(|status| status.code());
        let may = |who: &[Identity]| if who.contains(&caller) { None } else { Some(Code::PermissionDenied) };
        assert_eq!(
            stored.err(),
            may(&[Identity::Gateway, Identity::Agent, Identity::Internal]),
            "{caller:?}"
        );
        assert_eq!(drafted.err(), may(&[Identity::Gateway]), "{caller:?}");
    }
}

#[tokio::test]
async fn a_deadline_of_50_ms_is_obeyed_and_makes_no_verdict() {
    let root = silent().await;
    let vault = FakeVault::with(stored(Provider::Twilio));
    let direct = client_of(&root, &vault, Identity::Gateway);
    let (over_tcp, stop) = served(&root, &vault).await;
    for mut client in [direct, over_tcp] {
        let started = Instant::now();
        let asked = with_deadline(request(Provider::Twilio), Duration::from_millis(50));
        let status = client.verify(asked).await.unwrap_err();
        assert_eq!(FaultKind::of(&status), FaultKind::Timeout, "{status:?}");
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
    assert_eq!(vault.recorded().len(), 0);
    stop.cancel();
}

#[tokio::test]
async fn a_slow_provider_becomes_a_verdict_before_the_callers_deadline() {
    let root = silent().await;
    let vault = FakeVault::with(stored(Provider::Twilio));
    let mut client = client_of(&root, &vault, Identity::Gateway);
    let asked = with_deadline(request(Provider::Twilio), Duration::from_millis(1700));
    let found = client.verify(asked).await.unwrap().into_inner().verification.unwrap();
    assert_eq!(found.message, "Twilio could not be reached (timeout).");
    assert_eq!((found.probes[0].http_status, vault.recorded().len()), (None, 1));
}

/// The same connector over a socket, as another internal service reaches it.
async fn served(root: &Url, vault: &FakeVault) -> (Client, Stop) {
    let stop = Stop::new();
    let config = config_at(root, Limits::default());
    let vault_at: Url = format!("http://{}", vault.serve(stop.clone()).await).parse().unwrap();
    let below = rpc::connect(&vault_at, &Security::Plain, Identity::Connector).unwrap();
    let clock = MockClock::at("2026-11-25T12:00:00Z");
    let routes = coachbot_connector::build(&config, below, clock).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let rpc = Rpc {
        routes,
        names: SERVICE_NAMES.to_vec(),
        policy: policy(),
        security: Security::Plain,
        everyone: Some(Identity::Internal),
        descriptors: coachbot_proto::DESCRIPTORS,
    };
    tokio::spawn(rpc::serve(rpc, listener, stop.clone()));

    let transport = rpc::connect(&address, &Security::Plain, Identity::Internal).unwrap();
    for name in SERVICE_NAMES {
        let asked = HealthCheckRequest { service: name.to_owned() };
        let health = HealthClient::new(transport.clone()).check(with_deadline(asked, USUAL)).await.unwrap();
        assert_eq!(health.into_inner().status(), ServingStatus::Serving, "{name}");
    }
    (ConnectorServiceClient::new(transport), stop)
}

#[tokio::test]
async fn another_internal_service_verifies_over_a_socket() {
    let stub = StubProviders::start().await;
    for provider in Provider::ALL {
        stub.answer([]);
        let vault = FakeVault::with(stored(provider));
        let (mut client, stop) = served(&stub.url(), &vault).await;
        assert_eq!(verify(&mut client, provider).await.unwrap().verdict(), Verdict::Ok);
        assert_eq!(vault.recorded().len(), 1);

        stub.answer([Reply::json(401, &serde_json::json!({ "message": planted(provider) }))]);
        let found = verify(&mut client, provider).await.unwrap();
        assert_eq!(found.verdict(), Verdict::KeyRejected);
        assert_eq!(draft(&mut client, provider, &[]).await.unwrap_err().code(), Code::PermissionDenied);
        stop.cancel();
    }
}
