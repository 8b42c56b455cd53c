//! Answers and webhooks keep to the providers' specifications, so that the
//! sandbox does not drift into answers that no provider gives.

use coachbot_sandbox::accounts::{OPENAI_KEY, VAPI_ASSISTANT, VAPI_KEY, VAPI_PHONE_NUMBER};
use serde_json::{Map, Value, json};

use crate::openai::question;
use crate::rig::{Came, LEAD, Receiver, SENDER, account, read, start};

fn check(schemas: &str, name: &str, answer: &Value) {
    let mut schema: Value = serde_json::from_str(schemas).unwrap();
    assert!(schema["$defs"][name].is_object(), "{name}");
    schema["$ref"] = json!(format!("#/$defs/{name}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<_> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{name}: {problems:#?}\n{answer}");
}

fn as_object(came: &Came) -> Value {
    Value::Object(came.form.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>())
}

#[tokio::test]
async fn twilios_answers_and_webhooks_keep_to_the_specification() {
    let rig = start().await;
    let schemas = include_str!("../../fixtures/twilio.json");
    let path = format!("/twilio/2010-04-01/Accounts/{}.json", account().sid);
    check(schemas, "api.v2010.account", &read(rig.twilio(rig.get(&path))).await.1);
    check(schemas, "Error", &read(rig.get(&path)).await.1);
    let receiver = Receiver::start().await;
    let callback = receiver.url("/status");
    let pairs = [("To", LEAD), ("From", SENDER), ("Body", "Hi"), ("StatusCallback", callback.as_str())];
    check(schemas, "api.v2010.account.message", &read(rig.send(&pairs)).await.1);
    receiver.wait(2).await;
    rig.write(&receiver.url("/in"), json!({})).await;
    let came = receiver.wait(3).await;
    check(schemas, "MessageStatusWebhook", &as_object(&came[1]));
    check(schemas, "InboundMessageWebhook", &as_object(&came[2]));
    let (_, list) = read(rig.twilio(rig.get(&rig.messages_path()))).await;
    for message in list["messages"].as_array().unwrap() {
        check(schemas, "api.v2010.account.message", message);
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn cal_coms_answers_keep_to_the_specification() {
    let rig = start().await;
    let schemas = include_str!("../../fixtures/calcom.json");
    let ask = |path: &str, version: &str| read(rig.calcom(rig.get(&format!("/calcom/v2{path}")), version));
    for id in ["4100001", "4100002", "4100003", "4100004"] {
        let (_, mut event_type) = ask(&format!("/event-types/{id}"), "2024-06-14").await;
        // The document takes its own users for texts; the service sends objects.
        assert!(event_type["data"]["users"].take()[0].is_object());
        event_type["data"]["users"] = json!([]);
        check(schemas, "EventTypeOutput_2024_06_14", &event_type["data"]);
    }
    check(schemas, "MeOutput", &ask("/me", "").await.1["data"]);
    let query = "/slots?eventTypeId=4100001&start=2026-12-01&end=2026-12-02&format=range";
    check(schemas, "GetSlotsOutput", &ask(query, "2024-09-04").await.1);
    let wanted = json!({
        "start": "2026-12-01T09:00:00Z", "eventTypeId": 4_100_001,
        "attendee": { "name": "Zoë", "email": "zoe@example.com", "phoneNumber": "+447700900123", "timeZone": "UTC" },
    });
    let book = |wanted: &Value| read(rig.calcom(rig.post("/calcom/v2/bookings", wanted), "2024-08-13"));
    check(schemas, "BookingOutput_2024_08_13", &book(&wanted).await.1["data"]);
    check(schemas, "Error", &book(&wanted).await.1);
    let mut limited = wanted;
    limited["attendee"]["email"] = json!("limit@sandbox.example");
    check(schemas, "BareError", &book(&limited).await.1);
    let (_, list) = ask("/bookings", "2024-08-13").await;
    check(schemas, "PaginationMetaDto", &list["pagination"]);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn openais_answers_keep_to_the_specification() {
    let rig = start().await;
    let schemas = include_str!("../../fixtures/openai.json");
    let (_, models) = read(rig.get("/openai/v1/models").bearer_auth(OPENAI_KEY)).await;
    check(schemas, "ListModelsResponse", &models);
    check(schemas, "ErrorResponse", &read(rig.get("/openai/v1/models")).await.1);
    for text in ["Hello", "#loop", "#refuse", "#incomplete", "#failed", "#empty"] {
        for model in ["gpt-4o", "gpt-6-luna"] {
            let items = json!([{ "role": "user", "content": text }]);
            let (status, answer) = rig.respond(&question(json!({ "model": model, "input": items }))).await;
            assert_eq!(status, 200);
            check(schemas, "Response", &answer);
        }
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn vapis_answers_keep_to_the_specification() {
    let rig = start().await;
    let schemas = include_str!("../../fixtures/vapi.json");
    let ask = |path: &str| read(rig.get(&format!("/vapi{path}")).bearer_auth(VAPI_KEY));
    check(schemas, "Assistant", &ask(&format!("/assistant/{VAPI_ASSISTANT}")).await.1);
    check(schemas, "TwilioPhoneNumber", &ask(&format!("/phone-number/{VAPI_PHONE_NUMBER}")).await.1);
    check(schemas, "Error", &ask(&format!("/assistant/{VAPI_KEY}")).await.1);
    rig.sandbox.stop().await.unwrap();
}
