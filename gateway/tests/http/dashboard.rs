//! The dashboard as a browser sees it.

use std::time::Duration;

use coachbot_integrations::Provider;
use coachbot_proto::types::v1::Verdict;
use coachbot_proto::vault::v1::KeyState;
use serde_json::json;
use tonic::Status;

use crate::support::TestGateway;
use crate::support::connector::verification;

const OPENAI_KEY: &str = "sk-0123456789abcdef0123";

fn integrations(id: &str) -> String {
    format!("/w/{id}/settings/integrations")
}

#[tokio::test]
async fn a_link_signs_in_once_and_for_15_minutes() {
    let test = TestGateway::start().await;
    let link = test.gateway.sign_in_link().await.unwrap();
    let looked_at = test.send("HEAD", link.path(), &[], "").await;
    assert_eq!((looked_at.status, looked_at.header("set-cookie")), (200, None));

    let answer = test.send("GET", link.path(), &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("coachbot=")
            && cookie.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax")
    );
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(test.page(cookie, "/").await.status, 200);

    let again = test.send("GET", link.path(), &[], "").await;
    assert_eq!((again.status, again.header("set-cookie")), (410, None));
    assert!(again.body.contains("does not work any more"));
    assert_eq!(test.page(cookie, link.path()).await.header("location"), Some("/"));

    let late = test.gateway.sign_in_link().await.unwrap();
    test.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(test.send("GET", late.path(), &[], "").await.status, 410);
    test.end().await;
}

#[tokio::test]
async fn over_https_the_cookie_is_bound_to_the_host() {
    let test = TestGateway::start_at("https://coach.example").await;
    let cookie = test.sign_in().await;
    assert!(cookie.starts_with("__Host-coachbot="));
    assert_eq!(test.page(&cookie, "/").await.status, 200);
    assert_eq!(test.page(&cookie.replace("__Host-", ""), "/").await.status, 303);
    test.end().await;
}

#[tokio::test]
async fn sessions_end_by_sign_out_and_after_30_days() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    assert_eq!(test.page(&cookie, "/sign-in").await.header("location"), Some("/"));
    let out = test.submit(&cookie, "/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/sign-in?signed-out")));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(test.page(&cookie, "/").await.header("location"), Some("/sign-in"));
    assert!(test.send("GET", "/sign-in?signed-out", &[], "").await.body.contains("You are signed out."));

    let cookie = test.sign_in().await;
    test.clock.advance(Duration::from_secs(30 * 24 * 3600 - 1));
    assert_eq!(test.page(&cookie, "/").await.status, 200);
    test.clock.advance(Duration::from_secs(1));
    assert_eq!(test.page(&cookie, "/").await.status, 303);
    test.end().await;
}

#[tokio::test]
async fn without_a_session_pages_lead_to_sign_in_and_fragments_are_401() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    for path in ["/".to_owned(), format!("/w/{id}"), integrations(&id), format!("/w/{id}/settings")] {
        let answer = test.send("GET", &path, &[], "").await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/sign-in")), "{path}");
    }
    let verify = format!("{}/openai/verify", integrations(&id));
    assert_eq!(test.submit("", &verify, &[]).await.header("location"), Some("/sign-in"));
    assert_eq!(test.submit_for("", &verify, &[], Some("pill")).await.status, 401);
    test.end().await;
}

