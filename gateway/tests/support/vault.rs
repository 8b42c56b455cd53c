//! A vault that keeps everything in memory, in clear, and does what a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coachbot_common::fault::{Fault, FaultKind, to_status};
use coachbot_common::secret::random_token;
use coachbot_integrations::{FieldProblem, Fields, Provider, clear_fields, from_wire, merge, shown_fields};
use coachbot_proto::types::v1 as types;
use coachbot_proto::vault::v1::vault_service_server::VaultService;
use coachbot_proto::vault::v1::*;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha1::Sha1;
use tokio::sync::{Notify, watch};
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub struct FakeVault {
    state: Arc<Mutex<State>>,
    deleted: watch::Sender<Vec<String>>,
}

#[derive(Default)]
struct State {
    key: Option<(KeyState, &'static str)>,
    away: bool,
    damaged: bool,
    hangs: bool,
    hold: Option<Arc<Hold>>,
    stored: BTreeMap<(String, i32), (Fields, u64, Option<types::Verification>)>,
    tokens: BTreeMap<String, String>,
}

/// Holds saves that arrived until they are let go.
#[derive(Default)]
pub struct Hold {
    arrived: Notify,
    go_on: Notify,
}

impl Hold {
    /// Waits for a save to arrive.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.go_on.notify_one();
    }
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused(FaultKind, Option<&'static str>, Vec<FieldProblem>);

impl Fault for Refused {
    fn kind(&self) -> FaultKind {
        self.0
    }
    fn reason(&self) -> Option<&'static str> {
        self.1
    }
    fn fields(&self) -> Vec<(String, String)> {
        self.2.iter().map(|problem| (problem.field.clone(), problem.message.clone())).collect()
    }
}

fn refuse(kind: FaultKind, reason: Option<&'static str>) -> Status {
    to_status(&Refused(kind, reason, Vec::new()), "vault.coachbot")
}

impl Default for FakeVault {
    fn default() -> Self {
        Self { state: Arc::default(), deleted: watch::channel(Vec::new()).0 }
    }
}

impl FakeVault {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks it, for this reason.
    pub fn lock(&self, state: KeyState, reason: &'static str) {
        self.state().key = Some((state, reason));
    }

    pub fn be_away(&self, away: bool) {
        self.state().away = away;
    }

    /// From now on it does not answer in time.
    pub fn hang(&self) {
        self.state().hangs = true;
    }

    /// Holds the next save.
    pub fn hold(&self) -> Arc<Hold> {
        Arc::clone(self.state().hold.insert(Arc::default()))
    }

    /// It opens again.
    pub fn unlock(&self) {
        self.state().key = None;
    }

    /// From now on stored records do not open.
    pub fn damage(&self) {
        self.state().damaged = true;
    }

    /// They open again.
    pub fn mend(&self) {
        self.state().damaged = false;
    }

    /// Stores what a check found.
    pub fn record(&self, workspace: &str, provider: Provider, verification: types::Verification) {
        let key = (workspace.to_owned(), types::Provider::from(provider).into());
        self.state().stored.get_mut(&key).unwrap().2 = Some(verification);
    }

    /// What is stored of one provider.
    pub fn stored(&self, workspace: &str, provider: Provider) -> BTreeMap<String, String> {
        let key = (workspace.to_owned(), types::Provider::from(provider).into());
        let state = self.state();
        let fields = state.stored.get(&key).map(|stored| &stored.0);
        fields
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
            .collect()
    }

    /// Waits until this workspace was deleted here.
    pub async fn deleted(&self, workspace: &str) {
        let mut deleted = self.deleted.subscribe();
        deleted.wait_for(|deleted| deleted.iter().any(|id| id == workspace)).await.unwrap();
    }

    pub fn was_deleted(&self, workspace: &str) -> bool {
        self.deleted.borrow().iter().any(|id| id == workspace)
    }

    async fn present(&self) -> Result<(), Status> {
        if self.state().hangs {
            std::future::pending::<()>().await;
        }
        if self.state().away { Err(refuse(FaultKind::Unavailable, None)) } else { Ok(()) }
    }

    async fn open(&self) -> Result<(), Status> {
        self.present().await?;
        match self.state().key {
            Some((_, reason)) => Err(refuse(FaultKind::NotReady, Some(reason))),
            None => Ok(()),
        }
    }
}

fn shown(provider: i32, stored: &(Fields, u64, Option<types::Verification>), readable: bool) -> Integration {
    let (fields, revision, verification) = stored;
    Integration {
        provider,
        fields: shown_fields(Provider::try_from(provider).unwrap(), fields),
        revision: *revision,
        updated_at: Some(prost_types::Timestamp { seconds: 1_795_608_000, nanos: 0 }),
        readable,
        verification: verification.clone(),
    }
}

#[tonic::async_trait]
impl VaultService for FakeVault {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        self.present().await?;
        let state = self.state().key.map_or(KeyState::Ok, |(state, _)| state);
        let id = |text: &str| (state == KeyState::Mismatch).then(|| text.to_owned());
        Ok(Response::new(GetStatusResponse {
            state: state.into(),
            configured_key_id: id("c0c0c0c0c0c0c0c0"),
            stored_key_id: id("5050505050505050"),
            degraded_workspace_ids: Vec::new(),
        }))
    }

