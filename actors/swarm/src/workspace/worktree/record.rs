//! The record of a task's worktree: a small file next to it, so that another process can find, apply and discard it
//! later. A folder without such a file is not Kirosu's.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kirosu_providers::{AgentFile, MANY_LINES, RunUsage};
use serde::{Deserialize, Serialize};

use super::git::GitFault;
use super::index::Conflict;
use super::name_claim::PREFIXES;
use super::verify::FolderId;
use crate::resume::LastAttempt;

/// The state of a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorktreeState {
    /// A run works in it, or was lost there.
    Running,
    /// The last run has ended; its changes wait for a person.
    Kept,
    /// Its changes were merged into the checkout's branch.
    Applied,
    /// It was discarded, but could not be removed completely.
    Discarded,
    /// It could not be used for a further attempt, which works in another one; a person decides about it.
    Left,
}

impl WorktreeState {
    /// The name of the state for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Kept => "kept",
            Self::Applied => "applied",
            Self::Discarded => "discarded",
            Self::Left => "left",
        }
    }
}

/// One task's worktree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worktree {
    /// The task.
    pub task_id: i64,
    /// Time of the enqueue, in Unix seconds: distinguishes the task from one of another hub with the same number.
    pub created_at: f64,
    /// The pool.
    pub pool: String,
    /// Name of folder and branch: `task-ID`, or `task-ID.N` if that was taken.
    pub name: String,
    /// Root of the checkout that it belongs to.
    pub repository: PathBuf,
    /// The git folder that all worktrees of the repository share.
    pub common_dir: PathBuf,
    /// The git folder of this worktree; empty until it is made.
    pub git_dir: PathBuf,
    /// The worktree's folder.
    pub path: PathBuf,
    /// The pool's folder within it.
    pub prefix: PathBuf,
    /// Its branch.
    pub branch: String,
    /// The commit that it started from.
    pub base: String,
    /// Its state.
    pub state: WorktreeState,
    /// How the last run ended: `done`, or the class of its failure.
    pub ended: Option<String>,
    /// The fence of the last run.
    pub fence: i64,
    /// Time of the last change of this record, in Unix milliseconds.
    pub changed_ms: i64,
    /// Identity of the folder when it was made; `None` in records of earlier versions and until it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_id: Option<FolderId>,
    /// The number that the hub gave the last attempt, from 1; 0 in records of earlier versions.
    #[serde(default)]
    pub number: u32,
    /// The number of the last attempt among all attempts of the task; 0 in records of earlier versions.
    #[serde(default)]
    pub attempt: u32,
    /// Whether a person cancelled the last attempt.
    #[serde(default)]
    pub withdrawn: bool,
    /// Whether all files of the base were written. While `false`, no run has begun in it, and missing files were not
    /// deleted.
    #[serde(default = "always")]
    pub filled: bool,
    /// Conflicts that the last run left unresolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Name of the worktree to which the folder belonged, if it is kept for an earlier attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_of: Option<String>,
    /// The conversation that a further attempt can resume, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<KeptConversation>,
    /// The tasks that went on in it, in their order; the last run is that of the last one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continued_by: Vec<i64>,
    /// The path when the record was written, if it is another one.
    #[serde(skip)]
    pub moved_from: Option<PathBuf>,
}

/// Records of earlier versions do not say that files were being written.
const fn always() -> bool {
    true
}

/// A provider's conversation, and the facts that must be the same to resume it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptConversation {
    /// The provider.
    pub provider: String,
    /// The folder of its program: agent programs store their conversations by folder.
    pub workdir: PathBuf,
    /// The provider's name for it.
    pub session: String,
    /// Totals up to the end of the last run, for providers that count over the whole conversation.
    #[serde(default)]
    pub total: RunUsage,
}

