//! The chat loop, judged by what its connector was asked for: on both engines,
//! over the real services, with a clock that the tests move.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

mod booking;
mod crashes;
mod hand_off;
mod ingest;
mod reply;
mod unknown;
mod world;
