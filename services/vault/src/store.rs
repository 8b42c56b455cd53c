//! The vault's tables: plain types in, plain types out. Nothing here seals or
//! opens.
//!
//! Every statement names its workspace, but for these: the keyring, which belongs
//! to none; which workspaces need a key that is not loaded; and the look-up of a
//! tool token, which finds the workspace.

use coachbot_common::db::{Database, Db, DbError, Migrations};
use coachbot_common::fault::{Fault, FaultKind};
use coachbot_common::id::WorkspaceId;

use crate::keyring::KeyId;

mod changes;
mod data_keys;
mod integrations;
mod keyring;
mod peek;
#[cfg(test)]
mod suite;
mod tool_tokens;
mod workspaces;

pub use changes::{Change, Changes};
pub use data_keys::{DataKey, SealedUnder};
pub use integrations::{Listed, NewRecord, Record, Sealed};
pub use keyring::EnrolledKey;
pub use peek::peek;
pub use tool_tokens::{NewToolToken, ToolToken};

/// The vault's tables, in equal numbers for both engines.
pub const MIGRATIONS: Migrations = Migrations {
    schema: "vault",
    sqlite: &[(
        1,
        "keys and credentials",
        include_str!("../../../migrations/vault/sqlite/0001_keys_and_credentials.sql"),
    )],
    postgres: &[(
        1,
        "keys and credentials",
        include_str!("../../../migrations/vault/postgres/0001_keys_and_credentials.sql"),
    )],
};

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Somebody else changed the row meanwhile: read it again, and try again.
    #[error("the row was changed meanwhile")]
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
            Self::Overtaken => FaultKind::Conflict,
            Self::Unreadable { .. } => FaultKind::Internal,
        }
    }
}

/// The vault's database.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
}

impl Store {
    /// Takes an open database with the tables in it.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
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

    /// Closes all connections.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// A counter for its column; one past the column's range is no row's.
fn to_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A counter from its column, which holds none below 0.
fn from_column(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn key_id(bytes: &[u8], table: &'static str, column: &'static str) -> Result<KeyId, StoreError> {
    KeyId::from_slice(bytes).ok_or(StoreError::Unreadable { table, column })
}

fn workspace_ids(rows: Vec<uuid::Uuid>) -> Vec<WorkspaceId> {
    rows.into_iter().map(WorkspaceId::from_uuid).collect()
}
