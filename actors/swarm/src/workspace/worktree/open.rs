//! Makes a task's worktree, or opens it for a further attempt.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kirosu_protocol::task::Task;

use super::git::{At, Git, GitFault, Repository};
use super::leave;
use super::record::{Lock, Record, State};
use super::settle::{clear_locks, commit_rest, tip_of};
use super::verify::{FolderId, tree};
use crate::options::PoolOptions;
use crate::workspace::NoPlace;

/// Names that are tried before it is given up.
const NAMES: u32 = 100;

/// Ends after which the next attempt goes on in what is there: nothing was wrong with the work, or what was wrong is told
/// to the next attempt. After any other failure it starts anew.
const GO_ON: &[&str] = &[
    "cancelled",
    "rate_limited",
    "auth_required",
    "missing",
    "not_accepted",
];

/// A worktree that a run works in.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) git: Git,
    record: Record,
    lock: Mutex<Option<Lock>>,
    dir: PathBuf,
    /// Its branch.
    pub(crate) branch: String,
    /// The commit that it started from.
    pub(crate) base: String,
}

impl Opened {
    /// Where the run begins.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Its record as the run began.
    pub(super) fn record(&self) -> Record {
        self.record.clone()
    }

    /// Lets others work in it.
    pub(super) fn release(&self) {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.take();
    }
}

/// Whether a pool's repository can be worked on.
pub(crate) async fn check(options: &Arc<PoolOptions>) -> Result<(), NoPlace> {
    let (git, repository) = repository(options).await?;
    let base = options.base.as_deref().unwrap_or("HEAD");
    let found = repository.commit(&git, base).await;
    found.map(drop).map_err(pool)
}

/// The worktree of a task, ready for its next attempt.
pub(crate) async fn open(options: &Arc<PoolOptions>, task: &Task) -> Result<Opened, NoPlace> {
    let (git, repository) = repository(options).await?;
    let base = options.base.as_deref().unwrap_or("HEAD");
    let base = repository.commit(&git, base).await.map_err(pool)?;
    let folder = options.workspaces_dir.join(&options.name);
    let cannot = |error| super::super::folder::cannot_make(&folder, &error);
    fs::create_dir_all(&folder).map_err(cannot)?;
    let folder = folder.canonicalize().map_err(cannot)?;
    let (lock, found) = seat(&git, &repository, &folder, task).await?;
    let mut record = match found {
        Seat::Mine(record) => *record,
        Seat::Free(name) => Record {
            task_id: task.task_id,
            created_at: task.created_at,
            pool: options.name.clone(),
            branch: format!("kirosu/{name}"),
            path: folder.join(&name),
            name,
            repository: repository.top.clone(),
            common_dir: repository.common.clone(),
            git_dir: PathBuf::new(),
            prefix: repository.prefix.clone(),
            base: String::new(),
            state: State::Running,
            ended: None,
            fence: task.fence,
            changed_ms: 0,
            folder_id: None,
        },
    };
    let ready = match record.git_dir.is_dir() && record.path.is_dir() {
        true => again(&git, &mut record, base, task.fence).await,
        false => make(&git, &mut record, base, task.fence).await,
    };
    ready.map_err(pool)?;
    let dir = record.start_dir();
    let dir = dir.canonicalize().map_err(cannot)?;
    Ok(Opened {
        dir,
        branch: record.branch.clone(),
        base: record.base.clone(),
        git,
        record,
        lock: Mutex::new(Some(lock)),
    })
}

fn pool(fault: GitFault) -> NoPlace {
    NoPlace::Pool(fault.0)
}

async fn repository(options: &PoolOptions) -> Result<(Git, Repository), NoPlace> {
    let Some(containment) = options.containment.clone() else {
        let why = "this process runs no programs beside its providers, and so no git";
        return Err(NoPlace::Pool(why.to_owned()));
    };
    let git = Git::new(containment);
    let dir = super::super::folder::shared(options.workdir.as_deref())?.dir;
    let repository = Repository::around(&git, &dir).await.map_err(pool)?;
    Ok((git, repository))
}

/// What is at a name.
enum Seat {
    /// The task's own worktree.
    Mine(Box<Record>),
    /// Nothing.
    Free(String),
}

/// The task's own name, locked: the one it has, or the first that is free.
async fn seat(
    git: &Git,
    repository: &Repository,
    folder: &Path,
    task: &Task,
) -> Result<(Lock, Seat), NoPlace> {
    let cannot = |error: std::io::Error| {
        let folder = folder.display();
        NoPlace::Pool(format!(
            "cannot read the worktrees in {folder}: {error}; remove or repair the file"
        ))
    };
    for number in 1..=NAMES {
        let name = match number {
            1 => format!("task-{}", task.task_id),
            _ => format!("task-{}.{number}", task.task_id),
        };
        let record = Record::read(folder, &name).map_err(cannot)?;
        let mine = record
            .as_ref()
            .is_some_and(|it| is_of(it, task, repository));
        if record.is_some() && !mine {
            continue;
        }
        if !mine && (folder.join(&name).exists() || has_branch(git, repository, &name).await?) {
            continue;
        }
        match Lock::take(folder, &name).map_err(cannot)? {
            Some(lock) if mine => {
                if let Some(record) = record {
                    return Ok((lock, Seat::Mine(Box::new(record))));
                }
            }
            Some(lock) => return Ok((lock, Seat::Free(name))),
            None if mine => {
                return Err(NoPlace::Pool(format!(
                    "somebody still works in the worktree {}; it is tried again",
                    folder.join(&name).display()
                )));
            }
            None => {}
        }
    }
    Err(NoPlace::Pool(format!(
        "the names task-{0} to task-{0}.{NAMES} are all taken in {1} or as branches kirosu/…; discard some (kirosu workspaces)",
        task.task_id,
        folder.display()
    )))
}

