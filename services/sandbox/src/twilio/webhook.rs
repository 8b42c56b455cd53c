//! Sends a signed webhook, as Twilio does unless told otherwise: one try, and a
//! second only when no connection came about.

use coachbot_common::secret::random_bytes;
use http::header::CONTENT_TYPE;
use url::form_urlencoded;
use uuid::Uuid;

use super::sign::signature;
use crate::ledger::Verdict;

/// A webhook that is ready to be sent, as often as needed.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    pub form: Vec<(String, String)>,
    pub signature: String,
}

impl Webhook {
    /// Signs a form. A fragment is Twilio's own setting: neither signed nor sent.
    pub fn new(token: &str, url: &str, form: Vec<(String, String)>) -> Self {
        let url = url.split('#').next().unwrap_or_default().to_owned();
        let signature = signature(token, &url, &form);
        Self { url, form, signature }
    }

    /// Sends it, and gives the answer's status; `None` when none came.
    pub async fn send(&self, http: &reqwest::Client) -> Option<u16> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.form).finish();
        let token = Uuid::from_bytes(random_bytes()).to_string();
        let request = || {
            http.post(&self.url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
                .header("X-Twilio-Signature", &self.signature)
                .header("I-Twilio-Idempotency-Token", &token)
                .body(body.clone())
                .send()
        };
        let answer = match request().await {
            Err(error) if error.is_connect() => request().await,
            answer => answer,
        };
        answer.ok().map(|answer| answer.status().as_u16())
    }
}

/// How the receiver took it.
pub fn verdict(status: Option<u16>) -> Verdict {
    match status {
        Some(http_status) if (200..300).contains(&http_status) => Verdict::Accepted { http_status },
        Some(http_status) => Verdict::Refused { http_status, code: http_status.to_string() },
        None => Verdict::Cut,
    }
}

pub fn parameters<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
