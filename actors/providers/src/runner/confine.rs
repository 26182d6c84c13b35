//! Applies the bounds of a run to its program, between fork and exec: the runner itself is not bound by them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use landlock::{RulesetCreated, RulesetStatus};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use rustix::fs::fchown;
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};
use seccompiler::BpfProgram;

use super::rights;
use crate::containment::{Confinement, UserIds};

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
    let user = confinement.user.clone();
    if let Some(user) = &user {
        // The program may open its output again, as /dev/stdout.
        give(stdout(), user)
            .and_then(|()| give(stderr(), user))
            .map_err(|error| {
                format!("its output cannot be given to user {}: {error}", user.user)
            })?;
    }
    let mut sandbox = match &confinement.sandbox {
        Some(rules) => {
            let created = rules.create();
            let created =
                created.map_err(|error| format!("the kernel refuses the sandbox: {error}"))?;
            Some((created, rules.filter()?))
        }
        None => None,
    };
    if groups.is_empty() && user.is_none() && sandbox.is_none() {
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
        if let Some(user) = &user {
            refuse("the run cannot change its user", become_user(user))?;
        }
        if let Some((rules, filter)) = sandbox.take() {
            refuse("the run cannot enter its sandbox", enter(rules, &filter))?;
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

fn give(file: BorrowedFd<'_>, user: &UserIds) -> io::Result<()> {
    let owner = Some(rustix::fs::Uid::from_raw(user.user));
    Ok(fchown(file.as_fd(), owner, None)?)
}

/// Takes the ids of a user, the user's id last: without root's it could not take the others.
fn become_user(user: &UserIds) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().map(|it| Gid::from_raw(*it)).collect();
    setgroups(&groups)?;
    setgid(Gid::from_raw(user.group))?;
    setuid(Uid::from_raw(user.user))?;
    Ok(())
}

/// Enters the sandbox for good. No program that it starts gets more rights (`sudo`).
fn enter(rules: RulesetCreated, filter: &BpfProgram) -> io::Result<()> {
    rights::give_up()?;
    let status = rules.restrict_self().map_err(io::Error::other)?;
    if status.ruleset != RulesetStatus::FullyEnforced || !status.no_new_privs {
        return Err(io::Error::other("the kernel does not enforce all of it"));
    }
    if filter.is_empty() {
        return Ok(());
    }
    seccompiler::apply_filter(filter).map_err(io::Error::other)
}

/// Writes the reason for a refusal to the run's stderr, because only the number of an error reaches the runner.
fn refuse(what: &str, result: io::Result<()>) -> io::Result<()> {
    result.map_err(|error| {
        let _ = writeln!(io::stderr(), "{what}: {error}");
        REFUSED.into()
    })
}
