//! Connections of clients that need a key and have not sent a valid one, by their address: one address must not take all
//! connections of the hub. Neither must the programs of runs, which count together, with their tokens and without.

use kirosu_protocol::{Error, ErrorCode};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most such connections of one origin. An agent host with more sessions connects them one after the other.
const PER_ORIGIN: usize = 256;
/// The part of all connections that such ones of one origin may take, if that is less.
const PART: usize = 4;
/// The part of all connections that programs of runs with the tokens of their runs may take. Each needs few: of an agent and of
/// its tools.
const TOKEN_PART: usize = 2;

/// Where clients come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClientOrigin {
    /// An address.
    Address(IpAddr),
    /// A run, over any transport.
    Run,
    /// A run whose token the client has sent.
    RunWithToken,
}

impl fmt::Display for ClientOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientOrigin::Address(address) => address.fmt(f),
            ClientOrigin::Run => f.write_str("the programs of runs"),
            ClientOrigin::RunWithToken => f.write_str("the programs of runs with their tokens"),
        }
    }
}

impl ClientOrigin {
    /// The most connections from there to a hub with at most this many.
    fn most(self, connections: usize) -> usize {
        let most = match self {
            ClientOrigin::Address(_) | ClientOrigin::Run => PER_ORIGIN.min(connections / PART),
            ClientOrigin::RunWithToken => connections / TOKEN_PART,
        };
        most.max(1)
    }

    /// The refusal of a connection beyond them.
    fn refusal(self, most: usize) -> Error {
        let message = match self {
            ClientOrigin::RunWithToken => {
                format!("there are {most} connections of {self}, and may be no more; close some")
            }
            ClientOrigin::Address(_) | ClientOrigin::Run => format!(
                "there are {most} connections from {self} whose clients have not sent a valid key, and may be no more; send the key right after connecting, and try again"
            ),
        };
        Error::new(ErrorCode::Busy, message)
    }
}

type Counts = Mutex<HashMap<ClientOrigin, usize>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct UnknownClients(Arc<Counts>);

/// A counted connection. Dropped when its client has sent a valid key that is no token of a run, or is gone.
#[derive(Debug)]
pub(crate) struct UnknownSlot {
    counts: Arc<Counts>,
    from: ClientOrigin,
}

fn lock(counts: &Counts) -> MutexGuard<'_, HashMap<ClientOrigin, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl UnknownClients {
    /// Counts a connection to a hub with at most this many connections.
    ///
    /// # Errors
    /// `busy`: there are too many from there.
    pub fn enter(&self, from: ClientOrigin, connections: usize) -> Result<UnknownSlot, Error> {
        let most = from.most(connections);
        let mut counts = lock(&self.0);
        let count = counts.entry(from).or_default();
        if *count >= most {
            return Err(from.refusal(most));
        }
        *count += 1;
        let counts = self.0.clone();
        Ok(UnknownSlot { counts, from })
    }
}

impl Drop for UnknownSlot {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_origin_has_its_own_share_and_gets_it_back() {
        let clients = UnknownClients::default();
        let (one, two) = (
            ClientOrigin::Address([192, 0, 2, 1].into()),
            ClientOrigin::Run,
        );
        let mut slots: Vec<UnknownSlot> = (0..2).map(|_| clients.enter(one, 8).unwrap()).collect();
        let refused = clients.enter(one, 8).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Busy);
        let other = clients.enter(two, 8).unwrap();
        slots.pop();
        slots.push(clients.enter(one, 8).unwrap());
        drop((slots, other));
        assert!(lock(&clients.0).is_empty());
        let with_token = || clients.enter(ClientOrigin::RunWithToken, 8);
        let slots: Vec<UnknownSlot> = (0..4).map(|_| with_token().unwrap()).collect();
        assert_eq!(with_token().unwrap_err().code, ErrorCode::Busy);
        drop(slots);
        // A small hub serves one client at least.
        assert!(clients.enter(one, 2).is_ok());
    }
}
