//! Makes a task's worktree, or opens it for a further attempt.
//!
//! A fault here concerns the task, not the pool: another name is tried, and after [`TRIES`] the attempt fails. Only
//! the faults that [`check`] finds (no repository, no commit, no git, folders that cannot be written) concern every
//! task of the pool.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kirosu_protocol::NotAccepted;
use kirosu_protocol::task::Task;

use super::aside;
use super::attempt::again;
use super::check::{Ground, check, ground, pool};
use super::git::{Git, GitFault};
use super::make::{make, make_first};
use super::name_claim::{NameState, claim_name, name_of, prefix};
use super::open_worktree::{OpenWorktree, unresolved};
use super::record::{Worktree, WorktreeState, write};
use super::references::{RefList, listed};
use super::repository::Repository;
use super::verify::{Unverified, fault, verify_folder};
use crate::options::PoolOptions;
use crate::workspace::NoFolder;
use crate::workspace::folder::cannot_make;
use crate::workspace::identity::real_folder;

/// Maximum number of names checked.
const NAMES: u32 = 100;
/// Maximum number of names at which one attempt tries to make or open a worktree.
const TRIES: usize = 3;

/// Returns the worktree of a task, ready for its next attempt.
///
/// # Errors
/// The variant says whether the task or the pool is at fault.
pub(crate) async fn open(
    options: &Arc<PoolOptions>,
    task: &Task,
) -> Result<OpenWorktree, NoFolder> {
    let Ground {
        git,
        repository,
        base,
    } = ground(options).await?;
    let folder = options.workspaces_dir.join(&options.name);
    let made = std::fs::create_dir_all(&folder).and_then(|()| folder.canonicalize());
    let folder = made.map_err(|error| cannot_make(&folder, &error))?;
    let own = format!("refs/kirosu/{}", name_of(task.task_id, 1));
    let listed = listed(&git, &repository.common, &[&own]).await;
    let opening = Opening {
        options,
        git: &git,
        repository: &repository,
        listed: listed.clone().unwrap_or_default(),
        folder: &folder,
        task,
        base,
    };
    match listed {
        Err(fault) if fault.is_shortage() => return Err(pool(fault)),
        Err(fault) => return Err(opening.give_up(&[fault.to_string()]).await),
        Ok(_) => {}
    }
    let mut notes = Vec::new();
    let mut failed = Vec::new();
    let prefix = prefix(&repository, &opening.listed);
    for number in 1..=NAMES {
        let name = name_of(task.task_id, number);
        match opening.at(prefix, &name, &mut notes).await {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => {}
            Err(NoWorktree::Busy) => {
                return Err(NoFolder::Busy(format!(
                    "another run or command still works in the worktree {}; it is tried again",
                    folder.join(&name).display()
                )));
            }
            Err(NoWorktree::Fault(fault, _)) if fault.is_shortage() => return Err(pool(fault)),
            Err(NoWorktree::Fault(fault, is_new)) => {
                tracing::warn!(task_id = task.task_id, name, %fault, "a worktree cannot be used");
                if failed.is_empty() {
                    // A fault that every task has is the pool's.
                    check(options, fault.is_of_files()).await?;
                }
                failed.push(format!("{name} ({fault})"));
                // The check has just written all files: the cause may be gone, which one more name shows.
                let is_again = failed.len() > 1 && is_new && fault.is_of_files();
                if failed.len() == TRIES || is_again {
                    break;
                }
            }
        }
    }
    if failed.is_empty() {
        failed.push(format!(
            "the names task-{0} to task-{0}.{NAMES} are all taken in {1} or as branches; discard some (kirosu workspaces)",
            task.task_id,
            folder.display()
        ));
    }
    Err(opening.give_up(&failed).await)
}

/// Why there is no worktree at a name.
enum NoWorktree {
    /// It is the task's, and in use.
    Busy,
    /// It could not be made or opened. True if it was made for this attempt: then an earlier attempt is not the
    /// cause, and a third name does not help if its files could not be written.
    Fault(GitFault, bool),
}

impl From<GitFault> for NoWorktree {
    fn from(fault: GitFault) -> Self {
        Self::Fault(fault, false)
    }
}

/// Parameters for opening a task's worktree.
struct Opening<'a> {
    options: &'a Arc<PoolOptions>,
    git: &'a Git,
    repository: &'a Repository,
    /// The references of the repository, and of the task's earlier attempts, when this attempt began.
    listed: RefList,
    folder: &'a Path,
    task: &'a Task,
    base: String,
}

