//! Planted secrets, echoed by the provider in every failing row, are in no line
//! that is logged at any level, in no span, and in no `Debug` text. Lies in a test
//! binary of its own, because it captures the process's logs.

use std::time::Duration;

use coachbot_common::rpc::{Identity, with_deadline};
use coachbot_common::testing::{CapturedLogs, MockClock};
use coachbot_connector::http::Limits;
use coachbot_connector::testing::{
    ACCOUNT_SID, ASSISTANT_ID, FakeVault, PHONE_NUMBER_ID, StubProviders, WORKSPACE, World, config_at,
    connector, planted, rows,
};
use coachbot_proto::connector::v1::{VerifyDraftRequest, VerifyRequest};
use coachbot_proto::types::v1 as types;

#[tokio::test]
async fn a_secret_that_the_provider_repeats_is_logged_nowhere() {
    let logs = CapturedLogs::start();
    let stub = StubProviders::start().await;
    let config = config_at(&stub.url(), Limits::default());
    let mut texts = String::new();
    for row in rows() {
        let World::Answers(replies) = row.world else { continue };
        if row.message.contains("timeout") {
            continue;
        }
        stub.answer(replies.clone());
        let vault = FakeVault::with(row.fields.clone());
        let clock = MockClock::at("2026-11-25T12:00:00Z");
        let mut client = connector(&config, &vault, clock, Identity::Gateway);
        let provider = types::Provider::from(row.provider).into();
        let asked = VerifyRequest { workspace_id: WORKSPACE.to_owned(), provider };
        let answer = client.verify(with_deadline(asked, Duration::from_secs(20))).await.unwrap();
        texts.push_str(&format!("{answer:?}\n"));

        stub.answer(replies);
        let asked = VerifyDraftRequest { workspace_id: WORKSPACE.to_owned(), provider, fields: row.fields };
        texts.push_str(&format!("{asked:?}\n"));
        let answer = client.verify_draft(with_deadline(asked, Duration::from_secs(20))).await.unwrap();
        texts.push_str(&format!("{answer:?}\n"));
    }

    let logged = logs.text();
    assert!(logged.contains("openai.list_models") && logged.contains("credentials checked"));
    assert!(logged.contains("cal.com does not know the path or version that was asked for"));
    for row in rows() {
        let secret = planted(row.provider);
        assert!(!logged.contains(secret), "{}", row.provider);
        assert!(!texts.contains(secret), "{}", row.provider);
    }
    // Ids stand in URLs, and URLs are not logged.
    for id in [ACCOUNT_SID, ASSISTANT_ID, PHONE_NUMBER_ID, "event-types", "Accounts/"] {
        assert!(!logged.contains(id), "{id}");
    }
    for text in ["Hot tip", "Incorrect API key", "no oAuth client", "Attention required"] {
        assert!(!logged.contains(text) && !texts.contains(text), "{text}");
    }
}
