//! The process at the other end of a connection on this machine: whether it belongs to a run, and whether a person uses it.
//!
//! A process belongs to a run if one of its ancestors is a runner: the runner is a subreaper, so a program that leaves its
//! parent becomes a child of the runner. Runners are found by their name ([`RUNNER_NAME`]), which the processes of a run cannot
//! give up for them.

use kirosu_protocol::access::RUNNER_NAME;
use kirosu_protocol::socket_user;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The way to a client's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerProcess {
    /// There is none on this machine, or it is this process.
    None,
    /// The process with a TCP connection from the first address to the second.
    Tcp(SocketAddr, SocketAddr),
    /// The process with this id.
    Id(i32),
}

/// The place of a client's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessPlace {
    /// Whether it belongs to a run, or that cannot be ruled out.
    pub in_run: bool,
    /// Whether it has a terminal, and does not belong to a run.
    pub at_terminal: bool,
}

impl ProcessPlace {
    /// The place of a process about which nothing is known.
    const UNKNOWN: ProcessPlace = ProcessPlace {
        in_run: true,
        at_terminal: false,
    };
}

/// Finds the place of a client's process. Takes milliseconds: it reads about all processes of the machine.
pub fn find(peer: PeerProcess) -> ProcessPlace {
    find_in(Path::new("/proc"), peer).unwrap_or_else(|error| {
        tracing::warn!(%error, "the processes of clients cannot be found out; clients of this machine need a key of their own");
        ProcessPlace::UNKNOWN
    })
}

fn find_in(proc: &Path, peer: PeerProcess) -> io::Result<ProcessPlace> {
    match peer {
        PeerProcess::None => Ok(ProcessPlace::default()),
        PeerProcess::Id(id) => Ok(Processes::read(proc)?.place(id)),
        PeerProcess::Tcp(peer, local) => {
            let Some(inode) = socket_user::inode_of(peer, local)? else {
                return Ok(ProcessPlace::UNKNOWN);
            };
            Ok(Processes::read(proc)?.place_of_socket(&format!("socket:[{inode}]")))
        }
    }
}

/// A process.
struct ProcessInfo {
    name: String,
    parent: i32,
    has_terminal: bool,
}

/// The processes of the machine.
struct Processes {
    proc: PathBuf,
    all: HashMap<i32, ProcessInfo>,
}

impl Processes {
    fn read(proc: &Path) -> io::Result<Processes> {
        let mut all = HashMap::new();
        for entry in fs::read_dir(proc)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.parse::<i32>().ok());
            // One that has ended meanwhile has no text.
            if let Some(id) = id
                && let Ok(text) = fs::read_to_string(proc.join(&name).join("stat"))
                && let Some(process) = read_stat(&text)
            {
                all.insert(id, process);
            }
        }
        let proc = proc.to_owned();
        Ok(Processes { proc, all })
    }

    /// Whether an ancestor is a runner.
    fn is_in_run(&self, id: i32) -> bool {
        let mut at = id;
        // A parent may have ended and its number been used again while the list was read, so the way up may have no end.
        for _ in 0..self.all.len() {
            let Some(process) = self.all.get(&at) else {
                return false;
            };
            match self.all.get(&process.parent) {
                Some(parent) if parent.name == RUNNER_NAME => return true,
                _ => at = process.parent,
            }
        }
        false
    }

    fn place(&self, id: i32) -> ProcessPlace {
        let Some(process) = self.all.get(&id) else {
            return ProcessPlace::UNKNOWN;
        };
        let in_run = self.is_in_run(id);
        ProcessPlace {
            in_run,
            at_terminal: process.has_terminal && !in_run,
        }
    }

    /// The place of the process that has a socket open. A process of a run may hide its sockets, so one outside of all runs must
    /// be found to have it.
    fn place_of_socket(&self, link: &str) -> ProcessPlace {
        let (inside, outside): (Vec<i32>, Vec<i32>) =
            self.all.keys().partition(|id| self.is_in_run(**id));
        if inside.iter().any(|id| self.has_open(*id, link)) {
            return ProcessPlace::UNKNOWN;
        }
        let found = outside.into_iter().find(|id| self.has_open(*id, link));
        found.map_or(ProcessPlace::UNKNOWN, |id| self.place(id))
    }

    fn has_open(&self, id: i32, link: &str) -> bool {
        let folder = self.proc.join(id.to_string()).join("fd");
        let Ok(entries) = fs::read_dir(folder) else {
            return false;
        };
        let mut entries = entries.flatten();
        entries.any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == link))
    }
}

