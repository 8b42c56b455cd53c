//! The form as a page, which works without scripts.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use coachbot_integrations::{Channel, FieldProblem};
use http::StatusCode;

use super::submission::{Input, MAX_MESSAGE, MAX_NAME, TRAP};
use crate::dashboard::assets;
use crate::error::Error;
use crate::store::Form;

#[derive(Template)]
#[template(path = "lead_form.html")]
struct FormPage {
    title: String,
    assets: &'static str,
    workspace_name: String,
    action: String,
    fields: Vec<Field>,
    trap: &'static str,
    consent: bool,
    consent_text: String,
    consent_error: Option<String>,
    errors: Vec<Problem>,
    has_errors: bool,
}

struct Field {
    name: &'static str,
    label: &'static str,
    help: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    max_length: usize,
    required: bool,
    /// Beside the label.
    remark: Option<&'static str>,
    is_long: bool,
    value: String,
    error: Option<String>,
    described_by: String,
}

struct Problem {
    target: String,
    message: String,
}

#[derive(Template)]
#[template(path = "public_notice.html")]
struct NoticePage {
    title: String,
    assets: &'static str,
    heading: String,
    lines: Vec<String>,
}

/// What was typed, so that it need not be typed again.
#[derive(Default)]
pub(super) struct Typed {
    values: Vec<(String, String)>,
    consent: bool,
}

impl Typed {
    pub(super) fn of(inputs: &[(String, Input)]) -> Self {
        let text = |(name, input): &(String, Input)| match input {
            Input::Text(text) => Some((name.clone(), text.clone())),
            _ => None,
        };
        Self {
            values: inputs.iter().filter_map(text).collect(),
            consent: inputs.iter().any(|(name, _)| name == "consent"),
        }
    }

    fn value(&self, name: &str) -> String {
        let found = self.values.iter().find(|(typed, _)| typed == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// The empty form, or one that comes back with what is wrong.
pub(super) fn form(form: &Form, typed: &Typed, problems: &[FieldProblem]) -> Result<Response, Error> {
    let error = |name: &str, label: &str| {
        let problem = problems.iter().find(|problem| problem.field == name)?;
        let words = problem.message.strip_prefix(name).unwrap_or(&problem.message);
        Some(format!("{label}{words}"))
    };
    let field = |(name, label, help, kind, autocomplete, max_length)| {
        let error = error(name, label);
        let described_by =
            if error.is_some() { format!("{name}-error {name}-help") } else { format!("{name}-help") };
        Field {
            name,
            label,
            help,
            kind,
            autocomplete,
            max_length,
            required: name == "name",
            remark: match name {
                "name" => None,
                "message" => Some("optional"),
                _ => Some("phone or email"),
            },
            is_long: name == "message",
            value: typed.value(name),
            error,
            described_by,
        }
    };
    let (phone_help, by) = match form.channel {
        Channel::Whatsapp => {
            ("Your WhatsApp number with its country, such as +44 7700 900123.", "by WhatsApp")
        }
        Channel::Voice => ("Your number with its country, such as +44 7700 900123.", "by phone"),
    };
    let fields = [
        ("name", "Name", "How we may call you.", "text", "name", MAX_NAME),
        ("phone", "Phone", phone_help, "tel", "tel", 40),
        ("email", "Email", "If you would rather be reached this way.", "email", "email", 254),
        ("message", "Message", "What you would like to reach.", "text", "off", MAX_MESSAGE),
    ]
    .map(field);
    let no_consent = problems.iter().any(|problem| problem.field == "consent");
    let consent_error = no_consent.then(|| "Tick the box, so that you may be contacted".to_owned());
    let errors: Vec<Problem> = problems
        .iter()
        .map(|problem| {
            let known = fields.iter().find(|field| field.name == problem.field);
            Problem {
                target: if known.is_some() { problem.field.clone() } else { "consent".to_owned() },
                message: known
                    .and_then(|field| field.error.clone())
                    .or_else(|| consent_error.clone().filter(|_| problem.field == "consent"))
                    .unwrap_or_else(|| problem.message.clone()),
            }
        })
        .collect();
    let has_errors = !errors.is_empty();
    let title =
        if has_errors { format!("Error: {}", form.workspace_name) } else { form.workspace_name.clone() };
    let view = FormPage {
        title,
        assets: assets::version(),
        workspace_name: form.workspace_name.clone(),
        action: format!("/f/{}", form.id),
        fields: fields.into(),
        trap: TRAP,
        consent: typed.consent,
        consent_text: format!("{} may contact me {by} or by e-mail.", form.workspace_name),
        consent_error,
        errors,
        has_errors,
    };
    let status = if has_errors { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, Html(view.render()?)).into_response())
}

/// What somebody sees who submitted.
pub(super) fn thanks(form: &Form, note: Option<&str>) -> Result<Response, Error> {
    let mut lines = vec![format!("{} has your details.", form.workspace_name)];
    lines.push(note.unwrap_or("You hear from us within moments.").to_owned());
    let view = NoticePage {
        title: format!("Thank you · {}", form.workspace_name),
        assets: assets::version(),
        heading: "Thank you".to_owned(),
        lines,
    };
    Ok((StatusCode::ACCEPTED, Html(view.render()?)).into_response())
}

/// What went wrong, for somebody who is not a user of the dashboard.
pub(crate) fn problem(title: &str, message: String) -> Result<String, askama::Error> {
    let view = NoticePage {
        title: title.to_owned(),
        assets: assets::version(),
        heading: title.to_owned(),
        lines: vec![message],
    };
    view.render()
}
