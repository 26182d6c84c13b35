//! Makes and removes files in folders that an agent can change at any time.
//!
//! The name of a folder may be a link to another place by the time that something is written there. [`AgentFolder`] holds an open
//! folder and reaches all else from it, name by name, without following links. Its calls block on the file system.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};
use std::time::{Duration, SystemTime};

use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timestamps, UTIME_NOW, fchmod, futimens, mkdirat,
    open, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::agent_file::open_folder;
use crate::containment::RunUser;

/// Levels of folders that are removed.
const LEVELS: usize = 16;
/// Everyone may read: runs of other pools in the same folder may have other users.
const READ_ONLY: Mode = Mode::from_raw_mode(0o444);
const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// An open folder.
#[derive(Debug)]
pub struct AgentFolder(OwnedFd);

/// Tells whether a file was changed or replaced: its time of change cannot be set by a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMark {
    device: u64,
    inode: u64,
    size: i64,
    changed: (i64, u64),
}

impl AgentFolder {
    /// Opens `inner` in `folder`. Links are followed up to `folder` itself, but not below it.
    ///
    /// # Errors
    /// The reason why it is not opened, without its name.
    pub fn beneath(folder: &Path, inner: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut opened = Self(open(folder, flags, Mode::empty()).map_err(reason)?);
        for part in inner.components() {
            opened = match part {
                Component::Normal(name) => opened.folder(name)?,
                Component::CurDir => opened,
                _ => return Err(io::Error::other("it is outside of its folder")),
            };
        }
        Ok(opened)
    }

    /// Opens a folder in it.
    ///
    /// # Errors
    /// As [`beneath`](Self::beneath).
    pub fn folder(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let opened = open_folder(self.0.as_fd(), name.as_ref());
        opened.map(Self).map_err(reason)
    }

    /// Opens a folder in it, and makes it if it is missing, for this user. Returns whether it was made. A folder that took the place of
    /// the new one meanwhile is as one that was there: its owner and mode stay.
    ///
    /// # Errors
    /// As [`beneath`](Self::beneath), or it cannot be made.
    pub fn make(&self, name: &str, user: Option<&RunUser>) -> io::Result<(Self, bool)> {
        match mkdirat(&self.0, name, FOLDER) {
            Err(Errno::EXIST) => return Ok((self.folder(name)?, false)),
            made => made?,
        }
        let made = self.folder(name)?;
        let listed = made.listable()?;
        if !is_new(&listed)? {
            return Ok((made, false));
        }
        // Whatever the umask is.
        fchmod(&listed, FOLDER)?;
        if let Some(user) = user {
            user.own_entry(&made.0)?;
        }
        Ok((made, true))
    }

    /// As [`make`](Self::make), for a folder in which neither agents nor people have files of their own: anything else in its place is removed.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn make_own(&self, name: &str, user: Option<&RunUser>) -> io::Result<(Self, bool)> {
        match self.make(name, user) {
            Err(_) if self.is_something_else(name) => {
                unlinkat(&self.0, name, AtFlags::empty())?;
                self.make(name, user)
            }
            made => made,
        }
    }

    fn is_something_else(&self, name: &str) -> bool {
        let found = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|it| FileType::from_raw_mode(it.st_mode) != FileType::Directory)
    }

    /// Makes a new file.
    ///
    /// # Errors
    /// Something has this name, or it cannot be made.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(made.into())
    }

    /// Puts a new file that is complete, read-only and of this user, in the place of whatever has the other name.
    ///
    /// # Errors
    /// A folder has the other name, or the file cannot be changed.
    pub fn publish(
        &self,
        file: &File,
        (name, to): (&str, &str),
        user: Option<&RunUser>,
    ) -> io::Result<FileMark> {
        fchmod(file, READ_ONLY)?;
        if let Some(user) = user {
            user.own_entry(file)?;
        }
        renameat(&self.0, name, &self.0, to)?;
        Ok(FileMark::of(&rustix::fs::fstat(file)?))
    }

    /// The mark of a file; `None` if there is no regular file of this name.
    #[must_use]
    pub fn mark(&self, name: &str) -> Option<FileMark> {
        let found = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        is_file.then(|| FileMark::of(&found))
    }

    /// Sets the time of its last change to now.
    ///
    /// # Errors
    /// The time cannot be set.
    pub fn touch(&self) -> io::Result<()> {
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        Ok(futimens(self.listable()?, &times)?)
    }

    /// Removes the folders in it that have not changed for a time, except for one. Those that cannot be removed stay.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn remove_old(&self, age: Duration, except: &str) -> io::Result<()> {
        let before = SystemTime::now().checked_sub(age);
        let before = before.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let before = before.map_or(0, |at| at.as_secs());
        for entry in Dir::new(self.listable()?)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_itself(name) || name.to_bytes() == except.as_bytes() {
                continue;
            }
            let found = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
            let is_old = found.is_ok_and(|it| {
                FileType::from_raw_mode(it.st_mode) == FileType::Directory
                    && u64::try_from(it.st_mtime).unwrap_or(0) < before
            });
            if is_old {
                let _ = self.remove_entry(name, LEVELS);
            }
        }
        Ok(())
    }

    /// Removes a file, or a folder with all in it. Links are removed, not followed.
    ///
    /// # Errors
    /// Something cannot be removed. `NotFound`: nothing has this name.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let name = std::ffi::CString::new(name)?;
        self.remove_entry(&name, LEVELS)
    }

    /// Removes a folder if it is empty.
    ///
    /// # Errors
    /// It is not empty, or cannot be removed.
    pub fn remove_empty(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    fn remove_entry(&self, name: &CStr, levels: usize) -> io::Result<()> {
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::ISDIR) if levels > 0 => {}
            removed => return Ok(removed?),
        }
        let inner = self.folder(OsStr::from_bytes(name.to_bytes()))?;
        for entry in Dir::new(inner.listable()?)? {
            let entry = entry?;
            if !is_itself(entry.file_name()) {
                inner.remove_entry(entry.file_name(), levels - 1)?;
            }
        }
        Ok(unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    fn listable(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.0, ".", flags, Mode::empty())
    }
}

