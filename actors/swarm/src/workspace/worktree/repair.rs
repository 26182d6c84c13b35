//! Finds and repairs the links between record, worktree and repository after one of them was moved or damaged.
//!
//! A worktree and its repository name each other by absolute paths: `.git` in the worktree, `gitdir` in its git
//! folder (`.git/worktrees/NAME`), and both in the record. The record is next to the worktree, so that the two move
//! together; a moved repository is looked for at the place in the pool's settings.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::copied;
use super::finish::{commit, tip_of};
use super::git::{At, Git, GitFault};
use super::lock_wait::lock;
use super::record::{Worktree, write};
use super::repository::Repository;
use super::verify::{
    FolderId, Unverified, dot_git, fault, is_same, link_file, tree, verify_folder, verify_git_dir,
};

/// Returns the record with the present place of its repository: as recorded, or the one around `pool_dir`, the
/// working folder of its pool. Changes nothing on disk.
///
/// # Errors
/// The repository is at neither place; the text names them. The worktree is a copy of another.
pub async fn locate(
    git: &Git,
    record: &Worktree,
    pool_dir: Option<&Path>,
) -> Result<Worktree, GitFault> {
    let Some(original) = copied::original(record) else {
        return locate_own(git, record, pool_dir).await;
    };
    match copied_with(git, record, pool_dir).await? {
        Some(_) => Err(copied::unrepaired(record, &original)),
        None => Err(copied::refusal(record, &original)),
    }
}

/// The record of a copy in the copy of its repository, if the pool works in one.
async fn copied_with(
    git: &Git,
    record: &Worktree,
    pool_dir: Option<&Path>,
) -> Result<Option<Worktree>, GitFault> {
    let Some(dir) = pool_dir else {
        return Ok(None);
    };
    let Ok(repository) = Repository::around(git, dir).await else {
        return Ok(None);
    };
    let mut found = record.clone();
    let is_other = repository.common != record.common_dir;
    let is_copied = is_other && adopt(git, &mut found, &repository).await?;
    Ok(is_copied.then_some(found))
}

/// As [`locate`], for a worktree that is not a copy.
async fn locate_own(
    git: &Git,
    record: &Worktree,
    pool_dir: Option<&Path>,
) -> Result<Worktree, GitFault> {
    let mut found = record.clone();
    let is_there = record.common_dir.is_dir();
    if is_there && (verify_git_dir(record).is_ok() || tip_of(git, record).await?.is_some()) {
        return Ok(found);
    }
    let mut looked = vec![record.repository.clone()];
    if let Some(dir) = pool_dir {
        match Repository::around(git, dir).await {
            Ok(repository) if repository.common != record.common_dir => {
                if adopt(git, &mut found, &repository).await? {
                    return Ok(found);
                }
                if repository.top != record.repository {
                    looked.push(repository.top);
                }
            }
            Ok(_) => {}
            Err(_) => looked.push(dir.to_owned()),
        }
    }
    let at = At::Bare(&record.common_dir);
    if is_there && commit(git, at, &record.base).await?.is_some() {
        // The repository is the recorded one, and its branch is gone.
        return Ok(found);
    }
    let there = match is_there {
        true => ": another one is there, without the commit that the worktree began from",
        false => "",
    };
    let looked: Vec<String> = looked.iter().map(|it| it.display().to_string()).collect();
    Err(GitFault(format!(
        "the repository {} of task {} is not where it was{there}; the branch {} was looked for in {}. Where the repository was moved, set workdir of the pool '{}' to its new place (in the settings that --config names), then run kirosu workspaces --repair",
        record.repository.display(),
        record.task_id,
        record.branch,
        looked.join(" and in "),
        record.pool
    )))
}

