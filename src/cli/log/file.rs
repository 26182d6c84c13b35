//! `log.file`: opened at the start and again on a reload, so that whoever has renamed it (logrotate) gets a new one.

use crate::cli::failure::Failure;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The file that this process logs to.
static FILE: OnceLock<LogFile> = OnceLock::new();

/// A log file and its place.
pub(super) struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
}

/// Opens the log file of this process, at its end. A process has one: the first that was opened.
///
/// # Errors
/// It cannot be made or written.
pub(super) fn open(path: &Path) -> Result<&'static LogFile, Failure> {
    let failed = |why| Failure::local(format!("cannot open the log file {}", path.display()), why);
    let file = append(path).map_err(failed)?;
    // Another directory must not make another file of it.
    let path = std::path::absolute(path).map_err(failed)?;
    Ok(FILE.get_or_init(|| LogFile {
        path,
        file: Mutex::new(file),
    }))
}

/// Opens the log file anew under its name; nothing where the log is no file.
///
/// # Errors
/// It cannot be opened: a sentence. The file that is open stays.
pub fn reopen() -> Result<(), String> {
    let Some(log) = FILE.get() else {
        return Ok(());
    };
    let file = append(&log.path)
        .map_err(|why| format!("cannot open the log file {}: {why}", log.path.display()))?;
    *log.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
    Ok(())
}

fn append(path: &Path) -> io::Result<File> {
    // Not writable for others, whatever the umask.
    File::options()
        .create(true)
        .append(true)
        .mode(0o644)
        .open(path)
}

impl Write for &LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes)
    }

    /// One line at a time, so that those of several threads do not mix.
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
