//! Load and fault tools: `kirosu-bench` measures, `kirosu-torture` kills and checks.
//!
//! # Theory of operation
//!
//! Both are outside clients. They start the built `kirosu` binary on a fresh file in a folder of their own, speak the wire
//! protocol to it over TCP, and end what they started by its process id. They import no other crate of the workspace, so a fault
//! there cannot hide itself here: requests are built by hand, and answers are parsed independently.
//!
//! - [`server`] starts and ends a hub or, for comparison, a Redis; [`machine`] reads what the kernel knows about them.
//! - [`pump`] drives many connections from one thread: a load generator shares the cores with what it measures, so it
//!   scans answers for the few bytes it needs instead of parsing them. [`talk`] has what is said, in both languages.
//! - [`wire`] is one blocking connection, for single questions and for the torture's workers.
//! - [`bench`] has one file per measurement; [`torture`] has the workers, which record all that they observe, and the checker, a
//!   pure function from these histories and the final file to a list of violations.

pub mod bench;
pub mod machine;
pub mod pump;
pub mod server;
pub mod talk;
pub mod torture;
pub mod wire;

/// An error of the tool itself, as a sentence.
#[derive(Debug)]
pub struct Fault(pub String);

impl Fault {
    /// From a sentence.
    pub fn new(sentence: impl Into<String>) -> Fault {
        Fault(sentence.into())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        Fault(error.to_string())
    }
}

impl From<rustix::io::Errno> for Fault {
    fn from(errno: rustix::io::Errno) -> Fault {
        Fault(errno.to_string())
    }
}
