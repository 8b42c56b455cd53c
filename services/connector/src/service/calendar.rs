//! `coachbot.connector.v1.CalendarService`.

use coachbot_common::clock::to_wire;
use coachbot_common::id::WorkspaceId;
use coachbot_common::rpc::deadline_of;
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::calendar_service_server::CalendarService;
use coachbot_proto::connector::v1::{
    CreateBookingRequest, CreateBookingResponse, GetBookingRequest, GetBookingResponse, GetEventTypeRequest,
    GetEventTypeResponse, ListBookingsRequest, ListBookingsResponse, ListSlotsRequest, ListSlotsResponse,
};
use tonic::{Request, Response, Status};
use tracing::info;

use super::refuse;
use crate::convert::calendar::{booking_uid, made_since, new_booking, span};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::http::Purpose;
use crate::live::Live;
use crate::providers::credentials::Calcom;

/// `coachbot.connector.v1.CalendarService`.
#[derive(Clone)]
pub struct Calendar {
    live: Live,
}

impl Calendar {
    /// Takes what does the work.
    #[must_use]
    pub const fn new(live: Live) -> Self {
        Self { live }
    }

    async fn event_type(
        &self,
        request: GetEventTypeRequest,
        deadline: Deadline,
    ) -> Result<GetEventTypeResponse, Error> {
        let workspace = WorkspaceId::parse(&request.workspace_id)?;
        let own: Calcom = self.live.lease(workspace, deadline).await?;
        let until = self.live.until(Purpose::Calendar, deadline);
        let found = self.live.providers().calendar(&own, until).event_type().await;
        self.live.told(Provider::Calcom, found)
    }

    async fn slots(&self, request: ListSlotsRequest, deadline: Deadline) -> Result<ListSlotsResponse, Error> {
        let (workspace, first, end) = span(request)?;
        let own: Calcom = self.live.lease(workspace, deadline).await?;
        let until = self.live.until(Purpose::Calendar, deadline);
        let found = self.live.providers().calendar(&own, until).slots(first, end).await;
        let starts = self.live.told(Provider::Calcom, found)?;
        Ok(ListSlotsResponse {
            timezone: own.timezone().to_owned(),
            starts: starts.into_iter().map(to_wire).collect(),
        })
    }

    async fn book(
        &self,
        request: CreateBookingRequest,
        deadline: Deadline,
    ) -> Result<CreateBookingResponse, Error> {
        let (workspace, wanted) = new_booking(request)?;
        let own: Calcom = self.live.lease(workspace, deadline).await?;
        let until = self.live.until_effect(Provider::Calcom, Purpose::Calendar, deadline)?;
        let providers = self.live.providers().clone();
        let work = async move {
            let booking = providers.calendar(&own, until).book(&wanted).await?;
            info!(workspace.id = %workspace, booking.uid = booking.provider_uid, "slot booked");
            Ok(booking)
        };
        let booking = self.live.effect(Provider::Calcom, work).await?;
        Ok(CreateBookingResponse { booking: Some(booking) })
    }

    async fn list(
        &self,
        request: ListBookingsRequest,
        deadline: Deadline,
    ) -> Result<ListBookingsResponse, Error> {
        let (workspace, created_from) = made_since(&request)?;
        let own: Calcom = self.live.lease(workspace, deadline).await?;
        let until = self.live.until(Purpose::Calendar, deadline);
        let found = self.live.providers().calendar(&own, until).list(created_from).await;
        let bookings = self.live.told(Provider::Calcom, found)?;
        Ok(ListBookingsResponse { bookings })
    }

    async fn get(&self, request: GetBookingRequest, deadline: Deadline) -> Result<GetBookingResponse, Error> {
        let (workspace, uid) = booking_uid(request)?;
        let own: Calcom = self.live.lease(workspace, deadline).await?;
        let until = self.live.until(Purpose::Calendar, deadline);
        let found = self.live.providers().calendar(&own, until).fetch(&uid).await;
        let booking = self.live.told(Provider::Calcom, found)?;
        Ok(GetBookingResponse { booking: Some(booking) })
    }
}

#[tonic::async_trait]
impl CalendarService for Calendar {
    async fn get_event_type(
        &self,
        request: Request<GetEventTypeRequest>,
    ) -> Result<Response<GetEventTypeResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.event_type(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }

    async fn list_slots(
        &self,
        request: Request<ListSlotsRequest>,
    ) -> Result<Response<ListSlotsResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.slots(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }

    async fn create_booking(
        &self,
        request: Request<CreateBookingRequest>,
    ) -> Result<Response<CreateBookingResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.book(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }

    async fn list_bookings(
        &self,
        request: Request<ListBookingsRequest>,
    ) -> Result<Response<ListBookingsResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.list(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }

    async fn get_booking(
        &self,
        request: Request<GetBookingRequest>,
    ) -> Result<Response<GetBookingResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.get(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }
}
