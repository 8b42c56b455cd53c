//! The sandbox: its state, its faults, and the handle that tests hold.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use coachbot_common::clock::SharedClock;
use coachbot_common::lifecycle::{LockedFolder, StartError, Stop, Tasks};
use jiff::Timestamp;
use reqwest::redirect;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};
use url::Url;

use crate::config::Config;
use crate::faults::{Fault, Faults};
use crate::held::{Gone, Held, HeldCall, Release};
use crate::ledger::{Entry, Filter};
use crate::providers::{Operation, Provider};
use crate::routes;
use crate::save::{SaveError, Saver};
use crate::wire::{Doors, Wire};
use crate::world::World;

/// Twilio's own limits of a webhook.
const WEBHOOK_CONNECT: Duration = Duration::from_secs(5);
const WEBHOOK_TOTAL: Duration = Duration::from_secs(15);

/// Longest wait of a list that was asked to wait.
const LONG_POLL: Duration = Duration::from_secs(30);

/// Why the sandbox cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state's file.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// Another process keeps its state in the folder.
    #[error(transparent)]
    Folder(#[from] StartError),
    /// The client that sends webhooks.
    #[error("the client that sends webhooks cannot be made")]
    Http(#[from] reqwest::Error),
    /// Serving ended.
    #[error("serving ended")]
    Serve(#[source] std::io::Error),
    /// A task died; the log says which.
    #[error("a background task of the sandbox died")]
    TaskDied,
}

/// The four providers. A clone is the same sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    clock: SharedClock,
    world: Mutex<World>,
    changed: watch::Sender<()>,
    faults: Faults,
    held: Held,
    saver: Saver,
    http: reqwest::Client,
    tasks: Tasks,
    /// Given back at the end of serving, whoever still holds the sandbox.
    lock: Mutex<Option<LockedFolder>>,
}

impl Sandbox {
    /// Reads the state, and goes on where it was left.
    ///
    /// # Errors
    /// [`Error::Folder`] when another process uses the folder, [`Error::Save`] when
    /// the state's file cannot be used, [`Error::Http`] when no webhook could be sent.
    pub async fn open(config: &Config, clock: SharedClock, stop: Stop) -> Result<Self, Error> {
        let folder = config.folder.clone();
        let opening = move || {
            let lock =
                folder.as_deref().map(|folder| LockedFolder::take(folder, &["sandbox"])).transpose()?;
            let (saver, world) = Saver::open(folder.as_deref())?;
            Ok::<_, Error>((lock, saver, world))
        };
        let opened = tokio::task::spawn_blocking(opening).await;
        let (lock, saver, world) = opened.map_err(|_| Error::TaskDied)??;
        let sandbox = Self(Arc::new(Inner {
            clock,
            world: Mutex::new(world),
            changed: watch::Sender::new(()),
            faults: Faults::default(),
            held: Held::default(),
            saver,
            http: webhook_client()?,
            tasks: Tasks::new(stop),
            lock: Mutex::new(lock),
        }));
        sandbox.resume();
        Ok(sandbox)
    }

    /// Serves until the word to stop, then writes the state a last time.
    ///
    /// # Errors
    /// [`Error`] when serving fails, a task dies or the state cannot be written.
    pub async fn serve(self, listener: TcpListener) -> Result<(), Error> {
        let end = Stop::new();
        let keeping = tokio::spawn({
            let (sandbox, end) = (self.clone(), end.clone());
            async move {
                let kept = sandbox.0.saver.keep(|| sandbox.bytes(), end.cancelled()).await;
                if let Err(error) = &kept {
                    error!(error = error as &dyn std::error::Error, "the state cannot be kept, stopping");
                    sandbox.stop().cancel();
                }
                kept
            }
        });
        let stop = self.stop().clone();
        let app: IntoMakeServiceWithConnectInfo<Router, Wire> =
            routes::router(self.clone()).into_make_service_with_connect_info();
        let served = axum::serve(Doors(listener), app)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await;
        self.stop().cancel();
        self.tasks().finish(Duration::from_secs(5)).await;
        end.cancel();
        let kept = keeping.await.map_err(|_| Error::TaskDied)?;
        self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept?;
        served.map_err(Error::Serve)?;
        if self.tasks().failed() { Err(Error::TaskDied) } else { Ok(()) }
    }

    /// Listens and serves in the background, for tests and for a process that
    /// holds more than the sandbox.
    ///
    /// # Errors
    /// As [`Sandbox::open`], and when the address cannot be listened on.
    pub async fn start(config: &Config, clock: SharedClock) -> Result<Running, Error> {
        let listener = TcpListener::bind(config.listen).await.map_err(Error::Serve)?;
        let address = listener.local_addr().map_err(Error::Serve)?;
        let sandbox = Self::open(config, clock, Stop::new()).await?;
        info!(%address, "the sandbox listens");
        let task = tokio::spawn(sandbox.clone().serve(listener));
        Ok(Running { sandbox, address, task })
    }

    /// The entries of the ledger that fit, oldest first.
    #[must_use]
    pub fn ledger(&self, filter: &Filter) -> Vec<Entry> {
        self.look(|world, _| world.ledger.list(filter))
    }

    /// Lays a fault over calls to come.
    pub fn fault(&self, fault: Fault) {
        self.0.faults.add(fault);
    }

    /// The calls that are held now.
    #[must_use]
    pub fn held(&self) -> Vec<HeldCall> {
        self.0.held.list()
    }

    /// Releases a held call; `false` when there is none of this id.
    pub fn release(&self, id: u64, release: Release) -> bool {
        self.0.held.release(id, release)
    }

    /// Waits until a call is held, at most half a minute.
    pub async fn next_held(&self) -> Vec<HeldCall> {
        let mut watch = self.0.held.watch();
        let found = async {
            loop {
                let held = self.held();
                if !held.is_empty() || watch.changed().await.is_err() {
                    return held;
                }
            }
        };
        self.at_most(found).await
    }

    /// Forgets messages, bookings, ledger and faults; held calls are cut.
    pub fn reset(&self) {
        self.0.faults.clear();
        self.0.held.clear();
        self.change(|world, _| {
            world.ledger.clear();
            world.chat.clear();
            world.diary.clear();
        });
    }

    /// Waits until `find` finds something in the world, at most half a minute.
    pub(crate) async fn until<T>(&self, find: impl Fn(&World) -> Vec<T>) -> Vec<T> {
        let mut changes = self.0.changed.subscribe();
        let found = async {
            loop {
                let found = self.look(|world, _| find(world));
                if !found.is_empty() || changes.changed().await.is_err() {
                    return found;
                }
            }
        };
        self.at_most(found).await
    }

    async fn at_most<T>(&self, found: impl Future<Output = Vec<T>>) -> Vec<T> {
        tokio::select! {
            found = found => found,
            _ = tokio::time::timeout(LONG_POLL, self.stop().cancelled()) => Vec::new(),
        }
    }

    pub(crate) async fn hold(&self, at: (Provider, Operation), after_effect: bool, gone: Gone) -> Release {
        self.0.held.wait(at, after_effect, gone, self.stop()).await
    }

    /// Looks at the world.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&World, Timestamp) -> T) -> T {
        let world = self.0.world.lock().unwrap_or_else(PoisonError::into_inner);
        look(&world, self.0.clock.now())
    }

    /// Changes the world, and gives the number under which it is kept.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World, Timestamp) -> T) -> (T, u64) {
        let mut world = self.0.world.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut world, self.0.clock.now());
        let number = self.0.saver.changed();
        drop(world);
        self.0.changed.send_replace(());
        (changed, number)
    }

    pub(crate) async fn kept(&self, number: u64) {
        tokio::select! {
            () = self.0.saver.kept(number) => {}
            // A write that fails stops the sandbox; one that is under way ends before.
            () = self.stop().cancelled() => {}
        }
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(crate) fn stop(&self) -> &Stop {
        self.0.tasks.stop()
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    fn bytes(&self) -> Vec<u8> {
        self.look(|world, _| serde_json::to_vec(world)).expect("the state has only text keys")
    }
}

/// Sends webhooks: it follows no redirect and takes no proxy.
fn webhook_client() -> Result<reqwest::Client, reqwest::Error> {
    let builder = || {
        reqwest::Client::builder()
            .tls_backend_rustls()
            .user_agent("TwilioProxy/1.1")
            .connect_timeout(WEBHOOK_CONNECT)
            .timeout(WEBHOOK_TOTAL)
            .redirect(redirect::Policy::none())
            .no_proxy()
    };
    // A machine without root certificates can still be called on plain HTTP.
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

/// A sandbox that serves in the background.
pub struct Running {
    sandbox: Sandbox,
    address: SocketAddr,
    task: JoinHandle<Result<(), Error>>,
}

impl std::ops::Deref for Running {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A path of it, such as `/_sandbox/ledger`.
    ///
    /// # Panics
    /// When the path is not one.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().expect("an address and a path are a URL")
    }

    /// The base URL of a provider.
    #[must_use]
    pub fn base_url(&self, provider: Provider) -> Url {
        self.url(provider.base_path())
    }

    /// Stops it, and waits until its state is written.
    ///
    /// # Errors
    /// What [`Sandbox::serve`] says.
    pub async fn stop(self) -> Result<(), Error> {
        self.sandbox.stop().cancel();
        self.task.await.map_err(|_| Error::TaskDied)?
    }
}
