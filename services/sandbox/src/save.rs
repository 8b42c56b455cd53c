//! The state's file.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::world::World;

const FILE: &str = "sandbox.json";

/// Why the state's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The file or its folder cannot be read or written.
    #[error("the sandbox's state cannot be kept in {}: {source}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} does not hold the sandbox's state; move it away to begin anew: {source}", .path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Keeps the state's file up to date. Changes that come while it is written are
/// written together.
#[derive(Debug)]
pub struct Saver {
    path: Option<PathBuf>,
    wanted: watch::Sender<u64>,
    saved: watch::Sender<u64>,
}

impl Saver {
    /// Reads what the folder holds; without a folder nothing is kept.
    ///
    /// # Errors
    /// [`SaveError`] when there is something that cannot be used.
    pub fn open(folder: Option<&Path>) -> Result<(Self, World), SaveError> {
        let mut world = World::default();
        let mut path = None;
        if let Some(folder) = folder {
            let file = folder.join(FILE);
            let failed = |source| SaveError::File { path: file.clone(), source };
            match fs::read(&file) {
                Ok(bytes) => {
                    world = serde_json::from_slice(&bytes)
                        .map_err(|source| SaveError::Content { path: file.clone(), source })?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
            path = Some(file);
        }
        Ok((Self { path, wanted: watch::Sender::new(0), saved: watch::Sender::new(0) }, world))
    }

    /// Marks a change and gives its number.
    pub fn changed(&self) -> u64 {
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            number = *wanted;
        });
        number
    }

    /// Waits until the change of this number is in the file.
    pub async fn kept(&self, number: u64) {
        if self.path.is_some() {
            // The sender is this value's own: it cannot be gone.
            let _ = self.saved.subscribe().wait_for(|saved| *saved >= number).await;
        }
    }

    /// Writes whenever something changed, until nobody changes anything more.
    ///
    /// # Errors
    /// [`SaveError::File`] when a write fails.
    pub async fn keep(
        &self,
        bytes: impl Fn() -> Vec<u8>,
        end: impl Future<Output = ()>,
    ) -> Result<(), SaveError> {
        let Some(path) = &self.path else {
            end.await;
            return Ok(());
        };
        let mut wanted = self.wanted.subscribe();
        tokio::pin!(end);
        loop {
            let ended = tokio::select! {
                _ = wanted.changed() => false,
                () = &mut end => true,
            };
            // The number first: what changes after it is written once more.
            let number = *wanted.borrow_and_update();
            if number > *self.saved.borrow() {
                let bytes = bytes();
                let target = path.clone();
                let written = tokio::task::spawn_blocking(move || write(&target, &bytes)).await;
                written
                    .map_err(io::Error::other)
                    .and_then(|written| written)
                    .map_err(|source| SaveError::File { path: path.clone(), source })?;
                self.saved.send_replace(number);
            }
            if ended {
                return Ok(());
            }
        }
    }
}

/// A reader sees the old state or the new one, never a part.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("json.new");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(draft, path)
}
