//! The answer to a call, and what it is judged to be.

use axum::body::Body;
use axum::response::Response;
use coachbot_common::secret::random_bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::ledger::{Effect, Verdict};
use crate::providers::Provider;

/// What a provider answers.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub status: u16,
    pub body: Content,
    pub retry_after: Option<u32>,
    pub verdict: Verdict,
    /// Boxed, so that a refusal is small.
    pub effect: Option<Box<Effect>>,
}

/// The body of an answer.
#[derive(Clone, Debug)]
pub enum Content {
    Json(Value),
    Page(&'static str),
}

impl Outcome {
    /// It was done.
    pub fn accepted(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Content::Json(body),
            retry_after: None,
            verdict: Verdict::Accepted { http_status: status },
            effect: None,
        }
    }

    /// It was refused, as it may happen to anyone.
    pub fn refused(status: u16, code: impl Into<String>, body: Value) -> Self {
        let verdict = Verdict::Refused { http_status: status, code: code.into() };
        Self { verdict, ..Self::accepted(status, body) }
    }

    /// The caller broke the contract, whatever the answer says.
    pub fn violating(mut self, what: impl Into<String>) -> Self {
        let code = match &self.verdict {
            Verdict::Refused { code, .. } => code.clone(),
            _ => self.status.to_string(),
        };
        self.verdict = Verdict::Violation { http_status: self.status, code, what: what.into() };
        self
    }

    /// It changed the world.
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = Some(Box::new(effect));
        self
    }

    /// The answer as it goes out.
    pub fn into_response(self, provider: Provider) -> Response {
        let (kind, body) = match self.body {
            Content::Json(value) => ("application/json; charset=utf-8", value.to_string()),
            Content::Page(page) => ("text/html; charset=utf-8", page.to_owned()),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Ok(id) = HeaderValue::from_str(&format!("req_{}", random_hex())) {
            headers.insert(request_id(provider), id);
        }
        if provider == Provider::Calcom {
            for (name, value) in CALCOM_LIMITS {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
        }
        response
    }
}

const CALCOM_LIMITS: [(&str, &str); 3] = [
    ("x-ratelimit-limit-default", "120"),
    ("x-ratelimit-remaining-default", "119"),
    ("x-ratelimit-reset-default", "60"),
];

const fn request_id(provider: Provider) -> HeaderName {
    HeaderName::from_static(match provider {
        Provider::Twilio => "twilio-request-id",
        Provider::Vapi | Provider::Calcom | Provider::Openai => "x-request-id",
    })
}

/// 32 hex digits that nobody guesses.
pub fn random_hex() -> String {
    hex::encode(random_bytes::<16>())
}

/// A proxy's page.
pub fn page(status: u16) -> Outcome {
    const PAGE: &str =
        "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>";
    Outcome { body: Content::Page(PAGE), ..Outcome::refused(status, "html", Value::Null) }
}

/// An error of the provider's shape that is about the provider itself.
pub fn trouble(provider: Provider, status: u16) -> Outcome {
    let text = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let text = text.unwrap_or("Error");
    match provider {
        Provider::Twilio => crate::twilio::refuse(status, 20000 + u32::from(status), text),
        Provider::Calcom => crate::calcom::bare(status, text),
        Provider::Openai => crate::openai::refuse(status, "server_error", Some("server_error"), None, text),
        Provider::Vapi => crate::vapi::refuse(status, json!(text)),
    }
}

/// The provider says that it was too fast.
pub fn too_fast(provider: Provider) -> Outcome {
    let outcome = match provider {
        Provider::Twilio => crate::twilio::refuse(429, 20429, "Too Many Requests"),
        Provider::Calcom => crate::calcom::envelope(
            429,
            "ThrottlerException",
            "CustomThrottlerGuard - Too many requests. Please try again later.",
        ),
        Provider::Openai => {
            let text = "Rate limit reached for requests per minute.";
            crate::openai::refuse(429, "requests", Some("rate_limit_exceeded"), None, text)
        }
        Provider::Vapi => crate::vapi::refuse(429, json!("Too Many Requests")),
    };
    // Cal.com's guard sends none.
    Outcome { retry_after: (provider != Provider::Calcom).then_some(1), ..outcome }
}

/// A thing that the provider has and the sandbox has not.
pub fn not_simulated(provider: Provider, what: &str) -> Outcome {
    let text = format!("{what} is not simulated by the sandbox");
    let outcome = match provider {
        Provider::Twilio => crate::twilio::refuse(501, 20501, &text),
        Provider::Calcom => crate::calcom::bare(501, &text),
        Provider::Openai => crate::openai::refuse(501, "server_error", Some("not_simulated"), None, &text),
        Provider::Vapi => crate::vapi::refuse(501, json!(text)),
    };
    outcome.violating(text)
}
