//! The parts of /proc that containment reads. Every result may be outdated when it arrives.

use std::fs;

/// Fields of /proc/PID/stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) pid: i32,
    /// One letter, `Z` for a zombie.
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Start time in clock ticks since boot. Together with the pid it identifies a process.
    pub(crate) start: u64,
}

impl ProcessStat {
    /// Whether the process only waits for its parent to read its exit status.
    pub(crate) const fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// The stat of one process. `None` when the process does not exist.
pub(crate) fn stat(pid: i32) -> Option<ProcessStat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses a stat line. The process name is in parentheses and may contain anything, so fields count from the last one.
fn parse_stat(raw: &[u8]) -> Option<ProcessStat> {
    let open = raw.iter().position(|&byte| byte == b'(')?;
    let close = raw.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(&raw[..open])
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let rest = std::str::from_utf8(raw.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(ProcessStat {
        pid,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// The ids of all processes.
pub(crate) fn all_pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The direct children of a single-threaded process, including zombies.
pub(crate) fn children_of(pid: i32) -> Vec<ProcessStat> {
    // One small file where the kernel offers it, else a search through all processes.
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let pids = match &listed {
        Ok(list) => list
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect(),
        Err(_) => all_pids(),
    };
    pids.into_iter()
        .filter_map(stat)
        .filter(|it| it.parent == pid)
        .collect()
}

/// Whether the initial environment of a process contains this `NAME=value`. False for processes of other users, kernel
/// threads and dead processes.
pub(crate) fn environment_holds(pid: i32, entry: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|raw| raw.split(|&byte| byte == 0).any(|it| it == entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_contain_fields() {
        let raw = b"42 (a) Z (b) S 7 8 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 1 2 3";
        let it = parse_stat(raw).unwrap();
        assert_eq!((it.pid, it.state, it.parent), (42, 'S', 7));
        assert_eq!((it.group, it.session, it.start), (8, 9, 12345));
        assert_eq!(parse_stat(b"42 (cut) S 7"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn sees_this_process() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = stat(pid).unwrap();
        assert_eq!(own.pid, pid);
        assert!(!own.is_dead());
        assert!(all_pids().contains(&pid));
    }
}
