//! The dashboard in a real headless browser: by keyboard alone, in light and
//! dark, wide and at 360 px.
//!
//! With `COACHBOT_TEST_PICTURES=<folder>` the screenshots are kept there.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

#[path = "browser/driver.rs"]
mod driver;
mod support;

use coachbot_connector::testing::{StubProviders, planted};
use coachbot_integrations::Provider;
use driver::Browser;
use support::{Product, environment};

#[tokio::test]
async fn a_key_is_saved_and_verified_by_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let providers = StubProviders::start().await;
    let model = ("COACHBOT_OPENAI_DEFAULT_MODEL", "gpt-6-luna");
    let product = Product::serve_over(&providers, folder.path(), &[model]).await;

    browser.open(&product.link()).await;
    browser.picture("workspaces-empty").await;

    // The first workspace.
    browser.tab_to("input[name=name]").await;
    browser.type_text("Northside Coaching").await;
    browser.press_enter().await;
    browser.wait_for("#openai").await;
    browser.picture("integrations-new").await;

    // A junk key: the provider rejects it.
    browser.tab_to("#openai-api_key").await;
    browser.type_text("sk-proj-junk-of-the-browser-test").await;
    browser.press_enter().await;
    browser.wait_for("#openai .said").await;
    browser.tab_to("button[form=openai-verify]").await;
    browser.press_enter().await;
    browser.wait_for("#openai-result [data-verdict=KEY_REJECTED]").await;
    assert_eq!(browser.text("#openai-result .pill-text").await, "OpenAI rejected the API key.");
    assert!(browser.is_focused("button[form=openai-verify]").await, "focus stays on the button");

    // The right one, in the same place.
    browser.tab_to("#openai-api_key").await;
    browser.type_text(planted(Provider::Openai)).await;
    browser.press_enter().await;
    browser.wait_for("#openai .said").await;
    browser.tab_to("button[form=openai-verify]").await;
    browser.press_enter().await;
    browser.wait_for("#openai-result [data-verdict=OK]").await;
    assert_eq!(browser.text("#openai-result .pill-text").await, "OpenAI accepted the credentials.");

    // A second card, rejected, for the eye.
    browser.tab_to("#calcom-api_key").await;
    browser.type_text("cal_live_junk-of-the-browser-test").await;
    browser.tab_to("#calcom-event_type_id").await;
    browser.type_text("1234567").await;
    browser.press_enter().await;
    browser.wait_for("#calcom .said").await;
    browser.tab_to("button[form=calcom-verify]").await;
    browser.press_enter().await;
    browser.wait_for("#calcom-result [data-verdict=KEY_REJECTED]").await;
    browser.picture("integrations").await;

    // After a reload the pills say the same, and no secret comes back.
    browser.reload().await;
    assert_eq!(browser.text("#openai-result .pill-text").await, "OpenAI accepted the credentials.");
    assert!(!browser.source().await.contains("planted"), "a secret came back");

    // A malformed id is refused beside its field.
    browser.tab_to("#calcom-event_type_id").await;
    browser.type_text("x").await;
    browser.press_enter().await;
    browser.wait_for("#calcom-event_type_id[aria-invalid=true]").await;
    browser.picture("integrations-refused").await;

    browser.assert_no_complaint().await;
    browser.end().await;
    product.stop().await;
}

#[tokio::test]
async fn the_tool_token_is_shown_and_hidden_by_keyboard() {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let product = Product::serve(folder.path(), &[]).await;
    let workspace = product.workspace("voice").await;
    browser.open(&product.link()).await;
    browser.open(&format!("{}/w/{workspace}/settings/integrations", product.base)).await;
    browser.tab_to("[data-token] button").await;
    browser.press_enter().await;
    browser.wait_for("code#tool-token").await;
    let token = browser.text("code#tool-token").await;
    assert!(token.contains("cbt_"), "{token}");
    browser.picture("integrations-voice").await;
    browser.tab_to("[data-token-hide]").await;
    browser.press_enter().await;
    browser.wait_until_gone("code#tool-token").await;

    // General settings: rename.
    browser.open(&format!("{}/w/{workspace}/settings", product.base)).await;
    browser.picture("workspace-settings").await;
    browser.open(&format!("{}/nowhere", product.base)).await;
    browser.picture("not-found").await;
    browser.end().await;
    let ended = product.stop().await;
    assert!(!ended.log.contains("cbt_"), "a tool token is in the log");
}

#[tokio::test]
async fn without_a_key_the_page_warns_in_rose_and_saves_nothing() {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let env = environment(folder.path(), &[("COACHBOT_BOOTSTRAP_API_KEY", support::API_KEY)]);
    let product = Product::start(&["serve"], &env).await;
    let workspace = product.workspace("whatsapp").await;
    browser.open(&format!("{}/sign-in", product.base)).await;
    browser.picture("sign-in").await;
    browser.open(&product.link()).await;
    browser.picture("workspaces").await;
    browser.open(&format!("{}/w/{workspace}/settings/integrations", product.base)).await;
    browser.wait_for("[data-vault=KEY_MISSING]").await;
    let warning = browser.text("[data-vault=KEY_MISSING]").await;
    assert!(warning.contains("INTEGRATIONS_ENCRYPTION_KEY"), "{warning}");
    assert!(warning.contains("coachbot key generate"), "{warning}");
    assert!(browser.has("button[form=openai-form][disabled]").await, "saving is off");
    browser.picture("integrations-locked").await;
    browser.assert_no_complaint().await;
    browser.end().await;
    product.stop().await;
}
