//! Two database engines behind one handle.
//!
//! A statement that is the same for both is written once; the macros expand it
//! for each pool. What holds the engines together is the suite that each store
//! runs on both.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Database as Engine, PgPool, Pool, SqlSafeStr as _, SqlitePool, Transaction};
use tracing::warn;

use crate::fault::{Fault, FaultKind};

mod macros;

#[doc(no_inline)]
pub use crate::{dialect, execute, read, transaction, write};

/// Where tables are kept.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by its URL, which holds a password.
    Postgres(SecretString),
}

/// An open database with its tables.
#[derive(Clone, Debug)]
pub enum Db {
    /// SQLite has one writer; readers see the last commit (WAL).
    Sqlite {
        /// The one connection that writes.
        write: SqlitePool,
        /// Connections that only read.
        read: SqlitePool,
    },
    /// Postgres reads and writes over the same pool.
    Postgres(PgPool),
}

/// A service's tables: number, description and SQL, in equal numbers for both
/// engines.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// The schema in Postgres, named after the service.
    pub schema: &'static str,
    /// For SQLite.
    pub sqlite: &'static [(i64, &'static str, &'static str)],
    /// For Postgres.
    pub postgres: &'static [(i64, &'static str, &'static str)],
}

/// A database that cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The folder of the file cannot be made.
    #[error("the folder {} cannot be made", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A statement failed.
    #[error("a statement failed")]
    Statement(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the tables could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The task that began a transaction ended early.
    #[error("a transaction could not be begun")]
    Begin(#[from] tokio::task::JoinError),
}

impl DbError {
    /// Whether a unique key refused the row.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Statement(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}

impl Fault for DbError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Statement(error) | Self::Migrate(sqlx::migrate::MigrateError::Execute(error)) => {
                kind_of(error)
            }
            Self::Folder { .. } | Self::Migrate(_) | Self::Begin(_) => FaultKind::Internal,
        }
    }
}

/// Away is everything that heals by itself: no connection, no room, server going down.
fn kind_of(error: &sqlx::Error) -> FaultKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => FaultKind::Unavailable,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // SQLSTATE class 57P: operator intervention; 53: resources; 08: connection.
            Some(code) if ["57P", "53", "08"].iter().any(|class| code.starts_with(class)) => {
                FaultKind::Unavailable
            }
            _ => FaultKind::Internal,
        },
        _ => FaultKind::Internal,
    }
}

impl Db {
    /// Opens the database and brings its tables up to date. Several replicas may
    /// do so at once: sqlx lets one go first.
    ///
    /// # Errors
    /// [`DbError`] when it cannot be opened or a migration fails.
    pub async fn open(database: &Database, migrations: &Migrations) -> Result<Self, DbError> {
        match database {
            Database::Sqlite(path) => open_sqlite(path, migrations).await,
            Database::Postgres(url) => open_postgres(url, migrations).await,
        }
    }

    /// Whether the database answers, in one statement.
    ///
    /// # Errors
    /// [`DbError`] when it does not.
    pub async fn ping(&self) -> Result<(), DbError> {
        let one: i64 =
            read!(self, |pool| { sqlx::query_scalar("SELECT CAST(1 AS BIGINT)").fetch_one(pool).await })?;
        debug_assert_eq!(one, 1);
        Ok(())
    }

    /// Closes all connections; SQLite folds its journal into the file.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Whether other processes may write to the same tables.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

async fn open_sqlite(path: &Path, migrations: &Migrations) -> Result<Db, DbError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_private_folder(folder)?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL may lose a committed row when the power goes.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5));
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options.clone().create_if_missing(true))
        .await?;
    migrator(migrations.sqlite, None).run(&write).await?;
    // Readers come after the migration: they would keep the old schema.
    let read = SqlitePoolOptions::new()
        .max_connections(4)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options.read_only(true))
        .await?;
    Ok(Db::Sqlite { write, read })
}

async fn open_postgres(url: &SecretString, migrations: &Migrations) -> Result<Db, DbError> {
    let options = PgConnectOptions::from_str(url.expose_secret())?
        .application_name(&format!("coachbot-{}", migrations.schema))
        .options([("search_path", migrations.schema)]);
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options)
        .await?;
    migrator(migrations.postgres, Some(migrations.schema)).run(&pool).await?;
    Ok(Db::Postgres(pool))
}

fn make_private_folder(folder: &Path) -> Result<(), DbError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| DbError::Folder { path: folder.to_owned(), source })
}

fn migrator(steps: &[(i64, &'static str, &'static str)], schema: Option<&'static str>) -> Migrator {
    let steps = steps
        .iter()
        .map(|(number, description, sql)| {
            Migration::new(
                *number,
                Cow::Borrowed(description),
                MigrationType::Simple,
                AssertSqlSafe(*sql).into_sql_str(),
                false,
            )
        })
        .collect();
    let mut migrator = Migrator::with_migrations(steps);
    if let Some(schema) = schema {
        migrator.create_schema(schema);
    }
    migrator
}

/// Begins a transaction in a task of its own.
///
/// In sqlx 0.9.0 on Postgres a `begin` whose future is dropped (the client went
/// away, a deadline passed) leaves the pooled connection inside a transaction:
/// later writes report success and vanish. A task is not dropped with its caller.
///
/// # Errors
/// [`DbError`] when there is no connection, or it does not begin.
pub async fn begin<E: Engine>(
    pool: &Pool<E>,
    statement: &'static str,
) -> Result<Transaction<'static, E>, DbError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    Ok(begun.await??)
}

/// Rolls back after a failure. A connection that cannot even do that is broken,
/// and the pool drops it.
pub async fn roll_back<E: Engine>(transaction: Transaction<'static, E>) {
    if let Err(error) = transaction.rollback().await {
        warn!(%error, "a transaction could not be rolled back");
    }
}
