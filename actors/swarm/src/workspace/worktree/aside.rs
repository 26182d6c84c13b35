//! Keeps the folder of a failed attempt whose content its branch does not have, before the next attempt gets a new
//! one.
//!
//! The whole folder is renamed to `task-7.attempt-3` next to the worktree, with the branch `kirosu/task-7.attempt-3`
//! and a record of its own, so that `workspaces` lists it and `discard` and `prune` find it. Nothing is copied.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use kirosu_providers::{AgentFile, MANY_LINES};

use super::finish::tip_of;
use super::git::{At, Git, GitFault};
use super::inventory;
use super::kept_refs::{Claimed, claim};
use super::name_claim::PREFIXES;
use super::record::{Worktree, WorktreeState, write};
use super::references::{self, RefList};
use super::verify::{FolderId, verify, verify_git_dir};

/// Maximum number of names tried for the folder of one attempt.
const NAMES: u32 = 100;

/// Moves the folder of a worktree aside if it holds content that its branch does not. Returns whether it did; the
/// worktree's own folder is gone then. Commit what git takes before.
///
/// # Errors
/// The folder cannot be moved or recorded. The caller must remove nothing then.
pub(super) async fn keep(git: &Git, record: &Worktree) -> Result<bool, GitFault> {
    references::keep_unreferenced(git, record, &[]).await?;
    let is_worktree = match verify(record) {
        Ok(()) => match inventory::inspect(git, record).await {
            Ok(found) if found.is_empty() => return Ok(false),
            Ok(_) => true,
            Err(fault) => {
                tracing::warn!(%fault, "all files of an attempt are kept");
                true
            }
        },
        // Git cannot list its content: all of it counts.
        Err(_) if has_files(&record.path) => false,
        // The folder is gone, but its git folder holds the commits of its submodules.
        Err(_) if has_modules(record) => false,
        Err(_) => return Ok(false),
    };
    let at = At::Bare(&record.common_dir);
    let tip = tip_of(git, record).await?;
    let tip = tip.unwrap_or_else(|| record.base.clone());
    let mut kept = claim_name(git, record, &tip).await?;
    let branch = format!("refs/heads/{}", kept.branch);
    if is_worktree {
        let own = At::Bare(&record.git_dir);
        git.stdout(own, &["symbolic-ref", "HEAD", &branch]).await?;
    } else {
        kept.git_dir = PathBuf::new();
    }
    write(&mut kept).await?;
    let (from, to) = (record.clone(), kept.clone());
    let moved = tokio::task::spawn_blocking(move || move_folder(&from, &to)).await;
    let moved = moved.unwrap_or_else(|error| Err(error.into()));
    let modules = moved.map_err(|error| {
        GitFault(format!(
            "cannot keep the files of the attempt before: {} cannot be renamed to {}: {error}",
            record.path.display(),
            kept.path.display()
        ))
    })?;
    // The identity of the folder, even if it is a new one.
    kept.folder_id = FolderId::of(&kept.path).ok();
    write(&mut kept).await?;
    for (settings, worktree) in modules {
        let settings = settings.to_string_lossy();
        let set = ["config", "--file", &settings, "core.worktree", &worktree];
        git.stdout(at, &set).await?;
    }
    tracing::info!(
        task_id = record.task_id,
        "the files of attempt {} are kept in {}",
        record.attempt_number(),
        kept.path.display()
    );
    Ok(true)
}

/// Returns lines for the next attempt's output about the work of earlier attempts. `listed`: the references, if they
/// are known.
pub(super) async fn notes(git: &Git, record: &Worktree, listed: Option<&RefList>) -> Vec<String> {
    let folders = of(record).into_iter().map(|kept| {
        format!(
            "files of attempt {} that its branch does not have are kept in {} (branch {})",
            kept.attempt_number(),
            kept.path.display(),
            kept.branch
        )
    });
    let mut notes: Vec<String> = folders.collect();
    let own = match listed {
        Some(listed) => listed.clone(),
        None => references::own(git, record)
            .await
            .unwrap_or_default()
            .into_iter()
            .map(|it| (it.name, it.commit))
            .collect(),
    };
    let of_this = format!("refs/kirosu/{}/", record.name);
    let kept = own.iter().filter(|(name, _)| name.starts_with(&of_this));
    notes.extend(kept.map(|(name, commit)| {
        format!("work of an earlier attempt is kept as {name} (git show {commit})")
    }));
    notes
}

/// The folders of earlier attempts of a worktree.
pub(super) fn of(record: &Worktree) -> Vec<Worktree> {
    let mut found = Worktree::all_in(record.folder());
    found.retain(|it| {
        let same_time = (it.created_at - record.created_at).abs() < 1e-3;
        it.attempt_of.as_ref() == Some(&record.name) && same_time
    });
    found.sort_by_key(|it| it.fence);
    found
}

