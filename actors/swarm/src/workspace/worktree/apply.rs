//! Merges a task's branch into the checkout of its pool's repository: completely, or not at all.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use super::finish::{commit_rest, tip_of};
use super::git::{At, Git, GitFault};
use super::index::conflicts_in;
use super::inventory::{self, Inventory, LeftoverReason, list};
use super::lock_wait::lock;
use super::locks::clear_locks;
use super::names;
use super::plan::{self, ApplyPlan, Planned, Undone};
use super::record::{Worktree, WorktreeLock, WorktreeState, write};
use super::references;
use super::verify::{fault, verify};

/// The result of [`apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// The branch has no changes.
    Nothing,
    /// The branch was merged before.
    Already,
    /// The merge is possible; the result of a check.
    Possible {
        /// The branch of the checkout.
        into: String,
        /// The files that it changes there.
        files: Vec<String>,
        /// A sentence that a person should read.
        note: Option<String>,
    },
    /// The branch was merged.
    Merged {
        /// The branch of the checkout.
        into: String,
        /// The files that were changed there.
        files: Vec<String>,
        /// The merge commit.
        commit: String,
        /// A sentence that a person should read.
        note: Option<String>,
    },
}

/// How to apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApplyMode {
    /// Only check whether it is possible.
    pub check: bool,
    /// Merge even if content of the worktree is not on its branch.
    pub partial: bool,
}

/// Merges the branch of a task into the branch that is checked out in its repository. Every condition is checked
/// before anything is changed; `check` ends at this point.
///
/// # Errors
/// The task still runs; content of the worktree is not on its branch; there are conflicts; the checkout is not ready,
/// or has content in the way that git does not hold. Nothing has changed then.
pub async fn apply(git: &Git, record: &Worktree, how: ApplyMode) -> Result<ApplyOutcome, GitFault> {
    let _lock = lock(record)?;
    let mut record = record.clone();
    let left = take_rest(git, &record).await?;
    let tip = tip_of(git, &record).await?.ok_or_else(|| {
        GitFault(format!(
            "the branch {} is gone; there is nothing to apply",
            record.branch
        ))
    })?;
    all_on_the_branch(git, &record, left, &tip, how).await?;
    if tip == record.base {
        // Without the folder it is unknown whether the run changed something.
        return match verify(&record) {
            Ok(()) => Ok(ApplyOutcome::Nothing),
            Err(why) => Err(GitFault(format!(
                "nothing is on the branch {}, and {}",
                record.branch,
                fault(&record, &why)
            ))),
        };
    }
    let unresolved = conflicts_in(git, &record, &tip).await?;
    if !unresolved.is_empty() {
        return Err(GitFault(format!(
            "task {} left conflicts that are not resolved in {}: nothing was applied; resolve them in {} and apply again, or discard the task",
            record.task_id,
            list(&unresolved),
            record.path.display()
        )));
    }
    // A concurrent `apply` would plan on a commit that this one moves. The lock also excludes adding worktrees.
    let common = record.common_dir.clone();
    let queue = tokio::task::spawn_blocking(move || WorktreeLock::of_repository(&common)).await;
    let _queue = queue
        .unwrap_or_else(|error| Err(error.into()))
        .map_err(|error| {
            let folder = record.common_dir.display();
            GitFault(format!("cannot lock the repository in {folder}: {error}"))
        })?;
    let plan = match plan::plan(git, &record, &tip).await? {
        Planned::Merge(plan) => plan,
        Planned::Already => {
            if !how.check {
                record.state = WorktreeState::Applied;
                write(&mut record).await?;
            }
            return Ok(ApplyOutcome::Already);
        }
    };
    let ApplyPlan {
        into,
        files,
        identity,
        note,
        ..
    } = plan.as_ref();
    let (into, files, note) = (into.clone(), files.clone(), note.clone());
    if how.check {
        return Ok(ApplyOutcome::Possible { into, files, note });
    }
    let mut git = git.clone();
    for (value, role) in [(&identity.name, "NAME"), (&identity.email, "EMAIL")] {
        for who in ["AUTHOR", "COMMITTER"] {
            if let Some(value) = value {
                git = git.with(&format!("GIT_{who}_{role}"), Path::new(value));
            }
        }
    }
    let commit = commit_merge(&git, &record, &plan, &tip).await?;
    forward(&plan, &commit)?;
    record.state = WorktreeState::Applied;
    write(&mut record).await?;
    Ok(ApplyOutcome::Merged {
        into,
        files,
        commit,
        note,
    })
}

/// Commits a person's changes in the worktree, if it exists; returns content that the branch still does not have, and
/// git's reason.
async fn take_rest(git: &Git, record: &Worktree) -> Result<(Inventory, Option<String>), GitFault> {
    if let Some(moved) = references::moved_to(record) {
        return Err(GitFault(format!(
            "{}: nothing was applied",
            references::moved(record, &moved)
        )));
    }
    if verify(record).is_err() {
        return Ok(Default::default());
    }
    let elsewhere = references::checked_out_at(git, record).await?;
    if let Some(folder) = elsewhere.first() {
        return Err(GitFault(format!(
            "the branch {} is checked out in {}, too: nothing was applied; git switch to another branch there first",
            record.branch,
            folder.display()
        )));
    }
    clear_locks(record);
    let complaint = commit_rest(git, record, "").await?.complaint;
    let left = inventory::inspect(git, record).await?.without_ignored();
    Ok((left, complaint))
}

