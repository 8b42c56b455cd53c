//! The calls that are made, by name. The list is closed, so that span names stay
//! few and hold nothing of a request.

use http::Method;
use tracing::{Span, field::Empty, info_span};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $span:literal,)*) => {
        /// One kind of call to a provider.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// The name of the call's span.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $span,)*
                }
            }

            /// Opens the span of one call.
            pub(super) fn span(self, method: &Method) -> Span {
                match self {
                    $(Self::$name => info_span!(
                        $span,
                        otel.kind = "client",
                        http.request.method = method.as_str(),
                        http.response.status_code = Empty,
                        error.type = Empty,
                    ),)*
                }
            }
        }
    };
}

operations! {
    /// Reads the account.
    TwilioFetchAccount = "twilio.fetch_account",
    /// Sends a message.
    TwilioSendMessage = "twilio.send_message",
    /// Lists messages.
    TwilioListMessages = "twilio.list_messages",
    /// Reads a message.
    TwilioFetchMessage = "twilio.fetch_message",
    /// Reads an assistant.
    VapiFetchAssistant = "vapi.fetch_assistant",
    /// Reads a phone number.
    VapiFetchPhoneNumber = "vapi.fetch_phone_number",
    /// Reads an event type.
    CalcomFetchEventType = "calcom.fetch_event_type",
    /// Lists free slots.
    CalcomListSlots = "calcom.list_slots",
    /// Books a slot.
    CalcomCreateBooking = "calcom.create_booking",
    /// Lists bookings.
    CalcomListBookings = "calcom.list_bookings",
    /// Reads a booking.
    CalcomFetchBooking = "calcom.fetch_booking",
    /// Asks a model for its turn.
    OpenaiCreateResponse = "openai.create_response",
    /// Lists the models that a key may use.
    OpenaiListModels = "openai.list_models",
}
