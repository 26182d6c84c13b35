//! References that keep the work of a task's earlier attempts: `refs/kirosu/NAME/NUMBER`, by attempt number. Numbers
//! repeat after a restore of the store, so an existing reference is never moved.

use std::path::Path;

use super::finish::tip_of;
use super::git::{At, Git, GitFault};
use super::record::Worktree;

/// Maximum number of names tried for one commit.
const NAMES: u32 = 1000;

/// Keeps the work of a failed attempt under `refs/kirosu/NAME/NUMBER`, and returns that name; `None` if there is no
/// work.
///
/// # Errors
/// As [`keep`].
pub(super) async fn keep_tip(git: &Git, record: &Worktree) -> Result<Option<String>, GitFault> {
    let Some(tip) = tip_of(git, record).await? else {
        return Ok(None);
    };
    if tip == record.base {
        return Ok(None);
    }
    keep(git, record, "", &tip).await.map(Some)
}

/// Keeps a commit as `refs/kirosu/NAME/NUMBER` with `suffix` at its end, and returns that name. If it names another
/// commit already, `NUMBER.2` is tried, and so on.
///
/// # Errors
/// Git failed, or all names are taken.
pub(super) async fn keep(
    git: &Git,
    record: &Worktree,
    suffix: &str,
    commit: &str,
) -> Result<String, GitFault> {
    let number = record.attempt_number();
    for again in 1..=NAMES {
        let name = match again {
            1 => format!("refs/kirosu/{}/{number}{suffix}", record.name),
            _ => format!("refs/kirosu/{}/{number}.{again}{suffix}", record.name),
        };
        match claim(git, &record.common_dir, &name, commit).await? {
            Claimed::New | Claimed::Same => return Ok(name),
            Claimed::Taken => {}
        }
    }
    Err(GitFault(format!(
        "the references refs/kirosu/{0}/{number}{suffix} to refs/kirosu/{0}/{number}.{NAMES}{suffix} are all taken; remove some",
        record.name
    )))
}

/// The result of making a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimed {
    /// It was made.
    New,
    /// It existed, with the same commit.
    Same,
    /// It names another commit, or there are references below it.
    Taken,
}

/// Makes a reference unless it exists. An existing one is never moved.
///
/// # Errors
/// It does not exist and cannot be made.
pub(super) async fn claim(
    git: &Git,
    common: &Path,
    name: &str,
    commit: &str,
) -> Result<Claimed, GitFault> {
    let at = At::Bare(common);
    // All zeros: the reference must not exist.
    let none = "0".repeat(commit.len());
    let Err(fault) = git.update_ref(at, &[name, commit, &none]).await else {
        return Ok(Claimed::New);
    };
    let list = ["for-each-ref", "--format=%(refname) %(objectname)", name];
    let there = git.stdout(at, &list).await?;
    match there.as_str() {
        "" => Err(fault),
        same if same == format!("{name} {commit}") => Ok(Claimed::Same),
        _ => Ok(Claimed::Taken),
    }
}
