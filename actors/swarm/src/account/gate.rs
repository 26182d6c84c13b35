//! Admission of one run to its accounts, from the task's lease to the provider's end.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use kirosu_providers::{AccountClosed, Gatekeeper, RunResult};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::limiter::AccountVerdict;
use super::queue::Ticket;
use super::{Accounts, QueueWaiter, verdict};
use crate::headline::headline;

/// A run that uses an account. Dropping it ends the run without an effect on the account's health.
pub(crate) struct RunPass {
    accounts: Arc<Accounts>,
    ticket: Option<Ticket>,
    provider: String,
    others: bool,
}

impl RunPass {
    pub(super) fn new(accounts: Arc<Accounts>, ticket: Ticket) -> Self {
        Self {
            accounts,
            ticket: Some(ticket),
            provider: String::new(),
            others: false,
        }
    }

    /// Sets the provider that the pass is for.
    pub(super) fn named(mut self, providers: &[String], index: usize) -> Self {
        self.provider = providers.get(index).cloned().unwrap_or_default();
        self
    }

    /// The provider that the pass is for.
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// Ends the run, and applies its outcome to the account.
    pub(crate) fn ended(mut self, outcome: &RunResult) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let found = verdict::of(outcome, self.others, SystemTime::now());
        let note = match outcome {
            Ok(_) => "".into(),
            Err(failure) => headline(&failure.message),
        };
        let tokens = verdict::tokens(outcome);
        self.accounts.end(ticket, found, tokens, &note);
    }
}

impl Drop for RunPass {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.accounts.end(ticket, AccountVerdict::Nothing, 0, "");
        }
    }
}

/// The position of a waiting run, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuePosition {
    /// The providers; any of them would do.
    pub(crate) providers: Vec<String>,
    /// Number of waiters ahead.
    pub(crate) before: usize,
}

/// The gate of one run: it is admitted to the accounts of its providers one after the other.
#[derive(Clone)]
pub(crate) struct AccountGate(Arc<GateState>);

struct GateState {
    accounts: Arc<Accounts>,
    /// The pass that the session took with the lease.
    brought: Mutex<Option<RunPass>>,
    /// The provider admitted last.
    last: Mutex<Option<String>>,
    /// The admission to the account in use, and whether the agent waits for tasks below its own.
    place: Mutex<(Option<Ticket>, bool)>,
    /// The position while the run waits.
    waits: tokio::sync::watch::Sender<Option<QueuePosition>>,
}

impl AccountGate {
    pub(crate) fn new(accounts: Arc<Accounts>, brought: Option<RunPass>) -> Self {
        Self(Arc::new(GateState {
            accounts,
            brought: Mutex::new(brought),
            last: Mutex::default(),
            place: Mutex::default(),
            waits: tokio::sync::watch::Sender::new(None),
        }))
    }

    /// The provider admitted last.
    pub(crate) fn last(&self) -> Option<String> {
        self.0.last.lock().clone()
    }

    /// Returns until when and why the accounts of all these providers are parked; `None` if one is not.
    pub(crate) fn closed(&self, providers: &[String]) -> Option<AccountClosed> {
        self.0.accounts.closed(providers)
    }

    /// Returns the run's position in the queue while it waits.
    pub(crate) fn waits(&self) -> tokio::sync::watch::Receiver<Option<QueuePosition>> {
        self.0.waits.subscribe()
    }

    /// The agent of the run begins or ends a wait for tasks below its own.
    pub(crate) fn set_waiting(&self, waits: bool) {
        let mut place = self.0.place.lock();
        place.1 = waits;
        if let Some(ticket) = place.0 {
            self.0.accounts.wait(ticket, waits);
        }
    }

    /// Waits until a run may begin on one of these providers, the first that has capacity.
    ///
    /// # Errors
    /// All accounts are parked.
    pub(crate) async fn enter(
        &self,
        providers: Vec<String>,
    ) -> Result<(usize, RunPass), AccountClosed> {
        let brought = self.0.brought.lock().take();
        // A pass for another provider is dropped here, which returns its capacity.
        let found = brought.and_then(|pass| {
            let index = providers.iter().position(|name| name == pass.provider())?;
            Some((index, pass))
        });
        let (index, pass) = match found {
            Some(found) => found,
            None => self.wait(&providers).await?,
        };
        *self.0.last.lock() = Some(pass.provider().to_owned());
        let mut place = self.0.place.lock();
        place.0 = pass.ticket;
        if let (Some(ticket), true) = *place {
            self.0.accounts.wait(ticket, true);
        }
        drop(place);
        Ok((index, pass))
    }

    async fn wait(&self, providers: &[String]) -> Result<(usize, RunPass), AccountClosed> {
        let accounts = &self.0.accounts;
        let (sender, pass) = oneshot::channel();
        let ids = accounts.of(providers);
        let waiter = accounts.queue_run(&ids, sender);
        let notified = tokio::select! {
            biased;
            notified = pass => notified,
            () = self.publish_position(&waiter, providers) => return Err(given_up()),
        };
        self.0.waits.send_replace(None);
        match notified {
            Ok(Ok((index, pass))) => Ok((index, pass.named(providers, index))),
            Ok(Err(all_parked)) => {
                Err(accounts.with(|inner, now| inner.closed(&ids, all_parked, now)))
            }
            Err(_) => Err(given_up()),
        }
    }

    /// Publishes the number of waiters ahead while the run waits. Never returns.
    async fn publish_position(&self, waiter: &QueueWaiter, providers: &[String]) {
        loop {
            let id = waiter.id;
            let before = self.0.accounts.with(|inner, _| inner.queue.before(id));
            if let Some(before) = before {
                let entry = Some(QueuePosition {
                    providers: providers.to_vec(),
                    before,
                });
                self.0.waits.send_if_modified(|notified| {
                    let is_changed = *notified != entry;
                    *notified = entry;
                    is_changed
                });
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

impl Gatekeeper for AccountGate {
    fn choose(
        &self,
        providers: Vec<String>,
    ) -> BoxFuture<'static, Result<(usize, kirosu_providers::AccountPass), AccountClosed>> {
        let gate = self.clone();
        Box::pin(async move {
            let (index, mut pass) = gate.enter(providers).await?;
            pass.others = true;
            let pass = kirosu_providers::AccountPass::new(move |outcome| pass.ended(outcome));
            Ok((index, pass))
        })
    }

    fn closed(&self, providers: &[String]) -> Option<AccountClosed> {
        AccountGate::closed(self, providers)
    }
}

fn given_up() -> AccountClosed {
    AccountClosed {
        until: None,
        message: "the admission queue is gone".to_owned(),
    }
}
