//! One hub per file: an exclusive lock on a separate file.

use crate::error::OpenError;
use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Holds the lock until it is dropped. The lock file stays; the lock of a process ends with the process.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// The path of a file in the same directory: `suffix` is appended to the file name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Syncs the directory of a file, so that the file's name survives a power cut.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Takes the lock of a database file.
///
/// # Errors
/// Another process holds it, or the lock file cannot be created.
pub(crate) fn take(path: &Path) -> Result<Lock, OpenError> {
    let lock = beside(path, ".lock");
    let io = |what| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, what, source }
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // A process that may open the lock file could lock out the hub.
        .mode(0o600)
        .open(&lock)
        .map_err(io("its lock file cannot be created"))?;
    // One of an earlier version has another mode. One of another user keeps it.
    let _ = fchmod(&file, Mode::RUSR | Mode::WUSR);
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(OpenError::Locked {
                path: path.to_owned(),
                holder: holder(&mut file),
                lock,
            });
        }
        Err(errno) => return Err(io("its lock file cannot be locked")(errno.into())),
    }
    let written = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = written {
        // The lock holds without the process id in it; a full disk must not prevent reads.
        tracing::warn!(%error, lock = %lock.display(), "the process id cannot be written into the lock file of the store");
    }
    Ok(Lock { _file: file })
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}
