//! Looking at a database without changing it.

use std::str::FromStr as _;
use std::time::Duration;

use coachbot_common::db::{Database, Db, dialect, read};
use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{MIGRATIONS, Store, StoreError};

/// Opens a database to read it, beside a running server: makes nothing, migrates
/// nothing. `None` when it has no tables of the vault yet.
///
/// # Errors
/// When the database cannot.
pub async fn peek(database: &Database) -> Result<Option<Store>, StoreError> {
    let db = match database {
        Database::Sqlite(path) => {
            if !path.exists() {
                return Ok(None);
            }
            let options = SqliteConnectOptions::new()
                .filename(path)
                .read_only(true)
                .busy_timeout(Duration::from_secs(5));
            let read = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
            Db::Sqlite { write: read.clone(), read }
        }
        Database::Postgres(url) => {
            let options = PgConnectOptions::from_str(url.expose_secret())?
                .application_name("coachbot-vault-peek")
                .options([("search_path", MIGRATIONS.schema), ("default_transaction_read_only", "on")]);
            Db::Postgres(PgPoolOptions::new().max_connections(1).connect_with(options).await?)
        }
    };
    let tables: i64 = read!(db, |pool| {
        sqlx::query_scalar(dialect!(
            db,
            sqlite: "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'keyring'",
            postgres: "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'keyring'"
        ))
        .fetch_one(pool)
        .await
    })?;
    if tables == 0 {
        db.close().await;
        return Ok(None);
    }
    Ok(Some(Store::new(db)))
}
