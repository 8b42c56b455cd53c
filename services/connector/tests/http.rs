//! The HTTP client over real sockets: what it refuses, what it bounds, and why a
//! call failed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coachbot_connector::http::{
    Answer, BaseUrl, Cause, Failure, HttpClient, Limits, Operation, Request, Unreadable,
};
use coachbot_connector::testing::{Reply, StubProviders, impatient};
use http::{HeaderValue, StatusCode};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use serde_json::json;

fn request(root: &str) -> Request {
    let base = BaseUrl::new(root.parse().unwrap());
    let url = base.below(&["openai", "v1", "models"]);
    Request::get(Operation::OpenaiListModels, url).authorization(HeaderValue::from_static("Bearer sk-1"))
}

async fn ask(client: &HttpClient, root: &str) -> Result<Answer, Failure> {
    client.send(request(root), Duration::from_secs(30)).await
}

async fn cause(limits: Limits, root: &str) -> Cause {
    ask(&HttpClient::new(limits).unwrap(), root).await.unwrap_err().cause
}

fn listener() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves one answer per connection over TLS, in a thread, with a certificate
/// that only `roots` trust.
fn tls_server(answer: &'static [u8]) -> (SocketAddr, RootCertStore) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let (listener, address) = listener();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            // A client that does not trust the certificate ends the handshake.
            if tls.complete_io(&mut connection).is_ok() {
                let mut stream = rustls::Stream::new(&mut tls, &mut connection);
                // Closing with an unread request would reset the connection under the answer.
                let mut asked = Vec::new();
                let mut part = [0; 1024];
                while !asked.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut part) {
                        Ok(length) if length > 0 => asked.extend_from_slice(&part[..length]),
                        _ => break,
                    }
                }
                let _ = stream.write_all(answer);
                let _ = stream.flush();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (address, roots)
}

const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

#[tokio::test]
async fn a_closed_port_is_refused() {
    let (listener, address) = listener();
    drop(listener);
    assert_eq!(cause(Limits::default(), &format!("http://{address}")).await, Cause::Refused);
}

#[tokio::test]
async fn a_server_that_accepts_and_closes_loses_the_connection() {
    let (listener, address) = listener();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    for scheme in ["http", "https"] {
        assert_eq!(
            cause(Limits::default(), &format!("{scheme}://{address}")).await,
            Cause::ConnectionLost,
            "{scheme}"
        );
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let (listener, address) = listener();
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    for scheme in ["http", "https"] {
        let started = Instant::now();
        assert_eq!(cause(impatient(), &format!("{scheme}://{address}")).await, Cause::Timeout, "{scheme}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_call_never_outlasts_what_is_left_of_the_callers_deadline() {
    let (listener, address) = listener();
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let client = HttpClient::new(Limits::default()).unwrap();
    for left in [Duration::ZERO, Duration::from_millis(50)] {
        let started = Instant::now();
        let failure = client.send(request(&format!("http://{address}")), left).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Timeout);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_dns() {
    for scheme in ["http", "https"] {
        assert_eq!(
            cause(Limits::default(), &format!("{scheme}://provider.invalid")).await,
            Cause::Dns,
            "{scheme}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_tls() {
    let (address, _) = tls_server(OK);
    assert_eq!(cause(Limits::default(), &format!("https://localhost:{}", address.port())).await, Cause::Tls);
}

#[tokio::test]
async fn a_certificate_of_another_host_is_tls() {
    let (address, roots) = tls_server(OK);
    let client = HttpClient::with_roots(Limits::default(), roots).unwrap();
    let failure = ask(&client, &format!("https://{address}")).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Tls);
}

#[tokio::test]
async fn the_roots_that_were_built_in_refuse_it_too() {
    let (address, _) = tls_server(OK);
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let client = HttpClient::with_roots(Limits::default(), roots).unwrap();
    let failure = ask(&client, &format!("https://localhost:{}", address.port())).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Tls);
}

#[tokio::test]
async fn a_trusted_certificate_lets_the_answer_through() {
    let (address, roots) = tls_server(OK);
    let client = HttpClient::with_roots(Limits::default(), roots).unwrap();
    let answer = ask(&client, &format!("https://localhost:{}", address.port())).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.json::<serde_json::Value>().is_some());
}

#[tokio::test]
async fn plain_http_where_tls_is_expected_is_tls() {
    let stub = StubProviders::start().await;
    let root = stub.url().as_str().replace("http://", "https://");
    assert_eq!(cause(Limits::default(), &root).await, Cause::Tls);
}

#[tokio::test]
async fn what_is_not_http_is_a_lost_connection() {
    let (listener, address) = listener();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.unwrap().write_all(b"220 mail.example ESMTP\r\n");
        }
    });
    assert_eq!(cause(Limits::default(), &format!("http://{address}")).await, Cause::ConnectionLost);
}

