//! Plans the merge of a branch into the checkout, and changes nothing there.
//!
//! `apply --check` and `apply` both use this plan, so their results are the same: whatever git would refuse, or do
//! only in part, is refused here. At the end git itself rehearses the merge, once with the files of the checkout and
//! once with an empty folder into which it writes all changed files, with their filters.

mod obstacles;
mod rehearse;
mod room;
mod undo;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kirosu_providers::ProgramExit;

use super::git::{At, Git, GitFault, PlainGit};
use super::inventory::list;
use super::names;
use super::programs;
use super::record::Worktree;
use super::shared::{Identity, Suspect};
use undo::Scratch;
pub(super) use undo::{Undone, present, undo};

/// The checkout that a person works in. Every call names its git folder: settings in it that say otherwise, which an
/// agent can write, are ignored.
#[derive(Debug, Clone)]
pub(super) struct Checkout {
    pub(super) root: PathBuf,
    pub(super) git_dir: PathBuf,
    /// Git for calls that must not end with this process.
    plain: PlainGit,
}

impl Checkout {
    async fn of(git: &Git, record: &Worktree) -> Result<Self, GitFault> {
        let root = record.repository.clone();
        let git_dir = super::inventory::git_dir_of(&root).ok_or_else(|| {
            GitFault(format!(
                "{} is no checkout any more; nothing was applied",
                root.display()
            ))
        })?;
        let at = At::Tree {
            git_dir: &git_dir,
            work_tree: &root,
        };
        let plain = git.plain(at).await?;
        Ok(Self {
            root,
            git_dir,
            plain,
        })
    }

    /// A call that does not end with this process.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        self.plain.command(self.at(), args)
    }

    pub(super) fn at(&self) -> At<'_> {
        At::Tree {
            git_dir: &self.git_dir,
            work_tree: &self.root,
        }
    }
}

/// All data for the merge.
#[derive(Debug)]
pub(super) struct ApplyPlan {
    pub(super) checkout: Checkout,
    /// The branch of the checkout.
    pub(super) into: String,
    /// The branch's commit.
    pub(super) head: String,
    /// The merged tree.
    pub(super) merged: String,
    /// The files that change in the checkout.
    pub(super) files: Vec<String>,
    /// The committer of the merge.
    pub(super) identity: Identity,
    /// A sentence that a person should read.
    pub(super) note: Option<String>,
    /// The files as git writes them.
    written: Scratch,
}

/// The result of planning.
#[derive(Debug)]
pub(super) enum Planned {
    Already,
    Merge(Box<ApplyPlan>),
}

