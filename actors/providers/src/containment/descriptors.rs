//! The limit of open files: raised for this process, restored for programs, with a reserve that runs cannot use.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The reserve is the limit divided by this ...
const RESERVED_SHARE: u64 = 4;
/// ... but at most this many descriptors. Client connections and the files of the store use it.
const RESERVED_MOST: u64 = 64;

/// The soft limit with which this process was started. Unset where [`raise_limit`] did not change it.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit of open files of this process to its hard limit. Programs get the old limit, because some (those
/// that use `select`, or close every descriptor up to the limit) do not work well with a high one.
///
/// When the system refuses, the limit stays as it is and the refusal is logged.
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

/// The soft limit for programs. `None` means that of this process.
pub(super) fn limit_of_programs() -> Option<u64> {
    BEFORE.get().copied()
}

/// Sets the soft limit of this process, which programs inherit.
pub(crate) fn lower_limit(to: u64) {
    let limit = getrlimit(Resource::Nofile);
    let lowered = Rlimit {
        current: Some(to),
        ..limit
    };
    // A program with a higher limit than it expects still runs.
    let _ = setrlimit(Resource::Nofile, lowered);
}

/// Refuses a descriptor that was opened for a run and belongs to the reserve.
///
/// The kernel assigns the lowest free number, so the number shows how many descriptors are in use.
///
/// # Errors
/// `EMFILE` when the descriptor belongs to the reserve.
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
