//! Sets aside git's state of an unfinished operation in a worktree (rebase, am, bisect, merge, cherry-pick, revert)
//! before the next attempt: `git rebase --abort` would bring the failed attempt's commits back.
//!
//! Nothing is lost: the files of the state become a commit, whose parents are all commits that the state names, kept
//! as `refs/kirosu/NAME/NUMBER.state`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kirosu_providers::AgentFile;

use super::git::{At, Git, GitFault};
use super::kept_refs;
use super::record::Worktree;
use super::verify::tree;

/// Files and folders of a worktree's git folder that make up such a state.
const STATE: &[&str] = &[
    "rebase-merge",
    "rebase-apply",
    "sequencer",
    "BISECT_ANCESTORS_OK",
    "BISECT_EXPECTED_REV",
    "BISECT_FIRST_PARENT",
    "BISECT_HEAD",
    "BISECT_LOG",
    "BISECT_NAMES",
    "BISECT_RUN",
    "BISECT_START",
    "BISECT_TERMS",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "MERGE_AUTOSTASH",
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "NOTES_MERGE_PARTIAL",
    "NOTES_MERGE_REF",
    "NOTES_MERGE_WORKTREE",
    "REBASE_HEAD",
    "REVERT_HEAD",
    "SQUASH_MSG",
];

/// References that git keeps per worktree.
const PRIVATE: &[&str] = &["refs/bisect", "refs/worktree", "refs/rewritten"];

/// Maximum size in bytes of a file that is searched for names of commits.
const SEARCHED: u64 = 4 << 20;

/// Keeps such a state and removes it; returns the reference that keeps it, `None` if there was no such state. The
/// caller has committed the files of the working tree.
///
/// # Errors
/// It could not be kept; then nothing is removed.
pub(super) async fn set_aside(git: &Git, record: &Worktree) -> Result<Option<String>, GitFault> {
    let at = tree(record)?;
    let there: Vec<&str> = STATE
        .iter()
        .copied()
        .filter(|name| fs::symlink_metadata(record.git_dir.join(name)).is_ok())
        .collect();
    let references = private_references(git, at).await?;
    if there.is_empty() && references.is_empty() {
        return Ok(None);
    }
    let mut named: BTreeSet<String> = references.iter().map(|(_, hash)| hash.clone()).collect();
    for name in &there {
        hashes_in(&record.git_dir.join(name), &mut named);
    }
    let mut parents = Vec::new();
    for hash in named {
        let commit = format!("{hash}^{{commit}}");
        let end = git
            .run(at, &["rev-parse", "--verify", "--quiet", &commit])
            .await;
        if end.is_good() && !parents.contains(&end.stdout) {
            parents.push(end.stdout);
        }
    }
    let kept = keep(git, record, &there, &parents).await?;
    for (reference, _) in &references {
        git.update_ref(at, &["-d", reference]).await?;
    }
    for name in there {
        remove(&record.git_dir.join(name))?;
    }
    Ok(Some(kept))
}

async fn private_references(git: &Git, at: At<'_>) -> Result<Vec<(String, String)>, GitFault> {
    let mut args = vec!["for-each-ref", "--format=%(objectname) %(refname)"];
    args.extend(PRIVATE);
    let output = git.stdout(at, &args).await?;
    let pairs = output.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs
        .map(|(hash, name)| (name.to_owned(), hash.to_owned()))
        .collect())
}

/// Words of 40 or 64 hexadecimal digits in a file, or in all files of a folder.
fn hashes_in(path: &Path, found: &mut BTreeSet<String>) {
    let Ok(about) = fs::symlink_metadata(path) else {
        return;
    };
    if about.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            hashes_in(&entry.path(), found);
        }
        return;
    }
    let bytes = AgentFile::at(path).and_then(|it| it.all(SEARCHED));
    let bytes = bytes.unwrap_or_default();
    let words = bytes.split(|it| !it.is_ascii_alphanumeric());
    let is_hash =
        |word: &&[u8]| matches!(word.len(), 40 | 64) && word.iter().all(u8::is_ascii_hexdigit);
    for word in words.filter(is_hash) {
        found.insert(String::from_utf8_lossy(word).to_ascii_lowercase());
    }
}

/// The files as a commit, through a separate index.
async fn keep(
    git: &Git,
    record: &Worktree,
    files: &[&str],
    parents: &[String],
) -> Result<String, GitFault> {
    let index = record.git_dir.join("kirosu-state-index");
    let own = git.with("GIT_INDEX_FILE", &index);
    // The git folder serves as a plain folder here, and its files are added.
    let at = At::Tree {
        git_dir: &record.common_dir,
        work_tree: &record.git_dir,
    };
    let _ = fs::remove_file(&index);
    let written = async {
        own.stdout(at, &["read-tree", "--empty"]).await?;
        if !files.is_empty() {
            let add = ["add", "--force", "--ignore-errors", "--"];
            let added = own.run(at, &[&add[..], files].concat()).await;
            if !added.is_good() {
                tracing::debug!(error = added.stderr, "not all of git's state could be kept");
            }
        }
        own.stdout(at, &["write-tree"]).await
    };
    let files = written.await;
    for name in [index.clone(), index.with_extension("lock")] {
        let _ = fs::remove_file(name);
    }
    let files = files?;
    let subject = format!(
        "kirosu: state of git that attempt {} of task {} left",
        record.attempt_number(),
        record.task_id
    );
    let mut args = vec!["commit-tree", &files, "-m", &subject];
    for parent in parents {
        args.extend(["-p", parent]);
    }
    let at = At::Bare(&record.common_dir);
    let commit = git.stdout(at, &args).await?;
    kept_refs::keep(git, record, ".state", &commit).await
}

fn remove(path: &PathBuf) -> Result<(), GitFault> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(|error| GitFault(format!("cannot remove {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_commits_are_found_among_other_words() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = ("a1".repeat(20), "b2".repeat(20));
        let todo = format!("pick {one} subject\nlabel {}\n", "c3".repeat(21));
        fs::write(folder.path().join("git-rebase-todo"), todo).unwrap();
        fs::write(folder.path().join("orig-head"), format!("{two}\n")).unwrap();
        let mut found = BTreeSet::new();
        hashes_in(folder.path(), &mut found);
        assert_eq!(found, BTreeSet::from([one, two]));
    }
}
