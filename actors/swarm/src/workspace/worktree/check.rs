//! Whether the repository of a pool can have worktrees: what every task of the pool needs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::git::{At, Git, GitFault, Repository};
use super::make::add;
use super::open::RESET;
use crate::options::PoolOptions;
use crate::workspace::NoPlace;
use crate::workspace::folder::{shared, writable};

/// Whether a pool's repository can be worked on: it is there and has the base, what all worktrees need can be written, and
/// a worktree can be made. Makes one for a try, and removes it; with `files`, with all files of the base, which takes as
/// much time and room as that of a task.
///
/// # Errors
/// An action for a person.
pub(crate) async fn check(options: &Arc<PoolOptions>, files: bool) -> Result<(), NoPlace> {
    let (git, repository) = repository(options).await?;
    let base = options.base.as_deref().unwrap_or("HEAD");
    let base = repository.commit(&git, base).await.map_err(pool)?;
    repository.has_prefix(&git, &base).await.map_err(pool)?;
    let folder = options.workspaces_dir.join(&options.name);
    let mut folders = vec![folder.clone(), repository.common.clone()];
    // A repository may keep its references in another form than files.
    let in_common = ["objects", "refs/heads", "refs/heads/kirosu"];
    let in_common = in_common.map(|name| repository.common.join(name));
    folders.extend(in_common.into_iter().filter(|it| it.is_dir()));
    crate::workspace::blocking(move || folders.iter().try_for_each(|it| writable(it))).await?;
    let tried = try_one(&git, &repository, &folder, &base, files).await;
    tried.map_err(|fault| {
        let top = repository.top.display();
        match fault.is_shortage() {
            true => NoPlace::Short(fault.0),
            false => NoPlace::Pool(format!("no worktree of {top} can be made: {fault}")),
        }
    })
}

/// Whether a folder lies in a repository that has the base (`HEAD` where none is named) and, in it, the folder. Changes
/// nothing, so that it finds less than a pool does when it starts.
///
/// # Errors
/// An action for a person.
pub async fn base(git: &Git, folder: &Path, base: Option<&str>) -> Result<(), GitFault> {
    let folder = folder
        .canonicalize()
        .map_err(|error| GitFault(format!("cannot use {}: {error}", folder.display())))?;
    let repository = Repository::around(git, &folder).await?;
    let base = repository.commit(git, base.unwrap_or("HEAD")).await?;
    repository.has_prefix(git, &base).await
}

/// Makes a worktree without a branch, and without files unless they are asked for, and removes it.
async fn try_one(
    git: &Git,
    repository: &Repository,
    folder: &Path,
    base: &str,
    files: bool,
) -> Result<(), GitFault> {
    static TRIES: AtomicU64 = AtomicU64::new(0);
    let number = TRIES.fetch_add(1, Ordering::Relaxed);
    let name = format!("check-{}-{number}", std::process::id());
    let path = folder.join(name);
    add(git, &repository.common, (None, base), &path).await?;
    let filled = match files {
        // No run has been here.
        true => git.ask(At::Folder(&path), &RESET).await.map(drop),
        false => Ok(()),
    };
    let at = At::Bare(&repository.common);
    let path = path.to_string_lossy();
    let remove = ["worktree", "remove", "--force", &path];
    let removed = git.ask(at, &remove).await.map(drop);
    filled.and(removed)
}

pub(super) fn pool(fault: GitFault) -> NoPlace {
    match fault.is_shortage() {
        true => NoPlace::Short(fault.0),
        false => NoPlace::Pool(fault.0),
    }
}

/// The repository that the pool's folder lies in.
pub(super) async fn repository(options: &PoolOptions) -> Result<(Git, Repository), NoPlace> {
    let Some(containment) = options.containment.clone() else {
        let why = "this process runs no programs beside its providers, and so no git";
        return Err(NoPlace::Pool(why.to_owned()));
    };
    let git = Git::new(containment);
    let dir = shared(options.workdir.as_deref())?.dir;
    let repository = Repository::around(&git, &dir).await.map_err(pool)?;
    Ok((git, repository))
}
