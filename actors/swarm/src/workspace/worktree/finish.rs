//! The end of a run in a worktree: its changes become a commit on the task's branch.

use kirosu_providers::{AgentFile, FEW_LINES, ProgramExit};

use super::git::{At, Git, GitFault, fault};
use super::index::renew;
use super::inventory::{self, FileStatus, Inventory, Seen};
use super::keep_staged::{keep_staged, staged_tree};
use super::locks::clear_locks;
use super::open_worktree::OpenWorktree;
use super::record::{Worktree, WorktreeState, write};
use super::stage::{StageResult, leave_out, stage_all};
use super::verify::tree;
use super::{programs, references, shared};

/// Commits the changes of a run, records how it ended (`done`, or the failure's class) and releases the worktree.
/// Returns lines for the run's output: the content of the branch, content that is only in the worktree, and changes
/// of shared state.
pub(crate) async fn finish(opened: &OpenWorktree, ended: &str) -> Vec<String> {
    let mut record = opened.record();
    clear_locks(&record);
    let note = match ended {
        "done" => String::new(),
        class => format!("attempt {} ended as {class}", record.attempt_number()),
    };
    let git = &opened.git;
    // While the record says that a run works here, no other process adopts what this run has set.
    let refused = refuse(git, &record).await;
    let committed = commit_rest(git, &record, &note).await;
    record.state = WorktreeState::Kept;
    record.ended = Some(ended.to_owned());
    let written = write(&mut record).await;
    let mut lines = Vec::from_iter(refused);
    let mut tip = record.base.clone();
    match committed.and_then(|it| written.map(|()| it)) {
        Ok(committed) => {
            tip.clone_from(&committed.tip);
            lines.extend(match changed_files(git, &record, &tip).await {
                Ok(files) => on_the_branch(&record, files),
                Err(fault) => Some(format!(
                    "cannot tell how many files changed on branch {}: {fault}",
                    record.branch
                )),
            });
            lines.extend(beside_the_branch(git, &record, committed).await);
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
        for line in shared::changed(git, &record, before, &tip).await {
            tracing::warn!(task_id = record.task_id, "{line}");
            lines.push(line);
        }
    }
    opened.release();
    lines
}

/// Refuses programs that the run has named in the settings of the repository; returns a sentence about them.
async fn refuse(git: &Git, record: &Worktree) -> Option<String> {
    let workspaces = record.folder().parent()?;
    let refused = programs::refuse(git, workspaces, &record.common_dir).await;
    let line = refused.unwrap_or_else(|fault| Some(fault.to_string()))?;
    tracing::warn!(task_id = record.task_id, "{line}");
    Some(line)
}

fn on_the_branch(record: &Worktree, files: usize) -> Option<String> {
    let (id, branch) = (record.task_id, &record.branch);
    let s = if files == 1 { "" } else { "s" };
    (files > 0).then(|| {
        format!("{files} file{s} changed on branch {branch}: kirosu diff {id}, kirosu apply {id}")
    })
}

/// Names all content of the worktree that its branch does not have, and keeps commits that no branch has.
async fn beside_the_branch(git: &Git, record: &Worktree, mut committed: Committed) -> Vec<String> {
    let mut lines = Vec::new();
    let path = record.path.display();
    match committed.left(git, record).await {
        Ok(found) if found.is_empty() => {}
        Ok(found) => {
            let why = committed
                .complaint
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
    match references::keep_unreferenced(git, record, &committed.commits).await {
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

async fn changed_files(git: &Git, record: &Worktree, tip: &str) -> Result<usize, GitFault> {
    if tip == record.base {
        return Ok(0);
    }
    let args = [
        "diff",
        "--name-only",
        "--no-ext-diff",
        &record.base,
        tip,
        "--",
    ];
    let names = git.stdout(At::Bare(&record.common_dir), &args).await?;
    Ok(names.lines().count())
}

/// The branch's newest commit; `None` if the branch does not exist.
pub(super) async fn tip_of(git: &Git, record: &Worktree) -> Result<Option<String>, GitFault> {
    let branch = format!("refs/heads/{}", record.branch);
    commit(git, At::Bare(&record.common_dir), &branch).await
}

/// The commit that a name refers to; `None` if there is none.
///
/// # Errors
/// Git failed.
pub(super) async fn commit(git: &Git, at: At<'_>, name: &str) -> Result<Option<String>, GitFault> {
    let name = format!("{name}^{{commit}}");
    let args = ["rev-parse", "--verify", "--quiet", &name];
    let end = git.run(at, &args).await;
    // A failure of git does not mean that there is none.
    match end.exit {
        ProgramExit::Short(_) => Err(fault(&args, &end)),
        _ => Ok(end.is_good().then_some(end.stdout)),
    }
}

/// The content of the branch after the commit.
pub(super) struct Committed {
    /// Git's error about a file that it did not take.
    pub(super) complaint: Option<String>,
    /// The branch's last commit.
    pub(super) tip: String,
    /// Commits that the branch has: the last one and those before it.
    commits: Vec<String>,
    /// Output of git that is still valid.
    seen: Option<Seen>,
}

impl Committed {
    /// Content that is only in the worktree. Calls git if its earlier output is no longer valid.
    ///
    /// # Errors
    /// Git failed.
    async fn left(&mut self, git: &Git, record: &Worktree) -> Result<Inventory, GitFault> {
        match self.seen.take() {
            Some(seen) => inventory::inspect_with(git, record, seen).await,
            None => inventory::inspect(git, record).await,
        }
    }
}

/// Commits everything uncommitted on the branch, whatever the agent did with HEAD. If another git has just removed
/// objects that had no reference yet (`git gc --prune=now`), all files are read again.
///
/// # Errors
/// The folder is not the worktree that was made; the index or the branch cannot be written.
pub(super) async fn commit_rest(
    git: &Git,
    record: &Worktree,
    note: &str,
) -> Result<Committed, GitFault> {
    if !record.filled {
        return Err(GitFault(format!(
            "the files of {} were not all written when Kirosu was stopped, and no run has begun there; the next attempt writes them anew",
            record.path.display()
        )));
    }
    match commit_once(git, record, note).await {
        Err(fault) if fault.is_of_missing_object() => {
            tracing::warn!(task_id = record.task_id, %fault, "objects of a worktree are gone; its index is made anew");
            let tip = tip_of(git, record).await?;
            let tip = tip.unwrap_or_else(|| record.base.clone());
            renew(git, record, &tip).await?;
            commit_once(git, record, note).await
        }
        committed => committed,
    }
}

async fn commit_once(git: &Git, record: &Worktree, note: &str) -> Result<Committed, GitFault> {
    let at = tree(record)?;
    // If git fails here, staging the files reports the reason, or works nevertheless.
    let before = inventory::statuses(git, record).await.ok();
    let any =
        |is: fn(&FileStatus) -> bool| before.as_ref().is_none_or(|(all, _)| all.iter().any(is));
    let staged = match any(|it| matches!(it, FileStatus::WrittenOver(_))) {
        true => staged_tree(git, record).await?,
        false => None,
    };
    let is_changed = any(|it| !matches!(it, FileStatus::Ignored(_)));
    let taken = match is_changed {
        true => stage_all(git, record).await?,
        false => leave_out(git, record).await?,
    };
    let branch = format!("refs/heads/{}", record.branch);
    let branch_commit = format!("{branch}^{{commit}}");
    let names = ["HEAD^{commit}", "HEAD^{tree}", &branch_commit];
    let [head, head_tree, old] = git.objects(at, names).await?;
    let files = match head_tree.clone() {
        // Index and files equal the commit.
        Some(tree) if !is_changed && taken.is_all => tree,
        _ => git.stdout(at, &["write-tree"]).await?,
    };
    let tip = old.clone().unwrap_or_else(|| record.base.clone());
    if let Some(staged) = staged.filter(|it| *it != files) {
        keep_staged(git, record, &staged, head.as_ref().unwrap_or(&tip)).await?;
    }
    let parents = match head.clone() {
        Some(head) if head == tip || follows(git, record, &tip, &head).await? => vec![head],
        Some(head) => vec![tip.clone(), head],
        None => vec![tip.clone()],
    };
    let tree = match parents.as_slice() {
        [only] if Some(only) == head.as_ref() => head_tree,
        [only] => Some(tree_of(git, at, only).await?),
        _ => None,
    };
    let new = match tree == Some(files.clone()) {
        true => parents[0].clone(),
        false => commit_tree(git, record, &files, &parents, note).await?,
    };
    if old.as_ref() != Some(&new)
        || references::is_symbolic(git, &record.common_dir, &branch).await?
    {
        let set = ["-m", "kirosu: a run has ended", &branch, &new];
        git.update_ref(at, &set).await?;
    }
    if !is_on(record, &branch) {
        git.stdout(at, &["symbolic-ref", "HEAD", &branch]).await?;
    }
    let mut commits = parents;
    commits.push(new.clone());
    Ok(Committed {
        tip: new,
        commits,
        complaint: taken.complaint.clone(),
        seen: still_holds(before, taken),
    })
}

/// The part of git's output that is valid after the commit: ignored files, if git has taken all others.
fn still_holds(before: Option<(Vec<FileStatus>, Vec<String>)>, taken: StageResult) -> Option<Seen> {
    let (mut statuses, unreadable) = before?;
    statuses.retain(|it| matches!(it, FileStatus::Ignored(_)));
    taken.is_all.then_some(Seen {
        statuses,
        unreadable,
        listed: taken.listed,
    })
}

/// Whether `HEAD` of the worktree is the branch, according to its file.
pub(super) fn is_on(record: &Worktree, branch: &str) -> bool {
    let head = AgentFile::at(&record.git_dir.join("HEAD")).and_then(|it| it.text(FEW_LINES));
    head.is_ok_and(|text| text.trim_end() == format!("ref: {branch}"))
}

async fn follows(
    git: &Git,
    record: &Worktree,
    before: &str,
    after: &str,
) -> Result<bool, GitFault> {
    let args = ["merge-base", "--is-ancestor", before, after];
    git.holds(tree(record)?, &args).await
}

async fn tree_of(git: &Git, at: At<'_>, commit: &str) -> Result<String, GitFault> {
    let name = format!("{commit}^{{tree}}");
    git.stdout(at, &["rev-parse", "--verify", &name]).await
}

pub(super) async fn commit_tree(
    git: &Git,
    record: &Worktree,
    files: &str,
    parents: &[String],
    note: &str,
) -> Result<String, GitFault> {
    let subject = format!("kirosu: task {}", record.task_id);
    let mut args = vec!["commit-tree", files, "-m", &subject];
    if !note.is_empty() {
        args.extend(["-m", note]);
    }
    for parent in parents {
        args.extend(["-p", parent]);
    }
    git.stdout(tree(record)?, &args).await
}
