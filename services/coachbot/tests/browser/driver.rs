//! A headless Chromium through chromedriver, driven by keys.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use coachbot_common::config::{Env as _, ProcessEnv};
use coachbot_common::testing::skip;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const LONG: Duration = Duration::from_secs(30);

/// More Tab presses than any page has stops.
const MOST_STOPS: usize = 120;

pub struct Browser {
    client: Client,
    driver: Child,
    /// `http://127.0.0.1:port/session/id`, for what WebDriver has no word for.
    session: String,
    http: reqwest::Client,
}

fn on_path(name: &str) -> Option<PathBuf> {
    ProcessEnv
        .get("PATH")?
        .split(':')
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|path| path.is_file())
}

impl Browser {
    /// Starts one; `None`, said loudly, where the machine has none.
    pub async fn start() -> Option<Self> {
        let driver = on_path("chromedriver");
        let chromium =
            ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| on_path(name));
        let (Some(driver), Some(chromium)) = (driver, chromium) else {
            skip(
                "browser",
                "this machine has no Chromium (Debian: apt-get install chromium chromium-driver)",
            );
            return None;
        };
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = loop {
            let line = tokio::time::timeout(LONG, lines.next_line()).await.unwrap().unwrap().unwrap();
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        // Its pipe must stay open: it dies when it cannot write.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let options = json!({
            "binary": chromium,
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1280,900", "--lang=en-GB"],
        });
        let capabilities = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let base = format!("http://127.0.0.1:{port}");
        let client = ClientBuilder::new(hyper_util_connector())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&base)
            .await
            .unwrap();
        let id = client.session_id().await.unwrap().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Some(Self { client, driver, session: format!("{base}/session/{id}"), http })
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    pub async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    pub async fn wait_for(&self, selector: &str) {
        let found = self.client.wait().at_most(LONG).for_element(Locator::Css(selector)).await;
        if found.is_err() {
            let url = self.client.current_url().await.unwrap();
            panic!("{selector} is not there at {url}:\n{}", self.source().await);
        }
    }

    pub async fn wait_until_gone(&self, selector: &str) {
        let gone = format!("return document.querySelector({}) === null", json!(selector));
        let wait = async {
            while self.client.execute(&gone, vec![]).await.unwrap() != Value::Bool(true) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, wait).await.unwrap_or_else(|_| panic!("{selector} is still there"));
    }

    pub async fn text(&self, selector: &str) -> String {
        self.client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    pub async fn has(&self, selector: &str) -> bool {
        !self.client.find_all(Locator::Css(selector)).await.unwrap().is_empty()
    }

    pub async fn is_focused(&self, selector: &str) -> bool {
        let script = format!("return document.activeElement.matches({})", json!(selector));
        self.client.execute(&script, vec![]).await.unwrap() == Value::Bool(true)
    }

    async fn press(&self, key: char) {
        let actions = KeyActions::new("keys".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.client.perform_actions(actions).await.unwrap();
    }

    pub async fn press_enter(&self) {
        self.press(char::from(Key::Enter)).await;
    }

    pub async fn type_text(&self, text: &str) {
        for letter in text.chars() {
            self.press(letter).await;
        }
    }

    /// Presses Tab until the element has the focus, as a person without a mouse
    /// does.
    pub async fn tab_to(&self, selector: &str) {
        for _ in 0..MOST_STOPS {
            if self.is_focused(selector).await {
                return;
            }
            self.press(char::from(Key::Tab)).await;
        }
        panic!("{selector} cannot be reached by keyboard");
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let answer = self
            .http
            .post(format!("{}/goog/cdp/execute", self.session))
            .json(&json!({"cmd": command, "params": parameters}))
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    }

    /// Looks at the page wide and at 360 px, in light and dark: nothing may reach
    /// past the screen. Keeps the pictures where a folder is named for them.
    pub async fn picture(&self, name: &str) {
        let folder = ProcessEnv.get("COACHBOT_TEST_PICTURES").map(PathBuf::from);
        for (width, size) in [(1280, "wide"), (360, "narrow")] {
            let screen =
                json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 400});
            self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
            for scheme in ["light", "dark"] {
                let media = json!({"features": [
                    {"name": "prefers-color-scheme", "value": scheme},
                    // A picture in the middle of a transition shows neither.
                    {"name": "prefers-reduced-motion", "value": "reduce"},
                ]});
                self.devtools("Emulation.setEmulatedMedia", media).await;
                let script = "scrollTo(0, 0); return [document.documentElement.scrollWidth, innerWidth, \
                              getComputedStyle(document.body).backgroundColor]";
                let seen = self.client.execute(script, vec![]).await.unwrap();
                assert!(
                    seen[0].as_i64() <= seen[1].as_i64(),
                    "{name} scrolls sideways at {width} px: {seen}"
                );
                let bright = brightness(seen[2].as_str().unwrap());
                assert_eq!(bright > 128, scheme == "light", "{name} in {scheme}: {seen}");
                if let Some(folder) = &folder {
                    self.keep(&folder.join(format!("{name}-{size}-{scheme}.png"))).await;
                }
            }
        }
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
        self.devtools("Emulation.setEmulatedMedia", json!({"features": []})).await;
    }

    async fn keep(&self, path: &std::path::Path) {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.devtools("Page.captureScreenshot", whole).await;
        let picture = answer["value"]["data"].as_str().unwrap();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, picture).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Nothing in the console: no error, no breach of the content security policy.
    pub async fn assert_no_complaint(&self) {
        let answer: Value = self
            .http
            .post(format!("{}/se/log", self.session))
            .json(&json!({"type": "browser"}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let lines = answer["value"].as_array().unwrap();
        let complaints: Vec<_> = lines
            .iter()
            .filter(|line| line["level"] == "SEVERE")
            // A refused form is an answer with status 422, which Chromium reports.
            .filter(|line| !line["message"].as_str().unwrap_or_default().contains("status of 422"))
            .collect();
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    pub async fn end(self) {
        self.client.close().await.unwrap();
        let mut driver = self.driver;
        driver.kill().await.unwrap();
    }
}

fn hyper_util_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

/// The mean of red, green and blue of `rgb(r, g, b)`.
fn brightness(colour: &str) -> u32 {
    let numbers: Vec<u32> = colour
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .take(3)
        .collect();
    numbers.iter().sum::<u32>() / 3
}
