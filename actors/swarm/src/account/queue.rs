//! All accounts of a process, and the one queue of those that wait for them. Pure: the caller passes the time.
//!
//! The queue is first come, first served, across pools. A session requests a *turn*, the permission to lease a task.
//! While an account has capacity for all, turns are free, and leases are parked for long. Once it is full, no session
//! leases for it. When capacity appears, the first session in the queue gets a *quick* turn, and the capacity is reserved for
//! it. If it finds no task, it moves to the end of the queue as *dry*, and the next one tries. When all are dry, all
//! may lease again. A run that already has a task requests a *pass* in the same queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::limiter::{AccountHealth, AccountLimiter, AccountVerdict, RunHold};
use super::limits::{AccountLimits, QueueTime};

/// Number of an account; never reused.
pub(crate) type AccountId = usize;
/// Number of a session or run in the queue.
pub(crate) type WaiterId = u64;
/// Number of an admitted run.
pub(crate) type Ticket = u64;

/// How a session may lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseTurn {
    /// The lease request may be parked.
    Long,
    /// The lease request must not wait, as others wait for the same capacity.
    Quick,
}

/// An admitted run; `index` is the index among the requested accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) index: usize,
    pub(crate) ticket: Ticket,
}

/// All requested accounts are parked; `until` is the earliest time at which one opens, if known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AllParked {
    pub(crate) until: Option<QueueTime>,
}

