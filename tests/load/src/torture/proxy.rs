//! A wire between workers and hub that can be cut or held, each direction by itself.
//!
//! The proxy listens on one address and forwards to the hub's present address. *Passing*, it changes nothing. *Cut*, it discards all
//! bytes: neither side notices, as with a pulled cable, until the cut heals and the connection is reset. *Held*, it stops reading,
//! like a client that does not read; sent bytes stay in the kernel's buffers and arrive later.

use super::link::Shared;
use crate::Fault;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::Scope;
use std::time::Duration;

/// Interval in which the gate is polled.
const LOOK: Duration = Duration::from_millis(5);

/// Handling of the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They pass.
    Open,
    /// They are swallowed.
    Cut,
    /// They wait.
    Held,
}

/// The gates of both directions, and what came to pass.
#[derive(Debug, Default)]
pub struct Gates {
    to_hub: AtomicU8,
    to_worker: AtomicU8,
    swallowed: AtomicU64,
}

impl Gates {
    /// Sets both gates.
    pub fn set(&self, to_hub: Gate, to_worker: Gate) {
        self.to_hub.store(to_hub as u8, Ordering::Release);
        self.to_worker.store(to_worker as u8, Ordering::Release);
    }

    /// Bytes that went nowhere.
    pub fn swallowed(&self) -> u64 {
        self.swallowed.load(Ordering::Relaxed)
    }
}

fn gate(of: &AtomicU8) -> Gate {
    match of.load(Ordering::Acquire) {
        open if open == Gate::Open as u8 => Gate::Open,
        cut if cut == Gate::Cut as u8 => Gate::Cut,
        _ => Gate::Held,
    }
}

/// Starts the proxy's threads, which end with the torture; its address, for workers.
pub fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    shared: &'env Shared,
    gates: &'env Gates,
) -> Result<SocketAddr, Fault> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    scope.spawn(move || {
        while !shared.is_over() {
            match listener.accept() {
                Ok((worker, _)) => connect(scope, shared, gates, worker),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    });
    Ok(address)
}

/// Leads one connection to the hub. A hub that is down ends it, as it would without us.
fn connect<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    shared: &'env Shared,
    gates: &'env Gates,
    worker: TcpStream,
) {
    let Ok((worker, hub)) = pair(worker, shared.address()) else {
        return;
    };
    for (from, to, gate) in [
        (worker.clone(), hub.clone(), &gates.to_hub),
        (hub, worker, &gates.to_worker),
    ] {
        scope.spawn(move || {
            // Both sides are closed, however it ends.
            let _ = pump(shared, gates, &from, &to, gate);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

type Ends = (Arc<TcpStream>, Arc<TcpStream>);

fn pair(worker: TcpStream, hub: SocketAddr) -> std::io::Result<Ends> {
    let hub = TcpStream::connect_timeout(&hub, Duration::from_secs(1))?;
    for end in [&worker, &hub] {
        end.set_nonblocking(false)?;
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(LOOK))?;
    }
    Ok((Arc::new(worker), Arc::new(hub)))
}

/// Carries one direction until it ends, or heals after bytes of it were lost.
fn pump(
    shared: &Shared,
    gates: &Gates,
    mut from: &TcpStream,
    mut to: &TcpStream,
    direction: &AtomicU8,
) -> std::io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    let (mut lost, mut ended) = (false, false);
    while !shared.is_over() {
        let now = gate(direction);
        if now == Gate::Open && (lost || ended) {
            return Ok(());
        }
        if now == Gate::Held || ended {
            std::thread::sleep(LOOK);
            continue;
        }
        let got = match from.read(&mut bytes) {
            Ok(got) => got,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => 0,
        };
        ended = got == 0;
        // The gate may have closed while we waited for bytes: those that come then are behind it.
        match gate(direction) {
            Gate::Cut => {
                lost |= got > 0;
                gates.swallowed.fetch_add(got as u64, Ordering::Relaxed);
            }
            _ => to.write_all(&bytes[..got])?,
        }
    }
    Ok(())
}
