//! Finds content in the checkout that the merge would overwrite or delete: changes of tracked files, hidden from git
//! or not, and files at the paths of new files, ignored or not.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Checkout;
use crate::workspace::worktree::git::{Git, GitFault};
use crate::workspace::worktree::inventory::{LIST, differs, list, special_entries};
use crate::workspace::worktree::names;

/// Lists the names of changed files.
const DIFF: &[&str] = &["diff", "--name-only", "--no-renames", "--no-ext-diff"];

/// One path that the merge changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileChange {
    /// From the root of the checkout.
    pub(super) path: String,
    /// Written where there was nothing, or as another kind of file (a link, a submodule).
    is_new: bool,
    /// Deleted, or replaced by another kind of file.
    is_gone: bool,
}

/// The paths that change between two trees.
pub(super) async fn changes(
    git: &Git,
    checkout: &Checkout,
    head: &str,
    merged: &str,
) -> Result<Vec<FileChange>, GitFault> {
    let args = [
        "diff-tree",
        "-r",
        "--raw",
        "--no-renames",
        head,
        merged,
        "--",
    ];
    Ok(parse(&git.stdout(checkout.at(), &args).await?))
}

fn parse(output: &str) -> Vec<FileChange> {
    let lines = output.lines().filter_map(|line| line.split_once('\t'));
    let changes = lines.map(|(head, path)| {
        let kind = head.rsplit(' ').next().unwrap_or_default();
        FileChange {
            path: names::read(path),
            is_new: kind == "A" || kind == "T",
            is_gone: kind == "D" || kind == "T",
        }
    });
    changes.collect()
}

/// Checks that nothing is in the way.
///
/// # Errors
/// The names of the content in the way.
pub(super) async fn check(
    git: &Git,
    checkout: &Checkout,
    changes: &[FileChange],
) -> Result<(), GitFault> {
    let at = checkout.at();
    let mut touched = HashSet::new();
    for more in [&["HEAD", "--"][..], &["--cached", "HEAD", "--"]] {
        let output = git.stdout(at, &[DIFF, more].concat()).await?;
        touched.extend(output.lines().map(names::read));
    }
    let unmerged = git
        .stdout(at, &["diff", "--name-only", "--diff-filter=U"])
        .await?;
    if !unmerged.is_empty() {
        let names: Vec<String> = unmerged.lines().map(names::read).collect();
        return Err(GitFault(format!(
            "{} has conflicts that are not solved in {}: nothing was applied; solve and commit them first",
            checkout.root.display(),
            list(&names)
        )));
    }
    let paths: HashSet<&str> = changes.iter().map(|it| it.path.as_str()).collect();
    let listed = git.stdout(at, LIST).await?;
    let entries = special_entries(&listed).into_iter();
    for entry in entries.filter(|it| it.hidden && !it.link && paths.contains(it.path.as_str())) {
        if differs(git, at, &entry).await {
            touched.insert(entry.path);
        }
    }
    let mut both: Vec<String> = touched
        .into_iter()
        .filter(|it| paths.contains(it.as_str()))
        .collect();
    let (root, own) = (checkout.root.clone(), changes.to_vec());
    let there = tokio::task::spawn_blocking(move || obstacles(&root, &own)).await;
    both.extend(there.map_err(|error| GitFault(format!("cannot look at the checkout: {error}")))?);
    both.sort();
    both.dedup();
    match both.is_empty() {
        true => Ok(()),
        false => Err(GitFault(format!(
            "{} has changes of its own in {}: nothing was applied; commit or stash them first, and move away what git does not hold",
            checkout.root.display(),
            list(&both)
        ))),
    }
}

/// Files, links and folders with content at the paths of new files. Blocks.
fn obstacles(root: &Path, changes: &[FileChange]) -> Vec<String> {
    let gone = changes.iter().filter(|it| it.is_gone);
    let gone: HashSet<PathBuf> = gone.map(|it| names::path(&it.path)).collect();
    let mut found = Vec::new();
    for change in changes.iter().filter(|it| it.is_new) {
        let path = names::path(&change.path);
        if let Some(above) = above(root, &path, &gone) {
            found.push(above);
            continue;
        }
        match root.join(&path).symlink_metadata() {
            Ok(there) if there.is_dir() => found.extend(inside(root, &path, &gone)),
            Ok(_) if !gone.contains(&path) => found.push(path),
            _ => {}
        }
    }
    found.iter().map(|it| names::of_path(it)).collect()
}

/// The first part of a path that is not a folder, and that the merge does not remove.
fn above(root: &Path, path: &Path, gone: &HashSet<PathBuf>) -> Option<PathBuf> {
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.reverse();
    for above in folders {
        match root.join(above).symlink_metadata() {
            Ok(there) if there.is_dir() => {}
            Ok(_) => return (!gone.contains(above)).then(|| above.to_owned()),
            Err(_) => return None,
        }
    }
    None
}

/// The first file in a folder that the merge does not remove.
fn inside(root: &Path, path: &Path, gone: &HashSet<PathBuf>) -> Option<PathBuf> {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = folder.join(entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
            match is_folder {
                true => folders.push(name),
                false if !gone.contains(&name) => return Some(name),
                false => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(entries: &[(&str, &str)]) -> Vec<FileChange> {
        let lines = entries
            .iter()
            .map(|(kind, path)| format!(":000000 100644 aa bb {kind}\t{path}\n"));
        parse(&lines.collect::<String>())
    }

    #[test]
    fn whatever_lies_where_a_new_file_comes_is_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for folder in ["folder/deep", "empty", "tracked"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for file in ["folder/deep/mine", "file", "settings", "tracked/a"] {
            fs::write(at(file), "x").unwrap();
        }
        std::os::unix::fs::symlink("/nowhere", at("link")).unwrap();
        let obstacles = |entries: &[(&str, &str)]| obstacles(root.path(), &raw(entries));
        assert_eq!(obstacles(&[("A", "settings/a.py")]), ["settings"]);
        assert_eq!(obstacles(&[("A", "link/a")]), ["link"]);
        assert_eq!(obstacles(&[("A", "file")]), ["file"]);
        assert_eq!(obstacles(&[("A", "link")]), ["link"]);
        assert_eq!(obstacles(&[("A", "folder")]), ["folder/deep/mine"]);
        assert!(obstacles(&[("A", "empty"), ("A", "new/x"), ("M", "file")]).is_empty());
        // Content that git holds may be removed.
        assert!(obstacles(&[("D", "file"), ("A", "file/x")]).is_empty());
        assert!(obstacles(&[("D", "tracked/a"), ("A", "tracked")]).is_empty());
        assert!(obstacles(&[("T", "file")]).is_empty());
    }
}
