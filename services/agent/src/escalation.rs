//! Why a person has to look.

use crate::words::words;

words! {
    /// What an escalation is about.
    pub enum Reason {
        /// OpenAI is missing.
        ModelNotConnected = "MODEL_NOT_CONNECTED",
        /// OpenAI refuses the key.
        ModelKeyRejected = "MODEL_KEY_REJECTED",
        /// The model is gone.
        ModelGone = "MODEL_GONE",
        /// OpenAI has no credit left.
        ModelNoQuota = "MODEL_NO_QUOTA",
        /// The model does not answer, or not sensibly.
        ModelFailed = "MODEL_FAILED",
        /// The model refused.
        ModelRefused = "MODEL_REFUSED",
        /// The reply claimed a booking that there is not.
        ReplyHeld = "REPLY_HELD",
        /// The model asked for what it may not have, and was stopped.
        ModelBrokeRules = "MODEL_BROKE_RULES",
        /// Too many tool or model calls.
        BudgetExhausted = "BUDGET_EXHAUSTED",
        /// The day's tokens are used up.
        DailyBudgetExhausted = "DAILY_BUDGET_EXHAUSTED",
        /// The model asked for a person.
        PersonNeeded = "PERSON_NEEDED",
        /// Cal.com is missing.
        CalendarNotConnected = "CALENDAR_NOT_CONNECTED",
        /// Cal.com refuses the key.
        CalendarKeyRejected = "CALENDAR_KEY_REJECTED",
        /// The event type cannot be booked unattended.
        CalendarNeedsSetup = "CALENDAR_NEEDS_SETUP",
        /// The first touch needs a template.
        TemplateNeeded = "TEMPLATE_NEEDED",
        /// A message was refused.
        SendFailed = "SEND_FAILED",
    }
}

impl Reason {
    /// One line for a person, with the fix.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::ModelNotConnected => {
                "OpenAI is not connected, so no reply was written. Add an API key under Settings → Integrations."
            }
            Self::ModelKeyRejected => {
                "OpenAI rejected the API key. Verify it under Settings → Integrations, then answer the lead."
            }
            Self::ModelGone => {
                "OpenAI can't find the model. Choose another one under Settings → Integrations, then answer the lead."
            }
            Self::ModelNoQuota => {
                "The OpenAI account has no credit left or has reached a limit. Top it up, then answer the lead."
            }
            Self::ModelFailed => "The model gave no usable answer. Answer the lead.",
            Self::ModelRefused => "The model refused to answer. Answer the lead.",
            Self::ReplyHeld => {
                "The model claimed a booking that does not exist; its reply was held. Answer the lead."
            }
            Self::ModelBrokeRules => {
                "The model tried what it may not do (an invented slot, another's address, an unknown tool), and was stopped. Read the conversation."
            }
            Self::BudgetExhausted => {
                "The model used up its calls for one message without an answer. Answer the lead."
            }
            Self::DailyBudgetExhausted => {
                "The day's token budget is used up. Answer the lead, or raise the budget in the agent settings."
            }
            Self::PersonNeeded => "The bot asked for a person. Answer the lead.",
            Self::CalendarNotConnected => {
                "Cal.com is not connected, so nothing can be booked. Add it under Settings → Integrations."
            }
            Self::CalendarKeyRejected => {
                "Cal.com rejected the API key, so nothing can be booked. Verify it under Settings → Integrations."
            }
            Self::CalendarNeedsSetup => {
                "Cal.com does not let this event type be booked with a name and an e-mail alone. Check its booking \
                 questions and that it can be booked."
            }
            Self::TemplateNeeded => {
                "WhatsApp refused a first message without a template (63016). Set an approved template's SID \
                 (HX…) in the agent settings."
            }
            Self::SendFailed => {
                "Twilio refused a message to the lead. The conversation shows the code and what to do."
            }
        }
    }
}
