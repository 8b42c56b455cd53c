//! The gateway's tables: users and how they are known, workspaces and who may
//! see them, what came in from outside and waits to be handed on.
//!
//! Whatever belongs to a workspace is found through the caller's membership, so
//! that another tenant's id is as unknown as one that was never given. The
//! look-ups without a workspace or its user are exceptions by name: an API
//! key's, a session's and a sign-in link's hash, a form's id and a webhook's
//! workspace; and the tasks that delete, tell and hand on claim rows of all
//! tenants.

use coachbot_common::db::{Database, Db, DbError, Migrations};
use coachbot_common::fault::{Fault, FaultKind};
use jiff::Timestamp;
use uuid::Uuid;

mod api_keys;
mod facts;
mod forms;
mod inbox;
mod quarantine;
mod sessions;
mod users;
mod workspaces;

#[cfg(test)]
mod inbox_suite;
#[cfg(test)]
mod suite;

pub use api_keys::{ApiKey, ApiKeyId, KnownKey};
pub use facts::Facts;
pub use forms::{Form, FormId};
pub use inbox::{Arrival, InboxKind, Lease, Setback, Waiting};
pub use quarantine::{Bounds, Quarantined, Unverified};
pub use users::{NewOwner, UserId};
pub use workspaces::{Workspace, WorkspaceChange};

/// The SHA-256 of a token.
pub type Hash = [u8; 32];

/// The gateway's tables, in equal numbers for both engines.
pub const MIGRATIONS: Migrations = Migrations {
    schema: "gateway",
    sqlite: &[
        (
            1,
            "users and workspaces",
            include_str!("../../migrations/gateway/sqlite/0001_users_and_workspaces.sql"),
        ),
        (2, "inbox and forms", include_str!("../../migrations/gateway/sqlite/0002_inbox_and_forms.sql")),
    ],
    postgres: &[
        (
            1,
            "users and workspaces",
            include_str!("../../migrations/gateway/postgres/0001_users_and_workspaces.sql"),
        ),
        (2, "inbox and forms", include_str!("../../migrations/gateway/postgres/0002_inbox_and_forms.sql")),
    ],
};

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed")]
    Db(#[from] DbError),
    /// A row holds what this version does not know.
    #[error("{table}.{column} of {id} cannot be read")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        id: Uuid,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl Fault for StoreError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Db(error) => error.kind(),
            Self::Unreadable { .. } => FaultKind::Internal,
        }
    }
}

/// Where a page of a list begins: after this row, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// When the row before the page was made.
    pub created_at: Timestamp,
    /// Its id, which decides between rows of one instant.
    pub id: Uuid,
}

/// A place before the newest row of a list.
const BEFORE_ALL: (i64, Uuid) = (i64::MAX, Uuid::max());

fn bounds(after: Option<Position>) -> (i64, Uuid) {
    after.map_or(BEFORE_ALL, |after| (coachbot_common::clock::to_micros(after.created_at), after.id))
}

/// The gateway's tables in either engine.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
}

impl Store {
    /// Over an open database.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// Opens the database and brings the tables up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or a migration fails.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self::new(Db::open(database, &MIGRATIONS).await?))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }

    /// Whether other processes may work on the same tables.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.db.is_shared()
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
