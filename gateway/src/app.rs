//! What every handler works with.

use std::sync::Arc;

use coachbot_common::clock::SharedClock;
use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_integrations::{Channel, Fields, Provider};
use jiff::Timestamp;

use crate::clients::{Agent, Connector, Vault};
use crate::config::PublicUrl;
use crate::convert::{Integration, ToolToken};
use crate::error::Error;
use crate::facts::{Name, Zone};
use crate::outbox;
use crate::quarantine::Quarantine;
use crate::store::{FormId, Store, UserId, Workspace, WorkspaceChange};
use crate::wake::Wake;

/// What every handler works with.
pub(crate) struct App {
    pub store: Store,
    pub vault: Vault,
    pub connector: Connector,
    pub agent: Agent,
    pub clock: SharedClock,
    pub public_url: PublicUrl,
    /// Wakes the task that deletes workspaces.
    pub deletions: Wake,
    /// Wakes the task that tells the agent the facts of workspaces.
    pub facts: Wake,
    /// Wakes the task that hands on what came in.
    pub inbox: Wake,
    pub quarantine: Quarantine,
}

/// How handlers hold it.
pub(crate) type SharedApp = Arc<App>;

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes a workspace of this user.
    pub(crate) async fn create_workspace(
        &self,
        user: UserId,
        name: Name,
        channel: Channel,
        zone: Zone,
    ) -> Result<Workspace, Error> {
        let now = self.now();
        let workspace = Workspace {
            id: WorkspaceId::from_uuid(new_id(now)),
            name: name.into_string(),
            channel,
            timezone: zone.into_string(),
            // As a column keeps it.
            created_at: coachbot_common::clock::from_micros(coachbot_common::clock::to_micros(now)),
        };
        self.store.insert_workspace(user, &workspace, FormId::from_uuid(new_id(now))).await?;
        self.facts.wake();
        Ok(workspace)
    }

    /// Changes the facts of a workspace of this user.
    pub(crate) async fn update_workspace(
        &self,
        user: UserId,
        id: WorkspaceId,
        change: WorkspaceChange<'_>,
    ) -> Result<Workspace, Error> {
        let changed = self.store.update_workspace(user, id, change).await?;
        self.facts.wake();
        changed.ok_or(Error::NotFound("workspace"))
    }

    /// The address of a workspace's form.
    pub(crate) async fn form_url(&self, workspace: WorkspaceId) -> Result<(FormId, String), Error> {
        let now = self.now();
        let forms = self.store.forms(workspace, FormId::from_uuid(new_id(now)), now).await?;
        let form = forms.first().copied().ok_or(Error::NotFound("form"))?;
        Ok((form, self.public_url.join(&format!("/f/{form}"))))
    }

    /// Asks the agent something of a workspace. One that it does not know yet, for
    /// it was just made, is told to it first.
    pub(crate) async fn ask_agent<T, F>(
        &self,
        workspace: WorkspaceId,
        call: impl Fn() -> F + Send,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        match call().await {
            Err(Error::NotFound(_)) => {
                outbox::tell_now(self, workspace).await?;
                call().await
            }
            answered => answered,
        }
    }

    /// Hides a workspace at once and has everything of it deleted.
    pub(crate) async fn delete_workspace(&self, user: UserId, id: WorkspaceId) -> Result<(), Error> {
        if !self.store.mark_for_deletion(user, id, self.now()).await? {
            return Err(Error::NotFound("workspace"));
        }
        self.deletions.wake();
        Ok(())
    }

    /// Saves fields of one provider.
    pub(crate) async fn save(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        provider: Provider,
        fields: &Fields,
    ) -> Result<Integration, Error> {
        let saved = self.vault.put(workspace, provider, fields).await?;
        self.undo_if_deleted(user, workspace).await?;
        Ok(saved)
    }

    /// Shows the tool token, and makes it where there is none.
    pub(crate) async fn tool_token(&self, user: UserId, workspace: WorkspaceId) -> Result<ToolToken, Error> {
        let token = self.vault.tool_token(workspace).await?;
        self.undo_if_deleted(user, workspace).await?;
        Ok(token)
    }

    /// A workspace may be deleted between the look at it and what was just stored
    /// in the vault: nothing of it may stay there.
    async fn undo_if_deleted(&self, user: UserId, workspace: WorkspaceId) -> Result<(), Error> {
        if self.store.workspace(user, workspace).await?.is_some() {
            return Ok(());
        }
        self.vault.delete_workspace(workspace).await?;
        Err(Error::NotFound("workspace"))
    }
}
