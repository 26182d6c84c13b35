//! Account limiters: one per provider account of this process, shared by all pools that use it.
//!
//! # Theory of operation
//!
//! A limiter knows whether its account may be used ([`limiter`]) and how much at a time ([`limits`]); all accounts
//! share one queue ([`queue`]). These three are pure. This file adds the clock and wakes those that wait.
//!
//! - A session requests a turn before it leases, so that no lease is held for an account that is full or parked: its
//!   tasks stay in the hub, for other pools and agents. A lease request that was parked before the account filled up,
//!   and is granted later, goes back without costing an attempt. This happens at most once per session each time an
//!   account fills.
//! - The run holds an [`RunPass`] from its start to its end. Its end decides about the account ([`verdict`]): a
//!   429 parks it until the stated time, for all sessions of all pools. Then exactly one run is let through to probe
//!   it. A missing login parks it until a person acts.
//! - While the agent of a run waits for tasks below its own, its account has capacity for another run: else an account
//!   for one run at a time would wait for itself.
//! - A task that names another provider than its pool's, and a router that moves on, already have a lease: they wait
//!   in the same queue, with the lease ([`gate`]).
//!
//! Every pool's probe keeps the time ([`Accounts::keep`]), so that it is kept as long as any pool runs.

mod gate;
mod limiter;
mod limits;
mod queue;
mod verdict;
mod view;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use kirosu_providers::AccountClosed;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

pub(crate) use gate::{AccountGate, QueuePosition, RunPass};
pub use limits::AccountLimits;
pub(crate) use queue::{AccountId, LeaseTurn, WaiterId};

use limiter::{AccountHealth, AccountVerdict};
use limits::QueueTime;
use queue::{AdmissionQueue, AllParked, QueueEvent, Ticket};

use crate::sleep_until::sleep_until_some;

/// The account of a provider, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountOptions {
    /// The provider's name.
    pub provider: String,
    /// The account's name; several providers may share an account.
    pub account: String,
    /// The limits of the account, the same for all providers that share it.
    pub limits: AccountLimits,
    /// The provider's own model, used when neither task nor pool names one.
    pub model: Option<String>,
}

/// Delivers the pass, and the index of its provider, to a waiting run.
type PassSender = oneshot::Sender<Result<(usize, RunPass), AllParked>>;

/// Delivers a queue event to a waiting session or run.
enum Waker {
    Session(mpsc::UnboundedSender<LeaseTurn>),
    Run(PassSender),
}

#[derive(Default)]
struct AccountsInner {
    queue: AdmissionQueue,
    /// Accounts by provider name.
    by_provider: HashMap<String, AccountId>,
    wakers: HashMap<WaiterId, Waker>,
    known: WaiterId,
}

/// All accounts of the process.
pub(crate) struct Accounts {
    inner: Mutex<AccountsInner>,
    epoch: Instant,
    /// The next time at which the queue has to be ticked.
    due: watch::Sender<Option<QueueTime>>,
}

impl Accounts {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            epoch: Instant::now(),
            due: watch::Sender::new(None),
        })
    }

    /// Applies accounts and their limits; those not named keep theirs.
    pub(crate) fn configure(self: &Arc<Self>, accounts: &[AccountOptions]) {
        self.with(|inner, now| {
            for account in accounts {
                let id = inner.queue.account(&account.account);
                inner.by_provider.insert(account.provider.clone(), id);
                inner.queue.limit(id, account.limits, now);
            }
        });
    }

    /// Returns the accounts of these providers, in their order.
    pub(crate) fn of(self: &Arc<Self>, providers: &[String]) -> Arc<[AccountId]> {
        self.with(|inner, _| providers.iter().map(|name| inner.account(name)).collect())
    }

    /// Registers a session that will request turns. Returns its handle and the receiver of its turns.
    pub(crate) fn session(self: &Arc<Self>) -> (QueueWaiter, mpsc::UnboundedReceiver<LeaseTurn>) {
        let (sender, turns) = mpsc::unbounded_channel();
        let id = self.with(|inner, _| inner.listen(Waker::Session(sender)));
        let accounts = self.clone();
        (QueueWaiter { id, accounts }, turns)
    }

    /// Queues a run that waits for a pass on one of these accounts; `pass` receives the result.
    fn queue_run(self: &Arc<Self>, accounts: &Arc<[AccountId]>, pass: PassSender) -> QueueWaiter {
        let id = self.with(|inner, now| {
            let id = inner.listen(Waker::Run(pass));
            inner.queue.request_pass(id, accounts, now);
            id
        });
        let accounts = self.clone();
        QueueWaiter { id, accounts }
    }

    /// Lets one run probe each of these accounts that is parked.
    pub(crate) fn probe(self: &Arc<Self>, accounts: &[AccountId]) {
        self.with(|inner, now| {
            for id in accounts {
                inner.queue.probe(*id, now);
            }
        });
    }

    /// Returns the account of this name, if it exists.
    pub(crate) fn find(self: &Arc<Self>, account: &str) -> Option<AccountId> {
        self.with(|inner, _| (0..inner.queue.len()).find(|id| inner.queue.name(*id) == account))
    }

    /// Returns the names of all accounts.
    pub(crate) fn names(self: &Arc<Self>) -> Vec<String> {
        self.with(|inner, _| {
            let ids = 0..inner.queue.len();
            ids.map(|id| inner.queue.name(id).to_owned()).collect()
        })
    }

    /// Probes the accounts that wait for a person, because the settings were reloaded.
    pub(crate) fn reloaded(self: &Arc<Self>) {
        self.with(|inner, now| {
            for id in 0..inner.queue.len() {
                if let AccountHealth::Parked { until: None, .. } = inner.queue.health(id) {
                    inner.queue.probe(id, now);
                }
            }
        });
    }

    /// Returns until when and why the accounts of all these providers are parked; `None` if one is not.
    pub(crate) fn closed(self: &Arc<Self>, providers: &[String]) -> Option<AccountClosed> {
        self.with(|inner, now| {
            let ids: Vec<AccountId> = providers.iter().map(|name| inner.account(name)).collect();
            let all_parked = inner.queue.all_parked(&ids)?;
            Some(inner.closed(&ids, all_parked, now))
        })
    }

    /// Ticks the queue when it is due. Never returns. May run several times at once.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut due = self.due.subscribe();
        loop {
            let at = *due.borrow_and_update();
            let at = at.and_then(|at| self.epoch.checked_add(at));
            tokio::select! {
                changed = due.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until_some(at) => self.with(|inner, now| inner.queue.tick(now)),
            }
        }
    }

    /// Runs `act` under the lock, then delivers the events outside of it.
    fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut AccountsInner, QueueTime) -> R) -> R {
        let now = self.epoch.elapsed();
        let mut notified = Vec::new();
        let mut lines = Vec::new();
        let answer = {
            let mut inner = self.inner.lock();
            let answer = act(&mut inner, now);
            for events in inner.queue.events() {
                match events {
                    QueueEvent::Changed(id) => lines.push(inner.line_of(id, now)),
                    events => notified.extend(inner.waker(events).map(|waker| (waker, events))),
                }
            }
            // Under the lock, so that an older time does not replace a newer one.
            let due = inner.queue.next();
            self.due.send_if_modified(|old| {
                let other = *old != due;
                *old = due;
                other
            });
            answer
        };
        lines.into_iter().for_each(|entries| entries.write());
        for (waker, events) in notified {
            // If the receiver is gone, the pass in the message is dropped here and returns its capacity.
            match (waker, events) {
                (Waker::Session(turns), QueueEvent::Turn(_, turn)) => drop(turns.send(turn)),
                (Waker::Run(pass), QueueEvent::Pass(_, admitted)) => {
                    drop(pass.send(Ok((
                        admitted.index,
                        RunPass::new(self.clone(), admitted.ticket),
                    ))));
                }
                (Waker::Run(pass), QueueEvent::Shut(_, all_parked)) => {
                    drop(pass.send(Err(all_parked)))
                }
                _ => {}
            }
        }
        answer
    }

    fn wait(self: &Arc<Self>, ticket: Ticket, waits: bool) {
        self.with(|inner, now| inner.queue.wait(ticket, waits, now));
    }

    fn end(self: &Arc<Self>, ticket: Ticket, verdict: AccountVerdict, tokens: u64, note: &str) {
        self.with(|inner, now| inner.queue.end(ticket, verdict, tokens, note, now));
    }
}

