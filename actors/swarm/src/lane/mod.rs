//! Lanes: one for each provider account of this process, shared by all pools that use it.
//!
//! # Theory of operation
//!
//! A lane knows whether its account may be asked ([`standing`]) and how much at a time ([`limits`]); all lanes together
//! have one line of those who wait ([`house`]). These three are pure; this file gives them the clock, and tells those
//! who wait.
//!
//! - A session asks for a turn before it leases, so that no lease is held for an account that is full or parked: its
//!   tasks stay in the hub, for other pools and other agents. A lease that was parked before the lane filled up, and is
//!   granted after, goes back without costing an attempt; this happens at most once a session each time a lane fills.
//! - The run itself holds a [`Pass`] from its start to its end. What its end tells about the account decides about the
//!   lane ([`verdict`]): a 429 parks it until the time it names, for all sessions of all pools at once. At that time
//!   exactly one run is let through. No login parks it until a person acts.
//! - A task that names another provider than its pool's, and a router that moves on, have a lease already: they wait in
//!   the same line, with the lease ([`gate`]).
//!
//! Every pool's probe keeps the time ([`Lanes::keep`]), so that it is kept as long as any pool lives.

mod gate;
mod house;
mod limits;
mod standing;
mod verdict;
mod view;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use kirosu_providers::AccountClosed;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

pub(crate) use gate::{Entry, LaneGate, Pass};
pub(crate) use house::{LaneId, Turn, Who};
pub use limits::Limits;

use house::{House, News, Shut, Ticket};
use limits::Moment;
use standing::{Standing, Verdict};

use crate::later::until;

/// Which account a provider belongs to, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The provider's name.
    pub provider: String,
    /// The account's name: several providers may share one.
    pub account: String,
    /// The limits of the account, the same for all who share it.
    pub limits: Limits,
    /// The provider's own model, where neither task nor pool names one.
    pub model: Option<String>,
}

/// Who hears that it is its turn.
enum Ear {
    Session(mpsc::UnboundedSender<Turn>),
    Run(oneshot::Sender<Result<(usize, Pass), Shut>>),
}

#[derive(Default)]
struct Inner {
    house: House,
    /// Lanes by providers' names.
    by_provider: HashMap<String, LaneId>,
    ears: HashMap<Who, Ear>,
    known: Who,
}

/// All lanes of the process.
pub(crate) struct Lanes {
    inner: Mutex<Inner>,
    epoch: Instant,
    /// When something is due.
    due: watch::Sender<Option<Moment>>,
}

impl Lanes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            epoch: Instant::now(),
            due: watch::Sender::new(None),
        })
    }

    /// Puts accounts and their limits in force; those not named stay as they are.
    pub(crate) fn configure(self: &Arc<Self>, accounts: &[Account]) {
        self.with(|inner, now| {
            for account in accounts {
                let id = inner.house.lane(&account.account);
                inner.by_provider.insert(account.provider.clone(), id);
                inner.house.limit(id, account.limits, now);
            }
        });
    }

    /// The lanes of these providers, in their order.
    pub(crate) fn of(self: &Arc<Self>, providers: &[String]) -> Arc<[LaneId]> {
        self.with(|inner, _| providers.iter().map(|name| inner.lane(name)).collect())
    }

    /// A place for a session that will ask for turns, and where it hears of them.
    pub(crate) fn session(self: &Arc<Self>) -> (Seat, mpsc::UnboundedReceiver<Turn>) {
        let (sender, turns) = mpsc::unbounded_channel();
        let who = self.with(|inner, _| inner.listen(Ear::Session(sender)));
        let lanes = self.clone();
        (Seat { who, lanes }, turns)
    }

    /// Lets one run find out whether these lanes work again, where they are parked.
    pub(crate) fn probe(self: &Arc<Self>, lanes: &[LaneId]) {
        self.with(|inner, now| {
            for id in lanes {
                inner.house.probe(*id, now);
            }
        });
    }

    /// The lane of this account, where there is one.
    pub(crate) fn find(self: &Arc<Self>, account: &str) -> Option<LaneId> {
        self.with(|inner, _| (0..inner.house.len()).find(|id| inner.house.account(*id) == account))
    }

    /// The names of all accounts.
    pub(crate) fn accounts(self: &Arc<Self>) -> Vec<String> {
        self.with(|inner, _| {
            let ids = 0..inner.house.len();
            ids.map(|id| inner.house.account(id).to_owned()).collect()
        })
    }

    /// A person has changed the settings: lanes that wait for one are tried again.
    pub(crate) fn reloaded(self: &Arc<Self>) {
        self.with(|inner, now| {
            for id in 0..inner.house.len() {
                if let Standing::Parked { until: None, .. } = inner.house.standing(id) {
                    inner.house.probe(id, now);
                }
            }
        });
    }

    /// Where the lanes of all these providers are parked: until when, and why.
    pub(crate) fn closed(self: &Arc<Self>, providers: &[String]) -> Option<AccountClosed> {
        self.with(|inner, now| {
            let ids: Vec<LaneId> = providers.iter().map(|name| inner.lane(name)).collect();
            let shut = inner.house.shut(&ids)?;
            Some(inner.closed(&ids, shut, now))
        })
    }

    /// Keeps the time, for ever. Several may do so.
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
                () = until(at) => self.with(|inner, now| inner.house.tick(now)),
            }
        }
    }

    /// Does something with the lanes, and tells everybody what follows once they are free again.
    fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut Inner, Moment) -> R) -> R {
        let now = self.epoch.elapsed();
        let mut told = Vec::new();
        let mut lines = Vec::new();
        let answer = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = act(&mut inner, now);
            for news in inner.house.news() {
                match news {
                    News::Changed(id) => lines.push(inner.line_of(id, now)),
                    news => told.extend(inner.ear(news).map(|ear| (ear, news))),
                }
            }
            // While nobody else can: an older word must not take the place of a newer one.
            let due = inner.house.next();
            self.due.send_if_modified(|old| {
                let other = *old != due;
                *old = due;
                other
            });
            answer
        };
        lines.into_iter().for_each(|line| line.write());
        for (ear, news) in told {
            // Where nobody hears, what was given is given back when it is dropped, here or by who has left.
            match (ear, news) {
                (Ear::Session(turns), News::Turn(_, turn)) => drop(turns.send(turn)),
                (Ear::Run(slot), News::Slot(_, begun)) => {
                    drop(slot.send(Ok((begun.place, Pass::new(self.clone(), begun.ticket)))));
                }
                (Ear::Run(slot), News::Shut(_, shut)) => drop(slot.send(Err(shut))),
                _ => {}
            }
        }
        answer
    }

    fn end(self: &Arc<Self>, ticket: Ticket, verdict: Verdict, tokens: u64, note: &str) {
        self.with(|inner, now| inner.house.end(ticket, verdict, tokens, note, now));
    }
}

