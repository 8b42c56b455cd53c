//! What came back.

use std::fmt;
use std::time::{Duration, Instant};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use serde::Deserialize;
use tokio::time::timeout_at;
use zeroize::Zeroizing;

use super::Cause;

/// First allocation for a body of unknown length.
const FIRST_BYTES: usize = 16 * 1024;

/// An answer with its status. The body may hold secrets (Twilio's account read
/// has the Auth Token in it): it is wiped when the answer is dropped, and never
/// printed.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// How long the call took, body included.
    pub elapsed: Duration,
    body: Result<Zeroizing<Vec<u8>>, Unreadable>,
    headers: HeaderMap,
}

/// Why a body is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It has a content encoding, and none was asked for.
    Encoded,
    /// It is longer than the limit.
    TooLong,
    /// It broke off.
    BrokeOff(Cause),
}

impl Unreadable {
    /// The value of `error.type` in spans.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Encoded => "body_encoded",
            Self::TooLong => "body_too_long",
            Self::BrokeOff(cause) => cause.code(),
        }
    }
}

impl Answer {
    /// Why the body was not read, if it was not.
    #[must_use]
    pub fn unreadable(&self) -> Option<Unreadable> {
        self.body.as_ref().err().copied()
    }

    /// The body as JSON of that shape; `None` when it is anything else.
    ///
    /// Borrow from it and name only what is needed: members that the shape does
    /// not name are skipped without a copy.
    #[must_use]
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_slice(self.body.as_ref().ok()?).ok()
    }

    /// Whether the body is a page for people, as proxies and bot filters send it.
    #[must_use]
    pub fn is_html(&self) -> bool {
        let starts_a_tag =
            self.body.as_ref().is_ok_and(|body| body.trim_ascii_start().first() == Some(&b'<'));
        declares_html(&self.headers) || starts_a_tag
    }

    /// A header's value, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("elapsed", &self.elapsed)
            .field("body_bytes", &self.body.as_ref().map(|body| body.len()))
            .finish_non_exhaustive()
    }
}

/// Reads the rest of an answer.
pub(super) async fn read(
    mut response: Response,
    limit: usize,
    started: Instant,
    deadline: tokio::time::Instant,
) -> Answer {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let body = if is_encoded(&headers) {
        Err(Unreadable::Encoded)
    } else {
        match timeout_at(deadline, read_body(&mut response, limit)).await {
            Ok(body) => body,
            Err(_) => Err(Unreadable::BrokeOff(Cause::Timeout)),
        }
    };
    Answer { status, elapsed: started.elapsed(), body, headers }
}

async fn read_body(response: &mut Response, limit: usize) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let announced = response.content_length().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Unreadable::TooLong);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(FIRST_BYTES)));
    while let Some(chunk) = response.chunk().await.map_err(|error| Unreadable::BrokeOff(Cause::of(&error)))? {
        let length = body.len() + chunk.len();
        if length > limit {
            return Err(Unreadable::TooLong);
        }
        if length > body.capacity() {
            // Growing in place would leave an unwiped copy behind.
            let mut longer = Zeroizing::new(Vec::with_capacity((length * 2).min(limit)));
            longer.extend_from_slice(&body);
            body = longer;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn declares_html(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..9))
        .is_some_and(|start| start.eq_ignore_ascii_case(b"text/html"))
}
