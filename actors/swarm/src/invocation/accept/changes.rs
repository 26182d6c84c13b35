//! `diff`: whether a run changed anything in its git work tree.
//!
//! The folder is written as a git tree before the run and after it; equal names mean equal content. So changes made
//! before the run do not count, new files count, ignored files do not, and commits of the run count, in submodules
//! too. The index and objects for this are in a separate folder: the repository is only read. Hooks, watchers and
//! filters of the repository are code that an agent may have put there; they do not run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kirosu_providers::{
    EventSink, FailureKind, Program, ProgramEnd, ProgramExit, RunFailure, is_shortage,
};

use super::Check;
use crate::workspace::worktree;

/// Time limit of one call of git.
const LIMIT: Duration = Duration::from_secs(120);

/// Maximum size of git's output in bytes; it consists of file names.
const KEEP: usize = 256 << 20;

/// A work tree before the run.
pub(super) struct Snapshot {
    git_dir: String,
    top: String,
    objects: String,
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
        let dir = check.parts.folder.dir.display();
        let args = [
            "rev-parse",
            "--path-format=absolute",
            "--git-dir",
            "--show-toplevel",
            "--git-path",
            "objects",
            "--git-path",
            "index",
        ];
        let folder = ["-C".to_owned(), dir.to_string()];
        let end = git(check, &folder, &[], &args).await?;
        if let ProgramExit::Missing(_) = end.exit {
            return Err(refuse("cannot check accept.diff: git is not in PATH; install it (apt install git) or leave the clause out".to_owned()));
        }
        let lines: Vec<&str> = end.stdout.lines().collect();
        let (true, [git_dir, top, objects, index]) = (end.is_good(), lines.as_slice()) else {
            return Err(refuse(format!(
                "cannot check accept.diff: {dir} is not in a git checkout; leave the clause out, or name a pool or workdir that is"
            )));
        };
        let parent = check.parts.options.workspaces_dir.join(".accept");
        let (into, task, index) = (parent.clone(), check.task, PathBuf::from(index));
        let scratch = blocking(move || scratch(&into, task, &index)).await;
        let scratch = scratch.map_err(|why| {
            let parent = parent.display();
            let text = format!("cannot check accept.diff: {parent} cannot be written: {why}");
            match is_shortage(&why) {
                true => RunFailure::new(FailureKind::Shortage, text),
                false => refuse(text),
            }
        })?;
        let mut snapshot = Self {
            git_dir: (*git_dir).to_owned(),
            top: (*top).to_owned(),
            objects: (*objects).to_owned(),
            scratch,
            tree: String::new(),
            submodules: Vec::new(),
        };
        snapshot.tree = snapshot.write_tree(check).await?.map_err(|why| {
            refuse(format!(
                "cannot check accept.diff: the state of {dir} at the start cannot be read: {why}"
            ))
        })?;
        snapshot.submodules = snapshot.submodules_now(check).await?;
        Ok(snapshot)
    }

    /// Returns a sentence if nothing changed since; `None` if something did.
    pub(super) async fn unchanged(self, check: &Check<'_>) -> Result<Option<String>, RunFailure> {
        let fault = match self.write_tree(check).await? {
            Ok(tree) if tree != self.tree => None,
            Ok(_) if self.submodules_now(check).await? != self.submodules => None,
            Ok(_) => Some("the diff is empty: nothing in the workspace has changed".to_owned()),
            Err(why) => Some(format!("the diff could not be made: {why}")),
        };
        let scratch = self.scratch;
        let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
        Ok(fault)
    }

    /// Submodules with content that exists only there.
    async fn submodules_now(&self, check: &Check<'_>) -> Result<Vec<(String, String)>, RunFailure> {
        let at = [
            "-C".to_owned(),
            self.top.clone(),
            format!("--git-dir={}", self.git_dir),
            format!("--work-tree={}", self.top),
        ];
        let listed = git(check, &at, &[], &["ls-files", "-v", "--stage"]).await?;
        let Some(containment) = &check.parts.options.containment else {
            return Ok(Vec::new());
        };
        let git = worktree::Git::new(containment.clone());
        let top = Path::new(&self.top);
        Ok(worktree::submodules(&git, top, &self.scratch.0, &listed.stdout).await)
    }

    /// Returns the name of the folder's tree, or git's last output.
    async fn write_tree(&self, check: &Check<'_>) -> Result<Result<String, String>, RunFailure> {
        let at = [
            "-C".to_owned(),
            check.parts.folder.root.display().to_string(),
            format!("--git-dir={}", self.git_dir),
            format!("--work-tree={}", self.top),
        ];
        let mut at = at.to_vec();
        let names = ["config", "--name-only", "--get-regexp", r"^filter\."];
        let filters = git(check, &at, &[], &names).await?;
        for name in filters.stdout.lines() {
            let off = match name.ends_with(".required") {
                true => "false",
                false => "",
            };
            at.extend(["-c".to_owned(), format!("{name}={off}")]);
        }
        let scratch = |leaf: &str| self.scratch.0.join(leaf).display().to_string();
        let env = [
            ("GIT_INDEX_FILE", scratch("index")),
            ("GIT_OBJECT_DIRECTORY", scratch("objects")),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.objects.clone()),
        ];
        let add = ["add", "--all", "--ignore-errors", "--", "."];
        let added = git(check, &at, &env, &add).await?;
        let end = git(check, &at, &env, &["write-tree"]).await?;
        Ok(match end.is_good() {
            true => Ok(end.stdout.trim().to_owned()),
            false => {
                let output = [added.stderr.trim(), end.stderr.trim()].join(" ");
                Err(format!("git {}: {output}", end.exit))
            }
        })
    }
}

/// Runs on another thread, as this one serves other sessions.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|why| Err(why.into()))
}

/// Makes the folder, with a copy of the index so that git need not read all files again.
fn scratch(parent: &Path, task: (i64, i64), index: &Path) -> std::io::Result<Scratch> {
    let dir = parent.join(format!("{}-{}", task.0, task.1));
    match fs::remove_dir_all(&dir) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
        _ => fs::create_dir_all(dir.join("objects"))?,
    }
    let scratch = Scratch(dir);
    worktree::copy_index(index, &scratch.0.join("index"))?;
    Ok(scratch)
}

async fn git(
    check: &Check<'_>,
    at: &[String],
    env: &[(&str, String)],
    args: &[&str],
) -> Result<ProgramEnd, RunFailure> {
    let Some(containment) = &check.parts.options.containment else {
        return Err(refuse(
            "cannot check accept.diff: this process runs no programs beside its providers"
                .to_owned(),
        ));
    };
    let mut argv = vec!["git".to_owned()];
    argv.extend(at.iter().cloned());
    for setting in [
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.quotePath=true",
    ] {
        argv.extend(["-c".to_owned(), setting.to_owned()]);
    }
    argv.extend(args.iter().map(|arg| (*arg).to_owned()));
    let own = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let program = Program {
        env: own.chain([("LC_ALL".to_owned(), "C".to_owned())]).collect(),
        env_pass: Some(vec!["!GIT_*".to_owned()]),
        limit: LIMIT,
        keep: KEEP,
        ..Program::new(argv, "/")
    };
    let discard = EventSink::discard();
    let run = async || {
        program
            .run(containment, &discard, check.parts.cancel.clone())
            .await
    };
    check.run("git, for accept.diff,", run).await
}
