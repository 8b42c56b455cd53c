//! The lead form, for people and for the scripts of other sites.

use serde_json::{Value, json};

use crate::support::agent::{Taken, wrong};
use crate::support::{Answer, KEY, TestGateway};

const FORM: &str = "application/x-www-form-urlencoded";
const PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// The path of a workspace's form.
async fn form_of(test: &TestGateway, workspace: &str) -> String {
    let forms = test.get(&format!("/workspaces/{workspace}/forms")).await.json();
    let url = forms["items"][0]["url"].as_str().unwrap();
    url[url.find("/f/").unwrap()..].to_owned()
}

async fn start(channel: &str) -> (TestGateway, String, String) {
    let test = TestGateway::start().await;
    let workspace = test.workspace(channel).await;
    test.agent.was_told(&workspace, 1).await;
    let form = form_of(&test, &workspace).await;
    (test, workspace, form)
}

fn zoe() -> Value {
    json!({
        "name": "Zoë K.", "phone": "+44 7700 900123", "email": "zoe@example.com",
        "message": "I want to run", "consent": true,
    })
}

async fn send_json(test: &TestGateway, form: &str, body: &Value) -> Answer {
    test.send("POST", form, &[("content-type", "application/json")], &body.to_string()).await
}

async fn send_form(test: &TestGateway, form: &str, accept: &str, inputs: &[(&str, &str)]) -> Answer {
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(inputs).finish();
    test.send("POST", form, &[("content-type", FORM), ("accept", accept)], &body).await
}

#[tokio::test]
async fn a_workspace_has_one_form_and_its_address_is_listed_and_shown() {
    let (test, workspace, form) = start("whatsapp").await;
    let id = form.trim_start_matches("/f/").to_owned();
    let listed = test.get(&format!("/workspaces/{workspace}/forms")).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["id"], id.as_str());
    assert_eq!(listed["items"][0]["url"], format!("http://localhost/f/{id}"));
    let names: Vec<_> =
        listed["items"][0]["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert_eq!(names, ["name", "phone", "email", "message", "consent"]);

    let cookie = test.sign_in().await;
    let settings = test.page(&cookie, &format!("/w/{workspace}/settings")).await;
    assert!(settings.body.contains(&format!("http://localhost{form}")), "{settings:?}");
    test.end().await;
}

#[tokio::test]
async fn anybody_opens_the_page_without_signing_in() {
    let (test, _, form) = start("whatsapp").await;
    let page = test.send("GET", &form, &[("accept", PAGE)], "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for part in [
        "Acme whatsapp",
        "name=\"name\"",
        "name=\"phone\"",
        "name=\"email\"",
        "name=\"message\"",
        "name=\"consent\"",
        "method=\"post\"",
        "width=device-width",
    ] {
        assert!(page.body.contains(part), "{part}");
    }
    assert!(!page.body.contains("<script") && !page.body.contains("Sign out"));
    assert_eq!(page.header("set-cookie"), None);

    for unknown in
        ["/f/01937a3e-6f00-7000-8000-00000000000a", "/f/nothing", &form.to_uppercase().replace("/F/", "/f/")]
    {
        let page = test.send("GET", unknown, &[("accept", PAGE)], "").await;
        assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
        assert!(!page.body.contains("workspaces"), "{page:?}");
        test.send("GET", unknown, &[], "").await.problem(404);
        test.send("POST", unknown, &[("content-type", "application/json")], "{}").await.problem(404);
    }
    test.end().await;
}

#[tokio::test]
async fn a_script_sends_json_and_gets_the_lead() {
    let (test, workspace, form) = start("whatsapp").await;
    let mut body = zoe();
    body["goal"] = json!("A marathon");
    body["age"] = json!(41);
    body["nothing"] = json!(null);
    let answer = send_json(&test, &form, &body).await;
    let lead = answer.json()["lead_id"].as_str().unwrap().to_owned();
    assert_eq!((answer.status, answer.json()), (202, json!({"lead_id": lead})));
    let taken = test.agent.leads();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].workspace_id.as_str(), taken[0].name.as_str()), (workspace.as_str(), "Zoë K."));
    assert_eq!(taken[0].phone.as_deref(), Some("+447700900123"));
    assert_eq!(taken[0].email.as_deref(), Some("zoe@example.com"));
    assert_eq!(taken[0].message.as_deref(), Some("I want to run"));
    let custom: Vec<_> =
        taken[0].custom_fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(custom, [("age", "41"), ("goal", "A marathon")]);

    let listed = test.get(&format!("/workspaces/{workspace}/leads")).await.json();
    assert_eq!(listed["items"][0]["id"], lead.as_str());
    assert_eq!(listed["items"][0]["source"], "form");
    test.end().await;
}

