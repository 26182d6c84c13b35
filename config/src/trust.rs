//! Trust in the settings file of a folder.
//!
//! A `kirosu.toml` that a search finds in the working directory may belong to a repository of other people. It can start
//! programs, and name the hub to which the user's key is sent. So it counts only if the user has trusted it: its path and
//! exactly this content. Each trusted file has a record of its own in `$XDG_STATE_HOME/kirosu/trusted`, so that two
//! commands cannot overwrite each other's.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf, absolute};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::load::Loaded;
use crate::locate::xdg;
use crate::options::LoadOptions;
use crate::read_text::read_text;

/// Largest record in bytes: a path and a hash.
const RECORD_BYTES: u64 = 64 << 10;

/// Whether the user trusts a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The user has trusted this content at this path.
    Trusted,
    /// The user has trusted another content at this path.
    Changed,
    /// The user has not trusted this path.
    Unknown,
}

/// A trusted file: its canonical path and the SHA-256 of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRecord {
    /// The path; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The hash, in hexadecimal.
    pub sha256: String,
}

/// The folder for what commands of this user remember. `None` means that there is no home directory.
pub fn state_folder(options: &LoadOptions) -> Option<PathBuf> {
    let (state, _) = xdg(|name| options.var(name), "XDG_STATE_HOME", ".local/state")?;
    Some(state.join("kirosu"))
}

/// The files that the user has trusted.
#[derive(Debug, Clone)]
pub struct TrustStore {
    folder: PathBuf,
}

impl TrustStore {
    /// The store of the user whose environment `options` have. `None` means that there is no home directory.
    pub fn of(options: &LoadOptions) -> Option<Self> {
        Some(Self {
            folder: state_folder(options)?.join("trusted"),
        })
    }

    /// Whether the user trusts a file with this text. A record that cannot be read counts as none.
    pub fn trust(&self, path: &Path, text: &str) -> Trust {
        let path = canonical(path);
        match self.record(&path) {
            Ok(record) if record.sha256 == hash(text.as_bytes()) => Trust::Trusted,
            Ok(_) => Trust::Changed,
            Err(_) => Trust::Unknown,
        }
    }

    /// All records, sorted by path.
    ///
    /// # Errors
    /// The folder of the records cannot be read.
    pub fn list(&self) -> io::Result<Vec<TrustRecord>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "json") {
                records.extend(read(&path).ok());
            }
        }
        records.sort_by(|a: &TrustRecord, b| a.path.cmp(&b.path));
        Ok(records)
    }

    /// Removes the record of a path. Returns whether there was one.
    ///
    /// # Errors
    /// The record cannot be removed.
    pub fn remove(&self, path: &Path) -> io::Result<bool> {
        match fs::remove_file(self.file(&canonical(path))) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    fn add(&self, path: &Path, sha256: &str) -> io::Result<TrustRecord> {
        let path = canonical(path);
        let record = TrustRecord {
            path: path.to_string_lossy().into_owned(),
            sha256: sha256.to_owned(),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let file = self.file(&path);
        let new = file.with_extension(format!("new-{}", std::process::id()));
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut out = options.open(&new)?;
        out.write_all(&serde_json::to_vec(&record)?)?;
        fs::rename(new, file)?;
        Ok(record)
    }

    fn record(&self, path: &Path) -> io::Result<TrustRecord> {
        read(&self.file(path))
    }

    fn file(&self, path: &Path) -> PathBuf {
        let name = hash(path.as_os_str().as_bytes());
        self.folder.join(format!("{name}.json"))
    }
}

impl Loaded {
    /// Records that the user trusts the file of these settings, with the content that was read. Returns the record.
    ///
    /// # Errors
    /// No file was read, there is no home directory, or the record cannot be written.
    pub fn trust(&self) -> io::Result<TrustRecord> {
        let (Some(path), Some(sha256)) = (&self.file, &self.sha256) else {
            return Err(io::Error::other("no file was read"));
        };
        let store = TrustStore::of(&self.options)
            .ok_or_else(|| io::Error::other("there is no home directory: set HOME"))?;
        store.add(path, sha256)
    }
}

fn read(record: &Path) -> io::Result<TrustRecord> {
    Ok(serde_json::from_str(&read_text(record, RECORD_BYTES)?)?)
}

/// The path without links; for a file that is gone, the absolute one.
fn canonical(path: &Path) -> PathBuf {
    let gone = |_| absolute(path).unwrap_or_else(|_| path.to_owned());
    fs::canonicalize(path).unwrap_or_else(gone)
}

/// The SHA-256 in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reason why a file that was only found in the working directory is not used; `None` means that the user trusts it.
pub(crate) fn doubt(options: &LoadOptions, path: &Path, text: &str) -> Option<String> {
    let trust = TrustStore::of(options).map(|store| store.trust(path, text));
    let shown = canonical(path);
    let shown = shown.display();
    let advice = "`kirosu trust` shows what it sets and asks, --config uses it without asking";
    match trust {
        Some(Trust::Trusted) => None,
        Some(Trust::Changed) => Some(format!(
            "{shown} has changed since you trusted it: {advice}"
        )),
        Some(Trust::Unknown) => Some(format!(
            "{shown} was only found in this folder, and you have not trusted it: {advice}"
        )),
        None => Some(format!(
            "{shown} was only found in this folder, and without a home directory (HOME) there is no record of trust: name it with --config"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_in_one_content_at_one_path() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().display().to_string();
        let options = LoadOptions::with_env([("HOME", home.as_str()), ("XDG_STATE_HOME", "rel")]);
        let store = TrustStore::of(&options).unwrap();
        let (one, link) = (dir.path().join("one.toml"), dir.path().join("link.toml"));
        fs::write(&one, "a").unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        assert_eq!(store.trust(&one, "a"), Trust::Unknown);
        assert!(store.list().unwrap().is_empty());
        let record = store.add(&link, &hash(b"a")).unwrap();
        assert_eq!(store.trust(&one, "a"), Trust::Trusted);
        assert_eq!(store.trust(&link, "a"), Trust::Trusted);
        assert_eq!(store.trust(&one, "b"), Trust::Changed);
        assert_eq!(store.trust(&dir.path().join("two"), "a"), Trust::Unknown);
        assert_eq!(store.list().unwrap(), [record]);
        fs::remove_file(&one).unwrap();
        assert!(
            store
                .remove(&fs::canonicalize(dir.path()).unwrap().join("one.toml"))
                .unwrap()
        );
        assert!(!store.remove(&one).unwrap());
        assert!(TrustStore::of(&LoadOptions::default()).is_none());
    }
}
