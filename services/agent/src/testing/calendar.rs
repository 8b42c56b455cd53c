use coachbot_proto::connector::v1::calendar_service_server::CalendarService;
use coachbot_proto::connector::v1::{
    Booking, BookingStatus, CreateBookingRequest, CreateBookingResponse, GetBookingRequest,
    GetBookingResponse, GetEventTypeRequest, GetEventTypeResponse, ListBookingsRequest, ListBookingsResponse,
    ListSlotsRequest, ListSlotsResponse,
};
use jiff::SignedDuration;
use tonic::{Request, Response, Status};

use super::{FakeConnector, MadeBooking, Operation, failed, instant, wire};

#[tonic::async_trait]
impl CalendarService for FakeConnector {
    async fn get_event_type(
        &self,
        _: Request<GetEventTypeRequest>,
    ) -> Result<Response<GetEventTypeResponse>, Status> {
        Ok(Response::new(GetEventTypeResponse {
            title: "Consult".to_owned(),
            length_minutes: 30,
            email_optional: false,
            required_questions: Vec::new(),
        }))
    }

    async fn list_slots(
        &self,
        request: Request<ListSlotsRequest>,
    ) -> Result<Response<ListSlotsResponse>, Status> {
        let fault = self.begin(Operation::ListSlots).await?;
        let request = request.into_inner();
        let (from, until) = (instant(request.from.as_ref()), instant(request.until.as_ref()));
        self.end(fault).await?;
        let state = self.state();
        let taken = |start| state.booked.iter().any(|booking| booking.start == start);
        let free = state.slots.iter().filter(|start| (from..until).contains(*start) && !taken(**start));
        let starts = free.filter_map(|start| wire(*start)).collect();
        Ok(Response::new(ListSlotsResponse { timezone: state.timezone.clone(), starts }))
    }

    async fn create_booking(
        &self,
        request: Request<CreateBookingRequest>,
    ) -> Result<Response<CreateBookingResponse>, Status> {
        let fault = self.begin(Operation::CreateBooking).await?;
        let request = request.into_inner();
        let made = self.make(request)?;
        self.end(fault).await?;
        Ok(Response::new(CreateBookingResponse { booking: Some(listed(&made)) }))
    }

    async fn list_bookings(
        &self,
        request: Request<ListBookingsRequest>,
    ) -> Result<Response<ListBookingsResponse>, Status> {
        self.begin(Operation::ListBookings).await?;
        let from = instant(request.into_inner().created_from.as_ref());
        let state = self.state();
        let bookings = state.booked.iter().rev().filter(|made| made.at >= from).map(listed).collect();
        Ok(Response::new(ListBookingsResponse { bookings }))
    }

    async fn get_booking(
        &self,
        request: Request<GetBookingRequest>,
    ) -> Result<Response<GetBookingResponse>, Status> {
        let uid = request.into_inner().provider_uid;
        let state = self.state();
        let found = state.booked.iter().find(|made| made.uid == uid).map(listed);
        Ok(Response::new(GetBookingResponse {
            booking: Some(found.ok_or_else(|| failed("NOT_FOUND", "404"))?),
        }))
    }
}

impl FakeConnector {
    fn make(&self, request: CreateBookingRequest) -> Result<MadeBooking, Status> {
        let start = instant(request.start.as_ref());
        let at = self.now();
        let mut state = self.state();
        if state.booked.iter().any(|booking| booking.start == start) {
            return Err(failed("REFUSED", "SLOT_GONE"));
        }
        state.count += 1;
        let status = if state.pending { BookingStatus::Pending } else { BookingStatus::Accepted };
        let made = MadeBooking {
            uid: format!("bk{}", state.count),
            intent_id: request.intent_id,
            start,
            name: request.attendee_name,
            email: request.attendee_email,
            phone: request.attendee_phone,
            at,
            status,
        };
        state.booked.push(made.clone());
        Ok(made)
    }
}

fn listed(made: &MadeBooking) -> Booking {
    Booking {
        provider_uid: made.uid.clone(),
        status: made.status.into(),
        start: wire(made.start),
        end: wire(made.start + SignedDuration::from_mins(30)),
        intent_id: Some(made.intent_id.clone()),
        rescheduled_from_uid: None,
    }
}
