//! The identity of a session's folder, stored in a small file next to it between runs: meanwhile a program that was
//! left running, or another session's, can replace the folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kirosu_providers::{AgentFile, FEW_LINES};
use serde::{Deserialize, Serialize};

use super::identity::{FolderChange, FolderId};

/// Identifies a folder and its parent. If both differ, the whole pool folder was moved or restored, including the
/// session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct KnownFolder {
    folder: FolderId,
    parent: FolderId,
}

/// Checks that a folder is the one of earlier runs. A folder that is unknown, or was `made` now, is recorded. Reads
/// and writes a small file; blocks.
///
/// # Errors
/// Another folder is in its place.
pub(super) fn check(folder: &Path, made: bool) -> Result<(), FolderChange> {
    let unreadable =
        |error: io::Error| FolderChange::Replaced(format!("it cannot be read: {error}"));
    let parent = folder.parent().unwrap_or(folder);
    let now = KnownFolder {
        folder: FolderId::of(folder).map_err(unreadable)?,
        parent: FolderId::of(parent).map_err(unreadable)?,
    };
    let file = file(folder);
    let before = AgentFile::at(&file).and_then(|it| it.all(FEW_LINES)).ok();
    let before = before.and_then(|text| serde_json::from_slice::<KnownFolder>(&text).ok());
    match before {
        Some(before) if before == now => return Ok(()),
        Some(before) if !made && before.parent == now.parent && before.folder != now.folder => {
            return Err(FolderChange::Replaced(format!(
                "another folder is in the place of the one that earlier runs had (remove {} to use it)",
                file.display()
            )));
        }
        _ => {}
    }
    if let Err(error) = write(&file, now) {
        tracing::warn!(file = %file.display(), %error, "the identity of a workspace is not written, so that another folder in its place is not recognised");
    }
    Ok(())
}

/// `session-1.json` next to `session-1`.
fn file(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".json");
    folder.with_file_name(name)
}

fn write(file: &Path, known: KnownFolder) -> io::Result<()> {
    let new = file.with_extension("json.new");
    fs::write(&new, serde_json::to_vec(&known)?)?;
    fs::rename(new, file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn another_folder_is_not_taken_for_the_one_before_and_a_moved_pool_is() {
        let root = tempfile::tempdir().unwrap();
        let (pool, other) = (root.path().join("pool"), root.path().join("other"));
        let folder = pool.join("session-1");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(&other).unwrap();
        assert_eq!(check(&folder, true), Ok(()));
        assert_eq!(check(&folder, false), Ok(()));
        fs::rename(&folder, pool.join("aside")).unwrap();
        fs::rename(&other, &folder).unwrap();
        assert!(check(&folder, false).is_err());
        fs::remove_file(file(&folder)).unwrap();
        assert_eq!(check(&folder, false), Ok(()));
        // Copied as a whole.
        let copy = root.path().join("copy");
        fs::create_dir_all(copy.join("session-1")).unwrap();
        fs::copy(file(&folder), file(&copy.join("session-1"))).unwrap();
        assert_eq!(check(&copy.join("session-1"), false), Ok(()));
    }
}
