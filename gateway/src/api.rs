//! The JSON API under `/api/v1`.

pub(crate) mod agent;
pub(crate) mod body;
pub(crate) mod bookings;
pub(crate) mod conversations;
pub(crate) mod escalations;
pub(crate) mod forms;
pub(crate) mod integrations;
pub(crate) mod keys;
pub(crate) mod leads;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod webhooks;
pub(crate) mod words;
pub(crate) mod workspaces;
