//! What the templates read. They decide nothing: every text, tone and address is
//! ready.

use askama::Template;

/// What stands around every page.
pub(crate) struct Layout {
    pub title: String,
    /// The version of the assets, for the browser's cache.
    pub assets: String,
    pub signed_in: bool,
    /// The side navigation, on pages of a workspace.
    pub workspace: Option<WorkspaceHead>,
}

pub(crate) struct WorkspaceHead {
    pub name: String,
    pub channel: String,
    pub channel_icon: &'static str,
    pub nav: Vec<NavGroup>,
}

pub(crate) struct NavGroup {
    pub title: &'static str,
    pub items: Vec<NavItem>,
}

pub(crate) struct NavItem {
    pub label: &'static str,
    pub href: String,
    pub icon: &'static str,
    pub current: bool,
}

/// One line of an error summary.
pub(crate) struct FieldError {
    /// The DOM id of the input.
    pub target: String,
    pub message: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage {
    pub layout: Layout,
    pub link_refused: bool,
    pub signed_out: bool,
}

#[derive(Template)]
#[template(path = "workspaces.html")]
pub(crate) struct WorkspacesPage {
    pub layout: Layout,
    pub workspaces: Vec<WorkspaceRow>,
    pub is_empty: bool,
    pub form: WorkspaceForm,
    pub zones: Vec<String>,
}

pub(crate) struct WorkspaceRow {
    pub name: String,
    pub href: String,
    pub channel: String,
    pub channel_icon: &'static str,
    pub timezone: String,
    pub created: String,
    pub created_iso: String,
}

#[derive(Default)]
pub(crate) struct WorkspaceForm {
    pub name: String,
    pub timezone: String,
    pub whatsapp: bool,
    pub voice: bool,
    pub name_error: Option<String>,
    pub channel_error: Option<String>,
    pub timezone_error: Option<String>,
    pub errors: Vec<FieldError>,
    pub has_errors: bool,
}

#[derive(Template)]
#[template(path = "integrations.html")]
pub(crate) struct IntegrationsPage {
    pub layout: Layout,
    /// The rose-coloured warning.
    pub vault: Option<VaultNotice>,
    pub urls_are_local: bool,
    pub cards: Vec<Card>,
    pub zones: Vec<String>,
}

pub(crate) struct VaultNotice {
    pub reason: &'static str,
    pub configured_key_id: String,
    pub stored_key_id: String,
}

pub(crate) struct Card {
    pub id: &'static str,
    pub name: &'static str,
    pub monogram: &'static str,
    pub purpose: &'static str,
    pub optional: bool,
    pub action: String,
    pub connected: bool,
    pub state_text: &'static str,
    pub state_icon: &'static str,
    pub state_tone: &'static str,
    pub saved: bool,
    pub removed: bool,
    pub save_refused: Option<String>,
    pub fields: Vec<Field>,
    pub errors: Vec<FieldError>,
    pub has_errors: bool,
    pub result: VerifyResult,
    pub twilio: Option<TwilioSetup>,
    pub vapi: Option<VapiSetup>,
    pub calcom: Option<CalcomSetup>,
}

pub(crate) struct Field {
    pub id: String,
    pub name: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    pub required: bool,
    /// Exactly one of the four kinds is true.
    pub is_secret: bool,
    pub is_text: bool,
    pub is_zone: bool,
    pub is_region: bool,
    /// Always empty for a secret.
    pub value: String,
    pub placeholder: String,
    pub numeric: bool,
    pub region_default: bool,
    pub region_us: bool,
    pub region_eu: bool,
    pub error: Option<String>,
    /// Whether the last check is about this field.
    pub flagged: bool,
    pub described_by: String,
}

pub(crate) struct TwilioSetup {
    pub messages_url: String,
}

pub(crate) struct CalcomSetup {
    pub webhook_url: String,
}

pub(crate) struct VapiSetup {
    pub tools_url: String,
    pub events_url: String,
    pub token: ToolToken,
}

#[derive(Template)]
#[template(path = "tool_token.html")]
pub(crate) struct ToolTokenFragment {
    pub token: ToolToken,
}

#[derive(Default)]
pub(crate) struct ToolToken {
    pub action: String,
    pub back: String,
    pub issued: bool,
    pub hint: String,
    /// The token itself, in the answer that shows it and nowhere else.
    pub value: Option<String>,
    pub previous_valid_until: Option<String>,
    pub refused: Option<String>,
}

#[derive(Template)]
#[template(path = "pill.html")]
pub(crate) struct PillFragment {
    pub result: VerifyResult,
}

#[derive(Default)]
pub(crate) struct VerifyResult {
    pub tone: &'static str,
    pub icon: &'static str,
    pub verdict: String,
    pub message: String,
    pub field: Option<String>,
    pub fix: Option<String>,
    pub warnings: Vec<String>,
    pub has_warnings: bool,
    pub checked_at: Option<String>,
    pub checked_at_iso: String,
    pub probes: Vec<ProbeRow>,
    pub has_probes: bool,
    pub probes_title: String,
}

pub(crate) struct ProbeRow {
    pub name: String,
    pub status: String,
    pub took: String,
}

#[derive(Template)]
#[template(path = "workspace_settings.html")]
pub(crate) struct WorkspaceSettingsPage {
    pub layout: Layout,
    pub action: String,
    pub delete_action: String,
    pub workspace_name: String,
    pub channel: String,
    pub id: String,
    pub form_url: String,
    pub name: String,
    pub timezone: String,
    pub name_error: Option<String>,
    pub timezone_error: Option<String>,
    pub delete_error: Option<String>,
    pub errors: Vec<FieldError>,
    pub has_errors: bool,
    pub saved: bool,
    pub zones: Vec<String>,
}

#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    pub layout: Layout,
    pub status: u16,
    pub heading: String,
    pub message: String,
    pub back_href: String,
    pub back_label: String,
}
