//! What holds for every route, found by walking the API's own description.

use serde_json::{Value, json};

use crate::support::{OTHER_KEY, TestGateway};

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

async fn description(test: &TestGateway) -> Value {
    let answer = test.send("GET", "/api/v1/openapi.json", &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    answer.json()
}

/// Every operation: method, path, description.
fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                all.push((method.to_uppercase(), path.clone(), operation.clone()));
            }
        }
    }
    assert!(all.len() >= 27, "{all:?}");
    all
}

/// A body that would be taken.
fn body(path: &str, operation: &Value) -> Option<Value> {
    operation.get("requestBody")?;
    Some(match path.rsplit('/').next().unwrap() {
        "workspaces" => json!({"name": "Theirs", "channel": "voice", "timezone": "UTC"}),
        "keys" => json!({"name": "theirs"}),
        "{id}" => json!({"name": "Theirs"}),
        "agent" => json!({"persona": "Theirs"}),
        "leads" => json!({"name": "Theirs", "email": "theirs@example.com"}),
        "{provider}" | "verify-draft" => json!({"fields": {"api_key": "sk-0123456789abcdef0123"}}),
        _ => panic!("this test has no body for {path} yet"),
    })
}

async fn call(
    test: &TestGateway,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: Option<Value>,
) -> crate::support::Answer {
    let bearer = format!("Bearer {}", key.unwrap_or_default());
    let mut headers = Vec::new();
    if key.is_some() {
        headers.push(("authorization", bearer.as_str()));
    }
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    test.send(method, path, &headers, &body).await
}

#[tokio::test]
async fn somebody_elses_id_is_not_found_on_every_route() {
    let test = TestGateway::start().await;
    let workspace = test.workspace("voice").await;
    let key = test.call("POST", "/keys", Some(json!({"name": "mine"}))).await.json()["id"].clone();
    let key = key.as_str().unwrap();
    let mut walked = 0;
    for (method, path, operation) in operations(&description(&test).await) {
        if !path.contains("{id}") {
            continue;
        }
        walked += 1;
        let path = inner(&path);
        let mine = if path.contains("/keys/") { key } else { workspace.as_str() };
        let unknown = "01937a3e-6f00-7000-8000-00000000000a";
        let mut told = Vec::new();
        for id in [mine, unknown, "not-an-id", &mine.to_uppercase(), "%00", "%ff"] {
            let path = path.replace("{id}", id).replace("{provider}", "openai");
            let answer =
                call(&test, &method, &path, Some(OTHER_KEY), body(&path_of(&path, id), &operation)).await;
            told.push(answer.problem(404));
        }
        assert!(told.iter().all(|problem| *problem == told[0]), "{method} {path}: {told:?}");
    }
    assert!(walked >= 21, "{walked}");
    assert_eq!(test.get(&format!("/workspaces/{workspace}")).await.json()["name"], "Acme voice");
    test.end().await;
}

/// The path with ids of things within a workspace.
fn inner(path: &str) -> String {
    path.replace("{lead_id}", INNER).replace("{conversation_id}", INNER)
}

const INNER: &str = "01937a3e-6f00-7000-8000-00000000000b";

/// The path with its id as a parameter again, to choose the body by.
fn path_of(path: &str, id: &str) -> String {
    path.replace(id, "{id}").replace("/openai", "/{provider}")
}

