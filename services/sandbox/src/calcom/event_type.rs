//! What can be booked, and by whom it is offered, as Cal.com tells it.

use serde_json::{Value, json};

use crate::accounts::{CalcomAccount, EventType, MINIMUM_NOTICE_MINUTES};

pub fn describe(account: &CalcomAccount, event_type: &EventType) -> Value {
    let mut fields = vec![
        json!({
            "type": "name", "slug": "name", "label": "your_name", "placeholder": "",
            "isDefault": true, "required": true, "disableOnPrefill": false,
        }),
        json!({
            "type": "email", "slug": "email", "label": "email_address", "placeholder": "",
            "isDefault": true, "required": !event_type.email_optional, "disableOnPrefill": false,
        }),
        json!({
            "type": "phone", "slug": "attendeePhoneNumber", "label": "phone_number", "placeholder": "",
            "isDefault": true, "required": event_type.email_optional,
            "hidden": !event_type.email_optional, "disableOnPrefill": false,
        }),
    ];
    fields.extend(event_type.question.map(|slug| {
        json!({
            "type": "text", "slug": slug, "label": "What is your goal?", "placeholder": "",
            "isDefault": false, "required": true, "hidden": false, "disableOnPrefill": false,
        })
    }));
    let mut described = json!({
        "id": event_type.id,
        "ownerId": account.owner,
        "title": event_type.title,
        "slug": event_type.slug,
        "description": "",
        "lengthInMinutes": event_type.minutes,
        "locations": [{ "type": "integration", "integration": "cal-video" }],
        "bookingFields": fields,
        "disableGuests": false,
        "recurrence": null,
        "slotInterval": null,
        "minimumBookingNotice": MINIMUM_NOTICE_MINUTES,
        "beforeEventBuffer": 0,
        "afterEventBuffer": 0,
        "metadata": {},
        "price": 0,
        "currency": "usd",
        "lockTimeZoneToggleOnBookingPage": false,
        "forwardParamsSuccessRedirect": null,
        "successRedirectUrl": null,
        "isInstantEvent": false,
        "scheduleId": 555,
        "hidden": false,
        "bookingRequiresAuthentication": false,
        "requiresBookerEmailVerification": false,
        "users": [{ "id": account.owner, "name": account.name, "username": account.username }],
        "bookingUrl": format!("https://cal.com/{}/{}", account.username, event_type.slug),
    });
    if let (true, Some(described)) = (event_type.confirmation, described.as_object_mut()) {
        let policy = json!({ "type": "always", "blockUnconfirmedBookingsInBooker": true });
        described.insert("confirmationPolicy".to_owned(), policy);
    }
    described
}

pub fn owner(account: &CalcomAccount) -> Value {
    json!({
        "id": account.owner,
        "username": account.username,
        "email": account.email,
        "name": account.name,
        "avatarUrl": null,
        "bio": null,
        "timeFormat": 24,
        "defaultScheduleId": 555,
        "weekStart": "Sunday",
        "timeZone": account.timezone,
        "organizationId": null,
    })
}
