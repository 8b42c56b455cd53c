//! Makes a booking, as far as Cal.com would.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::diary::{Booking, Diary, Wanted, describe};
use super::{bare, broken, denied, envelope, hours, success};
use crate::accounts::{ATTENDEES, CalcomAccount, EventType};
use crate::call::Asked;
use crate::faults::Kind;
use crate::ledger::{Attendee, Effect};
use crate::outcome::Outcome;

const MEMBERS: [&str; 8] = [
    "start",
    "eventTypeId",
    "attendee",
    "bookingFieldsResponses",
    "metadata",
    "lengthInMinutes",
    "location",
    "guests",
];
const ATTENDEE: [&str; 5] = ["name", "email", "phoneNumber", "timeZone", "language"];
const LANGUAGES: [&str; 43] = [
    "ar", "ca", "de", "es", "eu", "he", "id", "ja", "lv", "pl", "ro", "sr", "th", "vi", "az", "cs", "el",
    "es-419", "fi", "hr", "it", "km", "nl", "pt", "ru", "sv", "tr", "zh-CN", "bg", "da", "en", "et", "fr",
    "hu", "iw", "ko", "no", "pt-BR", "sk", "ta", "uk", "zh-TW", "bn",
];

const TAKEN: &str = "User either already has booking at this time or is not available";

type Members = Map<String, Value>;
type Judged<T> = Result<T, Outcome>;

/// Judges the request, and books.
pub fn judge(diary: &mut Diary, account: Option<&'static CalcomAccount>, asked: &Asked) -> Outcome {
    match booking(diary, account, asked) {
        Err(refused) => refused,
        Ok((booking, is_new)) => {
            let outcome = success(201, describe(&booking));
            if !is_new {
                return outcome;
            }
            outcome.with_effect(Effect::Booking {
                uid: booking.uid,
                event_type_id: booking.event_type_id,
                start: booking.start,
                status: booking.status,
                attendee: booking.attendee,
                metadata: booking.metadata,
            })
        }
    }
}

fn booking(
    diary: &mut Diary,
    account: Option<&'static CalcomAccount>,
    asked: &Asked,
) -> Judged<(Booking, bool)> {
    let Some(body) = asked.object().filter(|_| asked.is_of_type("application/json")) else {
        return wrong("the body is not a JSON object");
    };
    only(&body, &MEMBERS, "")?;
    let Some(id) = body.get("eventTypeId").and_then(Value::as_u64) else {
        return wrong("eventTypeId must be an integer");
    };
    let start = start(&body)?;
    let attendee = attendee(&body)?;
    let metadata = metadata(&body)?;
    check_rest(&body)?;
    let own = account
        .and_then(|account| account.event_types.iter().find(|own| own.id == id).map(|own| (account, own)));
    let Some((account, event_type)) = own else {
        let text = format!("Event type with id {id} not found.");
        return Err(envelope(404, "NotFoundException", &text));
    };
    let responses = responses(&body, event_type)?;
    if attendee.email.is_none() && !event_type.email_optional {
        return no("responses - {email}error_required_field");
    }
    if let Some((_, status, text)) =
        ATTENDEES.iter().find(|(own, ..)| attendee.email.as_deref() == Some(*own))
    {
        return Err(if *status == 400 { denied(text) } else { bare(*status, text) });
    }
    let wanted = Wanted { start, attendee: attendee.finish(), responses, metadata };
    if asked.has_fault(Kind::SlotTaken) {
        diary.add(account, event_type, of_a_stranger(start), asked.now);
        if asked.fault.as_ref().and_then(|fault| fault.status) == Some(409) {
            return Err(bare(409, "booking_conflict_error"));
        }
    }
    take(diary, (account, event_type), wanted, asked.now)
}

/// The provider's own uniqueness holds for accepted bookings: a repeat is
/// refused. One that waits for its confirmation is answered once more.
fn take(
    diary: &mut Diary,
    (account, event_type): (&CalcomAccount, &EventType),
    wanted: Wanted,
    now: Timestamp,
) -> Judged<(Booking, bool)> {
    let again = |own: &&Booking| {
        own.event_type_id == event_type.id
            && own.start == wanted.start
            && own.status == "pending"
            && own.attendee.email == wanted.attendee.email
    };
    if let Some(first) = diary.all().find(again) {
        return Ok((first.clone(), false));
    }
    if wanted.start < now {
        return no("Attempting to book a meeting in the past.");
    }
    if wanted.start < hours::earliest(now) {
        return no(
            "The event type can't be booked at the \"start\" time provided. This could be because it's too soon (violating the minimum booking notice) or too far in the future.",
        );
    }
    let is_free = hours::is_free(&diary.busy(account.owner), wanted.start, event_type.minutes);
    if !hours::is_slot(account, event_type, wanted.start) || !is_free {
        return no(TAKEN);
    }
    Ok((diary.add(account, event_type, wanted, now), true))
}

fn of_a_stranger(start: Timestamp) -> Wanted {
    let attendee = Attendee {
        name: "Someone Else".to_owned(),
        email: "someone.else@sandbox.example".to_owned(),
        phone_number: None,
        time_zone: "Europe/London".to_owned(),
        language: "en".to_owned(),
    };
    Wanted { start, attendee, responses: BTreeMap::new(), metadata: BTreeMap::new() }
}

