//! The way of a run to its account: from the task's lease to the provider's end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use kirosu_providers::{AccountClosed, Finished, Gatekeeper, RunFailure};
use tokio::sync::oneshot;

use super::house::{LaneId, Shut, Ticket, Who};
use super::standing::Verdict;
use super::{Ear, Lanes, verdict};
use crate::headline::headline;

/// A run under way on a lane. Dropped without a word it tells nothing about the account.
pub(crate) struct Pass {
    lanes: Arc<Lanes>,
    ticket: Option<Ticket>,
    provider: String,
    others: bool,
}

impl Pass {
    pub(super) fn new(lanes: Arc<Lanes>, ticket: Ticket) -> Self {
        Self {
            lanes,
            ticket: Some(ticket),
            provider: String::new(),
            others: false,
        }
    }

    /// Says for which of these providers it is.
    pub(super) fn named(mut self, providers: &[String], place: usize) -> Self {
        self.provider = providers.get(place).cloned().unwrap_or_default();
        self
    }

    /// The provider that it is for.
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// The run has ended.
    pub(crate) fn ended(mut self, outcome: &Result<Finished, RunFailure>) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let found = verdict::of(outcome, self.others, SystemTime::now());
        let note = match outcome {
            Ok(_) => "".into(),
            Err(failure) => headline(&failure.message),
        };
        let tokens = verdict::tokens(outcome);
        self.lanes.end(ticket, found, tokens, &note);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.lanes.end(ticket, Verdict::Nothing, 0, "");
        }
    }
}

/// Where a run waits, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The providers, any of which would do.
    pub(crate) providers: Vec<String>,
    /// How many are before it.
    pub(crate) before: usize,
}

/// The gate of one run: where it enters the lanes of its providers, one after the other.
#[derive(Clone)]
pub(crate) struct LaneGate(Arc<Shared>);

struct Shared {
    lanes: Arc<Lanes>,
    /// What the session has brought along.
    brought: Mutex<Option<Pass>>,
    /// Who ran, or runs, last.
    last: Mutex<Option<String>>,
    /// Told when the run has to wait.
    waits: tokio::sync::watch::Sender<Option<Entry>>,
}

impl LaneGate {
    pub(crate) fn new(lanes: Arc<Lanes>, brought: Option<Pass>) -> Self {
        Self(Arc::new(Shared {
            lanes,
            brought: Mutex::new(brought),
            last: Mutex::default(),
            waits: tokio::sync::watch::Sender::new(None),
        }))
    }

    /// Who ran last.
    pub(crate) fn last(&self) -> Option<String> {
        let last = self.0.last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the lanes of all these providers are parked: until when, and why.
    pub(crate) fn shut(&self, providers: &[String]) -> Option<AccountClosed> {
        self.0.lanes.closed(providers)
    }

    /// Tells where the run waits while it does.
    pub(crate) fn waits(&self) -> tokio::sync::watch::Receiver<Option<Entry>> {
        self.0.waits.subscribe()
    }

    /// Waits until a run may begin on one of these, the first that has room.
    ///
    /// # Errors
    /// When all are parked.
    pub(crate) async fn enter(
        &self,
        providers: Vec<String>,
    ) -> Result<(usize, Pass), AccountClosed> {
        let brought = {
            let mut brought = self
                .0
                .brought
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            brought.take()
        };
        // What it is for may not be among them; then it is given back here.
        let found = brought.and_then(|pass| {
            let place = providers.iter().position(|name| name == pass.provider())?;
            Some((place, pass))
        });
        let (place, pass) = match found {
            Some(found) => found,
            None => self.wait(&providers).await?,
        };
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(pass.provider().to_owned());
        drop(last);
        Ok((place, pass))
    }

    async fn wait(&self, providers: &[String]) -> Result<(usize, Pass), AccountClosed> {
        let lanes = &self.0.lanes;
        let (sender, slot) = oneshot::channel();
        let (place, ids) = Place::take(lanes, providers, sender);
        let told = tokio::select! {
            biased;
            told = slot => told,
            () = self.tell(&place, providers) => return Err(given_up()),
        };
        self.0.waits.send_replace(None);
        match told {
            Ok(Ok((place, pass))) => Ok((place, pass.named(providers, place))),
            Ok(Err(shut)) => Err(lanes.with(|inner, now| inner.closed(&ids, shut, now))),
            Err(_) => Err(given_up()),
        }
    }

    /// Tells how many are before it, for as long as it waits.
    async fn tell(&self, place: &Place, providers: &[String]) {
        loop {
            let who = place.who;
            let before = place.lanes.with(|inner, _| inner.house.before(who));
            if let Some(before) = before {
                let entry = Some(Entry {
                    providers: providers.to_vec(),
                    before,
                });
                self.0.waits.send_if_modified(|told| {
                    let is_news = *told != entry;
                    *told = entry;
                    is_news
                });
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

impl Gatekeeper for LaneGate {
    fn choose(
        &self,
        providers: Vec<String>,
    ) -> BoxFuture<'static, Result<(usize, kirosu_providers::AccountPass), AccountClosed>> {
        let gate = self.clone();
        Box::pin(async move {
            let (place, mut pass) = gate.enter(providers).await?;
            pass.others = true;
            let pass = kirosu_providers::AccountPass::new(move |outcome| pass.ended(outcome));
            Ok((place, pass))
        })
    }

    fn closed(&self, providers: &[String]) -> Option<AccountClosed> {
        self.shut(providers)
    }
}

fn given_up() -> AccountClosed {
    AccountClosed {
        until: None,
        message: "the lanes are gone".to_owned(),
    }
}

/// A run's place in the line; left when it is dropped.
struct Place {
    who: Who,
    lanes: Arc<Lanes>,
}

impl Place {
    fn take(
        lanes: &Arc<Lanes>,
        providers: &[String],
        slot: oneshot::Sender<Result<(usize, Pass), Shut>>,
    ) -> (Self, Arc<[LaneId]>) {
        let ids = lanes.of(providers);
        let asked = ids.clone();
        let who = lanes.with(move |inner, now| {
            let who = inner.listen(Ear::Run(slot));
            inner.house.ask_slot(who, &asked, now);
            who
        });
        let lanes = lanes.clone();
        (Self { who, lanes }, ids)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let who = self.who;
        self.lanes.with(|inner, now| {
            inner.ears.remove(&who);
            inner.house.leave(who, now);
        });
    }
}