#[tokio::test]
async fn every_write_is_taken_from_our_own_pages_only() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let id = test.workspace("voice").await;
    let base = integrations(&id);
    let writes = [
        "/workspaces".to_owned(),
        "/sign-out".to_owned(),
        format!("/w/{id}/settings"),
        format!("/w/{id}/delete"),
        format!("{base}/openai"),
        format!("{base}/openai/delete"),
        format!("{base}/openai/verify"),
        format!("{base}/vapi/tool-token"),
    ];
    let form = ("content-type", "application/x-www-form-urlencoded");
    let own = format!("http://{}", test.address);
    for path in writes {
        let cases: [&[(&str, &str)]; 4] = [
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://localhost")],
            &[("origin", "https://evil.example")],
            &[],
        ];
        for extra in cases {
            let mut headers = vec![("cookie", cookie.as_str()), form];
            headers.extend(extra);
            let answer = test.send("POST", &path, &headers, "name=x&confirm_name=Acme+voice").await;
            assert_eq!(answer.status, 403, "{path} {extra:?}");
        }
        let headers = [("cookie", cookie.as_str()), form, ("origin", own.as_str())];
        if path != "/sign-out" && !path.ends_with("/delete") {
            assert_ne!(test.send("POST", &path, &headers, "").await.status, 403, "{path}");
        }
    }
    assert_eq!(test.get(&format!("/workspaces/{id}")).await.status, 200);
    assert_eq!(test.page(&cookie, "/").await.status, 200);
    test.end().await;
}

#[tokio::test]
async fn a_workspace_is_made_renamed_and_deleted_by_forms() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    assert!(test.page(&cookie, "/").await.body.contains("No workspace yet"));

    let refused = test.submit(&cookie, "/workspaces", &[("name", " "), ("timezone", "Mars/\"Olympus")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("<title>Error: Workspaces"));
    for words in
        ["Name must not be empty", "Channel must be whatsapp or voice", "Timezone must be a time zone"]
    {
        assert!(refused.body.contains(words), "{words}");
    }
    assert!(refused.body.contains("Mars/&#34;Olympus"));

    let inputs = [("name", "Acme"), ("channel", "whatsapp"), ("timezone", "Asia/Tokyo")];
    let made = test.submit(&cookie, "/workspaces", &inputs).await;
    assert_eq!(made.status, 303, "{made:?}");
    let place = made.header("location").unwrap().to_owned();
    let id = place.split('/').nth(2).unwrap().to_owned();
    assert_eq!(place, integrations(&id));
    assert_eq!(test.page(&cookie, &format!("/w/{id}")).await.header("location"), Some(place.as_str()));
    // 12:00 UTC is the evening of the same day in Tokyo.
    assert!(test.page(&cookie, "/").await.body.contains("25 Nov 2026"));

    let settings = format!("/w/{id}/settings");
    let refused = test.submit(&cookie, &settings, &[("name", ""), ("timezone", "UTC")]).await;
    assert_eq!(refused.status, 422);
    let saved = test.submit(&cookie, &settings, &[("name", "Renamed"), ("timezone", "UTC")]).await;
    assert_eq!(saved.header("location"), Some(format!("{settings}?saved").as_str()));
    assert!(test.page(&cookie, &format!("{settings}?saved")).await.body.contains("Saved."));

    let delete = format!("/w/{id}/delete");
    let refused = test.submit(&cookie, &delete, &[("confirm_name", "Acme")]).await;
    assert_eq!(refused.status, 422);
    let gone = test.submit(&cookie, &delete, &[("confirm_name", "Renamed")]).await;
    assert_eq!((gone.status, gone.header("location")), (303, Some("/")));
    test.vault.deleted(&id).await;
    let answer = test.page(&cookie, &settings).await;
    assert_eq!((answer.status, answer.header("content-type")), (404, Some("text/html; charset=utf-8")));
    test.end().await;
}

#[tokio::test]
async fn the_first_owner_does_not_see_the_other_tenants_workspaces() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let id = test.workspace_of(crate::support::OTHER_KEY, "voice").await;
    assert!(test.page(&cookie, "/").await.body.contains("No workspace yet"));
    let base = integrations(&id);
    for path in [format!("/w/{id}"), base.clone(), format!("/w/{id}/settings")] {
        assert_eq!(test.page(&cookie, &path).await.status, 404, "{path}");
    }
    let writes = [
        format!("/w/{id}/settings"),
        format!("/w/{id}/delete"),
        format!("{base}/openai"),
        format!("{base}/openai/delete"),
        format!("{base}/openai/verify"),
        format!("{base}/vapi/tool-token"),
    ];
    for path in writes {
        assert_eq!(
            test.submit(&cookie, &path, &[("confirm_name", "Acme voice")]).await.status,
            404,
            "{path}"
        );
    }
    test.end().await;
}

