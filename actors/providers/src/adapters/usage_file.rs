//! A file in which a program tells what it used, where it does not print that.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::definition::Definition;

/// Stands for the file's path in a definition's `command`.
pub(crate) const PLACE: &str = "{usage_file}";
/// A longer file tells nothing.
const MOST: u64 = 1 << 20;

/// A place for the file in a folder that only we may enter; gone when the value is.
#[derive(Debug)]
pub(super) struct UsageFile {
    folder: PathBuf,
}

impl UsageFile {
    /// For a definition that has a place for it.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(super) fn for_run_of(definition: &Definition) -> io::Result<Option<Self>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if !definition.command.iter().any(|it| it.contains(PLACE)) {
            return Ok(None);
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let name = format!(
            "kirosu-usage-{}-{number}-{}",
            std::process::id(),
            since.subsec_nanos()
        );
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Some(Self { folder }))
    }

    fn path(&self) -> PathBuf {
        self.folder.join("usage.json")
    }

    /// The definition with the path in its place.
    pub(super) fn in_place(&self, definition: &Definition) -> Definition {
        let path = self.path().to_string_lossy().into_owned();
        let mut definition = definition.clone();
        for part in &mut definition.command {
            *part = part.replace(PLACE, &path);
        }
        definition
    }

    /// What the program wrote, if it did.
    pub(super) fn read(&self) -> Option<Value> {
        let mut text = Vec::new();
        let file = File::open(self.path()).ok()?;
        file.take(MOST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

impl Drop for UsageFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(folder = %self.folder.display(), %error, "a file of figures stays behind");
        }
    }
}
