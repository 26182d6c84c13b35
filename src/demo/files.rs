//! Which files are counted, and how they are shared out.

use serde::Serialize;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Larger files are left out, for the same reason.
const LARGEST: u64 = 4 << 20;
/// Most files: the demo must end in seconds.
const MOST: usize = 5000;
/// Bytes looked at to tell text from data.
const PROBE: usize = 8 << 10;
/// Folders with nothing that a person wrote.
const PASSED_OVER: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// A file to be counted.
#[derive(Debug)]
pub struct TextFile {
    path: PathBuf,
    bytes: u64,
}

/// What was found under a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of their names.
    pub files: Vec<TextFile>,
    /// Files and folders that are not counted, and why.
    pub left_out: LeftOut,
}

/// Files that a person would expect in the counts and that are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Files above [`LARGEST`].
    pub large: usize,
    /// Files and folders that cannot be read, or whose name is not UTF-8.
    pub unreadable: usize,
    /// There are more than [`MOST`] files; the others were not looked at.
    pub more: bool,
}

impl LeftOut {
    /// A sentence about them; `None` where all files are counted.
    pub fn sentence(&self) -> Option<String> {
        let count = |number: usize, what: &str| (number > 0).then(|| format!("{number} {what}"));
        let more = self
            .more
            .then(|| format!("all files after the first {MOST}"));
        let large = count(self.large, &format!("of more than {} MiB", LARGEST >> 20));
        let unreadable = count(self.unreadable, "unreadable");
        let parts: Vec<String> = [more, large, unreadable].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("Not counted: {}.", parts.join(", ")))
    }
}

/// Files for one task.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Batch {
    /// Their paths.
    pub paths: Vec<PathBuf>,
    #[serde(skip)]
    bytes: u64,
}

/// The text files under a folder; hidden ones and links are passed over.
pub fn find(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
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
        // So that the first files are the same ones each time.
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
            if kind.is_dir() && !PASSED_OVER.contains(&&*name) {
                folders.push(entry.path());
            } else if kind.is_file() {
                match look(entry.path()) {
                    Ok(Look::Text(_)) if found.files.len() == MOST => {
                        found.left_out.more = true;
                        folders.clear();
                        break;
                    }
                    Ok(Look::Text(file)) => found.files.push(file),
                    Ok(Look::Large) => found.left_out.large += 1,
                    Ok(Look::Data) => {}
                    Err(_) => found.left_out.unreadable += 1,
                }
            }
        }
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// What a file is.
enum Look {
    Text(TextFile),
    Large,
    Data,
}

fn look(path: PathBuf) -> io::Result<Look> {
    // Its path travels as text.
    if path.to_str().is_none() {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    let bytes = fs::metadata(&path)?.len();
    let mut head = Vec::with_capacity(PROBE);
    fs::File::open(&path)?
        .take(PROBE as u64)
        .read_to_end(&mut head)?;
    Ok(match head.contains(&0) {
        true => Look::Data,
        false if bytes > LARGEST => Look::Large,
        false => Look::Text(TextFile { path, bytes }),
    })
}

/// Shares files out into at most `most` batches of about the same size: each next one goes to the smallest batch.
pub fn split(mut files: Vec<TextFile>, most: usize) -> Vec<Batch> {
    files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    let count = most.clamp(1, files.len().max(1));
    let mut batches: Vec<Batch> = (0..count).map(|_| Batch::default()).collect();
    for file in files {
        if let Some(smallest) = batches
            .iter_mut()
            .min_by_key(|batch| (batch.bytes, batch.paths.len()))
        {
            smallest.bytes += file.bytes;
            smallest.paths.push(file.path);
        }
    }
    batches
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
    fn every_file_is_in_one_batch_and_batches_are_alike() {
        let files = (0..100).map(|n| file(&n.to_string(), n * 10)).collect();
        let batches = split(files, 7);
        assert_eq!(batches.len(), 7);
        let mut names: Vec<_> = batches.iter().flat_map(|b| b.paths.clone()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 100);
        let sizes: Vec<u64> = batches.iter().map(|b| b.bytes).collect();
        assert!(sizes.iter().max() <= sizes.iter().min().map(|min| min + 1000).as_ref());
    }

    #[test]
    fn few_files_make_few_tasks() {
        assert_eq!(split(vec![file("a", 1), file("b", 0)], 16).len(), 2);
    }
}
