//! Lists: `?limit=&cursor=`, newest first, `{"items": […], "next": null | "cursor"}`.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coachbot_common::clock::{from_micros, to_micros};
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::SharedApp;
use crate::clients::Cut;
use crate::error::Error;
use crate::store::Position;

const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 100;

/// Longest cursor of the agent, in bytes.
const MAX_CURSOR: usize = 512;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    limit: u16,
    pub after: Option<Position>,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// What to send as `cursor` for those that follow; null at the end.
    #[schema(required)]
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A part of a list that the agent keeps.
    pub(crate) fn of<W>(items: Vec<W>, next: Option<String>) -> Result<Self, Error>
    where
        T: TryFrom<W, Error = Error>,
    {
        Ok(Self { items: items.into_iter().map(T::try_from).collect::<Result<_, _>>()?, next })
    }
}

impl Page {
    /// How many rows to read: one more than asked for tells whether there are more.
    pub(crate) fn rows(self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Cuts the rows that were read into a page.
    pub(crate) fn list<R, T>(
        self,
        mut rows: Vec<R>,
        position: impl Fn(&R) -> (Timestamp, Uuid),
        item: impl Fn(R) -> T,
    ) -> List<T> {
        let more = rows.len() > usize::from(self.limit);
        rows.truncate(self.limit.into());
        let next = rows.last().filter(|_| more).map(|last| cursor(position(last)));
        List { items: rows.into_iter().map(item).collect(), next }
    }
}

impl FromRequestParts<SharedApp> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &SharedApp) -> Result<Self, Error> {
        parse(parts.uri.query().unwrap_or_default())
    }
}

/// Which part is asked for of a list that the agent keeps: its cursors are its own.
pub(crate) struct Part(pub Cut);

impl FromRequestParts<SharedApp> for Part {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &SharedApp) -> Result<Self, Error> {
        let cut = cut(parts.uri.query().unwrap_or_default())?;
        if cut.cursor.as_ref().is_some_and(|cursor| cursor.is_empty() || cursor.len() > MAX_CURSOR) {
            return Err(wrong_cursor());
        }
        Ok(Self(cut))
    }
}

fn parse(query: &str) -> Result<Page, Error> {
    let Cut { limit, cursor } = cut(query)?;
    let after = cursor.map(|cursor| read_cursor(&cursor).ok_or_else(wrong_cursor)).transpose()?;
    Ok(Page { limit, after })
}

fn cut(query: &str) -> Result<Cut, Error> {
    let mut cut = Cut { limit: DEFAULT_LIMIT, cursor: None };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "limit" => {
                cut.limit =
                    value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
                        Error::field("limit", format!("limit must be a number from 1 to {MAX_LIMIT}"))
                    })?;
            }
            "cursor" => cut.cursor = Some(value.into_owned()),
            _ => {}
        }
    }
    Ok(cut)
}

fn wrong_cursor() -> Error {
    Error::field("cursor", "cursor must be the text that `next` of the page before has")
}

/// 8 bytes of the instant in microseconds, 16 of the id.
fn cursor((at, id): (Timestamp, Uuid)) -> String {
    let mut bytes = to_micros(at).to_be_bytes().to_vec();
    bytes.extend(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_cursor(text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (at, id) = bytes.split_first_chunk::<8>()?;
    Some(Position { created_at: from_micros(i64::from_be_bytes(*at)), id: Uuid::from_slice(id).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_row_it_was_made_of() {
        let at: Timestamp = "2026-11-25T12:00:00.000001Z".parse().unwrap();
        let id = Uuid::from_u128(7);
        assert_eq!(read_cursor(&cursor((at, id))), Some(Position { created_at: at, id }));
    }

    #[test]
    fn limits_and_cursors_are_checked_and_not_clamped() {
        assert_eq!(parse("limit=100&other=1").unwrap().limit, 100);
        for wrong in ["limit=0", "limit=101", "limit=ten", "limit=", "cursor=x", "cursor=", "cursor=AAAA"] {
            assert!(matches!(parse(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn the_last_page_has_no_next() {
        let page = Page { limit: 2, after: None };
        let position = |number: &u8| (Timestamp::UNIX_EPOCH, Uuid::from_u128((*number).into()));
        assert_eq!(page.list(vec![3_u8, 2], position, |number| number).next, None);
        let more = page.list(vec![3_u8, 2, 1], position, |number| number);
        assert_eq!((more.items.len(), more.next.is_some()), (2, true));
    }
}
