//! Checks that a record's folder is still the worktree that Kirosu made, before git runs in it.
//!
//! An agent can remove its folder and leave a link, a file or another checkout at the path; a person can move or
//! restore folders. Git would then commit, reset and clean files of other programs. [`tree`] is the only way to
//! [`At::Tree`], so no call of git in a working tree bypasses this check.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use kirosu_providers::AgentFile;

use super::git::{At, GitFault};
use super::record::Worktree;
pub use crate::workspace::identity::FolderId;
use crate::workspace::identity::{FolderChange, real_folder};

/// Maximum size in bytes of a `.git`, `gitdir` or `commondir` file.
const LINK_MAX: u64 = 8 << 10;

/// Why git must not run in a record's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unverified {
    /// Nothing is at the path.
    Gone,
    /// Something else is at the path; the text says what.
    Replaced(String),
    /// The folder is the one that was made, but its git folder is missing or belongs to another worktree; the text
    /// says which.
    Detached(String),
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("it is not there any more"),
            Self::Replaced(why) => write!(f, "it is not the folder that Kirosu made: {why}"),
            Self::Detached(why) => f.write_str(why),
        }
    }
}

/// Returns the location for git in the files of this worktree. Reads a few small files; blocks.
///
/// # Errors
/// The folder is not the worktree that Kirosu made, see [`verify`].
pub(super) fn tree(record: &Worktree) -> Result<At<'_>, GitFault> {
    match verify(record) {
        Ok(()) => Ok(At::Tree {
            git_dir: &record.git_dir,
            work_tree: &record.path,
        }),
        Err(why) => Err(fault(record, &why)),
    }
}

/// The sentence for people.
pub(super) fn fault(record: &Worktree, why: &Unverified) -> GitFault {
    let path = record.path.display();
    GitFault(format!("git was not run in the worktree {path}: {why}"))
}

/// Checks that the folder of a record is the worktree that Kirosu made: a real folder with no link on the way, of the
/// recorded identity or with this worktree's `.git` file in it, whose git folder belongs to it. An agent may have
/// removed or rewritten `.git` in a folder of the recorded identity: every call of git names its git folder.
///
/// # Errors
/// A description of the thing in its place.
pub(super) fn verify(record: &Worktree) -> Result<(), Unverified> {
    verify_folder(record)?;
    verify_git_dir(record)
}

/// The first half of [`verify`]: the folder alone.
pub(super) fn verify_folder(record: &Worktree) -> Result<(), Unverified> {
    let path = &record.path;
    let found = real_folder(path).map_err(|changed| match changed {
        FolderChange::Gone => Unverified::Gone,
        FolderChange::Replaced(why) => Unverified::Replaced(why),
    })?;
    let same = record.folder_id == Some(found);
    if same || dot_git(path).is_some_and(|it| is_same(&it, &record.git_dir)) {
        return Ok(());
    }
    // A crash of this process can leave a folder that its record does not know yet.
    if record.git_dir.as_os_str().is_empty() && is_half_made(record) {
        return Ok(());
    }
    let why = match record.folder_id {
        Some(_) => "another folder is in its place",
        None => "its .git file is not that of this worktree",
    };
    Err(Unverified::Replaced(why.to_owned()))
}

/// A worktree as an interrupted `git worktree add` leaves it.
fn is_half_made(record: &Worktree) -> bool {
    let worktrees = record.common_dir.join("worktrees");
    match dot_git(&record.path) {
        Some(git_dir) => git_dir.parent().is_some_and(|it| is_same(it, &worktrees)),
        None => fs::read_dir(&record.path).is_ok_and(|mut entries| entries.next().is_none()),
    }
}

/// Checks that the git folder of the worktree exists, belongs to the recorded repository, and to no other worktree.
pub(super) fn verify_git_dir(record: &Worktree) -> Result<(), Unverified> {
    let git_dir = &record.git_dir;
    let missing = |why: &str| Unverified::Detached(format!("{} {why}", git_dir.display()));
    match fs::symlink_metadata(git_dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(missing("is not a folder")),
        Err(_) if git_dir.as_os_str().is_empty() => {
            return Err(Unverified::Detached("it was never finished".to_owned()));
        }
        Err(_) => return Err(missing("is not there any more")),
    }
    let common = link_file(&git_dir.join("commondir"), git_dir);
    if !common.is_some_and(|it| is_same(&it, &record.common_dir)) {
        return Err(missing("is not a worktree's git folder of its repository"));
    }
    match link_file(&git_dir.join("gitdir"), git_dir) {
        Some(back) if is_same(&back, &record.path.join(".git")) => Ok(()),
        // It was moved; `workspaces --repair` and the next attempt rewrite it.
        Some(back) if !has_folder(&back) => Ok(()),
        Some(back) => {
            let other = back.parent().unwrap_or(&back).display();
            Err(missing(&format!("belongs to the worktree {other}")))
        }
        None => Err(missing("does not say which worktree it belongs to")),
    }
}

/// The git folder that the `.git` file of a worktree names; `None` if there is no such file.
pub(super) fn dot_git(worktree: &Path) -> Option<PathBuf> {
    let text = small_file(&worktree.join(".git"))?;
    let named = text.strip_prefix("gitdir:")?.trim();
    (!named.is_empty()).then(|| worktree.join(named))
}

/// The path that a file in a git folder names, as `gitdir` and `commondir` do.
pub(super) fn link_file(file: &Path, base: &Path) -> Option<PathBuf> {
    let text = small_file(file)?;
    let named = text.trim_end_matches(['\n', '\r']);
    (!named.is_empty()).then(|| base.join(named))
}

/// The text of a small regular file; links are not followed.
fn small_file(path: &Path) -> Option<String> {
    AgentFile::at(path).and_then(|it| it.text(LINK_MAX)).ok()
}

/// Whether the folder of the `.git` file that a back pointer names exists.
fn has_folder(dot_git: &Path) -> bool {
    let folder = dot_git.parent().unwrap_or(dot_git);
    fs::symlink_metadata(folder).is_ok()
}

/// Whether both are the same path, as written or with links and `..` resolved.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    if one == other {
        return true;
    }
    // The last part need not exist: an agent may have removed `.git`.
    let real = |path: &Path| match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => Some(real),
        (Err(_), Some(parent), Some(name)) => Some(parent.canonicalize().ok()?.join(name)),
        _ => None,
    };
    matches!((real(one), real(other)), (Some(one), Some(other)) if one == other)
}
