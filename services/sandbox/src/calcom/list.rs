//! Lists bookings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::diary::{Booking, Diary, describe};
use super::{broken, envelope};
use crate::accounts::CalcomAccount;
use crate::call::Asked;
use crate::faults::Kind;
use crate::outcome::Outcome;

const TEXTS: [&str; 5] = ["status", "attendeeEmail", "attendeeName", "bookingUid", "eventTypeIds"];
const IDS: [&str; 3] = ["eventTypeId", "teamId", "teamsIds"];
const TIMES: [&str; 6] =
    ["afterStart", "beforeEnd", "afterCreatedAt", "beforeCreatedAt", "afterUpdatedAt", "beforeUpdatedAt"];
const ORDERS: [&str; 4] = ["sortStart", "sortEnd", "sortCreated", "sortUpdatedAt"];
const STATES: [&str; 5] = ["upcoming", "recurring", "past", "cancelled", "unconfirmed"];

type Query<'a> = BTreeMap<&'a str, &'a str>;

/// Judges the request and lists.
pub fn judge(diary: &Diary, account: Option<&CalcomAccount>, asked: &Asked) -> Outcome {
    let Some(account) = account else {
        return envelope(
            401,
            "UnauthorizedException",
            "ApiAuthStrategy - no authentication method provided.",
        );
    };
    let query: Query<'_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if let Some(problem) = problem(&query) {
        return broken(problem);
    }
    let number = |name: &str, default: usize| query.get(name).map_or(Ok(default), |text| text.parse());
    let (Ok(take @ 1..=250), Ok(skip)) = (number("take", 100), number("skip", 0)) else {
        return broken("take must be between 1 and 250, skip a number");
    };
    let is_stale = asked.has_fault(Kind::Stale);
    let mut found: Vec<_> = diary
        .all()
        .filter(|booking| !is_stale && booking.owner == account.owner && fits(booking, &query, asked.now))
        .collect();
    for order in ORDERS {
        let by = |booking: &&Booking| match order {
            "sortStart" => booking.start,
            "sortEnd" => booking.end,
            _ => booking.created,
        };
        match query.get(order) {
            // Of the same instant, the newest first: numbers tell.
            Some(&"desc") => found.sort_by_key(|booking| std::cmp::Reverse((by(booking), booking.id))),
            Some(_) => found.sort_by_key(|booking| (by(booking), booking.id)),
            None => {}
        }
    }
    let total = found.len();
    let page: Vec<Value> = found.into_iter().skip(skip).take(take).map(describe).collect();
    let remaining = total.saturating_sub(skip + page.len());
    let pagination = json!({
        "totalItems": total,
        "remainingItems": remaining,
        "returnedItems": page.len(),
        "itemsPerPage": take,
        "currentPage": skip / take + 1,
        "totalPages": total.div_ceil(take),
        "hasNextPage": remaining > 0,
        "hasPreviousPage": skip > 0,
    });
    Outcome::accepted(200, json!({ "status": "success", "data": page, "pagination": pagination }))
}

fn problem(query: &Query<'_>) -> Option<String> {
    for (name, value) in query {
        if TEXTS.contains(name) || matches!(*name, "take" | "skip") {
            continue;
        }
        if IDS.contains(name) {
            if value.split(',').any(|id| id.parse::<u64>().is_err()) {
                return Some(format!("{name} must be a number"));
            }
        } else if TIMES.contains(name) {
            if value.parse::<Timestamp>().is_err() {
                return Some(format!("{name} must be a valid ISO 8601 date string"));
            }
        } else if ORDERS.contains(name) {
            if !matches!(*value, "asc" | "desc") {
                return Some(format!("{name} must be asc or desc"));
            }
        } else {
            return Some(format!("property {name} should not exist"));
        }
    }
    let states = query.get("status").copied().unwrap_or_default();
    let unknown = states.split(',').any(|state| !state.is_empty() && !STATES.contains(&state));
    unknown.then(|| "each value in status must be one of the known ones".to_owned())
}

fn fits(booking: &Booking, query: &Query<'_>, now: Timestamp) -> bool {
    let time = |name: &str| query.get(name).and_then(|text| text.parse::<Timestamp>().ok());
    let after = |name: &str, at: Timestamp| time(name).is_none_or(|bound| at >= bound);
    let before = |name: &str, at: Timestamp| time(name).is_none_or(|bound| at <= bound);
    let text = |name: &str, own: &str| query.get(name).is_none_or(|wanted| *wanted == own);
    let id = booking.event_type_id.to_string();
    let ids = |name: &str| query.get(name).is_none_or(|ids| ids.split(',').any(|own| own.trim() == id));
    let state = query.get("status").is_none_or(|states| {
        states.split(',').any(|state| match state {
            "upcoming" => booking.end > now && booking.status == "accepted",
            "past" => booking.end <= now,
            "unconfirmed" => booking.status == "pending",
            _ => false,
        })
    });
    state
        && text("attendeeEmail", &booking.attendee.email)
        && text("attendeeName", &booking.attendee.name)
        && text("bookingUid", &booking.uid)
        && ids("eventTypeId")
        && ids("eventTypeIds")
        // No team hosts anything here.
        && !query.contains_key("teamId")
        && !query.contains_key("teamsIds")
        && after("afterStart", booking.start)
        && before("beforeEnd", booking.end)
        && after("afterCreatedAt", booking.created)
        && before("beforeCreatedAt", booking.created)
        && after("afterUpdatedAt", booking.created)
        && before("beforeUpdatedAt", booking.created)
}
