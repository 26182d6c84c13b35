//! `.kirosu/results` in the folder of a run: results of steps as files, which the texts of a task name.
//!
//! Runs of one plan share the files if they share the folder, so a file is replaced as a whole, and never changed. A file that was
//! written by this process, and not been touched since, is not written again. Folders of runs that are long over are removed when
//! another one is made. In a worktree all of it is removed before the run's changes are committed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use kirosu_protocol::run::{RESULTS_FOLDER, ResultFile};
use kirosu_providers::{AgentFolder, FileMark, RunUser, is_shortage};
use parking_lot::Mutex;

use super::{NoFolder, RunFolder};
use crate::options::PoolOptions;

/// Time after which the results of another run are removed. No run should last as long.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Files of which is known what they have.
const KNOWN: usize = 1000;

/// Files that are not complete and are passed over for a new one.
const LEFT_FILES: usize = 1000;

/// A file that this process has written.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    version: String,
    mark: FileMark,
}

/// Files by their paths. The run that holds the lock of one writes it.
type Known = HashMap<PathBuf, Arc<tokio::sync::Mutex<Option<Written>>>>;
static KNOWN_FILES: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
/// Numbers files that are not complete.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The open folder of the results of one run of a plan, and the file that is written there.
#[derive(Debug)]
pub(crate) struct ResultFolder {
    folder: AgentFolder,
    file: ResultFile,
    /// The name of the file.
    name: String,
    user: Option<RunUser>,
    known: tokio::sync::OwnedMutexGuard<Option<Written>>,
}

/// A file that is not complete.
#[derive(Debug)]
pub(crate) struct NewResult {
    folder: ResultFolder,
    name: String,
    file: File,
}

impl ResultFolder {
    /// Opens the folder for a file, and makes it if necessary. Waits while another run writes the same file.
    ///
    /// # Errors
    /// The path leads elsewhere, or the folder cannot be made.
    pub(crate) async fn open(
        options: &PoolOptions,
        place: &mut RunFolder,
        file: &ResultFile,
    ) -> Result<Self, NoFolder> {
        let Some((folder, name)) = file.parts() else {
            return Err(NoFolder::NotThere(format!(
                "the task names the file {:?}, which is none of a result",
                file.path
            )));
        };
        place.has_results = true;
        let known = known(place.dir.join(&file.path)).lock_owned().await;
        let (place, user) = (place.clone(), options.bounds.user.clone());
        let (file, folder, name) = (file.clone(), folder.to_owned(), name.to_owned());
        super::blocking(move || {
            place.verify().map_err(NoFolder::Task)?;
            let inner = place.dir.strip_prefix(&place.root).unwrap_or(Path::new(""));
            let opened = AgentFolder::beneath(&place.root, inner);
            let made = opened.and_then(|opened| make(&opened, &folder, user.as_ref()));
            let folder = made.map_err(|error| unwritten(&file, &error))?;
            Ok(Self {
                folder,
                file,
                name,
                user,
                known,
            })
        })
        .await
    }

    /// Whether the file is there already, as this process has written it.
    pub(crate) fn is_written(&self) -> bool {
        let known = self.known.as_ref();
        let is_written = known.is_some_and(|it| {
            it.version == self.file.version && self.folder.mark(&self.name) == Some(it.mark)
        });
        // It is in use: no later run removes it.
        is_written && self.folder.touch().is_ok()
    }

    /// Begins a new file. Blocks on the file system.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn begin(self) -> Result<NewResult, NoFolder> {
        match create(&self.folder, &format!(".{}", self.name)) {
            Ok((name, file)) => Ok(NewResult {
                folder: self,
                name,
                file,
            }),
            Err(error) => Err(unwritten(&self.file, &error)),
        }
    }
}

impl NewResult {
    /// Adds a piece. Blocks on the file system.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), NoFolder> {
        let added = self.file.write_all(text.as_bytes());
        added.map_err(|error| unwritten(&self.folder.file, &error))
    }

    /// The file is complete, with the result of this version, and gets its name. Blocks on the file system.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub(crate) fn publish(mut self, version: String) -> Result<(), NoFolder> {
        let ResultFolder {
            folder,
            file,
            name,
            user,
            known,
        } = &mut self.folder;
        let published = folder.publish(&self.file, (&self.name, name), user.as_ref());
        let mark = published.map_err(|error| unwritten(file, &error))?;
        **known = Some(Written { version, mark });
        Ok(())
    }
}

