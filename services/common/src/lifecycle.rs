//! Start, stop, and the tasks between.

use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::config::ConfigError;
use crate::telemetry::Telemetry;

/// The word to stop. Cancelled once, seen by all.
pub use tokio_util::sync::CancellationToken as Stop;

/// `EX_CONFIG` of sysexits.h: the configuration is wrong.
pub const EXIT_CONFIG: u8 = 78;

/// Background tasks, tracked. One that panics stops the process with failure.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: Stop,
    failed: Arc<AtomicBool>,
}

impl Tasks {
    /// No task yet. They end when `stop` is cancelled.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        Self { tracker: TaskTracker::new(), stop, failed: Arc::default() }
    }

    /// The word to stop, for a task to wait for.
    #[must_use]
    pub const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Starts a task. It should end soon after the word to stop.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let failed = Arc::clone(&self.failed);
        self.tracker.spawn(async move {
            if std::panic::AssertUnwindSafe(task).catch_unwind().await.is_err() {
                error!(task = name, "a background task died, stopping");
                failed.store(true, Ordering::SeqCst);
                stop.cancel();
            }
        });
    }

    /// Whether a task died.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Waits for the tasks to end, at most `limit`.
    pub async fn finish(&self, limit: Duration) {
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_err() {
            warn!(tasks = self.tracker.len(), "background tasks were given up");
        }
    }
}

/// Why a process cannot start. Each is a sentence for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Somebody else listens there.
    #[error(
        "{address} is taken: another program listens there. Stop it, or set {variable} to another address"
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// The variable that says so.
        variable: &'static str,
    },
    /// The address cannot be listened on.
    #[error("{variable}: cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The variable that says so.
        variable: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The data folder is in use.
    #[error(
        "{} is in use by another Coachbot. Stop that one, or set COACHBOT_DATA_DIR to another folder",
        .folder.display()
    )]
    FolderTaken {
        /// The folder.
        folder: PathBuf,
    },
    /// The data folder cannot be used.
    #[error("COACHBOT_DATA_DIR: {} cannot be used: {source}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens, or says in plain words why not.
///
/// # Errors
/// [`StartError::PortTaken`] or [`StartError::Listen`].
pub async fn listen(address: SocketAddr, variable: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken { address, variable },
        _ => StartError::Listen { address, variable, source },
    })
}

/// A data folder that no second process may use, as long as this value lives.
#[derive(Debug)]
pub struct LockedFolder {
    _locks: Vec<File>,
}

impl LockedFolder {
    /// Makes the folder, for its owner alone, and locks the files of these
    /// services in it. The operating system frees the locks when the process ends,
    /// however it ends.
    ///
    /// # Errors
    /// [`StartError::FolderTaken`] or [`StartError::Folder`].
    pub fn take(folder: &Path, services: &[&str]) -> Result<Self, StartError> {
        let unusable = |source| StartError::Folder { folder: folder.to_owned(), source };
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(unusable)?;
        let mut locks = Vec::with_capacity(services.len());
        for service in services {
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join(format!("{service}.lock")))
                .map_err(unusable)?;
            match lock.try_lock() {
                Ok(()) => locks.push(lock),
                Err(TryLockError::WouldBlock) => {
                    return Err(StartError::FolderTaken { folder: folder.to_owned() });
                }
                Err(TryLockError::Error(source)) => return Err(unusable(source)),
            }
        }
        Ok(Self { _locks: locks })
    }
}

/// Waits for SIGINT or SIGTERM, then says stop; a second one ends the process at
/// once.
///
/// # Errors
/// When signals cannot be waited for.
pub fn stop_on_signal(stop: &Stop) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    // Not tracked: it waits for the second signal until the process is gone.
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked {
                std::process::exit(130);
            }
            asked = true;
            info!("stopping");
            stop.cancel();
        }
    });
    Ok(())
}

/// Runs a process from its first line to its exit code: TLS provider, no core
/// dumps, telemetry, signals, `work`, and telemetry flushed whatever came out.
pub fn run<F, W>(service: &'static str, work: F) -> ExitCode
where
    F: FnOnce(Stop) -> W,
    W: Future<Output = Result<(), Failure>>,
{
    // The first line of every process: a second provider would make rustls panic.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    forbid_core_dumps();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return say(&Failure::from(error)),
    };
    let outcome = runtime.block_on(async {
        let telemetry = Telemetry::start(service);
        let stop = Stop::new();
        stop_on_signal(&stop)?;
        let outcome = work(stop).await;
        telemetry.flush().await;
        outcome
    });
    // Blocking work that hangs must not hold up the exit.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => say(&failure),
    }
}

/// Any error, at the end of a process.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

fn say(failure: &Failure) -> ExitCode {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    let _ = writeln!(io::stderr(), "coachbot: {text}");
    if is_config(failure.as_ref()) { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
}

fn is_config(failure: &(dyn std::error::Error + 'static)) -> bool {
    failure.is::<ConfigError>() || matches!(failure.downcast_ref(), Some(StartError::Config(_)))
}

/// A core dump, or a debugger of the same user, would hold plaintext.
fn forbid_core_dumps() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once() {
        let folder = std::env::temp_dir().join(format!("coachbot-lock-{}", std::process::id()));
        let first = LockedFolder::take(&folder, &["vault", "agent"]).unwrap();
        let other = LockedFolder::take(&folder, &["gateway"]).unwrap();
        let refused = LockedFolder::take(&folder, &["agent"]).unwrap_err();
        assert!(refused.to_string().contains("is in use by another Coachbot"), "{refused}");
        drop((first, other));
        LockedFolder::take(&folder, &["vault", "agent", "gateway"]).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_taken_port_is_said_in_plain_words() {
        let first = listen("127.0.0.1:0".parse().unwrap(), "COACHBOT_LISTEN").await.unwrap();
        let refused = listen(first.local_addr().unwrap(), "COACHBOT_LISTEN").await.unwrap_err();
        assert!(refused.to_string().contains("set COACHBOT_LISTEN to another address"), "{refused}");
    }

    #[tokio::test]
    async fn a_task_that_dies_stops_the_rest() {
        let tasks = Tasks::new(Stop::new());
        let stop = tasks.stop().clone();
        tasks.spawn("waits", async move { stop.cancelled().await });
        tasks.spawn("dies", async { panic!("as the test wants") });
        tasks.stop().cancelled().await;
        tasks.finish(Duration::from_secs(5)).await;
        assert!(tasks.failed());
    }
}
