//! Plain folders: `shared`, `isolated`, `ephemeral`; and the border that a task's own `workdir` may not cross.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use kirosu_providers::is_shortage;

use super::identity::Held;
use super::{NoPlace, Place};

/// Bytes that are written to see whether a disk takes any.
const PROBE: usize = 4096;

/// The pool's folder, which must be there.
pub(super) fn shared(workdir: Option<&Path>) -> Result<Place, NoPlace> {
    let dir = match workdir {
        Some(dir) => dir.to_owned(),
        None => std::env::current_dir()
            .map_err(|e| NoPlace::Pool(format!("cannot tell the working directory: {e}")))?,
    };
    match dir.canonicalize() {
        Ok(dir) if dir.is_dir() => Ok(Place::of(dir)),
        Ok(_) => Err(NoPlace::Pool(format!(
            "the pool's workdir {} is not a folder; name a folder",
            dir.display()
        ))),
        Err(error) if is_shortage(&error) => Err(cannot_make(&dir, &error)),
        Err(error) => Err(NoPlace::Pool(format!(
            "the pool's workdir {} cannot be used: {error}; create it or name another",
            dir.display()
        ))),
    }
}

/// A session's folder, made when it is not there.
pub(super) fn isolated(dir: PathBuf) -> Result<Place, NoPlace> {
    fs::create_dir_all(&dir).map_err(|e| cannot_make(&dir, &e))?;
    let dir = dir.canonicalize().map_err(|e| cannot_make(&dir, &e))?;
    Ok(Place::of(dir))
}

/// A task's folder, remembered as ours only when it was not there.
pub(super) fn ephemeral(dir: PathBuf) -> Result<Place, NoPlace> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(|e| cannot_make(&dir, &e))?;
    }
    let ours = match fs::create_dir(&dir) {
        Ok(()) => true,
        // Left by another life of this task: used, and kept.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => false,
        Err(error) => return Err(cannot_make(&dir, &error)),
    };
    let dir = dir.canonicalize().map_err(|e| cannot_make(&dir, &e))?;
    let made = match ours {
        true => Some(Held::of(&dir).map_err(|e| cannot_make(&dir, &e))?),
        false => None,
    };
    Ok(Place {
        made,
        ..Place::of(dir)
    })
}

/// Whether files can be made and written in a folder, which is made where it is not there: rights, space, a read-only file
/// system.
///
/// # Errors
/// Sentence for a person.
pub(super) fn writable(dir: &Path) -> Result<(), NoPlace> {
    static CHECKS: AtomicU64 = AtomicU64::new(0);
    let number = CHECKS.fetch_add(1, Ordering::Relaxed);
    let probe = dir.join(format!(".kirosu-check-{}-{number}", std::process::id()));
    let written = fs::create_dir_all(dir).and_then(|()| fs::write(&probe, [0; PROBE]));
    let _ = fs::remove_file(&probe);
    written.map_err(|error| {
        NoPlace::Pool(format!(
            "cannot write in {}: {error}; make it writable, or make room on its disk",
            dir.display()
        ))
    })
}

/// A folder that cannot be made.
pub(super) fn cannot_make(dir: &Path, error: &io::Error) -> NoPlace {
    if is_shortage(error) {
        let dir = dir.display();
        return NoPlace::Short(format!("cannot make the workspace {dir}: {error}"));
    }
    NoPlace::Pool(format!(
        "cannot make the workspace {}: {error}; make its parent writable or set another workdir",
        dir.display()
    ))
}

/// The folder a task names, if it lies inside `base` after all links are followed.
pub(super) fn inside(base: &Path, wanted: &Path) -> Result<PathBuf, NoPlace> {
    // An absolute path takes the place of the base in `join`.
    let joined = base.join(wanted);
    let outside = || {
        NoPlace::Refused(format!(
            "the task asks for the workdir {}, which does not lie inside {}; enqueue it with one that does",
            wanted.display(),
            base.display()
        ))
    };
    match joined.canonicalize() {
        Ok(found) if !found.starts_with(base) => Err(outside()),
        Ok(found) if found.is_dir() => Ok(found),
        Ok(_) => Err(NoPlace::NotThere(format!(
            "the task asks for the workdir {}, which is not a folder",
            wanted.display()
        ))),
        // Not to tell what is there outside, and what is not.
        Err(_) if wanted.is_absolute() && !wanted.starts_with(base) => Err(outside()),
        Err(error) if is_shortage(&error) => Err(cannot_make(&joined, &error)),
        Err(error) => Err(NoPlace::NotThere(format!(
            "the task asks for the workdir {}, which cannot be used: {error}; create it first",
            wanted.display()
        ))),
    }
}