impl FileMark {
    fn of(found: &Stat) -> Self {
        Self {
            device: found.st_dev,
            inode: found.st_ino,
            size: found.st_size,
            changed: (found.st_ctime, found.st_ctime_nsec),
        }
    }
}

/// Whether a folder can be one that this process has just made: it is the owner, and nothing is in it.
fn is_new(folder: &OwnedFd) -> io::Result<bool> {
    if rustix::fs::fstat(folder)?.st_uid != geteuid().as_raw() {
        return Ok(false);
    }
    for entry in Dir::read_from(folder)? {
        if !is_itself(entry?.file_name()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_itself(name: &CStr) -> bool {
    [c".", c".."].contains(&name)
}

fn reason(errno: Errno) -> io::Error {
    match errno {
        Errno::LOOP => io::Error::other("it is a symbolic link, which is not followed"),
        Errno::NOTDIR => io::Error::other("it is a file, not a folder"),
        errno => errno.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn links_lead_neither_a_write_nor_a_removal_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let (work, other) = (root.path().join("work"), root.path().join("other"));
        fs::create_dir_all(work.join("sub")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("mine"), "mine").unwrap();
        let folder = AgentFolder::beneath(&work, Path::new("sub")).unwrap();
        symlink("../../other", work.join("sub/link")).unwrap();
        let why = folder.make("link", None).unwrap_err().to_string();
        assert!(why.contains("symbolic link"), "{why}");
        let why = AgentFolder::beneath(&work, Path::new("sub/link")).unwrap_err();
        assert!(why.to_string().contains("symbolic link"), "{why}");
        assert!(AgentFolder::beneath(&work, Path::new("../other")).is_err());
        // A folder of our own takes the place of the link.
        let (own, made) = folder.make_own("link", None).unwrap();
        assert!(made && work.join("sub/link").is_dir());
        fs::create_dir_all(work.join("sub/link/deep/er")).unwrap();
        symlink(&other, work.join("sub/link/deep/out")).unwrap();
        own.remove("deep").unwrap();
        folder.remove("link").unwrap();
        assert_eq!(fs::read_to_string(other.join("mine")).unwrap(), "mine");
        assert_eq!(fs::read_dir(work.join("sub")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_with_files_is_not_taken_for_a_new_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = AgentFolder::beneath(root.path(), Path::new("")).unwrap();
        let is_new = |name: &str| is_new(&folder.folder(name).unwrap().listable().unwrap());
        assert!(folder.make("new", None).unwrap().1);
        assert!(is_new("new").unwrap());
        assert!(!folder.make("new", None).unwrap().1);
        fs::write(root.path().join("new/file"), "").unwrap();
        assert!(!is_new("new").unwrap());
        // The owner of the root folder is another one, unless root runs the test.
        if !geteuid().is_root() {
            assert!(!super::is_new(&File::open("/").unwrap().into()).unwrap());
        }
    }

    #[test]
    fn a_file_is_complete_and_read_only_when_it_has_its_name() {
        let root = tempfile::tempdir().unwrap();
        let folder = AgentFolder::beneath(root.path(), Path::new("")).unwrap();
        let target = root.path().join("target");
        fs::write(&target, "target").unwrap();
        symlink(&target, root.path().join("text")).unwrap();
        let mut file = folder.create("new").unwrap();
        file.write_all(b"all").unwrap();
        let mark = folder.publish(&file, ("new", "text"), None).unwrap();
        assert_eq!(folder.mark("text"), Some(mark));
        let text = root.path().join("text");
        assert_eq!(fs::symlink_metadata(&text).unwrap().mode() & 0o777, 0o444);
        assert_eq!(fs::read_to_string(&text).unwrap(), "all");
        assert_eq!(fs::read_to_string(&target).unwrap(), "target");
        // Another file of the same length.
        fs::remove_file(&text).unwrap();
        fs::write(&text, "lla").unwrap();
        assert_ne!(folder.mark("text"), Some(mark));
    }

    #[test]
    fn old_folders_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = AgentFolder::beneath(root.path(), Path::new("")).unwrap();
        for name in ["old", "own", "new"] {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("file"), name).unwrap();
        }
        let long_ago = SystemTime::now() - Duration::from_secs(100);
        for name in ["old", "own", "new"] {
            let dir = File::open(root.path().join(name)).unwrap();
            dir.set_modified(long_ago).unwrap();
        }
        folder.folder("new").unwrap().touch().unwrap();
        folder.remove_old(Duration::from_secs(50), "own").unwrap();
        let left = fs::read_dir(root.path()).unwrap();
        let mut left: Vec<_> = left.map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["new", "own"]);
    }
}
