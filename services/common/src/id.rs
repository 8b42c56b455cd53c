//! Ids: newtypes over UUIDv7, written as 36 lower-case characters.

use jiff::Timestamp;
#[doc(no_inline)]
pub use uuid::Uuid;

/// A text that is not an id in the one accepted spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an id of 36 lower-case characters, such as 01937a3e-6f00-7000-8000-000000000001")]
pub struct InvalidId;

/// Makes an id of the given instant: UUIDv7, milliseconds first, the rest random
/// (RFC 9562, section 5.7).
#[must_use]
pub fn new_id(now: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let random = crate::secret::random_bytes::<10>();
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
}

/// Reads an id in its one accepted spelling.
///
/// # Errors
/// [`InvalidId`] for every other text, upper case and missing dashes included.
pub fn parse(text: &str) -> Result<Uuid, InvalidId> {
    let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
    if id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text { Ok(id) } else { Err(InvalidId) }
}

/// Defines an id type.
#[macro_export]
macro_rules! id_type {
    ($(#[$meta:meta])* pub struct $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($crate::id::Uuid);

        impl $name {
            /// Reads the id from its 36 lower-case characters.
            ///
            /// # Errors
            /// For every other text.
            pub fn parse(text: &str) -> Result<Self, $crate::id::InvalidId> {
                $crate::id::parse(text).map(Self)
            }

            /// Takes the id from a column.
            #[must_use]
            pub const fn from_uuid(id: $crate::id::Uuid) -> Self {
                Self(id)
            }

            /// The id for a column.
            #[must_use]
            pub const fn as_uuid(self) -> $crate::id::Uuid {
                self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

id_type! {
    /// One workspace: the tenant that every stored row belongs to.
    pub struct WorkspaceId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_is_accepted() {
        let text = "01937a3e-6f00-7000-8000-00000000000a";
        assert_eq!(WorkspaceId::parse(text).unwrap().to_string(), text);
        for other in [
            "01937A3E-6F00-7000-8000-00000000000A",
            "01937a3e6f0070008000000000000000a",
            "{01937a3e-6f00-7000-8000-00000000000a}",
            "urn:uuid:01937a3e-6f00-7000-8000-00000000000a",
            "",
            "1",
        ] {
            assert_eq!(WorkspaceId::parse(other), Err(InvalidId), "{other}");
        }
    }

    #[test]
    fn new_ids_sort_by_time_and_are_version_7() {
        let earlier = new_id("2026-11-25T12:00:00Z".parse().unwrap());
        let later = new_id("2026-11-25T12:00:01Z".parse().unwrap());
        assert!(earlier < later);
        assert_eq!(earlier.get_version_num(), 7);
        assert_ne!(earlier, new_id("2026-11-25T12:00:00Z".parse().unwrap()));
    }
}
