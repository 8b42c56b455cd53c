//! The JSON API under `/api/v1`.

pub(crate) mod body;
pub(crate) mod integrations;
pub(crate) mod keys;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod webhooks;
pub(crate) mod workspaces;
