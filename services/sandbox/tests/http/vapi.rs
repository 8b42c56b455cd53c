//! Vapi's two reads.

use coachbot_sandbox::accounts::{VAPI_ASSISTANT, VAPI_KEY, VAPI_PHONE_NUMBER};
use serde_json::json;

use crate::rig::{is_violation, read, start};

#[tokio::test]
async fn assistant_and_number_are_read_and_all_else_is_refused() {
    let rig = start().await;
    for (path, key, status) in [
        (format!("/assistant/{VAPI_ASSISTANT}"), VAPI_KEY, 200),
        (format!("/phone-number/{VAPI_PHONE_NUMBER}"), VAPI_KEY, 200),
        (format!("/assistant/{VAPI_PHONE_NUMBER}"), VAPI_KEY, 404),
        (format!("/phone-number/{VAPI_ASSISTANT}"), VAPI_KEY, 404),
        ("/assistant/none".to_owned(), VAPI_KEY, 400),
        (format!("/assistant/{VAPI_ASSISTANT}"), "public", 401),
    ] {
        let (found, body) = read(rig.get(&format!("/vapi{path}")).bearer_auth(key)).await;
        assert_eq!(found, status, "{path} {body}");
        if status == 200 {
            assert!(path.ends_with(body["id"].as_str().unwrap()));
        } else {
            assert_eq!(body["statusCode"], status);
        }
    }
    let (status, body) = read(rig.get(&format!("/vapi/assistant/{VAPI_ASSISTANT}"))).await;
    assert_eq!((status, &body["message"]), (401, &json!("Missing Authorization Header.")));
    let (status, body) = read(rig.post("/vapi/call", &json!({})).bearer_auth(VAPI_KEY)).await;
    assert!(status == 501 && body["message"].as_str().unwrap().contains("not simulated"), "{body}");
    assert!(is_violation(&rig.last()));
    rig.sandbox.stop().await.unwrap();
}