#[tokio::test]
async fn hostile_names_are_escaped() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let name = "<script>alert(1)</script>\"'><img src=x onerror=y>";
    let body = json!({"name": name, "channel": "voice", "timezone": "UTC"});
    let id = test.call("POST", "/workspaces", Some(body)).await.json()["id"].as_str().unwrap().to_owned();
    for path in ["/".to_owned(), integrations(&id), format!("/w/{id}/settings")] {
        let page = test.page(&cookie, &path).await;
        assert_eq!(page.status, 200);
        assert!(!page.body.contains("<script>alert") && !page.body.contains("<img src=x"), "{path}");
        assert!(page.body.contains("&#60;script&#62;"), "{path}");
    }
    test.end().await;
}

#[tokio::test]
async fn credentials_are_saved_kept_and_removed() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let id = test.workspace("whatsapp").await;
    let base = integrations(&id);
    let save = async |inputs: &[(&str, &str)]| test.submit(&cookie, &format!("{base}/openai"), inputs).await;

    let refused = save(&[("api_key", "not-a-key-but-s3cret"), ("model", "gpt 4"), ("region", "")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("API key must begin with sk-"));
    assert!(refused.body.contains("value=\"gpt 4\""));
    assert!(!refused.body.contains("s3cret"));

    let saved = save(&[("api_key", OPENAI_KEY), ("model", ""), ("region", "eu")]).await;
    assert_eq!(saved.header("location"), Some(format!("{base}?saved=openai#openai").as_str()));
    let page = test.page(&cookie, &format!("{base}?saved=openai")).await;
    assert!(page.body.contains("Saved. Press Verify to check it."));
    assert!(page.body.contains("stored: sk-…0123, leave empty to keep"));
    assert!(page.body.contains("Not checked yet."));
    assert!(!page.body.contains(OPENAI_KEY));
    assert_eq!(page.header("cache-control"), Some("no-store"));

    // An empty secret keeps the stored one; an empty optional field is removed.
    assert_eq!(save(&[("api_key", ""), ("model", "gpt-5"), ("region", "")]).await.status, 303);
    let stored = test.vault.stored(&id, Provider::Openai);
    assert_eq!((stored["api_key"].as_str(), stored["model"].as_str()), (OPENAI_KEY, "gpt-5"));
    assert!(!stored.contains_key("region"));

    let removed = test.submit(&cookie, &format!("{base}/openai/delete"), &[]).await;
    assert_eq!(removed.header("location"), Some(format!("{base}?removed=openai#openai").as_str()));
    let page = test.page(&cookie, &format!("{base}?removed=openai")).await;
    assert!(page.body.contains("Removed. The stored OpenAI credentials are deleted."));
    assert!(page.body.contains("OpenAI is not connected."));
    assert!(test.vault.stored(&id, Provider::Openai).is_empty());
    assert_eq!(test.submit(&cookie, &format!("{base}/vapi"), &[]).await.status, 404);
    test.end().await;
}

