use coachbot_common::clock::{from_wire, to_wire};
use coachbot_common::rpc::with_deadline;
use coachbot_proto::connector::v1::{Booking, BookingStatus, CreateBookingRequest, ListBookingsRequest};
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::{FIRST_LOOK, SECOND_LOOK, evidence_from, look_again, pause};
use crate::connector::{Cause, Connector, EFFECT, Effect, Failure, READ};
use crate::escalation::Reason;
use crate::intent::{Booked, BookingState, Intent, Payload};
use crate::store::Settled;

/// So long a lead waits for a calendar that is away; then they are told so.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// What cannot be found out within a day will not be.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);

/// Asks the provider for a booking, once. A conflict is looked into first: it may
/// be with a booking of ours whose answer was lost.
pub async fn book(connector: &Connector, intent: &Intent, now: impl Fn() -> Timestamp) -> Settled {
    let Payload::Booking { start, name, email, phone, .. } = &intent.payload else { return Settled::Dropped };
    let request = CreateBookingRequest {
        workspace_id: intent.workspace.to_string(),
        intent_id: intent.id.to_string(),
        start: Some(to_wire(*start)),
        attendee_name: name.clone(),
        attendee_email: email.clone(),
        attendee_phone: phone.clone(),
    };
    let answer = connector.calendar().create_booking(with_deadline(request, EFFECT)).await;
    let failure = match answer.map(tonic::Response::into_inner) {
        Ok(answer) => match answer.booking.and_then(|booking| booked(intent, &booking)) {
            Some(booked) => return Settled::Booked(booked),
            None => return lost(intent, "UNREADABLE_ANSWER", now()),
        },
        Err(status) => Failure::of(&status),
    };
    match failure.effect() {
        Effect::Refused => {
            let code = failure.word();
            if matches!(code.as_str(), "SLOT_GONE" | "ALREADY_BOOKED") {
                let mut looking = intent.clone();
                looking.code = Some(code);
                return find_booking(connector, &looking, now).await;
            }
            refused(intent, code)
        }
        Effect::NotYet => not_yet(intent, &failure, now()),
        Effect::Unknown => lost(intent, &failure.word(), now()),
    }
}

fn lost(intent: &Intent, code: &str, now: Timestamp) -> Settled {
    warn!(intent = %intent.id, code, "the answer to a booking was lost");
    Settled::Unknown { due_at: now + FIRST_LOOK, absent_at: None, code: None }
}

fn not_yet(intent: &Intent, failure: &Failure, now: Timestamp) -> Settled {
    let failing_since = intent.failing_since.unwrap_or(now);
    // Credentials that cannot be read now can be read when the vault is open again.
    if failing_since + PATIENCE < now && failure.cause != Some(Cause::CannotDecrypt) {
        return refused(intent, failure.word());
    }
    info!(intent = %intent.id, code = failure.word(), "a booking waits");
    Settled::Again {
        due_at: pause(intent.attempts, failure.retry_at, now),
        failing_since: Some(failing_since),
    }
}

fn refused(intent: &Intent, code: String) -> Settled {
    warn!(intent = %intent.id, code, "a booking was refused");
    let escalation = match code.as_str() {
        "NOT_CONNECTED" => Some(Reason::CalendarNotConnected),
        "CREDENTIAL_REJECTED" => Some(Reason::CalendarKeyRejected),
        "FIELD_MISSING" | "FIELD_INVALID" | "NOT_BOOKABLE" => Some(Reason::CalendarNeedsSetup),
        _ => None,
    };
    Settled::Failed { code, message: String::new(), escalation }
}

/// Looks for a booking whose answer was lost. It is asked for again only when the
/// provider twice did not have it, some seconds apart.
pub async fn find_booking(connector: &Connector, intent: &Intent, now: impl Fn() -> Timestamp) -> Settled {
    let request = ListBookingsRequest {
        workspace_id: intent.workspace.to_string(),
        created_from: Some(to_wire(evidence_from(intent, now()))),
    };
    let answer = connector.calendar().list_bookings(with_deadline(request, READ)).await;
    let now = now();
    let bookings = match answer {
        Ok(answer) => answer.into_inner().bookings,
        Err(status) => {
            let failure = Failure::of(&status);
            warn!(intent = %intent.id, code = failure.word(), "evidence of a booking cannot be read");
            if intent.sending_at.is_some_and(|at| at + GIVE_UP < now) {
                return refused(intent, "UNKNOWN".to_owned());
            }
            let due_at = look_again(&failure, now);
            return Settled::Unknown { due_at, absent_at: intent.absent_at, code: intent.code.clone() };
        }
    };
    let id = intent.id.to_string();
    // A moved booking inherits the metadata of the first one, and is not it.
    let ours = |booking: &&Booking| {
        booking.intent_id.as_ref() == Some(&id) && booking.rescheduled_from_uid.is_none()
    };
    if let Some(booked) = bookings.iter().find(ours).and_then(|booking| booked(intent, booking)) {
        return Settled::Booked(booked);
    }
    match (&intent.code, intent.absent_at) {
        // The first try was answered: what is in the way is somebody else's.
        (Some(code), _) if intent.attempts <= 1 => refused(intent, code.clone()),
        (Some(code), Some(first)) if first + SECOND_LOOK <= now => refused(intent, code.clone()),
        (None, Some(first)) if first + SECOND_LOOK <= now => {
            info!(intent = %intent.id, "a booking was twice not there and is asked for again");
            Settled::Again { due_at: pause(intent.attempts, None, now), failing_since: None }
        }
        (code, first) => {
            let first = first.unwrap_or(now);
            Settled::Unknown { due_at: first + SECOND_LOOK, absent_at: Some(first), code: code.clone() }
        }
    }
}

fn booked(intent: &Intent, booking: &Booking) -> Option<Booked> {
    let Payload::Booking { start, timezone, .. } = &intent.payload else { return None };
    let start = booking.start.as_ref().and_then(from_wire).unwrap_or(*start);
    if booking.provider_uid.is_empty() {
        return None;
    }
    Some(Booked {
        provider_uid: booking.provider_uid.clone(),
        start,
        end: booking.end.as_ref().and_then(from_wire).unwrap_or(start),
        timezone: timezone.clone(),
        state: match booking.status() {
            BookingStatus::Accepted => BookingState::Accepted,
            BookingStatus::Cancelled => BookingState::Cancelled,
            BookingStatus::Rejected => BookingState::Rejected,
            BookingStatus::Unspecified | BookingStatus::Pending => BookingState::Pending,
        },
    })
}
