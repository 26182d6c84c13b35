//! A file in which a program reports its usage, where it does not print it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::agent_file::AgentFile;
use crate::containment::Containment;
use crate::definition::Definition;

/// The placeholder for the file's path in a definition's `command`.
pub(crate) const PLACE: &str = "{usage_file}";
/// The file's name in its folder.
const NAME: &str = "usage.json";
/// Limit of the file in bytes. A longer one is ignored.
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
    pub(super) fn for_run_of(
        definition: &Definition,
        containment: &Containment,
    ) -> io::Result<Option<Self>> {
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
        let made = Self { folder };
        containment.give(&made.folder)?;
        Ok(Some(made))
    }

    /// The folder, which the program writes.
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
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

    /// Reads the file, which the program could replace by anything, and removes its folder. `None` where the program
    /// wrote none.
    ///
    /// # Errors
    /// The file is not used: a sentence for people.
    pub(super) async fn take(self) -> Result<Option<Value>, String> {
        let reading = tokio::task::spawn_blocking(move || {
            let file = self;
            read(&file.folder)
        });
        let read = reading.await.unwrap_or_else(|why| Err(why.to_string()));
        read.map_err(|why| {
            format!("the file in which the program reports its usage is ignored: {why}")
        })
    }
}

fn read(folder: &Path) -> Result<Option<Value>, String> {
    let text = match AgentFile::beneath(folder, Path::new(NAME)).and_then(|it| it.all(MOST)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    // Programs that end early leave it empty.
    match text.is_empty() {
        true => Ok(None),
        false => serde_json::from_slice(&text).map_err(|error| format!("it is not JSON: {error}")),
    }
}

impl Drop for UsageFile {
    fn drop(&mut self) {
        let folder = std::mem::take(&mut self.folder);
        let remove = move || {
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::debug!(folder = %folder.display(), %error, "cannot remove the folder of a usage file");
            }
        };
        // The program may have filled the folder, and this thread may serve other runs.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
