//! `file`: the files that must exist.

use std::path::{Path, PathBuf};

/// Returns a sentence about those that are missing. Links may lead anywhere inside the workspace, but not outside.
pub(super) async fn missing(dir: &Path, root: &Path, files: &[String]) -> Option<String> {
    let (dir, root, files) = (dir.to_owned(), root.to_owned(), files.to_vec());
    let looking = move || sentence(&dir, &root, &files);
    // The folder may be on a slow disk.
    tokio::task::spawn_blocking(looking)
        .await
        .unwrap_or_else(|why| Some(format!("the files could not be looked for: {why}")))
}

fn sentence(dir: &Path, root: &Path, files: &[String]) -> Option<String> {
    let missing: Vec<&str> = files
        .iter()
        .map(String::as_str)
        .filter(|file| !is_there(&dir.join(file), root))
        .collect();
    match missing.as_slice() {
        [] => None,
        [one] => Some(format!("the file {one} is not there")),
        many => Some(format!("the files {} are not there", many.join(", "))),
    }
}

fn is_there(path: &Path, root: &Path) -> bool {
    let found: Option<PathBuf> = path.canonicalize().ok();
    found.is_some_and(|found| found.starts_with(root) && found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_inside_count() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let work = root.join("work");
        std::fs::create_dir_all(work.join("sub")).unwrap();
        std::fs::write(root.join("outside"), "x").unwrap();
        std::fs::write(work.join("sub/a"), "x").unwrap();
        std::os::unix::fs::symlink("sub/a", work.join("in")).unwrap();
        std::os::unix::fs::symlink("../outside", work.join("out")).unwrap();
        let missing = |files: &[&str]| {
            let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
            sentence(&work, &work, &files)
        };
        assert_eq!(missing(&["sub/a", "in"]), None);
        assert_eq!(missing(&["b"]).unwrap(), "the file b is not there");
        assert_eq!(
            missing(&["sub", "in", "out"]).unwrap(),
            "the files sub, out are not there"
        );
    }
}
