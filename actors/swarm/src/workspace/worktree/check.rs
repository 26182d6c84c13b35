//! Whether the repository of a pool can have worktrees: what every task of the pool needs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::git::{At, Git, GitFault, Repository};
use super::make::add;
use super::seat::prefix;
use crate::options::PoolOptions;
use crate::workspace::NoPlace;
use crate::workspace::folder::{shared, writable};

/// Whether a pool's repository can be worked on: it is there and has the base, what all worktrees need can be written, and
/// a worktree can be made. Makes one for a try, and removes it.
///
/// # Errors
/// What a person should do about it.
pub(crate) async fn check(options: &Arc<PoolOptions>) -> Result<(), NoPlace> {
    let (git, repository) = repository(options).await?;
    let base = options.base.as_deref().unwrap_or("HEAD");
    let base = repository.commit(&git, base).await.map_err(pool)?;
    let folder = options.workspaces_dir.join(&options.name);
    let objects = repository.common.join("objects");
    let folders = [folder.clone(), repository.common.clone(), objects];
    crate::workspace::blocking(move || folders.iter().try_for_each(|it| writable(it))).await?;
    let tried = try_one(&git, &repository, &folder, &base).await;
    tried.map_err(|fault| {
        let top = repository.top.display();
        NoPlace::Pool(format!("no worktree of {top} can be made: {fault}"))
    })
}

/// Makes a worktree without files, on a branch of its own, and removes both.
async fn try_one(
    git: &Git,
    repository: &Repository,
    folder: &Path,
    base: &str,
) -> Result<(), GitFault> {
    static TRIES: AtomicU64 = AtomicU64::new(0);
    let number = TRIES.fetch_add(1, Ordering::Relaxed);
    let name = format!("check-{}-{number}", std::process::id());
    let branch = format!("{}{name}", prefix(git, repository).await?);
    let path = folder.join(name);
    let added = add(git, &repository.common, (&branch, base), &path).await;
    let at = At::Bare(&repository.common);
    let path = path.to_string_lossy();
    let removed = git.ask(at, &["worktree", "remove", "--force", &path]).await;
    let reference = format!("refs/heads/{branch}");
    let gone = git.ask(at, &["update-ref", "-d", &reference, base]).await;
    added.and(removed).and(gone).map(drop)
}

pub(super) fn pool(fault: GitFault) -> NoPlace {
    NoPlace::Pool(fault.0)
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
