//! Rights of root that reach past a sandbox.

use std::io;

use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set};

/// Rights to trace and read other processes, to make devices, to change the kernel and its devices, and to open files by
/// their number.
const BEYOND: &[CapabilitySet] = &[
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::SYS_PTRACE,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_BOOT,
    CapabilitySet::SYS_TIME,
    CapabilitySet::MKNOD,
    CapabilitySet::DAC_READ_SEARCH,
    CapabilitySet::NET_ADMIN,
    CapabilitySet::NET_RAW,
    CapabilitySet::MAC_ADMIN,
    CapabilitySet::MAC_OVERRIDE,
    CapabilitySet::LINUX_IMMUTABLE,
    CapabilitySet::SYSLOG,
    CapabilitySet::PERFMON,
    CapabilitySet::BPF,
    CapabilitySet::CHECKPOINT_RESTORE,
];

/// Gives up the rights that this process has of them. The next program then does not get them, whoever its user is.
///
/// # Errors
/// The system does not let this process give them up.
pub(super) fn give_up() -> io::Result<()> {
    let permitted = capabilities(None)?.permitted;
    for right in BEYOND.iter().filter(|it| permitted.contains(**it)) {
        remove_capability_from_bounding_set(*right)?;
    }
    Ok(())
}