/// Fails if content of the worktree would not be merged, or if the branch names commits of submodules that only the
/// worktree has.
async fn all_on_the_branch(
    git: &Git,
    record: &Worktree,
    (left, complaint): (Inventory, Option<String>),
    tip: &str,
    how: ApplyMode,
) -> Result<(), GitFault> {
    let path = record.path.display();
    let mut rest = Vec::new();
    for leftover in left.iter() {
        // The git folder of a submodule that is no longer populated is at no path of the branch.
        let is_at_a_path = !Path::new(&leftover.path).is_absolute();
        if leftover.why != LeftoverReason::SubmoduleCommits || !is_at_a_path {
            rest.push(leftover.clone());
            continue;
        }
        let Some(commit) = link_of(git, record, tip, &leftover.path).await? else {
            rest.push(leftover.clone());
            continue;
        };
        // If the branch names the same commit as its base, other commits in the submodule stay in the worktree.
        let named_before = link_of(git, record, &record.base, &leftover.path).await?;
        if named_before.as_ref() == Some(&commit) {
            rest.push(leftover.clone());
        } else if !has_commit(git, record, &leftover.path, &commit).await {
            let (inner, repository) = (&leftover.path, record.repository.display());
            return Err(GitFault(format!(
                "the branch {} names commit {commit} of the submodule {inner}, which no remote has: nothing was applied; push it (git -C {path}/{inner} push), or fetch it (git -C {repository}/{inner} fetch {path}/{inner} HEAD), and try again",
                record.branch
            )));
        }
    }
    let rest = Inventory::from(rest);
    if rest.is_empty() || how.partial {
        return Ok(());
    }
    let why = complaint
        .map(|it| format!(" (git: {it})"))
        .unwrap_or_default();
    Err(GitFault(format!(
        "not all is on the branch {}: only {path} has {}{why}: nothing was applied; commit or remove it there, or apply only what is on the branch with --partial",
        record.branch,
        rest.names()
    )))
}

/// The commit that a tree has at the path of a submodule.
async fn link_of(
    git: &Git,
    record: &Worktree,
    commit: &str,
    path: &str,
) -> Result<Option<String>, GitFault> {
    let literal = git.with("GIT_LITERAL_PATHSPECS", Path::new("1"));
    let at = At::Bare(&record.common_dir);
    // Arguments are text. A link whose name is not text counts as one that the commit does not have.
    if names::path(path).to_str().is_none() {
        return Ok(None);
    }
    let args = ["ls-tree", commit, "--", path];
    let output = literal.stdout(at, &args).await?;
    let link = output.strip_prefix("160000 commit ");
    Ok(link
        .and_then(|rest| rest.split('\t').next())
        .map(str::to_owned))
}

/// Whether the checkout's own submodule has a commit, or the worktree's has it from a remote.
async fn has_commit(git: &Git, record: &Worktree, path: &str, commit: &str) -> bool {
    let wanted = format!("{commit}^{{commit}}");
    if let Some(own) = inventory::git_dir_of(&record.repository.join(names::path(path))) {
        let args = ["cat-file", "-e", &wanted];
        if git.run(At::Bare(&own), &args).await.is_good() {
            return true;
        }
    }
    inventory::is_pushed(git, &record.path, record.folder(), path, commit).await
}

/// Commits as the person whose repository it is; signing is off, as in every commit of Kirosu.
async fn commit_merge(
    git: &Git,
    record: &Worktree,
    plan: &ApplyPlan,
    tip: &str,
) -> Result<String, GitFault> {
    let message = format!("Merge task {} of kirosu into {}", record.task_id, plan.into);
    let args = [
        "commit-tree",
        &plan.merged,
        "-m",
        &message,
        "-p",
        &plan.head,
        "-p",
        tip,
    ];
    git.stdout(plan.checkout.at(), &args).await
}

/// Moves the checkout to the merge. Fails if a file was changed at this moment. Blocks, and Ctrl-C does not reach it,
/// so that it is not left half done. If git itself stops half way (no space, a disk error), all files are put back.
fn forward(plan: &ApplyPlan, commit: &str) -> Result<(), GitFault> {
    let before = plan::present(plan);
    // Ignore the person's options for manual merges.
    let options = format!("branch.{}.mergeOptions=", plan.into);
    let args = [
        "-c",
        &options,
        "merge",
        "--ff-only",
        "--quiet",
        "--no-autostash",
        "--no-overwrite-ignore",
        "--no-verify-signatures",
        commit,
    ];
    let output = plan
        .checkout
        .command(&args)
        .process_group(0)
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| GitFault(format!("cannot run git: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let undone = match plan::undo(plan, &before) {
        Undone::Whole => "nothing was applied, all files are as before".to_owned(),
        Undone::Half(text) => text,
    };
    Err(GitFault(format!(
        "the checkout did not take the merge: {}: {undone}",
        why.trim()
    )))
}
