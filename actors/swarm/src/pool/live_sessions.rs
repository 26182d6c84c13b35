//! What a session keeps of its pool's provider between two tasks: a live provider session (an agent process that speaks
//! a protocol), lent to each run and taken back.
//!
//! A session that ends, however it does, ends what it keeps; a run that outlasts its session drops what it was lent. A
//! provider that is another than before (the settings changed) gets a live session of its own, and the old one is closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kirosu_providers::{
    Cancel, EventSink, Finished, Job, Provider, ProviderSession, RunFailure, SessionOptions,
};

/// How long something is kept that no task uses: an agent program may hold hundreds of megabytes.
const IDLE: Duration = Duration::from_secs(300);

/// What the sessions of one pool keep.
#[derive(Default)]
pub(crate) struct LiveSessions(Arc<Mutex<LiveSlots>>);

#[derive(Default)]
struct LiveSlots {
    /// By the session's number.
    slots: HashMap<u32, LiveSlot>,
    last: u64,
}

/// The place of one session, as long as it lives.
struct LiveSlot {
    /// Which life of the session this is.
    incarnation: u64,
    /// Runs so far.
    runs: u64,
    kept: Option<KeptSession>,
}

struct KeptSession {
    provider: Arc<dyn Provider>,
    session: Box<dyn ProviderSession>,
}

impl LiveSessions {
    /// A session begins; gives back which life of it this is.
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

    /// That life is over. What it kept ends in the background, unless [`LiveSessions::close`] came first.
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

    /// Ends what a session keeps, in good order. Resolves when it is dead.
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

    /// Runs a job on the session's own live session, which is opened where the provider has such. `again`: another job
    /// may use it; else it is closed when this one is over.
    pub(crate) async fn run(
        &self,
        session: u32,
        provider: &Arc<dyn Provider>,
        job: Job,
        again: bool,
        events: EventSink,
        cancel: Cancel,
    ) -> Result<Finished, RunFailure> {
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
            // Before anybody looks at the folder: nothing may work in it any more.
            false => kept.session.close().await,
        }
        outcome
    }

    /// Keeps it, if the life that it was lent in goes on; else it is dropped, which ends it.
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

    /// Closes what is kept if no run has used it for a while.
    fn close_when_idle(&self, session: u32, incarnation: u64, runs: u64) {
        let slots = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            let kept = slots.upgrade().and_then(|slots| {
                let mut all = slots.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
