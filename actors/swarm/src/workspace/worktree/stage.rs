//! Stages the files of a worktree: all that git takes, even if some files fail.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use kirosu_providers::{ProgramEnd, ProgramExit};

use super::git::{Git, GitFault};
use super::inventory::{self, FileStatus, LIST};
use super::names;
use super::record::Worktree;
use super::verify::tree;

/// Files outside a sparse checkout count like all others.
const ADD: &[&str] = &["add", "--all", "--sparse", "--ignore-errors"];
/// The files for [`ADD`] come from standard input.
pub(super) const FROM_STDIN: &[&str] = &["--pathspec-from-file=-", "--pathspec-file-nul"];
/// Takes the present commits of repositories in the work tree, without starting git in them as `git add` does.
pub(super) const TAKE_LINKS: &[&str] = &["update-index", "--add", "--remove", "-z", "--stdin"];
/// Maximum number of calls of git to find the files that it does not take. Beyond them the rest is left out.
const CALLS: usize = 100;

/// The result of staging.
pub(super) struct StageResult {
    /// Git's error about a file that it did not take.
    pub(super) complaint: Option<String>,
    /// Whether git took every file, and nothing was left out after that.
    pub(super) is_all: bool,
    /// The output of [`LIST`] after it.
    pub(super) listed: String,
}

/// Stages everything that git takes.
///
/// # Errors
/// The folder is not the worktree that was made, or its index cannot be written.
pub(super) async fn stage_all(git: &Git, record: &Worktree) -> Result<StageResult, GitFault> {
    let at = tree(record)?;
    let links = inventory::links(&git.stdout(at, LIST).await?);
    let all = match links.is_empty() {
        true => git.run(at, ADD).await,
        false => {
            let args = [ADD, FROM_STDIN].concat();
            git.run_with(at, &args, &beside(None, &links)).await
        }
    };
    let moved = match links.is_empty() {
        true => None,
        false => {
            let end = git
                .run_with(at, TAKE_LINKS, &names::terminated(&links))
                .await;
            (!end.is_good()).then(|| complaint(&end))
        }
    };
    let complaint = match all.exit {
        ProgramExit::Code(0) => None,
        // The others were taken.
        ProgramExit::Code(1) => Some(complaint(&all)),
        // None was taken: one of them made git give up.
        ProgramExit::Code(_) => one_by_one(git, record, &links).await?,
        _ => return Err(super::git::fault(ADD, &all)),
    };
    let complaint = complaint.or(moved);
    let rest = leave_out(git, record).await?;
    Ok(StageResult {
        is_all: rest.is_all && all.is_good() && complaint.is_none(),
        complaint,
        ..rest
    })
}

/// Like [`stage_all`] if no file has changed: an agent can have committed a link to a repository.
///
/// # Errors
/// As [`stage_all`].
pub(super) async fn leave_out(git: &Git, record: &Worktree) -> Result<StageResult, GitFault> {
    let listed = git.stdout(tree(record)?, LIST).await?;
    let left_out = leave_out_repositories(git, record, &listed).await?;
    Ok(StageResult {
        is_all: !left_out,
        complaint: None,
        listed,
    })
}

/// The files for `git add`: all in the folder `prefix`, but none of these links to repositories. Git would start itself in
/// them, with their settings, which agents write.
pub(super) fn beside(prefix: Option<&Path>, links: &[String]) -> Vec<u8> {
    let mut bytes = match prefix {
        Some(prefix) => [b":(top,literal)", prefix.as_os_str().as_bytes()].concat(),
        None => b":(top)".to_vec(),
    };
    bytes.push(0);
    for link in links {
        bytes.extend(b":(top,exclude,literal)");
        bytes.extend(names::terminated(&[link]));
    }
    bytes
}

