//! Items of files: those that a glob matches, in the order of their paths.

use super::{SourceItem, SourceItems};
use crate::cli::Failure;
use globset::{GlobBuilder, GlobMatcher};
use kirosu_protocol::{SOURCE_PIECE_BYTES, size};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// The characters that make a part of a path a pattern.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// The files that a glob matches: an item has `path` and `text`. Hidden files and folders are matched only by a glob that
/// names hidden ones, the folder `.git` only by one that names it. Links to folders are not followed.
///
/// # Errors
/// It is not a glob, a folder cannot be read, or no file matches.
pub fn open(glob: &str) -> Result<SourceItems, Failure> {
    let paths = FileGlob::new(glob)?.paths()?;
    if paths.is_empty() {
        let folder = std::env::current_dir().map(|folder| format!(" in {}", folder.display()));
        return Err(Failure::Local(format!(
            "no file matches {glob}{}; hidden files need a glob that names them, such as .github/**",
            folder.unwrap_or_default()
        )));
    }
    Ok(Box::new(paths.into_iter().map(|path| read(&path))))
}

/// A glob, and the folder in which its files are.
struct FileGlob {
    pattern: String,
    matcher: GlobMatcher,
    folder: PathBuf,
    /// The deepest level below the folder; `None` means any.
    depth: Option<usize>,
    takes_hidden: bool,
    takes_git: bool,
}

impl FileGlob {
    fn new(glob: &str) -> Result<FileGlob, Failure> {
        let mut pattern = glob;
        while let Some(rest) = pattern.strip_prefix("./") {
            pattern = rest.trim_start_matches('/');
        }
        let built = GlobBuilder::new(pattern)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|why| Failure::Local(format!("{glob} is not a glob: {}", why.kind())))?;
        let parts: Vec<&str> = pattern.split('/').collect();
        let is_plain = |part: &&&str| !part.contains(SPECIAL);
        let plain = parts.iter().take_while(is_plain).count();
        let (above, below) = parts.split_at(plain.min(parts.len() - 1));
        let folder = match above {
            [""] => PathBuf::from("/"),
            above => PathBuf::from(above.join("/")),
        };
        // Braces may have a slash in them, and hidden names, as in `{.github,docs}/*`.
        let names: Vec<&str> = below
            .iter()
            .flat_map(|part| part.split(['{', ',']))
            .collect();
        let is_deep = pattern.contains("**") || pattern.contains('{');
        let is_hidden = |name: &&str| name.starts_with('.') && **name != *"." && **name != *"..";
        Ok(FileGlob {
            matcher: built.compile_matcher(),
            depth: (!is_deep).then_some(below.len()),
            takes_git: names.contains(&".git"),
            takes_hidden: names.iter().any(is_hidden),
            folder,
            pattern: pattern.to_owned(),
        })
    }

    /// The paths of the files, sorted.
    fn paths(&self) -> Result<Vec<PathBuf>, Failure> {
        let literal = Path::new(&self.pattern);
        if !self.pattern.contains(SPECIAL) && literal.is_dir() {
            let name = self.pattern.trim_end_matches('/');
            return Err(Failure::Local(format!(
                "{name} is a folder; write {name}/**/* for all files in it"
            )));
        }
        let root = match self.folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => &self.folder,
        };
        let walk = WalkDir::new(root).max_depth(self.depth.unwrap_or(usize::MAX));
        let mut paths = Vec::new();
        for entry in walk.into_iter().filter_entry(|entry| self.enters(entry)) {
            let entry = match entry {
                Ok(entry) => entry,
                // The folder that the glob begins with does not exist.
                Err(why) if why.depth() == 0 && is_missing(&why) => return Ok(Vec::new()),
                Err(why) => {
                    let path = why.path().unwrap_or(root).display().to_string();
                    let why = why.into_io_error();
                    let why = why.map_or_else(String::new, |why| why.to_string());
                    return Err(Failure::local(format!("cannot read {path}"), why));
                }
            };
            let path = entry.path().strip_prefix("./").unwrap_or(entry.path());
            if self.matcher.is_match(path) && entry.path().is_file() {
                paths.push(path.to_owned());
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }

    /// Whether the walk looks at an entry.
    fn enters(&self, entry: &DirEntry) -> bool {
        let name = entry.file_name().as_encoded_bytes();
        match name {
            _ if entry.depth() == 0 => true,
            b".git" => self.takes_git,
            [b'.', ..] => self.takes_hidden,
            _ => true,
        }
    }
}

fn is_missing(why: &walkdir::Error) -> bool {
    why.io_error()
        .is_some_and(|why| why.kind() == io::ErrorKind::NotFound)
}

