//! Every row of the design's message tables, for each provider, through the RPC,
//! the JSON API and the pill.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod support;

use std::time::Duration;

use coachbot_common::config::Security;
use coachbot_common::rpc::{self, Identity, with_deadline};
use coachbot_connector::testing::{Row, StubProviders, World, planted, rows, stored};
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::connector_service_client::ConnectorServiceClient;
use coachbot_proto::connector::v1::{VerifyDraftRequest, VerifyRequest};
use coachbot_proto::types::v1::{self as wire, Verdict};
use reqwest::Method;
use serde_json::json;
use support::Product;
use tonic::Code;
use url::Url;

async fn over_rpc(product: &Product, workspace: &str, provider: Provider) -> wire::Verification {
    let url = Url::parse(&format!("http://{}", product.verify.unwrap())).unwrap();
    let transport = rpc::connect(&url, &Security::Plain, Identity::Internal).unwrap();
    let request =
        VerifyRequest { workspace_id: workspace.to_owned(), provider: wire::Provider::from(provider).into() };
    let answer =
        ConnectorServiceClient::new(transport).verify(with_deadline(request, Duration::from_secs(30))).await;
    answer.unwrap().into_inner().verification.unwrap()
}

/// The text of one card's pill.
fn pill(page: &str, provider: Provider) -> String {
    let slot = page.split(&format!("id=\"{provider}-result\"")).nth(1).expect("the card has a result");
    let text = slot.split("class=\"pill-text\">").nth(1).unwrap().split("</span>").next().unwrap();
    text.replace("&#39;", "'").replace("&#34;", "\"").replace("&#38;", "&")
}

async fn judge(product: &Product, providers: &StubProviders, workspace: &str, cookie: &str, row: &Row) {
    let name = &row.name;
    let World::Answers(replies) = &row.world else { return };
    // Waiting for the real time limit has a test of its own.
    if row.message.ends_with("(timeout).") {
        return;
    }
    // An update would keep what the row before had saved.
    let path = format!("/workspaces/{workspace}/integrations/{}", row.provider);
    product.api(Method::DELETE, &path, None).await;
    let (status, saved) = product.save_fields(workspace, row.provider, &row.fields).await;
    assert_eq!(status, 200, "{name}: {saved}");

    providers.answer(replies.clone());
    let verified = over_rpc(product, workspace, row.provider).await;
    assert_eq!(verified.message, row.message, "{name}");
    assert_eq!((verified.verdict(), verified.field.as_deref()), (row.verdict, row.field), "{name}");
    assert_eq!(verified.fix.is_none(), row.verdict == Verdict::Ok, "{name}: a fix stands beside all but OK");

    providers.answer(replies.clone());
    let (status, answer) = product.verify(workspace, row.provider).await;
    let verdict = row.verdict.as_str_name().strip_prefix("VERDICT_").unwrap();
    assert_eq!(status, 200, "{name}");
    assert_eq!(answer["message"], json!(row.message), "{name}");
    assert_eq!((answer["verdict"].as_str(), answer["field"].as_str()), (Some(verdict), row.field), "{name}");
    let statuses: Vec<_> = row.probes.iter().map(|(_, status)| json!(status)).collect();
    let probes = answer["probes"].as_array().unwrap();
    assert_eq!(
        probes.iter().map(|probe| probe["http_status"].clone()).collect::<Vec<_>>(),
        statuses,
        "{name}"
    );

    let page = format!("/w/{workspace}/settings/integrations");
    let (_, _, html) = product.get(&page, Some(cookie)).await;
    assert_eq!(pill(&html, row.provider), row.message, "{name}: the pill says the same");
    let everything = format!("{verified:?}{answer}{html}");
    assert!(!everything.contains("planted"), "{name}: a secret shows");
}

#[tokio::test]
async fn each_row_says_the_same_by_rpc_api_and_pill_and_repeats_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let providers = StubProviders::start().await;
    let product = Product::serve_over(&providers, folder.path(), &[("RUST_LOG", "trace")]).await;
    let workspaces = [product.workspace("whatsapp").await, product.workspace("voice").await];
    let cookie = product.sign_in().await;
    let rows = rows();
    assert!(rows.len() > 200, "{}", rows.len());
    for row in &rows {
        let workspace = &workspaces[usize::from(row.provider == Provider::Vapi)];
        judge(&product, &providers, workspace, &cookie, row).await;
    }
    let ended = product.stop().await;
    assert!(!ended.log.contains("planted"), "a secret is in the log");
    for path in support::files(folder.path()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"planted"), "a secret is in {}", path.display());
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_said_to_be_so_and_the_key_is_not_blamed() {
    let providers = StubProviders::start().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = (format!("http://{}", hanging.local_addr().unwrap()), hanging);
    let not_tls = providers.url().as_str().replace("http:", "https:");
    let folder = tempfile::tempdir().unwrap();
    let product = Product::serve(
        folder.path(),
        &[
            ("COACHBOT_TWILIO_BASE_URL", &refused),
            ("COACHBOT_VAPI_BASE_URL", "http://coachbot.invalid"),
            ("COACHBOT_CALCOM_BASE_URL", &not_tls),
            ("COACHBOT_OPENAI_BASE_URL", &hanging.0),
        ],
    )
    .await;
    let workspaces = [product.workspace("whatsapp").await, product.workspace("voice").await];
    for (provider, cause) in [
        (Provider::Twilio, "Twilio could not be reached (refused)."),
        (Provider::Vapi, "Vapi could not be reached (DNS)."),
        (Provider::Calcom, "Cal.com could not be reached (TLS)."),
        (Provider::Openai, "OpenAI could not be reached (timeout)."),
    ] {
        let workspace = &workspaces[usize::from(provider == Provider::Vapi)];
        assert_eq!(product.save(workspace, provider).await.0, 200);
        let verified = over_rpc(&product, workspace, provider).await;
        assert_eq!(verified.message, cause);
        assert_eq!((verified.verdict(), verified.field.as_deref()), (wire::Verdict::Network, None));
    }
    product.stop().await;
}

