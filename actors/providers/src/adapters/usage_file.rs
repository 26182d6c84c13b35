//! A file in which a program reports its usage, where it does not print it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::definition::Definition;

/// The placeholder for the file's path in a definition's `command`.
pub(crate) const PLACE: &str = "{usage_file}";
/// Bytes of the file that are read. A longer file is not valid JSON then and is ignored.
const MOST: u64 = 1 << 20;

/// The file's place, in a folder that only its owner may enter. Dropping it removes the folder.
#[derive(Debug)]
pub(super) struct UsageFile {
    folder: PathBuf,
}

impl UsageFile {
    /// Makes the folder for a definition with the placeholder. `None` for a definition without it.
    ///
    /// # Errors
    /// When the folder cannot be made.
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

    /// The definition with the path in place of the placeholder.
    pub(super) fn in_place(&self, definition: &Definition) -> Definition {
        let path = self.path().to_string_lossy().into_owned();
        let mut definition = definition.clone();
        for part in &mut definition.command {
            *part = part.replace(PLACE, &path);
        }
        definition
    }

    /// The content of the file. `None` where the program wrote no JSON document.
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
            tracing::debug!(folder = %self.folder.display(), %error, "cannot remove the folder of a usage file");
        }
    }
}