#[tokio::test]
async fn a_browser_sends_a_form_and_gets_a_page() {
    let (test, _, form) = start("whatsapp").await;
    let inputs = [
        ("name", "Zoë <b>"),
        ("phone", "+44 7700 900123"),
        ("email", ""),
        ("message", ""),
        ("_gotcha", ""),
        ("consent", "true"),
    ];
    let thanks = send_form(&test, &form, PAGE, &inputs).await;
    assert_eq!((thanks.status, thanks.header("content-type")), (202, Some("text/html; charset=utf-8")));
    assert!(thanks.body.contains("Thank you") && !thanks.body.contains("voice"));
    assert_eq!(test.agent.leads().len(), 1);

    let refused =
        send_form(&test, &form, PAGE, &[("name", "Zoë <b>"), ("phone", "07700"), ("email", "zoe")]).await;
    assert_eq!(refused.status, 422);
    for part in
        ["Zoë &#60;b&#62;", "value=\"07700\"", "Phone must be", "Email must be", "Tick the box", "Error: "]
    {
        assert!(refused.body.contains(part), "{part}: {}", refused.body);
    }
    assert_eq!(test.agent.leads().len(), 1);
    let answer = send_form(&test, &form, "application/json", &inputs).await;
    assert!(answer.json()["lead_id"].is_string());
    test.end().await;
}

#[tokio::test]
async fn every_refused_field_is_named() {
    let (test, _, form) = start("whatsapp").await;
    let refused = async |change: &[(&str, Value)]| {
        let mut body = zoe();
        for (name, value) in change {
            body[name] = value.clone();
        }
        let answer = send_json(&test, &form, &body).await;
        assert!(!answer.body.contains("s3cret"), "{answer:?}");
        answer.refused_fields()
    };
    for consent in [json!(false), json!(null), json!("no"), json!(0), json!([true])] {
        assert_eq!(refused(&[("consent", consent)]).await, ["consent"]);
    }
    for phone in [json!("07700 900123"), json!("s3cret"), json!({"a": 1}), json!("+44 7700 90012x")] {
        assert_eq!(refused(&[("phone", phone)]).await, ["phone"]);
    }
    assert_eq!(refused(&[("email", json!("s3cret"))]).await, ["email"]);
    for name in [json!(""), json!("n".repeat(121)), json!(null), json!(["s3cret"]), json!("a\u{0}b")] {
        assert_eq!(refused(&[("name", name)]).await, ["name"]);
    }
    assert_eq!(refused(&[("message", json!("m".repeat(4_001)))]).await, ["message"]);
    assert_eq!(refused(&[("goal", json!({"nested": 1}))]).await, ["goal"]);
    assert_eq!(refused(&[("phone", json!("")), ("email", json!(""))]).await, ["phone"]);
    let nobody = send_json(&test, &form, &json!({})).await;
    assert_eq!(nobody.refused_fields(), ["name", "consent", "phone"]);

    send_json(&test, &form, &json!([])).await.problem(400);
    test.send("POST", &form, &[("content-type", "application/json")], "{").await.problem(400);
    test.send("POST", &form, &[("content-type", "multipart/form-data")], "x").await.problem(415);
    test.send("POST", &form, &[], "name=x").await.problem(415);
    let mut large = zoe();
    large["goal"] = json!("g".repeat(70_000));
    send_json(&test, &form, &large).await.problem(413);
    // What the agent alone knows is told too.
    test.agent.refuse(wrong("phone"));
    assert_eq!(send_json(&test, &form, &zoe()).await.refused_fields(), ["phone"]);
    test.agent.refuse(wrong("phone"));
    let inputs = [("name", "Zoë"), ("phone", "+447700900123"), ("consent", "on")];
    let page = send_form(&test, &form, PAGE, &inputs).await;
    assert!(page.status == 422 && page.body.contains("Phone must be better"), "{page:?}");
    assert!(test.agent.leads().is_empty());
    test.end().await;
}

