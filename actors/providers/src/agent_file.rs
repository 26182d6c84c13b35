//! Reads files that an agent can write, create or replace at any time.
//!
//! The name may be a link to a secret, a FIFO whose open never returns, a device, or a file without end. [`AgentFile`]
//! is the only way in which Kirosu reads such a file: it opens regular files only, never waits for a writer, and reads
//! a bounded number of bytes. Reads block on the file system, so callers on an actor's thread use `spawn_blocking`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Component, Path};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};
use rustix::io::Errno;

/// Limit in bytes for files of a few lines.
pub const FEW_LINES: u64 = 64 << 10;
/// Limit in bytes for files whose length grows with their use, such as logs of references.
pub const MANY_LINES: u64 = 64 << 20;

/// `O_NONBLOCK`: an open of a FIFO returns at once. `O_NOCTTY`: no terminal becomes that of this process.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// How often an open is repeated that a rename elsewhere in the file system made uncertain.
const REPEATS: usize = 16;

/// A regular file, open for reading.
#[derive(Debug)]
pub struct AgentFile(File);

impl AgentFile {
    /// Opens `name` beneath `folder`. Links are followed up to `folder` itself, but not below it.
    ///
    /// # Errors
    /// `NotFound`: there is no such file. Else the reason why it is not read, without its name.
    pub fn beneath(folder: &Path, name: &Path) -> io::Result<Self> {
        let folder = open(
            folder,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let opened = match opened_by_kernel(&folder, name) {
            // The kernel is older than 5.6, or a sandbox does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => opened_by_steps(&folder, name),
            opened => opened,
        };
        Self::regular(opened)
    }

    /// Opens the file of this path, whose folder the caller vouches for: only the last part must not be a link.
    ///
    /// # Errors
    /// As [`beneath`](Self::beneath).
    pub fn at(path: &Path) -> io::Result<Self> {
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if folder == Path::new("") => {
                Self::beneath(Path::new("."), Path::new(name))
            }
            (Some(folder), Some(name)) => Self::beneath(folder, Path::new(name)),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    /// Opens a person's own settings file, which may be a link into the folder where the person keeps such files.
    ///
    /// # Errors
    /// As [`beneath`](Self::beneath).
    pub fn through_links(path: &Path) -> io::Result<Self> {
        Self::regular(open(path, FLAGS, Mode::empty()))
    }

    fn regular(opened: rustix::io::Result<OwnedFd>) -> io::Result<Self> {
        let refused = |why: &str| Err(io::Error::new(ErrorKind::Unsupported, why.to_owned()));
        let file = match opened {
            Ok(file) => file,
            Err(Errno::LOOP) => {
                return refused("it is a link or behind one, which is not followed");
            }
            Err(Errno::XDEV) => return refused("it is outside of its folder"),
            Err(Errno::NXIO) => return refused("it is not a regular file"),
            // A file is in the place of one of its folders.
            Err(Errno::NOTDIR) => return Err(ErrorKind::NotFound.into()),
            Err(errno) => return Err(errno.into()),
        };
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(Self(file.into())),
            FileType::Directory => refused("it is a folder, not a regular file"),
            FileType::Fifo => refused("it is a FIFO, not a regular file"),
            _ => refused("it is not a regular file"),
        }
    }

    /// Reads at most the first `limit` bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn beginning(self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the whole file.
    ///
    /// # Errors
    /// It is longer than `limit` bytes, or cannot be read.
    pub fn all(self, limit: u64) -> io::Result<Vec<u8>> {
        let bytes = self.beginning(limit.saturating_add(1))?;
        match bytes.len() as u64 > limit {
            true => Err(too_long(limit)),
            false => Ok(bytes),
        }
    }

    /// Reads the whole file as text.
    ///
    /// # Errors
    /// It is longer than `limit` bytes, is not UTF-8, or cannot be read.
    pub fn text(self, limit: u64) -> io::Result<String> {
        String::from_utf8(self.all(limit)?)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
    }

    /// Copies the whole file, with its time of change, to a new or emptied file.
    ///
    /// # Errors
    /// It is longer than `limit` bytes, or cannot be read, or the copy cannot be written.
    pub fn copy_to(self, copy: &Path, limit: u64) -> io::Result<()> {
        let modified = self.0.metadata()?.modified()?;
        let mut copy = File::create(copy)?;
        let copied = io::copy(&mut self.0.take(limit.saturating_add(1)), &mut copy)?;
        match copied > limit {
            true => Err(too_long(limit)),
            false => copy.set_modified(modified),
        }
    }

    /// The open file.
    #[must_use]
    pub fn into_file(self) -> File {
        self.0
    }
}

fn too_long(limit: u64) -> io::Error {
    let why = match limit >> 20 {
        0 => format!("it is longer than {} KiB", limit >> 10),
        mebibytes => format!("it is longer than {mebibytes} MiB"),
    };
    io::Error::new(ErrorKind::FileTooLarge, why)
}

fn opened_by_kernel(folder: &OwnedFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = FLAGS | OFlags::NOFOLLOW;
    for _ in 0..REPEATS {
        match openat2(folder, name, flags, Mode::empty(), within) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
    Err(Errno::AGAIN)
}

/// Opens folder after folder, for kernels without `openat2`.
fn opened_by_steps(folder: &OwnedFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let parts = name.components().map(|part| match part {
        Component::Normal(part) => Ok(part),
        _ => Err(Errno::XDEV),
    });
    let parts = parts.collect::<rustix::io::Result<Vec<_>>>()?;
    let (last, folders) = parts.split_last().ok_or(Errno::ISDIR)?;
    let mut inner: Option<OwnedFd> = None;
    for part in folders {
        let above = inner.as_ref().unwrap_or(folder).as_fd();
        inner = Some(open_folder(above, part)?);
    }
    let above = inner.as_ref().unwrap_or(folder).as_fd();
    openat(above, *last, FLAGS | OFlags::NOFOLLOW, Mode::empty())
}

/// Opens a folder of this name in another one, to reach what is in it; no link.
pub(crate) fn open_folder(above: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(above, name, flags, Mode::empty()) {
        Err(Errno::NOTDIR) => {
            let found = rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Symlink => Err(Errno::LOOP),
                _ => Err(Errno::NOTDIR),
            }
        }
        opened => opened,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    type Opens = fn(&OwnedFd, &Path) -> rustix::io::Result<OwnedFd>;
    const WAYS: [Opens; 2] = [opened_by_kernel, opened_by_steps];

    fn refused(found: io::Result<AgentFile>) -> String {
        found.map(drop).unwrap_err().to_string()
    }

    #[test]
    fn only_regular_files_beneath_the_folder_are_opened() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("work");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::write(root.path().join("secret"), "secret").unwrap();
        std::fs::write(folder.join("sub/plain"), "plain").unwrap();
        symlink("../secret", folder.join("out")).unwrap();
        symlink("sub/plain", folder.join("in")).unwrap();
        symlink("sub", folder.join("other")).unwrap();
        symlink("/proc/self", folder.join("magic")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("fifo"), Mode::RUSR).unwrap();
        let _socket = UnixListener::bind(folder.join("socket")).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let start = open(&folder, flags, Mode::empty()).unwrap();
        for way in WAYS {
            let open = |name: &str| AgentFile::regular(way(&start, Path::new(name)));
            assert_eq!(open("sub/plain").unwrap().text(5).unwrap(), "plain");
            for link in ["out", "in", "other/plain", "magic/environ"] {
                assert!(refused(open(link)).contains("is a link"), "{link}");
            }
            for outside in ["../secret", "sub/../../secret", "/etc/passwd"] {
                assert!(refused(open(outside)).contains("outside"), "{outside}");
            }
            assert!(refused(open("fifo")).contains("FIFO"));
            assert!(refused(open("sub")).contains("folder"));
            assert!(refused(open("socket")).contains("regular"));
            for missing in ["none", "none/below", "sub/plain/below"] {
                let kind = open(missing).unwrap_err().kind();
                assert_eq!(kind, ErrorKind::NotFound, "{missing}");
            }
        }
        assert!(refused(AgentFile::at(&folder.join("out"))).contains("is a link"));
        assert!(refused(AgentFile::through_links(&folder.join("fifo"))).contains("FIFO"));
        let linked = AgentFile::through_links(&folder.join("in")).unwrap();
        assert_eq!(linked.text(5).unwrap(), "plain");
    }

    #[test]
    fn no_more_is_read_than_the_limit() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("endless");
        std::fs::write(&path, "x").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let open = || AgentFile::at(&path).unwrap();
        assert_eq!(open().beginning(3).unwrap(), b"x\0\0");
        let fault = open().all(2 << 10).unwrap_err().to_string();
        assert_eq!(fault, "it is longer than 2 KiB");
        let copy = root.path().join("copy");
        let fault = open().copy_to(&copy, 1 << 20).unwrap_err().to_string();
        assert_eq!(fault, "it is longer than 1 MiB");
    }
}
