//! The cgroups of this process: where the kernel has mounted them. Pure functions over two files of /proc.

use std::path::{Path, PathBuf};

/// A resource whose use a cgroup can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Processes,
    Cpu,
}

impl Controller {
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];

    /// The kernel's name, in both versions of cgroups.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
        }
    }

    /// The pool's key that sets its limit.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Memory | Self::Cpu => self.name(),
        }
    }
}

/// The folders of the cgroups that this process is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OwnPlaces {
    /// In the unified hierarchy (version 2).
    pub(super) unified: Option<PathBuf>,
    /// In hierarchies of version 1, by controller.
    pub(super) separate: Vec<(Controller, PathBuf)>,
}

impl OwnPlaces {
    /// Reads them.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub(super) fn read() -> std::io::Result<Self> {
        let groups = std::fs::read_to_string("/proc/self/cgroup")?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        Ok(Self::of(&groups, &mounts))
    }

    /// Finds them in the content of `/proc/self/cgroup` and `/proc/self/mountinfo` (cgroups(7), proc(5)).
    fn of(groups: &str, mounts: &str) -> Self {
        let mut found = Self::default();
        for line in groups.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            if controllers.is_empty() {
                found.unified = folder(mounts, "cgroup2", None, path);
                continue;
            }
            for controller in Controller::ALL {
                if controllers.split(',').any(|it| it == controller.name())
                    && let Some(folder) = folder(mounts, "cgroup", Some(controller), path)
                {
                    found.separate.push((controller, folder));
                }
            }
        }
        found
    }
}

/// The folder of a group, from the mount of its hierarchy.
fn folder(mounts: &str, kind: &str, controller: Option<Controller>, path: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, source) = line.split_once(" - ")?;
        let mut source = source.split(' ');
        let options = (source.next()? == kind).then(|| source.nth(1))??;
        if let Some(controller) = controller
            && !options.split(',').any(|it| it == controller.name())
        {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        let (root, mounted) = (unescaped(fields.next()?), unescaped(fields.next()?));
        // The mount may show only a part of the hierarchy, and in a container the group may be outside of it.
        let below = Path::new(path).strip_prefix(&root).ok()?;
        Some(Path::new(&mounted).join(below))
    })
}

/// A field of mountinfo, in which white space is written as three octal digits.
fn unescaped(field: &str) -> String {
    ["\\040 ", "\\011\t", "\\012\n", "\\134\\"]
        .iter()
        .fold(field.to_owned(), |text, pair| {
            let (code, character) = pair.split_at(4);
            text.replace(code, character)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 /outer /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn groups_of_both_versions_are_found() {
        let groups = "8:pids:/\n4:memory:/outer/a b\n1:cpu,cpuacct:/x\n0::/y:z\n";
        let found = OwnPlaces::of(groups, HYBRID);
        let expected = OwnPlaces {
            unified: Some(PathBuf::from("/sys/fs/cgroup/uni fied/y:z")),
            separate: vec![
                (
                    Controller::Memory,
                    PathBuf::from("/sys/fs/cgroup/memory/a b"),
                ),
                (
                    Controller::Cpu,
                    PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/x"),
                ),
            ],
        };
        // There is no mount for `pids`.
        assert_eq!(found, expected);
    }

    #[test]
    fn a_group_outside_of_its_mount_is_not_found() {
        let found = OwnPlaces::of("4:memory:/elsewhere\n0::/../sibling\nbroken\n", HYBRID);
        assert_eq!(found.separate, []);
        let mounts = "1 1 0:1 /inner /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(OwnPlaces::of("0::/../sibling", mounts).unified, None);
        assert_eq!(
            OwnPlaces::of("0::/inner", mounts).unified,
            Some(PathBuf::from("/sys/fs/cgroup"))
        );
    }
}
