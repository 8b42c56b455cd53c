//! What is lost and what is not: answers that do not come, callers that leave,
//! deadlines, providers and vaults that are away. Judged by the stubs' ledger.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coachbot_common::config::Security;
use coachbot_common::fault::FaultKind;
use coachbot_common::lifecycle::{Stop, Tasks};
use coachbot_common::rpc::{self, Identity, direct};
use coachbot_common::testing::MockClock;
use coachbot_connector::failure::Reason;
use coachbot_connector::http::Limits;
use coachbot_connector::testing::{
    FakeVault, Reply, StubProviders, booking, config_at, impatient, laid_over, message, message_page, stored,
};
use coachbot_connector::{build_tracked, policy};
use coachbot_integrations::Provider::{self, Calcom, Openai, Twilio};
use serde_json::json;
use support::{
    INTENT, LEAD, Live, NOW, assert_no_complaints, assert_told, code_of, new_booking, prompt, text_to_lead,
    told, user,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tonic::{Code, Status};
use url::Url;

async fn listener() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, url)
}

/// Passes requests on, and cuts the first connections when the answer comes.
async fn cutting(target: &Url, times: usize) -> Url {
    let (listener, url) = listener().await;
    let target = format!("{}:{}", target.host_str().unwrap(), target.port().unwrap());
    let cuts = Arc::new(AtomicUsize::new(times));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&target).await.unwrap();
            let cuts = Arc::clone(&cuts);
            tokio::spawn(async move {
                if cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
                {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                    return;
                }
                let mut part = [0; 4096];
                loop {
                    tokio::select! {
                        read = client.read(&mut part) => match read {
                            Ok(length) if length > 0 => server.write_all(&part[..length]).await.unwrap(),
                            _ => return,
                        },
                        // The provider has done what was asked; its answer goes nowhere.
                        () = async { server.readable().await.unwrap() } => return,
                    }
                }
            });
        }
    });
    url
}

/// Accepts connections and says nothing.
async fn silent() -> Url {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    url
}

/// Sends or books.
async fn act(live: &Live, provider: Provider) -> Result<String, Status> {
    match provider {
        Twilio => live.send(text_to_lead("Hi")).await.map(|sent| sent.provider_message_id),
        _ => live.book(new_booking()).await.map(|booked| booked.provider_uid),
    }
}

fn happened(stub: &StubProviders, provider: Provider) -> usize {
    match provider {
        Twilio => stub.ledger().messages.len(),
        _ => stub.ledger().bookings.len(),
    }
}

