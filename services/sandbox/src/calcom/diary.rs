//! The bookings that Cal.com remembers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::find_event_type;
use crate::accounts::{CalcomAccount, EventType};
use crate::ledger::Attendee;
use crate::outcome::random_hex;

/// A booking.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Booking {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub uid: String,
    /// Whose calendar it is in.
    pub owner: u64,
    /// What was booked.
    pub event_type_id: u64,
    /// `accepted` or `pending`.
    pub status: String,
    /// Its first instant.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Who comes.
    pub attendee: Attendee,
    /// Answers to the event type's questions.
    pub responses: BTreeMap<String, String>,
    /// What the caller attached.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

/// A booking that is to be made.
pub struct Wanted {
    pub start: Timestamp,
    pub attendee: Attendee,
    pub responses: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
}

/// All bookings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Diary {
    last: u64,
    bookings: Vec<Booking>,
}

impl Diary {
    /// Makes a booking.
    pub fn add(
        &mut self,
        account: &CalcomAccount,
        event_type: &EventType,
        wanted: Wanted,
        now: Timestamp,
    ) -> Booking {
        self.last += 1;
        let uid: String = random_hex().chars().take(22).collect();
        let booking = Booking {
            id: 770_000 + self.last,
            uid,
            owner: account.owner,
            event_type_id: event_type.id,
            status: if event_type.confirmation { "pending" } else { "accepted" }.to_owned(),
            start: wanted.start,
            end: wanted.start + jiff::SignedDuration::from_mins(event_type.minutes),
            attendee: wanted.attendee,
            responses: wanted.responses,
            metadata: wanted.metadata,
            created: now,
        };
        self.bookings.push(booking.clone());
        booking
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Booking> {
        self.bookings.iter()
    }

    /// When the owner is not free.
    pub fn busy(&self, owner: u64) -> Vec<(Timestamp, Timestamp)> {
        let own = self.bookings.iter().filter(|booking| booking.owner == owner);
        own.map(|booking| (booking.start, booking.end)).collect()
    }

    /// Forgets all; numbers go on.
    pub fn clear(&mut self) {
        self.bookings.clear();
    }
}

/// ISO 8601 with milliseconds.
pub fn instant(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// As Cal.com tells it.
pub fn describe(booking: &Booking) -> Value {
    let Some((account, event_type)) = find_event_type(booking.event_type_id) else { return Value::Null };
    let attendee = &booking.attendee;
    let mut responses = json!({ "name": attendee.name, "email": attendee.email });
    let mut person = json!({
        "name": attendee.name,
        "email": attendee.email,
        "displayEmail": attendee.email,
        "timeZone": attendee.time_zone,
        "language": attendee.language,
        "absent": false,
    });
    if let (Some(number), Some(person)) = (&attendee.phone_number, person.as_object_mut()) {
        person.insert("phoneNumber".to_owned(), json!(number));
    }
    if let Some(responses) = responses.as_object_mut() {
        responses.extend(booking.responses.iter().map(|(slug, answer)| (slug.clone(), json!(answer))));
    }
    let place = format!("https://app.cal.com/video/{}", booking.uid);
    json!({
        "id": booking.id,
        "uid": booking.uid,
        "title": format!("{} between {} and {}", event_type.title, account.name, attendee.name),
        "description": "",
        "status": booking.status,
        "start": instant(booking.start),
        "end": instant(booking.end),
        "duration": event_type.minutes,
        "eventTypeId": event_type.id,
        "eventType": { "id": event_type.id, "slug": event_type.slug },
        "hosts": [{
            "id": account.owner,
            "name": account.name,
            "email": account.email,
            "displayEmail": account.email,
            "username": account.username,
            "timeZone": account.timezone,
        }],
        "attendees": [person],
        "guests": [],
        "location": place,
        "meetingUrl": place,
        "absentHost": false,
        "createdAt": instant(booking.created),
        "updatedAt": instant(booking.created),
        "icsUid": format!("{}@Cal.com", booking.uid),
        "bookingFieldsResponses": responses,
        "metadata": booking.metadata,
    })
}