async fn answer_to(reply: Reply, limits: Limits) -> Answer {
    let stub = StubProviders::start().await;
    stub.answer([reply]);
    ask(&HttpClient::new(limits).unwrap(), stub.url().as_str().trim_end_matches('/')).await.unwrap()
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_and_not_beyond() {
    let limits = Limits { body_bytes: 100_000, ..Limits::default() };
    let exact = format!("\"{}\"", "a".repeat(99_998));
    let whole = answer_to(Reply::raw(200, "application/json", exact.clone()), limits).await;
    assert_eq!(whole.unreadable(), None);
    assert_eq!(whole.json::<String>().unwrap().len(), 99_998);
    let longer = answer_to(Reply::raw(200, "application/json", format!("{exact} ")), limits).await;
    assert_eq!(longer.unreadable(), Some(Unreadable::TooLong));
    // Without a length the chunks are counted.
    let endless = Reply::raw(200, "application/json", vec![b' '; 100_001]).that_never_ends();
    assert_eq!(answer_to(endless, limits).await.unreadable(), Some(Unreadable::TooLong));
}

#[tokio::test]
async fn an_encoded_body_is_not_decoded() {
    for encoding in ["gzip", "br", "zstd", "deflate", "x-unknown"] {
        let reply = Reply::json(200, &json!({})).header("content-encoding", encoding);
        let answer = answer_to(reply, Limits::default()).await;
        assert_eq!(answer.unreadable(), Some(Unreadable::Encoded), "{encoding}");
        assert!(answer.json::<serde_json::Value>().is_none());
    }
    let identity = Reply::json(200, &json!({})).header("content-encoding", "Identity");
    assert_eq!(answer_to(identity, Limits::default()).await.unreadable(), None);
}

#[tokio::test]
async fn a_body_that_stops_keeps_its_status() {
    let slow = answer_to(Reply::raw(401, "application/json", "{").that_never_ends(), impatient()).await;
    assert_eq!((slow.status.as_u16(), slow.unreadable()), (401, Some(Unreadable::BrokeOff(Cause::Timeout))));
    let lost = answer_to(Reply::raw(401, "application/json", "{").that_breaks_off(), Limits::default()).await;
    assert_eq!(
        (lost.status.as_u16(), lost.unreadable()),
        (401, Some(Unreadable::BrokeOff(Cause::ConnectionLost)))
    );
}

#[tokio::test]
async fn a_page_is_told_by_its_type_or_its_beginning() {
    assert!(answer_to(Reply::page(403), Limits::default()).await.is_html());
    assert!(answer_to(Reply::raw(403, "TEXT/HTML; charset=utf-8", ""), Limits::default()).await.is_html());
    assert!(answer_to(Reply::raw(403, "application/json", "\r\n <html>"), Limits::default()).await.is_html());
    assert!(!answer_to(Reply::json(403, &json!({ "a": "<b>" })), Limits::default()).await.is_html());
    assert!(!answer_to(Reply::empty(403), Limits::default()).await.is_html());
}

#[tokio::test]
async fn debug_shows_no_body() {
    let answer = answer_to(Reply::json(200, &json!({ "auth_token": "planted" })), Limits::default()).await;
    let text = format!("{answer:?}");
    assert!(!text.contains("planted") && text.contains("body_bytes: Ok(24)"), "{text}");
}
