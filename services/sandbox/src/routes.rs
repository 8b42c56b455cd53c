//! Every path of the sandbox, on one page.

use axum::Router;

use crate::providers::Provider;
use crate::sandbox::Sandbox;
use crate::{calcom, control, openai, twilio, vapi};

/// The providers below their base paths, and the sandbox's own paths.
pub fn router(sandbox: Sandbox) -> Router {
    let twilio = twilio::router().fallback(twilio::unknown).method_not_allowed_fallback(twilio::unknown);
    let calcom = calcom::router().fallback(calcom::unknown).method_not_allowed_fallback(calcom::unknown);
    let openai = openai::router().fallback(openai::unknown).method_not_allowed_fallback(openai::unknown);
    let vapi = vapi::router().fallback(vapi::unknown).method_not_allowed_fallback(vapi::unknown);
    Router::new()
        .nest(Provider::Twilio.base_path(), twilio)
        .nest(Provider::Calcom.base_path(), calcom)
        .nest(Provider::Openai.base_path(), openai)
        .nest(Provider::Vapi.base_path(), vapi)
        .nest("/_sandbox", control::router())
        .with_state(sandbox)
}
