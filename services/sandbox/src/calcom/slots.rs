//! Lists free slots by local day.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::diary::Diary;
use super::{broken, envelope, find_event_type, hours, success};
use crate::call::Asked;
use crate::outcome::Outcome;

const PARAMETERS: [&str; 7] =
    ["eventTypeId", "start", "end", "timeZone", "duration", "format", "bookingUidToReschedule"];

/// Judges the request and lists.
pub fn judge(diary: &Diary, asked: &Asked) -> Outcome {
    if let Some((name, _)) = asked.query.iter().find(|(name, _)| !PARAMETERS.contains(&name.as_str())) {
        return broken(format!("property {name} should not exist"));
    }
    let get = |name: &str| asked.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let Some(Ok(id)) = get("eventTypeId").map(str::parse) else {
        return broken("eventTypeId must be a number");
    };
    let zone = match get("timeZone").map_or(Ok(TimeZone::UTC), TimeZone::get) {
        Ok(zone) => zone,
        Err(_) => return broken("timeZone must be a valid IANA timezone"),
    };
    let with_ends = match get("format") {
        None | Some("time") => false,
        Some("range") => true,
        Some(_) => return broken("format must be one of the following values: range, time"),
    };
    if get("duration").is_some() {
        return broken("duration is only for event types with several lengths");
    }
    let Some(from) = get("start").and_then(|text| instant(text, false)) else {
        return broken("Invalid start date");
    };
    let Some(until) = get("end").and_then(|text| instant(text, true)) else {
        return broken("Invalid end date");
    };
    if until < from {
        return broken("Invalid time range given - check the 'start' and 'end' query parameters.");
    }
    let Some((account, event_type)) = find_event_type(id) else {
        return envelope(404, "NotFoundException", "Event Type not found");
    };

    let mut days = Map::new();
    let busy = diary.busy(account.owner);
    for start in hours::free(account, event_type, &busy, (from, until), asked.now) {
        let day = start.to_zoned_datetime(zone.clone()).date().to_string();
        let mut slot = json!({ "start": local(start, &zone) });
        if let (true, Some(slot)) = (with_ends, slot.as_object_mut()) {
            let end = start + SignedDuration::from_mins(event_type.minutes);
            slot.insert("end".to_owned(), json!(local(end, &zone)));
        }
        if let Value::Array(slots) = days.entry(day).or_insert_with(|| json!([])) {
            slots.push(slot);
        }
    }
    success(200, Value::Object(days))
}

/// A bare date is its first or last second; an explicit midnight at the end is
/// stretched likewise.
fn instant(text: &str, is_end: bool) -> Option<Timestamp> {
    let utc = |local: DateTime| local.to_zoned_datetime(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let last = Time::constant(23, 59, 59, 0);
    if text.len() == 10 {
        let day: Date = text.parse().ok()?;
        return utc(day.to_datetime(if is_end { last } else { Time::midnight() }));
    }
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => utc(text.parse().ok()?)?,
    };
    let local = at.to_zoned_datetime(TimeZone::UTC).datetime();
    if is_end && local.time() == Time::midnight() { utc(local.date().to_datetime(last)) } else { Some(at) }
}

fn local(at: Timestamp, zone: &TimeZone) -> String {
    let zoned = at.to_zoned_datetime(zone.clone());
    if *zone == TimeZone::UTC {
        zoned.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
    } else {
        zoned.strftime("%Y-%m-%dT%H:%M:%S.000%:z").to_string()
    }
}
