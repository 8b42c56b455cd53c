//! The `coachbot` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    coachbot::main()
}
