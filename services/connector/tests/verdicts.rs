//! Every row of the Verify tables, through the service.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic too")]

use std::net::SocketAddr;
use std::time::Duration;

use coachbot_common::rpc::{Identity, with_deadline};
use coachbot_common::testing::MockClock;
use coachbot_connector::http::Limits;
use coachbot_connector::testing::{
    FakeVault, Row, StubProviders, WORKSPACE, World, config_at, connector, impatient, planted, rows, stored,
};
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::VerifyRequest;
use coachbot_proto::types::v1::{self as types, Verdict, Verification};
use tokio::net::TcpListener;
use url::Url;

const NOW: &str = "2026-11-25T12:00:00Z";

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Where the provider of a row is, and what is started for it.
async fn place(row: &Row, stub: &StubProviders) -> (Url, Limits) {
    let patient = Limits::default();
    match &row.world {
        World::Answers(replies) => {
            stub.answer(replies.clone());
            let limits = if row.message.contains("timeout") { impatient() } else { patient };
            (stub.url(), limits)
        }
        World::ClosedPort => {
            let (listener, address) = listener().await;
            drop(listener);
            (url(&format!("http://{address}")), patient)
        }
        World::Closes => {
            let (listener, address) = listener().await;
            tokio::spawn(async move {
                while let Ok((connection, _)) = listener.accept().await {
                    drop(connection);
                }
            });
            (url(&format!("http://{address}")), patient)
        }
        World::NeverAnswers => {
            let (listener, address) = listener().await;
            tokio::spawn(async move {
                let mut held = Vec::new();
                while let Ok((connection, _)) = listener.accept().await {
                    held.push(connection);
                }
            });
            (url(&format!("http://{address}")), impatient())
        }
        World::NoSuchHost => (url("http://provider.invalid"), patient),
        World::NotTls => (url(&stub.url().as_str().replace("http://", "https://")), patient),
    }
}

async fn verify(provider: Provider, vault: &FakeVault, root: &Url, limits: Limits) -> Verification {
    let mut client = connector(&config_at(root, limits), vault, MockClock::at(NOW), Identity::Gateway);
    let request = VerifyRequest {
        workspace_id: WORKSPACE.to_owned(),
        provider: types::Provider::from(provider).into(),
    };
    let answer = client.verify(with_deadline(request, Duration::from_secs(20))).await.unwrap();
    answer.into_inner().verification.unwrap()
}

#[tokio::test]
async fn every_row_of_the_tables_comes_out_word_for_word() {
    let stub = StubProviders::start().await;
    let rows = rows();
    assert!(rows.len() > 300, "{}", rows.len());
    for row in rows {
        let name = &row.name;
        let (root, limits) = place(&row, &stub).await;
        let vault = FakeVault::with(row.fields.clone());
        let found = verify(row.provider, &vault, &root, limits).await;

        let told = format!("{name}: {found:?}");
        assert_eq!(found.message, row.message, "{told}");
        assert_eq!(found.verdict(), row.verdict, "{told}");
        assert_eq!(found.field.as_deref(), row.field, "{told}");
        assert_eq!(found.fix.is_none(), row.verdict == Verdict::Ok, "{told}");
        assert!(
            found.fix.iter().all(|fix| !fix.is_empty() && !fix.contains('\n') && !fix.contains("  ")),
            "{told}"
        );
        let warnings: Vec<_> = found.warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(warnings, row.warnings, "{told}");
        assert!(found.warnings.iter().all(|warning| !warning.message.is_empty()), "{told}");
        let probes: Vec<_> =
            found.probes.iter().map(|probe| (probe.name.as_str(), probe.http_status)).collect();
        assert_eq!(probes, row.probes, "{told}");
        assert_eq!(found.checked_at.map(|at| at.seconds), Some(1_795_608_000), "{told}");
        assert!(!told.contains(planted(row.provider)), "the secret is in the answer of {name}");

        if matches!(row.world, World::Answers(_)) {
            let seen = stub.seen();
            assert_eq!(seen.len(), row.probes.len(), "{name}");
            assert!(seen.iter().all(|request| request.complaints.is_empty()), "{name}: {seen:?}");
        }
        let recorded = vault.recorded();
        assert_eq!(recorded.len(), 1, "{name}");
        assert_eq!(recorded[0].verification.as_ref(), Some(&found), "{name}");
        assert_eq!(recorded[0].revision, FakeVault::revision());
    }
}

