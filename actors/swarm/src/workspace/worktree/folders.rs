//! Removes the folder of a worktree, and its git folder.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kirosu_providers::{AgentFile, FEW_LINES};

use super::git::GitFault;
use super::record::Worktree;
use super::verify::{Unverified, verify_folder, verify_git_dir};

/// Removes the worktree's folder, and its git folder: the one that points back to it.
pub(super) async fn remove_folders(record: &Worktree) -> Result<(), GitFault> {
    let record = record.clone();
    // They may be large, and this thread serves other sessions.
    let removed = tokio::task::spawn_blocking(move || remove_now(&record)).await;
    removed.unwrap_or_else(|error| Err(GitFault(format!("cannot remove folders: {error}"))))
}

/// Checks that the folder was not replaced.
///
/// # Errors
/// Something else is in its place, and a removal would remove that.
pub(super) fn not_replaced(record: &Worktree) -> Result<(), GitFault> {
    match verify_folder(record) {
        Err(why @ Unverified::Replaced(_)) => {
            let path = record.path.display();
            Err(GitFault(format!(
                "{path} was not removed: {why}; move it away or remove it by hand, and try again"
            )))
        }
        _ => Ok(()),
    }
}

fn remove_now(record: &Worktree) -> Result<(), GitFault> {
    not_replaced(record)?;
    let mut folders = vec![record.path.clone()];
    folders.extend(git_folders(record));
    for folder in folders {
        match remove_tree(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let folder = folder.display();
                return Err(GitFault(format!(
                    "cannot remove {folder}: {error}; make it removable (chattr -R -i -a, where files in it are immutable) or remove it by hand, and try again"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Also removes folders that their owner may not write to, as some package caches are.
fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(folder);
            fs::remove_dir_all(folder)
        }
        removed => removed,
    }
}

fn make_writable(root: &Path) {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
        folders.extend(inner.map(|entry| entry.path()));
    }
}

fn git_folders(record: &Worktree) -> Vec<PathBuf> {
    let ours = record.path.join(".git");
    let Ok(entries) = fs::read_dir(record.common_dir.join("worktrees")) else {
        return Vec::new();
    };
    let is_ours = |folder: &PathBuf| {
        let back = AgentFile::at(&folder.join("gitdir")).and_then(|it| it.text(FEW_LINES));
        let back = back.unwrap_or_default();
        Path::new(back.trim_end_matches('\n')) == ours
    };
    let folders = entries.flatten().map(|entry| entry.path());
    let recorded = |folder: &PathBuf| *folder == record.git_dir && verify_git_dir(record).is_ok();
    folders
        .filter(|folder| is_ours(folder) || recorded(folder))
        .collect()
}