#[tokio::test]
async fn verify_answers_the_pill_to_our_script_and_leads_back_without_it() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let id = test.workspace("whatsapp").await;
    let path = format!("{}/openai/verify", integrations(&id));
    let message = "OpenAI rejected the API key.";
    test.connector.find(Ok(verification(Verdict::KeyRejected, Some("api_key"), message)));

    let pill = test.submit_for(&cookie, &path, &[], Some("pill")).await;
    assert_eq!((pill.status, pill.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for part in [
        "data-verdict=\"KEY_REJECTED\"",
        "data-about=\"api_key\"",
        "pill-bad",
        "#i-cross",
        message,
        "Look there.",
        "HTTP 200",
        "no answer",
        "2 requests",
    ] {
        assert!(pill.body.contains(part), "{part}: {}", pill.body);
    }
    assert!(!pill.body.contains("<html"));
    let back = test.submit(&cookie, &path, &[]).await;
    assert_eq!(back.header("location"), Some(format!("{}#openai", integrations(&id)).as_str()));

    for (verdict, tone) in [
        (Verdict::Ok, "pill-ok"),
        (Verdict::OkWithWarning, "pill-warn"),
        (Verdict::Network, "pill-warn"),
        (Verdict::NotConnected, "pill-none"),
        (Verdict::CannotDecrypt, "pill-locked"),
    ] {
        test.connector.find(Ok(verification(verdict, None, "Words.")));
        assert!(test.submit_for(&cookie, &path, &[], Some("pill")).await.body.contains(tone), "{tone}");
    }

    test.connector.find(Err(Status::unavailable("")));
    assert_eq!(test.submit_for(&cookie, &path, &[], Some("pill")).await.status, 503);
    let page = test.submit(&cookie, &path, &[]).await;
    assert_eq!((page.status, page.header("content-type")), (503, Some("text/html; charset=utf-8")));
    test.end().await;
}

#[tokio::test]
async fn a_stored_check_stands_on_its_card() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let id = test.workspace("whatsapp").await;
    let base = integrations(&id);
    test.submit(&cookie, &format!("{base}/openai"), &[("api_key", OPENAI_KEY)]).await;
    let found = verification(Verdict::KeyRejected, Some("api_key"), "OpenAI rejected the API key.");
    test.vault.record(&id, Provider::Openai, found);
    let page = test.page(&cookie, &base).await;
    for part in ["OpenAI rejected the API key.", "25 Nov 2026, 12:00 GMT", "is-flagged"] {
        assert!(page.body.contains(part), "{part}");
    }
    test.end().await;
}

#[tokio::test]
async fn the_tool_token_is_shown_where_it_is_asked_for() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let id = test.workspace("voice").await;
    let path = format!("{}/vapi/tool-token", integrations(&id));
    let page = test.page(&cookie, &integrations(&id)).await;
    assert!(page.body.contains("data-token-form") && !page.body.contains("token-hint"));

    let shown = test.submit_for(&cookie, &path, &[], Some("tool-token")).await;
    assert_eq!((shown.status, shown.header("cache-control")), (200, Some("no-store")));
    let at = shown.body.find("cbt_").unwrap();
    let token = shown.body[at..at + 47].to_owned();
    assert!(!shown.body.contains("<html"));
    let whole = test.submit(&cookie, &path, &[]).await;
    assert!(whole.status == 200 && whole.body.contains(&token) && whole.body.contains("<html"));

    let page = test.page(&cookie, &integrations(&id)).await;
    assert!(page.body.contains("token-hint") && !page.body.contains(&token));
    let whatsapp = test.workspace("whatsapp").await;
    let path = format!("{}/vapi/tool-token", integrations(&whatsapp));
    assert_eq!(test.submit(&cookie, &path, &[]).await.status, 404);
    test.end().await;
}

#[tokio::test]
async fn a_locked_vault_is_told_in_rose_and_saves_nothing() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let id = test.workspace("voice").await;
    let base = integrations(&id);
    test.vault.lock(KeyState::Missing, "KEY_MISSING");
    let page = test.page(&cookie, &base).await;
    assert_eq!(page.status, 200);
    for part in [
        "notice-rose",
        "data-vault=\"KEY_MISSING\"",
        "INTEGRATIONS_ENCRYPTION_KEY",
        "coachbot key generate",
        "Saving is off: INTEGRATIONS_ENCRYPTION_KEY is missing.",
    ] {
        assert!(page.body.contains(part), "{part}");
    }
    let refused =
        test.submit(&cookie, &format!("{base}/openai"), &[("api_key", OPENAI_KEY), ("model", "gpt-5")]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("value=\"gpt-5\"") && !refused.body.contains(OPENAI_KEY));
    assert_eq!(test.submit(&cookie, &format!("{base}/vapi/tool-token"), &[]).await.status, 409);
    assert_eq!(
        test.submit_for(&cookie, &format!("{base}/vapi/tool-token"), &[], Some("tool-token")).await.status,
        409
    );

    test.vault.lock(KeyState::Mismatch, "KEY_MISMATCH");
    let page = test.page(&cookie, &base).await;
    assert!(page.body.contains("c0c0c0c0c0c0c0c0") && page.body.contains("5050505050505050"));
    test.end().await;
}

