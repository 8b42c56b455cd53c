//! One body, expanded for each engine.

/// Runs a statement that reads: `read!(db, |pool| sqlx::query(…).fetch_one(pool).await)`.
#[macro_export]
macro_rules! read {
    ($db:expr, |$pool:ident| $body:expr) => {
        match &$db {
            $crate::db::Db::Sqlite { read: $pool, .. } => $body,
            $crate::db::Db::Postgres($pool) => $body,
        }
    };
}

/// Runs one statement that writes and gives rows back, over SQLite's one writer:
/// `write!(db, |pool| sqlx::query_scalar("… RETURNING id").fetch_one(pool).await)`.
#[macro_export]
macro_rules! write {
    ($db:expr, |$pool:ident| $body:expr) => {
        match &$db {
            $crate::db::Db::Sqlite { write: $pool, .. } => $body,
            $crate::db::Db::Postgres($pool) => $body,
        }
    };
}

/// Runs one statement that writes, and counts the rows it touched, as
/// `Result<u64, DbError>`: `execute!(db, sqlx::query(…).bind(…))`.
#[macro_export]
macro_rules! execute {
    ($db:expr, $query:expr) => {
        $crate::write!($db, |pool| {
            let done = $query.execute(pool).await;
            done.map(|done| done.rows_affected()).map_err($crate::db::DbError::from)
        })
    };
}

/// Runs a block in a transaction: `transaction!(db, |tx| { …; Ok::<_, Error>(value) })`.
///
/// `tx` is a `&mut Transaction`; statements run on `&mut **tx`. `Ok` commits, `Err`
/// rolls back. The error type needs `From<DbError>` and `From<sqlx::Error>`.
#[macro_export]
macro_rules! transaction {
    ($db:expr, |$tx:ident| $body:block) => {
        match &$db {
            $crate::db::Db::Sqlite { write, .. } => {
                // A plain BEGIN asks for the lock at its first write, and fails then when it is taken.
                $crate::transaction!(@run write, "BEGIN IMMEDIATE", $tx, $body)
            }
            $crate::db::Db::Postgres(pool) => $crate::transaction!(@run pool, "BEGIN", $tx, $body),
        }
    };
    (@run $pool:ident, $begin:literal, $tx:ident, $body:block) => {
        async {
            let mut transaction = $crate::db::begin($pool, $begin).await?;
            let outcome = {
                let $tx = &mut transaction;
                async { $body }.await
            };
            match outcome {
                Ok(value) => {
                    transaction.commit().await?;
                    Ok(value)
                }
                Err(error) => {
                    $crate::db::roll_back(transaction).await;
                    Err(error)
                }
            }
        }
        .await
    };
}

/// Picks between two texts where the dialects differ:
/// `dialect!(db, sqlite: "…", postgres: "…")`.
#[macro_export]
macro_rules! dialect {
    ($db:expr, sqlite: $sqlite:literal, postgres: $postgres:literal) => {
        match &$db {
            $crate::db::Db::Sqlite { .. } => $sqlite,
            $crate::db::Db::Postgres(_) => $postgres,
        }
    };
}