/// Plans to merge `tip`, the last commit of the record's branch, into the checkout.
///
/// # Errors
/// Why it is not possible, and advice.
pub(super) async fn plan(git: &Git, record: &Worktree, tip: &str) -> Result<Planned, GitFault> {
    if let Some(workspaces) = record.folder().parent() {
        // A person may have set a filter since the last run.
        if let Err(fault) = programs::adopt(git, workspaces, &record.common_dir).await {
            tracing::warn!(%fault, "filters that were set since the last run are not used");
        }
    }
    let checkout = Checkout::of(git, record).await?;
    let at = checkout.at();
    let root = checkout.root.display();
    let into = git.stdout(at, &["symbolic-ref", "HEAD"]).await;
    let operation = unfinished(&checkout.git_dir);
    let into = into.map_err(|_| {
        GitFault(match operation {
            Some((name, end)) => format!("{root} has no branch checked out, it is in the middle of {name}: nothing was applied; finish it, or end it with {end}"),
            None => format!("{root} has no branch checked out (a detached HEAD); git switch to the branch that shall have the changes"),
        })
    })?;
    // Not --short: with a tag of the same name, it prints heads/NAME.
    let into = match into.strip_prefix("refs/heads/") {
        Some(name) => name.to_owned(),
        None => into,
    };
    if into == record.branch {
        return Err(GitFault(format!(
            "{root} has {into} itself checked out; git switch to the branch that shall have the changes"
        )));
    }
    let head = git
        .run(at, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        .await;
    if !head.is_good() {
        return Err(GitFault(format!(
            "the branch {into} in {root} has no commit yet: nothing was applied; git switch to the branch that shall have the changes"
        )));
    }
    let head = head.stdout;
    if let Some((name, end)) = operation {
        return Err(GitFault(format!(
            "{root} is in the middle of {name}: nothing was applied; finish it, or end it with {end}"
        )));
    }
    let is_in = ["merge-base", "--is-ancestor", tip, &head];
    if git.holds(at, &is_in).await? {
        return Ok(Planned::Already);
    }
    signature(git, &checkout, record, tip).await?;
    let merged = merge(git, record, &into, &head, tip).await?;
    let changes = obstacles::changes(git, &checkout, &head, &merged).await?;
    obstacles::check(git, &checkout, &changes).await?;
    let files = changes.into_iter().map(|it| it.path).collect::<Vec<_>>();
    let written =
        rehearse::rehearse(git, &checkout, record, [&head, &merged], (&into, &files)).await?;
    let mut identity = Identity::of(git, at).await;
    let suspect = Suspect::of(&record.common_dir, &identity);
    let note = suspect.as_ref().map(|it| it.sentence(&record.common_dir));
    if let Some(suspect) = suspect {
        identity = suspect.before;
    }
    Ok(Planned::Merge(Box::new(ApplyPlan {
        into,
        head,
        merged,
        files,
        identity,
        note,
        written,
        checkout,
    })))
}

/// An unfinished operation of git, and the call that ends it.
fn unfinished(git_dir: &Path) -> Option<(&'static str, &'static str)> {
    const OPERATIONS: &[(&str, &str, &str)] = &[
        ("MERGE_HEAD", "a merge", "git merge --abort"),
        ("rebase-merge", "a rebase", "git rebase --abort"),
        ("rebase-apply/applying", "git am", "git am --abort"),
        ("rebase-apply", "a rebase", "git rebase --abort"),
        (
            "CHERRY_PICK_HEAD",
            "a cherry-pick",
            "git cherry-pick --abort",
        ),
        ("REVERT_HEAD", "a revert", "git revert --abort"),
        (
            "sequencer",
            "a cherry-pick or revert",
            "git cherry-pick --abort or git revert --abort",
        ),
        ("BISECT_START", "a bisect", "git bisect reset"),
    ];
    let found = OPERATIONS
        .iter()
        .find(|(name, ..)| fs::symlink_metadata(git_dir.join(name)).is_ok());
    found.map(|(_, name, end)| (*name, *end))
}

/// Returns the signature option: if the repository requires signed commits, the branch must have one.
async fn signature(
    git: &Git,
    checkout: &Checkout,
    record: &Worktree,
    tip: &str,
) -> Result<(), GitFault> {
    let args = ["config", "--type=bool", "--get", "merge.verifySignatures"];
    let wanted = git.run(checkout.at(), &args).await;
    if !wanted.is_good() || wanted.stdout != "true" {
        return Ok(());
    }
    let signed = git.run(checkout.at(), &["verify-commit", tip]).await;
    match signed.is_good() {
        true => Ok(()),
        false => Err(GitFault(format!(
            "merge.verifySignatures is set in {root}, and the last commit {tip} of {branch} has no good signature: nothing was applied; git merge --no-verify-signatures {branch} there, if you trust it",
            root = checkout.root.display(),
            branch = record.branch
        ))),
    }
}

/// Merges the trees.
async fn merge(
    git: &Git,
    record: &Worktree,
    into: &str,
    head: &str,
    tip: &str,
) -> Result<String, GitFault> {
    let args = [
        "merge-tree",
        "--write-tree",
        "--name-only",
        "--no-messages",
        head,
        tip,
    ];
    let end = git.run(At::Bare(&record.common_dir), &args).await;
    let mut parts = end.stdout.split('\n');
    let tree = parts.next().unwrap_or_default().to_owned();
    match end.exit {
        ProgramExit::Code(0) => Ok(tree),
        ProgramExit::Code(1) => {
            let files = parts.filter(|it| !it.is_empty());
            let files: Vec<String> = files.map(names::read).collect();
            Err(GitFault(format!(
                "{} and {into} have both changed {}: nothing was applied; git merge {} there and solve it by hand, or discard the task and enqueue it anew",
                record.branch,
                list(&files),
                record.branch
            )))
        }
        _ if end.stderr.contains("usage:") => Err(GitFault(
            "this git cannot merge beside a checkout; install git 2.38 or newer".to_owned(),
        )),
        _ => Err(super::git::fault(&args, &end)),
    }
}
