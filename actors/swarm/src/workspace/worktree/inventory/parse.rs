//! Parses the output of git for the inventory. Without `-z`, so that names that are not UTF-8 are in quotation marks
//! ([`names`]).

use super::super::names;

/// One path of `git status --porcelain=v2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum FileStatus {
    /// Tracked, and different from the last commit or from the index, or in conflict.
    Changed(String),
    /// The same, with content in the index that neither the last commit nor the file has.
    WrittenOver(String),
    /// Not tracked. A name that ends with `/` is a repository of its own.
    Untracked(String),
    /// Ignored. A name that ends with `/` is a whole folder.
    Ignored(String),
}

/// Parses the paths. Lines of other kinds, and truncated lines, are left out.
pub(super) fn status(output: &str) -> Vec<FileStatus> {
    output.split('\n').filter_map(line).collect()
}

fn line(line: &str) -> Option<FileStatus> {
    let (kind, rest) = line.split_once(' ')?;
    // Fields before the path: XY sub mH mI mW hH hI, and more for conflicts.
    let path = |fields: usize| rest.splitn(fields + 1, ' ').nth(fields).map(names::read);
    match kind {
        "?" => Some(FileStatus::Untracked(names::read(rest))),
        "!" => Some(FileStatus::Ignored(names::read(rest))),
        "1" => {
            let mut letters = rest.bytes();
            let (index, file) = (letters.next()?, letters.next()?);
            let is_written_over = b"AMT".contains(&index) && b"MDT".contains(&file);
            path(7).map(match is_written_over {
                true => FileStatus::WrittenOver,
                false => FileStatus::Changed,
            })
        }
        "u" => path(9).map(FileStatus::Changed),
        _ => None,
    }
}

/// One entry of `git ls-files -v --stage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct IndexEntry {
    /// The working tree's file is not checked: `--skip-worktree` or `--assume-unchanged`.
    pub(in super::super) hidden: bool,
    /// A link to a commit of another repository.
    pub(in super::super) link: bool,
    /// Name of the object.
    pub(in super::super) object: String,
    /// Path from the root of the worktree.
    pub(in super::super) path: String,
}

/// The entries that are links to repositories, or whose files git does not check.
pub(in super::super) fn special_entries(output: &str) -> Vec<IndexEntry> {
    output.split('\n').filter_map(special_entry).collect()
}

fn special_entry(line: &str) -> Option<IndexEntry> {
    let (head, path) = line.split_once('\t')?;
    let mut fields = head.split(' ');
    let (tag, mode, object) = (fields.next()?, fields.next()?, fields.next()?);
    let hidden = tag == "S" || tag.starts_with(|letter: char| letter.is_ascii_lowercase());
    let link = mode == "160000";
    (hidden || link).then(|| IndexEntry {
        hidden,
        link,
        object: object.to_owned(),
        path: names::read(path),
    })
}

/// The object names in the first two fields of each line of a reflog, without the null name.
pub(in super::super) fn reflog(text: &str) -> Vec<String> {
    let names = text.lines().flat_map(|line| line.split(' ').take(2));
    let mut names: Vec<String> = names
        .filter(|it| is_object(it))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Whether it is a full object name other than the null name.
pub(in super::super) fn is_object(name: &str) -> bool {
    matches!(name.len(), 40 | 64)
        && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        && name.bytes().any(|byte| byte != b'0')
}

/// The commits of `git rev-list --parents` that are a parent of no other: all others can be reached from them.
pub(in super::super) fn heads(output: &str) -> Vec<String> {
    let lines = || output.lines().map(|line| line.split(' '));
    let parents: std::collections::HashSet<&str> =
        lines().flat_map(|names| names.skip(1)).collect();
    let commits = lines().filter_map(|mut names| names.next());
    let heads = commits.filter(|it| !it.is_empty() && !parents.contains(it));
    heads.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_reads_every_kind_and_any_name() {
        let output = "1 .M N... 100644 100644 100644 aa bb \"a b\\n c\"\n\
                    1 AM N... 100644 100644 100644 aa bb new file\n\
                    u UU N... 100644 100644 100644 100644 aa bb cc both\n\
                    ? x/\n! build/\n# branch.oid 1\n";
        let found = status(output);
        let changed = |name: &str| FileStatus::Changed(name.to_owned());
        let expected = [
            changed("a b\n c"),
            FileStatus::WrittenOver("new file".to_owned()),
            changed("both"),
            FileStatus::Untracked("x/".to_owned()),
            FileStatus::Ignored("build/".to_owned()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn only_links_and_hidden_entries_are_special() {
        let output = "H 100644 aa 0\tplain\nS 100644 bb 0\tskipped\nh 100644 cc 0\tassumed\nH 160000 dd 0\tlib\ns 1";
        let names: Vec<String> = special_entries(output)
            .into_iter()
            .map(|it| it.path)
            .collect();
        assert_eq!(names, ["skipped", "assumed", "lib"]);
    }

    #[test]
    fn a_reflog_names_objects_once() {
        let (zero, one, two) = ("0".repeat(40), "1".repeat(40), "2".repeat(40));
        let text =
            format!("{zero} {one} A <a@b> 1 +0000\tcommit\n{one} {two} A <a@b> 2 +0000\treset\n");
        assert_eq!(reflog(&text), [one, two]);
        assert!(reflog("no such line").is_empty());
    }

    #[test]
    fn heads_are_commits_that_are_nobodys_parent() {
        assert_eq!(heads("c b\nb a\nd a"), ["c", "d"]);
        assert!(heads("").is_empty());
    }
}
