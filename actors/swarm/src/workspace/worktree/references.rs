//! The references of a repository that hold the commits of a worktree, and the commits that no reference holds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kirosu_providers::{AgentFile, FEW_LINES, MANY_LINES, ProgramExit};

use super::git::{At, Git, GitFault, fault};
use super::inventory::{git_dir_of, heads, is_object, reflog};
use super::kept_refs;
use super::record::Worktree;
use super::verify::link_file;

/// Maximum number of files of per-worktree references that are read.
const FILES_MAX: usize = 10_000;
/// Maximum number of parents of the commit that holds unreferenced ones.
const PARENTS_MAX: usize = 200;

/// A reference and the commit it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its full name.
    pub name: String,
    /// The commit.
    pub commit: String,
}

/// Full names of references, with their objects.
pub(super) type RefList = BTreeMap<String, String>;

/// The references that worktrees share: branches, tags, notes and replaced objects; and those of `more`.
///
/// # Errors
/// Git cannot read them.
pub(super) async fn listed(git: &Git, common: &Path, more: &[&str]) -> Result<RefList, GitFault> {
    let args = [
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        "refs/heads",
        "refs/tags",
        "refs/notes",
        "refs/replace",
    ];
    let output = git
        .stdout(At::Bare(common), &[&args, more].concat())
        .await?;
    let lines = output.lines().filter_map(|line| line.split_once(' '));
    Ok(lines
        .map(|(name, object)| (name.to_owned(), object.to_owned()))
        .collect())
}