/// The evidence that the provider gives of it.
async fn evidence(live: &Live, provider: Provider) -> usize {
    match provider {
        Twilio => live.messages(Some(LEAD), NOW).await.unwrap().len(),
        _ => {
            let found = live.bookings(NOW).await.unwrap();
            found.iter().filter(|booking| booking.intent_id.as_deref() == Some(INTENT)).count()
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_effect_unknown_once_and_to_be_found() {
    for provider in [Twilio, Calcom] {
        let whole =
            if provider == Twilio { message(json!({})) } else { json!({ "data": booking(json!({})) }) };
        let good = || Reply::json(201, &whole);
        let rows = [
            ("no answer", Reply::never(), "timeout"),
            ("an answer that breaks off", good().that_breaks_off(), "201"),
            ("an answer that never ends", Reply::raw(201, "application/json", "{").that_never_ends(), "201"),
            ("half an answer", Reply::raw(201, "application/json", "{\"sid\": \"SM"), "201"),
            ("a page", Reply::page(200), "200"),
            ("an encoded answer", good().header("content-encoding", "gzip"), "201"),
            (
                "an answer beyond the limit",
                Reply::raw(201, "application/json", vec![b' '; 4 * 1024 * 1024 + 1]),
                "201",
            ),
            ("500", Reply::empty(500), "500"),
            ("502", Reply::page(502), "502"),
            ("503", Reply::empty(503).header("retry-after", "0"), "503"),
            ("504", Reply::empty(504), "504"),
            ("408", Reply::empty(408), "408"),
            ("elsewhere", Reply::empty(303).header("location", "http://127.0.0.1:9/"), "303"),
        ];
        for (row, reply, code) in rows {
            let stub = StubProviders::start().await;
            let vault = FakeVault::with(stored(provider));
            stub.answer([reply.after_the_effect()]);
            let status = act(&Live::with(&stub.url(), impatient(), &vault), provider).await.unwrap_err();
            assert_told(&status, provider, "UNKNOWN_EFFECT", code, row);
            assert_eq!((stub.seen().len(), happened(&stub, provider)), (1, 1), "{provider} {row}");
            let live = Live::at(&stub.url(), provider);
            assert_eq!(evidence(&live, provider).await, 1, "{provider} {row}");
            assert_no_complaints(&stub);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_under_the_answer_leaves_the_effect_unknown_once() {
    for provider in [Twilio, Calcom] {
        let stub = StubProviders::start().await;
        let live = Live::at(&cutting(&stub.url(), 1).await, provider);
        let status = act(&live, provider).await.unwrap_err();
        assert_told(&status, provider, "UNKNOWN_EFFECT", "connection_lost", "cut");
        assert_eq!((stub.seen().len(), happened(&stub, provider)), (1, 1), "{provider}");
        assert_eq!(evidence(&live, provider).await, 1, "{provider}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_provider_has_closed_meanwhile_doubles_nothing() {
    for provider in [Twilio, Calcom] {
        let stub = StubProviders::start().await;
        let live = Live::at(&stub.url(), provider);
        for _ in 0..5 {
            stub.answer([Reply::empty(400).header("connection", "close")]);
            act(&live, provider).await.unwrap_err();
        }
        stub.answer([]);
        act(&live, provider).await.unwrap();
        assert_eq!((stub.seen().len(), happened(&stub, provider)), (1, 1), "{provider}");
    }
}

#[tokio::test]
async fn a_request_that_never_left_is_told_from_one_that_may_have_arrived() {
    let stub = StubProviders::start().await;
    let (closed, closed_at) = listener().await;
    drop(closed);
    let (closing, closing_at) = listener().await;
    tokio::spawn(async move { while closing.accept().await.is_ok() {} });
    let https = |url: &Url| url.as_str().replace("http://", "https://").parse::<Url>().unwrap();
    let rows = [
        (closed_at, "PROVIDER_AWAY", "refused"),
        ("http://provider.invalid".parse().unwrap(), "PROVIDER_AWAY", "dns"),
        (https(&stub.url()), "PROVIDER_AWAY", "tls"),
        // Cut while the connection was being secured, and after it was made.
        (https(&closing_at), "PROVIDER_AWAY", "connection_lost"),
        (closing_at, "UNKNOWN_EFFECT", "connection_lost"),
    ];
    for (root, reason, code) in rows {
        for provider in [Twilio, Calcom] {
            let status = act(&Live::at(&root, provider), provider).await.unwrap_err();
            assert_told(&status, provider, reason, code, root.as_str());
        }
    }
    // TLS that is never answered has not carried a request either.
    let mute = https(&silent().await);
    let vault = FakeVault::with(stored(Twilio));
    let limits = Limits { connect: Duration::from_millis(200), ..Limits::default() };
    let status = act(&Live::with(&mute, limits, &vault), Twilio).await.unwrap_err();
    assert_told(&status, Twilio, "PROVIDER_AWAY", "timeout", "mute");
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_cut_an_effect_half_way() {
    for provider in [Twilio, Calcom] {
        let (provider_side, url) = listener().await;
        let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (has_arrived, may_answer) = (Arc::clone(&arrived), Arc::clone(&release));
        let answered = tokio::spawn(async move {
            let (mut connection, _) = provider_side.accept().await.unwrap();
            let end = if provider == Twilio { INTENT } else { "}}" };
            let mut asked = Vec::new();
            while !String::from_utf8_lossy(&asked).ends_with(end) {
                connection.read_buf(&mut asked).await.unwrap();
            }
            has_arrived.notify_one();
            may_answer.notified().await;
            // A call that was cut would show as an end of the connection.
            let mut rest = [0; 1];
            let ended = connection.read(&mut rest);
            assert!(tokio::time::timeout(Duration::from_millis(200), ended).await.is_err(), "cut");
            let body = match provider {
                Twilio => message(json!({})),
                _ => json!({ "data": booking(json!({})) }),
            }
            .to_string();
            let head = format!(
                "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            connection.write_all(head.as_bytes()).await.unwrap();
            connection.write_all(body.as_bytes()).await.unwrap();
            // Whoever has read a whole answer closes without an error.
            connection.read(&mut [0; 1]).await.unwrap()
        });

        let tasks = Tasks::new(Stop::new());
        let stop = Stop::new();
        let vault = FakeVault::with(stored(provider)).serve(stop.clone()).await;
        let vault = format!("http://{vault}").parse().unwrap();
        let below = rpc::connect(&vault, &Security::Plain, Identity::Connector).unwrap();
        let config = config_at(&url, Limits::default());
        let routes = build_tracked(&config, below, MockClock::at(NOW), &tasks).unwrap();
        let live = Live::over(direct(routes.prepare(), policy(), Identity::Agent));

        let calling = tokio::spawn(async move { act(&live, provider).await });
        arrived.notified().await;
        calling.abort();
        assert!(calling.await.unwrap_err().is_cancelled());
        // Everything that the request's own future held is gone now.
        release.notify_one();
        assert_eq!(answered.await.unwrap(), 0, "{provider}");
        let started = Instant::now();
        tasks.finish(Duration::from_secs(10)).await;
        assert!(started.elapsed() < Duration::from_secs(5) && !tasks.failed(), "{provider}");
        stop.cancel();
    }
}

#[tokio::test]
async fn a_slow_provider_is_named_before_the_callers_deadline() {
    let root = silent().await;
    for provider in [Twilio, Calcom] {
        let live = Live::at(&root, provider).within(Duration::from_millis(900));
        let started = Instant::now();
        let status = act(&live, provider).await.unwrap_err();
        assert_told(&status, provider, "UNKNOWN_EFFECT", "timeout", "slow");
        assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    }
    let live = Live::at(&root, Twilio).within(Duration::from_millis(600));
    let status = live.messages(Some(LEAD), NOW).await.unwrap_err();
    assert_told(&status, Twilio, "PROVIDER_AWAY", "timeout", "read");
    let live = Live::at(&root, Openai).within(Duration::from_millis(600));
    let status = live.generate(prompt(vec![user("Hi")])).await.unwrap_err();
    assert_told(&status, Openai, "PROVIDER_AWAY", "timeout", "turn");
}

#[tokio::test]
async fn each_kind_of_call_has_its_own_bound() {
    let root = silent().await;
    let short = Duration::from_millis(150);
    let long = Limits::default();
    let limits = |provider| match provider {
        Twilio => Limits { messaging: short, ..long },
        Calcom => Limits { calendar: short, ..long },
        _ => Limits { model: short, ..long },
    };
    for provider in [Twilio, Calcom, Openai] {
        let live = Live::with(&root, limits(provider), &FakeVault::with(stored(provider)));
        let started = Instant::now();
        let status = match provider {
            Openai => live.generate(prompt(vec![user("Hi")])).await.map(|_| String::new()),
            _ => act(&live, provider).await,
        };
        assert_eq!(told(&status.unwrap_err(), provider).code, "timeout");
        assert!(started.elapsed() < Duration::from_secs(2), "{provider}: {:?}", started.elapsed());
    }
    assert_eq!(
        (long.messaging, long.calendar, long.model),
        (Duration::from_secs(15), Duration::from_secs(15), Duration::from_secs(60),)
    );
}

#[tokio::test]
async fn an_effect_with_too_little_time_is_not_begun() {
    let stub = StubProviders::start().await;
    for provider in [Twilio, Calcom] {
        let live = Live::at(&stub.url(), provider).within(Duration::from_millis(400));
        let status = act(&live, provider).await.unwrap_err();
        assert_told(&status, provider, "PROVIDER_AWAY", "deadline", "late");
    }
    assert_eq!(stub.seen().len(), 0);
}

/// Every read, by name.
async fn read(live: &Live, name: &str) -> Result<usize, Status> {
    match name {
        "messages" => live.messages(Some(LEAD), NOW).await.map(|found| found.len()),
        "message" => live.message("SM1").await.map(|_| 0),
        "event type" => live.event_type().await.map(|_| 0),
        "slots" => live.slots(NOW, "2026-12-30T00:00:00Z").await.map(|found| found.starts.len()),
        "bookings" => live.bookings(NOW).await.map(|found| found.len()),
        _ => live.booking("uid").await.map(|_| 0),
    }
}

const READS: [(&str, Provider); 6] = [
    ("messages", Twilio),
    ("message", Twilio),
    ("event type", Calcom),
    ("slots", Calcom),
    ("bookings", Calcom),
    ("booking", Calcom),
];

fn found_message() -> Reply {
    Reply::json(200, &message_page(&[message(json!({}))], None))
}

#[tokio::test]
async fn reads_are_made_again_at_most_twice() {
    let stub = StubProviders::start().await;
    for (name, provider) in READS {
        let live = Live::at(&stub.url(), provider);
        stub.answer([Reply::empty(502), Reply::page(503), Reply::empty(504), Reply::empty(503)]);
        let status = read(&live, name).await.unwrap_err();
        assert_told(&status, provider, "PROVIDER_AWAY", "504", name);
        assert_eq!(stub.seen().len(), 3, "{name}");
        assert_no_complaints(&stub);
    }
    let live = Live::at(&stub.url(), Twilio);
    let part = || found_message().that_breaks_off();
    stub.answer([Reply::empty(503), part(), found_message()]);
    assert_eq!((read(&live, "messages").await.unwrap(), stub.seen().len()), (1, 3));
}

#[tokio::test]
async fn a_read_whose_connection_is_cut_is_made_again() {
    let stub = StubProviders::start().await;
    for (times, outcome) in [(1, Ok(1)), (2, Ok(1)), (3, Err("connection_lost".to_owned()))] {
        stub.answer(std::iter::repeat_n(found_message(), times + 1));
        let live = Live::at(&cutting(&stub.url(), times).await, Twilio);
        let found = read(&live, "messages").await.map_err(|status| told(&status, Twilio).code);
        assert_eq!(found, outcome, "{times}");
        assert_eq!(stub.seen().len(), (times + 1).min(3));
    }
}

#[tokio::test]
async fn a_read_is_not_made_again_where_it_is_of_no_use() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Twilio);
    let replies = [
        Reply::empty(500),
        Reply::empty(408),
        Reply::empty(429),
        Reply::empty(401),
        Reply::page(200),
        Reply::empty(503).header("retry-after", "60"),
    ];
    for reply in replies {
        stub.answer([reply.clone()]);
        read(&live, "messages").await.unwrap_err();
        assert_eq!(stub.seen().len(), 1, "{reply:?}");
    }
    stub.answer([Reply::empty(503).header("retry-after", "60")]);
    let status = read(&live, "messages").await.unwrap_err();
    assert_eq!(told(&status, Twilio).retry_at.as_deref(), Some("2026-11-25T12:01:00Z"));

    // Nor where the pause would outlast the caller.
    stub.answer([Reply::empty(503), Reply::empty(503)]);
    let started = Instant::now();
    let status = read(&live.within(Duration::from_millis(1000)), "messages").await.unwrap_err();
    assert_told(&status, Twilio, "PROVIDER_AWAY", "503", "late");
    assert!(stub.seen().len() == 2 && started.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn what_the_vault_cannot_give_was_not_sent() {
    let stub = StubProviders::start().await;
    let rows = [
        (FaultKind::NotFound, Some("NOT_CONNECTED"), "NOT_CONNECTED", "NOT_CONNECTED"),
        (FaultKind::NotReady, Some("KEY_MISSING"), "CANNOT_DECRYPT", "KEY_MISSING"),
        (FaultKind::NotReady, Some("KEY_MALFORMED"), "CANNOT_DECRYPT", "KEY_MALFORMED"),
        (FaultKind::NotReady, Some("KEY_WEAK"), "CANNOT_DECRYPT", "KEY_WEAK"),
        (FaultKind::NotReady, Some("KEY_MISMATCH"), "CANNOT_DECRYPT", "KEY_MISMATCH"),
        (FaultKind::NotReady, Some("CANNOT_DECRYPT"), "CANNOT_DECRYPT", "CANNOT_DECRYPT"),
        (FaultKind::Unavailable, None, "PROVIDER_AWAY", "vault"),
        (FaultKind::RateLimited, None, "PROVIDER_AWAY", "vault"),
    ];
    for (kind, given, reason, code) in rows {
        let vault = FakeVault::refusing(kind, given);
        let live = Live::with(&stub.url(), Limits::default(), &vault);
        for provider in [Twilio, Calcom] {
            assert_told(&act(&live, provider).await.unwrap_err(), provider, reason, code, reason);
        }
        for (name, provider) in READS {
            assert_told(&read(&live, name).await.unwrap_err(), provider, reason, code, name);
        }
        let status = live.generate(prompt(vec![user("Hi")])).await.unwrap_err();
        assert_told(&status, Openai, reason, code, "turn");
    }
    let empty = Live::with(&stub.url(), Limits::default(), &FakeVault::with([].into()));
    for provider in [Twilio, Calcom] {
        let status = act(&empty, provider).await.unwrap_err();
        assert_told(&status, provider, "CANNOT_DECRYPT", "CANNOT_DECRYPT", "damaged");
    }
    for kind in [FaultKind::Denied, FaultKind::Internal] {
        let live = Live::with(&stub.url(), Limits::default(), &FakeVault::refusing(kind, None));
        assert_eq!(act(&live, Twilio).await.unwrap_err().code(), Code::Internal);
    }
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn only_the_agent_makes_live_calls() {
    let stub = StubProviders::start().await;
    for provider in [Twilio, Calcom, Openai] {
        for caller in [Identity::Gateway, Identity::Internal, Identity::Vault, Identity::Connector] {
            let vault = FakeVault::with(stored(provider));
            let config = config_at(&stub.url(), Limits::default());
            let live = Live::over(laid_over(&config, &vault, MockClock::at(NOW), caller));
            let mut refused = vec![
                act(&live, provider).await.map(|_| ()),
                live.generate(prompt(vec![user("Hi")])).await.map(|_| ()),
            ];
            for (name, _) in READS {
                refused.push(read(&live, name).await.map(|_| ()));
            }
            assert!(refused.into_iter().all(|outcome| outcome.unwrap_err().code() == Code::PermissionDenied));
            assert_eq!(vault.leases(), 0);
        }
    }
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn every_reason_is_of_the_closed_list() {
    for reason in Reason::ALL {
        assert_eq!(reason.kind().code(), code_of(reason.name()), "{reason:?}");
    }
}
