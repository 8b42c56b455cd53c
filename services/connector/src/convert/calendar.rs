//! Requests about the calendar.

use coachbot_common::id::WorkspaceId;
use coachbot_proto::connector::v1::{
    CreateBookingRequest, GetBookingRequest, ListBookingsRequest, ListSlotsRequest,
};
use jiff::Timestamp;

use super::problems::Problems;
use crate::error::Error;
use crate::providers::calcom::calendar::NewBooking;

/// The provider's limit for a value of metadata.
const LONGEST_ID: usize = 500;

pub(crate) fn span(request: ListSlotsRequest) -> Result<(WorkspaceId, Timestamp, Timestamp), Error> {
    let workspace = WorkspaceId::parse(&request.workspace_id)?;
    let mut problems = Problems::default();
    let from = problems.instant(request.from, "from");
    let until = problems.instant(request.until, "until");
    problems.check(
        request.from.is_none() || request.until.is_none() || from < until,
        "until",
        "must be after from",
    );
    problems.none((workspace, from, until))
}

pub(crate) fn new_booking(request: CreateBookingRequest) -> Result<(WorkspaceId, NewBooking), Error> {
    let workspace = WorkspaceId::parse(&request.workspace_id)?;
    let mut problems = Problems::default();
    let start = problems.instant(request.start, "start");
    let id = &request.intent_id;
    problems.check(!id.is_empty() && id.len() <= LONGEST_ID, "intent_id", "must have 1 to 500 letters");
    problems.check(!request.attendee_name.trim().is_empty(), "attendee_name", "must not be empty");
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    problems.none((
        workspace,
        NewBooking {
            workspace: request.workspace_id,
            intent: request.intent_id,
            start,
            name: request.attendee_name,
            email: given(request.attendee_email),
            phone: given(request.attendee_phone),
        },
    ))
}

pub(crate) fn made_since(request: &ListBookingsRequest) -> Result<(WorkspaceId, Timestamp), Error> {
    let workspace = WorkspaceId::parse(&request.workspace_id)?;
    let mut problems = Problems::default();
    let created_from = problems.instant(request.created_from, "created_from");
    problems.none((workspace, created_from))
}

pub(crate) fn booking_uid(request: GetBookingRequest) -> Result<(WorkspaceId, String), Error> {
    let workspace = WorkspaceId::parse(&request.workspace_id)?;
    let mut problems = Problems::default();
    let uid = request.provider_uid;
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
    problems.check(
        !uid.is_empty() && uid.len() <= 128 && uid.bytes().all(fits),
        "provider_uid",
        "must be letters, digits, dashes and underscores",
    );
    problems.none((workspace, uid))
}
