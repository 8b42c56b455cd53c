//! Requests as Twilio sends them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha1::Sha1;

use super::{Answer, KEY, TestGateway};

pub const SID: &str = "AC00112233445566778899aabbccddeeff";
pub const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
pub const PUBLIC: &str = "https://coach.example";
pub const LEAD: &str = "whatsapp:+447700900123";

/// A message's SID of this number.
pub fn sid(number: u32) -> String {
    format!("SM{number:032x}")
}

/// A lead's message.
pub fn message(number: u32, from: &str, text: &str) -> Vec<(String, String)> {
    let sid = sid(number);
    [
        ("MessageSid", sid.as_str()),
        ("SmsSid", sid.as_str()),
        ("AccountSid", SID),
        ("From", from),
        ("To", "whatsapp:+447700900999"),
        ("Body", text),
        ("NumMedia", "0"),
        ("ProfileName", "Zoë K."),
        ("ButtonPayload", ""),
        ("MessageType", "text"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A delivery state of our message.
pub fn status(number: u32, state: &str) -> Vec<(String, String)> {
    let sid = sid(number);
    [
        ("MessageSid", sid.as_str()),
        ("AccountSid", SID),
        ("MessageStatus", state),
        ("From", "whatsapp:+447700900999"),
        ("To", LEAD),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// The signature of these parameters for this address under this token.
pub fn sign(token: &str, url: &str, params: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in params {
        sorted.entry(name).or_default().insert(value);
    }
    let mut text = url.to_owned();
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

pub fn body(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

impl TestGateway {
    /// A gateway whose address is [`PUBLIC`], with a WhatsApp workspace that is
    /// connected and that the agent knows.
    pub async fn with_twilio() -> (Self, String) {
        let test = Self::start_at(PUBLIC).await;
        let workspace = test.workspace("whatsapp").await;
        test.connect_twilio(&workspace).await;
        test.agent.was_told(&workspace, 1).await;
        (test, workspace)
    }

    pub async fn connect_twilio(&self, workspace: &str) {
        let fields =
            json!({"fields": {"account_sid": SID, "auth_token": TOKEN, "from": "whatsapp:+447700900999"}});
        let path = format!("/workspaces/{workspace}/integrations/twilio");
        assert_eq!(self.call_as(KEY, "PUT", &path, Some(fields)).await.status, 200);
    }

    /// Sends what Twilio sends: signed with this token for this path.
    pub async fn twilio_as(&self, token: &str, path: &str, params: &[(String, String)]) -> Answer {
        let signature = sign(token, &format!("{PUBLIC}{path}"), params);
        self.webhook(path, &signature, &body(params)).await
    }

    /// The same with the workspace's own token.
    pub async fn twilio(&self, path: &str, params: &[(String, String)]) -> Answer {
        self.twilio_as(TOKEN, path, params).await
    }

    pub async fn webhook(&self, path: &str, signature: &str, body: &str) -> Answer {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("x-twilio-signature", signature),
        ];
        self.send("POST", path, &headers, body).await
    }
}