impl Worktree {
    /// Returns the records in a pool's folder, or in any other; unreadable ones are logged and left out.
    #[must_use]
    pub fn all_in(folder: &Path) -> Vec<Worktree> {
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let named = entries.flatten().map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("task-") && name.ends_with(".json")
        });
        let read = |path: PathBuf| match Self::load(&path) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the record of a worktree cannot be read");
                None
            }
        };
        named.filter_map(read).collect()
    }

    pub(super) fn read(folder: &Path, name: &str) -> io::Result<Option<Worktree>> {
        Self::load(&file(folder, name))
    }

    fn load(path: &Path) -> io::Result<Option<Worktree>> {
        let text = match AgentFile::at(path).and_then(|it| it.all(MANY_LINES)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut record: Worktree = serde_json::from_slice(&text)?;
        // The folder and the branch that it names will be removed: accept only those that belong to its own name.
        let name = path.file_stem().unwrap_or_default();
        let its_branch = |prefix: &&str| record.branch == format!("{prefix}{}", record.name);
        let fits = record.name.as_str() == name
            && record.path.file_name() == Some(name)
            && PREFIXES.iter().any(its_branch);
        if !fits {
            let why = format!(
                "it describes the branch {} and the folder {}, which do not belong to its name",
                record.branch,
                record.path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        // The folder and the record next to it move together.
        let here = path.parent().unwrap_or(path).canonicalize()?;
        let beside = here.join(&record.name);
        if record.path != beside {
            record.moved_from = Some(std::mem::replace(&mut record.path, beside));
        }
        Ok(Some(record))
    }

    /// Whether the task has worked in it.
    #[must_use]
    pub fn is_of(&self, task_id: i64) -> bool {
        self.task_id == task_id || self.continued_by.contains(&task_id)
    }

    /// How the last attempt ended, for the rule of resumption.
    pub(super) fn last_attempt(&self) -> LastAttempt<'_> {
        LastAttempt {
            ended: match self.state {
                WorktreeState::Running => None,
                _ => Some(self.ended.as_deref().unwrap_or_default()),
            },
            number: self.number,
            withdrawn: self.withdrawn,
        }
    }

    /// The number of the last attempt, as people know it.
    pub(super) fn attempt_number(&self) -> u32 {
        match self.attempt {
            0 => self.number.max(1),
            attempt => attempt,
        }
    }

    /// The folder of the pool's worktrees and their records.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Writes it atomically; it survives a power cut.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&mut self) -> io::Result<()> {
        self.write_then(File::sync_data)
    }

    /// Writes it atomically, without waiting for the disk; it survives the end of this process.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write_unsynced(&mut self) -> io::Result<()> {
        self.write_then(|_| Ok(()))
    }

    fn write_then(&mut self, sync: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since.map_or(0, |since| since.as_millis());
        self.changed_ms = i64::try_from(ms).unwrap_or(i64::MAX);
        let path = file(self.folder(), &self.name);
        let new = path.with_extension("json.new");
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut out = options.open(&new)?;
        out.write_all(&serde_json::to_vec_pretty(self)?)?;
        sync(&out)?;
        fs::rename(new, path)
    }

    /// Removes it, and its lock.
    pub(super) fn forget(&self) -> io::Result<()> {
        fs::remove_file(file(self.folder(), &self.name))?;
        self.forget_lock();
        Ok(())
    }

    /// Removes the lock of a record that is gone. A file that stays does no harm.
    pub(super) fn forget_lock(&self) {
        if let Err(error) = fs::remove_file(lock_file(self.folder(), &self.name)) {
            tracing::debug!(%error, "the lock of a removed worktree stays");
        }
    }

    /// The folder in which its runs begin: the pool's folder in it.
    #[must_use]
    pub fn start_dir(&self) -> PathBuf {
        match self.prefix.as_os_str().is_empty() {
            true => self.path.clone(),
            false => self.path.join(&self.prefix),
        }
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

fn lock_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.lock"))
}

/// The lock of a worktree; the system releases it when the holder dies.
#[derive(Debug)]
pub struct WorktreeLock(#[allow(dead_code, reason = "held, not read")] File);

impl WorktreeLock {
    /// Takes the lock; `None` while another process holds it.
    ///
    /// # Errors
    /// The file cannot be opened or locked.
    pub(super) fn take(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(lock_file(folder, name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits for a repository's lock, as git does not promise that worktrees can be added concurrently. Blocks.
    ///
    /// # Errors
    /// The file cannot be opened or locked.
    pub(super) fn of_repository(common: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false);
        let file = options.open(common.join("kirosu.lock"))?;
        file.lock()?;
        Ok(Self(file))
    }
}

/// Writes the record on another thread, as it waits for the disk.
pub(super) async fn write(record: &mut Worktree) -> Result<(), GitFault> {
    let mut own = record.clone();
    let written = tokio::task::spawn_blocking(move || own.write().map(|()| own)).await;
    match written.unwrap_or_else(|error| Err(error.into())) {
        Ok(written) => {
            *record = written;
            Ok(())
        }
        Err(error) => Err(cannot_write(record, &error)),
    }
}

pub(super) fn cannot_write(record: &Worktree, error: &io::Error) -> GitFault {
    GitFault(format!(
        "cannot write the worktree's record in {}: {error}",
        record.folder().display()
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Records outlive versions: names of fields and states must stay.
    #[test]
    fn records_keep_their_names() {
        let written = json!({
            "task_id": 7, "created_at": 1.5, "pool": "p", "name": "task-7", "repository": "/r", "common_dir": "/r/.git",
            "git_dir": "/r/.git/worktrees/task-7", "path": "/w/task-7", "prefix": "", "branch": "kirosu/task-7",
            "base": "abc", "state": "kept", "ended": "done", "fence": 3, "changed_ms": 9, "number": 2, "attempt": 2,
            "withdrawn": false, "filled": true, "conflicts": [{"path": "a.txt", "blob": "def"}], "attempt_of": "task-7.1",
            "conversation": {"provider": "codex", "workdir": "/w/task-7", "session": "s", "total": {
                "input": 1, "cache_read": 2, "cache_write": 3, "output": 4, "reasoning": 5, "cost_micros": 6,
            }},
        });
        let record: Worktree = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), written);
        for state in ["running", "kept", "applied", "discarded", "left"] {
            let read: WorktreeState = serde_json::from_value(Value::from(state)).unwrap();
            assert_eq!(read.as_str(), state);
        }
    }

    /// The first version that wrote records did not have the optional fields.
    #[test]
    fn records_of_earlier_versions_are_read() {
        let written = json!({
            "task_id": 7, "created_at": 1.5, "pool": "p", "name": "task-7", "repository": "/r", "common_dir": "/r/.git",
            "git_dir": "", "path": "/w/task-7", "prefix": "", "branch": "kirosu/task-7", "base": "abc", "state": "running",
            "ended": null, "fence": 3, "changed_ms": 9,
        });
        let record: Worktree = serde_json::from_value(written).unwrap();
        assert!(record.filled && record.attempt == 0 && record.conversation.is_none());
    }
}
