//! Checks whether a pool's repository can have worktrees, which every task of the pool needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::attempt::RESET;
use super::git::{At, Git, GitFault};
use super::locks::clear_shared_locks;
use super::make::{BranchStart::New, add};
use super::name_claim::prefix;
use super::programs;
use super::references::{RefList, listed};
use super::repository::Repository;
use crate::options::PoolOptions;
use crate::workspace::NoFolder;
use crate::workspace::folder::{shared, writable};

/// Prefix of the names of worktrees made by checks.
const CHECK: &str = "check-";

/// Checks a pool's repository: it exists and has the base, the files that all worktrees share can be written, and a
/// worktree can be made. Makes one and removes it; with `files`, with all files of the base, which takes as much time
/// and space as a task's worktree.
///
/// # Errors
/// Advice for a person.
pub(crate) async fn check(options: &Arc<PoolOptions>, files: bool) -> Result<(), NoFolder> {
    let Ground {
        git,
        repository,
        base,
    } = ground(options).await?;
    let folder = options.workspaces_dir.join(&options.name);
    let mut folders = vec![folder.clone(), repository.common.clone()];
    // A repository may store references in another form than files.
    let in_common = ["objects", "refs/heads", "refs/heads/kirosu"];
    let in_common = in_common.map(|name| repository.common.join(name));
    folders.extend(in_common.into_iter().filter(|it| it.is_dir()));
    crate::workspace::blocking(move || folders.iter().try_for_each(|it| writable(it))).await?;
    let tried = try_one(&git, &repository, &folder, &base, files).await;
    tried.map_err(|fault| {
        let top = repository.top.display();
        match fault.is_shortage() {
            true => NoFolder::Short(fault.0),
            false => NoFolder::Pool(format!("no worktree of {top} can be made: {fault}")),
        }
    })
}

/// Checks that a folder is in a repository that has the base (`None` means `HEAD`) and, in it, the folder. Changes
/// nothing, so that it finds less than a pool's own check.
///
/// # Errors
/// Advice for a person.
pub async fn base(git: &Git, folder: &Path, base: Option<&str>) -> Result<(), GitFault> {
    let folder = folder
        .canonicalize()
        .map_err(|error| GitFault(format!("cannot use {}: {error}", folder.display())))?;
    let repository = Repository::around(git, &folder).await?;
    let base = repository.commit(git, base.unwrap_or("HEAD")).await?;
    repository.has_prefix(git, &base).await
}

/// Makes a worktree with a branch, as for a task, with files only if requested, and removes both.
async fn try_one(
    git: &Git,
    repository: &Repository,
    folder: &Path,
    base: &str,
    files: bool,
) -> Result<(), GitFault> {
    static TRIES: AtomicU64 = AtomicU64::new(0);
    let number = TRIES.fetch_add(1, Ordering::Relaxed);
    let at = At::Bare(&repository.common);
    clear_shared_locks(&repository.common);
    let listed = listed(git, &repository.common, &[]).await?;
    let prefix = prefix(repository, &listed);
    let tries = format!("refs/heads/{prefix}{CHECK}");
    sweep(git, repository, &listed, &tries).await?;
    let name = format!("{CHECK}{}-{number}", std::process::id());
    let path = folder.join(&name);
    let branch = format!("{prefix}{name}");
    let made = add(git, &repository.common, (New(&branch), base), &path).await;
    if made.is_err() {
        let _ = remove_branch(git, &repository.common, &branch).await;
    }
    made?;
    let filled = match files {
        // No run has worked here.
        true => git.stdout(At::Folder(&path), &RESET).await.map(drop),
        false => Ok(()),
    };
    let path = path.to_string_lossy();
    let remove = ["worktree", "remove", "--force", &path];
    let removed = git.stdout(at, &remove).await.map(drop);
    let forgotten = remove_branch(git, &repository.common, &branch).await;
    filled.and(removed).and(forgotten)
}

async fn remove_branch(git: &Git, common: &Path, branch: &str) -> Result<(), GitFault> {
    let branch = format!("refs/heads/{branch}");
    let removed = git.update_ref(At::Bare(common), &["-d", &branch]).await;
    if removed.is_err() {
        left().insert((common.to_owned(), branch));
    }
    removed
}

/// Removes branches that a check of a dead process, or an earlier one of this process, could not remove. No other is
/// made if that fails again.
async fn sweep(
    git: &Git,
    repository: &Repository,
    listed: &RefList,
    tries: &str,
) -> Result<(), GitFault> {
    let is_left = |name: &String| {
        let rest = name.strip_prefix(tries).unwrap_or_default();
        let process = rest.split('-').next().and_then(|it| it.parse::<u32>().ok());
        let is_dead = |it: u32| !Path::new("/proc").join(it.to_string()).exists();
        process.is_some_and(is_dead) || left().contains(&(repository.common.clone(), name.clone()))
    };
    for name in listed.keys().filter(|it| is_left(it)) {
        let at = At::Bare(&repository.common);
        git.update_ref(at, &["-d", name]).await?;
        left().remove(&(repository.common.clone(), name.clone()));
    }
    Ok(())
}

/// Branches of this process's checks that could not be removed, with their repositories.
fn left() -> MutexGuard<'static, BTreeSet<(PathBuf, String)>> {
    static LEFT: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());
    LEFT.lock()
}

pub(super) fn pool(fault: GitFault) -> NoFolder {
    match fault.is_shortage() {
        true => NoFolder::Short(fault.0),
        false => NoFolder::Pool(fault.0),
    }
}

/// The starting point of every task of a pool.
pub(super) struct Ground {
    pub(super) git: Git,
    /// The repository that contains the pool's folder.
    pub(super) repository: Repository,
    /// The commit that tasks start from.
    pub(super) base: String,
}

pub(super) async fn ground(options: &PoolOptions) -> Result<Ground, NoFolder> {
    let Some(containment) = options.containment.clone() else {
        let why = "this process runs no programs beside its providers, and so no git";
        return Err(NoFolder::Pool(why.to_owned()));
    };
    let git = Git::new(containment).knowing(&options.workspaces_dir);
    let dir = shared(options.workdir.as_deref())?.dir;
    let base = options.base.as_deref().unwrap_or("HEAD");
    let found = Repository::around_with(&git, &dir, base).await;
    let (repository, base) = found.map_err(pool)?;
    repository.has_prefix(&git, &base).await.map_err(pool)?;
    let adopted = programs::adopt(&git, &options.workspaces_dir, &repository.common).await;
    adopted.map_err(pool)?;
    Ok(Ground {
        git,
        repository,
        base,
    })
}
