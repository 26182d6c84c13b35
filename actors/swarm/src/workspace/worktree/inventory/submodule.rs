//! Inspects the submodules of a checkout without running git with their settings.
//!
//! A temporary git folder takes a submodule's references, index and `HEAD`, and its objects as alternates; it leaves
//! out the settings and hooks, which an agent can write.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use kirosu_providers::{AgentFile, FEW_LINES};

use super::super::git::{At, Git, GitFault};
use super::super::index::INDEX_BYTES;
use super::parse::{self, FileStatus};
use super::{LIST, names};

/// Maximum number of file names kept per submodule.
const FILES_MAX: usize = 100;
/// Maximum depth of git folders of submodules.
const MODULES_DEPTH: usize = 12;
/// Maximum number of files of references and reflogs read per submodule.
const REFERENCES_MAX: usize = 20_000;

/// Content of a submodule that exists nowhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// It has commits that none of its remote-tracking branches has, or that are unknown.
    pub(super) commits: bool,
    /// Its uncommitted files.
    pub(super) files: Vec<String>,
    /// Differs between two inspections if commits or files do.
    pub(super) state: String,
}

impl Seen {
    pub(super) const fn is_content(&self) -> bool {
        self.commits || !self.files.is_empty()
    }

    /// A submodule that cannot be inspected: all of it counts.
    fn unknown(why: &str) -> Self {
        Self {
            commits: true,
            files: Vec::new(),
            state: why.to_owned(),
        }
    }
}

/// Inspects the submodules at these paths below `root`, and those within them, that are populated. `scratch` is a
/// temporary folder.
pub(super) async fn inspect_all(
    git: &Git,
    root: &Path,
    scratch: &Path,
    mut links: Vec<String>,
) -> Vec<(String, Seen)> {
    let mut found = Vec::new();
    while let Some(path) = links.pop() {
        let folder = root.join(names::path(&path));
        if is_vacant(&folder) {
            continue;
        }
        let (seen, inner) = match inspect(git, &folder, scratch).await {
            Ok(seen) => seen,
            Err(fault) => (Seen::unknown(&fault.0), Vec::new()),
        };
        links.extend(inner.iter().map(|it| names::join(&path, it)));
        found.push((path, seen));
    }
    found
}

/// The git folders below `modules`, where git stores those of submodules, that have commits which no remote has. A
/// submodule need not be populated to have them.
pub(super) async fn inspect_modules(git: &Git, modules: &Path, scratch: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(modules.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let is_git_dir = folder.join("HEAD").is_file() && folder.join("objects").is_dir();
        if is_git_dir && !is_all_pushed(git, &folder, scratch).await {
            found.push(folder.clone());
        }
        // A submodule's own submodules are in its `modules`; names of submodules may have several parts.
        let below = match is_git_dir {
            true => folder.join("modules"),
            false => folder,
        };
        if depth < MODULES_DEPTH {
            let entries = fs::read_dir(below).into_iter().flatten().flatten();
            let entries = entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
            folders.extend(entries.map(|entry| (entry.path(), depth + 1)));
        }
    }
    found.sort();
    found
}

/// False also if it is unknown.
async fn is_all_pushed(git: &Git, git_dir: &Path, scratch: &Path) -> bool {
    let Ok((own, candidates)) = borrowed(git_dir, scratch) else {
        return false;
    };
    let left = unpushed(git, At::Bare(&own.0), &candidates).await;
    left.is_ok_and(|it| it.is_empty())
}