#[tokio::test]
async fn what_is_not_connected_or_not_readable_is_a_verdict_too() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::serve(folder.path(), &[]).await;
    let workspace = product.workspace("whatsapp").await;
    let verified = over_rpc(&product, &workspace, Provider::Calcom).await;
    assert_eq!(verified.message, "Cal.com is not connected.");
    product.stop().await;

    let states: [(&[(&str, &str)], &str); 3] = [
        (&[("INTEGRATIONS_ENCRYPTION_KEY", "")], "is missing"),
        (&[("INTEGRATIONS_ENCRYPTION_KEY", "REPLACE_ME")], "is malformed"),
        (&[("INTEGRATIONS_ENCRYPTION_KEY", &"a".repeat(64))], "is too weak"),
    ];
    for (env, state) in states {
        let product = Product::serve(folder.path(), env).await;
        let verified = over_rpc(&product, &workspace, Provider::Calcom).await;
        let message = format!("The stored credentials can't be read: INTEGRATIONS_ENCRYPTION_KEY {state}.");
        assert_eq!((verified.verdict(), verified.message), (wire::Verdict::CannotDecrypt, message));
        product.stop().await;
    }
}

#[tokio::test]
async fn another_service_may_ask_for_verify_and_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::serve(folder.path(), &[]).await;
    let url = Url::parse(&format!("http://{}", product.verify.unwrap())).unwrap();
    // Whatever it calls itself.
    let transport = rpc::connect(&url, &Security::Plain, Identity::Gateway).unwrap();
    let mut client = ConnectorServiceClient::new(transport.clone());
    let draft = with_deadline(VerifyDraftRequest::default(), Duration::from_secs(5));
    assert_eq!(client.verify_draft(draft).await.unwrap_err().code(), Code::PermissionDenied);
    let nonsense = VerifyRequest { workspace_id: "1".to_owned(), provider: 1 };
    let refused = client.verify(with_deadline(nonsense, Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let no_vault = coachbot_proto::vault::v1::vault_service_client::VaultServiceClient::new(transport);
    let lease = coachbot_proto::vault::v1::LeaseCredentialsRequest::default();
    let refused = no_vault.clone().lease_credentials(with_deadline(lease, Duration::from_secs(5))).await;
    assert!(matches!(refused.unwrap_err().code(), Code::PermissionDenied | Code::Unimplemented));
    product.stop().await;
}

#[tokio::test]
async fn a_junk_key_fails_for_each_provider() {
    let folder = tempfile::tempdir().unwrap();
    let providers = StubProviders::start().await;
    let product = Product::serve_over(&providers, folder.path(), &[]).await;
    let workspaces = [product.workspace("whatsapp").await, product.workspace("voice").await];
    for provider in Provider::ALL {
        let workspace = &workspaces[usize::from(provider == Provider::Vapi)];
        let junk =
            stored(provider).into_iter().map(|(name, value)| match value.strip_suffix(planted(provider)) {
                Some(_) => (name, planted(provider).replace("planted", "junk")),
                None => (name, value),
            });
        assert_eq!(product.save_fields(workspace, provider, &junk.collect()).await.0, 200);
        let (_, answer) = product.verify(workspace, provider).await;
        assert_eq!(answer["verdict"], "KEY_REJECTED", "{answer}");
        let listed = product.api(Method::GET, &format!("/workspaces/{workspace}/integrations"), None).await.1;
        let mine =
            listed["items"].as_array().unwrap().iter().find(|item| item["provider"] == provider.slug());
        assert_eq!(mine.unwrap()["verification"]["verdict"], "KEY_REJECTED", "the card remembers it");

        assert_eq!(product.save(workspace, provider).await.0, 200);
        let (_, answer) = product.verify(workspace, provider).await;
        assert_eq!(answer["verdict"], "OK", "{answer}");
    }
    assert_eq!(providers.seen().iter().flat_map(|seen| seen.complaints.clone()).collect::<Vec<_>>(), [""; 0]);
    product.stop().await;
}