/// Halves the changed files until the failing ones are alone.
async fn one_by_one(
    git: &Git,
    record: &Worktree,
    links: &[String],
) -> Result<Option<String>, GitFault> {
    let (statuses, _) = inventory::statuses(git, record).await?;
    let mut paths: Vec<String> = statuses
        .into_iter()
        .filter_map(|status| match status {
            FileStatus::Changed(path) | FileStatus::WrittenOver(path) => Some(path),
            FileStatus::Untracked(path) if !names::is_folder(&path) => Some(path),
            _ => None,
        })
        .collect();
    paths.retain(|path| !links.contains(path));
    // Files with the same filter often have the same suffix.
    paths.sort_by_cached_key(|path| {
        let kind = path.rsplit_once('.').map(|(_, kind)| kind.to_owned());
        (kind, path.clone())
    });
    let literal = git.with("GIT_LITERAL_PATHSPECS", Path::new("1"));
    let args = [ADD, FROM_STDIN].concat();
    let mut output = None;
    let mut left = CALLS;
    let mut parts = vec![paths.as_slice()];
    while let Some(part) = parts.pop() {
        if part.is_empty() || left == 0 {
            continue;
        }
        left -= 1;
        let end = literal
            .run_with(tree(record)?, &args, &names::terminated(part))
            .await;
        if end.is_good() {
            continue;
        }
        output = Some(complaint(&end));
        let gave_up = !matches!(end.exit, ProgramExit::Code(1));
        if gave_up && part.len() > 1 {
            let (one, other) = part.split_at(part.len() / 2);
            parts.extend([other, one]);
        }
    }
    Ok(output)
}

/// The line of git's errors that names the cause, without its advice.
fn complaint(end: &ProgramEnd) -> String {
    let mut lines = end.stderr.lines().filter_map(|line| {
        let text = line
            .strip_prefix("fatal: ")
            .or_else(|| line.strip_prefix("error: "))?;
        (text != "adding files failed").then_some(text)
    });
    let last = lines.next_back().map(str::to_owned);
    last.unwrap_or_else(|| format!("git add {}", end.exit))
}

/// Removes links to repositories that the agent made from the index again: a link names a commit that only the
/// worktree has. Links of the base, and those of `.gitmodules`, stay. Returns whether there were any.
async fn leave_out_repositories(
    git: &Git,
    record: &Worktree,
    listed: &str,
) -> Result<bool, GitFault> {
    let at = tree(record)?;
    let links = inventory::links(listed);
    if links.is_empty() {
        return Ok(false);
    }
    let mut known = submodule_paths(git, record).await?;
    known.extend(links_of_base(git, record, &links).await?);
    let unknown: Vec<String> = links.into_iter().filter(|it| !known.contains(it)).collect();
    if unknown.is_empty() {
        return Ok(false);
    }
    let args = ["update-index", "--force-remove", "-z", "--stdin"];
    git.stdout_with(at, &args, &names::terminated(&unknown))
        .await?;
    Ok(true)
}

/// Those of these paths that are links in the base, too.
async fn links_of_base(
    git: &Git,
    record: &Worktree,
    links: &[String],
) -> Result<Vec<String>, GitFault> {
    let literal = git.with("GIT_LITERAL_PATHSPECS", Path::new("1"));
    let mut found = Vec::new();
    for some in links.chunks(500) {
        let mut args = vec!["ls-tree"];
        // Arguments are text, and a name may not be.
        match some.iter().all(|it| names::path(it).to_str() == Some(it)) {
            true => {
                args.extend([&record.base, "--"]);
                args.extend(some.iter().map(String::as_str));
            }
            false => args.extend(["-r", "--full-tree", &record.base]),
        }
        let output = literal.stdout(tree(record)?, &args).await?;
        found.extend(output.lines().filter_map(|line| {
            let (head, path) = line.split_once('\t')?;
            head.starts_with("160000 ").then(|| names::read(path))
        }));
    }
    Ok(found)
}

/// The paths that `.gitmodules` of the worktree names.
async fn submodule_paths(git: &Git, record: &Worktree) -> Result<Vec<String>, GitFault> {
    let file = record.path.join(".gitmodules");
    if !file.symlink_metadata().is_ok_and(|it| it.is_file()) {
        return Ok(Vec::new());
    }
    let file = file.to_string_lossy();
    let args = [
        "config",
        "--file",
        &file,
        "-z",
        "--get-regexp",
        r"^submodule\..*\.path$",
    ];
    let end = git.run(tree(record)?, &args).await;
    let entries = end.stdout.split_terminator('\0');
    let paths = entries.filter_map(|entry| entry.split_once('\n'));
    Ok(paths.map(|(_, path)| path.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(stderr: &str) -> ProgramEnd {
        ProgramEnd {
            exit: ProgramExit::Code(128),
            stdout: String::new(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn a_complaint_is_never_advice() {
        let output = "error: open(\"x\"): Permission denied\nerror: adding files failed\nhint: Disable this message\n";
        assert_eq!(complaint(&ended(output)), "open(\"x\"): Permission denied");
        let output = "fatal: b.bin: clean filter 'big' failed\n";
        assert_eq!(
            complaint(&ended(output)),
            "b.bin: clean filter 'big' failed"
        );
        assert_eq!(complaint(&ended("hint: x")), "git add exited with code 128");
    }
}
