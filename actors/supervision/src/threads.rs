//! Named threads, each with an arbiter: started here, asked for a sign of life, and joined at the
//! end (`System::stop` joins nothing).

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

/// Label of the calling thread as the tree shows it.
pub(crate) fn label() -> Arc<str> {
    LABEL.with_borrow_mut(|label| {
        label
            .get_or_insert_with(|| std::thread::current().name().unwrap_or("main").into())
            .clone()
    })
}

/// Gives the calling thread the label that the tree shows for children running on it.
pub fn label_this_thread(name: &str) {
    LABEL.with_borrow_mut(|label| *label = Some(name.into()));
}

/// The answer of one thread to [`Threads::pulse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulse {
    /// Label of the thread.
    #[serde(serialize_with = "crate::id::text")]
    pub thread: Arc<str>,
    /// How long it took to answer; none if it did not answer in time.
    pub after_ms: Option<u64>,
}

/// A thread that can be asked.
#[derive(Debug)]
struct Asked {
    label: Arc<str>,
    handle: ArbiterHandle,
    /// Of a thread started here, to join it; none of one that was [adopted](Threads::adopt).
    arbiter: Option<Arbiter>,
}

/// All threads started or adopted by the house. Clone it; all clones see the same threads.
#[derive(Debug, Clone, Default)]
pub struct Threads {
    list: Arc<Mutex<Vec<Asked>>>,
}

impl Threads {
    /// No thread yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a thread with an arbiter and returns the handle that
    /// [`ChildSpec::on`](crate::ChildSpec::on) wants.
    ///
    /// # Errors
    /// When the machine refuses a thread or a runtime.
    ///
    /// # Panics
    /// When no actix system runs on the calling thread.
    pub fn start(&self, name: &str) -> io::Result<ArbiterHandle> {
        let arbiter = Arbiter::try_new()?;
        let label: Arc<str> = name.into();
        let told = label.clone();
        arbiter.spawn_fn(move || label_this_thread(&told));
        let handle = arbiter.handle();
        self.lock().push(Asked {
            label,
            handle: handle.clone(),
            arbiter: Some(arbiter),
        });
        Ok(handle)
    }

    /// Counts the calling thread, which runs an actix system, among those that are asked for a
    /// sign of life. It is neither stopped nor joined by [`stop`](Self::stop).
    ///
    /// # Panics
    /// When no actix system runs on the calling thread.
    pub fn adopt(&self) {
        self.lock().push(Asked {
            label: label(),
            handle: Arbiter::current(),
            arbiter: None,
        });
    }

    /// Asks every thread for a sign of life and waits at most `deadline` for all of them.
    pub async fn pulse(&self, deadline: Duration) -> Vec<Pulse> {
        let asked: Vec<_> = {
            let list = self.lock();
            list.iter()
                .map(|asked| {
                    let (sign, answer) = oneshot::channel();
                    asked.handle.spawn_fn(move || {
                        let _ = sign.send(Instant::now());
                    });
                    (asked.label.clone(), answer)
                })
                .collect()
        };
        let start = Instant::now();
        let mut pulses = Vec::with_capacity(asked.len());
        for (thread, answer) in asked {
            let answered = tokio::time::timeout_at(start + deadline, answer).await;
            let after_ms = match answered {
                Ok(Ok(at)) => Some(crate::clock::millis(at.saturating_duration_since(start))),
                _ => None,
            };
            pulses.push(Pulse { thread, after_ms });
        }
        pulses
    }

    /// Keeps the thread with this label busy for a while, as code that does not return would; false
    /// when there is none. Fault tests only.
    #[cfg(any(test, feature = "fault-injection"))]
    pub fn inject_hang(&self, label: &str, lasting: Duration) -> bool {
        let list = self.lock();
        let hung = list.iter().find(|asked| &*asked.label == label);
        hung.is_some_and(|asked| asked.handle.spawn_fn(move || std::thread::sleep(lasting)))
    }

    /// Stops all threads, last started first, and joins them. Returns the labels of those that
    /// did not end by the deadline; they are left behind.
    pub async fn stop(&self, deadline: Duration) -> Vec<Arc<str>> {
        let mut list = std::mem::take(&mut *self.lock());
        list.reverse();
        let until = Instant::now() + deadline;
        let mut left = Vec::new();
        for Asked { label, arbiter, .. } in list {
            let Some(arbiter) = arbiter else { continue };
            arbiter.stop();
            let (joined, done) = oneshot::channel();
            // A thread of its own and not the runtime's pool, which would wait for it at the end.
            std::thread::spawn(move || {
                let _ = arbiter.join();
                let _ = joined.send(());
            });
            if tokio::time::timeout_at(until, done).await.is_err() {
                tracing::error!(thread = %label, "does not end: leaving it behind");
                left.push(label);
            } else {
                tracing::debug!(thread = %label, "joined");
            }
        }
        left
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
