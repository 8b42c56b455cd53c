//! The agent's tables: plain types in, plain types out.
//!
//! Every statement names its workspace, but for the claims of due work and the
//! look-out for it. A transaction that touches a conversation locks its row
//! first, so that ingest, runs and effects of one conversation go one after the
//! other.

use coachbot_common::db::{Database, Db, DbError, Migrations};
use coachbot_common::fault::{Fault, FaultKind};

mod bookings;
mod conversations;
mod delivery;
mod escalations;
mod inbox;
mod ingest;
mod intents;
mod leads;
mod messages;
mod runs;
mod settings;
mod settle;
mod steps;
#[cfg(test)]
mod suite;
mod turns;
mod tx;
mod workspaces;

pub use conversations::Standing;
pub use delivery::Report;
pub use inbox::{BookingRow, EscalationRow, Page, Paged, Talk};
pub use ingest::{Inbound, IngestedLead, NewLead};
pub use intents::{Begun, Settled};
pub use runs::{Run, RunContext};
pub(crate) use settle::failure_reason;
pub use steps::{NewStep, Step, StepKind};
pub use turns::{BookingStart, Progress, RELOADS, ReplyOutcome, Wish};
pub use workspaces::Workspace;

/// The agent's tables, in equal numbers for both engines.
pub const MIGRATIONS: Migrations = Migrations {
    schema: "agent",
    sqlite: &[(1, "conversations", include_str!("../../../migrations/agent/sqlite/0001_conversations.sql"))],
    postgres: &[(
        1,
        "conversations",
        include_str!("../../../migrations/agent/postgres/0001_conversations.sql"),
    )],
};

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The workspace is not known, or was deleted.
    #[error("there is no such workspace")]
    NoWorkspace,
    /// The row is another worker's by now, or gone.
    #[error("the row is somebody else's by now")]
    Overtaken,
    /// A stored value is not what the column may hold.
    #[error("{table}.{column} cannot be read back")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Fault for StoreError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Database(error) => error.kind(),
            Self::NoWorkspace => FaultKind::NotFound,
            Self::Overtaken => FaultKind::Conflict,
            Self::Unreadable { .. } => FaultKind::Internal,
        }
    }
}

/// The agent's database.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    commits: tx::Commits,
}

impl Store {
    /// Takes an open database with the tables in it.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db, commits: tx::Commits::default() }
    }

    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// When that fails.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self::new(Db::open(database, &MIGRATIONS).await?))
    }

    /// Whether other processes write to the same tables.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.db.is_shared()
    }

    /// How many transactions this store committed.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.count()
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// A word from its column.
fn word<T>(value: Option<T>, table: &'static str, column: &'static str) -> Result<T, StoreError> {
    value.ok_or(StoreError::Unreadable { table, column })
}
