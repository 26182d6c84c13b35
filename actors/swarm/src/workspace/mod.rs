//! The folder a run works in. Nothing is removed here that was not made here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::options::{PoolOptions, Workspace};

/// Most bytes of `.kiro/context.md` that are put before a system prompt.
const CONTEXT_BYTES: usize = 256 << 10;

/// Where a run works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// An existing folder.
    pub(crate) dir: PathBuf,
    /// A folder that was made for this task alone: to be removed once its result is confirmed.
    pub(crate) made: Option<PathBuf>,
}

/// Why a run has no place to work in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The task asks for a folder that it may not have.
    Refused(String),
    /// The task asks for a folder that is not there.
    NotThere(String),
    /// The pool's own folder cannot be used: a person must act.
    Pool(String),
}

/// Finds or makes the folder for a task. Blocks on the file system.
pub(crate) fn prepare(
    options: &PoolOptions,
    session: u32,
    (task_id, fence): (i64, i64),
    wanted: Option<&str>,
) -> Result<Place, NoPlace> {
    let private = |leaf: String| {
        let parent = options.workdir.as_ref().unwrap_or(&options.workspaces_dir);
        parent.join(&options.name).join(leaf)
    };
    let place = match options.workspace {
        Workspace::Shared => shared(options.workdir.as_deref())?,
        Workspace::Isolated => isolated(private(format!("session-{session}")))?,
        Workspace::Ephemeral => ephemeral(private(format!("task-{task_id}-{fence}")))?,
    };
    match wanted {
        None | Some("") => Ok(place),
        Some(wanted) => match inside(&place.dir, Path::new(wanted)) {
            Ok(dir) => Ok(Place { dir, ..place }),
            Err(why) => {
                discard(&place);
                Err(why)
            }
        },
    }
}

/// Whether the pool's own folder can be used, where it has one.
///
/// # Errors
/// What a person should do about it. Blocks on the file system.
pub(crate) fn check(options: &PoolOptions) -> Result<(), String> {
    if options.workspace != Workspace::Shared {
        return Ok(());
    }
    match shared(options.workdir.as_deref()) {
        Ok(_) => Ok(()),
        Err(NoPlace::Refused(why) | NoPlace::NotThere(why) | NoPlace::Pool(why)) => Err(why),
    }
}

fn shared(workdir: Option<&Path>) -> Result<Place, NoPlace> {
    let dir = match workdir {
        Some(dir) => dir.to_owned(),
        None => std::env::current_dir()
            .map_err(|e| NoPlace::Pool(format!("cannot tell the working directory: {e}")))?,
    };
    match dir.canonicalize() {
        Ok(dir) if dir.is_dir() => Ok(Place { dir, made: None }),
        Ok(_) => Err(NoPlace::Pool(format!(
            "the pool's workdir {} is not a folder; name a folder",
            dir.display()
        ))),
        Err(error) => Err(NoPlace::Pool(format!(
            "the pool's workdir {} cannot be used: {error}; create it or name another",
            dir.display()
        ))),
    }
}

fn isolated(dir: PathBuf) -> Result<Place, NoPlace> {
    fs::create_dir_all(&dir).map_err(|e| cannot_make(&dir, &e))?;
    let dir = dir.canonicalize().map_err(|e| cannot_make(&dir, &e))?;
    Ok(Place { dir, made: None })
}

fn ephemeral(dir: PathBuf) -> Result<Place, NoPlace> {
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
    let made = ours.then(|| dir.clone());
    Ok(Place { dir, made })
}

fn cannot_make(dir: &Path, error: &io::Error) -> NoPlace {
    NoPlace::Pool(format!(
        "cannot make the workspace {}: {error}; make its parent writable or set another workdir",
        dir.display()
    ))
}

/// The folder a task names, if it lies inside `base` after all links are followed.
fn inside(base: &Path, wanted: &Path) -> Result<PathBuf, NoPlace> {
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
        Err(error) => Err(NoPlace::NotThere(format!(
            "the task asks for the workdir {}, which cannot be used: {error}; create it first",
            wanted.display()
        ))),
    }
}

/// Removes the folder that was made for a task, if one was. Blocks on the file system.
pub(crate) fn discard(place: &Place) {
    let Some(made) = &place.made else { return };
    if let Err(error) = fs::remove_dir_all(made) {
        tracing::warn!(folder = %made.display(), %error, "could not remove a task's workspace; remove it by hand");
    }
}

/// What `.kiro/context.md` in this folder says, if it says anything; cut at 256 KiB. Blocks on the file system.
pub(crate) fn context(dir: &Path) -> Option<String> {
    use std::io::Read as _;
    let file = fs::File::open(dir.join(".kiro").join("context.md")).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(CONTEXT_BYTES).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}
