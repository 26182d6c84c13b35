//! After a run: what it changed becomes a commit on the task's branch.

use kirosu_providers::ProgramExit;

use super::git::{At, Git, GitFault, fault};
use super::locks::clear_locks;
use super::open::write;
use super::opened::Opened;
use super::record::{Record, State};
use super::verify::tree;

/// Commits what a run has left, notes how it ended (`done`, or the failure's class) and lets others work there. What it
/// says is for the run's output.
pub(crate) async fn settle(opened: &Opened, ended: &str) -> Option<String> {
    let mut record = opened.record();
    clear_locks(&record);
    let note = match ended {
        "done" => String::new(),
        class => format!("the attempt with fence {} ended as {class}", record.fence),
    };
    let committed = commit_rest(&opened.git, &record, &note).await;
    record.state = State::Kept;
    record.ended = Some(ended.to_owned());
    let written = write(&mut record).await;
    opened.release();
    let id = record.task_id;
    match committed.and_then(|it| written.map(|()| it)) {
        Ok(rest) => {
            let files = changed_files(&opened.git, &record)
                .await
                .unwrap_or_default();
            let branch = &record.branch;
            let left_out = rest.map(|it| format!("; {it}")).unwrap_or_default();
            (files > 0).then(|| {
                let s = if files == 1 { "" } else { "s" };
                format!("{files} file{s} changed on branch {branch}: kirosu diff {id}, kirosu apply {id}{left_out}")
            })
        }
        Err(fault) => {
            let path = record.path.display();
            tracing::warn!(task_id = id, %fault, "the changes of a run are not committed; they are in {path}");
            Some(format!(
                "the changes in {path} could not be committed, and stay there: {fault}"
            ))
        }
    }
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

/// Puts all that is not committed on the branch, whatever the agent did with HEAD; tells what could not be taken along.
pub(super) async fn commit_rest(
    git: &Git,
    record: &Record,
    note: &str,
) -> Result<Option<String>, GitFault> {
    let at = tree(record)?;
    let added = git.run(at, &["add", "--all", "--ignore-errors"]).await;
    // A repository within that has no commit, a file that cannot be read: the rest is taken all the same.
    let left_out = (!added.is_good()).then(|| {
        let said = added.stderr.lines().last().unwrap_or_default();
        format!("some of it was left out: {said}")
    });
    let files = git.ask(at, &["write-tree"]).await?;
    let head = commit(git, at, "HEAD").await?;
    let tip = tip_of(git, record).await?;
    let tip = tip.unwrap_or_else(|| record.base.clone());
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
    Ok(left_out)
}

async fn follows(git: &Git, record: &Record, before: &str, after: &str) -> Result<bool, GitFault> {
    let ask = ["merge-base", "--is-ancestor", before, after];
    git.holds(tree(record)?, &ask).await
}

async fn tree_of(git: &Git, at: At<'_>, commit: &str) -> Result<String, GitFault> {
    let name = format!("{commit}^{{tree}}");
    git.ask(at, &["rev-parse", "--verify", &name]).await
}

async fn commit_tree(
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
