//! The sandbox of a run: rules of the kernel (Landlock) for files, connections and signals, which a program cannot leave.
//!
//! A run may write its folder, its own folder for temporary files, devices without content, and the paths that are named.
//! It may read all that its user may, except the hidden paths. Landlock has no rule that forbids: what is not allowed is
//! forbidden. So everything next to the path to a hidden folder is allowed for reading, and the folder is left out.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, PathFdError, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    Scope,
};
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};

use super::sockets;

/// The rights of files that every sandbox controls: all of Linux 6.2, the first with control of truncation.
const FILES: ABI = ABI::V3;
/// Devices that a program may write: they keep nothing.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// The sandbox of a pool's runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Paths that runs may write in addition to their folder. Missing ones are left out.
    pub write: Vec<PathBuf>,
    /// Folders and files that runs may neither read nor write: those of Kirosu itself. The folder of a run may be inside.
    pub hidden: Vec<PathBuf>,
    /// Whether runs may use the network. Without it only TCP connections to `ports` are possible.
    pub network: bool,
    /// Ports of the hub.
    pub ports: Vec<u16>,
}

/// The sandbox of one run, for its runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SandboxRules {
    write: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
    /// The TCP ports to which the run may connect. `None` means that it may use the network.
    ports: Option<Vec<u16>>,
}

impl Sandbox {
    /// Checks that this kernel can enforce it.
    ///
    /// # Errors
    /// The missing part, and the version of Linux that has it.
    pub(super) fn check(&self) -> Result<(), String> {
        files().map_err(|error| {
            format!("sandbox cannot be enforced here: the kernel has no Landlock for files (Linux 6.2 or newer, with landlock in the boot parameter lsm=): {error}")
        })?;
        if !self.network {
            connections().map_err(|error| {
                format!("sandbox_network = false cannot be enforced here: the kernel has no Landlock for connections (Linux 6.7 or newer): {error}")
            })?;
            sockets::filter().map_err(|why| format!("sandbox_network = false: {why}"))?;
        }
        Ok(())
    }

    /// The rules of a run that works in `folder`, and may write the further paths.
    pub(super) fn rules(&self, folder: &Path, further: &[PathBuf]) -> SandboxRules {
        let mut write = self.write.clone();
        write.extend(further.iter().cloned());
        // Checks of a program's version work in the root folder, and write nothing.
        if folder.parent().is_some() {
            write.push(folder.to_owned());
        }
        SandboxRules {
            write,
            hidden: self.hidden.clone(),
            ports: (!self.network).then(|| self.ports.clone()),
        }
    }
}

/// The reason for which a sandbox does not keep a run from signalling processes outside of it. `None` means that it does.
#[must_use]
pub fn signals_missing() -> Option<&'static str> {
    let missing = scopes(with_rules()).is_err();
    missing.then_some(
        "the kernel's Landlock has no rules for signals and abstract sockets (Linux 6.12 or newer)",
    )
}

/// An empty set of rules, every part of which is required.
fn with_rules() -> Ruleset {
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement)
}

fn files() -> Result<Ruleset, RulesetError> {
    let rules = with_rules().handle_access(AccessFs::from_all(FILES))?;
    with_rules()
        .handle_access(AccessFs::from_all(FILES))?
        .create()
        .map(|_| rules)
}

fn connections() -> Result<(), RulesetError> {
    let rules = with_rules().handle_access(AccessNet::from_all(ABI::V4))?;
    rules.create().map(drop)
}

fn scopes(rules: Ruleset) -> Result<Ruleset, RulesetError> {
    rules.scope(Scope::from_all(ABI::V6))
}

impl SandboxRules {
    /// The filter that keeps a run without network from sockets which the rules do not control. Empty for others.
    ///
    /// # Errors
    /// A sentence: the filter does not exist for this processor.
    pub(crate) fn filter(&self) -> Result<BpfProgram, String> {
        match self.ports {
            Some(_) => sockets::filter(),
            None => Ok(BpfProgram::new()),
        }
    }

    /// Makes the set of rules, for the runner.
    ///
    /// # Errors
    /// The kernel does not have them.
    pub(crate) fn create(&self) -> Result<RulesetCreated, RulesetError> {
        let mut rules = files()?;
        if self.ports.is_some() {
            rules = rules.handle_access(AccessNet::from_all(ABI::V4))?;
        }
        if signals_missing().is_none() {
            rules = scopes(rules)?;
        }
        let read = AccessFs::from_read(FILES);
        let hidden: Vec<PathBuf> = self.hidden.iter().map(|it| real(it)).collect();
        let mut created = rules.create()?;
        // Names can be listed everywhere: a rule for a folder applies to all below it.
        let list = AccessFs::ReadDir.into();
        created = add(created, Path::new("/"), list)?;
        for path in readable(Path::new("/"), &hidden) {
            created = add(created, &path, read)?;
        }
        let devices = DEVICES.iter().map(PathBuf::from);
        // A device file that root makes would lead to the disk.
        let write = AccessFs::from_all(FILES) & !(AccessFs::MakeBlock | AccessFs::MakeChar);
        for path in self.write.iter().cloned().chain(devices) {
            created = add(created, &path, write)?;
        }
        for port in self.ports.iter().flatten() {
            created = created.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
        Ok(created)
    }
}

/// Adds a rule for a path. A path that does not exist, or may not be opened, stays forbidden.
fn add(
    created: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let opened: Result<PathFd, PathFdError> = PathFd::new(path);
    let Ok(opened) = opened else {
        return Ok(created);
    };
    let access = match path.is_dir() {
        true => access,
        false => access & AccessFs::from_file(FILES),
    };
    created.add_rule(PathBeneath::new(opened, access))
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The highest paths below `folder` that hold nothing hidden, and no disk, which root could read around all rules.
fn readable(folder: &Path, hidden: &[PathBuf]) -> Vec<PathBuf> {
    let has_disks = Path::new("/dev").starts_with(folder);
    if !has_disks && !hidden.iter().any(|it| it.starts_with(folder)) {
        return vec![folder.to_owned()];
    }
    let entries = fs::read_dir(folder).into_iter().flatten();
    let entries = entries.filter_map(Result::ok).filter(|entry| {
        // A link may lead to a hidden folder. Its target is allowed or hidden at its own place.
        let is_excluded = entry
            .file_type()
            .is_ok_and(|it| it.is_symlink() || it.is_block_device());
        !is_excluded && !hidden.contains(&entry.path())
    });
    entries
        .flat_map(|entry| readable(&entry.path(), hidden))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_next_to_a_hidden_folder_is_readable() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["a/b/data", "a/b/next", "a/other", "c"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("a/file"), "").unwrap();
        std::os::unix::fs::symlink(at("a/b/data"), at("a/link")).unwrap();
        let mut found = readable(root.path(), &[at("a/b/data"), at("missing")]);
        found.sort();
        assert_eq!(
            found,
            [at("a/b/next"), at("a/file"), at("a/other"), at("c")]
        );
        assert_eq!(readable(&at("c"), &[at("a/b/data")]), [at("c")]);
        // A folder inside a hidden one is not readable.
        assert_eq!(
            readable(&at("a/b/data"), &[at("a/b/data")]),
            [""; 0].map(PathBuf::from)
        );
    }

    #[test]
    fn the_root_folder_is_never_writable() {
        let sandbox = Sandbox::default();
        assert_eq!(
            sandbox.rules(Path::new("/"), &[]).write,
            [""; 0].map(PathBuf::from)
        );
        assert_eq!(
            sandbox.rules(Path::new("/w"), &[]).write,
            [PathBuf::from("/w")]
        );
    }
}
