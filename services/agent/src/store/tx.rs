//! A transaction on either engine, handed from function to function.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coachbot_common::db::{Db, begin, roll_back};
use sqlx::{Postgres, Sqlite, Transaction};

use super::{Store, StoreError};

/// Counts commits: what a run costs is counted in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Commits(Arc<AtomicU64>);

impl Commits {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open transaction.
#[derive(Debug)]
pub struct Tx {
    pub(super) inner: Inner,
    commits: Commits,
}

#[derive(Debug)]
pub(super) enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Store {
    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = match &self.db {
            // A plain BEGIN asks for the lock at its first write, and fails then when it is taken.
            Db::Sqlite { write, .. } => Inner::Sqlite(begin(write, "BEGIN IMMEDIATE").await?),
            Db::Postgres(pool) => Inner::Postgres(begin(pool, "BEGIN").await?),
        };
        Ok(Tx { inner, commits: self.commits.clone() })
    }
}

impl Tx {
    /// Commits what came out well, and rolls back what did not.
    pub(super) async fn end<T>(self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match (outcome, self.inner) {
            (Ok(value), Inner::Sqlite(transaction)) => {
                transaction.commit().await?;
                self.commits.add();
                Ok(value)
            }
            (Ok(value), Inner::Postgres(transaction)) => {
                transaction.commit().await?;
                self.commits.add();
                Ok(value)
            }
            (Err(error), Inner::Sqlite(transaction)) => {
                roll_back(transaction).await;
                Err(error)
            }
            (Err(error), Inner::Postgres(transaction)) => {
                roll_back(transaction).await;
                Err(error)
            }
        }
    }

    /// Whether the engine is Postgres, where rows are locked one by one.
    pub(super) const fn is_postgres(&self) -> bool {
        matches!(self.inner, Inner::Postgres(_))
    }
}

/// Runs a statement in a transaction: `on!(tx, |it| sqlx::query(…).execute(it).await)`.
macro_rules! on {
    ($tx:expr, |$it:ident| $body:expr) => {
        match &mut $tx.inner {
            $crate::store::tx::Inner::Sqlite(transaction) => {
                let $it = &mut **transaction;
                $body
            }
            $crate::store::tx::Inner::Postgres(transaction) => {
                let $it = &mut **transaction;
                $body
            }
        }
    };
}

/// Runs a statement in a transaction and counts the rows that it touched.
macro_rules! rows {
    ($tx:expr, $query:expr) => {
        $crate::store::tx::on!($tx, |it| $query.execute(it).await.map(|done| done.rows_affected()))
            .map_err($crate::store::StoreError::from)
    };
}

/// Picks between two texts where the dialects differ.
macro_rules! by_engine {
    ($tx:expr, sqlite: $sqlite:expr, postgres: $postgres:expr) => {
        if $tx.is_postgres() { $postgres } else { $sqlite }
    };
}

pub(super) use {by_engine, on, rows};
