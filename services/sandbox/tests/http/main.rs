//! The sandbox over real sockets, provider by provider.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

mod calcom;
mod conversation;
mod faults;
mod leads;
mod openai;
mod persistence;
mod rig;
mod schemas;
mod twilio;
mod vapi;
