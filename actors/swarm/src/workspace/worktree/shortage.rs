//! Recognises in git's output that the machine lacks a resource. Git names the cause of a failed write only
//! sometimes.

use std::path::Path;

use kirosu_providers::{ProgramEnd, ProgramExit};

/// The kernel's signal for a process that is ended for lack of memory. Our own stops have other ends.
const KILL: i32 = 9;
/// Git's words for a temporary refusal of the system, in lower case.
const WORDS: &[&str] = &[
    "resource temporarily unavailable",
    "out of memory",
    "cannot fork",
];
/// Git's words for a file that was not written, whatever the cause, in lower case.
const UNWRITTEN: &[&str] = &[
    "unable to write",
    "could not write",
    "cannot write",
    "failed to write",
    "write error",
    "write failure",
    "could not reset index file",
    "unable to create",
    "could not create",
    "cannot create",
    "unable to append",
];
/// A disk with less free space than this, in bytes, is full: larger files are common.
const ROOM: u64 = 64 << 20;
/// A disk with less than this part of it free is full.
const PART: u64 = 100;

/// Whether a call of git failed because the system temporarily refused it a resource.
pub(super) fn is_short(end: &ProgramEnd) -> bool {
    match end.exit {
        ProgramExit::Short(_) | ProgramExit::Signal(KILL) => true,
        ProgramExit::Code(1..) | ProgramExit::Signal(_) => {
            end.is_short() || contains_any(&end.stderr, WORDS)
        }
        _ => false,
    }
}

/// Whether git reports that a file was not written, and the disk of this place is full or nearly full.
pub(super) fn is_full_disk(stderr: &str, place: &Path) -> bool {
    contains_any(stderr, UNWRITTEN) && has_no_room(place)
}

fn contains_any(stderr: &str, words: &[&str]) -> bool {
    let output = stderr.to_lowercase();
    words.iter().any(|word| output.contains(word))
}

/// Whether the disk of a path, or of the nearest existing folder above it, has almost no space.
fn has_no_room(place: &Path) -> bool {
    let disk = place
        .ancestors()
        .find_map(|it| rustix::fs::statvfs(it).ok());
    disk.is_some_and(|disk| {
        let size = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let free = size(disk.f_bavail);
        let no_files = disk.f_files > 0 && disk.f_favail == 0;
        no_files || free < ROOM || free < size(disk.f_blocks) / PART
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(exit: ProgramExit, stderr: &str) -> ProgramEnd {
        ProgramEnd {
            exit,
            stdout: String::new(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn a_call_that_was_refused_a_resource_differs_from_a_wrong_one() {
        for output in [
            "fatal: unable to create load_index_extensions thread: Resource temporarily unavailable",
            "fatal: Out of memory, malloc failed (tried to allocate 1048576 bytes)",
            "fatal: cannot fork: Resource temporarily unavailable",
            "error: unable to write file big: No space left on device",
            "fatal: mmap failed: Cannot allocate memory",
        ] {
            assert!(is_short(&end(ProgramExit::Code(128), output)), "{output}");
            assert!(!is_short(&end(ProgramExit::Code(0), output)), "{output}");
        }
        assert!(is_short(&end(ProgramExit::Signal(9), "")));
        for (exit, output) in [
            (ProgramExit::Signal(11), ""),
            (ProgramExit::Cancelled, "Out of memory"),
            (ProgramExit::TimedOut, ""),
            (ProgramExit::Code(128), "error: unable to write file big"),
            (ProgramExit::Code(128), "fatal: external filter failed"),
        ] {
            assert!(!is_short(&end(exit.clone(), output)), "{exit:?} {output}");
        }
        assert!(!is_full_disk("fatal: bad object", Path::new("/")));
    }
}
