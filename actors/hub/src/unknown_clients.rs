//! Connections of clients that need a key and have not sent a valid one, by their address: one address must not take all
//! connections of the hub.

use kirosu_protocol::{Error, ErrorCode};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most such connections of one address. An agent host with more sessions connects them one after the other.
const PER_ADDRESS: usize = 256;
/// The part of all connections that such ones of one address may take, if that is less.
const PART: usize = 4;

type Counts = Mutex<HashMap<IpAddr, usize>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct UnknownClients(Arc<Counts>);

/// A counted connection. Dropped when its client has sent a valid key, or is gone.
#[derive(Debug)]
pub(crate) struct UnknownSlot {
    counts: Arc<Counts>,
    from: IpAddr,
}

fn lock(counts: &Counts) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl UnknownClients {
    /// Counts a connection from an address to a hub with at most this many connections.
    ///
    /// # Errors
    /// `busy`: the address has too many.
    pub fn enter(&self, from: IpAddr, connections: usize) -> Result<UnknownSlot, Error> {
        let most = PER_ADDRESS.min(connections / PART).max(1);
        let mut counts = lock(&self.0);
        let count = counts.entry(from).or_default();
        if *count >= most {
            let message = format!(
                "{from} has {most} connections whose clients have not sent a valid key, and may have no more; send the key right after connecting, and try again"
            );
            return Err(Error::new(ErrorCode::Busy, message));
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
    fn each_address_has_its_own_share_and_gets_it_back() {
        let clients = UnknownClients::default();
        let (one, two) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let mut slots: Vec<UnknownSlot> = (0..2).map(|_| clients.enter(one, 8).unwrap()).collect();
        let refused = clients.enter(one, 8).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Busy);
        let other = clients.enter(two, 8).unwrap();
        slots.pop();
        slots.push(clients.enter(one, 8).unwrap());
        drop((slots, other));
        assert!(lock(&clients.0).is_empty());
        // A small hub serves one client of an address at least.
        assert!(clients.enter(one, 2).is_ok());
    }
}
