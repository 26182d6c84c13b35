//! Finds the files to count, and splits them into batches.

use serde::Serialize;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Maximum size of a counted file in bytes: the demo must end in seconds.
const MAX_BYTES: u64 = 4 << 20;
/// Maximum number of files, for the same reason.
const MAX_FILES: usize = 5000;
/// Bytes that are read to distinguish text from data.
const PROBE: usize = 8 << 10;
/// Folders without files written by people.
const SKIPPED_FOLDERS: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// A file to count.
#[derive(Debug)]
pub struct TextFile {
    path: PathBuf,
    bytes: u64,
}

/// The files under a folder.
#[derive(Debug, Default)]
pub struct FoundFiles {
    /// Sorted by path.
    pub files: Vec<TextFile>,
    /// Files and folders that are not counted.
    pub left_out: OmittedFiles,
}

/// Files that a person would expect in the counts but that are omitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OmittedFiles {
    /// Files above [`MAX_BYTES`].
    pub large: usize,
    /// Files and folders that cannot be read, or whose name is not UTF-8.
    pub unreadable: usize,
    /// Whether there are more than [`MAX_FILES`] files. The others were not examined.
    pub more: bool,
}

impl OmittedFiles {
    /// A sentence about the omitted files; `None` if all files are counted.
    pub fn sentence(&self) -> Option<String> {
        let count = |number: usize, what: &str| (number > 0).then(|| format!("{number} {what}"));
        let more = self
            .more
            .then(|| format!("all files after the first {MAX_FILES}"));
        let large = count(self.large, &format!("of more than {} MiB", MAX_BYTES >> 20));
        let unreadable = count(self.unreadable, "unreadable");
        let parts: Vec<String> = [more, large, unreadable].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("Not counted: {}.", parts.join(", ")))
    }
}

/// The text files under a folder, except hidden ones and links.
///
/// # Errors
/// The folder cannot be read.
pub fn find(folder: &Path) -> io::Result<FoundFiles> {
    let mut found = FoundFiles::default();
    let mut folders = vec![folder.to_owned()];
    let mut first = true;
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if first => return Err(error),
            Err(_) => {
                found.left_out.unreadable += 1;
                continue;
            }
        };
        first = false;
        let mut entries: Vec<_> = entries.flatten().collect();
        // Sorted, so that each run counts the same first files.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() && !SKIPPED_FOLDERS.contains(&&*name) {
                folders.push(entry.path());
            } else if kind.is_file() {
                match examine(entry.path()) {
                    Ok(FileKind::Text(_)) if found.files.len() == MAX_FILES => {
                        found.left_out.more = true;
                        folders.clear();
                        break;
                    }
                    Ok(FileKind::Text(file)) => found.files.push(file),
                    Ok(FileKind::Large) => found.left_out.large += 1,
                    Ok(FileKind::Data) => {}
                    Err(_) => found.left_out.unreadable += 1,
                }
            }
        }
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The kind of a file.
enum FileKind {
    Text(TextFile),
    Large,
    Data,
}

fn examine(path: PathBuf) -> io::Result<FileKind> {
    // The path is sent as JSON text.
    if path.to_str().is_none() {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    let bytes = fs::metadata(&path)?.len();
    let mut head = Vec::with_capacity(PROBE);
    fs::File::open(&path)?
        .take(PROBE as u64)
        .read_to_end(&mut head)?;
    Ok(match head.contains(&0) {
        true => FileKind::Data,
        false if bytes > MAX_BYTES => FileKind::Large,
        false => FileKind::Text(TextFile { path, bytes }),
    })
}

/// The files in an order in which consecutive batches of `batch` files have similar sizes: the largest ones are dealt out first.
pub fn dealt(mut files: Vec<TextFile>, batch: usize) -> Vec<PathBuf> {
    let (all, batch) = (files.len(), batch.max(1));
    files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    let mut batches: Vec<Vec<PathBuf>> = (0..all.div_ceil(batch)).map(|_| Vec::new()).collect();
    let mut next = 0;
    for file in files {
        // The last batch may have fewer.
        let room = |at: usize| batch.min(all - at * batch);
        while batches[next].len() == room(next) {
            next = (next + 1) % batches.len();
        }
        batches[next].push(file.path);
        next = (next + 1) % batches.len();
    }
    batches.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: u64) -> TextFile {
        TextFile {
            path: name.into(),
            bytes,
        }
    }

    #[test]
    fn every_file_is_dealt_once_and_batches_have_similar_sizes() {
        for batch in [1, 7, 10, 100, 1000] {
            let files = (0..100).map(|n| file(&n.to_string(), n * 10)).collect();
            let mut names = dealt(files, batch);
            let size = |part: &[PathBuf]| -> u64 {
                let bytes = part
                    .iter()
                    .map(|it| it.to_str().unwrap().parse::<u64>().unwrap());
                bytes.sum()
            };
            if batch == 10 {
                let sizes: Vec<u64> = names.chunks(batch).map(size).collect();
                let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
                assert!(most - least <= 100, "{sizes:?}");
            }
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 100);
        }
        assert!(dealt(Vec::new(), 5).is_empty());
    }
}
