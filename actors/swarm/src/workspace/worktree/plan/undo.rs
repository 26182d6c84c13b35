//! Restores the checkout after git stopped in the middle of the merge.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kirosu_providers::AgentFile;

use super::{ApplyPlan, Checkout};
use crate::workspace::worktree::inventory::list;
use crate::workspace::worktree::locks::clear_lock;
use crate::workspace::worktree::names;

/// The result of [`undo`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::workspace::worktree) enum Undone {
    /// All files of the plan are what `HEAD` has.
    Whole,
    /// Some are not; the text names them and the calls that restore them.
    Half(String),
}

/// The files of a plan that exist before git begins.
pub(in crate::workspace::worktree) fn present(plan: &ApplyPlan) -> BTreeSet<String> {
    let is_there = |file: &&String| {
        let path = plan.checkout.root.join(names::path(file));
        path.symlink_metadata().is_ok()
    };
    plan.files.iter().filter(is_there).cloned().collect()
}

/// Restores every file of the plan that git has begun to write or has removed: it was as in `HEAD`, or did not exist.
/// A file with other content than git would have written belongs to someone else and stays. Blocks.
pub(in crate::workspace::worktree) fn undo(plan: &ApplyPlan, before: &BTreeSet<String>) -> Undone {
    let checkout = &plan.checkout;
    let (root, at) = (&checkout.root, checkout);
    clear_lock(
        &checkout.git_dir.join("index.lock"),
        &[root, &checkout.git_dir],
    );
    let written = plan.written.files();
    let is_of_git = |file: &String| {
        let path = names::path(file);
        is_begun(&root.join(&path), &written.join(&path))
    };
    let touched = plan.files.iter().filter(|file| is_of_git(file));
    let (old, new): (Vec<&String>, Vec<&String>) = touched.partition(|it| before.contains(*it));
    let mut failed: Vec<String> = Vec::new();
    for file in &new {
        let path = root.join(names::path(file));
        let removed = match path.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir(&path),
            Ok(_) => fs::remove_file(&path),
            Err(_) => Ok(()),
        };
        if removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            failed.push((*file).clone());
        }
        for folder in path
            .ancestors()
            .skip(1)
            .take_while(|it| *it != root.as_path())
        {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
    // The index may contain them if git failed after it was written.
    let forget = ["update-index", "--force-remove", "-z", "--stdin"];
    let _ = call(at, &forget, &new);
    let restore = [
        "checkout",
        "--quiet",
        "--ignore-skip-worktree-bits",
        "--pathspec-from-file=-",
        "--pathspec-file-nul",
        &plan.head,
        "--",
    ];
    if !old.is_empty() && call(at, &restore, &old).is_err() {
        // One file that cannot be restored does not prevent the others.
        for file in &old {
            // The content may be restored, and only the index not.
            if call(at, &restore, &[file]).is_err() && !is_as_in(at, &plan.head, file) {
                failed.push((*file).clone());
            }
        }
    }
    let _ = call(at, &["update-index", "-q", "--refresh"], &[]);
    if failed.is_empty() {
        return Undone::Whole;
    }
    let folder = root.display();
    let (old, new): (Vec<String>, Vec<String>) =
        failed.into_iter().partition(|it| before.contains(it));
    let mut calls = Vec::new();
    if !old.is_empty() {
        calls.push(format!("git -C {folder} checkout HEAD -- {}", shell(&old)));
    }
    if !new.is_empty() {
        calls.push(format!("cd {folder} && rm {}", shell(&new)));
    }
    let all = [old, new].concat();
    Undone::Half(format!(
        "these files are half written and could not be put back: {}; free some space or make them writable, then run: {}",
        list(&all),
        calls.join(" && ")
    ))
}

/// Arguments for a shell; one that is not text in the form of bash.
fn shell(files: &[String]) -> String {
    let quoted = files.iter().map(|it| match names::path(it).to_str() {
        Some(text) => format!("'{}'", text.replace('\'', r"'\''")),
        None => format!("$'{}'", it.trim_matches('"').replace('\'', r"\'")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Whether the file has the content that a commit has.
fn is_as_in(checkout: &Checkout, commit: &str, file: &str) -> bool {
    let same = ["diff", "--quiet", "--no-ext-diff", commit, "--"];
    let end = checkout
        .command(&same)
        .arg(names::path(file))
        .env("GIT_LITERAL_PATHSPECS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    end.is_ok_and(|end| end.success())
}

/// A call on some files of the checkout that Ctrl-C does not reach.
fn call(checkout: &Checkout, args: &[&str], files: &[&String]) -> io::Result<()> {
    let mut child = checkout
        .command(args)
        .env("GIT_LITERAL_PATHSPECS", "1")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&names::terminated(files))?;
    }
    match child.wait()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("git failed")),
    }
}

/// Whether git has begun to write the new state of a path: it has the beginning of the new content, or does not
/// exist. An unchanged file counts too if its old content is the beginning of the new.
fn is_begun(now: &Path, new: &Path) -> bool {
    let Ok(found) = now.symlink_metadata() else {
        return true;
    };
    let Ok(wanted) = new.symlink_metadata() else {
        return false;
    };
    if found.is_symlink() || wanted.is_symlink() {
        return fs::read_link(now).ok() == fs::read_link(new).ok();
    }
    if found.is_dir() || wanted.is_dir() {
        return found.is_dir() && wanted.is_dir();
    }
    found.len() <= wanted.len() && begins_with(now, new).unwrap_or(false)
}

fn begins_with(now: &Path, new: &Path) -> io::Result<bool> {
    let (mut now, mut new) = (AgentFile::at(now)?.into_file(), File::open(new)?);
    let (mut one, mut other) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = now.read(&mut one)?;
        if read == 0 {
            return Ok(true);
        }
        if new.read_exact(&mut other[..read]).is_err() || one[..read] != other[..read] {
            return Ok(false);
        }
    }
}

/// Files as git would write them; removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn files(&self) -> PathBuf {
        self.0.join("files")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_the_new_content_is_of_git() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for (name, text) in [
            ("new", "abcdef"),
            ("half", "abc"),
            ("other", "abX"),
            ("long", "abcdefg"),
        ] {
            fs::write(at(name), text).unwrap();
        }
        assert!(is_begun(&at("half"), &at("new")));
        assert!(is_begun(&at("none"), &at("new")));
        assert!(!is_begun(&at("other"), &at("new")));
        assert!(!is_begun(&at("long"), &at("new")));
        assert!(!is_begun(&at("other"), &at("none")));
    }
}
