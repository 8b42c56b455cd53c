//! The first run, without any configuration: a platform key is made and kept in
//! the data folder.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use coachbot_common::config::{Env, Reader};
use coachbot_common::lifecycle::StartError;

use crate::key;

const KEY: &str = "INTEGRATIONS_ENCRYPTION_KEY";
const KEY_FILE: &str = "INTEGRATIONS_ENCRYPTION_KEY_FILE";

/// An environment that also names the kept key, unless it names one itself.
pub(crate) struct WithKeptKey<E> {
    env: E,
    kept: Option<String>,
}

impl<E: Env> WithKeptKey<E> {
    /// Finds the kept key or makes one, and says so in a line for the person who
    /// started the program.
    ///
    /// # Errors
    /// When the data folder cannot be written.
    pub(crate) fn over(env: E) -> Result<(Self, Option<String>), StartError> {
        let configured =
            [KEY, KEY_FILE].iter().any(|name| env.get(name).is_some_and(|value| !value.is_empty()));
        if configured {
            return Ok((Self { env, kept: None }, None));
        }
        let folder = Reader::new(&env).data_dir();
        let path = folder.join("platform.key");
        let note = if path.exists() {
            format!("Key file:     the one kept in {}.", path.display())
        } else if folder.join("vault.sqlite").exists() {
            // A new key would not open what is there, and would hide that the old one is gone.
            let note = format!(
                "Key file:     {} is gone, and a new one would not open the stored credentials. Put it back, or set {KEY}.",
                path.display()
            );
            return Ok((Self { env, kept: None }, Some(note)));
        } else {
            keep_new_key(&folder, &path)
                .map_err(|source| StartError::Folder { folder: folder.clone(), source })?;
            format!(
                "Key file:     a new one was made and kept in {}. Lose it, and every stored credential is lost with it.",
                path.display()
            )
        };
        let kept = Some(path.to_string_lossy().into_owned());
        Ok((Self { env, kept }, Some(note)))
    }
}

fn keep_new_key(folder: &Path, path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", *key::generate())?;
    file.sync_all()
}

impl<E: Env> Env for WithKeptKey<E> {
    fn get(&self, name: &str) -> Option<String> {
        match &self.kept {
            Some(path) if name == KEY_FILE => Some(path.clone()),
            _ => self.env.get(name),
        }
    }

    fn names(&self) -> Vec<String> {
        self.env.names()
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::config::MapEnv;

    use super::*;

    fn kept(folder: &Path) -> (Option<String>, String) {
        let env = MapEnv::default().with("COACHBOT_DATA_DIR", folder.to_str().unwrap());
        let (env, note) = WithKeptKey::over(env).unwrap();
        (Reader::new(&env).text(KEY), note.unwrap())
    }

    #[test]
    fn the_first_run_makes_a_key_and_the_second_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let (first, note) = kept(folder.path());
        assert!(note.contains("a new one was made"), "{note}");
        let (second, note) = kept(folder.path());
        assert!(note.contains("the one kept"), "{note}");
        assert_eq!(first, second);
        assert_eq!(first.unwrap().len(), 64);
    }

    #[test]
    fn a_lost_key_is_not_replaced_over_existing_data() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vault.sqlite"), "").unwrap();
        let (key, note) = kept(folder.path());
        assert_eq!(key, None);
        assert!(note.contains("is gone"), "{note}");
    }

    #[test]
    fn a_configured_key_is_used_as_it_is() {
        let env = MapEnv::from([(KEY, "anything")]);
        let (env, note) = WithKeptKey::over(env).unwrap();
        assert_eq!((Reader::new(&env).text(KEY).as_deref(), note), (Some("anything"), None));
    }
}
