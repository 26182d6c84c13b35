//! The folder for temporary files of one run in a sandbox, which may not write the common one.

use std::io;
use std::path::Path;

use tempfile::TempDir;

/// The folder. Dropping it removes it.
#[derive(Debug)]
pub(super) struct RunTemp(Option<TempDir>);

impl RunTemp {
    /// Makes a folder that only its owner may enter.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn make() -> io::Result<Self> {
        let made = tempfile::Builder::new().prefix("kirosu-run-").tempdir()?;
        Ok(Self(Some(made)))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new("/"), TempDir::path)
    }
}

impl Drop for RunTemp {
    fn drop(&mut self) {
        let Some(folder) = self.0.take() else {
            return;
        };
        let remove = move || {
            let shown = folder.path().to_owned();
            if let Err(error) = folder.close() {
                tracing::debug!(folder = %shown.display(), %error, "the temporary files of a run cannot be removed");
            }
        };
        // The run may have filled it, and this thread may serve others.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