impl Drop for NewResult {
    /// One that was not completed is removed.
    fn drop(&mut self) {
        let _ = self.folder.folder.remove(&self.name);
    }
}

fn known(path: PathBuf) -> Arc<tokio::sync::Mutex<Option<Written>>> {
    let mut all = KNOWN_FILES.lock();
    if all.len() >= KNOWN {
        all.retain(|_, file| Arc::strong_count(file) > 1);
    }
    all.entry(path).or_default().clone()
}

fn make(dir: &AgentFolder, run: &str, user: Option<&RunUser>) -> io::Result<AgentFolder> {
    let (above, below) = RESULTS_FOLDER.split_once('/').unwrap_or_default();
    // A person may have plans in the first folder.
    let (above, _) = dir.make(above, user).map_err(|why| named(above, &why))?;
    let (results, _) = above.make_own(below, user)?;
    ignore(&results, user)?;
    let (folder, made) = results.make_own(run, user)?;
    if made && let Err(error) = results.remove_old(KEPT, run) {
        tracing::warn!(%error, "old results of steps are not removed");
    }
    Ok(folder)
}

/// Makes a file that is not complete. Processes with the same id, as in containers, may have left others when they were killed.
fn create(folder: &AgentFolder, name: &str) -> io::Result<(String, File)> {
    let mut left = LEFT_FILES;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let new = format!("{name}-{}-{number}", std::process::id());
        match folder.create(&new) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && left > 0 => left -= 1,
            made => return made.map(|file| (new, file)),
        }
    }
}

fn named(name: &str, why: &io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("{name}: {why}"))
}

/// Keeps the results out of the commits of people and agents.
fn ignore(results: &AgentFolder, user: Option<&RunUser>) -> io::Result<()> {
    const NAME: &str = ".gitignore";
    if results.mark(NAME).is_some() {
        return Ok(());
    }
    let (new, mut file) = create(results, NAME)?;
    let written = file
        .write_all(b"*\n")
        .and_then(|()| results.publish(&file, (&new, NAME), user));
    if written.is_err() {
        let _ = results.remove(&new);
    }
    written.map(drop)
}

fn unwritten(file: &ResultFile, error: &io::Error) -> NoFolder {
    let why = format!(
        "the result of the step {} cannot be written to {}: {error}",
        file.step, file.path
    );
    match is_shortage(error) {
        true => NoFolder::Short(why),
        false => NoFolder::Task(why),
    }
}

/// Removes the results from a worktree: they are not the run's changes.
pub(super) async fn remove(place: &RunFolder) {
    if !place.has_results {
        return;
    }
    let place = place.clone();
    let removed = tokio::task::spawn_blocking(move || remove_from(&place));
    let removed = removed.await.map_err(io::Error::other).flatten();
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the results of steps in a worktree are not removed");
    }
}

fn remove_from(place: &RunFolder) -> io::Result<()> {
    place.verify().map_err(io::Error::other)?;
    let inner = place.dir.strip_prefix(&place.root).unwrap_or(Path::new(""));
    let dir = AgentFolder::beneath(&place.root, inner)?;
    let (above, below) = RESULTS_FOLDER.split_once('/').unwrap_or_default();
    dir.folder(above)?.remove(below)?;
    // Others may have files there.
    let _ = dir.remove_empty(above);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_that_a_killed_process_has_left_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let folder = AgentFolder::beneath(root.path(), Path::new("")).unwrap();
        let next = NUMBER.load(Ordering::Relaxed);
        for number in next..next + 20 {
            let left = format!(".a.txt-{}-{number}", std::process::id());
            std::fs::write(root.path().join(left), "left").unwrap();
        }
        let (name, mut file) = create(&folder, ".a.txt").unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(
            std::fs::read_to_string(root.path().join(name)).unwrap(),
            "new"
        );
    }
}
