//! Another user for the runs of a pool.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{User, getgrouplist};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, open, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::agent_file::open_folder;

/// How an entry of a folder is opened to change its owner: the entry itself, if it is a link, without reading it.
const ENTRY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Rights that a process needs to run programs as another user, by their bit in `/proc/self/status`, with the reason.
const RIGHTS: &[(u32, &str)] = &[
    (0, "CAP_CHOWN"),
    (1, "CAP_DAC_OVERRIDE"),
    (5, "CAP_KILL"),
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
];

/// Variables of our environment that belong to our user. `PREFIX*` means all that begin so.
const OWN: &[&str] = &[
    "XDG_*",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "MAIL",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "NVM_DIR",
    "GOPATH",
    "VIRTUAL_ENV",
];

/// The user of a pool's runs, which is not that of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunUser {
    /// The name.
    pub name: String,
    /// The home directory.
    pub home: PathBuf,
    shell: PathBuf,
    ids: UserIds,
}

/// The ids of a user, for the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserIds {
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// All groups, the first one included.
    pub(crate) groups: Vec<u32>,
}

impl RunUser {
    /// Looks a user up. `None` for the user of this process, who needs no change.
    ///
    /// # Errors
    /// There is no such user, or its groups cannot be read.
    pub fn named(name: &str) -> Result<Option<Self>, String> {
        let found = User::from_name(name)
            .map_err(|error| format!("user: {name:?} cannot be looked up: {error}"))?;
        let found = found.ok_or_else(|| {
            format!("user: there is no user {name:?} on this machine; create it (useradd), or name another")
        })?;
        if found.uid.as_raw() == geteuid().as_raw() {
            return Ok(None);
        }
        let groups = CString::new(name)
            .map_err(io::Error::from)
            .and_then(|name| Ok(getgrouplist(&name, found.gid)?))
            .map_err(|error| format!("user: the groups of {name:?} cannot be read: {error}"))?;
        Ok(Some(Self {
            name: name.to_owned(),
            home: found.dir,
            shell: found.shell,
            ids: UserIds {
                user: found.uid.as_raw(),
                group: found.gid.as_raw(),
                groups: groups.iter().map(|it| it.as_raw()).collect(),
            },
        }))
    }

