//! Why a call of git failed.

use std::fmt;

use kirosu_protocol::text::tail;
use kirosu_providers::{ProgramEnd, ProgramExit, is_shortage};

use super::git::At;
use super::shortage;

/// Maximum number of bytes of git's error that are passed on.
const COMPLAINT: usize = 1000;

/// Why git failed: one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFault(pub(super) String);

/// Prefix of the sentence if git was not started for lack of a resource, or reports such a lack itself.
const SHORT: &str = "the machine lacks a resource that git needs: ";

impl GitFault {
    /// Whether the machine lacked a resource, so that the same call can succeed later.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        // A file that could not be written is named with the system's error.
        self.0.starts_with(SHORT) || is_shortage(&std::io::Error::other(self.0.clone()))
    }
}

impl GitFault {
    /// Whether an object is missing that existed a moment ago: another git has removed objects without references.
    pub(super) fn is_of_missing_object(&self) -> bool {
        let words = [
            "nonexistent object",
            "invalid object",
            "unable to read",
            "not a valid object",
        ];
        words.iter().any(|it| self.0.contains(it))
    }

    /// Whether the branch to be made exists.
    pub(super) fn is_taken(&self) -> bool {
        self.0.contains("a branch named '") && self.0.contains("already exists")
    }

    /// Whether `git reset` could not write the files of a worktree.
    pub(super) fn is_of_files(&self) -> bool {
        self.0.starts_with("git reset ")
    }
}

impl fmt::Display for GitFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GitFault {}

impl From<String> for GitFault {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Like [`fault`], for a call that may have written files at this location.
pub(super) fn fault_at(at: At<'_>, args: &[&str], end: &ProgramEnd) -> GitFault {
    let fault = fault(args, end);
    let place = match at {
        At::Folder(path) | At::Bare(path) => path,
        At::Tree { work_tree, .. } => work_tree,
    };
    match !fault.is_shortage() && shortage::is_full_disk(&end.stderr, place) {
        true => GitFault(format!("{SHORT}disk space: {fault}")),
        false => fault,
    }
}

pub(super) fn fault(args: &[&str], end: &ProgramEnd) -> GitFault {
    if let ProgramExit::Missing(_) = end.exit {
        return GitFault(
            "git is not in PATH; install it (apt install git), or take another workspace than \"worktree\""
                .to_owned(),
        );
    }
    let what = args.first().copied().unwrap_or_default();
    let output = tail(end.stderr.trim(), COMPLAINT);
    let short = match shortage::is_short(end) {
        true => SHORT,
        false => "",
    };
    match output.is_empty() {
        true => GitFault(format!("{short}git {what} {}", end.exit)),
        false => GitFault(format!(
            "{short}git {what} {}: {output}{}",
            end.exit,
            obstacles(output).unwrap_or_default()
        )),
    }
}

/// Advice if git reports that a reference prevents another one, as a file system cannot have both.
fn obstacles(output: &str) -> Option<String> {
    let (before, _) = output.split_once("' exists; cannot create '")?;
    let (_, name) = before.rsplit_once('\'')?;
    name.starts_with("refs/").then(|| {
        format!(" (the reference {name} is in the way: git update-ref -d {name} removes it, git branch NAME {name} keeps its commits)")
    })
}