/// Reads `/proc/PID/stat` (`proc_pid_stat(5)`): the name in parentheses, which may contain any character, then the state, the
/// parent, group, session and terminal.
fn read_stat(text: &str) -> Option<ProcessInfo> {
    let (before, after) = text.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let terminal = fields.nth(2)?;
    Some(ProcessInfo {
        name: name.to_owned(),
        parent,
        has_terminal: terminal != "0",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder like `/proc` with these processes: id, name, parent, terminal, open sockets.
    fn proc(processes: &[(i32, &str, i32, i32, &[u32])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (id, name, parent, terminal, sockets) in processes {
            let own = folder.path().join(id.to_string());
            fs::create_dir_all(own.join("fd")).unwrap();
            let stat = format!("{id} ({name}) S {parent} {id} {id} {terminal} -1 4194304 0");
            fs::write(own.join("stat"), stat).unwrap();
            for (number, inode) in sockets.iter().enumerate() {
                symlink(
                    format!("socket:[{inode}]"),
                    own.join("fd").join(number.to_string()),
                )
                .unwrap();
            }
        }
        folder
    }

    const TREE: &[(i32, &str, i32, i32, &[u32])] = &[
        (1, "init", 0, 0, &[]),
        (10, "bash", 1, 34816, &[]),
        (11, "kirosu", 10, 34816, &[70]),
        (20, "kirosu", 1, 0, &[]),
        (21, RUNNER_NAME, 20, 0, &[]),
        (22, "agent) R 1 (x", 21, 34817, &[80]),
        (23, "python", 22, 0, &[81]),
        (30, "cron", 1, 0, &[90]),
    ];

    #[test]
    fn a_process_below_a_runner_is_in_a_run_whatever_its_name_and_terminal() {
        let folder = proc(TREE);
        let place = |id| find_in(folder.path(), PeerProcess::Id(id)).unwrap();
        let known = |in_run, at_terminal| ProcessPlace {
            in_run,
            at_terminal,
        };
        assert_eq!(place(11), known(false, true));
        assert_eq!(place(22), known(true, false));
        assert_eq!(place(23), known(true, false));
        assert_eq!(place(30), known(false, false));
        // The runner itself is Kirosu's.
        assert_eq!(place(21), known(false, false));
        assert_eq!(place(99), ProcessPlace::UNKNOWN);
        assert_eq!(
            find_in(folder.path(), PeerProcess::None).unwrap(),
            ProcessPlace::default()
        );
    }

    #[test]
    fn a_socket_is_found_at_its_process_and_an_unknown_one_counts_as_a_runs() {
        let folder = proc(TREE);
        let processes = Processes::read(folder.path()).unwrap();
        let place = |inode: u32| processes.place_of_socket(&format!("socket:[{inode}]"));
        assert_eq!(
            place(70),
            ProcessPlace {
                in_run: false,
                at_terminal: true
            }
        );
        assert!(place(80).in_run && place(81).in_run);
        assert_eq!(place(90), ProcessPlace::default());
        assert_eq!(place(99), ProcessPlace::UNKNOWN);
    }

    #[test]
    fn the_own_process_is_found_by_its_connection() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        let place = find(PeerProcess::Tcp(peer, stream.local_addr().unwrap()));
        assert!(!place.in_run);
        assert_eq!(find(PeerProcess::Id(std::process::id() as i32)), place);
        drop(client);
    }
}
