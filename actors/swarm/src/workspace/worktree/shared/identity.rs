//! A change of identity during a run: `apply` does not commit with the new one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kirosu_providers::{AgentFile, FEW_LINES};
use serde::{Deserialize, Serialize};

use crate::workspace::worktree::git::{At, Git};
use crate::workspace::worktree::record::Worktree;

/// The committer that git's settings name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Identity {
    pub(in super::super) name: Option<String>,
    pub(in super::super) email: Option<String>,
}

impl Identity {
    /// The identity in the settings that apply at this location.
    pub(in super::super) async fn of(git: &Git, at: At<'_>) -> Self {
        let value = async |key: &str| git.stdout(at, &["config", "--get", key]).await.ok();
        Self {
            name: value("user.name").await,
            email: value("user.email").await,
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.name, &self.email) {
            (None, None) => f.write_str("nobody"),
            (name, email) => {
                let (name, email) = (name.as_deref(), email.as_deref());
                write!(
                    f,
                    "{} <{}>",
                    name.unwrap_or_default(),
                    email.unwrap_or_default()
                )
            }
        }
    }
}

/// A change that a person has not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Suspect {
    /// The identity before the first run that changed it.
    pub(in super::super) before: Identity,
    /// The identity after the last one.
    pub(in super::super) after: Identity,
    /// The task of that run.
    pub(in super::super) task_id: i64,
}

impl Suspect {
    /// Returns the recorded change, if its identity is still the one of the settings. Otherwise a person has changed
    /// the settings since, and the record is removed.
    pub(in super::super) fn of(common: &Path, now: &Identity) -> Option<Self> {
        let suspect = read(common)?;
        match suspect.after == *now && suspect.before != *now {
            true => Some(suspect),
            false => {
                let _ = fs::remove_file(file(common));
                None
            }
        }
    }

    /// The sentence for people.
    pub(in super::super) fn sentence(&self, common: &Path) -> String {
        format!(
            "git's identity was changed from {} to {} while task {} ran, so the merge is by the one before; if you changed it, delete {}, else set it back (git config user.name, user.email)",
            self.before,
            self.after,
            self.task_id,
            file(common).display()
        )
    }
}

fn file(common: &Path) -> PathBuf {
    common.join("kirosu-identity.json")
}

fn read(common: &Path) -> Option<Suspect> {
    let text = AgentFile::at(&file(common)).and_then(|it| it.all(FEW_LINES));
    serde_json::from_slice(&text.ok()?).ok()
}

/// Records a change.
pub(super) fn note(record: &Worktree, before: &Identity, after: &Identity) -> io::Result<()> {
    if before == after {
        return Ok(());
    }
    let common = &record.common_dir;
    let earlier = read(common).filter(|it| it.after == *before || it.after == *after);
    let suspect = Suspect {
        before: earlier.map_or_else(|| before.clone(), |it| it.before),
        after: after.clone(),
        task_id: record.task_id,
    };
    fs::write(file(common), serde_json::to_vec_pretty(&suspect)?)
}
