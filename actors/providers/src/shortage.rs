//! Temporary shortages of a machine: descriptors, processes, memory, disk space, a program file that is being written. A
//! program that could not be started for such a reason never ran: it can be retried later, and costs nothing.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// System errors for a temporary shortage, as opposed to a wrong call.
const LACKING: &[Errno] = &[
    Errno::MFILE,
    Errno::NFILE,
    Errno::AGAIN,
    Errno::NOMEM,
    Errno::TXTBSY,
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::NOBUFS,
];

/// The error kinds where an error was wrapped and only its kind is left.
const KINDS: &[ErrorKind] = &[
    ErrorKind::WouldBlock,
    ErrorKind::OutOfMemory,
    ErrorKind::ExecutableFileBusy,
    ErrorKind::StorageFull,
    ErrorKind::QuotaExceeded,
];

/// Words with which programs and their runtimes report on stderr that the system refused them a process, a thread, a
/// descriptor, memory or disk space.
const WORDS: &[&str] = &[
    "cannot fork",
    "can't fork",
    "fork: retry",
    "fork: resource temporarily unavailable",
    "fork failed: resource temporarily unavailable",
    "fork failed: cannot allocate memory",
    "spawn eagain",
    "spawn emfile",
    "spawn enomem",
    "emfile: too many open files",
    "enfile: file table overflow",
    "enospc: no space left on device",
    "can't start new thread",
    "failed to create new os thread",
    "failed to spawn thread",
    "pthread_create: resource temporarily unavailable",
    "pthread_create failed",
    "uv_thread_create",
    "errno 11] resource temporarily unavailable",
    "too many open files",
    "cannot allocate memory",
    "text file busy",
    "no space left on device",
    "disk quota exceeded",
];

/// Whether a system error, or one that wraps such an error, means a temporary shortage of the machine.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    let wrapped = || {
        let inner = error.get_ref();
        inner.is_some_and(|inner| within(inner))
    };
    match error.raw_os_error() {
        Some(code) => is_lacking(code),
        None => KINDS.contains(&error.kind()) || wrapped(),
    }
}

/// Whether an error, or one of its causes, means a temporary shortage of the machine.
pub(crate) fn within(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let found = match error.downcast_ref::<io::Error>() {
            Some(error) => is_shortage(error),
            None => false,
        };
        if found {
            return true;
        }
        next = error.source();
    }
    // Some wrappers keep only the text of the error inside.
    code_in(&error.to_string()).is_some_and(is_lacking)
}

/// Whether the stderr of a failed program shows that the system refused it a resource.
pub(crate) fn reports_shortage(stderr: &str) -> bool {
    shortage_line(stderr).is_some()
}

/// The line of stderr that shows it.
pub(crate) fn shortage_line(stderr: &str) -> Option<&str> {
    let says = |line: &&str| {
        let lower = line.to_lowercase();
        WORDS.iter().any(|word| lower.contains(word))
    };
    stderr.lines().find(says).map(str::trim)
}

fn is_lacking(code: i32) -> bool {
    LACKING.iter().any(|errno| errno.raw_os_error() == code)
}

/// The number in `(os error N)`, as the standard library prints it.
fn code_in(text: &str) -> Option<i32> {
    let (_, rest) = text.rsplit_once("(os error ")?;
    rest.split(')').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortages_are_distinguished_from_errors() {
        for errno in LACKING {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert!(is_shortage(&error), "{error}");
            let wrapped = io::Error::other(format!("cannot write x: {error}"));
            assert!(is_shortage(&wrapped), "{wrapped}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::INVAL, Errno::TOOBIG] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert!(!is_shortage(&error), "{error}");
        }
        assert!(is_shortage(&ErrorKind::StorageFull.into()));
        assert!(!is_shortage(&io::Error::other("broken")));
    }

    #[test]
    fn shortages_are_recognised_in_stderr() {
        for shortage_line in [
            "sh: 1: Cannot fork",
            "bash: fork: retry: Resource temporarily unavailable",
            "Error: spawn /usr/bin/node EAGAIN\n    at ChildProcess.spawn: spawn EAGAIN",
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            "runtime: failed to create new OS thread (have 2 already; errno=11)",
            "cat: write error: No space left on device",
        ] {
            assert!(reports_shortage(shortage_line), "{shortage_line}");
        }
        assert!(!reports_shortage("error: the test failed"));
    }
}
