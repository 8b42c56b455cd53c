//! What is wrong with a request, field by field.

use coachbot_common::clock::from_wire;
use coachbot_integrations::FieldProblem;
use jiff::Timestamp;

use crate::error::Error;

/// Collects what is wrong, so that all of it is told at once. Values are never
/// repeated.
#[derive(Default)]
pub(super) struct Problems(Vec<FieldProblem>);

impl Problems {
    /// Notes one.
    pub(super) fn add(&mut self, field: &str, message: &str) {
        self.0.push(FieldProblem { field: field.to_owned(), message: message.to_owned() });
    }

    /// Notes one unless all is well.
    pub(super) fn check(&mut self, fits: bool, field: &str, message: &str) {
        if !fits {
            self.add(field, message);
        }
    }

    /// An instant that must be there.
    pub(super) fn instant(&mut self, at: Option<prost_types::Timestamp>, field: &str) -> Timestamp {
        at.as_ref().and_then(from_wire).unwrap_or_else(|| {
            self.add(field, "must be an instant");
            Timestamp::UNIX_EPOCH
        })
    }

    /// The value, if nothing is wrong.
    pub(super) fn none<T>(self, value: T) -> Result<T, Error> {
        if self.0.is_empty() { Ok(value) } else { Err(Error::Fields(self.0)) }
    }
}
