//! One hub per file: an exclusive lock on a file of its own.

use crate::error::OpenError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Holds the lock as long as it lives. The lock file stays; a dead holder's lock is gone with it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// A path with something appended to its last name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the lock of a database file, or says who has it.
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
        // Who may write to it may keep the store from its hub.
        .mode(0o644)
        .open(&lock)
        .map_err(io("its lock file cannot be made"))?;
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
    written.map_err(io("its lock file cannot be written"))?;
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