/// Takes a repository as the record's own if it has the worktree or its branch: it was moved. Changes the record in
/// memory only.
///
/// # Errors
/// Git failed.
pub(super) async fn adopt(
    git: &Git,
    record: &mut Worktree,
    repository: &Repository,
) -> Result<bool, GitFault> {
    if record.common_dir.is_dir() && verify_git_dir(record).is_ok() {
        // It is a worktree of another repository that has not moved.
        return Ok(false);
    }
    let entry = entry_of(&repository.common, record);
    if entry.is_none() {
        let at = At::Bare(&repository.common);
        for name in [&format!("refs/heads/{}", record.branch), &record.base] {
            let commit = format!("{name}^{{commit}}");
            let args = ["rev-parse", "--verify", "--quiet", &commit];
            if !git.run(at, &args).await.is_good() {
                return Ok(false);
            }
        }
    }
    // The `.git` file still names the old place: recognise the folder before that changes.
    if verify_folder(record).is_ok() {
        record.folder_id = FolderId::of(&record.path).ok();
    }
    record.repository.clone_from(&repository.top);
    record.common_dir.clone_from(&repository.common);
    record.git_dir = entry.unwrap_or_else(|| git_dir_in(&repository.common, &record.name));
    Ok(true)
}

/// The git folder that a repository has for this worktree: the one that names its present or former path.
fn entry_of(common: &Path, record: &Worktree) -> Option<PathBuf> {
    let places = [Some(&record.path), record.moved_from.as_ref()];
    let ours: Vec<PathBuf> = places.iter().flatten().map(|it| it.join(".git")).collect();
    let entries = fs::read_dir(common.join("worktrees")).ok()?;
    let mut folders = entries.flatten().map(|entry| entry.path());
    folders.find(|folder| {
        let back = link_file(&folder.join("gitdir"), folder);
        back.is_some_and(|back| ours.iter().any(|it| is_same(it, &back)))
    })
}

fn git_dir_in(common: &Path, name: &str) -> PathBuf {
    common.join("worktrees").join(name)
}

/// Repairs the links for a record from [`locate`], as `git worktree repair` would, and writes the record. Returns a
/// line per repair.
///
/// # Errors
/// A run works there; the folder is not the worktree that was made; a file cannot be written.
pub async fn repair(
    git: &Git,
    record: &Worktree,
    pool_dir: Option<&Path>,
) -> Result<Vec<String>, GitFault> {
    let _lock = lock(record)?;
    let mut found = match copied::original(record) {
        Some(original) => copied_with(git, record, pool_dir)
            .await?
            .ok_or_else(|| copied::refusal(record, &original))?,
        None => locate_own(git, record, pool_dir).await?,
    };
    let mut repaired = Vec::new();
    if found.repository != record.repository {
        let (new, old) = (found.repository.display(), record.repository.display());
        repaired.push(format!("its repository is {new}, was {old}"));
    }
    if let Some(old) = &record.moved_from {
        let (new, old) = (record.path.display(), old.display());
        repaired.push(format!("its folder is {new}, was {old}"));
    }
    match verify_folder(&found) {
        Ok(()) => repaired.extend(restore(git, &mut found).await?),
        Err(Unverified::Gone) => {}
        Err(why) => return Err(fault(&found, &why)),
    }
    if !repaired.is_empty() {
        write(&mut found).await?;
    }
    Ok(repaired)
}

