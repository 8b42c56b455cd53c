//! Telling other replicas of a change, and hearing of theirs.
//!
//! Postgres carries a notice in the transaction that makes the change. SQLite has
//! one process, which knows what it did.

use coachbot_common::db::Db;
use coachbot_common::id::WorkspaceId;
use sqlx::postgres::PgListener;

use super::{Store, StoreError};
use crate::integration::Subject;

pub(super) const CHANNEL: &str = "coachbot_vault_changes";

/// What may be out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// One provider's credentials.
    Record(Subject),
    /// Everything of a workspace.
    Workspace(WorkspaceId),
    /// Everything: notices may have been missed, or one was not understood.
    Everything,
}

impl Change {
    fn parse(notice: &str) -> Self {
        let change = || {
            let (workspace, provider) = notice.split_once('/')?;
            let workspace = WorkspaceId::parse(workspace).ok()?;
            if provider == "*" {
                return Some(Self::Workspace(workspace));
            }
            Some(Self::Record(Subject { workspace, provider: provider.parse().ok()? }))
        };
        change().unwrap_or(Self::Everything)
    }
}

/// The notices of all replicas, this one included.
#[derive(Debug)]
pub struct Changes {
    listener: PgListener,
}

impl Changes {
    /// Waits for the next change. After a lost connection, which is made again,
    /// that is [`Change::Everything`].
    ///
    /// # Errors
    /// When the connection cannot be made again.
    pub async fn next(&mut self) -> Result<Change, StoreError> {
        let notice = self.listener.try_recv().await?;
        Ok(notice.map_or(Change::Everything, |notice| Change::parse(notice.payload())))
    }
}

impl Store {
    /// Starts to listen; `None` where there is nobody to listen to.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn changes(&self) -> Result<Option<Changes>, StoreError> {
        let Db::Postgres(pool) = &self.db else { return Ok(None) };
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Some(Changes { listener }))
    }
}

/// Inside a transaction, tells the other replicas of the change it makes.
macro_rules! announce {
    ($db:expr, $transaction:ident, $notice:expr) => {
        if $db.is_shared() {
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind($crate::store::changes::CHANNEL)
                .bind($notice)
                .execute(&mut **$transaction)
                .await?;
        }
    };
}

pub(super) use announce;

#[cfg(test)]
mod tests {
    use coachbot_integrations::Provider;

    use super::*;

    #[test]
    fn a_notice_names_what_changed_and_an_odd_one_means_everything() {
        let workspace = WorkspaceId::parse("01937a3e-6f00-7000-8000-00000000000a").unwrap();
        let subject = Subject { workspace, provider: Provider::Calcom };
        assert_eq!(Change::parse(&subject.to_string()), Change::Record(subject));
        assert_eq!(Change::parse(&format!("{workspace}/*")), Change::Workspace(workspace));
        for odd in ["", "x/calcom", &format!("{workspace}/stripe"), &workspace.to_string()] {
            assert_eq!(Change::parse(odd), Change::Everything, "{odd}");
        }
    }
}
