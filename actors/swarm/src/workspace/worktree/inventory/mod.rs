//! Finds the content that exists only in a worktree, so that no removal, reset or merge loses it unnoticed.
//!
//! # Theory of operation
//!
//! A branch holds what git takes. The rest is found here: uncommitted changes; files that git does not take (ignored,
//! outside a sparse checkout, unreadable, with a failing filter) or does not check (`skip-worktree`,
//! `assume-unchanged`); repositories within the worktree; and the commits and files of submodules, whose git folders
//! are inside the worktree's and are removed with it.
//!
//! Settings of a repository within the worktree can name programs, and agents write them. So git never runs with
//! them: a submodule is inspected through a temporary git folder that borrows its objects (`submodule.rs`).

mod parse;
mod repositories;
mod submodule;

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::git::{At, Git, GitFault};
use super::names;
use super::record::Worktree;
use super::verify::tree;
pub(super) use parse::{FileStatus, IndexEntry, heads, is_object, reflog, special_entries};
use repositories::{FOLDERS_MAX, repositories};
pub(super) use submodule::git_dir_of;

/// Maximum number of names of each kind in a sentence.
const SHOWN: usize = 10;
/// Why content exists only in the worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftoverReason {
    /// Git would take it, or failed to.
    Uncommitted,
    /// It differs from the index, but git is configured not to check it.
    Hidden,
    /// It cannot be read.
    Unreadable,
    /// A repository of its own.
    Repository,
    /// Commits of a submodule that none of its remotes has.
    SubmoduleCommits,
    /// Uncommitted files of a submodule.
    SubmoduleFiles,
    /// It matches an ignore rule.
    Ignored,
    /// A repository of its own in a folder that matches an ignore rule.
    IgnoredRepository,
}

impl LeftoverReason {
    const fn text(self) -> &'static str {
        match self {
            Self::Uncommitted => "",
            Self::Hidden => " (hidden by skip-worktree or assume-unchanged)",
            Self::Unreadable => " (cannot be read)",
            Self::Repository => " (repositories of their own)",
            Self::SubmoduleCommits => " (submodule commits that no remote has)",
            Self::SubmoduleFiles => " (changes in submodules)",
            Self::Ignored => " (ignored)",
            Self::IgnoredRepository => " (repositories of their own in ignored folders)",
        }
    }
}

/// Content that exists only in the worktree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// The kind.
    pub why: LeftoverReason,
    /// Path from the root of the worktree; a folder ends with `/`.
    pub path: String,
}

/// All content that exists only in a worktree, in order of kind and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory(Vec<Leftover>);

impl From<Vec<Leftover>> for Inventory {
    fn from(found: Vec<Leftover>) -> Self {
        Self(found).sorted()
    }
}

impl Inventory {
    /// Whether there is no such content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the content.
    pub fn iter(&self) -> impl Iterator<Item = &Leftover> {
        self.0.iter()
    }

    /// Without ignored files, and repositories among them.
    #[must_use]
    pub fn without_ignored(&self) -> Self {
        let is_ignored = |why| {
            matches!(
                why,
                LeftoverReason::Ignored | LeftoverReason::IgnoredRepository
            )
        };
        let rest = self.iter().filter(|it| !is_ignored(it.why));
        Self(rest.cloned().collect())
    }

    /// Without ignored files that can be made again; repositories stay, as they have commits.
    #[must_use]
    pub fn without_ignored_files(&self) -> Self {
        let rest = self.iter().filter(|it| it.why != LeftoverReason::Ignored);
        Self(rest.cloned().collect())
    }

    /// The names by kind, a bounded number of each: `a, b; build/ (ignored)`.
    #[must_use]
    pub fn names(&self) -> String {
        let mut kinds: Vec<LeftoverReason> = self.iter().map(|it| it.why).collect();
        kinds.dedup();
        let named = kinds.into_iter().map(|why| {
            let names = self.iter().filter(|it| it.why == why);
            let names: Vec<&str> = names.map(|it| it.path.as_str()).collect();
            format!("{}{}", list(&names), why.text())
        });
        named.collect::<Vec<_>>().join("; ")
    }

    fn add(&mut self, why: LeftoverReason, path: impl Into<String>) {
        let path = path.into();
        self.0.push(Leftover { why, path });
    }

