//! A git folder of Kirosu's own on a work tree of a repository: content is compared without the repository's settings,
//! which an agent may have written, and the repository is only read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kirosu_providers::{AgentFile, MANY_LINES, ProgramEnd};

use super::git::{At, Git};
use super::index::copy_index;
use super::inventory::{self, LIST};
use super::names;
use super::repository::Repository;
use super::stage::{FROM_STDIN, TAKE_LINKS, beside};

/// `git add` as for worktrees, for a part of the files.
const ADD: &[&str] = &["add", "--all", "--ignore-errors"];

/// A work tree and the files of its repository that matter.
#[derive(Debug, Clone)]
pub(crate) struct WorkTree {
    pub(crate) top: PathBuf,
    git_dir: PathBuf,
    objects: PathBuf,
    index: PathBuf,
    exclude: PathBuf,
    /// `sha1` or `sha256`.
    format: String,
}

impl WorkTree {
    /// Finds the work tree around a folder.
    pub(crate) async fn around(git: &Git, dir: &Path) -> (ProgramEnd, Option<Self>) {
        let args = [
            "rev-parse",
            "--path-format=absolute",
            "--git-dir",
            "--git-common-dir",
            "--git-path",
            "objects",
            "--git-path",
            "index",
            "--git-path",
            "info/exclude",
            "--show-object-format",
        ];
        let end = git.run(At::Folder(dir), &args).await;
        let lines: Vec<&str> = end.stdout.lines().collect();
        let (true, [git_dir, common, objects, index, exclude, format]) =
            (end.is_good(), lines.as_slice())
        else {
            return (end, None);
        };
        let found = Repository::read(dir, &format!("{git_dir}\n{common}"));
        let found = found.ok().map(|repository| Self {
            top: repository.top,
            git_dir: git_dir.into(),
            objects: objects.into(),
            index: index.into(),
            exclude: exclude.into(),
            format: (*format).to_owned(),
        });
        (end, found)
    }

    /// The file of ignore rules that the settings name.
    pub(crate) async fn excludes_file(&self, git: &Git) -> Option<String> {
        let args = ["config", "--type=path", "--get", "core.excludesFile"];
        let end = git.run(self.at(), &args).await;
        (end.is_good() && !end.stdout.is_empty()).then_some(end.stdout)
    }

    fn at(&self) -> At<'_> {
        At::Tree {
            git_dir: &self.git_dir,
            work_tree: &self.top,
        }
    }
}

/// The folder, and the part of the work tree that is compared.
#[derive(Debug)]
pub(crate) struct OwnGitDir {
    folder: PathBuf,
    tree: WorkTree,
    prefix: Option<PathBuf>,
}

impl OwnGitDir {
    /// Fills an empty folder; `root` is the part of the work tree that is compared. Blocks.
    ///
    /// # Errors
    /// The folder cannot be written, or the index of the repository cannot be read.
    pub(crate) fn make(folder: &Path, tree: WorkTree, root: &Path) -> io::Result<Self> {
        let objects = tree.objects.to_str().filter(|it| !it.contains('\n'));
        let objects = objects.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path of the repository is no UTF-8 text of one line",
            )
        })?;
        for name in ["objects/info", "refs", "info"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::write(
            folder.join("objects/info/alternates"),
            format!("{objects}\n"),
        )?;
        fs::write(folder.join("HEAD"), "ref: refs/heads/main\n")?;
        let config = match tree.format.as_str() {
            "sha1" => "[core]\n\trepositoryformatversion = 0\n".to_owned(),
            format => format!(
                "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = {format}\n"
            ),
        };
        fs::write(folder.join("config"), config)?;
        match AgentFile::at(&tree.exclude) {
            Ok(file) => file.copy_to(&folder.join("info/exclude"), MANY_LINES)?,
            Err(error) => tracing::debug!(%error, "a repository has no ignore rules of its own"),
        }
        copy_index(&tree.index, &folder.join("index"))?;
        let prefix = root.strip_prefix(&tree.top).ok();
        let prefix = prefix.filter(|it| !it.as_os_str().is_empty());
        Ok(Self {
            folder: folder.to_owned(),
            prefix: prefix.map(Path::to_owned),
            tree,
        })
    }

    fn at(&self) -> At<'_> {
        At::Tree {
            git_dir: &self.folder,
            work_tree: &self.tree.top,
        }
    }

    /// Lists the index. One that depends on other files of the repository (a split one) is made anew.
    pub(crate) async fn list(&self, git: &Git) -> ProgramEnd {
        let end = git.run(self.at(), LIST).await;
        if end.is_good() {
            return end;
        }
        let _ = fs::remove_file(self.folder.join("index"));
        let all = git
            .run(self.tree.at(), &["ls-files", "--stage", "-z"])
            .await;
        if !all.is_good() {
            return all;
        }
        let fill = ["update-index", "-z", "--index-info"];
        let filled = git.run_with(self.at(), &fill, all.stdout.as_bytes()).await;
        match filled.is_good() {
            true => git.run(self.at(), LIST).await,
            false => filled,
        }
    }

    /// Takes the present files into the index, which had these links to repositories. Files that git cannot read are left
    /// out.
    pub(crate) async fn add(&self, git: &Git, listed: &str) -> ProgramEnd {
        let mut links = inventory::links(listed);
        if let Some(prefix) = &self.prefix {
            links.retain(|link| names::path(link).starts_with(prefix));
        }
        let args = [ADD, FROM_STDIN].concat();
        let files = beside(self.prefix.as_deref(), &links);
        let added = git.run_with(self.at(), &args, &files).await;
        if links.is_empty() {
            return added;
        }
        let taken = git
            .run_with(self.at(), TAKE_LINKS, &names::terminated(&links))
            .await;
        match added.is_good() {
            true => taken,
            false => added,
        }
    }

    /// The name of the index as a tree.
    pub(crate) async fn write_tree(&self, git: &Git) -> ProgramEnd {
        git.run(self.at(), &["write-tree", "--missing-ok"]).await
    }

    /// Submodules with content that exists only there, with the state of each.
    pub(crate) async fn submodules(&self, git: &Git, listed: &str) -> Vec<(String, String)> {
        inventory::submodules(git, &self.tree.top, &self.folder, listed).await
    }
}
