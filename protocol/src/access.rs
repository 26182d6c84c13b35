//! The roles of credentials.

use crate::Right;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt::Write;
use std::io;

/// The beginning of every key that Kirosu makes. Scanners for leaked secrets can find it.
pub const SECRET_PREFIX: &str = "krs_";
/// The beginning of the secret of a browser's session.
pub const WEB_SESSION_PREFIX: &str = "krw_";
/// The beginning of a ticket with which a browser logs in.
pub const WEB_TICKET_PREFIX: &str = "krl_";
/// The beginning of the token of a run.
pub const RUN_TOKEN_PREFIX: &str = "krt_";
/// Before a key, token or fingerprint that a gateway passes on for its client: it counts as that or as nothing, never as a client
/// without a key, which the gateway itself would be.
pub const PASSED_ON: &str = "client:";
/// The variable with which a run's programs find the hub: `HOST:PORT`, or the path of a Unix socket.
pub const RUN_HUB_VARIABLE: &str = "KIROSU_HUB";
/// The variable with the token of a run, for its programs.
pub const RUN_TOKEN_VARIABLE: &str = "KIROSU_TOKEN";
/// The name of a runner's process, by which the hub finds the programs of runs. Linux keeps 15 bytes.
pub const RUNNER_NAME: &str = "kirosu-runner";
/// Random bytes of a key: too many to try.
const RANDOM_BYTES: usize = 32;

/// Makes a random key.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_secret() -> io::Result<String> {
    new_secret_of(SECRET_PREFIX)
}

/// Makes a random secret with this beginning.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_secret_of(prefix: &str) -> io::Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    let mut secret = prefix.to_owned();
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(secret, "{byte:02x}");
    }
    Ok(secret)
}

wire_enum! {
    /// The purpose of a key, which decides its rights. Every role but `work` may also look on.
    pub enum AccessRole {
        /// Looks on: tasks, pools, metrics, events.
        Observe,
        /// Adds, cancels and retries tasks.
        Enqueue,
        /// Leases tasks and reports on their runs: an agent host.
        Work,
        /// Decides as a person: approves, answers, rejects.
        Person,
        /// Does everything but decide as a person.
        Admin,
    }
}

impl AccessRole {
    /// Whether a credential of this role has the right.
    pub fn has(self, right: Right) -> bool {
        match right {
            Right::Connect => true,
            Right::Observe => self != AccessRole::Work,
            Right::Enqueue => matches!(self, AccessRole::Enqueue | AccessRole::Admin),
            Right::Work => matches!(self, AccessRole::Work | AccessRole::Admin),
            Right::Person => self == AccessRole::Person,
            Right::Admin => self == AccessRole::Admin,
        }
    }
}

/// Whether a secret that a client gives is the right one. Compares in constant time: the time reveals nothing about how much of
/// it is right.
pub fn is_same_secret(given: &str, secret: &str) -> bool {
    let (given, secret) = (given.as_bytes(), secret.as_bytes());
    given.len() == secret.len()
        && given
            .iter()
            .zip(secret)
            .fold(0, |diff, (a, b)| diff | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_decides_as_one_and_an_agent_host_sees_its_own_tasks_alone() {
        let roles = |right| -> Vec<&str> {
            let has = AccessRole::ALL.into_iter().filter(|role| role.has(right));
            has.map(AccessRole::as_str).collect()
        };
        assert_eq!(roles(Right::Connect).len(), AccessRole::ALL.len());
        assert_eq!(
            roles(Right::Observe),
            ["observe", "enqueue", "person", "admin"]
        );
        assert_eq!(roles(Right::Enqueue), ["enqueue", "admin"]);
        assert_eq!(roles(Right::Work), ["work", "admin"]);
        assert_eq!(roles(Right::Person), ["person"]);
        assert_eq!(roles(Right::Admin), ["admin"]);
    }
}
