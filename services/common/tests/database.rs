//! The two engines behind one handle, and the trap of a dropped `begin`.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::pin::pin;
use std::task::Poll;

use coachbot_common::db::{self, Db, DbError, Migrations, execute, read, transaction};
use coachbot_common::suite;
use coachbot_common::testing::{fresh_postgres, fresh_sqlite};
use sqlx::postgres::PgPoolOptions;

const MIGRATIONS: Migrations = Migrations {
    schema: "sample",
    sqlite: &[(1, "one table", "CREATE TABLE thing (id BIGINT PRIMARY KEY, name TEXT NOT NULL)")],
    postgres: &[(1, "one table", "CREATE TABLE thing (id BIGINT PRIMARY KEY, name TEXT NOT NULL)")],
};

async fn insert(db: &Db, id: i64) -> Result<(), DbError> {
    execute!(db, sqlx::query("INSERT INTO thing (id, name) VALUES ($1, $2)").bind(id).bind("x")).map(drop)
}

async fn count(db: &Db) -> i64 {
    read!(db, |pool| sqlx::query_scalar("SELECT COUNT(*) FROM thing").fetch_one(pool).await).unwrap()
}

async fn a_second_insert_of_one_id_is_a_unique_violation(db: Db) {
    insert(&db, 1).await.unwrap();
    assert!(insert(&db, 1).await.unwrap_err().is_unique_violation());
}

async fn an_error_rolls_the_whole_transaction_back(db: Db) {
    let outcome: Result<(), DbError> = transaction!(db, |tx| {
        sqlx::query("INSERT INTO thing (id, name) VALUES (1, 'x')").execute(&mut **tx).await?;
        sqlx::query("INSERT INTO thing (id, name) VALUES (1, 'x')").execute(&mut **tx).await?;
        Ok(())
    });
    assert!(outcome.is_err());
    assert_eq!(count(&db).await, 0);
}

async fn two_hundred_transactions_at_once_all_commit(db: Db) {
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..200_i64 {
        let db = db.clone();
        tasks.spawn(async move {
            transaction!(db, |tx| {
                let (found,): (i64,) =
                    sqlx::query_as("SELECT COUNT(*) FROM thing").fetch_one(&mut **tx).await?;
                sqlx::query("INSERT INTO thing (id, name) VALUES ($1, $2)")
                    .bind(id)
                    .bind(found.to_string())
                    .execute(&mut **tx)
                    .await?;
                Ok::<_, DbError>(())
            })
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(count(&db).await, 200);
}

/// Polls the future until it was woken `steps` times, then drops it.
async fn drop_after(steps: usize, future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|context| {
        polled += 1;
        let done = future.as_mut().poll(context);
        if polled == steps { Poll::Ready(()) } else { done }
    })
    .await;
}

/// sqlx 0.9.0 leaves a connection inside a transaction when a `begin` is dropped
/// half-way: what is written over it afterwards vanishes.
async fn a_transaction_dropped_at_any_moment_loses_no_later_write(db: Db) {
    // One connection, so that the next write goes over the one that was left behind.
    let db = match &db {
        Db::Sqlite { .. } => db.clone(),
        Db::Postgres(pool) => {
            let options = (*pool.connect_options()).clone();
            Db::Postgres(PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap())
        }
    };
    // Each time it gets one step further before it is dropped.
    for steps in 1..20 {
        let begin = async {
            match &db {
                Db::Sqlite { write, .. } => drop(db::begin(write, "BEGIN IMMEDIATE").await),
                Db::Postgres(pool) => drop(db::begin(pool, "BEGIN").await),
            }
        };
        drop_after(steps, begin).await;
        insert(&db, i64::try_from(steps).unwrap()).await.unwrap();
        // Another connection sees only what was committed.
        let seen = match &db {
            Db::Sqlite { .. } => count(&db).await,
            Db::Postgres(pool) => {
                let fresh = sqlx::PgPool::connect_with((*pool.connect_options()).clone()).await.unwrap();
                let (seen,) = sqlx::query_as("SELECT COUNT(*) FROM thing").fetch_one(&fresh).await.unwrap();
                fresh.close().await;
                seen
            }
        };
        assert_eq!(seen, i64::try_from(steps).unwrap(), "a write vanished");
    }
}

async fn migrating_again_changes_nothing(db: Db) {
    insert(&db, 1).await.unwrap();
    db.ping().await.unwrap();
    assert_eq!(count(&db).await, 1);
}

suite!(
    std::convert::identity::<Db>,
    MIGRATIONS,
    [
        a_second_insert_of_one_id_is_a_unique_violation,
        an_error_rolls_the_whole_transaction_back,
        two_hundred_transactions_at_once_all_commit,
        a_transaction_dropped_at_any_moment_loses_no_later_write,
        migrating_again_changes_nothing,
    ]
);

#[tokio::test]
async fn a_file_opened_again_has_its_rows() {
    let test = fresh_sqlite(&MIGRATIONS).await;
    insert(&test.db, 7).await.unwrap();
    test.db.close().await;
    let again = Db::open(&test.database(), &MIGRATIONS).await.unwrap();
    assert_eq!(count(&again).await, 1);
    again.close().await;
}

#[tokio::test]
async fn ten_replicas_migrate_one_database_at_once() {
    let Some(test) = fresh_postgres(&Migrations { schema: "other", ..MIGRATIONS }).await else { return };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let database = test.database();
        tasks.spawn(async move { Db::open(&database, &MIGRATIONS).await.map(drop) });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap().unwrap();
    }
}
