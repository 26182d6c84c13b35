//! Takes the files of a worktree into its index: all that git takes, whatever one file of them does.

use kirosu_providers::{ProgramEnd, ProgramExit};

use super::git::{Git, GitFault};
use super::inventory::{self, Status};
use super::record::Record;
use super::verify::tree;

/// Files outside a sparse checkout count like all others.
const ADD: &[&str] = &["add", "--all", "--sparse", "--ignore-errors"];
/// Calls of git that are made to find the files that it does not take. Beyond them the rest is left out as a whole.
const CALLS: usize = 100;

/// Takes all that git takes into the index. Returns git's complaint about a file that it did not take.
///
/// # Errors
/// The folder is not the worktree that was made, or its index cannot be written.
pub(super) async fn take_in(git: &Git, record: &Record) -> Result<Option<String>, GitFault> {
    let at = tree(record)?;
    let all = git.run(at, ADD).await;
    let complaint = match all.exit {
        ProgramExit::Code(0) => None,
        // The others were taken.
        ProgramExit::Code(1) => Some(complaint(&all)),
        // None was taken: one of them has made git give up.
        ProgramExit::Code(_) => one_by_one(git, record).await?,
        _ => return Err(super::git::fault(ADD, &all)),
    };
    leave_out_repositories(git, record).await?;
    Ok(complaint)
}

/// Halves the changed files until those that git gives up at are alone.
async fn one_by_one(git: &Git, record: &Record) -> Result<Option<String>, GitFault> {
    let (statuses, _) = inventory::statuses(git, record).await?;
    let mut paths: Vec<String> = statuses
        .into_iter()
        .filter_map(|status| match status {
            Status::Changed(path) => Some(path),
            Status::Untracked(path) if !path.ends_with('/') => Some(path),
            _ => None,
        })
        .collect();
    // Files with the same filter are often of the same kind.
    paths.sort_by_cached_key(|path| {
        let kind = path.rsplit_once('.').map(|(_, kind)| kind.to_owned());
        (kind, path.clone())
    });
    let literal = git.with("GIT_LITERAL_PATHSPECS", std::path::Path::new("1"));
    let more = ["--pathspec-from-file=-", "--pathspec-file-nul"];
    let ask = [ADD, &more].concat();
    let mut said = None;
    let mut left = CALLS;
    let mut parts = vec![paths.as_slice()];
    while let Some(part) = parts.pop() {
        if part.is_empty() || left == 0 {
            continue;
        }
        left -= 1;
        let end = literal
            .run_with(tree(record)?, &ask, &part.join("\0"))
            .await;
        if end.is_good() {
            continue;
        }
        said = Some(complaint(&end));
        let gave_up = !matches!(end.exit, ProgramExit::Code(1));
        if gave_up && part.len() > 1 {
            let (one, other) = part.split_at(part.len() / 2);
            parts.extend([other, one]);
        }
    }
    Ok(said)
}

/// The line of git's complaint that names the trouble; never its advice.
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

/// Takes links to repositories that the agent made out of the index again: a link names a commit that only the worktree
/// has. Links that the base has, and those of `.gitmodules`, stay.
async fn leave_out_repositories(git: &Git, record: &Record) -> Result<(), GitFault> {
    let at = tree(record)?;
    let listed = git.ask(at, &["ls-files", "-v", "--stage", "-z"]).await?;
    let links = inventory::links(&listed);
    if links.is_empty() {
        return Ok(());
    }
    let mut known = submodule_paths(git, record).await?;
    let literal = git.with("GIT_LITERAL_PATHSPECS", std::path::Path::new("1"));
    for some in links.chunks(500) {
        let mut ask = vec!["ls-tree", "-z", &record.base, "--"];
        ask.extend(some.iter().map(String::as_str));
        let said = literal.ask(at, &ask).await?;
        let before = said.split_terminator('\0').filter_map(|line| {
            let (head, path) = line.split_once('\t')?;
            head.starts_with("160000 ").then(|| path.to_owned())
        });
        known.extend(before);
    }
    let unknown: Vec<String> = links.into_iter().filter(|it| !known.contains(it)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let ask = ["update-index", "--force-remove", "-z", "--stdin"];
    let names = unknown.join("\0") + "\0";
    git.ask_with(at, &ask, &names).await.map(drop)
}

/// The paths that `.gitmodules` of the worktree names.
async fn submodule_paths(git: &Git, record: &Record) -> Result<Vec<String>, GitFault> {
    let file = record.path.join(".gitmodules");
    if !file.symlink_metadata().is_ok_and(|it| it.is_file()) {
        return Ok(Vec::new());
    }
    let file = file.to_string_lossy();
    let ask = [
        "config",
        "--file",
        &file,
        "-z",
        "--get-regexp",
        r"^submodule\..*\.path$",
    ];
    let end = git.run(tree(record)?, &ask).await;
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
        let said = "error: open(\"x\"): Permission denied\nerror: adding files failed\nhint: Disable this message\n";
        assert_eq!(complaint(&ended(said)), "open(\"x\"): Permission denied");
        let said = "fatal: b.bin: clean filter 'big' failed\n";
        assert_eq!(complaint(&ended(said)), "b.bin: clean filter 'big' failed");
        assert_eq!(complaint(&ended("hint: x")), "git add exited with code 128");
    }
}
