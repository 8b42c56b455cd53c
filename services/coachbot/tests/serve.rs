//! `coachbot serve` as an operator meets it: nothing configured, a key, another
//! key, a restart, `kill -9`, a second start.

mod support;

use std::collections::BTreeMap;

use coachbot_connector::testing::StubProviders;
use coachbot_integrations::Provider;
use reqwest::Method;
use serde_json::json;
use support::{API_KEY, KEY, OTHER_KEY, Product, environment, files, run};

#[tokio::test]
async fn without_any_environment_it_starts_and_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(&["serve"], &environment(folder.path(), &[])).await;
    let last = product.greeting.last().unwrap();
    assert!(last.contains("INTEGRATIONS_ENCRYPTION_KEY is missing"), "{last}");
    assert!(last.contains("coachbot key generate"), "{last}");

    let (status, _, _) = product.get("/healthz", None).await;
    assert_eq!(status, 200);
    let (status, _, body) = product.get("/readyz", None).await;
    let ready: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, ready["status"].as_str()), (200, Some("degraded")), "{ready}");
    assert!(body.contains("KEY_MISSING"), "{body}");

    let ended = product.stop().await;
    assert!(ended.status.success(), "{}", ended.log);
}

#[tokio::test]
async fn without_a_key_the_settings_page_warns_and_saving_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let env = environment(folder.path(), &[("COACHBOT_BOOTSTRAP_API_KEY", API_KEY)]);
    let product = Product::start(&["serve"], &env).await;
    let workspace = product.workspace("whatsapp").await;
    let (status, refused) = product.save(&workspace, Provider::Openai).await;
    assert_eq!((status, refused["reason"].as_str()), (409, Some("KEY_MISSING")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("INTEGRATIONS_ENCRYPTION_KEY"), "{refused}");

    let cookie = product.sign_in().await;
    let page = format!("/w/{workspace}/settings/integrations");
    let (status, _, html) = product.get(&page, Some(&cookie)).await;
    assert_eq!(status, 200);
    assert!(html.contains("INTEGRATIONS_ENCRYPTION_KEY"), "the warning names the variable");
    assert!(html.contains("coachbot key generate"), "the warning names the command");
    product.stop().await;
}

#[tokio::test]
async fn saved_credentials_survive_a_restart_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let providers = StubProviders::start().await;
    let product = Product::serve_over(&providers, folder.path(), &[]).await;
    let workspace = product.workspace("whatsapp").await;
    assert_eq!(product.save(&workspace, Provider::Openai).await.0, 200);
    product.stop().await;

    let product = Product::serve_over(&providers, folder.path(), &[]).await;
    assert_eq!(product.save(&workspace, Provider::Calcom).await.0, 200);
    product.kill().await;

    let product = Product::serve_over(&providers, folder.path(), &[]).await;
    for provider in [Provider::Openai, Provider::Calcom] {
        let (status, verified) = product.verify(&workspace, provider).await;
        assert_eq!((status, verified["verdict"].as_str()), (200, Some("OK")), "{verified}");
    }
    product.stop().await;
}

#[tokio::test]
async fn with_another_key_not_one_byte_changes() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::serve(folder.path(), &[]).await;
    let workspace = product.workspace("whatsapp").await;
    assert_eq!(product.save(&workspace, Provider::Openai).await.0, 200);
    product.stop().await;
    let vault_files = || -> BTreeMap<String, Vec<u8>> {
        files(folder.path())
            .into_iter()
            .filter(|path| path.file_name().unwrap().to_str().unwrap() == "vault.sqlite")
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect()
    };
    let before = vault_files();
    assert_eq!(before.len(), 1);

    let product = Product::serve(folder.path(), &[("INTEGRATIONS_ENCRYPTION_KEY", OTHER_KEY)]).await;
    let last = product.greeting.last().unwrap();
    assert!(
        last.contains("1ce338548e3e0777") && last.contains("75925d0ab84da647"),
        "both ids are named: {last}"
    );
    let (status, refused) = product.save(&workspace, Provider::Openai).await;
    assert_eq!((status, refused["reason"].as_str()), (409, Some("KEY_MISMATCH")), "{refused}");
    let (status, verified) = product.verify(&workspace, Provider::Openai).await;
    assert_eq!(status, 200);
    assert_eq!(verified["verdict"], "CANNOT_DECRYPT");
    assert_eq!(
        verified["message"],
        "The stored credentials can't be read: INTEGRATIONS_ENCRYPTION_KEY is not the key they were sealed with."
    );
    let path = format!("/workspaces/{workspace}/integrations");
    let (_, listed) = product.api(Method::GET, &path, None).await;
    assert!(listed.to_string().contains("sk-…4a55"), "listing opens nothing: {listed}");
    product.stop().await;
    assert_eq!(vault_files(), before);

    let product = Product::serve(folder.path(), &[]).await;
    assert!(product.greeting.last().unwrap().contains("OK (key id 75925d0ab84da647)"));
    product.stop().await;
}

