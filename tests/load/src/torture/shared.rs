//! State shared by all clients of a run.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Producers that end when the others are done: `pairs` and `bulk`.
pub const FOLLOWERS: u32 = 2;

/// State shared by all clients.
#[derive(Debug)]
pub struct Shared {
    /// Where the hub listens now; each start takes another port.
    address: Mutex<SocketAddr>,
    /// All clients may stop.
    pub over: AtomicBool,
    /// Acks taken: the progress that kills are timed by.
    pub acked: AtomicU64,
    /// Producers still at work.
    pub producing: AtomicU32,
    /// Whether requests that may be repeated are sent twice at once.
    pub twice: AtomicBool,
    /// Tasks to cancel, oldest first.
    to_cancel: Mutex<VecDeque<u64>>,
    /// Whether each call is printed when it has ended.
    pub tells: bool,
    /// Nanoseconds between two enqueues of a producer, so that there is work for as long as there are faults.
    pace: AtomicU64,
}

impl Shared {
    /// Whether producers beyond those that end with the others are still at work.
    pub fn is_producing(&self) -> bool {
        self.producing.load(Ordering::Acquire) > FOLLOWERS
    }

    /// A producer is done.
    pub fn end_producer(&self) {
        self.producing.fetch_sub(1, Ordering::Release);
    }

    /// The number of acks that were taken.
    pub fn acks(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// State for a hub at `address` and this number of producers.
    pub fn new(address: SocketAddr, producers: u32) -> Shared {
        Shared {
            address: Mutex::new(address),
            over: AtomicBool::new(false),
            acked: AtomicU64::new(0),
            producing: AtomicU32::new(producers),
            twice: AtomicBool::new(false),
            to_cancel: Mutex::default(),
            tells: false,
            pace: AtomicU64::new(0),
        }
    }

    /// The hub has moved.
    pub fn moved(&self, address: SocketAddr) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Where it is now.
    pub fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time between two enqueues of a producer.
    pub fn set_pace(&self, pace: Duration) {
        let nanoseconds = u64::try_from(pace.as_nanos()).unwrap_or(u64::MAX);
        self.pace.store(nanoseconds, Ordering::Relaxed);
    }

    /// The time between two enqueues of a producer.
    pub fn pace(&self) -> Duration {
        Duration::from_nanos(self.pace.load(Ordering::Relaxed))
    }

    /// Leaves a task to the client that cancels.
    pub fn leave_to_cancel(&self, task: u64) {
        let mut tasks = self
            .to_cancel
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tasks.push_back(task);
    }

    /// The next task to cancel.
    pub fn next_to_cancel(&self) -> Option<u64> {
        let mut tasks = self
            .to_cancel
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tasks.pop_front()
    }

    /// Whether the work is over.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