    fn sorted(mut self) -> Self {
        self.0.sort();
        self.0.dedup();
        self
    }
}

/// The first names, and the number of the others.
pub(super) fn list<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The call that lists the index, for [`special_entries`].
pub(super) const LIST: &[&str] = &["ls-files", "-v", "--stage"];

/// Git's output about a worktree: the two calls that an inventory begins with.
#[derive(Debug)]
pub(super) struct Seen {
    /// Paths that differ from the last commit, and ignored ones.
    pub(super) statuses: Vec<FileStatus>,
    /// Folders that git could not read.
    pub(super) unreadable: Vec<String>,
    /// The output of [`LIST`].
    pub(super) listed: String,
}

impl Seen {
    /// Calls git.
    ///
    /// # Errors
    /// Git failed.
    async fn now(git: &Git, record: &Worktree) -> Result<Self, GitFault> {
        let (statuses, unreadable) = statuses(git, record).await?;
        Ok(Self {
            statuses,
            unreadable,
            listed: git.stdout(tree(record)?, LIST).await?,
        })
    }
}

/// Lists content that exists only in this worktree. Commits of its own repository are separate: see
/// [`unreferenced`](super::unreferenced).
///
/// # Errors
/// The folder is not the worktree that was made, or git failed; the caller must remove nothing then.
pub(super) async fn inspect(git: &Git, record: &Worktree) -> Result<Inventory, GitFault> {
    let seen = Seen::now(git, record).await?;
    inspect_with(git, record, seen).await
}

/// Like [`look`], from output that git has just produced.
///
/// # Errors
/// As [`look`].
pub(super) async fn inspect_with(
    git: &Git,
    record: &Worktree,
    seen: Seen,
) -> Result<Inventory, GitFault> {
    let at = tree(record)?;
    let mut found = Inventory::default();
    for path in seen.unreadable {
        found.add(LeftoverReason::Unreadable, path);
    }
    let mut skip: HashSet<PathBuf> = HashSet::new();
    let mut ignored: HashSet<PathBuf> = HashSet::new();
    for status in seen.statuses {
        match status {
            FileStatus::Changed(path) | FileStatus::WrittenOver(path) => {
                found.add(LeftoverReason::Uncommitted, path);
            }
            FileStatus::Untracked(path) if names::is_folder(&path) => {
                skip.insert(names::path(&path));
                found.add(LeftoverReason::Repository, path);
            }
            FileStatus::Untracked(path) => found.add(LeftoverReason::Uncommitted, path),
            FileStatus::Ignored(path) => {
                ignored.insert(names::path(&path));
                found.add(LeftoverReason::Ignored, path);
            }
        }
    }
    let entries = parse::special_entries(&seen.listed);
    for entry in entries.iter().filter(|it| it.hidden && !it.link) {
        if differs(git, at, entry).await {
            found.add(LeftoverReason::Hidden, &entry.path);
        }
    }
    let links = entries.into_iter().filter(|it| it.link).map(|it| it.path);
    let scratch = record.folder();
    let mut named = HashSet::new();
    for (path, seen) in submodule::inspect_all(git, &record.path, scratch, links.collect()).await {
        let folder = names::path(&path);
        skip.insert(folder.clone());
        if seen.commits {
            let git_dir = git_dir_of(&record.path.join(folder));
            named.extend(git_dir.and_then(|it| it.canonicalize().ok()));
            found.add(LeftoverReason::SubmoduleCommits, &path);
        }
        for file in seen.files {
            found.add(LeftoverReason::SubmoduleFiles, names::join(&path, &file));
        }
    }
    let modules = record.git_dir.join("modules");
    for git_dir in submodule::inspect_modules(git, &modules, scratch).await {
        if !named.contains(&git_dir.canonicalize().unwrap_or_default()) {
            found.add(LeftoverReason::SubmoduleCommits, git_dir.to_string_lossy());
        }
    }
    let root = record.path.clone();
    let inner = tokio::task::spawn_blocking(move || repositories(&root, &skip)).await;
    let inner =
        inner.map_err(|error| GitFault(format!("cannot search for repositories: {error}")))?;
    for path in inner.found {
        let folder = names::path(&path);
        let why = match folder.ancestors().any(|it| ignored.contains(it)) {
            true => LeftoverReason::IgnoredRepository,
            false => LeftoverReason::Repository,
        };
        found.add(why, path);
    }
    if inner.cut {
        found.add(
            LeftoverReason::Unreadable,
            format!("more than {FOLDERS_MAX} folders"),
        );
    }
    Ok(found.sorted())
}

