//! Checks whether the system lets git write the files of a merge: free space, and files that cannot be replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statvfs, statx};

use super::Checkout;
use crate::workspace::worktree::git::GitFault;
use crate::workspace::worktree::inventory::list;
use crate::workspace::worktree::names;

/// Bytes that stay free besides those that are written: git's own files, and blocks of folders.
const MARGIN: u64 = 256 << 10;
/// Minimum number of bytes that a file takes.
const BLOCK: u64 = 4096;

/// Checks that the file systems of the checkout have space for the files of the merge, which `written` has in the
/// form that git writes, and that every file can be replaced. `refs`: the files of the branch, and its reflogs.
/// Blocks.
///
/// # Errors
/// The file system with the bytes that it lacks; the files that cannot be replaced.
pub(super) fn check(
    checkout: &Checkout,
    files: &[String],
    refs: &[PathBuf],
    written: &Path,
) -> Result<(), GitFault> {
    let fixed = fixed(checkout, files, refs);
    if !fixed.is_empty() {
        return Err(GitFault(format!(
            "the system does not let git replace or remove {}: nothing was applied; take away the attribute (chattr -i -a FILE), or the mount (umount FILE), and apply again",
            list(&fixed)
        )));
    }
    // By device: a folder of it, bytes and files.
    let mut wanted: BTreeMap<u64, (PathBuf, u64, u64)> = BTreeMap::new();
    let mut want = |path: &Path, bytes: u64| {
        let folder = existing(path);
        let device = folder.metadata().map_or(0, |it| it.dev());
        let entry = wanted.entry(device).or_insert((folder, 0, 0));
        entry.1 = entry.1.saturating_add(bytes.div_ceil(BLOCK).max(1) * BLOCK);
        entry.2 += 1;
    };
    for file in files {
        if let Ok(found) = written.join(names::path(file)).symlink_metadata()
            && !found.is_dir()
        {
            want(&checkout.root.join(names::path(file)), found.len());
        }
    }
    // Git writes a new index next to the old one.
    let index = checkout.git_dir.join("index");
    want(&index, index.metadata().map_or(0, |it| it.len()));
    for (folder, bytes, count) in wanted.into_values() {
        let Ok(system) = statvfs(&folder) else {
            continue;
        };
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let needed = bytes.saturating_add(MARGIN);
        if system.f_blocks > 0 && free < needed {
            return Err(GitFault(format!(
                "too little space in the file system of {}: the changed files need {} KiB, and {} KiB are free: nothing was applied; free some and apply again",
                folder.display(),
                needed >> 10,
                free >> 10
            )));
        }
        if system.f_files > 0 && system.f_favail < count {
            return Err(GitFault(format!(
                "too few free inodes in the file system of {}: {count} files are written, and {} inodes are free: nothing was applied; remove some files and apply again",
                folder.display(),
                system.f_favail
            )));
        }
    }
    Ok(())
}

/// The nearest existing folder above a path.
fn existing(path: &Path) -> PathBuf {
    let above = path.ancestors().skip(1).find(|it| it.is_dir());
    above.unwrap_or(Path::new("/")).to_owned()
}

/// Files that cannot be replaced or removed, and folders in which nothing can be, whatever their modes.
fn fixed(checkout: &Checkout, files: &[String], refs: &[PathBuf]) -> Vec<String> {
    let paths = files
        .iter()
        .map(|file| checkout.root.join(names::path(file)));
    let own = ["index", "HEAD"].map(|name| checkout.git_dir.join(name));
    let paths: BTreeSet<PathBuf> = paths.chain(own).collect();
    let folders: BTreeSet<PathBuf> = paths.iter().map(|path| existing(path)).collect();
    let held = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    let files = paths.iter().filter(|path| {
        attributes(path).intersects(held | StatxAttributes::MOUNT_ROOT) || is_sticky(path)
    });
    let folders = folders.iter().filter(|it| attributes(it).intersects(held));
    // Git appends to reflogs.
    let refs = refs
        .iter()
        .filter(|it| attributes(it).contains(StatxAttributes::IMMUTABLE));
    let names = files.chain(folders).chain(refs).map(|path| {
        let name = path.strip_prefix(&checkout.root).unwrap_or(path);
        match name.as_os_str().is_empty() {
            true => path.to_string_lossy().into_owned(),
            false => names::of_path(name),
        }
    });
    names.collect()
}

fn attributes(path: &Path) -> StatxAttributes {
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE);
    // A file system that does not support an attribute does not set it.
    found.map_or(StatxAttributes::empty(), |it| it.stx_attributes)
}

/// Another user's file in a folder in which only owners remove files.
fn is_sticky(path: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let folder = path.parent().and_then(|it| fs::metadata(it).ok());
    let (Some(folder), Ok(file)) = (folder, path.symlink_metadata()) else {
        return false;
    };
    user != 0 && folder.mode() & 0o1000 != 0 && folder.uid() != user && file.uid() != user
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::worktree::git::PlainGit;

    #[test]
    fn a_path_lies_in_the_nearest_folder_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(existing(&root.path().join("a/b/c")), root.path());
        assert!(
            fixed(
                &Checkout {
                    root: root.path().to_owned(),
                    git_dir: root.path().to_owned(),
                    plain: PlainGit::default(),
                },
                &["a".to_owned()],
                &[],
            )
            .is_empty()
        );
        assert!(attributes(Path::new("/proc")).contains(StatxAttributes::MOUNT_ROOT));
    }
}
