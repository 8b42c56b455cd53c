//! A lead, the sandbox's providers as a process of their own, and the product
//! over them, which can be killed and started again.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::support::{API_KEY, KEY, Product, command, environment};

const LONG: Duration = Duration::from_secs(60);

/// The sandbox's account, as its README lists it.
pub const SENDER: &str = "whatsapp:+447700900999";
pub const LEAD: &str = "whatsapp:+447700900456";

/// The sandbox as a process.
pub struct Sandbox {
    _child: Child,
    pub base: String,
    http: Client,
}

impl Sandbox {
    pub async fn start(folder: &Path) -> Self {
        let env =
            [("COACHBOT_SANDBOX_LISTEN", "127.0.0.1:0"), ("COACHBOT_DATA_DIR", folder.to_str().unwrap())];
        let mut child = command(&["sandbox"], &env).stderr(std::process::Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LONG, lines.next_line()).await.unwrap().unwrap().unwrap();
        let base = line.split_whitespace().nth(1).unwrap().to_owned();
        let http = Client::builder().no_proxy().build().unwrap();
        Self { _child: child, base, http }
    }

    pub async fn get(&self, path: &str) -> Value {
        let asked = self.http.get(format!("{}/_sandbox{path}", self.base)).send();
        tokio::time::timeout(LONG, asked).await.expect(path).unwrap().json().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let answer =
            self.http.post(format!("{}/_sandbox{path}", self.base)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        let text = answer.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Lays a fault over calls to come.
    pub async fn fault(&self, fault: Value) {
        self.post("/faults", fault).await;
    }

    /// The effects of one kind, such as `message` and `booking`.
    pub async fn effects(&self, kind: &str) -> Vec<Value> {
        let ledger = self.get("/ledger").await;
        let effects = ledger["items"].as_array().unwrap().iter().map(|entry| &entry["effect"]);
        effects.filter(|effect| effect["kind"] == kind).cloned().collect()
    }

    /// Waits until there are so many effects of one kind.
    pub async fn until_effects(&self, kind: &str, count: usize) {
        let there = async {
            while self.effects(kind).await.len() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, there).await.expect("the effect happens in time");
    }

    /// What the product did against a provider's contract.
    pub async fn violations(&self) -> Vec<Value> {
        self.get("/violations").await["items"].as_array().unwrap().clone()
    }
}

/// A workspace with its accounts at the sandbox.
pub struct Chat {
    pub sandbox: Sandbox,
    pub workspace: String,
    env: BTreeMap<String, String>,
    product: Option<Product>,
    /// The place of the last message that the lead has read.
    read: Cell<u64>,
}

impl Chat {
    /// Starts everything, saves the accounts, and lets the bot answer at once.
    pub async fn start(folder: &Path, more: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::start(folder).await;
        let mut env = environment(
            folder,
            &[("INTEGRATIONS_ENCRYPTION_KEY", KEY), ("COACHBOT_BOOTSTRAP_API_KEY", API_KEY)],
        );
        env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        // The same port after a restart: providers keep the address of a webhook.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        env.insert("COACHBOT_LISTEN".to_owned(), free.to_string());
        for (name, path) in [
            ("COACHBOT_TWILIO_BASE_URL", "/twilio"),
            ("COACHBOT_VAPI_BASE_URL", "/vapi"),
            ("COACHBOT_CALCOM_BASE_URL", "/calcom"),
            ("COACHBOT_OPENAI_BASE_URL", "/openai/v1"),
        ] {
            env.insert(name.to_owned(), format!("{}{path}", sandbox.base));
        }
        let product = Product::start(&["serve"], &env).await;
        let workspace = product.workspace("whatsapp").await;
        let mut chat = Self { sandbox, workspace, env, product: Some(product), read: Cell::new(0) };
        for provider in ["twilio", "calcom", "openai"] {
            chat.connect(provider).await;
        }
        let path = format!("/workspaces/{}/agent", chat.workspace);
        let (_, mut settings) = chat.product().api(Method::GET, &path, None).await;
        settings["debounce_milliseconds"] = json!(0);
        // Free text to a lead who never wrote is not delivered.
        settings["opening_template_sid"] = json!("HX5a4db0c05a4db0c05a4db0c05a4db0c1");
        let (status, saved) = chat.product().api(Method::PUT, &path, Some(settings)).await;
        assert_eq!(status, 200, "{saved}");
        chat
    }

    /// Saves the sandbox's account of one provider.
    pub async fn connect(&mut self, provider: &str) {
        let accounts = self.sandbox.get("/accounts").await;
        let fields = match provider {
            "twilio" => json!({
                "account_sid": accounts["twilio"][0]["account_sid"],
                "auth_token": accounts["twilio"][0]["auth_token"],
                "from": SENDER,
            }),
            "calcom" => json!({
                "api_key": accounts["calcom"][0]["api_key"],
                "event_type_id": accounts["calcom"][0]["event_type_ids"][0],
                "timezone": accounts["calcom"][0]["timezone"],
            }),
            _ => json!({"api_key": accounts["openai"]["api_key"]}),
        };
        let path = format!("/workspaces/{}/integrations/{provider}", self.workspace);
        let (status, saved) = self.product().api(Method::PUT, &path, Some(json!({"fields": fields}))).await;
        assert_eq!(status, 200, "{saved}");
    }

    pub fn product(&self) -> &Product {
        self.product.as_ref().expect("the product runs")
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.product.take().expect("the product runs").kill().await;
    }

    /// Starts the product again, on the same data and port.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// Starts the product again with other values for this once.
    pub async fn restart_with(&mut self, more: &[(&str, &str)]) {
        let mut env = self.env.clone();
        env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.product = Some(Product::start(&["serve"], &env).await);
    }

    /// Stops everything; gives back what the product logged.
    pub async fn end(mut self) -> String {
        let ended = self.product.take().expect("the product runs").stop().await;
        assert!(ended.status.success(), "{}", ended.log);
        ended.log
    }

    fn webhook(&self) -> String {
        let port = self.env["COACHBOT_LISTEN"].rsplit(':').next().unwrap();
        format!("http://localhost:{port}/webhooks/twilio/{}/messages", self.workspace)
    }

    /// The lead writes; gives back how the webhooks were answered.
    pub async fn write_with(&self, text: &str, more: Value) -> Vec<u64> {
        let mut written = json!({
            "workspace_webhook_url": self.webhook(),
            "to": SENDER,
            "from": LEAD,
            "text": text,
            "profile_name": "Zoë",
        });
        written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.sandbox.post("/leads/messages", written).await;
        answer["statuses"].as_array().unwrap().iter().filter_map(Value::as_u64).collect()
    }

    /// The lead writes.
    pub async fn write(&self, text: &str) {
        assert_eq!(self.write_with(text, json!({})).await, [200], "{text}");
    }

    /// The next message that the lead gets.
    pub async fn answer(&self) -> String {
        self.answer_to(LEAD).await
    }

    /// The next message that this lead gets. Leads are asked for in turn: places
    /// count for all of them.
    pub async fn answer_to(&self, lead: &str) -> String {
        let deadline = tokio::time::Instant::now() + LONG;
        while tokio::time::Instant::now() < deadline {
            let path = format!(
                "/messages?with={}&after={}&wait=1",
                lead.replace(':', "%3A").replace('+', "%2B"),
                self.read.get()
            );
            let items = self.sandbox.get(&path).await["items"].as_array().unwrap().clone();
            for item in items {
                self.read.set(item["seq"].as_u64().unwrap());
                if item["direction"] == "outbound" {
                    return item["text"].as_str().unwrap().to_owned();
                }
            }
        }
        panic!("no answer came");
    }

    /// What the lead was sent so far, whatever was read.
    pub async fn all_answers(&self) -> Vec<String> {
        let path = format!("/messages?all=1&with={}", LEAD.replace(':', "%3A").replace('+', "%2B"));
        let items = self.sandbox.get(&path).await["items"].as_array().unwrap().clone();
        let outbound = items.into_iter().filter(|item| item["direction"] == "outbound");
        outbound.map(|item| item["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until no message of any conversation is under way, and so many were
    /// sent.
    pub async fn until_sent(&self, sent: usize) {
        let settled = async {
            loop {
                let mut done = 0;
                for conversation in self.list("conversations?limit=100").await {
                    let id = conversation["id"].as_str().unwrap().to_owned();
                    let path = format!("/workspaces/{}/conversations/{id}", self.workspace);
                    let (_, whole) = self.product().api(Method::GET, &path, None).await;
                    let under_way = ["planned", "sending", "unknown"];
                    let outbound: Vec<_> = whole["messages"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter(|message| message["direction"] == "outbound")
                        .collect();
                    let open =
                        outbound.iter().any(|one| under_way.contains(&one["status"].as_str().unwrap()));
                    done += if open { 0 } else { outbound.len() };
                }
                if done == sent {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(4 * LONG, settled).await.expect("everything is settled in time");
    }

    /// A list of the JSON API.
    pub async fn list(&self, what: &str) -> Vec<Value> {
        let path = format!("/workspaces/{}/{what}", self.workspace);
        let (status, list) = self.product().api(Method::GET, &path, None).await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().unwrap().clone()
    }

    /// Waits until the API says so.
    pub async fn until(&self, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let found = async {
            loop {
                let items = self.list(what).await;
                if fits(&items) {
                    return items;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, found).await.unwrap_or_else(|_| panic!("{what} did not come to it"))
    }
}