/// Returns the submodules of a checkout with content that exists only there, with the state of each for comparison.
/// `scratch` is a temporary folder on the same disk.
pub(super) async fn submodules(
    git: &Git,
    root: &Path,
    scratch: &Path,
    listed: &str,
) -> Vec<(String, String)> {
    let seen = submodule::inspect_all(git, root, scratch, links(listed)).await;
    let kept = seen.into_iter().filter(|(_, seen)| seen.is_content());
    kept.map(|(path, seen)| (path, seen.state)).collect()
}

/// Whether a submodule of a worktree has a commit from one of its remotes.
pub(super) async fn is_pushed(
    git: &Git,
    root: &Path,
    scratch: &Path,
    path: &str,
    commit: &str,
) -> bool {
    let folder = root.join(names::path(path));
    let pushed = submodule::is_pushed(git, &folder, scratch, commit).await;
    pushed.unwrap_or(false)
}

/// The paths of links to repositories in the output of [`LIST`].
pub(super) fn links(listed: &str) -> Vec<String> {
    let entries = parse::special_entries(listed).into_iter();
    entries.filter(|it| it.link).map(|it| it.path).collect()
}

/// The output of `git status`, and folders that it could not read.
///
/// # Errors
/// Git failed, even without filters.
pub(super) async fn statuses(
    git: &Git,
    record: &Worktree,
) -> Result<(Vec<FileStatus>, Vec<String>), GitFault> {
    let args = [
        "status",
        "--porcelain=v2",
        "--untracked-files=all",
        "--ignored=matching",
        "--no-renames",
    ];
    let at = tree(record)?;
    let mut end = git.run(at, &args).await;
    if !end.is_good() {
        // A filter cannot run: without filters, files that it would have changed count as changed.
        let plain = git.without_programs(at).await?;
        end = plain.run(at, &args).await;
    }
    if !end.is_good() {
        return Err(super::git::fault(&args, &end));
    }
    let unreadable = end.stderr.lines().filter_map(|line| {
        let named = line.strip_prefix("warning: could not open directory '")?;
        let (path, _) = named.rsplit_once("':")?;
        Some(path.to_owned())
    });
    Ok((parse::status(&end.stdout), unreadable.collect()))
}

/// Whether a file that git does not check exists and differs from the index.
pub(super) async fn differs(git: &Git, at: At<'_>, entry: &IndexEntry) -> bool {
    let At::Tree { work_tree, .. } = at else {
        return true;
    };
    let path = work_tree.join(names::path(&entry.path));
    match path.symlink_metadata() {
        Err(_) => false,
        Ok(found) if found.is_symlink() => {
            let target = fs::read_link(&path).unwrap_or_default();
            let target = target.as_os_str().as_bytes();
            let hash = git
                .stdout_with(at, &["hash-object", "--stdin"], target)
                .await;
            hash.map_or(true, |hash| hash != entry.object)
        }
        Ok(found) if found.is_dir() => true,
        Ok(_) => {
            let hash = hash_of(git, at, &entry.path).await;
            hash.map_or(true, |hash| hash != entry.object)
        }
    }
}

/// The name of the object that git would make of a file.
///
/// # Errors
/// The file cannot be read, or a filter fails.
pub(super) async fn hash_of(git: &Git, at: At<'_>, name: &str) -> Result<String, GitFault> {
    let args = ["hash-object", "--stdin-paths"];
    git.stdout_with(at, &args, names::quoted(name).as_bytes())
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_each_kind_and_counts_what_it_does_not_name() {
        let mut found = Inventory::default();
        for number in 0..12 {
            found.add(LeftoverReason::Uncommitted, format!("f{number:02}"));
        }
        found.add(LeftoverReason::Ignored, "build/");
        found.add(LeftoverReason::Repository, "tool/");
        let found = found.sorted();
        let names = found.names();
        assert!(names.starts_with("f00, f01,"), "{names}");
        assert!(names.contains("f09 and 2 more; tool/ (rep"), "{names}");
        assert!(names.ends_with("; build/ (ignored)"), "{names}");
        assert_eq!(found.without_ignored().iter().count(), 13);
    }
}
