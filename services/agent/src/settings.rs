//! How a workspace's bot behaves.

use serde::{Deserialize, Serialize};

/// The settings of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Who the bot is.
    pub persona: String,
    /// What it should reach.
    pub goals: String,
    /// What else it must know and obey.
    pub instructions: String,
    /// The first message to a lead from a form, with `{first_name}` and
    /// `{workspace}`.
    pub opening_message: String,
    /// `HX…`: sent in place of the opening message.
    pub opening_template_sid: Option<String>,
    /// The one sentence at a hand-off.
    pub handoff_message: String,
    /// How long a burst is waited for.
    pub debounce_milliseconds: u32,
    /// Model tokens a day.
    pub daily_token_budget: u64,
    /// BCP 47: the language that the bot begins in.
    pub language: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            persona: "You are the friendly assistant of a coach.".to_owned(),
            goals: "Find out what the lead wants to reach, answer their questions, and book a free consult."
                .to_owned(),
            instructions: String::new(),
            opening_message:
                "Hi {first_name}, thank you for getting in touch with {workspace}! What would you \
                              like to work on?"
                    .to_owned(),
            opening_template_sid: None,
            handoff_message:
                "Thank you for your message. I'm passing it on to a person, who will get back to you."
                    .to_owned(),
            debounce_milliseconds: 1500,
            daily_token_budget: 1_000_000,
            language: "en".to_owned(),
        }
    }
}

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's name.
    pub field: &'static str,
    /// What is wrong, and how to put it right.
    pub message: String,
}

impl Settings {
    /// Checks them, and trims the texts.
    ///
    /// # Errors
    /// Every setting that cannot be saved.
    pub fn checked(mut self) -> Result<Self, Vec<Problem>> {
        for text in [
            &mut self.persona,
            &mut self.goals,
            &mut self.instructions,
            &mut self.opening_message,
            &mut self.handoff_message,
            &mut self.language,
        ] {
            *text = text.trim().to_owned();
        }
        self.opening_template_sid =
            self.opening_template_sid.map(|sid| sid.trim().to_owned()).filter(|sid| !sid.is_empty());
        let problems = self.problems();
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |field: &'static str, message: String| problems.push(Problem { field, message });
        for (field, text, most) in [
            ("persona", &self.persona, 4000),
            ("goals", &self.goals, 4000),
            ("instructions", &self.instructions, 8000),
            ("opening_message", &self.opening_message, 1000),
            ("handoff_message", &self.handoff_message, 500),
        ] {
            if text.chars().count() > most {
                refuse(field, format!("{field} must have at most {most} characters"));
            }
        }
        if self.handoff_message.is_empty() {
            refuse("handoff_message", "handoff_message must not be empty".to_owned());
        }
        if self.opening_message.is_empty() && self.opening_template_sid.is_none() {
            refuse("opening_message", "opening_message must not be empty without a template".to_owned());
        }
        if self.opening_template_sid.as_deref().is_some_and(|sid| !is_template_sid(sid)) {
            let shape = "opening_template_sid must be HX and 32 hexadecimal digits";
            refuse("opening_template_sid", shape.to_owned());
        }
        if self.debounce_milliseconds > 30_000 {
            refuse("debounce_milliseconds", "debounce_milliseconds must be 0 to 30000".to_owned());
        }
        if !(1_000..=100_000_000).contains(&self.daily_token_budget) {
            refuse("daily_token_budget", "daily_token_budget must be 1000 to 100000000".to_owned());
        }
        if !is_language(&self.language) {
            refuse("language", "language must be a BCP 47 tag, such as en or en-GB".to_owned());
        }
        problems
    }
}

fn is_template_sid(text: &str) -> bool {
    text.strip_prefix("HX")
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The shape of a tag (RFC 5646, section 2.1), not whether it is registered.
fn is_language(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.all(|subtag| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
        && text.len() <= 35
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_saved() {
        assert_eq!(Settings::default().checked(), Ok(Settings::default()));
    }

    #[test]
    fn every_refused_setting_is_named() {
        let wrong = Settings {
            persona: "x".repeat(4001),
            goals: "x".repeat(4001),
            instructions: "x".repeat(8001),
            opening_message: "x".repeat(1001),
            opening_template_sid: Some("HX1".to_owned()),
            handoff_message: "  ".to_owned(),
            debounce_milliseconds: 30_001,
            daily_token_budget: 999,
            language: "english please".to_owned(),
        };
        let named: Vec<_> = wrong.checked().unwrap_err().iter().map(|problem| problem.field).collect();
        assert_eq!(
            named,
            [
                "persona",
                "goals",
                "instructions",
                "opening_message",
                "handoff_message",
                "opening_template_sid",
                "debounce_milliseconds",
                "daily_token_budget",
                "language"
            ]
        );
    }
}