impl Opening<'_> {
    /// Returns the worktree at a name; `None` if the name is taken. Adds messages for the run's output to `notes`.
    async fn at(
        &self,
        prefix: &str,
        name: &str,
        notes: &mut Vec<String>,
    ) -> Result<Option<OpenWorktree>, NoWorktree> {
        let branch = format!("{prefix}{name}");
        let at = (name, branch.as_str());
        let repository = (self.repository, &self.listed);
        let found = claim_name(self.git, repository, self.folder, self.task, at).await?;
        let (lock, mut record, is_mine) = match found {
            NameState::Mine(lock, record) => (lock, *record, true),
            NameState::Free(lock) => (lock, self.new_record(name, branch), false),
            NameState::Taken(note) => {
                notes.extend(note);
                return Ok(None);
            }
            NameState::Busy => return Err(NoWorktree::Busy),
        };
        let before = record.clone();
        let ready = match is_mine {
            true => self.ready(&mut record, notes).await,
            false => make_first(self.git, &mut record, self.base.clone(), self.task)
                .await
                .map(|()| true),
        };
        match ready {
            Ok(from_base) => {
                let not_accepted = (!from_base).then(|| left_conflicts(&before)).flatten();
                let mut opened = OpenWorktree::new(self.git.clone().patient(), record, lock);
                opened.from_base = from_base;
                opened.notes = std::mem::take(notes);
                let is_listed = !is_mine && name == name_of(self.task.task_id, 1);
                let listed = is_listed.then_some(&self.listed);
                let earlier = aside::notes(self.git, &opened.record(), listed).await;
                opened.notes.extend(earlier);
                opened.watch(self.listed.clone()).await;
                opened.not_accepted = not_accepted;
                Ok(Some(opened))
            }
            Err(fault) if fault.is_taken() => Ok(None),
            Err(fault) => {
                if is_mine && !fault.is_shortage() {
                    notes.push(left_note(&before, &fault));
                    leave_alone(before).await;
                }
                Err(NoWorktree::Fault(fault, !is_mine))
            }
        }
    }

    /// Makes or opens the worktree of a record; returns whether its files are the base's.
    async fn ready(
        &self,
        record: &mut Worktree,
        notes: &mut Vec<String>,
    ) -> Result<bool, GitFault> {
        let base = self.base.clone();
        match verify_folder(record) {
            _ if record.git_dir.as_os_str().is_empty() => {}
            Ok(()) => {
                let from_base = again(self.git, record, base, self.task, notes).await?;
                return starts_inside(record).map(|()| from_base);
            }
            Err(Unverified::Gone) => {}
            Err(why) => return Err(fault(record, &why)),
        }
        let kept = make(self.git, record, base, self.task).await?;
        notes.extend(kept.map(|kept| {
            format!(
                "this attempt starts from the base; what an earlier one committed is kept as {kept}"
            )
        }));
        Ok(true)
    }

    fn new_record(&self, name: &str, branch: String) -> Worktree {
        Worktree {
            task_id: self.task.task_id,
            created_at: self.task.created_at,
            pool: self.options.name.clone(),
            branch,
            path: self.folder.join(name),
            name: name.to_owned(),
            repository: self.repository.top.clone(),
            common_dir: self.repository.common.clone(),
            git_dir: PathBuf::new(),
            prefix: self.repository.prefix.clone(),
            base: String::new(),
            state: WorktreeState::Running,
            ended: None,
            fence: self.task.fence,
            changed_ms: 0,
            folder_id: None,
            number: self.task.attempts,
            attempt: self.task.attempt_number(),
            withdrawn: false,
            filled: false,
            conflicts: Vec::new(),
            attempt_of: None,
            conversation: None,
            continued_by: Vec::new(),
            moved_from: None,
        }
    }

    /// The error for an attempt without a worktree.
    async fn give_up(&self, failed: &[String]) -> NoFolder {
        if let Err(pools) = check(self.options, false).await {
            return pools;
        }
        NoFolder::Task(format!(
            "the worktree of task {0} cannot be made: {1}; remove what is in the way, then kirosu retry {0}",
            self.task.task_id,
            failed.join(", ")
        ))
    }
}

/// A note for the agent about conflicts that the previous attempt left.
pub(super) fn left_conflicts(before: &Worktree) -> Option<NotAccepted> {
    Some(NotAccepted {
        fence: before.fence,
        reason: unresolved(&before.conflicts)?,
        answer: String::new(),
        cut: false,
    })
}

fn left_note(record: &Worktree, fault: &GitFault) -> String {
    format!(
        "the worktree {} of an earlier attempt cannot be used: {fault}; it is left as it is, with its branch {}, and this attempt begins anew in another",
        record.path.display(),
        record.branch
    )
}

/// Records that no attempt works in it any more. Otherwise the next attempt would find and report the same fault.
async fn leave_alone(mut record: Worktree) {
    record.state = WorktreeState::Left;
    if let Err(fault) = write(&mut record).await {
        tracing::warn!(%fault, "a worktree that cannot be used could not be marked");
    }
}

/// Checks that the folder in which runs begin exists, and that no link leads out of the worktree.
pub(super) fn starts_inside(record: &Worktree) -> Result<(), GitFault> {
    let dir = record.start_dir();
    match real_folder(&dir) {
        Ok(_) => Ok(()),
        Err(changed) => Err(GitFault(format!(
            "no run can begin in {}: {changed}",
            dir.display()
        ))),
    }
}