    /// The rights that this process lacks to run programs as another user.
    #[must_use]
    pub fn missing_rights() -> Vec<&'static str> {
        missing_rights(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    pub(super) const fn ids(&self) -> &UserIds {
        &self.ids
    }

    /// Checks that this process may run programs as this user.
    ///
    /// # Errors
    /// The missing rights.
    pub(super) fn check(&self) -> Result<(), String> {
        let missing = Self::missing_rights();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "user: only root may run programs as {:?} (this process lacks {}); start Kirosu as root, or start `kirosu agent` as that user with a key of its own",
            self.name,
            missing.join(", ")
        ))
    }

    /// The variables that a program of this user gets instead of ours.
    pub(super) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let name = PathBuf::from(&self.name);
        vec![
            ("HOME", self.home.clone()),
            ("USER", name.clone()),
            ("LOGNAME", name),
            ("SHELL", self.shell.clone()),
        ]
    }

    /// Whether a variable of ours belongs to our user.
    pub(super) fn drops(name: &str) -> bool {
        OWN.iter().any(|it| match it.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => *it == name,
        })
    }

    /// Makes the user the owner of a folder and of all in it, except files that have a further name, which may be in another
    /// folder. Blocks on the file system.
    ///
    /// # Errors
    /// An entry cannot be changed.
    pub fn own(&self, folder: &Path) -> io::Result<()> {
        let root = open(folder, ENTRY, Mode::empty())?;
        if self.own_entry(&root)? != FileType::Directory {
            return Ok(());
        }
        let mut folders = vec![PathBuf::new()];
        while let Some(next) = folders.pop() {
            match self.own_content(&root, &next, &mut folders) {
                // A process of the user, such as another run, has removed or replaced it meanwhile.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Changes the entries of a folder, and adds those that are folders. By descriptors, not by paths: a process of the user
    /// could exchange a folder for a link, and get files elsewhere.
    fn own_content(
        &self,
        root: &OwnedFd,
        inner: &Path,
        folders: &mut Vec<PathBuf>,
    ) -> rustix::io::Result<()> {
        let mut opened: Option<OwnedFd> = None;
        for part in inner {
            let above = opened.as_ref().unwrap_or(root).as_fd();
            opened = Some(open_folder(above, part)?);
        }
        let folder = opened.as_ref().unwrap_or(root);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for entry in Dir::new(openat(folder, ".", flags, Mode::empty())?)? {
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let opened = match openat(folder, name, ENTRY, Mode::empty()) {
                Err(Errno::NOENT) => continue,
                opened => opened?,
            };
            if self.own_entry(&opened)? == FileType::Directory {
                folders.push(inner.join(OsStr::from_bytes(name.to_bytes())));
            }
        }
        Ok(())
    }

    /// Lets all users pass through a folder of ours to what is inside, without listing it.
    ///
    /// # Errors
    /// The mode cannot be changed.
    pub fn open_way(folder: &Path) -> io::Result<()> {
        let found = fs::symlink_metadata(folder)?;
        let (mode, wanted) = (found.mode() & 0o7777, 0o011);
        if mode & wanted == wanted || found.uid() != geteuid().as_raw() || !found.is_dir() {
            return Ok(());
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(mode | wanted))
    }

    /// Makes the user the owner of an open file or folder.
    pub(crate) fn own_entry(&self, entry: impl AsFd) -> rustix::io::Result<FileType> {
        let entry = entry.as_fd();
        let found = fstat(entry)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        let has_other_name = kind != FileType::Directory && found.st_nlink > 1;
        if found.st_uid != self.ids.user && !has_other_name {
            let (user, group) = (Uid::from_raw(self.ids.user), Gid::from_raw(self.ids.group));
            chownat(entry, c"", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
        }
        Ok(kind)
    }
}

/// The rights that are not in `/proc/PID/status`.
fn missing_rights(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|it| it.strip_prefix("CapEff:"));
    let set = line.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    let has = |bit: u32| set.is_some_and(|set| set & (1 << bit) != 0);
    let missing = RIGHTS.iter().filter(|(bit, _)| !has(*bit));
    missing.map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn missing_rights_are_named() {
        assert_eq!(missing_rights("CapEff:\t000001ffffffffff\n"), [""; 0]);
        assert_eq!(
            missing_rights("Name:\tx\nCapEff:\t00000000000000e1\n"),
            ["CAP_DAC_OVERRIDE"]
        );
        assert_eq!(missing_rights("").len(), RIGHTS.len());
    }

    #[test]
    fn the_user_of_this_process_needs_no_change() {
        let own = User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
        assert_eq!(RunUser::named(&own.name), Ok(None));
        let unknown = RunUser::named("no-such-user-here").unwrap_err();
        assert!(unknown.contains("there is no user"), "{unknown}");
    }

    #[test]
    fn variables_of_our_user_are_dropped() {
        assert!(RunUser::drops("XDG_RUNTIME_DIR") && RunUser::drops("SSH_AUTH_SOCK"));
        assert!(!RunUser::drops("PATH") && !RunUser::drops("LANG"));
    }

    /// A user without rights, and a folder of root. `None`: the test is not root.
    fn another_user() -> Option<(RunUser, tempfile::TempDir)> {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can change owners");
            return None;
        }
        let user = RunUser::named("nobody").unwrap().unwrap();
        Some((user, tempfile::tempdir().unwrap()))
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    #[test]
    fn a_folder_and_its_content_get_the_owner_but_no_file_that_is_elsewhere_too() {
        let Some((user, root)) = another_user() else {
            return;
        };
        let (folder, secret) = (root.path().join("folder"), root.path().join("secret"));
        fs::create_dir_all(folder.join("inner/deep")).unwrap();
        fs::write(folder.join("inner/deep/file"), "").unwrap();
        fs::write(&secret, "").unwrap();
        fs::hard_link(&secret, folder.join("hard")).unwrap();
        std::os::unix::fs::symlink(&secret, folder.join("soft")).unwrap();
        user.own(&folder).unwrap();
        for name in ["", "inner", "inner/deep", "inner/deep/file", "soft"] {
            assert_eq!(owner(&folder.join(name)), user.ids.user, "{name}");
        }
        assert_eq!(owner(&secret), 0);
    }

    #[test]
    fn a_folder_that_is_exchanged_for_a_link_meanwhile_is_not_left() {
        let Some((user, root)) = another_user() else {
            return;
        };
        let (folder, outside) = (root.path().join("folder"), root.path().join("outside"));
        let (inner, link) = (folder.join("inner"), folder.join("link"));
        fs::create_dir_all(inner.join("deep")).unwrap();
        fs::create_dir_all(outside.join("deep")).unwrap();
        fs::write(outside.join("deep/secret"), "").unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let exchange = || {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(CWD, &inner, CWD, &link, flags).unwrap();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(exchange);
            for _ in 0..2000 {
                let _ = user.own(&folder);
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(owner(&outside.join("deep/secret")), 0);
        assert_eq!(owner(&outside.join("deep")), 0);
    }
}
