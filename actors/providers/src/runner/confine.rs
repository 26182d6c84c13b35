//! Applies the bounds of a run to its program, between fork and exec: the runner itself is not bound by them.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;

use crate::containment::Confinement;

/// The error with which the program's process reports that a bound was refused. An exec never returns it.
const REFUSED: Errno = Errno::NOTRECOVERABLE;

/// Whether a start failed because of the bounds and not of the program.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    error.raw_os_error() == Some(REFUSED.raw_os_error())
}

/// Makes the program start within the bounds. Errors for people come from here, before the fork.
///
/// # Errors
/// A sentence for people.
pub(super) fn prepare(command: &mut Command, confinement: &Confinement) -> Result<(), String> {
    let mut groups = Vec::new();
    for file in &confinement.groups {
        let opened = File::options().write(true).open(file);
        let opened = opened.map_err(|error| {
            format!(
                "the cgroup of the run cannot be used: {}: {error}",
                file.display()
            )
        })?;
        groups.push(opened);
    }
    if groups.is_empty() {
        return Ok(());
    }
    let apply = move || {
        for group in &mut groups {
            // 0 means the writer.
            refuse(
                "the cgroup of the run refuses its program",
                group.write_all(b"0"),
            )?;
        }
        Ok(())
    };
    before_exec(command, apply);
    Ok(())
}

#[allow(unsafe_code)]
fn before_exec(
    command: &mut Command,
    apply: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the runner has one thread, so the child of its fork holds no lock of another one, and may allocate.
    unsafe { command.pre_exec(apply) };
}

/// Writes the reason for a refusal to the run's stderr, because only the number of an error reaches the runner.
fn refuse(what: &str, result: io::Result<()>) -> io::Result<()> {
    result.map_err(|error| {
        let _ = writeln!(io::stderr(), "{what}: {error}");
        REFUSED.into()
    })
}
