//! A bare RPC against Lease; a bare GET and RPC against Verify.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use coachbot_common::clock::{Clock as _, SystemClock};
use coachbot_common::config::{MapEnv, Reader};
use coachbot_common::id::new_id;
use coachbot_common::lifecycle::{Stop, Tasks};
use coachbot_common::rpc::{self, Identity, Transport, with_deadline};
use coachbot_common::testing::postgres_url;
use coachbot_proto::connector::v1::connector_service_client::ConnectorServiceClient;
use coachbot_proto::connector::v1::connector_service_server::{ConnectorService, ConnectorServiceServer};
use coachbot_proto::connector::v1::{VerifyDraftRequest, VerifyDraftResponse, VerifyRequest, VerifyResponse};
use coachbot_proto::types::v1::{Provider, Verdict};
use coachbot_proto::vault::v1::vault_service_client::VaultServiceClient;
use coachbot_proto::vault::v1::{LeaseCredentialsRequest, PutCredentialsRequest};
use tonic::{Request, Response, Status};

use crate::provider;
use crate::sample::{Sample, WARM_UP};

const ROUNDS: usize = 2000;
const LIMIT: Duration = Duration::from_secs(10);

/// Answers at once: what an RPC costs that does nothing.
#[derive(Clone)]
struct Bare;

#[tonic::async_trait]
impl ConnectorService for Bare {
    async fn verify(&self, _: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        Ok(Response::new(VerifyResponse::default()))
    }

    async fn verify_draft(
        &self,
        _: Request<VerifyDraftRequest>,
    ) -> Result<Response<VerifyDraftResponse>, Status> {
        Err(Status::unimplemented("not a part of the floor"))
    }
}

/// Both engines, where the machine has Postgres.
pub(crate) async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = format!("sqlite://{}", folder.path().join("vault.sqlite").display());
    on_engine("SQLite", &path).await?;
    match postgres_url() {
        Some(url) => on_engine("Postgres", url.as_str()).await,
        None => Ok(()),
    }
}

async fn on_engine(engine: &str, database: &str) -> Result<()> {
    let base = provider::start().await?;
    let env = MapEnv::from([(
        "INTEGRATIONS_ENCRYPTION_KEY",
        "c14f02afbd050f8e2f1dac88b3fce28ae5c3071c5ca93543efdb992e3b955ee3",
    )])
    .with("COACHBOT_DATABASE_URL", database)
    .with("COACHBOT_OPENAI_BASE_URL", base.as_str());
    let mut reader = Reader::new(&env);
    let vault = coachbot_vault::Config::read(&mut reader);
    let connector = coachbot_connector::Config::read(&mut reader);
    let (vault, connector) = reader.finish(vault.zip(connector))?;
    let stop = Stop::new();
    let tasks = Tasks::new(stop.clone());
    let server = coachbot_vault::build(&vault, SystemClock::shared(), &tasks).await?;
    let vault_for = |caller| rpc::direct(server.clone(), coachbot_vault::policy(), caller);
    let verifier =
        coachbot_connector::build(&connector, vault_for(Identity::Connector), SystemClock::shared())?;
    let verify = rpc::direct(verifier, coachbot_connector::policy(), Identity::Gateway);

    println!("\nCalls in one process, {engine}, {ROUNDS} rounds, one at a time");
    let bare = bare_rpc().await?;
    bare.print();
    let (warm, cold) = leases(&vault_for(Identity::Gateway), &vault_for(Identity::Connector)).await?;
    warm.print_against(&bare);
    cold.print_against(&bare);
    let floor = bare_get_and_rpc(&base).await?;
    floor.print();
    let workspace = connect_workspace(&vault_for(Identity::Gateway)).await?;
    verifications(&verify, &workspace).await?.print_against(&floor);

    stop.cancel();
    tasks.finish(LIMIT).await;
    Ok(())
}

async fn bare_rpc() -> Result<Sample> {
    let client = ConnectorServiceClient::new(ConnectorServiceServer::new(Bare));
    let call = async |_| {
        client.clone().verify(VerifyRequest::default()).await?;
        Ok::<_, anyhow::Error>(())
    };
    Sample::of("warm-up", WARM_UP, call).await?;
    Sample::of("bare unary RPC", ROUNDS, call).await
}

async fn connect_workspace(vault: &Transport) -> Result<String> {
    let workspace = new_id(SystemClock.now()).to_string();
    let request = PutCredentialsRequest {
        workspace_id: workspace.clone(),
        provider: Provider::Openai.into(),
        fields: BTreeMap::from([("api_key".to_owned(), "sk-bench-0123456789abcdef0123456789".to_owned())]),
    };
    VaultServiceClient::new(vault.clone()).put_credentials(with_deadline(request, LIMIT)).await?;
    Ok(workspace)
}

async fn leases(gateway: &Transport, connector: &Transport) -> Result<(Sample, Sample)> {
    // The first lease after a save reads the database.
    let mut workspaces = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        workspaces.push(connect_workspace(gateway).await?);
    }
    let lease = async |round: usize| {
        let request = LeaseCredentialsRequest {
            workspace_id: workspaces.get(round).cloned().unwrap_or_default(),
            provider: Provider::Openai.into(),
        };
        VaultServiceClient::new(connector.clone()).lease_credentials(with_deadline(request, LIMIT)).await?;
        Ok::<_, anyhow::Error>(())
    };
    let cold = Sample::of("LeaseCredentials, cold", ROUNDS, lease).await?;
    let warm = Sample::of("LeaseCredentials, warm", ROUNDS, async |_| lease(0).await).await?;
    Ok((warm, cold))
}

async fn bare_get_and_rpc(base: &str) -> Result<Sample> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let client = ConnectorServiceClient::new(ConnectorServiceServer::new(Bare));
    let url = format!("{base}/models");
    let call = async |_| {
        client.clone().verify(VerifyRequest::default()).await?;
        http.get(&url).send().await?.bytes().await?;
        Ok::<_, anyhow::Error>(())
    };
    Sample::of("warm-up", WARM_UP, call).await?;
    Sample::of("bare GET + unary RPC", ROUNDS, call).await
}

async fn verifications(connector: &Transport, workspace: &str) -> Result<Sample> {
    let call = async |_| {
        let request = VerifyRequest { workspace_id: workspace.to_owned(), provider: Provider::Openai.into() };
        let answer =
            ConnectorServiceClient::new(connector.clone()).verify(with_deadline(request, LIMIT)).await?;
        let verification = answer.into_inner().verification.unwrap_or_default();
        let passed = matches!(verification.verdict(), Verdict::Ok | Verdict::OkWithWarning);
        anyhow::ensure!(passed, "{}", verification.message);
        Ok::<_, anyhow::Error>(())
    };
    Sample::of("warm-up", WARM_UP, call).await?;
    Sample::of("Verify (lease, GET, record)", ROUNDS, call).await
}
