//! The index and the HEAD of a worktree after a run: repaired if the run broke them, and searched for unresolved
//! conflicts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use kirosu_providers::{AgentFile, FEW_LINES};
use serde::{Deserialize, Serialize};

use super::finish::tip_of;
use super::git::{At, Git, GitFault};
use super::inventory::{hash_of, is_object};
use super::names;
use super::record::Worktree;
use super::verify::tree;

/// Maximum size in bytes of a file that is searched for conflict markers.
const SEARCHED: u64 = 16 << 20;
/// Maximum size in bytes of an index: about eight million files.
pub(super) const INDEX_BYTES: u64 = 1 << 30;
/// A file with a zero byte in this number of first bytes is binary, as in git.
const HEAD_BYTES: usize = 8000;

/// Copies an index, so that git need not read all files again; without one there is no copy, and git makes a new one.
///
/// # Errors
/// The copy cannot be written, or the index is not a regular file or is too long.
pub(super) fn copy_index(index: &Path, copy: &Path) -> io::Result<()> {
    match AgentFile::at(index) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => file?.copy_to(copy, INDEX_BYTES),
    }
}

/// A file with an unfinished merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Name, from the root of the repository.
    pub path: String,
    /// For a file without conflict markers (binary, or deleted on one side): the blob that the run left, empty if it
    /// left none. The conflict is unresolved while the file stays the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
}

/// Repairs HEAD and index if a run broke them. The broken files are kept as `HEAD.broken` and `index.broken`; all
/// files are in the working tree, so that a new index loses none.
///
/// Returns the files of the index that had conflicts, for [`conflicts`].
///
/// # Errors
/// The folder is not the worktree, or git cannot read it after the repair either.
pub(super) async fn mend(git: &Git, record: &Worktree) -> Result<Unmerged, GitFault> {
    let head = record.git_dir.join("HEAD");
    let text = AgentFile::at(&head).and_then(|it| it.text(FEW_LINES));
    if !is_head(&text.unwrap_or_default()) {
        set_aside(&head)?;
        let text = format!("ref: refs/heads/{}\n", record.branch);
        fs::write(&head, text).map_err(|error| cannot("write", &head, &error))?;
    }
    let at = tree(record)?;
    let both = ["ls-files", "--unmerged", "--resolve-undo"];
    let end = git.run(at, &both).await;
    if end.is_good() && end.stdout.is_empty() {
        return Ok(Unmerged::default());
    }
    if end.is_good() {
        // The combined list would not distinguish the two kinds.
        let open = git.stdout(at, &["ls-files", "--unmerged"]).await?;
        let open = stages(&open);
        let mut added = stages(&end.stdout);
        added.retain(|path, _| !open.contains_key(path));
        return Ok(Unmerged {
            open,
            added: added.into_keys().collect(),
        });
    }
    // If git fails without an index as well, settings or the repository are at fault.
    let none = git.with("GIT_INDEX_FILE", &record.git_dir.join("kirosu-no-index"));
    none.stdout(at, &["ls-files", "--unmerged"]).await?;
    let index = record.git_dir.join("index");
    tracing::warn!(file = %index.display(), error = end.stderr, "the index of a worktree cannot be read and is made anew");
    let tip = tip_of(git, record).await?;
    let tip = tip.unwrap_or_else(|| record.base.clone());
    renew(git, record, &tip).await?;
    Ok(Unmerged::default())
}

/// Makes the index anew from a commit; the old one is kept as `index.broken`.
///
/// # Errors
/// It cannot be moved or written.
pub(super) async fn renew(git: &Git, record: &Worktree, commit: &str) -> Result<(), GitFault> {
    set_aside(&record.git_dir.join("index"))?;
    git.stdout(tree(record)?, &["read-tree", commit])
        .await
        .map(drop)
}

/// The files of an index that had conflicts.
#[derive(Default)]
pub(super) struct Unmerged {
    /// Unmerged files: a bit per stage, by path.
    open: BTreeMap<String, u8>,
    /// Files added since: git remembers them, over commits too, until it checks out another commit.
    added: Vec<String>,
}

fn is_head(text: &str) -> bool {
    let text = text.trim_end();
    let is_hash = matches!(text.len(), 40 | 64) && text.bytes().all(|it| it.is_ascii_hexdigit());
    is_hash || text.starts_with("ref: refs/")
}

fn set_aside(file: &Path) -> Result<(), GitFault> {
    if fs::symlink_metadata(file).is_err() {
        return Ok(());
    }
    let broken = file.with_extension("broken");
    fs::rename(file, broken).map_err(|error| cannot("move", file, &error))
}

