//! After a run: what it changed becomes a commit on the task's branch.

use kirosu_providers::ProgramExit;

use super::git::{At, Git, GitFault, fault};
use super::locks::clear_locks;
use super::open::write;
use super::opened::Opened;
use super::record::{Record, State};
use super::staged::{keep_staged, staged_tree};
use super::take::take_in;
use super::verify::tree;
use super::{inventory, references, shared};

/// Commits what a run has left, records how it ended (`done`, or the failure's class) and lets others work there. Returns
/// lines for the run's output: what is on the branch, what is only in the worktree, and what changed beside it.
pub(crate) async fn settle(opened: &Opened, ended: &str) -> Vec<String> {
    let mut record = opened.record();
    clear_locks(&record);
    let note = match ended {
        "done" => String::new(),
        class => format!("the attempt with fence {} ended as {class}", record.fence),
    };
    let git = &opened.git;
    let committed = commit_rest(git, &record, &note).await;
    record.state = State::Kept;
    record.ended = Some(ended.to_owned());
    let written = write(&mut record).await;
    let mut lines = Vec::new();
    match committed.and_then(|it| written.map(|()| it)) {
        Ok(complaint) => {
            let files = changed_files(git, &record).await.unwrap_or_default();
            lines.extend(on_the_branch(&record, files));
            lines.extend(beside_the_branch(git, &record, complaint).await);
        }
        Err(fault) => {
            let (id, path) = (record.task_id, record.path.display());
            tracing::warn!(task_id = id, %fault, "the changes of a run are not committed; they are in {path}");
            lines.push(match references::moved_to(&record) {
                Some(moved) => references::moved(&record, &moved),
                None => {
                    format!("the changes in {path} could not be committed, and stay there: {fault}")
                }
            });
        }
    }
    if let Some(before) = opened.shared() {
        for line in shared::changed(git, &record, before).await {
            tracing::warn!(task_id = record.task_id, "{line}");
            lines.push(line);
        }
    }
    opened.release();
    lines
}

fn on_the_branch(record: &Record, files: usize) -> Option<String> {
    let (id, branch) = (record.task_id, &record.branch);
    let s = if files == 1 { "" } else { "s" };
    (files > 0).then(|| {
        format!("{files} file{s} changed on branch {branch}: kirosu diff {id}, kirosu apply {id}")
    })
}

/// Names everything of the worktree that its branch does not have, and keeps commits that no branch has.
async fn beside_the_branch(git: &Git, record: &Record, complaint: Option<String>) -> Vec<String> {
    let mut lines = Vec::new();
    let path = record.path.display();
    match inventory::look(git, record).await {
        Ok(found) if found.is_empty() => {}
        Ok(found) => {
            let why = complaint
                .map(|it| format!(" (git: {it})"))
                .unwrap_or_default();
            lines.push(format!(
                "not on the branch, only in {path}: {}{why}",
                found.names()
            ));
        }
        Err(fault) => lines.push(format!(
            "cannot tell whether all of {path} is on the branch: {fault}"
        )),
    }
    match references::keep_unreferenced(git, record).await {
        Ok(None) => {}
        Ok(Some(kept)) => lines.push(format!(
            "commits that no branch has any more are kept as {} (git log {})",
            kept.name, kept.commit
        )),
        Err(fault) => lines.push(format!(
            "commits that no branch has any more could not be kept: {fault}"
        )),
    }
    lines
}

async fn changed_files(git: &Git, record: &Record) -> Result<usize, GitFault> {
    let Some(tip) = tip_of(git, record).await? else {
        return Ok(0);
    };
    let ask = [
        "diff",
        "--name-only",
        "-z",
        "--no-ext-diff",
        &record.base,
        &tip,
        "--",
    ];
    let names = git.ask(At::Bare(&record.common_dir), &ask).await?;
    Ok(names.split_terminator('\0').count())
}

/// The branch's newest commit; `None` where there is no such branch.
pub(super) async fn tip_of(git: &Git, record: &Record) -> Result<Option<String>, GitFault> {
    let branch = format!("refs/heads/{}", record.branch);
    commit(git, At::Bare(&record.common_dir), &branch).await
}

async fn commit(git: &Git, at: At<'_>, name: &str) -> Result<Option<String>, GitFault> {
    let name = format!("{name}^{{commit}}");
    let ask = ["rev-parse", "--verify", "--quiet", &name];
    let end = git.run(at, &ask).await;
    // That it could not be asked does not mean that there is none.
    match end.exit {
        ProgramExit::Short(_) => Err(fault(&ask, &end)),
        _ => Ok(end.is_good().then_some(end.stdout)),
    }
}

/// Puts all that is not committed on the branch, whatever the agent did with HEAD. Returns git's complaint
/// about a file that it did not take.
///
/// # Errors
/// The folder is not the worktree that was made; the index or the branch cannot be written.
pub(super) async fn commit_rest(
    git: &Git,
    record: &Record,
    note: &str,
) -> Result<Option<String>, GitFault> {
    let at = tree(record)?;
    let staged = staged_tree(git, record).await?;
    let complaint = take_in(git, record).await?;
    let files = git.ask(at, &["write-tree"]).await?;
    let head = commit(git, at, "HEAD").await?;
    let tip = tip_of(git, record).await?;
    let tip = tip.unwrap_or_else(|| record.base.clone());
    let before = head.as_ref().unwrap_or(&tip);
    keep_staged(git, record, staged.as_deref(), &files, before).await?;
    let parents = match head {
        Some(head) if head == tip || follows(git, record, &tip, &head).await? => vec![head],
        Some(head) => vec![tip.clone(), head],
        None => vec![tip.clone()],
    };
    let new = match parents.as_slice() {
        [only] if tree_of(git, at, only).await? == files => only.clone(),
        _ => commit_tree(git, record, &files, &parents, note).await?,
    };
    let branch = format!("refs/heads/{}", record.branch);
    if new != tip || commit(git, at, &branch).await?.is_none() {
        let set = ["update-ref", "-m", "kirosu: a run has ended", &branch, &new];
        git.ask(at, &set).await?;
    }
    git.ask(at, &["symbolic-ref", "HEAD", &branch]).await?;
    Ok(complaint)
}

async fn follows(git: &Git, record: &Record, before: &str, after: &str) -> Result<bool, GitFault> {
    let ask = ["merge-base", "--is-ancestor", before, after];
    git.holds(tree(record)?, &ask).await
}

async fn tree_of(git: &Git, at: At<'_>, commit: &str) -> Result<String, GitFault> {
    let name = format!("{commit}^{{tree}}");
    git.ask(at, &["rev-parse", "--verify", &name]).await
}

pub(super) async fn commit_tree(
    git: &Git,
    record: &Record,
    files: &str,
    parents: &[String],
    note: &str,
) -> Result<String, GitFault> {
    let subject = format!("kirosu: task {}", record.task_id);
    let mut ask = vec!["commit-tree", files, "-m", &subject];
    if !note.is_empty() {
        ask.extend(["-m", note]);
    }
    for parent in parents {
        ask.extend(["-p", parent]);
    }
    git.ask(tree(record)?, &ask).await
}
