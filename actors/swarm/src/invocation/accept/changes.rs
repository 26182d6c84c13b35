//! `diff`: whether a run changed anything in its git work tree.
//!
//! The folder is written as a git tree before the run and after it; equal names mean equal content. So changes made
//! before the run do not count, new files count, ignored files do not, and commits of the run count, in submodules
//! too. The index and objects for this are in a git folder of their own: the repository is only read, and none of its
//! settings apply, which can name programs and which an agent may have written.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kirosu_providers::{FailureKind, ProgramEnd, ProgramExit, RunFailure, is_shortage};

use super::Check;
use crate::workspace::worktree::{Git, OwnGitDir, WorkTree};

/// The name of the check in messages.
const WHAT: &str = "git, for accept.diff,";

/// A work tree before the run.
pub(super) struct Snapshot {
    git: Git,
    own: OwnGitDir,
    scratch: Scratch,
    tree: String,
    /// Submodules with content that exists only there, with the state of each: a tree contains only their last
    /// commit.
    submodules: Vec<(String, String)>,
}

/// A temporary folder for index and objects; removed when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refuse(why: String) -> RunFailure {
    RunFailure::new(FailureKind::BadInput, why)
}

impl Snapshot {
    /// Takes a snapshot of the run's folder.
    ///
    /// # Errors
    /// The folder is in no repository, or git is missing: a retry would fail as well.
    pub(super) async fn take(check: &Check<'_>) -> Result<Self, RunFailure> {
        let Some(containment) = &check.parts.options.containment else {
            return Err(refuse(
                "cannot check accept.diff: this process runs no programs beside its providers"
                    .to_owned(),
            ));
        };
        let folder = &check.parts.folder.dir;
        let dir = folder.display();
        // With a person's settings, which may allow a repository of another user.
        let finder = Git::new(containment.clone());
        let found = std::cell::RefCell::new(None);
        let around = async || {
            let (end, tree) = WorkTree::around(&finder, folder).await;
            found.replace(tree);
            end
        };
        let end = check.run(WHAT, around).await?;
        if let ProgramExit::Missing(_) = end.exit {
            return Err(refuse("cannot check accept.diff: git is not in PATH; install it (apt install git) or leave the clause out".to_owned()));
        }
        let Some(tree) = found.into_inner() else {
            return Err(refuse(format!(
                "cannot check accept.diff: {dir} is not in a git checkout; leave the clause out, or name a pool or workdir that is"
            )));
        };
        let mut git = Git::alone(containment.clone(), check.parts.cancel.clone());
        if let Some(file) = tree.excludes_file(&finder).await {
            git = git.with_setting("core.excludesFile", file);
        }
        let parent = check.parts.options.workspaces_dir.join(".accept");
        let (into, task) = (parent.clone(), check.task);
        let root = check.parts.folder.root.clone();
        let made = blocking(move || {
            let scratch = scratch(&into, task)?;
            let own = OwnGitDir::make(&scratch.0, tree, &root)?;
            Ok((scratch, own))
        });
        let (scratch, own) = made.await.map_err(|why| {
            let parent = parent.display();
            let text = format!("cannot check accept.diff: {parent} cannot be written: {why}");
            match is_shortage(&why) {
                true => RunFailure::new(FailureKind::Shortage, text),
                false => refuse(text),
            }
        })?;
        let mut snapshot = Self {
            git,
            own,
            scratch,
            tree: String::new(),
            submodules: Vec::new(),
        };
        let now = snapshot.now(check).await?;
        (snapshot.tree, snapshot.submodules) = now.map_err(|why| {
            refuse(format!(
                "cannot check accept.diff: the state of {dir} at the start cannot be read: {why}"
            ))
        })?;
        Ok(snapshot)
    }

    /// Returns a sentence if nothing changed since; `None` if something did.
    pub(super) async fn unchanged(self, check: &Check<'_>) -> Result<Option<String>, RunFailure> {
        let fault = match self.now(check).await? {
            Ok(now) if now != (self.tree, self.submodules) => None,
            Ok(_) => Some("the diff is empty: nothing in the workspace has changed".to_owned()),
            Err(why) => Some(format!("the diff could not be made: {why}")),
        };
        let scratch = self.scratch;
        let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
        Ok(fault)
    }

    /// Returns the name of the folder's tree and the submodules with content of their own, or git's last output.
    async fn now(&self, check: &Check<'_>) -> Result<Result<State, String>, RunFailure> {
        let (git, own) = (&self.git, &self.own);
        let failed = |ends: &[&ProgramEnd]| {
            let output: Vec<&str> = ends.iter().map(|end| end.stderr.trim()).collect();
            let exit = ends.last().map(|end| end.exit.to_string());
            format!("git {}: {}", exit.unwrap_or_default(), output.join(" "))
        };
        let listed = check.run(WHAT, async || own.list(git).await).await?;
        if !listed.is_good() {
            return Ok(Err(failed(&[&listed])));
        }
        let added = check
            .run(WHAT, async || own.add(git, &listed.stdout).await)
            .await?;
        let written = check.run(WHAT, async || own.write_tree(git).await).await?;
        if !written.is_good() {
            return Ok(Err(failed(&[&added, &written])));
        }
        let listed = check.run(WHAT, async || own.list(git).await).await?;
        let submodules = own.submodules(git, &listed.stdout).await;
        Ok(Ok((written.stdout.trim().to_owned(), submodules)))
    }
}

/// The name of a tree, and submodules with their states.
type State = (String, Vec<(String, String)>);

/// Runs on another thread, as this one serves other sessions.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|why| Err(why.into()))
}

/// Makes the folder.
fn scratch(parent: &Path, task: (i64, i64)) -> std::io::Result<Scratch> {
    let dir = parent.join(format!("{}-{}", task.0, task.1));
    match fs::remove_dir_all(&dir) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
        _ => fs::create_dir_all(&dir)?,
    }
    Ok(Scratch(dir))
}
