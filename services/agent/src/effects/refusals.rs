//! The messaging provider's words, and ours for them.

use coachbot_proto::connector::v1::DeliveryStatus;

use crate::conversation::MessageStatus;

/// One line for a person about a code of Twilio, with the fix
/// (twilio.com/docs/api/errors).
#[must_use]
pub fn failure_words(code: &str) -> String {
    let words = match code {
        "63016" => {
            "The 24-hour window is closed. Only an approved template can be sent: set its SID (HX…) in the agent \
             settings."
        }
        "21610" => "The lead opted out of messages at Twilio. Nothing more is sent until they write START.",
        "21211" | "63003" | "63024" => {
            "The lead's number cannot receive WhatsApp messages. Check the number."
        }
        "21608" => {
            "A Twilio trial account may write to verified numbers only. Upgrade it, or verify the number."
        }
        "21617" | "21658" => "Twilio found the message too long. Send a shorter one.",
        "21656" => "Twilio refused the template's variables. Check that the template has the gaps 1 and 2.",
        "21910" | "63007" => {
            "Twilio knows no WhatsApp sender of this number. Check From under Settings → Integrations."
        }
        "63005" => "WhatsApp refused the content of the message. Write it differently.",
        "30002" | "20403" | "20005" | "10001" => {
            "Twilio says this account is not active. Check it in Twilio's console."
        }
        "CREDENTIAL_REJECTED" | "20003" | "20008" => {
            "Twilio rejected the credentials. Verify them under Settings → Integrations."
        }
        "UNKNOWN" => "Whether Twilio took the message could not be found out. Check it in Twilio's console.",
        _ => {
            return format!(
                "Twilio refused the message ({code}). Look the code up at twilio.com/docs/api/errors."
            );
        }
    };
    words.to_owned()
}

/// Where a message is, by the provider's word (twilio.com/docs/messaging/guides/
/// track-outbound-message-status). `None`: the word changes nothing.
#[must_use]
pub fn status_of(word: &str) -> Option<MessageStatus> {
    Some(match word {
        "accepted" | "scheduled" | "queued" | "sending" => MessageStatus::Accepted,
        "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" => MessageStatus::Read,
        "failed" | "undelivered" | "canceled" => MessageStatus::Failed,
        _ => return None,
    })
}

pub(super) fn of_wire(status: DeliveryStatus) -> MessageStatus {
    match status {
        DeliveryStatus::Unspecified | DeliveryStatus::Queued | DeliveryStatus::Sending => {
            MessageStatus::Accepted
        }
        DeliveryStatus::Sent => MessageStatus::Sent,
        DeliveryStatus::Delivered => MessageStatus::Delivered,
        DeliveryStatus::Read => MessageStatus::Read,
        DeliveryStatus::Failed | DeliveryStatus::Undelivered | DeliveryStatus::Canceled => {
            MessageStatus::Failed
        }
    }
}
