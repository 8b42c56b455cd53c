//! Coachbot in one process, and the commands beside it.
//!
//! `serve` lays the generated clients of vault and connector directly over their
//! servers; the same binary serves real accounts by configuration alone.

mod cli;
mod key;
mod newcomer;
mod serve;

pub use cli::main;
pub use serve::{Config, Running, start};
