//! Plain folders: `shared`, `isolated`, `ephemeral`; and the check that a task's `workdir` is inside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use kirosu_providers::is_shortage;

use super::identity::{FolderChange, FolderHandle, real_folder};
use super::{NoFolder, RunFolder, known};

/// Bytes written to find out whether a disk has space.
const PROBE: usize = 4096;
/// Maximum number of names tried for a folder.
const NAMES: u32 = 100;

/// The pool's folder, which must exist.
pub(super) fn shared(workdir: Option<&Path>) -> Result<RunFolder, NoFolder> {
    let dir = match workdir {
        Some(dir) => dir.to_owned(),
        None => std::env::current_dir()
            .map_err(|e| NoFolder::Pool(format!("cannot read the working directory: {e}")))?,
    };
    match dir.canonicalize() {
        Ok(dir) if dir.is_dir() => Ok(RunFolder::of(dir)),
        Ok(_) => Err(NoFolder::Pool(format!(
            "the pool's workdir {} is not a folder; name a folder",
            dir.display()
        ))),
        Err(error) if is_shortage(&error) => Err(cannot_make(&dir, &error)),
        Err(error) => Err(NoFolder::Pool(format!(
            "the pool's workdir {} cannot be used: {error}; create it or name another",
            dir.display()
        ))),
    }
}

/// Returns the folder that contains a pool's own folders, `PARENT/POOL`; makes it if it is missing. The parent may be
/// a person's link; a link in place of the pool's folder may be a run's work and is refused.
pub(super) fn pool_folder(parent: &Path, pool: &str) -> Result<PathBuf, NoFolder> {
    let made = fs::create_dir_all(parent).and_then(|()| parent.canonicalize());
    let dir = made.map_err(|e| cannot_make(parent, &e))?.join(pool);
    let is_link = fs::symlink_metadata(&dir).is_ok_and(|found| found.is_symlink());
    if !is_link {
        fs::create_dir_all(&dir).map_err(|e| cannot_make(&dir, &e))?;
    }
    match real_folder(&dir) {
        Ok(_) => Ok(dir),
        Err(changed) => Err(NoFolder::Pool(format!(
            "the folder {} for the pool's workspaces cannot be used: {changed}; move that away",
            dir.display()
        ))),
    }
}

/// Returns a session's folder; makes it if it is missing. A folder that was replaced since the last run is left
/// alone.
pub(super) fn isolated(pool: &Path, name: &str) -> Result<RunFolder, NoFolder> {
    own(pool, name, known::check)
}

/// Makes the folder of an attempt. Attempt numbers repeat after a restore of the store: an existing folder belongs to
/// an earlier attempt and is kept.
pub(super) fn ephemeral(pool: &Path, name: &str) -> Result<RunFolder, NoFolder> {
    let is_new = |_: &Path, made: bool| match made {
        true => Ok(()),
        false => Err(FolderChange::Replaced(
            "an earlier attempt has left it".to_owned(),
        )),
    };
    own(pool, name, is_new).map(|place| RunFolder {
        made: true,
        ..place
    })
}

/// Returns a folder of a pool. If the name is not a real folder, or `check` refuses it (`true`: it was made now), it
/// is left alone and the next name is used.
fn own(
    pool: &Path,
    name: &str,
    check: impl Fn(&Path, bool) -> Result<(), FolderChange>,
) -> Result<RunFolder, NoFolder> {
    let mut notes = Vec::new();
    for number in 1..=NAMES {
        let dir = match number {
            1 => pool.join(name),
            _ => pool.join(format!("{name}.{number}")),
        };
        let made = match fs::create_dir(&dir) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(cannot_make(&dir, &error)),
        };
        match real_folder(&dir).and_then(|_| check(&dir, made)) {
            Ok(()) => {
                let held = FolderHandle::of(&dir).map_err(|e| cannot_make(&dir, &e))?;
                let place = RunFolder {
                    held: Some(held),
                    notes,
                    ..RunFolder::of(dir)
                };
                return Ok(place);
            }
            Err(changed) => {
                let note = format!("{} is left alone: {changed}", dir.display());
                tracing::warn!("a workspace is not used: {note}");
                notes.push(note);
            }
        }
    }
    Err(NoFolder::Pool(format!(
        "the names {name} to {name}.{NAMES} in {} are all taken; move them away",
        pool.display()
    )))
}

/// Checks that files can be written in a folder; makes it if it is missing. Fails on missing rights, no space, a
/// read-only file system.
///
/// # Errors
/// A sentence for a person.
pub(super) fn writable(dir: &Path) -> Result<(), NoFolder> {
    static CHECKS: AtomicU64 = AtomicU64::new(0);
    let number = CHECKS.fetch_add(1, Ordering::Relaxed);
    let probe = dir.join(format!(".kirosu-check-{}-{number}", std::process::id()));
    let written = fs::create_dir_all(dir).and_then(|()| fs::write(&probe, [0; PROBE]));
    let _ = fs::remove_file(&probe);
    written.map_err(|error| {
        NoFolder::Pool(format!(
            "cannot write in {}: {error}; make it writable, or make room on its disk",
            dir.display()
        ))
    })
}

/// The error of a folder that cannot be made.
pub(super) fn cannot_make(dir: &Path, error: &io::Error) -> NoFolder {
    if is_shortage(error) {
        let dir = dir.display();
        return NoFolder::Short(format!("cannot make the workspace {dir}: {error}"));
    }
    NoFolder::Pool(format!(
        "cannot make the workspace {}: {error}; make its parent writable or set another workdir",
        dir.display()
    ))
}

/// Returns the folder that a task names, if it is inside `base` after all links are followed.
pub(super) fn inside(base: &Path, wanted: &Path) -> Result<PathBuf, NoFolder> {
    // `join` with an absolute path returns that path.
    let joined = base.join(wanted);
    let outside = || {
        NoFolder::Refused(format!(
            "the task asks for the workdir {}, which does not lie inside {}; enqueue it with one that does",
            wanted.display(),
            base.display()
        ))
    };
    match joined.canonicalize() {
        Ok(found) if !found.starts_with(base) => Err(outside()),
        Ok(found) if found.is_dir() => Ok(found),
        Ok(_) => Err(NoFolder::NotThere(format!(
            "the task asks for the workdir {}, which is not a folder",
            wanted.display()
        ))),
        // Do not reveal whether it exists.
        Err(_) if wanted.is_absolute() && !wanted.starts_with(base) => Err(outside()),
        Err(error) if is_shortage(&error) => Err(cannot_make(&joined, &error)),
        Err(error) => Err(NoFolder::NotThere(format!(
            "the task asks for the workdir {}, which cannot be used: {error}; create it first",
            wanted.display()
        ))),
    }
}
