//! Checks that a folder is still the one that Kirosu made or found: programs of a run can replace it, or a folder
//! above it, by a link, a file or another folder.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// Identifies a folder for as long as it exists. Inode numbers are reused, so the time of birth is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderId {
    device: u64,
    inode: u64,
    /// Nanoseconds since 1970; `None` if the file system does not record it.
    born_ns: Option<u64>,
}

impl FolderId {
    /// The identity of the folder at `path`.
    ///
    /// # Errors
    /// The path cannot be read.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&fs::symlink_metadata(path)?))
    }
}

impl From<&Metadata> for FolderId {
    fn from(found: &Metadata) -> Self {
        let born = found.created().ok();
        let born = born.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            device: found.dev(),
            inode: found.ino(),
            born_ns: born.and_then(|since| u64::try_from(since.as_nanos()).ok()),
        }
    }
}

/// Why a path is not the folder that it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FolderChange {
    /// Nothing is at the path.
    Gone,
    /// Something else is at the path; the text says what.
    Replaced(String),
}

impl fmt::Display for FolderChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("it is not there any more"),
            Self::Replaced(why) => f.write_str(why),
        }
    }
}

/// The identity of a real folder at an absolute path without links on the way.
///
/// # Errors
/// Something else is there.
pub(super) fn real_folder(path: &Path) -> Result<FolderId, FolderChange> {
    let unreadable = |error: io::Error| match is_gone(&error) {
        true => FolderChange::Gone,
        false => FolderChange::Replaced(format!("it cannot be read: {error}")),
    };
    let found = fs::symlink_metadata(path).map_err(unreadable)?;
    if found.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        let why = format!("a symbolic link to {} is in its place", target.display());
        return Err(FolderChange::Replaced(why));
    }
    if !found.is_dir() {
        return Err(FolderChange::Replaced("a file is in its place".to_owned()));
    }
    match path.canonicalize() {
        Ok(real) if real == *path => Ok(FolderId::from(&found)),
        Ok(real) => {
            let real = real.parent().unwrap_or(&real).display();
            let why = format!("a symbolic link on the way leads to {real}");
            Err(FolderChange::Replaced(why))
        }
        Err(error) => Err(unreadable(error)),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// A folder identified by its path without links and by its [`FolderId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderHandle {
    path: PathBuf,
    id: FolderId,
}

impl FolderHandle {
    /// The folder at a path as it is now.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            id: FolderId::of(path)?,
        })
    }

    /// Whether the same folder is at the path, without a link on the way.
    ///
    /// # Errors
    /// The thing in its place.
    pub(super) fn verify(&self) -> Result<(), FolderChange> {
        match real_folder(&self.path)? == self.id {
            true => Ok(()),
            false => Err(FolderChange::Replaced(
                "another folder is in its place".to_owned(),
            )),
        }
    }

    /// Removes the folder and its content. Blocks on the file system.
    ///
    /// # Errors
    /// Something else is at its path: nothing was removed. A file cannot be removed.
    pub(super) fn remove(&self) -> io::Result<()> {
        let changed = |why: FolderChange| io::Error::other(why.to_string());
        let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Err(io::Error::other("the root is not removed"));
        };
        // The open parent stays the same folder even if its name is given to another from here on.
        let parent = File::open(parent)?;
        self.verify().map_err(changed)?;
        let path = Path::new("/proc/self/fd")
            .join(parent.as_raw_fd().to_string())
            .join(name);
        if FolderId::of(&path)? != self.id {
            let why = "a folder above it was replaced".to_owned();
            return Err(changed(FolderChange::Replaced(why)));
        }
        fs::remove_dir_all(path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_the_same_folder_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let (pool, task) = (base.join("pool"), base.join("pool/task"));
        let person = base.join("person");
        let mine = person.join("task/mine");
        fs::create_dir_all(&task).unwrap();
        fs::create_dir_all(person.join("task")).unwrap();
        fs::write(&mine, "mine").unwrap();
        let held = FolderHandle::of(&task).unwrap();
        // The folder above is a link.
        fs::rename(&pool, base.join("old")).unwrap();
        symlink(&person, &pool).unwrap();
        assert!(held.remove().unwrap_err().to_string().contains("link"));
        // The folder above is another one.
        fs::remove_file(&pool).unwrap();
        fs::rename(&person, &pool).unwrap();
        let error = held.remove().unwrap_err().to_string();
        assert!(error.contains("another folder"), "{error}");
        assert!(pool.join("task/mine").is_file());
        // The folder itself is a link.
        fs::rename(&pool, &person).unwrap();
        fs::rename(base.join("old"), &pool).unwrap();
        fs::rename(&task, pool.join("aside")).unwrap();
        symlink(person.join("task"), &task).unwrap();
        assert!(held.remove().unwrap_err().to_string().contains("link"));
        assert!(mine.is_file());
        // The folder is back.
        fs::remove_file(&task).unwrap();
        fs::rename(pool.join("aside"), &task).unwrap();
        held.remove().unwrap();
        assert!(!task.exists() && mine.is_file());
        assert_eq!(held.verify(), Err(FolderChange::Gone));
    }
}
