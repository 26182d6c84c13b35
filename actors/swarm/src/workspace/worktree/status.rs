//! Lists worktrees and their changes for people.

use std::fs;
use std::path::{Path, PathBuf};

use super::finish::tip_of;
use super::git::{At, Git, GitFault};
use super::index::copy_index;
use super::names;
use super::record::{Worktree, WorktreeState};
use super::stage::stage_all;
use super::verify::tree;

/// Flags of every diff: run no programs of the configuration.
const DIFF: &[&str] = &["diff", "--no-ext-diff", "--no-textconv", "--find-renames"];

/// Returns the worktrees of all pools under this folder, ordered by task; with `task_id`, those of one task.
#[must_use]
pub fn find(workspaces: &Path, task_id: Option<i64>) -> Vec<Worktree> {
    let Ok(entries) = fs::read_dir(workspaces) else {
        return Vec::new();
    };
    let pools = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<Worktree> = pools.flat_map(|pool| Worktree::all_in(&pool)).collect();
    found.retain(|record| task_id.is_none_or(|id| record.is_of(id)));
    found.sort_by(|one, other| {
        let by_time = one.created_at.total_cmp(&other.created_at);
        one.task_id
            .cmp(&other.task_id)
            .then(by_time)
            .then(one.fence.cmp(&other.fence))
            .then_with(|| one.name.cmp(&other.name))
    });
    found
}

/// The newest state of a task's files as a commit or tree: the branch or, if files differ from it (a run works there,
/// a person has edited them), the present files. Changes no visible state.
///
/// # Errors
/// Git failed.
pub async fn tip(git: &Git, record: &Worktree) -> Result<String, GitFault> {
    // Without an index the worktree is still being made, or a run has removed it.
    let has_index = record.git_dir.join("index").is_file();
    let made = record.filled
        && record.path.is_dir()
        && (has_index || record.state != WorktreeState::Running);
    if made && is_dirty(git, record).await? {
        return tree_now(git, record).await;
    }
    let tip = tip_of(git, record).await?;
    Ok(tip.unwrap_or_else(|| record.base.clone()))
}

/// Whether files were changed since the last commit on the branch; ignored ones do not count.
pub(super) async fn is_dirty(git: &Git, record: &Worktree) -> Result<bool, GitFault> {
    if record.state == WorktreeState::Running {
        // The run's HEAD may be anywhere.
        return Ok(true);
    }
    let args = ["status", "--porcelain", "--untracked-files=normal"];
    let output = git.stdout(tree(record)?, &args).await?;
    Ok(!output.is_empty())
}

/// All files as a tree, through a separate index.
async fn tree_now(git: &Git, record: &Worktree) -> Result<String, GitFault> {
    let index = record
        .git_dir
        .join(format!("kirosu-index-{}", std::process::id()));
    let cannot = |error| GitFault(format!("cannot copy the worktree's index: {error}"));
    let own = git.with("GIT_INDEX_FILE", &index);
    copy_index(&record.git_dir.join("index"), &index).map_err(cannot)?;
    let added = stage_all(&own, record).await;
    let written = own.stdout(tree(record)?, &["write-tree"]).await;
    for name in [index.clone(), index.with_extension("lock")] {
        let _ = fs::remove_file(name);
    }
    if let Some(complaint) = added?.complaint {
        tracing::debug!(complaint, "not all files could be looked at");
    }
    written
}

/// The change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Name, from the root of the repository; in quotation marks with escapes, as git prints it, if it is not UTF-8.
    pub path: String,
    /// Lines added; `None` if the file is not text.
    pub added: Option<u64>,
    /// Lines removed; `None` if the file is not text.
    pub removed: Option<u64>,
}

/// Returns the files that differ between the base and `tip`.
///
/// # Errors
/// Git failed.
pub async fn changes(git: &Git, record: &Worktree, tip: &str) -> Result<Vec<FileChange>, GitFault> {
    // Without renames, so that every line has one name.
    let mut args = DIFF[..3].to_vec();
    args.extend(["--no-renames", "--numstat", &record.base, tip, "--"]);
    let output = git.stdout(At::Bare(&record.common_dir), &args).await?;
    Ok(output.split('\n').filter_map(change).collect())
}

fn change(line: &str) -> Option<FileChange> {
    let mut parts = line.splitn(3, '\t');
    let (added, removed) = (parts.next()?, parts.next()?);
    Some(FileChange {
        path: names::read(parts.next()?),
        added: added.parse().ok(),
        removed: removed.parse().ok(),
    })
}

/// The call that prints the exact difference between base and `tip` for a person's terminal; `more` are flags.
///
/// # Errors
/// Git cannot read its settings.
pub async fn diff_command(
    git: &Git,
    record: &Worktree,
    tip: &str,
    more: &[&str],
) -> Result<std::process::Command, GitFault> {
    // Names unescaped, for people and for `git apply`.
    let mut args = vec!["-c", "core.quotePath=false"];
    args.extend(DIFF);
    args.extend(more);
    args.extend([record.base.as_str(), tip, "--"]);
    let at = At::Bare(&record.common_dir);
    Ok(git.plain(at).await?.command(at, &args))
}

/// Size of a worktree on disk in bytes. Links are not followed; unreadable files do not count. Blocks.
#[must_use]
pub fn size(record: &Worktree) -> u64 {
    let mut folders: Vec<PathBuf> = vec![record.path.clone()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes += found.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything_but_zero() {
        let found = change("3\t0\t\"a\\tb\\n c\"").unwrap();
        assert_eq!((found.path.as_str(), found.added), ("a\tb\n c", Some(3)));
        assert_eq!(change("-\t-\tx.png").unwrap().removed, None);
        assert_eq!(change("no line"), None);
    }
}
