//! Prints what the product costs against the floor beneath it, in one run:
//! `cargo build --release && cargo run --release -p coachbot-bench`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod calls;
mod process;
mod provider;
mod sample;

use coachbot_common::lifecycle::{self, Failure};

fn main() -> std::process::ExitCode {
    lifecycle::run("coachbot-bench", |_stop| async {
        calls::run().await.map_err(Failure::from)?;
        process::run().await.map_err(Failure::from)
    })
}