#[tokio::test]
async fn a_vault_that_is_away_is_told_in_plain_words() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let id = test.workspace("voice").await;
    test.vault.be_away(true);
    let page = test.page(&cookie, &integrations(&id)).await;
    assert_eq!(page.status, 200);
    for part in [
        "data-vault=\"UNAVAILABLE\"",
        "The vault does not answer",
        "Saving is off: the vault does not answer.",
    ] {
        assert!(page.body.contains(part), "{part}");
    }
    let refused = test.submit(&cookie, &format!("{}/openai", integrations(&id)), &[("model", "gpt-5")]).await;
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("value=\"gpt-5\"") && refused.body.contains("nothing may be saved"));
    test.end().await;
}

#[tokio::test]
async fn the_urls_to_paste_stand_on_the_cards() {
    let test = TestGateway::start_at("https://coach.example").await;
    let cookie = test.sign_in().await;
    let whatsapp = test.workspace("whatsapp").await;
    let page = test.page(&cookie, &integrations(&whatsapp)).await;
    assert!(page.body.contains(&format!("https://coach.example/webhooks/twilio/{whatsapp}/messages")));
    assert!(page.body.contains(&format!("https://coach.example/webhooks/calcom/{whatsapp}")));
    assert!(!page.body.contains("lead to this machine alone"));
    let voice = test.workspace("voice").await;
    let page = test.page(&cookie, &integrations(&voice)).await;
    assert!(page.body.contains(&format!("https://coach.example/webhooks/vapi/{voice}/tools")));
    assert!(page.body.contains(&format!("https://coach.example/webhooks/vapi/{voice}/events")));
    test.end().await;
}

#[tokio::test]
async fn assets_are_cached_by_their_version() {
    let test = TestGateway::start().await;
    let page = test.send("GET", "/sign-in", &[], "").await;
    let at = page.body.find("/assets/app.css?v=").unwrap();
    let style = page.body[at..].split('"').next().unwrap().to_owned();
    let answer = test.send("GET", &style, &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let tag = answer.header("etag").unwrap();
    let plain = test.send("GET", "/assets/app.css", &[("if-none-match", tag)], "").await;
    assert_eq!((plain.status, plain.header("cache-control")), (304, Some("no-cache")));
    for (path, content_type) in
        [("/assets/app.js", "text/javascript; charset=utf-8"), ("/assets/icon.svg", "image/svg+xml")]
    {
        assert_eq!(test.send("GET", path, &[], "").await.header("content-type"), Some(content_type));
    }
    test.send("GET", "/assets/../Cargo.toml", &[], "").await.problem(404);
    test.end().await;
}

#[tokio::test]
async fn what_goes_wrong_on_a_page_is_told_as_a_page() {
    let test = TestGateway::start().await;
    let cookie = test.sign_in().await;
    let html = Some("text/html; charset=utf-8");
    let unknown = test.page(&cookie, "/nothing").await;
    assert_eq!((unknown.status, unknown.header("content-type")), (404, html));
    let method = test.page(&cookie, "/workspaces").await;
    assert_eq!(
        (method.status, method.header("content-type"), method.header("allow")),
        (405, html, Some("POST"))
    );
    let headers = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/json"),
    ];
    let typed = test.send("POST", "/workspaces", &headers, "{}").await;
    assert_eq!((typed.status, typed.header("content-type")), (415, html));
    for path in ["/sign-in/%ff", "/sign-in/nobodys", "/sign-in/%00"] {
        let answer = test.send("GET", path, &[], "").await;
        assert_eq!((answer.status, answer.header("content-type")), (410, html), "{path}");
    }
    let large = test.submit(&cookie, "/workspaces", &[("name", &"n".repeat(70_000))]).await;
    assert_eq!((large.status, large.header("content-type")), (413, html));
    test.end().await;
}