/// A result for a waiting session or run, or a change to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueEvent {
    /// A session has a turn.
    Turn(WaiterId, LeaseTurn),
    /// A run has a pass.
    Pass(WaiterId, Admitted),
    /// A run can have no pass.
    Shut(WaiterId, AllParked),
    /// The health of this account changed.
    Changed(AccountId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueueRequest {
    /// `dry` is the round in which the session found no task.
    Turn {
        dry: Option<u64>,
    },
    Pass,
}

#[derive(Debug)]
struct QueueEntry {
    waiter: WaiterId,
    accounts: Arc<[AccountId]>,
    want: QueueRequest,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct AdmissionQueue {
    accounts: Vec<AccountLimiter>,
    entries: VecDeque<QueueEntry>,
    /// Capacity reserved for quick turns.
    turns: HashMap<WaiterId, AccountId>,
    held: HashMap<Ticket, (AccountId, RunHold)>,
    tickets: Ticket,
    /// Increases with each run that begins: a dry session may find a task once that run's capacity is free again.
    round: u64,
    events: Vec<QueueEvent>,
}

impl AdmissionQueue {
    /// Returns the account of this name; adds it if it is new.
    pub(crate) fn account(&mut self, account: &str) -> AccountId {
        let found = self.accounts.iter().position(|it| it.name == account);
        found.unwrap_or_else(|| {
            self.accounts.push(AccountLimiter::new(account));
            self.accounts.len() - 1
        })
    }

    /// Returns the number of accounts.
    pub(crate) fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Applies limits.
    pub(crate) fn limit(&mut self, account: AccountId, limits: AccountLimits, now: QueueTime) {
        if self.accounts[account].limits != limits {
            self.accounts[account].limits = limits;
            self.serve(now);
        }
    }

    /// Requests a turn. A session that had a quick turn has found no task with it. `None` means that the turn follows
    /// as an event.
    pub(crate) fn request_turn(
        &mut self,
        waiter: WaiterId,
        accounts: &Arc<[AccountId]>,
        now: QueueTime,
    ) -> Option<LeaseTurn> {
        let dry = self.give_up(waiter);
        if !dry
            && accounts
                .iter()
                .any(|account| self.accounts[*account].capacity(now) > 0)
        {
            return Some(LeaseTurn::Long);
        }
        self.entries.push_back(QueueEntry {
            waiter,
            accounts: accounts.clone(),
            want: QueueRequest::Turn {
                dry: dry.then_some(self.round),
            },
        });
        if dry {
            self.serve(now);
        }
        None
    }

    /// Begins a run on the first of these accounts that has capacity, using the capacity reserved for `waiter`.
    ///
    /// # Errors
    /// No account has capacity; `Some` when all are parked.
    pub(crate) fn take(
        &mut self,
        waiter: WaiterId,
        accounts: &[AccountId],
        now: QueueTime,
    ) -> Result<Admitted, Option<AllParked>> {
        let kept = self.give_up(waiter);
        let admitted = self.begin(accounts, now);
        if kept {
            self.serve(now);
        }
        admitted.ok_or_else(|| self.all_parked(accounts))
    }

    /// Queues a request for a pass; it is served at once if there is capacity.
    pub(crate) fn request_pass(
        &mut self,
        waiter: WaiterId,
        accounts: &Arc<[AccountId]>,
        now: QueueTime,
    ) {
        self.entries.push_back(QueueEntry {
            waiter,
            accounts: accounts.clone(),
            want: QueueRequest::Pass,
        });
        self.serve(now);
    }

    /// Removes a waiter from the queue, and frees its reserved capacity.
    pub(crate) fn leave(&mut self, waiter: WaiterId, now: QueueTime) {
        self.entries.retain(|entry| entry.waiter != waiter);
        if self.give_up(waiter) {
            self.serve(now);
        }
    }

    /// The agent of a run begins or ends a wait for tasks below its own. Unknown tickets are ignored.
    pub(crate) fn wait(&mut self, ticket: Ticket, waits: bool, now: QueueTime) {
        let Some((id, hold)) = self.held.get_mut(&ticket) else {
            return;
        };
        if self.accounts[*id].wait(hold, waits) {
            self.events.push(QueueEvent::Changed(*id));
        }
        self.serve(now);
    }

    /// Ends a run. Unknown tickets are ignored.
    pub(crate) fn end(
        &mut self,
        ticket: Ticket,
        verdict: AccountVerdict,
        tokens: u64,
        note: &str,
        now: QueueTime,
    ) {
        let Some((id, hold)) = self.held.remove(&ticket) else {
            return;
        };
        let account = &mut self.accounts[id];
        let is_changed = account.end(hold, verdict, tokens, now);
        if matches!(verdict, AccountVerdict::Parks { .. }) {
            note.clone_into(&mut account.note);
        }
        if is_changed {
            self.events.push(QueueEvent::Changed(id));
        }
        self.serve(now);
    }

    /// Lets one run probe a parked account, because a person asked for it.
    pub(crate) fn probe(&mut self, id: AccountId, now: QueueTime) {
        if self.accounts[id].probe() {
            self.events.push(QueueEvent::Changed(id));
            self.serve(now);
        }
    }

    /// Ends pauses that are over and serves the queue.
    pub(crate) fn tick(&mut self, now: QueueTime) {
        for id in 0..self.accounts.len() {
            if self.accounts[id].tick(now) {
                self.events.push(QueueEvent::Changed(id));
            }
        }
        self.serve(now);
    }

    /// Returns when [`tick`](Self::tick) has to be called.
    pub(crate) fn next(&self) -> Option<QueueTime> {
        let mut due = None;
        for (id, account) in self.accounts.iter().enumerate() {
            // Checked first: few accounts have a time, and the queue may be long.
            let Some(next) = account.next() else { continue };
            let parked = matches!(account.health(), AccountHealth::Parked { .. });
            if parked
                || self
                    .entries
                    .iter()
                    .any(|entry| entry.accounts.contains(&id))
            {
                due = [due, Some(next)].into_iter().flatten().min();
            }
        }
        due
    }

    /// Takes the events that were not taken yet.
    pub(crate) fn events(&mut self) -> Vec<QueueEvent> {
        std::mem::take(&mut self.events)
    }

    /// Returns how many waiters are ahead of this one for any of its accounts; `None` if it does not wait.
    pub(crate) fn before(&self, waiter: WaiterId) -> Option<usize> {
        let at = self
            .entries
            .iter()
            .position(|entry| entry.waiter == waiter)?;
        let own = &self.entries[at].accounts;
        let rival =
            |entry: &&QueueEntry| entry.accounts.iter().any(|account| own.contains(account));
        Some(self.entries.iter().take(at).filter(rival).count())
    }

    /// Returns how many wait for this account.
    pub(crate) fn waiting(&self, id: AccountId) -> usize {
        let wants = |entry: &&QueueEntry| entry.accounts.contains(&id);
        self.entries.iter().filter(wants).count()
    }

    pub(crate) fn health(&self, id: AccountId) -> AccountHealth {
        self.accounts[id].health()
    }

    pub(crate) fn note(&self, id: AccountId) -> &str {
        &self.accounts[id].note
    }

    pub(crate) fn name(&self, id: AccountId) -> &str {
        &self.accounts[id].name
    }

    pub(crate) fn limits(&self, id: AccountId) -> AccountLimits {
        self.accounts[id].limits
    }

    pub(crate) fn running(&self, id: AccountId) -> u32 {
        self.accounts[id].running
    }

    /// Returns `Some` if all of these accounts are parked.
    pub(crate) fn all_parked(&self, accounts: &[AccountId]) -> Option<AllParked> {
        let mut first = None;
        for id in accounts {
            match self.accounts[*id].health() {
                AccountHealth::Parked { until, .. } => {
                    first = [first, until].into_iter().flatten().min();
                }
                _ => return None,
            }
        }
        Some(AllParked { until: first })
    }

    /// Frees the capacity reserved for `waiter`. Returns whether there was any.
    fn give_up(&mut self, waiter: WaiterId) -> bool {
        let kept = self.turns.remove(&waiter);
        if let Some(id) = kept {
            self.accounts[id].reserved -= 1;
        }
        kept.is_some()
    }

    fn begin(&mut self, accounts: &[AccountId], now: QueueTime) -> Option<Admitted> {
        let index = accounts
            .iter()
            .position(|id| self.accounts[*id].capacity(now) > 0)?;
        let id = accounts[index];
        self.round += 1;
        self.tickets += 1;
        let ticket = self.tickets;
        self.held.insert(ticket, (id, self.accounts[id].begin(now)));
        Some(Admitted { index, ticket })
    }

    fn is_dry(&self, entry: &QueueEntry) -> bool {
        entry.want
            == QueueRequest::Turn {
                dry: Some(self.round),
            }
    }

    /// Gives the free capacity to the queue, in order.
    fn serve(&mut self, now: QueueTime) {
        if self.entries.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.entries);
        for entry in entries {
            let QueueEntry {
                waiter,
                accounts,
                want,
            } = &entry;
            let given = match want {
                QueueRequest::Turn { .. } if self.is_dry(&entry) => false,
                QueueRequest::Turn { .. } => self.serve_turn(*waiter, accounts, now),
                QueueRequest::Pass => self.serve_pass(*waiter, accounts, now),
            };
            if !given {
                self.entries.push_back(entry);
            }
        }
        // If only dry sessions wait for an account with capacity, all of them may lease.
        let entries = std::mem::take(&mut self.entries);
        for entry in entries {
            if self.is_dry(&entry)
                && entry
                    .accounts
                    .iter()
                    .any(|id| self.accounts[*id].capacity(now) > 0)
            {
                self.events
                    .push(QueueEvent::Turn(entry.waiter, LeaseTurn::Long));
            } else {
                self.entries.push_back(entry);
            }
        }
    }

    fn serve_turn(&mut self, waiter: WaiterId, accounts: &[AccountId], now: QueueTime) -> bool {
        let free = accounts
            .iter()
            .find(|id| self.accounts[**id].capacity(now) > 0);
        let Some(id) = free.copied() else {
            return false;
        };
        self.accounts[id].reserved += 1;
        self.turns.insert(waiter, id);
        self.events.push(QueueEvent::Turn(waiter, LeaseTurn::Quick));
        true
    }

    fn serve_pass(&mut self, waiter: WaiterId, accounts: &[AccountId], now: QueueTime) -> bool {
        if let Some(admitted) = self.begin(accounts, now) {
            self.events.push(QueueEvent::Pass(waiter, admitted));
            return true;
        }
        if let Some(all_parked) = self.all_parked(accounts) {
            self.events.push(QueueEvent::Shut(waiter, all_parked));
            return true;
        }
        false
    }
}
