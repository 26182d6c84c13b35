//! Live provider sessions (agent processes that speak a protocol), kept by a pool session between tasks and lent to
//! each run.
//!
//! A pool session that ends, for any reason, ends its live session; a run that outlasts its pool session drops the
//! one it was lent. When the settings change the provider, the old live session is closed and a new one is opened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kirosu_providers::{
    Cancel, EventSink, Job, Provider, ProviderSession, RunResult, SessionOptions,
};
use parking_lot::{Mutex, MutexGuard};

/// How long an unused live session is kept: an agent process may use hundreds of megabytes.
const IDLE: Duration = Duration::from_secs(300);

/// The live sessions of one pool.
#[derive(Default)]
pub(crate) struct LiveSessions(Arc<Mutex<LiveSlots>>);

#[derive(Default)]
struct LiveSlots {
    /// By session number.
    slots: HashMap<u32, LiveSlot>,
    last: u64,
}

/// The slot of one pool session, for its lifetime.
struct LiveSlot {
    /// The incarnation of the pool session.
    incarnation: u64,
    /// Number of runs so far.
    runs: u64,
    kept: Option<KeptSession>,
}

struct KeptSession {
    provider: Arc<dyn Provider>,
    session: Box<dyn ProviderSession>,
}

impl LiveSessions {
    /// Adds a slot for a pool session that begins. Returns its incarnation.
    pub(crate) fn begin(&self, session: u32) -> u64 {
        let mut all = self.lock();
        all.last += 1;
        let incarnation = all.last;
        all.slots.insert(
            session,
            LiveSlot {
                incarnation,
                runs: 0,
                kept: None,
            },
        );
        incarnation
    }

    /// Removes the slot. Its live session ends in the background, unless [`LiveSessions::close`] was called before.
    pub(crate) fn end(&self, session: u32, incarnation: u64) {
        let mut all = self.lock();
        if all
            .slots
            .get(&session)
            .is_some_and(|it| it.incarnation == incarnation)
        {
            all.slots.remove(&session);
        }
    }

    /// Closes a session's live session. Resolves when its processes are dead.
    pub(crate) fn close(&self, session: u32) -> impl Future<Output = ()> + use<> {
        let kept = self
            .lock()
            .slots
            .get_mut(&session)
            .and_then(|it| it.kept.take());
        async move {
            if let Some(kept) = kept {
                kept.session.close().await;
            }
        }
    }

    /// Runs a job on the session's live session, which is opened if the provider supports it. `again`: another job
    /// may use it; otherwise it is closed after this one.
    pub(crate) async fn run(
        &self,
        session: u32,
        provider: &Arc<dyn Provider>,
        job: Job,
        again: bool,
        events: EventSink,
        cancel: Cancel,
    ) -> RunResult {
        let (incarnation, kept) = {
            let mut all = self.lock();
            let slot = all.slots.get_mut(&session);
            slot.map(|it| (it.incarnation, it.kept.take())).unzip()
        };
        let mut kept = match kept.flatten() {
            Some(kept) if Arc::ptr_eq(&kept.provider, provider) => kept,
            other => {
                if let Some(old) = other {
                    old.session.close().await;
                }
                let options = SessionOptions {
                    workspace: job.workdir.clone(),
                    model: job.model.clone(),
                };
                let Some(opening) = provider.live_session(options) else {
                    return provider.run(job, events, cancel).await;
                };
                KeptSession {
                    provider: provider.clone(),
                    session: opening.await?,
                }
            }
        };
        let outcome = kept.session.run(job, events, cancel).await;
        match again {
            true => self.give_back(session, incarnation, kept),
            // Closed before the folder is inspected: no process may change it any more.
            false => kept.session.close().await,
        }
        outcome
    }

    /// Keeps the live session if the incarnation that it was lent to still exists; otherwise drops it, which ends it.
    fn give_back(&self, session: u32, incarnation: Option<u64>, kept: KeptSession) {
        let mut all = self.lock();
        if let Some(slot) = all.slots.get_mut(&session)
            && Some(slot.incarnation) == incarnation
        {
            slot.kept = Some(kept);
            slot.runs += 1;
            let (incarnation, runs) = (slot.incarnation, slot.runs);
            self.close_when_idle(session, incarnation, runs);
        }
    }

    /// Closes the live session if no run uses it within [`IDLE`].
    fn close_when_idle(&self, session: u32, incarnation: u64, runs: u64) {
        let slots = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            let kept = slots.upgrade().and_then(|slots| {
                let mut all = slots.lock();
                let slot = all.slots.get_mut(&session)?;
                let is_idle = (slot.incarnation, slot.runs) == (incarnation, runs);
                slot.kept.take_if(|_| is_idle)
            });
            if let Some(kept) = kept {
                tracing::info!(
                    "closes an agent that no task has used for {} s",
                    IDLE.as_secs()
                );
                kept.session.close().await;
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, LiveSlots> {
        self.0.lock()
    }
}
