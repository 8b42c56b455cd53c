//! `/api/v1/workspaces/{id}/bookings`.

use axum::Json;
use axum::extract::State;
use coachbot_proto::agent::v1 as wire;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{List, Part};
use super::words::{booking_state, instant};
use crate::app::SharedApp;
use crate::auth::{ApiCaller, Tenant};
use crate::error::Error;

/// A consult in the coach's calendar.
#[derive(Serialize, ToSchema)]
#[schema(as = Booking)]
pub(crate) struct BookingView {
    #[schema(value_type = Uuid)]
    id: String,
    #[schema(value_type = Uuid)]
    lead_id: String,
    /// The calendar's id of it; null until it answered.
    #[schema(required)]
    provider_uid: Option<String>,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    start: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    end: String,
    #[schema(example = "Europe/London")]
    timezone: String,
    /// pending, accepted, cancelled or rejected.
    #[schema(example = "accepted")]
    status: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
}

impl TryFrom<wire::Booking> for BookingView {
    type Error = Error;

    fn try_from(booking: wire::Booking) -> Result<Self, Error> {
        Ok(Self {
            status: booking_state(booking.state())?,
            start: instant(booking.start.as_ref(), "start")?,
            end: instant(booking.end.as_ref(), "end")?,
            created_at: instant(booking.created_at.as_ref(), "created_at")?,
            id: booking.booking_id,
            lead_id: booking.lead_id,
            provider_uid: booking.provider_uid,
            timezone: booking.timezone,
        })
    }
}

/// List bookings
#[utoipa::path(
    get, path = "/workspaces/{id}/bookings", tag = "conversations",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "How many at most; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = List<BookingView>)),
)]
pub(crate) async fn list_bookings(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    Part(cut): Part,
) -> Result<Json<List<BookingView>>, Error> {
    let workspace = tenant.workspace.id;
    let answer = app.ask_agent(workspace, || app.agent.bookings(workspace, cut.clone())).await?;
    List::of(answer.bookings, answer.next_cursor).map(Json)
}
