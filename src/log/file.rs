//! The file `log.file`: opened at the start and again on each reload, so that a renamed file (logrotate) is replaced.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The log file of this process.
static FILE: OnceLock<SharedLogFile> = OnceLock::new();

/// An open log file and its path.
pub(super) struct SharedLogFile {
    path: PathBuf,
    file: Mutex<File>,
}

/// Opens the log file of this process for appending. A process has one log file: the first that was opened.
///
/// # Errors
/// The file cannot be created or written.
pub(super) fn open(path: &Path) -> Result<&'static SharedLogFile, String> {
    let failed = |why| cannot_open(path, why);
    let file = append(path).map_err(failed)?;
    // A later change of the working directory must not change the file.
    let path = std::path::absolute(path).map_err(failed)?;
    Ok(FILE.get_or_init(|| SharedLogFile {
        path,
        file: Mutex::new(file),
    }))
}

/// Opens the log file again at its path. Does nothing if the process does not log to a file.
///
/// # Errors
/// The file cannot be opened; the open one is used further.
pub fn reopen() -> Result<(), String> {
    let Some(log) = FILE.get() else {
        return Ok(());
    };
    let file = append(&log.path).map_err(|why| cannot_open(&log.path, why))?;
    *log.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
    Ok(())
}

fn cannot_open(path: &Path, why: io::Error) -> String {
    format!("cannot open the log file {}: {why}", path.display())
}

fn append(path: &Path) -> io::Result<File> {
    // It names tasks, files and errors: a new one is for its owner only. An existing file keeps its mode, so that an operator
    // or logrotate can let others read it.
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

impl Write for &SharedLogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes)
    }

    /// Writes one line under the lock, so that lines of several threads do not mix.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
