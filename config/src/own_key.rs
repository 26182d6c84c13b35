//! The key that a hub makes for itself where none is set, in its data folder: programs of the same user find it there.

use crate::cross_check::SHORTEST_KEY;
use crate::secret::Secret;
use kirosu_protocol::access::new_secret;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The file's name in the data folder.
pub const OWN_KEY_FILE: &str = "hub.key";
/// The longest file in bytes.
const LONGEST: u64 = 4096;

/// The path of the key's file.
pub fn own_key_path(data_dir: &Path) -> PathBuf {
    data_dir.join(OWN_KEY_FILE)
}

/// The key in a data folder. `None`: no hub of this user has made one there.
///
/// # Errors
/// The file cannot be read, or it could be another user's or read by one; the message says what to do.
pub fn own_key(data_dir: &Path) -> Result<Option<Secret>, String> {
    read(&own_key_path(data_dir))
}

fn read(path: &Path) -> Result<Option<Secret>, String> {
    let shown = path.display();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        // `O_NOFOLLOW`.
        Err(rustix::io::Errno::LOOP) => {
            return Err(format!(
                "{shown} is a symbolic link, so it is not used as the hub's key: replace it by the file itself, or name the file with hub.key_file"
            ));
        }
        Err(error) => return Err(format!("cannot read the hub's key from {shown}: {error}")),
    };
    let cannot = |error: io::Error| format!("cannot read the hub's key from {shown}: {error}");
    let found = file.metadata().map_err(cannot)?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!(
            "{shown} is not a file of this user, so it is not used as the hub's key: move it away"
        ));
    }
    if found.mode() & 0o077 != 0 {
        return Err(format!(
            "other users may read {shown}, which holds the hub's key: remove it, and the hub makes a new one"
        ));
    }
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    match text.trim() {
        "" => Err(format!(
            "{shown} is empty: remove it, and the hub makes a new key"
        )),
        key if key.contains('\n') => Err(format!(
            "{shown} has more than one line, so it is not used as the hub's key: leave the key in it, or remove it, and the hub makes a new one"
        )),
        key if key.chars().count() < SHORTEST_KEY => Err(format!(
            "the hub's key in {shown} has fewer than {SHORTEST_KEY} characters, so it can be guessed: remove the file, and the hub makes a new one"
        )),
        key => Ok(Some(Secret::new(key))),
    }
}

/// The key in a data folder, which is made first where it is missing. The file never exists without its content, and is
/// its owner's alone from the beginning.
///
/// # Errors
/// As [`own_key`], or the file cannot be made.
pub fn own_key_or_new(data_dir: &Path) -> Result<Secret, String> {
    read_or_new(&own_key_path(data_dir))
        .map_err(|error| format!("{error}; set KIRO_SWARM_KEY or hub.key_file instead"))
}

/// The secret of the tokens of runs, in a file next to the store, which is made first where it is missing.
///
/// # Errors
/// As [`own_key_or_new`].
pub fn run_secret_or_new(store: &Path) -> Result<Secret, String> {
    let mut path = store.as_os_str().to_owned();
    path.push(".runs");
    read_or_new(Path::new(&path))
}

fn read_or_new(path: &Path) -> Result<Secret, String> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    make(path).map_err(|error| format!("cannot make the key {}: {error}", path.display()))?;
    read(path)?.ok_or_else(|| format!("{} vanished", path.display()))
}

fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut folders = std::fs::DirBuilder::new();
    folders.recursive(true).mode(0o700).create(folder)?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
    let partial = PathBuf::from(partial);
    let _ = std::fs::remove_file(&partial);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(
        CWD,
        &partial,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?);
    let written = writeln!(file, "{}", new_secret()?).and_then(|()| file.sync_all());
    // A link does not replace the key that another hub has made at the same time.
    let linked = written.and_then(|()| {
        match rustix::fs::linkat(CWD, &partial, CWD, path, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    });
    let _ = std::fs::remove_file(&partial);
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::access::SECRET_PREFIX;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/data");
        assert_eq!(own_key(&data), Ok(None));
        let key = own_key_or_new(&data).unwrap();
        assert!(key.expose().starts_with(SECRET_PREFIX));
        assert_eq!(own_key_or_new(&data), Ok(key.clone()));
        assert_eq!(own_key(&data), Ok(Some(key)));
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(&data), mode(&own_key_path(&data))), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_may_have_written_or_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = own_key_path(folder.path());
        let message = || own_key_or_new(folder.path()).unwrap_err();
        std::fs::write(&path, "k").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(message().contains("other users may read"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(message().contains("is empty"));
        std::fs::write(&path, "0123456789abcde\n").unwrap();
        assert!(message().contains("fewer than 16 characters"));
        std::fs::write(&path, "a-key-of-20-letters\nanother-key-of-20\n").unwrap();
        assert!(message().contains("more than one line"));
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let key = own_key_or_new(folder.path()).unwrap();
        assert_eq!(key.expose(), "0123456789abcdef");
        std::fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert!(message().contains("is a symbolic link"));
    }
}
