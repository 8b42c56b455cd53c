use coachbot_common::clock::from_wire;
use coachbot_proto::connector::v1::ListSlotsResponse;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::Serialize;
use serde_json::Value;

use super::{line, text};

/// More slots than these are no choice.
const MOST: usize = 30;
/// How far ahead is looked at once.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

#[derive(Serialize)]
struct Slots<'a> {
    ok: bool,
    timezone: &'a str,
    slots: Vec<Slot>,
}

#[derive(Serialize)]
struct Slot {
    start: String,
    label: String,
}

/// The time that slots are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first instant.
    pub from: Timestamp,
    /// The first that is not.
    pub until: Timestamp,
}

/// Reads the arguments of listSlots: days and times without an offset are the
/// workspace's. What lies in the past is cut off, and so is what is too far.
///
/// # Errors
/// What to tell the model.
pub fn window(arguments: &Value, zone: &TimeZone, now: Timestamp) -> Result<Window, &'static str> {
    const SHAPE: &str = "from and to must be ISO 8601 dates or date-times, such as 2026-12-01.";
    const ORDER: &str = "to must be later than from and than now.";
    let from = match text(arguments, "from") {
        None => now,
        Some(text) => instant(text, zone, false).ok_or(SHAPE)?.max(now),
    };
    let until = match text(arguments, "to") {
        None => from + WEEK,
        Some(text) => instant(text, zone, true).ok_or(SHAPE)?,
    };
    let until = until.min(from + LONGEST);
    if until <= from { Err(ORDER) } else { Ok(Window { from, until }) }
}

/// An instant of a text; of a day, its beginning or its end.
fn instant(text: &str, zone: &TimeZone, end: bool) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    // The date parser would take a date-time and forget its time.
    let civil = if text.len() <= 10 {
        let date: Date = text.parse().ok()?;
        let date = if end { date.checked_add(1.day()).ok()? } else { date };
        date.to_datetime(jiff::civil::Time::midnight())
    } else {
        text.parse::<DateTime>().ok()?
    };
    zone.to_timestamp(civil).ok()
}

/// The answer of listSlots, and whether there are any.
#[must_use]
pub fn answer(slots: &ListSlotsResponse, window: Window, now: Timestamp) -> (String, bool) {
    let zone = crate::prompt::zone(&slots.timezone);
    let slots_in_time: Vec<Slot> = slots
        .starts
        .iter()
        .filter_map(from_wire)
        .filter(|start| *start > now && (window.from..window.until).contains(start))
        .take(MOST)
        .map(|start| Slot { start: start.to_string(), label: label(start, &zone) })
        .collect();
    let any = !slots_in_time.is_empty();
    (line(&Slots { ok: true, timezone: &slots.timezone, slots: slots_in_time }), any)
}

/// A slot in words, such as `Tue 1 Dec, 09:00`.
#[must_use]
pub fn label(start: Timestamp, zone: &TimeZone) -> String {
    start.to_zoned_datetime(zone.clone()).strftime("%a %-d %b, %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_whole_and_local() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = at("2026-11-25T12:00:00Z");
        let read = |from: Value, to: Value| window(&json!({ "from": from, "to": to }), &zone, now);
        let days = read("2026-12-01".into(), "2026-12-01".into());
        let expected = Window { from: at("2026-11-30T23:00:00Z"), until: at("2026-12-01T23:00:00Z") };
        assert_eq!(days, Ok(expected));
        let times = read("2026-12-01T09:00:00".into(), "2026-12-01T10:00:00Z".into());
        assert_eq!(times, Ok(Window { from: at("2026-12-01T08:00:00Z"), until: at("2026-12-01T10:00:00Z") }));
        let week = read(Value::Null, Value::Null);
        assert_eq!(week, Ok(Window { from: now, until: now + WEEK }));
        let past = read("2020-01-01".into(), "2026-11-26".into());
        assert_eq!(past, Ok(Window { from: now, until: at("2026-11-26T23:00:00Z") }));
        let far = read(Value::Null, "2030-01-01".into());
        assert_eq!(far, Ok(Window { from: now, until: now + LONGEST }));
        assert!(read("tomorrow".into(), Value::Null).is_err());
        assert!(read(Value::Null, "2020-01-01".into()).is_err());
    }

    #[test]
    fn slots_have_the_shape_that_the_tool_promises() {
        let now = at("2026-11-25T12:00:00Z");
        let slots = ListSlotsResponse {
            timezone: "Europe/London".into(),
            starts: ["2026-11-25T11:00:00Z", "2026-12-01T09:00:00Z"]
                .map(|text| coachbot_common::clock::to_wire(at(text)))
                .to_vec(),
        };
        let (text, any) = answer(&slots, Window { from: now, until: now + WEEK }, now);
        assert!(any);
        let expected = r#"{"ok":true,"timezone":"Europe/London","slots":[{"start":"2026-12-01T09:00:00Z","label":"Tue 1 Dec, 09:00"}]}"#;
        assert_eq!(text, expected);
    }
}
