//! The repository that a pool works on.

use std::path::{Path, PathBuf};

use super::git::{At, Git, GitFault, fault};
use super::inventory::is_object;

/// Whether a folder is the root of the checkout that a git folder belongs to.
fn is_root(folder: &Path, git_dir: &Path) -> bool {
    let named = super::inventory::git_dir_of(folder);
    let real = |path: &Path| path.canonicalize().ok();
    named.is_some_and(|named| real(&named).is_some_and(|it| Some(it) == real(git_dir)))
}

/// The repository that a pool works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// The checkout's root.
    pub(super) top: PathBuf,
    /// Its git folder, which all worktrees share.
    pub(super) common: PathBuf,
    /// The pool's folder within the checkout; empty at its root.
    pub(super) prefix: PathBuf,
}

/// The call for the git folder of a checkout, and the one that all worktrees share.
const AROUND: &[&str] = &[
    "rev-parse",
    "--path-format=absolute",
    "--git-dir",
    "--git-common-dir",
];

impl Repository {
    /// Returns the repository that contains a folder, and the commit that a name refers to there.
    ///
    /// # Errors
    /// As [`around`](Self::around) and [`commit`](Self::commit).
    pub(super) async fn around_with(
        git: &Git,
        dir: &Path,
        name: &str,
    ) -> Result<(Self, String), GitFault> {
        let wanted = format!("{name}^{{commit}}");
        let both = git
            .run(At::Folder(dir), &[AROUND, &[&wanted]].concat())
            .await;
        if both.is_good()
            && let Some((places, commit)) = both.stdout.rsplit_once('\n')
            && is_object(commit)
            && let Ok(repository) = Self::read(dir, places)
        {
            return Ok((repository, commit.to_owned()));
        }
        // One by one, to find the reason.
        let repository = Self::around(git, dir).await?;
        let commit = repository.commit(git, name).await?;
        Ok((repository, commit))
    }

    /// Returns the repository that contains a folder.
    ///
    /// # Errors
    /// No git, no repository, a bare one.
    pub(super) async fn around(git: &Git, dir: &Path) -> Result<Self, GitFault> {
        let output = git.stdout(At::Folder(dir), AROUND).await.map_err(|fault| {
            let dir = dir.display();
            if fault.0.contains("not a git repository") {
                return GitFault(format!(
                    "{dir} is not in a git repository, which workspace = \"worktree\" needs; git init and commit there, or name another workdir"
                ));
            }
            fault
        })?;
        Self::read(dir, &output)
    }

    /// From the output of [`AROUND`].
    pub(super) fn read(dir: &Path, output: &str) -> Result<Self, GitFault> {
        let mut lines = output.split('\n').map(PathBuf::from);
        let mut next = || lines.next().unwrap_or_default();
        let (git_dir, common) = (next(), next());
        // Not --show-toplevel: it depends on core.bare and core.worktree, which an agent may have set for all
        // worktrees.
        let top = dir.ancestors().find(|it| is_root(it, &git_dir));
        let Some(top) = top else {
            let dir = dir.display();
            return Err(GitFault(format!(
                "{dir} is a bare repository or lies in a git folder; name a checkout as workdir"
            )));
        };
        Ok(Self {
            prefix: dir.strip_prefix(top).unwrap_or(Path::new("")).to_owned(),
            top: top.to_owned(),
            common,
        })
    }

    /// The commit that a name refers to.
    ///
    /// # Errors
    /// No such commit; a repository without commits.
    pub(super) async fn commit(&self, git: &Git, name: &str) -> Result<String, GitFault> {
        let wanted = format!("{name}^{{commit}}");
        let args = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &wanted,
        ];
        let end = git.run(At::Folder(&self.top), &args).await;
        match (end.is_good(), name) {
            (true, _) => Ok(end.stdout),
            _ if fault(&args, &end).is_shortage() => Err(fault(&args, &end)),
            (false, "HEAD") => Err(GitFault(format!(
                "the repository {} has no commits yet, so that no worktree can start from it; commit something first (git commit --allow-empty -m start)",
                self.top.display()
            ))),
            (false, _) => Err(GitFault(format!(
                "the repository {} has no commit {name:?}; correct the pool's base",
                self.top.display()
            ))),
        }
    }

    /// Checks that a commit has the pool's folder, in which runs begin.
    ///
    /// # Errors
    /// It does not: every worktree of that commit would lack it.
    pub(super) async fn has_prefix(&self, git: &Git, base: &str) -> Result<(), GitFault> {
        if self.prefix.as_os_str().is_empty() {
            return Ok(());
        }
        let prefix = self.prefix.display();
        let wanted = format!("{base}:{prefix}");
        let args = ["cat-file", "-t", &wanted];
        let end = git.run(At::Bare(&self.common), &args).await;
        if end.is_good() && end.stdout == "tree" {
            return Ok(());
        }
        let fault = fault(&args, &end);
        if fault.is_shortage() {
            return Err(fault);
        }
        Err(GitFault(format!(
            "the base has no folder {prefix}: commit {base} of {} lacks the pool's workdir, in which runs begin; commit a file there, or correct workdir or base of the pool",
            self.top.display()
        )))
    }
}
