//! The groups of this process, in which it makes those of its runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, getxattr};
use rustix::process::geteuid;

use super::places::{Controller, OwnPlaces};
use super::run::{members, remove as remove_group};
use super::{Cgroups, ControllerPlace};
use crate::containment::procfs::stat;

/// The beginning of the name of a host's group; the id and the start time of its process follow.
const PREFIX: &str = "kirosu-";
/// The group for this process itself, below its host's group.
const HOST: &str = "host";
/// The advice where a process has no cgroup of its own.
const ADVICE: &str = "start it as a systemd service with Delegate=yes, or by hand with: systemd-run --user --scope -p Delegate=yes kirosu up";

/// Whether groups are made, or only what would be made is found out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Make,
    Look,
}

pub(super) fn open() -> Cgroups {
    find(Mode::Make)
}

pub(super) fn expected() -> Cgroups {
    find(Mode::Look)
}

fn find(mode: Mode) -> Cgroups {
    let own = match OwnPlaces::read() {
        Ok(own) => own,
        Err(error) => {
            let why = format!("/proc cannot be read: {error}");
            return Cgroups {
                controllers: Controller::ALL.map(|_| Err(why.clone())),
                unified: Err(why),
            };
        }
    };
    let base = own
        .unified
        .as_deref()
        .ok_or_else(|| "cgroups of version 2 are not mounted here".to_owned())
        .and_then(usable);
    let unified = base.and_then(|base| {
        let group = base.join(own_name());
        make(&group, mode)?;
        Ok((base, group))
    });
    let controllers = Controller::ALL.map(|controller| {
        let mut separate = own.separate.iter().filter(|(it, _)| *it == controller);
        if let Some((_, folder)) = separate.next() {
            let folder = usable(folder)?;
            if mode == Mode::Make {
                sweep(&folder);
            }
            // Made with the first run that has such a limit.
            return Ok(ControllerPlace::Separate(folder.join(own_name())));
        }
        let (base, group) = unified.as_ref().map_err(Clone::clone)?;
        enable(base, group, own.unified.as_deref(), controller, mode)?;
        Ok(ControllerPlace::Unified)
    });
    if let Ok((base, _)) = &unified
        && mode == Mode::Make
    {
        sweep(base);
    }
    Cgroups {
        unified: unified.map(|(_, group)| group),
        controllers,
    }
}

/// The group below which this process may make groups: its own, or the one above it that was delegated to it
/// (`DelegateSubgroup=` of systemd).
fn usable(own: &Path) -> Result<PathBuf, String> {
    let above = own.parent().filter(|it| is_delegated(it));
    let base = match above {
        Some(above) if !is_delegated(own) => above,
        _ => own,
    };
    let needed = [base.to_owned(), base.join("cgroup.procs")];
    for file in needed {
        access(&file, Access::WRITE_OK)
            .map_err(|error| format!("{} is not writable ({error}); {ADVICE}", file.display()))?;
    }
    Ok(base.to_owned())
}

/// Whether systemd has delegated this group. It marks such groups for all users, and older versions for root only.
fn is_delegated(folder: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 1];
        matches!(getxattr(folder, *name, &mut value), Ok(1)) && value == *b"1"
    })
}

fn own_name() -> String {
    let pid = std::process::id();
    let start = i32::try_from(pid).ok().and_then(stat);
    format!("{PREFIX}{pid}-{}", start.map_or(0, |it| it.start))
}

fn make(group: &Path, mode: Mode) -> Result<(), String> {
    if mode == Mode::Look {
        return Ok(());
    }
    fs::create_dir_all(group)
        .map_err(|error| format!("cannot make the cgroup {}: {error}", group.display()))
}

/// Lets a controller of version 2 limit the groups below `group`.
fn enable(
    base: &Path,
    group: &Path,
    own: Option<&Path>,
    controller: Controller,
    mode: Mode,
) -> Result<(), String> {
    let name = controller.name();
    let shown = base.display();
    let lists = |file: &str| {
        let listed = fs::read_to_string(base.join(file)).unwrap_or_default();
        listed.split_whitespace().any(|it| it == name)
    };
    if !lists("cgroup.controllers") {
        return Err(format!(
            "the cgroup {shown} does not have the controller {name}; {ADVICE}"
        ));
    }
    // A group that systemd manages and has not delegated is not ours to change: it may reset it at any time.
    let is_managed = Path::new("/run/systemd/system").exists() && geteuid().is_root();
    if is_managed && !is_delegated(base) {
        return Err(format!(
            "systemd has not delegated the cgroup {shown} to this process; {ADVICE}"
        ));
    }
    let is_enabled = lists("cgroup.subtree_control");
    if mode == Mode::Look {
        let inside = || members(base).len() > 1 && own == Some(base);
        return match !is_enabled && !is_root_group(base) && inside() {
            true => Err(shared(base)),
            false => Ok(()),
        };
    }
    let set = |folder: &Path| fs::write(folder.join("cgroup.subtree_control"), format!("+{name}"));
    let refused =
        |error: io::Error| format!("the controller {name} cannot be used in {shown}: {error}");
    if !is_enabled && let Err(error) = set(base) {
        if error.raw_os_error() != Some(rustix::io::Errno::BUSY.raw_os_error()) {
            return Err(refused(error));
        }
        // Version 2 allows limits below a group only if no process is in the group itself.
        move_this_process(&group.join(HOST)).map_err(refused)?;
        set(base).map_err(|_| shared(base))?;
    }
    set(group).map_err(refused)
}

fn shared(base: &Path) -> String {
    format!(
        "the cgroup {} holds other processes, too; {ADVICE}",
        base.display()
    )
}

/// Whether a group is the root of the hierarchy, to which the rule about inner processes does not apply.
fn is_root_group(folder: &Path) -> bool {
    !folder.join("cgroup.events").exists()
}

fn move_this_process(to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::write(to.join("cgroup.procs"), std::process::id().to_string())
}

/// Ends the runs of hosts that are dead, and removes their groups.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some((pid, start)) = name.to_str().and_then(host_of) else {
            continue;
        };
        if stat(pid).is_some_and(|it| it.start == start && !it.is_dead()) {
            continue;
        }
        let group = entry.path();
        let ended = super::run::end_all(&group);
        if ended > 0 {
            tracing::warn!(ended, group = %group.display(), "ended processes that an earlier run had left behind");
        }
        remove_group(&group);
    }
}

/// The process whose group has this name.
fn host_of(name: &str) -> Option<(i32, u64)> {
    let (pid, start) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

pub(super) fn remove(cgroups: &Cgroups) {
    let separate = cgroups.controllers.iter().filter_map(|place| match place {
        Ok(ControllerPlace::Separate(folder)) => Some(folder),
        _ => None,
    });
    let unified = cgroups.unified.as_ref().ok();
    for group in unified.into_iter().chain(separate) {
        // Where this process is in a group of its own, systemd or the next start removes it.
        if members(group).is_empty() && group.exists() {
            remove_group(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_group_names_its_process() {
        let (pid, start) = host_of(&own_name()).unwrap();
        assert_eq!(pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(stat(pid).unwrap().start, start);
        for other in ["kirosu", "kirosu-1", "kirosu-a-b", "other-1-2", "host"] {
            assert_eq!(host_of(other), None, "{other}");
        }
    }
}