#[tokio::test]
async fn good_credentials_pass_and_junk_ones_fail_at_an_honest_provider() {
    let stub = StubProviders::start().await;
    for provider in Provider::ALL {
        stub.answer([]);
        let good = verify(provider, &FakeVault::with(stored(provider)), &stub.url(), Limits::default()).await;
        assert_eq!(good.verdict(), Verdict::Ok, "{good:?}");
        assert!(stub.seen().iter().all(|request| request.complaints.is_empty()), "{:?}", stub.seen());

        let secret = if provider == Provider::Twilio { "auth_token" } else { "api_key" };
        for junk in ["junk", "cal_live_junk", "sk-junk"] {
            let mut fields = stored(provider);
            fields.insert(secret.to_owned(), junk.to_owned());
            let bad = verify(provider, &FakeVault::with(fields), &stub.url(), Limits::default()).await;
            assert_eq!(bad.verdict(), Verdict::KeyRejected, "{bad:?}");
            assert_eq!(bad.field.as_deref(), Some(secret));
        }
    }
}

#[tokio::test]
async fn an_id_of_somebody_else_is_named_at_an_honest_provider() {
    let stub = StubProviders::start().await;
    let other = "00000000-0000-4000-8000-000000000001";
    let cases = [
        (Provider::Vapi, "assistant_id", other, format!("Vapi can't find assistant id {other}.")),
        (Provider::Vapi, "phone_number_id", other, format!("Vapi can't find phone number id {other}.")),
        (Provider::Calcom, "event_type_id", "7", "Cal.com can't find event type id 7.".to_owned()),
    ];
    for (provider, field, value, message) in cases {
        let mut fields = stored(provider);
        fields.insert(field.to_owned(), value.to_owned());
        let found = verify(provider, &FakeVault::with(fields), &stub.url(), Limits::default()).await;
        assert_eq!((found.message, found.field.as_deref()), (message, Some(field)));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let stub = StubProviders::start().await;
    let elsewhere = StubProviders::start().await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url().join("/twilio/anything").unwrap();
        stub.answer([coachbot_connector::testing::Reply::empty(status).header("location", location)]);
        let vault = FakeVault::with(stored(Provider::Twilio));
        let found = verify(Provider::Twilio, &vault, &stub.url(), Limits::default()).await;
        assert_eq!(found.verdict(), Verdict::UnexpectedAnswer);
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_region_picks_its_own_host() {
    let plain = StubProviders::start().await;
    let european = StubProviders::start().await;
    for (provider, variable) in [(Provider::Vapi, "vapi"), (Provider::Openai, "openai")] {
        plain.answer([]);
        european.answer([]);
        let mut config = config_at(&plain.url(), Limits::default());
        let eu = config_at(&european.url(), Limits::default());
        config.providers.vapi.eu = eu.providers.vapi.eu;
        config.providers.openai.eu = eu.providers.openai.eu;
        for (region, in_plain) in [(None, true), (Some("us"), true), (Some("eu"), false)] {
            let (before, before_eu) = (plain.seen().len(), european.seen().len());
            let mut fields = stored(provider);
            fields.extend(region.map(|region| ("region".to_owned(), region.to_owned())));
            let vault = FakeVault::with(fields);
            let mut client = connector(&config, &vault, MockClock::at(NOW), Identity::Gateway);
            let request = VerifyRequest {
                workspace_id: WORKSPACE.to_owned(),
                provider: types::Provider::from(provider).into(),
            };
            let answer = client.verify(with_deadline(request, Duration::from_secs(20))).await.unwrap();
            assert_eq!(
                answer.into_inner().verification.unwrap().verdict(),
                Verdict::Ok,
                "{variable} {region:?}"
            );
            assert_eq!(plain.seen().len() > before, in_plain, "{variable} {region:?}");
            assert_eq!(european.seen().len() > before_eu, !in_plain, "{variable} {region:?}");
        }
    }
}