    async fn put_credentials(
        &self,
        request: Request<PutCredentialsRequest>,
    ) -> Result<Response<PutCredentialsResponse>, Status> {
        self.open().await?;
        let hold = self.state().hold.take();
        if let Some(hold) = hold {
            hold.arrived.notify_one();
            hold.go_on.notified().await;
        }
        let PutCredentialsRequest { workspace_id, provider, fields } = request.into_inner();
        let mut state = self.state();
        if state.damaged {
            return Err(refuse(FaultKind::NotReady, Some("CANNOT_DECRYPT")));
        }
        let key = (workspace_id, provider);
        let stored = state.stored.get(&key).map(|stored| &stored.0);
        let merged = merge(Provider::try_from(provider).unwrap(), stored, &from_wire(fields))
            .map_err(|problems| to_status(&Refused(FaultKind::Invalid, None, problems), "vault.coachbot"))?;
        let revision = state.stored.get(&key).map_or(0, |stored| stored.1) + 1;
        let stored = (merged, revision, None);
        let integration = shown(provider, &stored, true);
        state.stored.insert(key, stored);
        Ok(Response::new(PutCredentialsResponse { integration: Some(integration) }))
    }

    async fn describe_integrations(
        &self,
        request: Request<DescribeIntegrationsRequest>,
    ) -> Result<Response<DescribeIntegrationsResponse>, Status> {
        self.present().await?;
        let workspace = request.into_inner().workspace_id;
        let state = self.state();
        let readable = state.key.is_none() && !state.damaged;
        let integrations = state
            .stored
            .iter()
            .filter(|((id, _), _)| *id == workspace)
            .map(|((_, provider), stored)| shown(*provider, stored, readable))
            .collect();
        let tool_token_hint = state.tokens.get(&workspace).map(|token| coachbot_integrations::mask(token));
        Ok(Response::new(DescribeIntegrationsResponse { integrations, tool_token_hint }))
    }

    async fn delete_credentials(
        &self,
        request: Request<DeleteCredentialsRequest>,
    ) -> Result<Response<DeleteCredentialsResponse>, Status> {
        self.present().await?;
        let request = request.into_inner();
        let deleted = self.state().stored.remove(&(request.workspace_id, request.provider)).is_some();
        Ok(Response::new(DeleteCredentialsResponse { deleted }))
    }

    async fn delete_workspace(
        &self,
        request: Request<DeleteWorkspaceRequest>,
    ) -> Result<Response<DeleteWorkspaceResponse>, Status> {
        self.present().await?;
        let workspace = request.into_inner().workspace_id;
        self.state().stored.retain(|(id, _), _| *id != workspace);
        self.deleted.send_modify(|deleted| deleted.push(workspace));
        Ok(Response::new(DeleteWorkspaceResponse {}))
    }

    async fn lease_credentials(
        &self,
        _: Request<LeaseCredentialsRequest>,
    ) -> Result<Response<LeaseCredentialsResponse>, Status> {
        Err(Status::unimplemented("not the gateway's"))
    }

    async fn verify_mac(
        &self,
        request: Request<VerifyMacRequest>,
    ) -> Result<Response<VerifyMacResponse>, Status> {
        self.open().await?;
        let request = request.into_inner();
        let state = self.state();
        if state.damaged {
            return Err(refuse(FaultKind::NotReady, Some("CANNOT_DECRYPT")));
        }
        let provider = Provider::try_from(request.provider).unwrap();
        let stored = state.stored.get(&(request.workspace_id.clone(), request.provider));
        let (fields, _, _) = stored.ok_or_else(|| refuse(FaultKind::NotFound, Some("NOT_CONNECTED")))?;
        assert_eq!(request.algorithm(), MacAlgorithm::HmacSha1);
        let key = fields[&request.field].expose_secret().as_bytes();
        let matched = request.candidates.iter().position(|candidate| {
            let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
            mac.update(candidate);
            mac.verify_slice(&request.mac).is_ok()
        });
        Ok(Response::new(VerifyMacResponse {
            matched_candidate: matched.map(|at| at.try_into().unwrap()),
            clear_fields: matched.map(|_| clear_fields(provider, fields)).unwrap_or_default(),
        }))
    }

    async fn issue_tool_token(
        &self,
        request: Request<IssueToolTokenRequest>,
    ) -> Result<Response<IssueToolTokenResponse>, Status> {
        self.open().await?;
        let token = random_token("cbt_").expose_secret().to_owned();
        self.state().tokens.insert(request.into_inner().workspace_id, token.clone());
        Ok(Response::new(IssueToolTokenResponse { token, previous_valid_until: None }))
    }

    async fn reveal_tool_token(
        &self,
        request: Request<RevealToolTokenRequest>,
    ) -> Result<Response<RevealToolTokenResponse>, Status> {
        self.open().await?;
        let token = self.state().tokens.get(&request.into_inner().workspace_id).cloned();
        let token = token.ok_or_else(|| refuse(FaultKind::NotFound, Some("NO_TOOL_TOKEN")))?;
        Ok(Response::new(RevealToolTokenResponse { token, previous_valid_until: None }))
    }

    async fn check_tool_token(
        &self,
        _: Request<CheckToolTokenRequest>,
    ) -> Result<Response<CheckToolTokenResponse>, Status> {
        Err(Status::unimplemented("not used yet"))
    }

    async fn record_verification(
        &self,
        _: Request<RecordVerificationRequest>,
    ) -> Result<Response<RecordVerificationResponse>, Status> {
        Err(Status::unimplemented("not the gateway's"))
    }
}
