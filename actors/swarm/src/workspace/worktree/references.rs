//! Which references of the repository hold the commits of a worktree, and which commits no reference holds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::git::{At, Git, GitFault};
use super::inventory::{heads, is_object, reflog};
use super::record::Record;
use super::verify::link_file;

/// Files of per-worktree references that are read.
const FILES_MAX: usize = 10_000;
/// Parents of the commit that holds unreferenced ones.
const PARENTS_MAX: usize = 200;

/// A reference and the commit it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its full name.
    pub name: String,
    /// The commit.
    pub commit: String,
}

/// The branch of a worktree and the references of its earlier attempts, which are removed with it.
pub(super) async fn own(git: &Git, record: &Record) -> Result<Vec<Reference>, GitFault> {
    let branch = format!("refs/heads/{}", record.branch);
    let kept = format!("refs/kirosu/{}/", record.name);
    let list = [
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        &branch,
        &kept,
    ];
    let said = git.ask(At::Bare(&record.common_dir), &list).await?;
    let lines = said.lines().filter_map(|line| line.split_once(' '));
    // A name that ends without a slash also lists what is below it.
    let ours = |name: &str| name == branch || name.starts_with(&kept);
    Ok(lines
        .filter(|(name, _)| ours(name))
        .map(|(name, commit)| Reference {
            name: name.to_owned(),
            commit: commit.to_owned(),
        })
        .collect())
}

/// Folders of other worktrees, and of the checkout, in which the branch is checked out or worked on.
pub(super) async fn checked_out_at(git: &Git, record: &Record) -> Result<Vec<PathBuf>, GitFault> {
    let list = ["worktree", "list", "--porcelain", "-z"];
    let said = git.ask(At::Bare(&record.common_dir), &list).await?;
    let branch = format!("refs/heads/{}", record.branch);
    // After a move git still has the old place of this one.
    let listed = link_file(&record.git_dir.join("gitdir"), &record.git_dir);
    let listed = listed.and_then(|it| it.parent().map(Path::to_owned));
    let is_own = |it: &PathBuf| *it == record.path || Some(it) == listed.as_ref();
    let mut folders = worktrees_on(&said, &branch);
    folders.retain(|it| !is_own(it));
    // The folder of git is listed in place of a checkout where its settings say that there is none.
    for folder in &mut folders {
        if *folder == record.common_dir {
            folder.clone_from(&record.repository);
        }
    }
    Ok(folders)
}

/// The folders of `git worktree list --porcelain -z` that have a branch checked out.
fn worktrees_on(said: &str, branch: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folder = None;
    for line in said.split('\0') {
        if let Some(path) = line.strip_prefix("worktree ") {
            folder = Some(PathBuf::from(path));
        } else if line.strip_prefix("branch ") == Some(branch) {
            found.extend(folder.take());
        }
    }
    found
}

/// Whether a commit stays when all that Kirosu made for tasks goes: some other branch, tag or remote branch has it.
pub(super) async fn is_held_elsewhere(
    git: &Git,
    record: &Record,
    commit: &str,
) -> Result<bool, GitFault> {
    let ask = [
        "rev-list",
        "--max-count=1",
        commit,
        "--not",
        "--exclude=kirosu/*",
        "--exclude=kirosu-*",
        "--branches",
        "--tags",
        "--remotes",
        "--",
    ];
    let said = git.ask(At::Bare(&record.common_dir), &ask).await?;
    Ok(said.is_empty())
}

/// Commits that were made in the worktree and that no reference of the repository has any more: those before a rebase, a
/// reset, an amended commit, or of an unfinished operation. All of them can be reached from these.
pub(super) async fn unreferenced(git: &Git, record: &Record) -> Result<Vec<String>, GitFault> {
    let own = record.clone();
    let read = tokio::task::spawn_blocking(move || candidates(&own)).await;
    let candidates = read.unwrap_or_else(|error| Err(error.into()));
    let candidates = candidates.map_err(|error| {
        let folder = record.git_dir.display();
        GitFault(format!("cannot read the references in {folder}: {error}"))
    })?;
    let ask = [
        "rev-list",
        "--parents",
        "--ignore-missing",
        "--single-worktree",
        "--stdin",
        "--not",
        "--all",
    ];
    let at = At::Bare(&record.common_dir);
    let said = git.ask_with(at, &ask, &candidates.join("\n")).await?;
    Ok(heads(&said))
}

/// Keeps these commits under `refs/kirosu/NAME/FENCE-unreferenced`: as parents of one commit, so that one name is enough.
pub(super) async fn keep_unreferenced(
    git: &Git,
    record: &Record,
) -> Result<Option<Reference>, GitFault> {
    let mut commits = unreferenced(git, record).await?;
    if commits.is_empty() {
        return Ok(None);
    }
    let at = At::Bare(&record.common_dir);
    let name = format!("refs/kirosu/{}/{}-unreferenced", record.name, record.fence);
    let before = git
        .run(at, &["rev-parse", "--verify", "--quiet", &name])
        .await;
    if before.is_good() {
        commits.push(before.stdout);
    }
    let mut commit = String::new();
    for some in commits.chunks(PARENTS_MAX) {
        let tree = format!("{}^{{tree}}", some[0]);
        let tree = git.ask(at, &["rev-parse", "--verify", &tree]).await?;
        let message = format!(
            "Commits of attempt {} of task {} that no branch has",
            record.fence, record.task_id
        );
        let mut ask = vec!["commit-tree", &tree, "-m", &message];
        let chained = (!commit.is_empty()).then(|| commit.clone());
        for parent in some.iter().chain(&chained) {
            ask.extend(["-p", parent]);
        }
        commit = git.ask(at, &ask).await?;
    }
    git.ask(at, &["update-ref", &name, &commit]).await?;
    Ok(Some(Reference { name, commit }))
}

/// Object names in the reflogs, per-worktree references and states of unfinished operations of a worktree. Blocks.
fn candidates(record: &Record) -> io::Result<Vec<String>> {
    let git_dir = &record.git_dir;
    let mut found = Vec::new();
    let branch = record
        .common_dir
        .join("logs/refs/heads")
        .join(&record.branch);
    for log in [git_dir.join("logs/HEAD"), branch] {
        found.extend(reflog(&text(&log)));
    }
    for folder in ["refs", "rebase-merge", "rebase-apply", "sequencer", ""] {
        for path in files(&git_dir.join(folder), folder == "refs") {
            let small = path.metadata().is_ok_and(|it| it.len() < 4096);
            if small && path.file_name().is_some_and(|name| name != "index") {
                let text = text(&path);
                let words = text.split_whitespace().filter(|it| is_object(it));
                found.extend(words.map(str::to_owned));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn text(path: &Path) -> String {
    let is_file = path.symlink_metadata().is_ok_and(|it| it.is_file());
    let bytes = is_file.then(|| fs::read(path).ok()).flatten();
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// The files of a folder, and where `deep`, of its subfolders.
fn files(root: &Path, deep: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && deep => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
        if found.len() > FILES_MAX {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worktrees_are_found_by_their_branch() {
        let said = "worktree /a\0HEAD 1\0branch refs/heads/main\0\0worktree /b c\0HEAD 2\0branch refs/heads/x\0\0\
                    worktree /d\0HEAD 3\0detached\0\0";
        assert_eq!(worktrees_on(said, "refs/heads/x"), [PathBuf::from("/b c")]);
        assert!(worktrees_on(said, "refs/heads/y").is_empty());
    }
}