fn cannot(what: &str, file: &Path, error: &std::io::Error) -> GitFault {
    GitFault(format!("cannot {what} {}: {error}", file.display()))
}

/// Files with an unfinished merge: unmerged in the index, or added or left by an earlier run with conflict markers. A
/// text file without markers counts as resolved, whether or not it was added.
///
/// # Errors
/// Git failed.
pub(super) async fn conflicts(
    git: &Git,
    record: &Worktree,
    Unmerged { open, added }: Unmerged,
) -> Result<Vec<Conflict>, GitFault> {
    let at = tree(record)?;
    let mut found: Vec<Conflict> = Vec::new();
    for (path, stages) in &open {
        let content = content(&record.path.join(names::path(path)));
        let blob = match &content {
            Some(bytes) if has_markers(bytes) => None,
            Some(bytes) if both(*stages) && !is_binary(bytes) => continue,
            None if both(*stages) => continue,
            Some(_) => Some(hash_of(git, at, path).await?),
            None => Some(String::new()),
        };
        found.push(Conflict {
            path: path.clone(),
            blob,
        });
    }
    let earlier = record.conflicts.iter().map(|it| it.path.clone());
    let closed: BTreeSet<String> = added.into_iter().chain(earlier).collect();
    for path in closed.into_iter().filter(|it| !open.contains_key(it)) {
        let bytes = content(&record.path.join(names::path(&path))).unwrap_or_default();
        if has_markers(&bytes) {
            found.push(Conflict { path, blob: None });
        }
    }
    Ok(found)
}

/// Returns the recorded conflicts that a commit still has.
///
/// # Errors
/// Git failed.
pub(super) async fn conflicts_in(
    git: &Git,
    record: &Worktree,
    commit: &str,
) -> Result<Vec<String>, GitFault> {
    let at = At::Bare(&record.common_dir);
    let mut found = Vec::new();
    for conflict in &record.conflicts {
        let path = names::terminated(&[&conflict.path]);
        let name = [commit.as_bytes(), b":", &path].concat();
        let args = ["cat-file", "-z", "--batch-check=%(objectname)"];
        let output = git.stdout_with(at, &args, &name).await?;
        let blob = if is_object(&output) {
            output
        } else {
            String::new()
        };
        let unresolved = match &conflict.blob {
            Some(left) => *left == blob,
            None if blob.is_empty() => false,
            None => {
                let text = git.run(at, &["cat-file", "blob", &blob]).await;
                has_markers(text.stdout.as_bytes())
            }
        };
        if unresolved {
            found.push(conflict.path.clone());
        }
    }
    Ok(found)
}

/// For each path a bit per stage in the index.
fn stages(listed: &str) -> BTreeMap<String, u8> {
    let mut found = BTreeMap::new();
    for line in listed.split('\n') {
        let Some((head, path)) = line.split_once('\t') else {
            continue;
        };
        let stage = head.rsplit(' ').next().and_then(|it| it.parse::<u8>().ok());
        *found.entry(names::read(path)).or_default() |= 1 << stage.unwrap_or_default().min(7);
    }
    found
}

/// Both sides have the file.
fn both(stages: u8) -> bool {
    stages & 0b1100 == 0b1100
}

fn content(file: &Path) -> Option<Vec<u8>> {
    AgentFile::at(file).and_then(|it| it.all(SEARCHED)).ok()
}

fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(HEAD_BYTES)].contains(&0)
}

/// Markers as git writes them: a line that begins with `<<<<<<< `, and later one that begins with `>>>>>>> `.
fn has_markers(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|it| *it == b'\n');
    lines.any(|line| line.starts_with(b"<<<<<<< "))
        && lines.any(|line| line.starts_with(b">>>>>>> "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_lines_in_order() {
        assert!(has_markers(
            b"a\n<<<<<<< HEAD\nx\n=======\ny\n>>>>>>> side\n"
        ));
        assert!(!has_markers(b"a <<<<<<< HEAD\n>>>>>>> b\n"));
        assert!(!has_markers(b">>>>>>> b\n<<<<<<< a\n"));
    }

    #[test]
    fn stages_are_gathered_by_file() {
        let listed = "100644 aa 1\ta\n100644 bb 2\ta\n100644 cc 3\ta\n100644 dd 2\tb c";
        let found = stages(listed);
        assert!(both(found["a"]) && !both(found["b c"]));
    }

    #[test]
    fn a_head_is_a_branch_or_a_commit() {
        assert!(is_head("ref: refs/heads/x\n"));
        assert!(is_head(&format!("{}\n", "a1".repeat(20))));
        assert!(!is_head("") && !is_head("junk"));
    }
}
