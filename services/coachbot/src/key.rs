//! The platform key: made, and judged against the data.

use coachbot_common::lifecycle::Failure;
use coachbot_common::secret::random_bytes;
use coachbot_proto::vault::v1::{GetStatusResponse, KeyState};
use zeroize::Zeroizing;

/// Makes a key: 32 random bytes as 64 hex digits.
pub(crate) fn generate() -> Zeroizing<String> {
    let bytes = Zeroizing::new(random_bytes::<32>());
    Zeroizing::new(hex::encode(*bytes))
}

/// Whether the configured key fits the stored data.
pub(crate) struct KeyStatus {
    pub(crate) usable: bool,
    pub(crate) sentence: String,
}

/// Judges the key against the data, and changes nothing.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn status(config: &coachbot_vault::Config) -> Result<KeyStatus, Failure> {
    let status = coachbot_vault::status(config).await?;
    Ok(KeyStatus { usable: status.state() == KeyState::Ok, sentence: sentence(&status) })
}

/// The key's state in one sentence that says what to do.
pub(crate) fn sentence(status: &GetStatusResponse) -> String {
    let configured = status.configured_key_id.as_deref().unwrap_or("none");
    let stored = status.stored_key_id.as_deref().unwrap_or("none");
    match status.state() {
        KeyState::Ok => format!("OK (key id {configured})."),
        KeyState::Missing => format!(
            "INTEGRATIONS_ENCRYPTION_KEY is missing. Nothing can be saved or verified until it is set; \
             `coachbot key generate` makes one. {}",
            if stored == "none" {
                String::new()
            } else {
                format!("The data needs the key with id {stored}.")
            }
        )
        .trim_end()
        .to_owned(),
        KeyState::Malformed => {
            "INTEGRATIONS_ENCRYPTION_KEY is malformed: it must be 64 hex digits, or the padded \
                                base64 of 32 bytes; `coachbot key generate` makes one."
                .to_owned()
        }
        KeyState::Weak => {
            "INTEGRATIONS_ENCRYPTION_KEY is too weak: its bytes are all equal or count up or down; \
                           `coachbot key generate` makes a good one."
                .to_owned()
        }
        KeyState::Mismatch => format!(
            "INTEGRATIONS_ENCRYPTION_KEY is not the key that the data was sealed with: it has the id {configured}, \
             the data needs {stored}. Nothing was changed; set the old key again."
        ),
        KeyState::Degraded => format!(
            "OK (key id {configured}), but {} workspaces need a key that is not loaded.",
            status.degraded_workspace_ids.len()
        ),
        KeyState::Unspecified => "unknown.".to_owned(),
    }
}