#[tokio::test]
async fn every_route_wants_a_key_but_the_description() {
    let test = TestGateway::start().await;
    let workspace = test.workspace("voice").await;
    for (method, path, operation) in operations(&description(&test).await) {
        let open = path.ends_with("/openapi.json");
        assert_eq!(operation.get("security").is_none(), open, "{path}");
        let path = inner(&path).replace("{id}", &workspace).replace("{provider}", "openai");
        for key in [None, Some("nobody's key"), Some("")] {
            let answer = call(&test, &method, &path, key, None).await;
            if open {
                assert_eq!(answer.status, 200);
            } else {
                answer.problem(401);
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
        }
    }
    test.end().await;
}

#[tokio::test]
async fn the_description_and_the_router_have_the_same_methods() {
    let test = TestGateway::start().await;
    let described = description(&test).await;
    for (path, item) in described["paths"].as_object().unwrap() {
        let mut expected: Vec<String> = METHODS
            .iter()
            .filter(|method| item.get(**method).is_some())
            .map(|method| method.to_uppercase())
            .collect();
        if expected.iter().any(|method| method == "GET") {
            expected.push("HEAD".to_owned());
        }
        expected.sort();
        let path = inner(path)
            .replace("{id}", "01937a3e-6f00-7000-8000-00000000000a")
            .replace("{provider}", "openai");
        let answer = test.send("OPTIONS", &path, &[], "").await;
        answer.problem(405);
        let mut allowed: Vec<String> =
            answer.header("allow").unwrap().split(',').map(|method| method.trim().to_owned()).collect();
        allowed.sort();
        assert_eq!(allowed, expected, "{path}");
    }
    test.end().await;
}

#[tokio::test]
async fn the_description_is_whole() {
    let test = TestGateway::start().await;
    let described = description(&test).await;
    assert!(described["openapi"].as_str().unwrap().starts_with("3.1"));
    let text = described.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(described["components"]["schemas"].get(name).is_some(), "{name} is not described");
    }
    for (method, path, operation) in operations(&described) {
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        let parameters = operation.get("parameters").cloned().unwrap_or(json!([]));
        let named: Vec<_> =
            parameters.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        for parameter in ["id", "provider", "lead_id", "conversation_id"] {
            assert_eq!(
                path.contains(&format!("{{{parameter}}}")),
                named.contains(&parameter),
                "{method} {path}"
            );
        }
        let Some(schema) = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
        else {
            assert!(operation.get("requestBody").is_none(), "{method} {path}");
            continue;
        };
        let name = schema.rsplit('/').next().unwrap();
        let schema = &described["components"]["schemas"][name];
        assert_eq!(schema["additionalProperties"], false, "{name}");
    }
    test.end().await;
}

#[tokio::test]
async fn a_body_is_read_strictly_on_every_route_that_has_one() {
    let test = TestGateway::start().await;
    let workspace = test.workspace("voice").await;
    let bearer = format!("Bearer {}", crate::support::KEY);
    let authorization = ("authorization", bearer.as_str());
    let json_type = ("content-type", "application/json");
    let mut walked = 0;
    for (method, path, operation) in operations(&description(&test).await) {
        let Some(mut body) = body(&path, &operation) else { continue };
        walked += 1;
        let path = path.replace("{id}", &workspace).replace("{provider}", "openai");
        let send =
            async |headers: &[(&str, &str)], body: &str| test.send(&method, &path, headers, body).await;

        body["s3cret_member"] = json!(1);
        assert_eq!(
            send(&[authorization, json_type], &body.to_string()).await.refused_fields(),
            ["s3cret_member"]
        );
        for wrong in ["", "{", "nul", "{\"name\":}", "\u{0}", "{\"name\":\"\\ud800\"}"] {
            send(&[authorization, json_type], wrong).await.problem(400);
        }
        for wrong in ["[]", "null", "1", "\"text\""] {
            send(&[authorization, json_type], wrong).await.problem(400);
        }
        send(&[authorization, json_type], &"[".repeat(10_000)).await.problem(400);
        send(&[authorization, ("content-type", "text/plain")], "{}").await.problem(415);
        send(&[authorization, ("content-type", "application/x-www-form-urlencoded")], "name=x")
            .await
            .problem(415);
        send(&[authorization], "{}").await.problem(415);
        let large = format!("{{\"name\":\"{}\"}}", "n".repeat(70_000));
        send(&[authorization, json_type], &large).await.problem(413);
        let charset = ("content-type", "application/json; charset=utf-8");
        assert_ne!(send(&[authorization, charset], "{}").await.status, 415);
    }
    assert_eq!(walked, 7);
    test.end().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let test = TestGateway::start().await;
    for path in
        ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/workspaces", "/api/v1/workspaces/", "/webhooks/x"]
    {
        test.send("GET", path, &[], "").await.problem(404);
    }
    let answer = test.send("BREW", "/api/v1/workspaces", &[], "").await;
    answer.problem(405);
    assert!(answer.header("allow").unwrap().contains("POST"));
    let head = test.send("HEAD", "/api/v1/openapi.json", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    test.end().await;
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect_a_browser() {
    let test = TestGateway::start_at("https://coach.example").await;
    let answers = [
        test.get("/workspaces").await,
        test.get("/nothing").await,
        test.send("GET", "/sign-in", &[], "").await,
        test.send("GET", "/nothing", &[], "").await,
        test.send("GET", "/healthz", &[], "").await,
        test.send("GET", "/assets/app.js", &[], "").await,
        test.send("GET", "/f/nothing", &[], "").await,
        test.send("POST", "/webhooks/twilio/nothing/messages", &[], "").await,
    ];
    for answer in answers {
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert!(answer.header("strict-transport-security").is_some());
        let cache = answer.header("cache-control").unwrap();
        assert!(cache == "no-store" || answer.header("etag").is_some(), "{answer:?}");
    }
    test.end().await;
}
