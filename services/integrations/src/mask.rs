//! What a stored secret may look like on a screen.

/// Beginnings that are public: they name the provider, not the key.
const KNOWN_PREFIXES: [&str; 4] = ["sk-", "cal_live_", "cal_", "cbt_"];

/// Below this many characters even four of them would say too much.
const SHORTEST_SHOWN: usize = 20;

/// Stands for the part that is not shown, and marks a mask that is sent back.
pub(crate) const ELLIPSIS: char = '…';

/// Masks a secret: its public prefix, an ellipsis, and its last four characters.
///
/// Nothing of a secret under 20 characters is shown, and no tail that is not
/// ASCII. An empty secret has no mask. The result is text, to be escaped where
/// it is shown.
#[must_use]
pub fn mask(secret: &str) -> String {
    if secret.is_empty() {
        return String::new();
    }
    if secret.chars().count() < SHORTEST_SHOWN {
        return ELLIPSIS.to_string();
    }
    let prefix = KNOWN_PREFIXES.iter().find(|prefix| secret.starts_with(**prefix)).unwrap_or(&"");
    let tail = secret
        .len()
        .checked_sub(4)
        .and_then(|start| secret.get(start..))
        .filter(|tail| tail.is_ascii())
        .unwrap_or_default();
    format!("{prefix}{ELLIPSIS}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_masks_are_met() {
        let file: serde_json::Value = serde_json::from_str(include_str!("../fixtures/masking.json")).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let secret = case["secret"].as_str().unwrap();
            assert_eq!(mask(secret), case["shown"].as_str().unwrap(), "{}", case["id"]);
        }
    }
}
