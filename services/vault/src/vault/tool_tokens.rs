//! The bearer token that Coachbot makes for a workspace's voice tools.

use coachbot_common::id::WorkspaceId;
use coachbot_common::secret::{random_token, sha256};
use coachbot_integrations::{Provider, mask};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{ATTEMPTS, Closed, Vault, open_value};
use crate::error::Error;
use crate::integration::Subject;
use crate::keyring::Keyring;
use crate::seal::{self, Context, Purpose};
use crate::store::{NewToolToken, ToolToken};

/// Marks a tool token, for people and for secret scanners.
const PREFIX: &str = "cbt_";

/// Characters after the prefix: 32 bytes in base64url.
const TOKEN_CHARACTERS: usize = 43;

const FIRST_GENERATION: u64 = 1;

const fn context(workspace: &str, generation: u64) -> Context<'_> {
    Context {
        purpose: Purpose::ToolToken,
        workspace,
        provider: Provider::Vapi.slug(),
        field: "tool_token",
        revision: generation,
    }
}

impl Vault {
    /// The workspace's tool token, made if it has none.
    ///
    /// # Errors
    /// [`Error::CannotDecrypt`] when there is one that does not open;
    /// [`Error::Locked`] and [`Error::NeedsAnotherKey`] when nothing can be opened.
    pub async fn issue_tool_token(&self, workspace: WorkspaceId) -> Result<SecretString, Error> {
        let keyring = self.platform.keyring()?;
        let _turn = self.turns.of(Subject { workspace, provider: Provider::Vapi }).await;
        for _ in 0..ATTEMPTS {
            if let Some(stored) = self.store.find_tool_token(workspace).await? {
                return open_token(keyring, workspace, &stored);
            }
            match self.first_tool_token(keyring, workspace).await {
                Err(Error::Contended) => {}
                done => return done,
            }
        }
        Err(Error::Contended)
    }

    async fn first_tool_token(
        &self,
        keyring: &Keyring,
        workspace: WorkspaceId,
    ) -> Result<SecretString, Error> {
        let key = self.sealing_key(keyring, workspace).await?;
        let token = random_token(PREFIX);
        let text = token.expose_secret();
        let owner = workspace.to_string();
        let new = NewToolToken {
            generation: FIRST_GENERATION,
            sealed: seal::seal(key.ring.current(), &context(&owner, FIRST_GENERATION), text.as_bytes())?,
            hash: sha256(text.as_bytes()),
            hint: mask(text),
        };
        self.store.insert_tool_token(workspace, &new, key.under(), self.clock.now()).await?;
        info!(%workspace, generation = new.generation, "tool token issued");
        Ok(token)
    }

    /// The workspace's tool token.
    ///
    /// # Errors
    /// [`Error::NoToolToken`] when none was issued; otherwise as
    /// [`Self::issue_tool_token`].
    pub async fn reveal_tool_token(&self, workspace: WorkspaceId) -> Result<SecretString, Error> {
        let keyring = self.platform.keyring()?;
        let stored = self.store.find_tool_token(workspace).await?.ok_or(Error::NoToolToken)?;
        open_token(keyring, workspace, &stored)
    }

    /// What may be shown of the workspace's tool token.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn tool_token_hint(&self, workspace: WorkspaceId) -> Result<Option<String>, Error> {
        Ok(self.store.find_tool_token_hint(workspace).await?)
    }

    /// The workspace that a tool token belongs to. Opens nothing.
    ///
    /// # Errors
    /// [`Error::NoToolToken`] when it is nobody's.
    pub async fn check_tool_token(&self, token: &SecretString) -> Result<WorkspaceId, Error> {
        let text = token.expose_secret();
        if !is_token(text) {
            return Err(Error::NoToolToken);
        }
        // Found by its hash: how long the look-up takes tells nothing about the token.
        let hash = sha256(text.as_bytes());
        let found = self.store.find_workspace_of_tool_token(&hash, self.clock.now()).await?;
        found.ok_or(Error::NoToolToken)
    }
}

fn is_token(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|rest| {
        rest.len() == TOKEN_CHARACTERS
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}

fn open_token(keyring: &Keyring, workspace: WorkspaceId, stored: &ToolToken) -> Result<SecretString, Error> {
    let owner = workspace.to_string();
    let context = context(&owner, stored.generation);
    let damaged = |part, reason| {
        warn!(%workspace, generation = stored.generation, part, reason, "a tool token does not open");
        Error::CannotDecrypt
    };
    let opened = open_value(keyring, workspace, stored.data_key.as_ref(), &context, &stored.sealed);
    let plaintext = match opened {
        Ok(plaintext) => plaintext,
        Err(Closed::NeedsAnotherKey { loaded, needed }) => {
            return Err(Error::NeedsAnotherKey { loaded, needed });
        }
        Err(Closed::Damaged { part, reason }) => return Err(damaged(part, reason)),
    };
    let text = std::str::from_utf8(&plaintext).map_err(|_| damaged("value", "NOT_TEXT"))?;
    let text = Zeroizing::new(text.to_owned());
    Ok(SecretString::from(text.as_str()))
}
