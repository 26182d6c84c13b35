//! Recognises a worktree that was copied together with its data folder. The copy and the original name the same
//! folder in the repository's `.git/worktrees` and the same branch, so only one of them can be used.

use std::path::{Path, PathBuf};

use super::git::GitFault;
use super::record::Worktree;
use super::verify::{FolderId, dot_git, is_same};

/// Returns the worktree that this one is a copy of: it is still at the path where the record was written, and matches
/// the record. `None` if the folder was moved, or both paths are one folder.
pub(super) fn original(record: &Worktree) -> Option<PathBuf> {
    let original = record.moved_from.as_ref()?;
    let there = FolderId::of(original).ok()?;
    if FolderId::of(&record.path).is_ok_and(|here| here == there) {
        return None;
    }
    let names_it = || dot_git(original).is_some_and(|it| is_same(&it, &record.git_dir));
    (record.folder_id == Some(there) || names_it()).then(|| original.clone())
}

/// The error for a copy.
pub(super) fn refusal(record: &Worktree, original: &Path) -> GitFault {
    let (path, id) = (record.path.display(), record.task_id);
    GitFault(format!(
        "{path} is a copy of {}, which is still there, and only one of them can be the worktree of task {id}: set data_dir to the folder of the original and work there. Where the original is not needed any more, move it away and run kirosu workspaces --repair; where the copy is not, remove {path} and {path}.json",
        original.display()
    ))
}

/// The error for a copy whose repository was copied too, until the copy is connected to it.
pub(super) fn unrepaired(record: &Worktree, original: &Path) -> GitFault {
    GitFault(format!(
        "{} is a copy of {}, and its repository was copied with it: run kirosu workspaces --repair first, which connects the two copies",
        record.path.display(),
        original.display()
    ))
}