#[tokio::test]
async fn a_second_start_on_one_folder_or_one_port_is_refused_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::serve(folder.path(), &[]).await;
    let path = folder.path().to_str().unwrap();
    let second = run(
        &["serve"],
        &[("COACHBOT_DATA_DIR", path), ("COACHBOT_LISTEN", "127.0.0.1:0"), ("COACHBOT_CONNECTOR_LISTEN", "")],
    )
    .await;
    assert!(!second.status.success());
    assert!(second.log.contains("is in use by another Coachbot"), "{}", second.log);

    let other = tempfile::tempdir().unwrap();
    let taken = product.base.rsplit(':').next().unwrap();
    let taken = format!("127.0.0.1:{taken}");
    let third = run(
        &["serve"],
        &[
            ("COACHBOT_DATA_DIR", other.path().to_str().unwrap()),
            ("COACHBOT_LISTEN", &taken),
            ("COACHBOT_CONNECTOR_LISTEN", ""),
        ],
    )
    .await;
    assert!(!third.status.success());
    assert!(third.log.contains("is taken: another program listens there"), "{}", third.log);
    product.stop().await;
}

#[tokio::test]
async fn all_configuration_problems_are_said_at_once_with_exit_78() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(
        &["serve"],
        &[
            ("COACHBOT_DATA_DIR", folder.path().to_str().unwrap()),
            ("COACHBOT_LISTEN", "nowhere"),
            ("COACHBOT_TWILIO_BASE_URL", "ftp://x"),
            ("COACHBOT_BOOTSTRAP_API_KEY", "short-s3cret"),
            ("COACHBOT_LISTNE", "127.0.0.1:1"),
            ("COACHBOT_CONNECTOR_LISTEN", "0.0.0.0:1"),
        ],
    )
    .await;
    assert_eq!(ended.status.code(), Some(78), "{}", ended.log);
    for name in [
        "COACHBOT_LISTEN must",
        "COACHBOT_TWILIO_BASE_URL",
        "COACHBOT_BOOTSTRAP_API_KEY",
        "COACHBOT_LISTNE",
        "COACHBOT_CONNECTOR_LISTEN",
    ] {
        assert!(ended.log.contains(name), "{name} in {}", ended.log);
    }
    assert!(!ended.log.contains("s3cret"), "{}", ended.log);
}

#[tokio::test]
async fn the_first_run_makes_a_key_and_the_second_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let env = environment(folder.path(), &[("COACHBOT_BOOTSTRAP_API_KEY", API_KEY)]);
    let product = Product::start(&[], &env).await;
    let workspace = product.workspace("whatsapp").await;
    assert_eq!(product.save(&workspace, Provider::Openai).await.0, 200);
    let ended = product.stop().await;
    assert!(ended.output.contains("a new one was made"), "{}", ended.output);

    let product = Product::start(&[], &env).await;
    assert!(product.greeting.last().unwrap().contains("OK (key id"), "{:?}", product.greeting);
    assert_eq!(product.save(&workspace, Provider::Openai).await.0, 200);
    product.stop().await;
}

#[tokio::test]
async fn key_generate_prints_a_key_that_serve_takes() {
    let generated = run(&["key", "generate"], &[]).await;
    assert!(generated.status.success());
    let key = generated.output.trim();
    assert_eq!(key.len(), 64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let product = Product::serve(folder.path(), &[("INTEGRATIONS_ENCRYPTION_KEY", key)]).await;
    assert!(product.greeting.last().unwrap().contains("OK (key id"));

    // Beside the running server, and read only.
    let good =
        run(&["key", "status"], &[("COACHBOT_DATA_DIR", path), ("INTEGRATIONS_ENCRYPTION_KEY", key)]).await;
    assert!(good.status.success(), "{}{}", good.output, good.log);
    let bad =
        run(&["key", "status"], &[("COACHBOT_DATA_DIR", path), ("INTEGRATIONS_ENCRYPTION_KEY", KEY)]).await;
    assert!(!bad.status.success());
    assert!(bad.output.contains("is not the key that the data was sealed with"), "{}", bad.output);
    assert!(!bad.output.contains(KEY) && !bad.log.contains(KEY));
    product.stop().await;
}

#[tokio::test]
async fn link_prints_another_link_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::serve(folder.path(), &[]).await;
    let cookie = product.sign_in().await;
    assert_eq!(product.get("/", Some(&cookie)).await.0, 200);
    let (status, _, _) = product
        .get(
            product
                .link()
                .split_once("/sign-in/")
                .map(|(_, token)| format!("/sign-in/{token}"))
                .unwrap()
                .as_str(),
            None,
        )
        .await;
    assert_ne!(status, 303, "a link signs in once");

    let link = run(&["link"], &[("COACHBOT_DATA_DIR", folder.path().to_str().unwrap())]).await;
    assert!(link.status.success(), "{}", link.log);
    let token = link.output.trim().rsplit('/').next().unwrap().to_owned();
    let (status, headers, _) = product.get(&format!("/sign-in/{token}"), None).await;
    assert_eq!(status, 303);
    assert!(headers["set-cookie"].to_str().unwrap().contains("HttpOnly"));
    let ended = product.stop().await;
    assert!(!ended.log.contains(&token), "a link is not logged");
}

#[tokio::test]
async fn a_workspace_can_be_deleted_and_is_gone_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::serve(folder.path(), &[]).await;
    let workspace = product.workspace("voice").await;
    assert_eq!(product.save(&workspace, Provider::Vapi).await.0, 200);
    let path = format!("/workspaces/{workspace}");
    assert_eq!(product.api(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(product.api(Method::GET, &path, None).await.0, 404);
    product.stop().await;
    let product = Product::serve(folder.path(), &[]).await;
    assert_eq!(product.api(Method::GET, &path, None).await.0, 404);
    let (_, listed) = product.api(Method::GET, "/workspaces", None).await;
    assert_eq!(listed["items"], json!([]));
    product.stop().await;
}
