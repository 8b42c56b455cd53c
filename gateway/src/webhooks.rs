//! What providers send: judged, stored, answered; the rest happens later.

pub(crate) mod twilio;