fn read(path: &Path) -> Result<SourceItem, Failure> {
    let shown = path.display().to_string();
    let failed = |why: io::Error| Failure::local(format!("cannot read {shown}"), why);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let most = SOURCE_PIECE_BYTES as u64;
    let taken = file.take(most + 1).read_to_end(&mut bytes);
    taken.map_err(failed)?;
    let remedy = "leave it out with a narrower glob";
    if bytes.len() as u64 > most {
        let limit = size::format(most);
        return Err(Failure::Local(format!(
            "{shown} has more than {limit}, the most of an item; {remedy}, or split it"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|why| {
        let at = why.utf8_error().valid_up_to();
        Failure::Local(format!("{shown} is not UTF-8 text (byte {at}); {remedy}"))
    })?;
    let path = path
        .to_str()
        .ok_or_else(|| Failure::Local(format!("the name of {shown} is not UTF-8; rename it")))?;
    SourceItem::new(json!({"path": path, "text": text}), || shown.clone())
}

#[cfg(test)]
mod tests {
    use super::super::tests::values;
    use super::*;

    /// A folder with these files, each with its name as text.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        folder
    }

    /// The files that a glob matches in the folder, without the folder's name.
    fn matched(folder: &tempfile::TempDir, glob: &str) -> Result<Vec<String>, String> {
        let root = folder.path().to_str().unwrap();
        let items = open(&format!("{root}/{glob}")).map_err(|why| why.to_string())?;
        let path = |item: &serde_json::Value| {
            let path = item["path"].as_str().unwrap();
            let path = path.strip_prefix(root).unwrap().trim_start_matches('/');
            assert_eq!(item["text"], path);
            path.to_owned()
        };
        Ok(values(items)?.iter().map(path).collect())
    }

    #[test]
    fn a_glob_matches_files_in_the_order_of_their_paths() {
        let files = ["b.md", "a/x.md", "a/b/y.md", "a/z.txt", "c.md/in.txt"];
        let folder = folder(&files);
        let of = |glob| matched(&folder, glob).unwrap();
        assert_eq!(of("**/*.md"), ["a/b/y.md", "a/x.md", "b.md"]);
        assert_eq!(of("*.md"), ["b.md"]);
        assert_eq!(of("a/*.{md,txt}"), ["a/x.md", "a/z.txt"]);
        assert_eq!(of("{a/b,a}/*.md"), ["a/b/y.md", "a/x.md"]);
        assert_eq!(of("a/[xy].md"), ["a/x.md"]);
        assert_eq!(of("a/x.md"), ["a/x.md"]);
        assert_eq!(of("*/x.md"), ["a/x.md"]);
    }

    #[test]
    fn hidden_files_need_a_glob_that_names_them() {
        let files = [".github/a.md", ".git/b.md", "c.md", "d/.e.md", ".gitignore"];
        let folder = folder(&files);
        let of = |glob| matched(&folder, glob).unwrap();
        assert_eq!(of("**/*.md"), ["c.md"]);
        assert_eq!(of(".github/**/*.md"), [".github/a.md"]);
        assert_eq!(of("{.github,d}/*.md"), [".github/a.md", "d/.e.md"]);
        assert_eq!(of("**/.*.md"), ["d/.e.md"]);
        assert_eq!(of("**/.*"), [".gitignore", "d/.e.md"]);
        assert_eq!(of(".git/*.md"), [".git/b.md"]);
    }

    #[test]
    fn failures_name_the_file_and_the_remedy() {
        let folder = folder(&["a.md", "sub/x.md"]);
        std::fs::write(folder.path().join("bad.png"), b"ab\xff").unwrap();
        let big = "x".repeat(SOURCE_PIECE_BYTES + 1);
        std::fs::write(folder.path().join("big.log"), big).unwrap();
        let refusal = |glob| matched(&folder, glob).unwrap_err();
        for (glob, parts) in [
            (
                "*.png",
                ["bad.png is not UTF-8 text (byte 2)", "narrower glob"],
            ),
            ("*.log", ["big.log has more than 1 MiB", "narrower glob"]),
            ("*.none", ["no file matches", "hidden files need a glob"]),
            ("none/*", ["no file matches", "hidden files need a glob"]),
            ("sub", ["sub is a folder", "sub/**/*"]),
            ("a[", ["is not a glob", "unclosed character class"]),
        ] {
            let why = refusal(glob);
            for part in parts {
                assert!(why.contains(part), "{glob}: {part} is not in {why}");
            }
        }
    }

    #[test]
    fn paths_are_relative_to_the_current_folder() {
        let glob = FileGlob::new("./src/cli/sources/*.rs").unwrap();
        let paths = glob.paths().unwrap();
        assert!(paths.contains(&PathBuf::from("src/cli/sources/files.rs")));
        let here = FileGlob::new("Cargo.*").unwrap().paths().unwrap();
        assert_eq!(
            here,
            [PathBuf::from("Cargo.lock"), PathBuf::from("Cargo.toml")]
        );
    }
}
