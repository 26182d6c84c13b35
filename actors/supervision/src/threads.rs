//! Named threads, each with an arbiter: started, probed for liveness and joined here
//! (`System::stop` does not join threads).

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

thread_local! {
    static LABEL: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Label of the calling thread, as shown in the tree.
pub(crate) fn label() -> Arc<str> {
    LABEL.with_borrow_mut(|label| {
        label
            .get_or_insert_with(|| std::thread::current().name().unwrap_or("main").into())
            .clone()
    })
}

/// Sets the label that the tree shows for children on the calling thread.
pub fn label_this_thread(name: &str) {
    LABEL.with_borrow_mut(|label| *label = Some(name.into()));
}

/// Response of one thread to [`ThreadRegistry::pulse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThreadPulse {
    /// Label of the thread.
    #[serde(serialize_with = "crate::id::text")]
    pub thread: Arc<str>,
    /// Response time in milliseconds. `None` means that there was no response within the deadline.
    pub after_ms: Option<u64>,
}

/// A registered thread.
#[derive(Debug)]
struct ThreadEntry {
    label: Arc<str>,
    handle: ArbiterHandle,
    /// For the join. `None` means that the thread was [adopted](ThreadRegistry::adopt).
    arbiter: Option<Arbiter>,
}

/// All threads with an arbiter in this process. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct ThreadRegistry {
    list: Arc<Mutex<Vec<ThreadEntry>>>,
}

impl ThreadRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a thread with an arbiter and returns the handle for
    /// [`ChildSpec::on`](crate::ChildSpec::on).
    ///
    /// # Errors
    /// When the system refuses the thread or its runtime.
    ///
    /// # Panics
    /// When no actix system runs on the calling thread.
    pub fn start(&self, name: &str) -> io::Result<ArbiterHandle> {
        let arbiter = Arbiter::try_new()?;
        let label: Arc<str> = name.into();
        let on_thread = label.clone();
        arbiter.spawn_fn(move || label_this_thread(&on_thread));
        let handle = arbiter.handle();
        self.lock().push(ThreadEntry {
            label,
            handle: handle.clone(),
            arbiter: Some(arbiter),
        });
        Ok(handle)
    }

    /// Adds the calling thread, which runs an actix system. [`pulse`](Self::pulse) probes it, but
    /// [`stop`](Self::stop) neither stops nor joins it.
    ///
    /// # Panics
    /// When no actix system runs on the calling thread.
    pub fn adopt(&self) {
        self.lock().push(ThreadEntry {
            label: label(),
            handle: Arbiter::current(),
            arbiter: None,
        });
    }

    /// Runs a probe on every thread and waits at most `deadline` for all responses.
    pub async fn pulse(&self, deadline: Duration) -> Vec<ThreadPulse> {
        let probes: Vec<_> = {
            let list = self.lock();
            list.iter()
                .map(|entry| {
                    let (sender, response) = oneshot::channel();
                    entry.handle.spawn_fn(move || {
                        let _ = sender.send(Instant::now());
                    });
                    (entry.label.clone(), response)
                })
                .collect()
        };
        let start = Instant::now();
        let mut pulses = Vec::with_capacity(probes.len());
        for (thread, response) in probes {
            let response = tokio::time::timeout_at(start + deadline, response).await;
            let after_ms = match response {
                Ok(Ok(at)) => Some(crate::clock::millis(at.saturating_duration_since(start))),
                _ => None,
            };
            pulses.push(ThreadPulse { thread, after_ms });
        }
        pulses
    }

    /// Blocks the thread with this label for a time, for fault tests. Returns false if there is no
    /// such thread.
    #[cfg(any(test, feature = "fault-injection"))]
    pub fn inject_hang(&self, label: &str, lasting: Duration) -> bool {
        let list = self.lock();
        let hung = list.iter().find(|entry| &*entry.label == label);
        hung.is_some_and(|entry| entry.handle.spawn_fn(move || std::thread::sleep(lasting)))
    }

    /// Stops all threads, last started first, and joins them. Returns the labels of the threads
    /// that have not ended within `deadline`; these are not joined.
    pub async fn stop(&self, deadline: Duration) -> Vec<Arc<str>> {
        let mut list = std::mem::take(&mut *self.lock());
        list.reverse();
        let until = Instant::now() + deadline;
        let mut left = Vec::new();
        for ThreadEntry { label, arbiter, .. } in list {
            let Some(arbiter) = arbiter else { continue };
            arbiter.stop();
            let (joined, done) = oneshot::channel();
            // Not on the runtime's pool: the runtime would wait for the join at its own end.
            std::thread::spawn(move || {
                let _ = arbiter.join();
                let _ = joined.send(());
            });
            if tokio::time::timeout_at(until, done).await.is_err() {
                tracing::error!(thread = %label, "the thread does not end, continuing without it");
                left.push(label);
            } else {
                tracing::debug!(thread = %label, "thread joined");
            }
        }
        left
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<ThreadEntry>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
