//! The four providers on one loopback address: they answer what a test says, or
//! honestly, and judge every request that they get.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coachbot_integrations::Provider;
use futures_util::{StreamExt as _, stream};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use super::judge::complaints;
use super::ledger::{Asked, Ledger};
use super::{ACCOUNT_SID, planted, samples};

/// One answer.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    then: Then,
    after_the_effect: bool,
}

/// What follows the body's bytes.
#[derive(Clone, Copy, Debug)]
enum Then {
    Ends,
    BreaksOff,
    NeverEnds,
    NeverBegins,
}

impl Reply {
    /// JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, "application/json; charset=utf-8", body.to_string())
    }

    /// A page, as proxies and bot filters send it.
    #[must_use]
    pub fn page(status: u16) -> Self {
        Self::raw(status, "text/html", "<!DOCTYPE html><html><title>Attention required</title></html>")
    }

    /// No body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), then: Then::Ends, after_the_effect: false }
    }

    /// Any body.
    #[must_use]
    pub fn raw(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::empty(status).header("content-type", content_type).body(body.into())
    }

    fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The connection ends after the bytes, before the body does.
    #[must_use]
    pub const fn that_breaks_off(mut self) -> Self {
        self.then = Then::BreaksOff;
        self
    }

    /// Nothing comes after the bytes, and the body does not end.
    #[must_use]
    pub const fn that_never_ends(mut self) -> Self {
        self.then = Then::NeverEnds;
        self
    }

    /// Nothing comes at all.
    #[must_use]
    pub fn never() -> Self {
        Self { then: Then::NeverBegins, ..Self::empty(200) }
    }

    /// What is asked is done all the same: the answer is lost, the effect is not.
    #[must_use]
    pub const fn after_the_effect(mut self) -> Self {
        self.after_the_effect = true;
        self
    }

    fn response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let bytes = Bytes::from(self.body);
        let body = match self.then {
            Then::Ends | Then::NeverBegins => Body::from(bytes),
            Then::BreaksOff => {
                let broken = stream::once(async {
                    // The server writes what it has when it must wait for more.
                    tokio::task::yield_now().await;
                    Err(io::Error::from(io::ErrorKind::ConnectionReset))
                });
                Body::from_stream(stream::iter([Ok(bytes)]).chain(broken))
            }
            Then::NeverEnds => {
                let first = stream::iter([Ok::<_, Infallible>(bytes)]);
                Body::from_stream(first.chain(stream::pending()))
            }
        };
        response.body(body).expect("a reply has a usable status and headers")
    }
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
    /// What the provider would not have liked about it.
    pub complaints: Vec<String>,
}

/// The four providers. Dropping it leaves the address to the test's runtime.
#[derive(Clone, Debug)]
pub struct StubProviders {
    address: SocketAddr,
    state: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    replies: VecDeque<Reply>,
    seen: Vec<Seen>,
    ledger: Ledger,
}

impl StubProviders {
    /// Starts to listen.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(Mutex::new(Script::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    /// Where it is.
    ///
    /// # Panics
    /// Never: an address makes a URL.
    #[must_use]
    pub fn url(&self) -> Url {
        format!("http://{}", self.address).parse().expect("an address makes a URL")
    }

    /// Answers the next requests so, whatever they ask; after these, honestly.
    pub fn answer(&self, replies: impl IntoIterator<Item = Reply>) {
        let mut script = lock(&self.state);
        script.replies = replies.into_iter().collect();
        script.seen.clear();
    }

    /// What happened at the providers since the start.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        lock(&self.state).ledger.clone()
    }

    /// The requests that came since the last [`Self::answer`].
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }
}

fn lock(state: &Mutex<Script>) -> MutexGuard<'_, Script> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(state): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1024 * 1024).await.unwrap_or_default();
    let seen = Seen {
        method: head.method.clone(),
        target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: head.headers.clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
        complaints: complaints(&head, &body),
    };
    let reply = {
        let mut script = lock(&state);
        script.seen.push(seen);
        let scripted = script.replies.pop_front();
        if scripted.as_ref().is_none_or(|reply| reply.after_the_effect) {
            let asked = Asked {
                method: &head.method,
                path: head.uri.path(),
                query: head.uri.query().unwrap_or_default(),
                body: &body,
            };
            let honest = provider_of(head.uri.path()).map_or_else(
                || Reply::empty(404),
                |provider| honest(provider, &mut script.ledger, &head.headers, &asked),
            );
            scripted.unwrap_or(honest)
        } else {
            scripted.unwrap_or_else(|| Reply::empty(500))
        }
    };
    if matches!(reply.then, Then::NeverBegins) {
        std::future::pending::<()>().await;
    }
    reply.response()
}

fn provider_of(path: &str) -> Option<Provider> {
    let first = path.split('/').nth(1)?;
    first.parse().ok()
}

/// What the provider would answer: the key first, then what is asked.
fn honest(provider: Provider, ledger: &mut Ledger, headers: &HeaderMap, asked: &Asked<'_>) -> Reply {
    let key = planted(provider);
    let expected = match provider {
        Provider::Twilio => format!("Basic {}", STANDARD.encode(format!("{ACCOUNT_SID}:{key}"))),
        Provider::Vapi | Provider::Calcom | Provider::Openai => format!("Bearer {key}"),
    };
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if sent != expected {
        return rejected(provider, sent);
    }
    ledger.answer(provider, asked).unwrap_or_else(|| missing(provider))
}

fn rejected(provider: Provider, sent: &str) -> Reply {
    let (status, code, text) = match provider {
        Provider::Twilio => (401, "20003", "Authenticate"),
        Provider::Vapi => (401, "Unauthorized", "Invalid Key. Hot tip, you may be using the private key"),
        Provider::Calcom if !sent.starts_with("Bearer cal_") => {
            (403, "ForbiddenException", "PermissionsGuard - no oAuth client found for access token=")
        }
        Provider::Calcom => (401, "UnauthorizedException", "CustomThrottlerGuard - Invalid API Key"),
        Provider::Openai => (401, "invalid_api_key", "Incorrect API key provided:"),
    };
    Reply::json(status, &samples::refusal(provider, status, code, &format!("{text} {sent}")))
}

fn missing(provider: Provider) -> Reply {
    let (code, text) = match provider {
        Provider::Twilio => ("20404", "The requested resource was not found"),
        Provider::Vapi => ("Not Found", "not found"),
        Provider::Calcom => ("NotFoundException", "Event type with id not found"),
        Provider::Openai => ("", "Invalid URL"),
    };
    let status = StatusCode::NOT_FOUND.as_u16();
    Reply::json(status, &samples::refusal(provider, status, code, text))
}