/// Repairs the links between a verified folder and its git folder, and makes the latter anew if it is gone. The
/// caller holds the worktree's lock, and writes the record. Returns a line per repair.
///
/// # Errors
/// The folder is not the worktree; it has a repository of its own in `.git`; a file cannot be written.
pub(super) async fn restore(git: &Git, record: &mut Worktree) -> Result<Vec<String>, GitFault> {
    verify_folder(record).map_err(|why| fault(record, &why))?;
    let mut repaired = Vec::new();
    // This identifies the folder from now on, whatever happens to its `.git`.
    record.folder_id = FolderId::of(&record.path).ok();
    let dot = record.path.join(".git");
    if fs::symlink_metadata(&dot).is_ok_and(|found| found.is_dir()) {
        return Err(GitFault(format!(
            "a repository of its own is in {}; move it away",
            dot.display()
        )));
    }
    let mut made = false;
    if verify_git_dir(record).is_err() && !is_damaged(record) {
        match entry_of(&record.common_dir, record) {
            Some(entry) => record.git_dir = entry,
            None => {
                make_git_dir(record)?;
                made = true;
                let made = record.git_dir.display();
                repaired.push(format!("{made} was gone and is made anew"));
            }
        }
    }
    let common = record.git_dir.join("commondir");
    let named = link_file(&common, &record.git_dir);
    if named.is_none_or(|it| !is_same(&it, &record.common_dir)) {
        put(&common, "../..\n")?;
        repaired.push(format!("{} names the repository again", common.display()));
    }
    let back = record.git_dir.join("gitdir");
    if link_file(&back, &record.git_dir).is_none_or(|it| !is_same(&it, &dot)) {
        put(&back, &format!("{}\n", dot.display()))?;
        repaired.push(format!("{} names the worktree again", back.display()));
    }
    if dot_git(&record.path).is_none_or(|it| !is_same(&it, &record.git_dir)) {
        put(&dot, &format!("gitdir: {}\n", record.git_dir.display()))?;
        repaired.push(format!("{} names the repository again", dot.display()));
    }
    if made {
        let tip = match tip_of(git, record).await? {
            Some(tip) => tip,
            None => {
                let branch = format!("refs/heads/{}", record.branch);
                let at = At::Bare(&record.common_dir);
                git.update_ref(at, &[&branch, &record.base]).await?;
                record.base.clone()
            }
        };
        git.stdout(tree(record)?, &["read-tree", &tip]).await?;
    }
    Ok(repaired)
}

/// Whether the recorded folder exists, and only the files in it that name repository and worktree are missing or
/// wrong: it belongs to no other worktree.
fn is_damaged(record: &Worktree) -> bool {
    let git_dir = &record.git_dir;
    let is_dir = fs::symlink_metadata(git_dir).is_ok_and(|found| found.is_dir());
    let in_common = git_dir.parent() == Some(&record.common_dir.join("worktrees"));
    let back = link_file(&git_dir.join("gitdir"), git_dir);
    let ours = back.is_none_or(|back| is_same(&back, &record.path.join(".git")));
    is_dir && in_common && ours
}

/// Makes the git folder as `git worktree add` does, under the first free name.
fn make_git_dir(record: &mut Worktree) -> Result<(), GitFault> {
    let worktrees = record.common_dir.join("worktrees");
    let cannot = |error: io::Error| {
        GitFault(format!(
            "cannot make a folder in {}: {error}",
            worktrees.display()
        ))
    };
    if !record.common_dir.join("objects").is_dir() {
        let common = record.common_dir.display();
        return Err(GitFault(format!("{common} is not a git folder any more")));
    }
    fs::create_dir_all(&worktrees).map_err(cannot)?;
    let mut number = 0;
    let git_dir = loop {
        let name = match number {
            0 => record.name.clone(),
            _ => format!("{}-{number}", record.name),
        };
        let folder = worktrees.join(name);
        match fs::create_dir(&folder) {
            Ok(()) => break folder,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => {
                number += 1;
            }
            Err(error) => return Err(cannot(error)),
        }
    };
    put(&git_dir.join("commondir"), "../..\n")?;
    let head = format!("ref: refs/heads/{}\n", record.branch);
    put(&git_dir.join("HEAD"), &head)?;
    let dot = record.path.join(".git");
    put(&git_dir.join("gitdir"), &format!("{}\n", dot.display()))?;
    record.git_dir = git_dir;
    Ok(())
}

/// Writes a small file in place of any file or link.
fn put(file: &Path, text: &str) -> Result<(), GitFault> {
    let new = file.with_extension("kirosu-new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, file));
    written.map_err(|error| GitFault(format!("cannot write {}: {error}", file.display())))
}
