//! The sample answers are what the providers' specifications allow, so that the
//! stubs do not drift into answers that no provider gives.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

use coachbot_connector::testing::{
    account, assistant, event_type, message, message_page, models, phone_number, refusal,
};
use coachbot_integrations::Provider;
use serde_json::{Value, json};

fn check(schemas: &str, name: &str, answer: &Value) {
    let mut schema: Value = serde_json::from_str(schemas).unwrap();
    assert!(schema["$defs"][name].is_object(), "{name}");
    schema["$ref"] = json!(format!("#/$defs/{name}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<_> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{name}: {problems:#?}");
}

#[test]
fn samples_keep_to_the_specifications() {
    let twilio = include_str!("../fixtures/twilio/schema.json");
    check(twilio, "api.v2010.account", &account(json!({})));
    check(twilio, "api.v2010.account", &account(json!({ "status": "suspended", "type": "Trial" })));
    check(twilio, "api.v2010.account.message", &message(json!({ "error_code": 63016, "status": "failed" })));
    check(twilio, "ListMessages", &message_page(&[message(json!({}))], None));
    check(twilio, "Error", &refusal(Provider::Twilio, 403, "20008", "no"));

    let vapi = include_str!("../fixtures/vapi/schema.json");
    check(vapi, "Assistant", &assistant(json!({})));
    check(vapi, "TwilioPhoneNumber", &phone_number(json!({ "status": "blocked" })));
    check(vapi, "VapiPhoneNumber", &phone_number(json!({ "provider": "vapi" })));
    check(vapi, "Error", &refusal(Provider::Vapi, 401, "Unauthorized", "no"));
    check(
        vapi,
        "Error",
        &json!({ "message": ["id must be a UUID"], "error": "Bad Request", "statusCode": 400 }),
    );

    let calcom = include_str!("../fixtures/calcom/schema.json");
    check(calcom, "GetEventTypeOutput_2024_06_14", &event_type(json!({})));
    let warned = json!({ "price": 4900, "confirmationPolicy": { "type": "always" } });
    check(calcom, "GetEventTypeOutput_2024_06_14", &event_type(warned));
    check(calcom, "Error", &refusal(Provider::Calcom, 404, "NotFoundException", "Event type"));

    let openai = include_str!("../fixtures/openai/schema.json");
    check(openai, "ListModelsResponse", &models());
    check(openai, "ErrorResponse", &refusal(Provider::Openai, 401, "invalid_api_key", "no"));
    check(openai, "ErrorResponse", &json!({ "error": "You have insufficient permissions" }));
}
