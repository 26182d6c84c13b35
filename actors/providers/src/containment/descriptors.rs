//! The limit of open files: raised for this process, given back to the programs of runs, and never used up by runs alone.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of so many open files as the limit allows, one in this many is not used by runs ...
const RESERVED_SHARE: u64 = 4;
/// ... but no more than these: connections of clients and the files of the store still find room.
const RESERVED_MOST: u64 = 64;

/// The soft limit that this process was started with, where [`raise_limit`] changed it.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit of open files of this process to its hard limit. Programs of runs get the old limit: some
/// (those that use `select`, or close every number up to the limit) do not work well with a high one.
///
/// Where the system refuses it the limit stays as it is.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return };
    if limit.maximum.is_some_and(|most| most <= current) {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => drop(BEFORE.set(current)),
        Err(error) => tracing::debug!(%error, "the limit of open files stays at {current}"),
    }
}

/// The soft limit that programs get; `None`: that of this process.
pub(super) fn limit_of_programs() -> Option<u64> {
    BEFORE.get().copied()
}

/// Gives this process, and so what it starts, this soft limit.
pub(crate) fn lower_limit(to: u64) {
    let limit = getrlimit(Resource::Nofile);
    let lowered = Rlimit {
        current: Some(to),
        ..limit
    };
    // A program with more descriptors than it expects still runs.
    let _ = setrlimit(Resource::Nofile, lowered);
}

/// Refuses a descriptor that was opened for a run where it lies in the part that is kept for everything else.
///
/// The kernel gives the lowest free number, so that the number says how many are in use.
///
/// # Errors
/// That of the system for too many open files.
pub(super) fn spare_reserve(opened: &impl AsRawFd) -> io::Result<()> {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if is_reserved(opened.as_raw_fd(), limit) => Err(Errno::MFILE.into()),
        _ => Ok(()),
    }
}

fn is_reserved(number: RawFd, limit: u64) -> bool {
    let reserved = (limit / RESERVED_SHARE).min(RESERVED_MOST);
    u64::try_from(number).is_ok_and(|number| number >= limit - reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_kept_for_everything_else() {
        assert!(!is_reserved(47, 64) && is_reserved(48, 64));
        assert!(!is_reserved(20_000 - 65, 20_000) && is_reserved(20_000 - 64, 20_000));
        assert!(!is_reserved(0, 1));
    }
}