fn start(body: &Members) -> Judged<Timestamp> {
    let text = body.get("start").and_then(Value::as_str).unwrap_or_default();
    match text.parse::<Timestamp>() {
        Ok(start) if text.ends_with('Z') => Ok(start),
        _ => wrong("start must be an ISO 8601 date in UTC, ending in Z"),
    }
}

/// An attendee that may lack an address.
struct Person {
    name: String,
    email: Option<String>,
    phone: Option<String>,
    time_zone: String,
    language: String,
}

impl Person {
    /// Cal.com makes up an address for who has none.
    fn finish(self) -> Attendee {
        let made_up =
            || format!("{}@sms.cal.com", self.phone.as_deref().unwrap_or_default().trim_start_matches('+'));
        Attendee {
            email: self.email.clone().unwrap_or_else(made_up),
            name: self.name,
            phone_number: self.phone,
            time_zone: self.time_zone,
            language: self.language,
        }
    }
}

fn attendee(body: &Members) -> Judged<Person> {
    let Some(Value::Object(attendee)) = body.get("attendee") else {
        return wrong("attendee must be an object");
    };
    only(attendee, &ATTENDEE, "attendee.")?;
    for (name, value) in attendee {
        if !value.is_string() {
            return wrong(format!("attendee.{name} must be a string"));
        }
    }
    let get = |name: &str| attendee.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(name) = get("name").filter(|name| !name.trim().is_empty()) else {
        return wrong("attendee.name should not be empty");
    };
    let Some(time_zone) = get("timeZone").filter(|zone| TimeZone::get(zone).is_ok()) else {
        return wrong("attendee.timeZone must be a valid IANA time-zone");
    };
    let language = get("language").unwrap_or_else(|| "en".to_owned());
    if !LANGUAGES.contains(&language.as_str()) {
        return wrong("attendee.language is not in the list");
    }
    let (email, phone) = (get("email"), get("phoneNumber"));
    if email.is_none() && phone.is_none() {
        return no("Attendee must have at least one contact method (email or phone number)");
    }
    if email.as_deref().is_some_and(|email| !is_email(email)) {
        return no("responses - {email}email_validation_error");
    }
    if phone.as_deref().is_some_and(|phone| !is_phone(phone)) {
        return no("Invalid phone number format. Please use the international format.");
    }
    Ok(Person { name, email, phone, time_zone, language })
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(who, place)| {
        !who.is_empty()
            && !text.contains(char::is_whitespace)
            && !place.contains('@')
            && place.split('.').count() > 1
            && place.split('.').all(|part| !part.is_empty())
    })
}

fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn metadata(body: &Members) -> Judged<BTreeMap<String, String>> {
    let found = match body.get("metadata") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(found)) => found,
        Some(_) => return wrong("metadata must be an object"),
    };
    if found.len() > 50 {
        return wrong("metadata has more than 50 keys");
    }
    let mut metadata = BTreeMap::new();
    for (key, value) in found {
        if key.chars().count() > 40 {
            return wrong("a key of metadata has more than 40 characters");
        }
        match value {
            Value::String(text) if text.chars().count() <= 500 => metadata.insert(key.clone(), text.clone()),
            Value::String(_) => return wrong("a value of metadata has more than 500 characters"),
            _ => return wrong("a value of metadata is not a string"),
        };
    }
    Ok(metadata)
}

fn check_rest(body: &Members) -> Judged<()> {
    if body.contains_key("lengthInMinutes") {
        return wrong("lengthInMinutes is only for event types with several lengths");
    }
    let place = body.get("location");
    let own = |place: &Value| place.get("type").and_then(Value::as_str) == Some("integration");
    if place.is_some_and(|place| !own(place)) {
        return wrong("location is not one of the event type's");
    }
    match body.get("guests") {
        None => Ok(()),
        Some(Value::Array(guests)) if guests.iter().all(|guest| guest.as_str().is_some_and(is_email)) => {
            Ok(())
        }
        Some(_) => wrong("guests must be a list of e-mail addresses"),
    }
}

fn responses(body: &Members, event_type: &EventType) -> Judged<BTreeMap<String, String>> {
    let mut responses = BTreeMap::new();
    match body.get("bookingFieldsResponses") {
        None => {}
        Some(Value::Object(found)) => {
            for (slug, answer) in found {
                let Value::String(answer) = answer else {
                    return no(&format!("Invalid type for booking field {slug} - it must be a string"));
                };
                responses.insert(slug.clone(), answer.clone());
            }
        }
        Some(_) => return wrong("bookingFieldsResponses must be an object"),
    }
    let unanswered =
        event_type.question.filter(|slug| responses.get(*slug).is_none_or(|answer| answer.trim().is_empty()));
    match unanswered {
        Some(slug) => no(&format!(
            "Missing required booking field response: {slug} - it is required by the event type booking fields"
        )),
        None => Ok(responses),
    }
}

fn only(members: &Members, known: &[&str], prefix: &str) -> Judged<()> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => wrong(format!("property {prefix}{name} should not exist")),
        None => Ok(()),
    }
}

fn wrong<T>(what: impl Into<String>) -> Judged<T> {
    Err(broken(what))
}

fn no<T>(text: &str) -> Judged<T> {
    Err(denied(text))
}
