//! Brings a task's branch into the checkout that its pool's repository has: whole, or not at all.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use kirosu_providers::ProgramExit;

use super::git::{At, Git, GitFault, plain_command};
use super::index::conflicts_in;
use super::leave::lock;
use super::locks::clear_locks;
use super::open::write;
use super::record::{Record, State};
use super::settle::{commit_rest, tip_of};

/// Names that a refusal lists.
const SHOWN: usize = 10;

/// Asks for the names of the files that differ.
const DIFF: &[&str] = &["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff"];

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// There was nothing to bring in.
    Nothing,
    /// The branch was in already.
    Already,
    /// It can be brought in; with `check` only this was asked.
    Possible {
        /// The branch of the checkout.
        into: String,
        /// The files that it changes there.
        files: Vec<String>,
    },
    /// It is in.
    Merged {
        /// The branch of the checkout.
        into: String,
        /// The files that were changed there.
        files: Vec<String>,
        /// The merge.
        commit: String,
    },
}

/// Merges the branch of a task into the branch that is checked out in its repository. The merge is made beside the
/// checkout first; only one without conflicts, in files that nobody has changed there, gets in.
///
/// # Errors
/// A task that still runs, conflicts, changes in the same files, no branch checked out. Nothing has changed then.
pub async fn apply(git: &Git, record: &Record, check: bool) -> Result<Applied, GitFault> {
    let _lock = lock(record)?;
    let mut record = record.clone();
    if record.git_dir.is_dir() && record.path.is_dir() {
        clear_locks(&record);
        commit_rest(git, &record, "").await?;
    }
    let tip = tip_of(git, &record).await?.ok_or_else(|| {
        GitFault(format!(
            "the branch {} is gone; there is nothing to apply",
            record.branch
        ))
    })?;
    if tip == record.base {
        return Ok(Applied::Nothing);
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
    let at = At::Folder(&record.repository);
    let into = git.ask(at, &["symbolic-ref", "--short", "HEAD"]).await;
    let into = into.map_err(|_| {
        GitFault(format!(
            "{} has no branch checked out (a detached HEAD); git switch to the branch that shall have the changes",
            record.repository.display()
        ))
    })?;
    let head = git
        .ask(at, &["rev-parse", "--verify", "HEAD^{commit}"])
        .await?;
    if git
        .holds(at, &["merge-base", "--is-ancestor", &tip, &head])
        .await?
    {
        if !check {
            record.state = State::Applied;
            write(&mut record).await?;
        }
        return Ok(Applied::Already);
    }
    let merged = merge(git, &record, &into, &head, &tip).await?;
    let files = names(git, at, &[DIFF, &[&head, &merged]].concat()).await?;
    unchanged_there(git, &record, &files, [&head, &merged]).await?;
    if check {
        return Ok(Applied::Possible { into, files });
    }
    let commit = commit_merge(git, &record, &into, &merged, [&head, &tip]).await?;
    forward(at, &commit)?;
    record.state = State::Applied;
    write(&mut record).await?;
    Ok(Applied::Merged {
        into,
        files,
        commit,
    })
}

/// Moves the checkout on to the merge. Refuses where a file was changed this very moment, and then changes nothing; blocks,
/// out of reach of Ctrl-C, so that it is not left half way.
fn forward(at: At<'_>, commit: &str) -> Result<(), GitFault> {
    let ask = ["merge", "--ff-only", "--quiet", "--no-autostash", commit];
    let output = plain_command(at, &ask)
        .process_group(0)
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| GitFault(format!("cannot run git: {error}")))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(GitFault(format!(
            "the checkout did not take the merge: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// The tree of both together.
async fn merge(
    git: &Git,
    record: &Record,
    into: &str,
    head: &str,
    tip: &str,
) -> Result<String, GitFault> {
    let ask = [
        "merge-tree",
        "--write-tree",
        "--name-only",
        "-z",
        "--no-messages",
        head,
        tip,
    ];
    let end = git.run(At::Bare(&record.common_dir), &ask).await;
    let mut parts = end.stdout.split('\0');
    let tree = parts.next().unwrap_or_default().to_owned();
    match end.exit {
        ProgramExit::Code(0) => Ok(tree),
        ProgramExit::Code(1) => {
            let files: Vec<String> = parts
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect();
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
        _ => Err(super::git::fault(&ask, &end)),
    }
}

/// None of these files was touched in the checkout since its last commit.
async fn unchanged_there(
    git: &Git,
    record: &Record,
    files: &[String],
    [head, merged]: [&str; 2],
) -> Result<(), GitFault> {
    let at = At::Folder(&record.repository);
    let ask = |more: &[&'static str]| [DIFF, more].concat();
    let mut touched = names(git, at, &[&ask(&[])[..], &["HEAD"]].concat()).await?;
    touched.extend(names(git, at, &[&ask(&["--cached"])[..], &["HEAD"]].concat()).await?);
    let new = [&ask(&["--diff-filter=A"])[..], &[head, merged]].concat();
    let new = names(git, at, &new).await?;
    let there = |name: &String| record.repository.join(name).symlink_metadata().is_ok();
    touched.extend(new.into_iter().filter(there));
    let mut both: Vec<String> = files
        .iter()
        .filter(|it| touched.contains(it))
        .cloned()
        .collect();
    both.sort();
    match both.is_empty() {
        true => Ok(()),
        false => Err(GitFault(format!(
            "{} has changes of its own in {}: nothing was applied; commit or stash them first",
            record.repository.display(),
            list(&both)
        ))),
    }
}

async fn names(git: &Git, at: At<'_>, ask: &[&str]) -> Result<Vec<String>, GitFault> {
    let said = git.ask(at, ask).await?;
    Ok(said.split_terminator('\0').map(str::to_owned).collect())
}

pub(super) fn list<T: AsRef<str>>(files: &[T]) -> String {
    let shown = files
        .iter()
        .take(SHOWN)
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ");
    match files.len() {
        count if count > SHOWN => format!("{shown} and {} more", count - SHOWN),
        _ => shown,
    }
}

/// By whoever the repository commits as, where it says so: it is a person who applies.
async fn commit_merge(
    git: &Git,
    record: &Record,
    into: &str,
    tree: &str,
    parents: [&str; 2],
) -> Result<String, GitFault> {
    let at = At::Folder(&record.repository);
    let mut git = git.clone();
    for (key, role) in [("user.name", "NAME"), ("user.email", "EMAIL")] {
        if let Ok(value) = git.ask(at, &["config", "--get", key]).await {
            for who in ["AUTHOR", "COMMITTER"] {
                git = git.with(&format!("GIT_{who}_{role}"), std::path::Path::new(&value));
            }
        }
    }
    let message = format!("Merge task {} of kirosu into {into}", record.task_id);
    let ask = [
        "commit-tree",
        tree,
        "-m",
        &message,
        "-p",
        parents[0],
        "-p",
        parents[1],
    ];
    git.ask(at, &ask).await
}
