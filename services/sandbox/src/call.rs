//! One call of a provider: faults, judgement, ledger, answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use coachbot_common::secret::constant_time_eq;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tracing::warn;
use url::form_urlencoded;

use crate::faults::{Fault, Kind};
use crate::held::{Gone, Release};
use crate::ledger::Verdict;
use crate::outcome::{Outcome, page, too_fast, trouble};
use crate::providers::{Operation, Provider};
use crate::sandbox::Sandbox;
use crate::wire::Wire;
use crate::world::World;

/// Longest request that is read.
const LONGEST: usize = 4 * 1024 * 1024;

/// A request to a provider, with its path as below the provider's base URL.
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The time of its judgement.
    pub now: Timestamp,
    pub fault: Option<Fault>,
}

impl Asked {
    async fn read(request: Request) -> Option<Self> {
        let (head, body) = request.into_parts();
        let query = pairs(head.uri.query().unwrap_or_default().as_bytes());
        let body = to_bytes(body, LONGEST).await.ok()?;
        Some(Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query,
            headers: head.headers,
            body,
            now: Timestamp::UNIX_EPOCH,
            fault: None,
        })
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The key after `Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.header(AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
    }

    /// Whether the key after `Bearer` is this one.
    pub fn has_key(&self, key: &str) -> bool {
        self.bearer().is_some_and(|sent| constant_time_eq(sent.as_bytes(), key.as_bytes()))
    }

    /// Whether the body is said to be of this type.
    pub fn is_of_type(&self, wanted: &str) -> bool {
        let sent = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        sent.split(';').next().is_some_and(|sent| sent.trim().eq_ignore_ascii_case(wanted))
    }

    /// The body as a form.
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }

    /// The body as a JSON object.
    pub fn object(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether a fault of this kind lies over the call.
    pub fn has_fault(&self, kind: Kind) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.kind == kind)
    }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// What goes back to the caller.
enum Reply {
    Answer(Outcome),
    Cut,
}

/// Tells that the caller waits no longer.
struct TellGone(Gone);

impl Drop for TellGone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Sandbox {
    /// Answers one call. It goes on when the caller goes away, as at a real
    /// provider: who has sent a request cannot take it back.
    pub(crate) async fn call(
        &self,
        wire: Wire,
        (provider, operation): (Provider, Operation),
        request: Request,
        judge: impl FnOnce(&mut World, &Asked) -> Outcome + Send + 'static,
    ) -> Response {
        let Some(asked) = Asked::read(request).await else {
            return trouble(provider, 413).into_response(provider);
        };
        let gone = Gone::default();
        let _tell = TellGone(Gone::clone(&gone));
        let (answer, answered) = oneshot::channel();
        let sandbox = self.clone();
        self.tasks().spawn("provider call", async move {
            // Nobody may be there to hear it.
            let _ = answer.send(sandbox.perform((provider, operation), asked, gone, judge).await);
        });
        match answered.await {
            Ok(Reply::Answer(outcome)) => outcome.into_response(provider),
            Ok(Reply::Cut) | Err(_) => {
                wire.cut();
                Response::default()
            }
        }
    }

    async fn perform(
        &self,
        at: (Provider, Operation),
        mut asked: Asked,
        gone: Gone,
        judge: impl FnOnce(&mut World, &Asked) -> Outcome,
    ) -> Reply {
        let (provider, _) = at;
        let Some(fault) = self.faults().take(provider, at.1) else {
            return Reply::Answer(self.judge(at, &mut asked, judge).await);
        };
        let after = fault.after_effect;
        asked.fault = Some(fault.clone());
        match fault.kind {
            Kind::Status if !after => {
                return self.instead(at, fault.kind, trouble(provider, fault.status.unwrap_or(503)));
            }
            Kind::Html if !after => {
                return self.instead(at, fault.kind, page(fault.status.unwrap_or(502)));
            }
            Kind::RateLimit => return self.instead(at, fault.kind, too_fast(provider)),
            Kind::CutBeforeEffect => return self.unheard(at, fault.kind),
            Kind::Delay if !after => self.pause(fault.milliseconds).await,
            Kind::Hold => {
                let released = self.hold(at, false, Gone::clone(&gone)).await;
                if released == Release::Cut {
                    return self.unheard(at, fault.kind);
                }
            }
            _ => {}
        }
        let outcome = self.judge(at, &mut asked, judge).await;
        match fault.kind {
            Kind::CutAfterEffect => Reply::Cut,
            Kind::Status if after => Reply::Answer(trouble(provider, fault.status.unwrap_or(503))),
            Kind::Html if after => Reply::Answer(page(fault.status.unwrap_or(502))),
            Kind::HoldAfterEffect => match self.hold(at, true, gone).await {
                Release::Answer => Reply::Answer(outcome),
                Release::Cut => Reply::Cut,
            },
            Kind::Delay if after => {
                self.pause(fault.milliseconds).await;
                Reply::Answer(outcome)
            }
            _ => Reply::Answer(outcome),
        }
    }

    /// Judges the call and writes down what came of it.
    async fn judge(
        &self,
        at: (Provider, Operation),
        asked: &mut Asked,
        judge: impl FnOnce(&mut World, &Asked) -> Outcome,
    ) -> Outcome {
        let fault = asked.fault.as_ref().map(|fault| fault.kind);
        let (outcome, number) = self.change(|world, now| {
            asked.now = now;
            let outcome = judge(world, asked);
            let effect = outcome.effect.as_deref().cloned();
            world.ledger.write(now, at, outcome.verdict.clone(), fault, effect);
            outcome
        });
        if let Verdict::Violation { http_status, .. } = &outcome.verdict {
            // What it was may quote the request: it stands in the ledger.
            warn!(provider = ?at.0, operation = ?at.1, http_status, "a caller broke a provider's contract");
        }
        if outcome.effect.is_some() {
            self.kept(number).await;
        }
        self.follow(&outcome);
        outcome
    }

    fn instead(&self, at: (Provider, Operation), fault: Kind, outcome: Outcome) -> Reply {
        let verdict = outcome.verdict.clone();
        self.change(|world, now| world.ledger.write(now, at, verdict, Some(fault), None));
        Reply::Answer(outcome)
    }

    fn unheard(&self, at: (Provider, Operation), fault: Kind) -> Reply {
        self.change(|world, now| world.ledger.write(now, at, Verdict::Cut, Some(fault), None));
        Reply::Cut
    }

    /// Waits so long, or until the sandbox stops.
    pub(crate) async fn pause(&self, milliseconds: Option<u64>) {
        let length = Duration::from_millis(milliseconds.unwrap_or_default());
        let _ = tokio::time::timeout(length, self.stop().cancelled()).await;
    }
}
