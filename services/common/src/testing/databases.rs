use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use super::postgres::postgres_url;
use crate::db::{Database, Db, Migrations};
use crate::secret::random_bytes;

/// A fresh database with a service's tables, gone at the end.
#[derive(Debug)]
pub struct TestDb {
    /// The open database.
    pub db: Db,
    database: Database,
    folder: Option<TempDir>,
}

impl TestDb {
    /// Where it lies, to open it again.
    #[must_use]
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// The folder of a SQLite file, to read its bytes.
    #[must_use]
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_ref().map(TempDir::path)
    }

    /// Closes it. The Postgres server of a test run is thrown away whole.
    pub async fn end(self) {
        self.db.close().await;
    }
}

/// A fresh SQLite file. Not `:memory:`, which gives every connection its own.
///
/// # Panics
/// When it cannot be made.
pub async fn fresh_sqlite(migrations: &Migrations) -> TestDb {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = Database::Sqlite(folder.path().join("test.sqlite"));
    let db = Db::open(&database, migrations).await.expect("a fresh SQLite database");
    TestDb { db, database, folder: Some(folder) }
}

/// A fresh Postgres database; `None`, said loudly, where the machine has no
/// Postgres.
///
/// # Panics
/// When it cannot be made, or is required and missing.
pub async fn fresh_postgres(migrations: &Migrations) -> Option<TestDb> {
    let server = postgres_url()?;
    let name: String = random_bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("test_{name}");
    let mut connection = PgConnection::connect(server.as_str()).await.expect("the test server answers");
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .expect("a fresh Postgres database");
    connection.close().await.expect("the connection closes");
    let mut url = server;
    url.set_path(&name);
    let database = Database::Postgres(url.to_string().into());
    let db = Db::open(&database, migrations).await.expect("a fresh Postgres database");
    Some(TestDb { db, database, folder: None })
}