/// Another hub counts its tasks from 1, too: when it was enqueued tells them apart.
fn is_of(record: &Record, task: &Task, repository: &Repository) -> bool {
    let open = matches!(record.state, State::Running | State::Kept);
    let same_time = (record.created_at - task.created_at).abs() < 1e-3;
    open && record.task_id == task.task_id && same_time && record.common_dir == repository.common
}

async fn has_branch(git: &Git, repository: &Repository, name: &str) -> Result<bool, NoPlace> {
    let reference = format!("refs/heads/kirosu/{name}");
    let ask = ["show-ref", "--verify", "--quiet", &reference];
    let at = At::Bare(&repository.common);
    git.holds(at, &ask).await.map_err(pool)
}

/// Makes it, in place of a half made one where there is one.
async fn make(git: &Git, record: &mut Record, base: String, fence: i64) -> Result<(), GitFault> {
    keep_tip(git, record).await?;
    leave::remove_folders(record).await?;
    record.git_dir = PathBuf::new();
    record.base = base;
    begin(record, fence).await?;
    let made = checkout(git, record).await;
    if made.is_err() {
        // Nobody has worked in it.
        let gone = leave::remove_folders(record).await.is_ok();
        let at = At::Bare(&record.common_dir);
        let branch = format!("refs/heads/{}", record.branch);
        let _ = git
            .ask(at, &["update-ref", "-d", &branch, &record.base])
            .await;
        if gone {
            let _ = record.forget();
        }
    }
    made
}

async fn checkout(git: &Git, record: &mut Record) -> Result<(), GitFault> {
    let path = record.path.to_string_lossy().into_owned();
    let (branch, base) = (record.branch.clone(), record.base.clone());
    let add = [
        "worktree",
        "add",
        "--no-checkout",
        "-B",
        &branch,
        "--",
        &path,
        &base,
    ];
    let common = record.common_dir.clone();
    let lock = tokio::task::spawn_blocking(move || Lock::of_repository(&common)).await;
    let lock = match lock {
        Ok(Ok(lock)) => lock,
        Ok(Err(error)) => {
            let common = record.common_dir.display();
            return Err(GitFault(format!(
                "cannot write to the git folder {common}: {error}"
            )));
        }
        Err(error) => return Err(GitFault(format!("cannot wait for the repository: {error}"))),
    };
    let added = git.ask(At::Bare(&record.common_dir), &add).await;
    drop(lock);
    added?;
    // Nothing of the agent's has been here yet.
    let at = At::Folder(&record.path);
    let git_dir = git.ask(at, &["rev-parse", "--absolute-git-dir"]).await?;
    record.git_dir = git_dir.into();
    record.folder_id = FolderId::of(&record.path).ok();
    write(record).await?;
    reset(git, record).await
}

/// All files as the branch has them.
async fn reset(git: &Git, record: &Record) -> Result<(), GitFault> {
    let ask = ["reset", "--hard", "--quiet"];
    git.ask(tree(record)?, &ask).await.map(drop)
}

/// Opens it for a further attempt.
async fn again(git: &Git, record: &mut Record, base: String, fence: i64) -> Result<(), GitFault> {
    clear_locks(record);
    let lost = record.state == State::Running;
    let note = format!("what the attempt with fence {} left", record.fence);
    commit_rest(git, record, &note).await?;
    let ended = record.ended.as_deref().unwrap_or_default();
    if lost || GO_ON.contains(&ended) {
        return begin(record, fence).await;
    }
    keep_tip(git, record).await?;
    let reference = format!("refs/heads/{}", record.branch);
    let set = [
        "update-ref",
        "-m",
        "kirosu: a new attempt",
        &reference,
        &base,
    ];
    git.ask(tree(record)?, &set).await?;
    record.base = base;
    begin(record, fence).await?;
    reset(git, record).await?;
    let clean = ["clean", "-ffdxq"];
    git.ask(tree(record)?, &clean).await.map(drop)
}

/// What a failed attempt has done stays, under `refs/kirosu/NAME/FENCE`.
async fn keep_tip(git: &Git, record: &Record) -> Result<(), GitFault> {
    let Some(tip) = tip_of(git, record).await? else {
        return Ok(());
    };
    if tip == record.base {
        return Ok(());
    }
    let reference = format!("refs/kirosu/{}/{}", record.name, record.fence);
    let keep = ["update-ref", &reference, &tip];
    let at = At::Bare(&record.common_dir);
    git.ask(at, &keep).await.map(drop)
}

async fn begin(record: &mut Record, fence: i64) -> Result<(), GitFault> {
    record.state = State::Running;
    record.fence = fence;
    record.ended = None;
    write(record).await
}

/// Writes the record, not on this thread: it waits for the disk.
pub(super) async fn write(record: &mut Record) -> Result<(), GitFault> {
    let mut own = record.clone();
    let written = tokio::task::spawn_blocking(move || own.write().map(|()| own)).await;
    match written.unwrap_or_else(|error| Err(error.into())) {
        Ok(written) => {
            *record = written;
            Ok(())
        }
        Err(error) => Err(GitFault(format!(
            "cannot write the worktree's record in {}: {error}",
            record.folder().display()
        ))),
    }
}
