//! A running sandbox, a client, and a receiver of webhooks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coachbot_common::testing::MockClock;
use coachbot_sandbox::accounts::{CALCOM, OPENAI_KEY, TWILIO, TwilioAccount};
use coachbot_sandbox::ledger::{Entry, Filter, Verdict};
use coachbot_sandbox::{Config, Running, Sandbox};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::StatusCode;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::form_urlencoded;

pub const LEAD: &str = "whatsapp:+447700900123";
pub const SENDER: &str = "whatsapp:+447700900999";
pub const LONG: Duration = Duration::from_secs(20);

/// A sandbox whose clock stands at noon of a Wednesday.
pub struct Rig {
    pub sandbox: Running,
    pub clock: Arc<MockClock>,
    pub http: Client,
}

pub async fn start() -> Rig {
    start_with(&Config::in_memory()).await
}

pub async fn start_with(config: &Config) -> Rig {
    let clock = MockClock::at("2026-11-25T12:00:00Z");
    let sandbox = Sandbox::start(config, clock.clone()).await.unwrap();
    Rig { sandbox, clock, http: client() }
}

pub fn client() -> Client {
    Client::builder().no_proxy().timeout(LONG).build().unwrap()
}

pub fn account() -> TwilioAccount {
    TWILIO[0]
}

/// The status and the body of an answer.
pub async fn read(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), body(answer).await)
}

pub async fn body(answer: Response) -> Value {
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl Rig {
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.sandbox.url(path))
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.sandbox.url(path)).json(body)
    }

    pub fn messages_path(&self) -> String {
        format!("/twilio/2010-04-01/Accounts/{}/Messages.json", account().sid)
    }

    pub fn twilio(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(account().sid, Some(account().token))
    }

    /// Sends a form as Twilio takes it.
    pub fn send(&self, pairs: &[(&str, &str)]) -> RequestBuilder {
        let request = self.http.post(self.sandbox.url(&self.messages_path()));
        self.twilio(request).header("content-type", "application/x-www-form-urlencoded").body(form(pairs))
    }

    pub fn calcom(&self, request: RequestBuilder, version: &str) -> RequestBuilder {
        request.bearer_auth(CALCOM[0].key).header("cal-api-version", version)
    }

    pub async fn respond(&self, question: &Value) -> (u16, Value) {
        read(self.post("/openai/v1/responses", question).bearer_auth(OPENAI_KEY)).await
    }

    pub async fn fault(&self, fault: Value) {
        let (status, body) = read(self.post("/_sandbox/faults", &fault)).await;
        assert_eq!(status, 201, "{body}");
    }

    /// A lead's message, over the lead's side.
    pub async fn write(&self, webhook: &str, more: Value) -> Value {
        let mut written =
            json!({ "workspace_webhook_url": webhook, "to": SENDER, "from": LEAD, "text": "Hello" });
        written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, body) = read(self.post("/_sandbox/leads/messages", &written)).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The verdict of the last request of a provider.
    pub fn last(&self) -> Verdict {
        self.entries("{}").pop().unwrap().verdict
    }

    pub fn entries(&self, filter: &str) -> Vec<Entry> {
        self.sandbox.ledger(&serde_json::from_str::<Filter>(filter).unwrap())
    }

    /// Waits for the next entries that fit.
    pub async fn wait_for(&self, query: &str) -> Vec<Value> {
        let (_, body) = read(self.get(&format!("/_sandbox/ledger?wait=1&{query}"))).await;
        let items = body["items"].as_array().unwrap().clone();
        assert!(!items.is_empty(), "nothing came: {query}");
        items
    }
}

pub fn is_violation(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Violation { .. })
}

/// A webhook that came.
#[derive(Clone, Debug)]
pub struct Came {
    pub path: String,
    pub form: Vec<(String, String)>,
    pub is_signed: bool,
}

impl Came {
    pub fn get(&self, name: &str) -> &str {
        self.form.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

/// A receiver of webhooks: the product's side.
pub struct Receiver {
    base: String,
    came: Arc<(Mutex<Vec<Came>>, watch::Sender<usize>)>,
}

type Shared = (Arc<(Mutex<Vec<Came>>, watch::Sender<usize>)>, String, StatusCode);

impl Receiver {
    pub async fn start() -> Self {
        Self::answering(StatusCode::NO_CONTENT).await
    }

    pub async fn answering(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let came = Arc::new((Mutex::new(Vec::new()), watch::Sender::new(0)));
        let router = Router::new().fallback(receive).with_state((Arc::clone(&came), base.clone(), status));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, came }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Waits until so many have come.
    pub async fn wait(&self, count: usize) -> Vec<Came> {
        let mut watch = self.came.1.subscribe();
        tokio::time::timeout(LONG, watch.wait_for(|came| *came >= count)).await.unwrap().unwrap();
        self.came.0.lock().unwrap().clone()
    }
}

async fn receive(State((came, base, status)): State<Shared>, request: Request) -> StatusCode {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let signature = head.headers.get("x-twilio-signature").unwrap().to_str().unwrap();
    let url = format!("{base}{}", head.uri);
    let is_signed = TWILIO.iter().any(|account| sign(account.token, &url, &form) == signature);
    let path = head.uri.path().to_owned();
    came.0.lock().unwrap().push(Came { path, form, is_signed });
    came.1.send_modify(|count| *count += 1);
    status
}

/// Written a second time, so that the sandbox is not its own judge.
fn sign(token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut sorted = form.to_vec();
    sorted.sort();
    sorted.dedup();
    let text = sorted.iter().fold(url.to_owned(), |text, (name, value)| text + name + value);
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