/// Makes the branch for it, with the first name that no folder and no branch has. Existing branches are never moved;
/// one that an interrupted earlier call made for the same commit is reused.
async fn claim_name(git: &Git, record: &Worktree, tip: &str) -> Result<Worktree, GitFault> {
    for number in 1..=NAMES {
        let kept = candidate(record, number);
        let own = Worktree::read(record.folder(), &kept.name);
        let same = |it: &Worktree| {
            it.attempt_of == kept.attempt_of
                && it.created_at == kept.created_at
                && it.fence == kept.fence
        };
        let is_free = match &own {
            Ok(own) => own.as_ref().is_none_or(same),
            Err(_) => false,
        };
        if !is_free || kept.path.symlink_metadata().is_ok() {
            continue;
        }
        if tip.is_empty() {
            return Ok(kept);
        }
        let branch = format!("refs/heads/{}", kept.branch);
        match claim(git, &record.common_dir, &branch, tip).await? {
            Claimed::New => return Ok(kept),
            Claimed::Same if own.is_ok_and(|own| own.is_some()) => return Ok(kept),
            Claimed::Same | Claimed::Taken => {}
        }
    }
    Err(GitFault(format!(
        "the names {0}.attempt-{1} to {0}.attempt-{1}.{NAMES} are all taken in {2}, or by branches; move some away",
        record.name,
        record.attempt_number(),
        record.folder().display()
    )))
}

/// The record of a folder that is kept, under the name with this number.
fn candidate(record: &Worktree, number: u32) -> Worktree {
    let prefix = record.branch.strip_suffix(&record.name);
    let prefix = prefix.unwrap_or(PREFIXES[0]);
    let attempt = record.attempt_number();
    let name = match number {
        1 => format!("{}.attempt-{attempt}", record.name),
        _ => format!("{}.attempt-{attempt}.{number}", record.name),
    };
    Worktree {
        branch: format!("{prefix}{name}"),
        path: record.folder().join(&name),
        name,
        moved_from: None,
        conversation: None,
        state: WorktreeState::Kept,
        attempt_of: Some(record.name.clone()),
        ..record.clone()
    }
}

/// Renames the folder after its git folder points to the new place: an interruption in between leaves a worktree that
/// the next call moves again. Returns the settings of its submodules that name the old place, each with the new
/// value.
fn move_folder(from: &Worktree, to: &Worktree) -> io::Result<Vec<(PathBuf, String)>> {
    if !to.git_dir.as_os_str().is_empty() {
        let dot_git = to.path.join(".git");
        fs::write(
            to.git_dir.join("gitdir"),
            format!("{}\n", dot_git.display()),
        )?;
    }
    if has_files(&from.path) {
        fs::rename(&from.path, &to.path)?;
    } else {
        fs::create_dir(&to.path)?;
        fs::rename(from.git_dir.join("modules"), to.path.join("modules"))?;
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut folders = vec![(to.git_dir.join("modules"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let settings = folder.join("config");
        let text = AgentFile::at(&settings).and_then(|it| it.text(MANY_LINES));
        let text = text.unwrap_or_default();
        if let Some(old) = worktree_setting(&text)
            && let Ok(rest) = plain(&folder.join(old)).strip_prefix(&from.path)
        {
            // Relative, as git writes it, so that it stays valid after both are moved elsewhere.
            let tail = Path::new(&from.name).join(rest);
            let head = old.strip_suffix(&*tail.to_string_lossy());
            let new = match head {
                Some(head) => Path::new(head).join(&to.name).join(rest),
                None => to.path.join(rest),
            };
            found.push((settings, new.to_string_lossy().into_owned()));
        }
        if depth < 8 {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            let inner = entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
            let inner = inner.filter(|entry| entry.file_name() != "objects");
            folders.extend(inner.map(|entry| (entry.path(), depth + 1)));
        }
    }
    Ok(found)
}

/// `core.worktree` as git writes it for submodules.
fn worktree_setting(text: &str) -> Option<&str> {
    let lines = text.lines().map(str::trim);
    let mut values = lines.filter_map(|line| line.strip_prefix("worktree = "));
    values.next()
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

fn has_modules(record: &Worktree) -> bool {
    // False if the folder was moved aside and the git folder belongs to it.
    let is_ours = verify_git_dir(record).is_ok();
    let modules = fs::read_dir(record.git_dir.join("modules"));
    is_ours && modules.is_ok_and(|mut it| it.next().is_some())
}

/// Whether the folder contains anything but git's own file.
fn has_files(folder: &Path) -> bool {
    let is_folder = folder.symlink_metadata().is_ok_and(|it| it.is_dir());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let others = entries.filter(|entry| entry.file_name() != ".git" || entry.path().is_dir());
    is_folder && others.count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submodules_setting_is_read_and_made_plain() {
        let text = "[core]\n\tbare = false\n\tworktree = ../../../w/lib\n";
        let found = worktree_setting(text).unwrap();
        assert_eq!(plain(&Path::new("/r/m/x").join(found)), Path::new("/w/lib"));
        assert_eq!(worktree_setting("[core]\n"), None);
    }
}
