//! When a coach can be met: Monday to Friday, 09:00 to 17:00 of his own zone.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::accounts::{CalcomAccount, EventType, MINIMUM_NOTICE_MINUTES};

const OPENS: i64 = 9 * 60;
const CLOSES: i64 = 17 * 60;

/// Longest range of a list, in days.
const LONGEST: usize = 400;

/// The coach's zone.
fn zone(account: &CalcomAccount) -> TimeZone {
    TimeZone::get(account.timezone).expect("the accounts have zones of the built-in list")
}

fn is_workday(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Whether a slot begins here, whether free or not.
pub fn is_slot(account: &CalcomAccount, event_type: &EventType, start: Timestamp) -> bool {
    let local = start.to_zoned_datetime(zone(account));
    let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
    is_workday(local.date())
        && local.second() == 0
        && local.subsec_nanosecond() == 0
        && (OPENS..=CLOSES - event_type.minutes).contains(&minute)
        && (minute - OPENS) % event_type.minutes == 0
}

/// The earliest start that can still be booked.
pub fn earliest(now: Timestamp) -> Timestamp {
    now + SignedDuration::from_mins(MINIMUM_NOTICE_MINUTES)
}

/// Whether nothing else is at that time.
pub fn is_free(busy: &[(Timestamp, Timestamp)], start: Timestamp, minutes: i64) -> bool {
    let end = start + SignedDuration::from_mins(minutes);
    busy.iter().all(|(begins, ends)| end <= *begins || *ends <= start)
}

/// The free slots that start between both instants, these included.
pub fn free(
    account: &CalcomAccount,
    event_type: &EventType,
    busy: &[(Timestamp, Timestamp)],
    (from, until): (Timestamp, Timestamp),
    now: Timestamp,
) -> Vec<Timestamp> {
    let zone = zone(account);
    let first = from.to_zoned_datetime(zone.clone()).date();
    let last = until.to_zoned_datetime(zone.clone()).date();
    let from = from.max(earliest(now));
    let days = first.series(jiff::Span::new().days(1)).take(LONGEST).take_while(|day| *day <= last);
    let mut found = Vec::new();
    for day in days.filter(|day| is_workday(*day)) {
        let mut minute = OPENS;
        while minute + event_type.minutes <= CLOSES {
            let (hour, rest) = (minute / 60, minute % 60);
            minute += event_type.minutes;
            let (Ok(hour), Ok(rest)) = (i8::try_from(hour), i8::try_from(rest)) else { continue };
            let Ok(local) = day.at(hour, rest, 0, 0).to_zoned_datetime(zone.clone()) else { continue };
            let start = local.timestamp();
            if start >= from && start <= until && is_free(busy, start, event_type.minutes) {
                found.push(start);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::CALCOM;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn slots_follow_the_coachs_own_clock_through_the_change_of_time() {
        let coach = &CALCOM[1];
        let event_type = &coach.event_types[0];
        let now = at("2026-10-01T00:00:00Z");
        let first = |day: &str| {
            let range = (at(&format!("{day}T00:00:00Z")), at(&format!("{day}T23:59:59Z")));
            free(coach, event_type, &[], range, now).first().map(ToString::to_string)
        };
        assert_eq!(first("2026-10-30").as_deref(), Some("2026-10-30T13:00:00Z"));
        assert_eq!(first("2026-11-02").as_deref(), Some("2026-11-02T14:00:00Z"));
        assert_eq!(first("2026-10-31"), None);
    }

    #[test]
    fn bookings_and_the_notice_take_slots_away() {
        let coach = &CALCOM[0];
        let event_type = &coach.event_types[0];
        let range = (at("2026-12-01T00:00:00Z"), at("2026-12-01T23:59:59Z"));
        let busy = [(at("2026-12-01T13:15:00Z"), at("2026-12-01T13:45:00Z"))];
        let found = free(coach, event_type, &busy, range, at("2026-12-01T10:31:00Z"));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "2026-12-01T14:00:00Z",
                "2026-12-01T14:30:00Z",
                "2026-12-01T15:00:00Z",
                "2026-12-01T15:30:00Z",
                "2026-12-01T16:00:00Z",
                "2026-12-01T16:30:00Z",
            ]
        );
        assert!(is_slot(coach, event_type, at("2026-12-01T16:30:00Z")));
        for no_slot in
            ["2026-12-01T17:00:00Z", "2026-12-01T08:30:00Z", "2026-12-01T10:15:00Z", "2026-12-05T10:00:00Z"]
        {
            assert!(!is_slot(coach, event_type, at(no_slot)), "{no_slot}");
        }
    }
}
