//! Searches a folder for repositories within it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::names;

/// Maximum number of folders searched for repositories.
pub(super) const FOLDERS_MAX: usize = 1_000_000;

/// The result of a search.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    /// Folders that are repositories, from the root, each with `/` at its end.
    pub(super) found: Vec<String>,
    /// The search stopped at its limit.
    pub(super) cut: bool,
}

/// Finds folders below the root that are repositories, including bare ones, without those in `skip`. Blocks.
pub(super) fn repositories(root: &Path, skip: &HashSet<PathBuf>) -> Repositories {
    let mut all = Repositories::default();
    let mut folders = vec![PathBuf::new()];
    if root.join(".git").is_dir() {
        all.found.push(".git/".to_owned());
    }
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        seen += 1;
        if seen > FOLDERS_MAX {
            all.cut = true;
            break;
        }
        let (mut is_repository, mut parts) = (false, 0);
        for entry in fs::read_dir(root.join(&folder))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let path = folder.join(&name);
            let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
            match name.to_str().unwrap_or_default() {
                "HEAD" if !is_folder => parts += 1,
                "objects" | "refs" if is_folder => parts += 1,
                _ => {}
            }
            if name == ".git" {
                is_repository = true;
            } else if is_folder && !skip.contains(&path) {
                folders.push(path);
            }
        }
        // A bare repository has these three.
        if (is_repository || parts == 3) && !folder.as_os_str().is_empty() {
            all.found.push(names::of_path(&folder.join("")));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_found_at_any_depth_and_not_where_they_are_known() {
        let root = tempfile::tempdir().unwrap();
        for folder in [
            "a/b/.git",
            "known/.git",
            "plain/c",
            "bare/objects",
            "bare/refs",
        ] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join(".git"), "gitdir: elsewhere").unwrap();
        fs::write(root.path().join("bare/HEAD"), "").unwrap();
        let skip = HashSet::from([PathBuf::from("known")]);
        let mut found = repositories(root.path(), &skip).found;
        found.sort();
        assert_eq!(found, ["a/b/", "bare/"]);
    }
}