impl Inner {
    /// The lane of a provider; one that nobody configured has an account of its own name.
    fn lane(&mut self, provider: &str) -> LaneId {
        if let Some(id) = self.by_provider.get(provider) {
            return *id;
        }
        let id = self.house.lane(provider);
        self.by_provider.insert(provider.to_owned(), id);
        id
    }

    fn listen(&mut self, ear: Ear) -> Who {
        self.known += 1;
        self.ears.insert(self.known, ear);
        self.known
    }

    /// Who is to hear this; a run hears once.
    fn ear(&mut self, news: News) -> Option<Ear> {
        match news {
            News::Turn(who, _) => match self.ears.get(&who)? {
                Ear::Session(turns) => Some(Ear::Session(turns.clone())),
                Ear::Run(_) => None,
            },
            News::Slot(who, _) | News::Shut(who, _) => self.ears.remove(&who),
            News::Changed(_) => None,
        }
    }
}

/// A session's place before the lanes; given up when it is dropped.
pub(crate) struct Seat {
    who: Who,
    lanes: Arc<Lanes>,
}

impl Seat {
    /// Asks for a turn to lease for one of these lanes. None: it is told later.
    pub(crate) fn ask(&self, lanes: &Arc<[LaneId]>) -> Option<Turn> {
        let who = self.who;
        self.lanes
            .with(|inner, now| inner.house.ask_turn(who, lanes, now))
    }

    /// Begins the run of a task that was leased.
    ///
    /// # Errors
    /// When no lane has room: why, for people.
    pub(crate) fn begin(&self, providers: &[String]) -> Result<Pass, String> {
        let who = self.who;
        let begun = self.lanes.with(|inner, now| {
            let ids: Vec<LaneId> = providers.iter().map(|name| inner.lane(name)).collect();
            let begun = inner.house.take(who, &ids, now);
            begun.map_err(|shut| match shut {
                Some(shut) => inner.closed(&ids, shut, now).message,
                None => format!("provider {} is busy up to its limits", providers.join(", ")),
            })
        })?;
        let pass = Pass::new(self.lanes.clone(), begun.ticket);
        Ok(pass.named(providers, begun.place))
    }

    /// No longer wants a turn, or does not use the one it has.
    pub(crate) fn leave(&self) {
        let who = self.who;
        self.lanes.with(|inner, now| inner.house.leave(who, now));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let who = self.who;
        self.lanes.with(|inner, now| {
            inner.ears.remove(&who);
            inner.house.leave(who, now);
        });
    }
}

/// A moment by the wall clock.
fn wall(at: Moment, now: Moment) -> Option<SystemTime> {
    SystemTime::now().checked_add(at.saturating_sub(now))
}