/// The folder is missing or empty.
fn is_vacant(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Its state, and the submodules in it.
async fn inspect(
    git: &Git,
    folder: &Path,
    scratch: &Path,
) -> Result<(Seen, Vec<String>), GitFault> {
    let Some(git_dir) = git_dir_of(folder) else {
        // Git does not look into the folder of a submodule that is not populated.
        let files = names_in(folder);
        let state = fingerprint(folder, &files);
        let seen = Seen {
            commits: false,
            files,
            state,
        };
        return Ok((seen, Vec::new()));
    };
    let (own, candidates) = borrowed(&git_dir, scratch)
        .map_err(|error| GitFault(format!("cannot look at {}: {error}", git_dir.display())))?;
    let at = At::Tree {
        git_dir: &own.0,
        work_tree: folder,
    };
    let commits = unpushed(git, at, &candidates).await?;
    let args = [
        "status",
        "--porcelain=v2",
        "--untracked-files=normal",
        "--ignored=matching",
        "--no-renames",
    ];
    let output = git.stdout(at, &args).await?;
    let mut files: Vec<String> = parse::status(&output)
        .into_iter()
        .map(|status| match status {
            FileStatus::Changed(path)
            | FileStatus::WrittenOver(path)
            | FileStatus::Untracked(path)
            | FileStatus::Ignored(path) => path,
        })
        .collect();
    let listed = git.stdout(at, LIST).await?;
    let special = parse::special_entries(&listed);
    // Unchecked files count if they exist: a sparse checkout has none of them.
    let hidden = special.iter().filter(|it| it.hidden && !it.link);
    let there = hidden.filter(|it| {
        folder
            .join(names::path(&it.path))
            .symlink_metadata()
            .is_ok()
    });
    files.extend(there.map(|it| it.path.clone()));
    files.truncate(FILES_MAX);
    let inner = special.into_iter().filter(|it| it.link).map(|it| it.path);
    let state = format!("{commits:?}{}", fingerprint(folder, &files));
    let seen = Seen {
        commits: !commits.is_empty(),
        files,
        state,
    };
    Ok((seen, inner.collect()))
}

/// Whether one of its remote-tracking branches has a commit.
pub(super) async fn is_pushed(
    git: &Git,
    folder: &Path,
    scratch: &Path,
    commit: &str,
) -> Result<bool, GitFault> {
    let Some(git_dir) = git_dir_of(folder) else {
        return Ok(false);
    };
    let (own, _) = borrowed(&git_dir, scratch)
        .map_err(|error| GitFault(format!("cannot look at {}: {error}", git_dir.display())))?;
    let at = At::Bare(&own.0);
    let wanted = format!("{commit}^{{commit}}");
    git.stdout(at, &["cat-file", "-e", &wanted]).await?;
    let left = unpushed(git, at, &[commit.to_owned()]).await?;
    Ok(left.is_empty())
}

/// Commits that no remote-tracking branch has, newest first; a bounded number.
async fn unpushed(git: &Git, at: At<'_>, candidates: &[String]) -> Result<Vec<String>, GitFault> {
    let args = [
        "rev-list",
        "--max-count=20",
        "--ignore-missing",
        "--stdin",
        "--not",
        "--remotes",
    ];
    let output = git
        .stdout_with(at, &args, candidates.join("\n").as_bytes())
        .await?;
    Ok(output.lines().map(str::to_owned).collect())
}

/// The git folder of a populated submodule.
pub(in super::super) fn git_dir_of(folder: &Path) -> Option<PathBuf> {
    let dot = folder.join(".git");
    if dot.symlink_metadata().ok()?.is_dir() {
        return Some(dot);
    }
    let text = AgentFile::at(&dot).and_then(|it| it.text(FEW_LINES)).ok()?;
    let named = text.strip_prefix("gitdir:")?.trim();
    let path = folder.join(named);
    path.is_dir().then_some(path)
}

/// A temporary git folder; removed when dropped.
struct Borrowed(PathBuf);

impl Drop for Borrowed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a git folder with the objects, references and index of another, without its settings. Also returns the names
/// of all objects in its references, other than those of remotes, and in its reflogs.
fn borrowed(git_dir: &Path, scratch: &Path) -> io::Result<(Borrowed, Vec<String>)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let invalid = |why: &str| io::Error::new(io::ErrorKind::Unsupported, why);
    if git_dir.join("commondir").exists() {
        return Err(invalid("it is a worktree of another repository"));
    }
    let settings = text_of(&git_dir.join("config"))?.to_ascii_lowercase();
    if settings.contains("refstorage") || git_dir.join("reftable").exists() {
        return Err(invalid(
            "its references are kept in a format that is not read here",
        ));
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let own = scratch.join(format!(".borrowed-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&own);
    let own = Borrowed(own);
    fs::create_dir_all(own.0.join("objects/info"))?;
    fs::create_dir_all(own.0.join("refs"))?;
    let objects = git_dir.canonicalize()?.join("objects");
    let objects = objects.to_str().filter(|it| !it.contains('\n'));
    let objects = objects.ok_or_else(|| invalid("its path cannot be borrowed from"))?;
    fs::write(
        own.0.join("objects/info/alternates"),
        format!("{objects}\n"),
    )?;
    let format = match settings.contains("sha256") {
        true => "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n",
        false => "[core]\n\trepositoryformatversion = 0\n",
    };
    fs::write(own.0.join("config"), format)?;
    for name in ["index", "packed-refs", "shallow"] {
        if let Some(bytes) = read(&git_dir.join(name))? {
            fs::write(own.0.join(name), bytes)?;
        }
    }
    let mut candidates = Vec::new();
    let packed = text_of(&git_dir.join("packed-refs"))?;
    let packed = packed
        .lines()
        .filter(|line| !line.contains(" refs/remotes/"));
    candidates.extend(
        packed
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned),
    );
    for name in files_below(&git_dir.join("refs"))? {
        let text = text_of(&git_dir.join("refs").join(&name))?;
        let target = own.0.join("refs").join(&name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(target, &text)?;
        if !name.starts_with("remotes") {
            candidates.push(text.trim().to_owned());
        }
    }
    let head = text_of(&git_dir.join("HEAD"))?;
    candidates.push(head.trim().to_owned());
    fs::write(own.0.join("HEAD"), &head)?;
    for name in files_below(&git_dir.join("logs"))? {
        let is_remote = name.starts_with("refs/remotes");
        if !is_remote {
            let text = text_of(&git_dir.join("logs").join(name))?;
            candidates.extend(parse::reflog(&text));
        }
    }
    candidates.retain(|it| parse::is_object(it));
    candidates.sort();
    candidates.dedup();
    Ok((own, candidates))
}

/// The bytes of a regular file, which an agent may have replaced by anything; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match AgentFile::at(path).and_then(|it| it.all(INDEX_BYTES)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("{}: {error}", path.display()),
        )),
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    let bytes = read(path)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Paths of the files in a folder and its subfolders; links are not followed.
fn files_below(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(path),
                kind if kind.is_file() => found.push(path),
                _ => {}
            }
        }
        if found.len() > REFERENCES_MAX {
            let why = "it has too many references that are not packed";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
    }
    Ok(found)
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| names::of(entry.file_name().as_bytes()));
    let mut names: Vec<String> = names.take(FILES_MAX).collect();
    names.sort();
    names
}

/// A fingerprint of names, sizes and times of change.
fn fingerprint(folder: &Path, files: &[String]) -> String {
    let each = files.iter().map(|name| {
        let found = folder.join(names::path(name)).symlink_metadata();
        let found = found.map(|it| (it.len(), it.modified().ok()));
        format!("{name} {found:?}\n")
    });
    each.collect()
}