/// The branch of a worktree and the references of its earlier attempts, which are removed with it.
pub(super) async fn own(git: &Git, record: &Worktree) -> Result<Vec<Reference>, GitFault> {
    let branch = format!("refs/heads/{}", record.branch);
    let kept = format!("refs/kirosu/{}/", record.name);
    let list = [
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        &branch,
        &kept,
    ];
    let output = git.stdout(At::Bare(&record.common_dir), &list).await?;
    let lines = output.lines().filter_map(|line| line.split_once(' '));
    // A name without a trailing slash also lists names below it.
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
pub(super) async fn checked_out_at(git: &Git, record: &Worktree) -> Result<Vec<PathBuf>, GitFault> {
    let list = ["worktree", "list", "--porcelain", "-z"];
    let output = git.stdout(At::Bare(&record.common_dir), &list).await?;
    let branch = format!("refs/heads/{}", record.branch);
    let listed = known_to_git(record);
    let is_own = |it: &PathBuf| *it == record.path || Some(it) == listed.as_ref();
    let mut folders = worktrees_on(&output, &branch);
    folders.retain(|it| !is_own(it));
    folders.extend(moved_to(record));
    // Git lists its folder in place of a checkout if its settings say that there is none.
    for folder in &mut folders {
        if *folder == record.common_dir {
            folder.clone_from(&record.repository);
        }
    }
    Ok(folders)
}

/// The folder that git has for this worktree: still the old one after a manual move.
fn known_to_git(record: &Worktree) -> Option<PathBuf> {
    let named = link_file(&record.git_dir.join("gitdir"), &record.git_dir)?;
    named.parent().map(Path::to_owned)
}

/// The folder to which `git worktree move` has moved this worktree: another than recorded, that exists and leads to
/// the same git folder.
#[must_use]
pub fn moved_to(record: &Worktree) -> Option<PathBuf> {
    let is_recorded = || record.path.join(".git").symlink_metadata().is_ok();
    if record.git_dir.as_os_str().is_empty() || is_recorded() {
        return None;
    }
    let folder = known_to_git(record).filter(|it| *it != record.path)?;
    let named = git_dir_of(&folder)?.canonicalize().ok()?;
    (named == record.git_dir.canonicalize().ok()?).then_some(folder)
}

/// The sentence about a worktree that was moved by git.
pub(super) fn moved(record: &Worktree, folder: &Path) -> String {
    format!(
        "the worktree of task {} was moved to {}, and is not in {} any more; git -C {} worktree move {} {} brings it back",
        record.task_id,
        folder.display(),
        record.path.display(),
        record.repository.display(),
        folder.display(),
        record.path.display()
    )
}

/// Whether a reference only names another one. If references are files, as an agent's git makes them too, its file is
/// read; packed references name commits.
///
/// # Errors
/// Git failed.
pub(super) async fn is_symbolic(git: &Git, common: &Path, name: &str) -> Result<bool, GitFault> {
    if common.join("reftable").exists() {
        let args = ["symbolic-ref", "--quiet", name];
        return git.holds(At::Bare(common), &args).await;
    }
    let text = AgentFile::at(&common.join(name)).and_then(|it| it.text(FEW_LINES));
    Ok(text.is_ok_and(|text| text.starts_with("ref:")))
}

/// Checks whether git could remove all of these references now.
///
/// # Errors
/// One of them has moved or is locked; then none may be removed.
pub(super) async fn removable(
    git: &Git,
    record: &Worktree,
    references: &[Reference],
) -> Result<(), GitFault> {
    if references.is_empty() {
        return Ok(());
    }
    let deletes = references
        .iter()
        .map(|it| format!("delete {} {}\n", it.name, it.commit));
    let tried = format!("start\n{}prepare\nabort\n", deletes.collect::<String>());
    let at = At::Bare(&record.common_dir);
    let args = ["update-ref", "--no-deref", "--stdin"];
    git.stdout_with(at, &args, tried.as_bytes())
        .await
        .map(drop)
        .map_err(|fault| {
            let path = record.path.display();
            GitFault(format!(
                "{path} was not removed: its references cannot be removed: {fault}"
            ))
        })
}

/// The folders of `git worktree list --porcelain -z` that have a branch checked out.
fn worktrees_on(output: &str, branch: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folder = None;
    for line in output.split('\0') {
        if let Some(path) = line.strip_prefix("worktree ") {
            folder = Some(PathBuf::from(path));
        } else if line.strip_prefix("branch ") == Some(branch) {
            found.extend(folder.take());
        }
    }
    found
}

/// Whether a commit stays when all references that Kirosu made for tasks are removed: another branch, tag or remote
/// branch has it.
pub(super) async fn is_held_elsewhere(
    git: &Git,
    record: &Worktree,
    commit: &str,
) -> Result<bool, GitFault> {
    let args = [
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
    let output = git.stdout(At::Bare(&record.common_dir), &args).await?;
    Ok(output.is_empty())
}

/// Commits made in the worktree that no reference of the repository has: those before a rebase, a reset or an amended
/// commit, or of an unfinished operation. All of them can be reached from the returned ones. `known`: commits that a
/// reference is known to hold.
pub(super) async fn unreferenced(
    git: &Git,
    record: &Worktree,
    known: &[String],
) -> Result<Vec<String>, GitFault> {
    let own = record.clone();
    let read = tokio::task::spawn_blocking(move || candidates(&own)).await;
    let candidates = read.unwrap_or_else(|error| Err(error.into()));
    let mut candidates = candidates.map_err(|error| {
        let folder = record.git_dir.display();
        GitFault(format!("cannot read the references in {folder}: {error}"))
    })?;
    if record.common_dir.join("reftable").exists() {
        candidates.extend(in_tables(git, record).await?);
    }
    candidates.retain(|it| !known.contains(it));
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let args = [
        "rev-list",
        "--parents",
        "--ignore-missing",
        "--single-worktree",
        "--stdin",
        "--not",
        "--all",
    ];
    let at = At::Bare(&record.common_dir);
    let output = git
        .stdout_with(at, &args, candidates.join("\n").as_bytes())
        .await?;
    Ok(heads(&output))
}

/// Keeps these commits as `refs/kirosu/NAME/NUMBER-unreferenced`: as parents of one commit, so that one name is
/// enough.
pub(super) async fn keep_unreferenced(
    git: &Git,
    record: &Worktree,
    known: &[String],
) -> Result<Option<Reference>, GitFault> {
    let commits = unreferenced(git, record, known).await?;
    if commits.is_empty() {
        return Ok(None);
    }
    let at = At::Bare(&record.common_dir);
    let mut commit = String::new();
    for some in commits.chunks(PARENTS_MAX) {
        let tree = format!("{}^{{tree}}", some[0]);
        let tree = git.stdout(at, &["rev-parse", "--verify", &tree]).await?;
        let message = format!(
            "Commits of attempt {} of task {} that no branch has",
            record.attempt_number(),
            record.task_id
        );
        let mut args = vec!["commit-tree", &tree, "-m", &message];
        let chained = (!commit.is_empty()).then(|| commit.clone());
        for parent in some.iter().chain(&chained) {
            args.extend(["-p", parent]);
        }
        commit = git.stdout(at, &args).await?;
    }
    let name = kept_refs::keep(git, record, "-unreferenced", &commit).await?;
    Ok(Some(Reference { name, commit }))
}

/// Like [`candidates`], for a repository that stores references and reflogs in tables, which only git reads.
async fn in_tables(git: &Git, record: &Worktree) -> Result<Vec<String>, GitFault> {
    let own = At::Bare(&record.git_dir);
    let branch = format!("refs/heads/{}", record.branch);
    let log = ["log", "--walk-reflogs", "--format=%H"];
    let asks = [
        [&log[..], &["HEAD", "--"]].concat(),
        [&log[..], &[&branch, "--"]].concat(),
        vec![
            "for-each-ref",
            "--include-root-refs",
            "--format=%(objectname)",
        ],
    ];
    let mut found = Vec::new();
    for args in asks {
        let end = git.run(own, &args).await;
        // The reference or its log may not exist.
        if let ProgramExit::Short(_) = end.exit {
            return Err(fault(&args, &end));
        }
        let names = end.stdout.lines().filter(|it| is_object(it));
        found.extend(names.map(str::to_owned));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Object names in the reflogs, per-worktree references and states of unfinished operations of a worktree. Blocks.
fn candidates(record: &Worktree) -> io::Result<Vec<String>> {
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
    let bytes = AgentFile::at(path).and_then(|it| it.beginning(MANY_LINES));
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// The files of a folder and, with `deep`, of its subfolders.
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
        let output = "worktree /a\0HEAD 1\0branch refs/heads/main\0\0worktree /b c\0HEAD 2\0branch refs/heads/x\0\0\
                    worktree /d\0HEAD 3\0detached\0\0";
        assert_eq!(
            worktrees_on(output, "refs/heads/x"),
            [PathBuf::from("/b c")]
        );
        assert!(worktrees_on(output, "refs/heads/y").is_empty());
    }
}