impl AccountsInner {
    /// Returns the account of a provider; one that is not configured has an account of its own name.
    fn account(&mut self, provider: &str) -> AccountId {
        if let Some(id) = self.by_provider.get(provider) {
            return *id;
        }
        let id = self.queue.account(provider);
        self.by_provider.insert(provider.to_owned(), id);
        id
    }

    fn listen(&mut self, waker: Waker) -> WaiterId {
        self.known += 1;
        self.wakers.insert(self.known, waker);
        self.known
    }

    /// Returns the waker for an event. A run is woken once, so its waker is removed.
    fn waker(&mut self, events: QueueEvent) -> Option<Waker> {
        match events {
            QueueEvent::Turn(waiter, _) => match self.wakers.get(&waiter)? {
                Waker::Session(turns) => Some(Waker::Session(turns.clone())),
                Waker::Run(_) => None,
            },
            QueueEvent::Pass(waiter, _) | QueueEvent::Shut(waiter, _) => {
                self.wakers.remove(&waiter)
            }
            QueueEvent::Changed(_) => None,
        }
    }
}

/// A session or run in the queue; leaves it when dropped.
pub(crate) struct QueueWaiter {
    id: WaiterId,
    accounts: Arc<Accounts>,
}

impl QueueWaiter {
    /// Requests a turn to lease for one of these accounts. `None` means that it arrives later.
    pub(crate) fn request_turn(&self, accounts: &Arc<[AccountId]>) -> Option<LeaseTurn> {
        let id = self.id;
        self.accounts
            .with(|inner, now| inner.queue.request_turn(id, accounts, now))
    }

    /// Begins the run of a leased task.
    ///
    /// # Errors
    /// No account has capacity; the text is the reason, for people.
    pub(crate) fn begin(&self, providers: &[String]) -> Result<RunPass, String> {
        let id = self.id;
        let admitted = self.accounts.with(|inner, now| {
            let ids: Vec<AccountId> = providers.iter().map(|name| inner.account(name)).collect();
            let admitted = inner.queue.take(id, &ids, now);
            admitted.map_err(|all_parked| match all_parked {
                Some(all_parked) => inner.closed(&ids, all_parked, now).message,
                None => format!("provider {} is busy up to its limits", providers.join(", ")),
            })
        })?;
        let pass = RunPass::new(self.accounts.clone(), admitted.ticket);
        Ok(pass.named(providers, admitted.index))
    }

    /// Gives up the turn or the place in the queue.
    pub(crate) fn leave(&self) {
        let id = self.id;
        self.accounts.with(|inner, now| inner.queue.leave(id, now));
    }
}

impl Drop for QueueWaiter {
    fn drop(&mut self) {
        let id = self.id;
        self.accounts.with(|inner, now| {
            inner.wakers.remove(&id);
            inner.queue.leave(id, now);
        });
    }
}

/// Converts to wall-clock time.
fn wall(at: QueueTime, now: QueueTime) -> Option<SystemTime> {
    SystemTime::now().checked_add(at.saturating_sub(now))
}