#[tokio::test]
async fn a_submission_is_kept_while_the_agent_is_away() {
    let (test, _, form) = start("whatsapp").await;
    test.agent.be_away(true);
    let answer = send_json(&test, &form, &zoe()).await;
    let submission = answer.json()["submission_id"].as_str().unwrap().to_owned();
    assert_eq!((answer.status, answer.json()), (202, json!({"lead_id": null, "submission_id": submission})));
    let page =
        send_form(&test, &form, PAGE, &[("name", "Zoë"), ("email", "z@example.com"), ("consent", "on")])
            .await;
    assert!(page.status == 202 && page.body.contains("Thank you"));

    let (database, vault, agent) = (test.database.clone(), test.vault.clone(), test.agent.clone());
    let folder = test.end().await;
    let again = TestGateway::over(database, "http://localhost", vault, agent.clone()).await;
    agent.be_away(false);
    agent.took(|ledger| ledger.iter().filter(|taken| matches!(taken, Taken::Lead(_))).count() >= 2).await;
    let taken = agent.leads();
    assert!(taken.iter().any(|lead| lead.submission_id == submission && lead.name == "Zoë K."));
    again.end().await;
    drop(folder);
}

#[tokio::test]
async fn an_agent_that_hangs_is_waited_for_two_seconds_only() {
    let (test, _, form) = start("whatsapp").await;
    test.agent.hang(true);
    let answer =
        tokio::time::timeout(std::time::Duration::from_secs(6), send_json(&test, &form, &zoe())).await;
    assert_eq!(answer.expect("it is stored").json()["lead_id"], Value::Null);
    test.agent.hang(false);
    test.agent.took(|ledger| ledger.iter().any(|taken| matches!(taken, Taken::Lead(_)))).await;
    test.end().await;
}

#[tokio::test]
async fn a_form_of_a_workspace_that_the_agent_does_not_know_tells_it_first() {
    let (test, workspace, form) = start("whatsapp").await;
    test.agent.forget_workspaces();
    assert!(send_json(&test, &form, &zoe()).await.json()["lead_id"].is_string());
    assert!(test.agent.knows(&workspace));
    test.end().await;
}

#[tokio::test]
async fn a_voice_workspace_keeps_the_lead_and_says_that_calls_come_later() {
    let (test, _, form) = start("voice").await;
    let answer = send_json(&test, &form, &zoe()).await.json();
    assert!(answer["lead_id"].is_string() && answer["note"].as_str().unwrap().contains("voice feature"));
    let page =
        send_form(&test, &form, PAGE, &[("name", "Zoë"), ("phone", "+447700900123"), ("consent", "on")])
            .await;
    assert!(page.body.contains("Calls come with the voice feature"), "{page:?}");
    assert_eq!(test.agent.leads().len(), 2);
    test.end().await;
}

#[tokio::test]
async fn a_program_that_fills_in_everything_is_thanked_and_dropped() {
    let (test, workspace, form) = start("whatsapp").await;
    let mut body = zoe();
    body["_gotcha"] = json!("http://spam.example");
    let answer = send_json(&test, &form, &body).await;
    assert_eq!((answer.status, &answer.json()["lead_id"]), (202, &Value::Null));
    assert!(test.agent.leads().is_empty());
    assert_eq!(test.get(&format!("/workspaces/{workspace}/leads")).await.json()["items"], json!([]));
    test.end().await;
}

#[tokio::test]
async fn scripts_of_other_sites_may_send_the_form_and_nothing_else() {
    let (test, workspace, form) = start("whatsapp").await;
    let ask = [
        ("origin", "https://coach.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let preflight = test.send("OPTIONS", &form, &ask, "").await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, Some("*")));
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("POST"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("content-type"));
    assert_eq!(preflight.header("access-control-allow-credentials"), None);

    let headers = [
        ("origin", "https://coach.example"),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "application/json"),
    ];
    for (body, status) in [(zoe(), 202), (json!({}), 422)] {
        let answer = test.send("POST", &form, &headers, &body.to_string()).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some("*")));
    }
    for path in [format!("/api/v1/workspaces/{workspace}"), "/".to_owned(), "/sign-out".to_owned()] {
        let answer = test.send("OPTIONS", &path, &ask, "").await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        assert_eq!(answer.status, 405);
    }
    test.end().await;
}

#[tokio::test]
async fn without_the_database_nothing_is_taken() {
    let (test, _, form) = start("whatsapp").await;
    test.gateway.close().await;
    send_json(&test, &form, &zoe()).await.problem(503);
    assert!(test.agent.leads().is_empty());
    test.end().await;
}

#[tokio::test]
async fn a_deleted_workspaces_form_is_gone() {
    let (test, workspace, form) = start("whatsapp").await;
    assert_eq!(test.call_as(KEY, "DELETE", &format!("/workspaces/{workspace}"), None).await.status, 204);
    send_json(&test, &form, &zoe()).await.problem(404);
    test.end().await;
}
