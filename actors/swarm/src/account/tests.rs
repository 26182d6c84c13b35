//! Whatever happens: no account is used more than it allows, and no waiter is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::limiter::{AccountHealth, AccountVerdict, ParkReason};
use super::limits::{AccountLimits, QueueTime};
use super::queue::{AccountId, AdmissionQueue, Admitted, LeaseTurn, QueueEvent, Ticket, WaiterId};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Maximum number of steps in a world.
const STEPS: usize = 200;

fn limited(wait: u64) -> AccountVerdict {
    AccountVerdict::Parks {
        why: ParkReason::RateLimited,
        wait: Some(SECOND * u32::try_from(wait).unwrap()),
    }
}

/// The activity of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Nothing,
    Waits,
    /// It leases; a quick turn has reserved capacity.
    Hunts(LeaseTurn),
    Runs(usize, Ticket),
}

/// Sessions, and the limits they were granted.
struct World {
    queue: AdmissionQueue,
    now: QueueTime,
    limits: Vec<AccountLimits>,
    /// For each session: its accounts, whether it requests passes, its activity.
    sessions: BTreeMap<WaiterId, (Arc<[AccountId]>, bool, Does)>,
    /// Runs whose agents wait for tasks below their own.
    waiting: BTreeSet<Ticket>,
    /// Whether a wait has ended before its run: capacity that was reserved may be gone then.
    has_returned: bool,
    admitted: Vec<Vec<QueueTime>>,
}

impl World {
    fn new(limits: Vec<AccountLimits>, wishes: &[(u8, bool)]) -> Self {
        let mut queue = AdmissionQueue::default();
        for (number, limits) in limits.iter().enumerate() {
            let account = queue.account(&format!("lane {number}"));
            assert_eq!(account, number);
            queue.limit(account, *limits, Duration::ZERO);
        }
        let accounts = |want: u8| -> Arc<[AccountId]> {
            let chosen: Vec<AccountId> = (0..limits.len())
                .filter(|id| want & (1 << id) != 0)
                .collect();
            match chosen.is_empty() {
                true => Arc::new([0]),
                false => chosen.into(),
            }
        };
        let sessions = wishes.iter().enumerate().map(|(waiter, (want, passes))| {
            (
                waiter as WaiterId,
                (accounts(*want), *passes, Does::Nothing),
            )
        });
        Self {
            sessions: sessions.collect(),
            waiting: BTreeSet::new(),
            has_returned: false,
            admitted: vec![Vec::new(); limits.len()],
            queue,
            now: Duration::ZERO,
            limits,
        }
    }

    fn set(&mut self, waiter: WaiterId, does: Does) {
        self.sessions.get_mut(&waiter).unwrap().2 = does;
    }

    /// Runs of an account whose agents do not wait.
    fn running(&self, account: AccountId) -> usize {
        let runs = |it: &&(Arc<[AccountId]>, bool, Does)| matches!(it.2, Does::Runs(id, ticket) if id == account && !self.waiting.contains(&ticket));
        self.sessions.values().filter(runs).count()
    }

    /// Checks that a run was allowed to begin.
    fn begins(&mut self, waiter: WaiterId, admitted: Admitted) {
        let account = self.sessions[&waiter].0[admitted.index];
        self.set(waiter, Does::Runs(account, admitted.ticket));
        self.admitted[account].push(self.now);
        let limits = self.limits[account];
        if let Some(most) = limits.concurrency {
            assert!(
                self.running(account) <= most as usize,
                "too many side by side"
            );
        }
        if let Some(most) = limits.requests_per_minute {
            let recent = self.admitted[account]
                .iter()
                .filter(|at| **at + MINUTE > self.now);
            assert!(recent.count() <= most as usize, "too many a minute");
        }
        assert!(
            !matches!(self.queue.health(account), AccountHealth::Parked { .. }),
            "a run on a parked lane"
        );
    }

    fn take_events(&mut self) {
        for events in self.queue.events() {
            match events {
                QueueEvent::Turn(waiter, turn) => {
                    assert_eq!(self.sessions[&waiter].2, Does::Waits, "told unasked");
                    self.set(waiter, Does::Hunts(turn));
                }
                QueueEvent::Pass(waiter, admitted) => {
                    assert_eq!(self.sessions[&waiter].2, Does::Waits, "told unasked");
                    self.begins(waiter, admitted);
                }
                QueueEvent::Shut(waiter, _) => self.set(waiter, Does::Nothing),
                QueueEvent::Changed(_) => {}
            }
        }
    }

    fn ask(&mut self, waiter: WaiterId) {
        let (accounts, passes, _) = self.sessions[&waiter].clone();
        self.set(waiter, Does::Waits);
        if passes {
            self.queue.request_pass(waiter, &accounts, self.now);
        } else if let Some(turn) = self.queue.request_turn(waiter, &accounts, self.now) {
            self.set(waiter, Does::Hunts(turn));
        }
    }

    /// The next step of a session; `with` selects the result.
    fn step(&mut self, waiter: WaiterId, with: u8) {
        let accounts = self.sessions[&waiter].0.clone();
        match self.sessions[&waiter].2 {
            Does::Nothing => self.ask(waiter),
            Does::Waits if with > 200 => {
                self.queue.leave(waiter, self.now);
                self.set(waiter, Does::Nothing);
            }
            Does::Waits => {}
            // Nothing to lease.
            Does::Hunts(_) if with.is_multiple_of(3) => self.ask(waiter),
            Does::Hunts(turn) => match self.queue.take(waiter, &accounts, self.now) {
                Ok(admitted) => self.begins(waiter, admitted),
                Err(_) => {
                    let [account] = *accounts else {
                        return self.set(waiter, Does::Nothing);
                    };
                    let kept = turn == LeaseTurn::Quick
                        && self.queue.health(account) == AccountHealth::Open
                        && self.limits[account].tokens_per_minute.is_none()
                        && !self.has_returned;
                    assert!(!kept, "room was kept for it");
                    self.set(waiter, Does::Nothing);
                }
            },
            Does::Runs(_, ticket) if with % 16 == 13 => {
                let waits = self.waiting.insert(ticket);
                if !waits {
                    self.waiting.remove(&ticket);
                    self.has_returned = true;
                }
                self.queue.wait(ticket, waits, self.now);
            }
            Does::Runs(_, ticket) => {
                let verdict = match with % 8 {
                    0 => limited(u64::from(with)),
                    1 => AccountVerdict::Parks {
                        why: ParkReason::RateLimited,
                        wait: None,
                    },
                    2 => AccountVerdict::Nothing,
                    3 if with > 250 => AccountVerdict::Parks {
                        why: ParkReason::AuthRequired,
                        wait: None,
                    },
                    _ => AccountVerdict::Works,
                };
                self.set(waiter, Does::Nothing);
                self.queue
                    .end(ticket, verdict, u64::from(with), "", self.now);
            }
        }
        self.take_events();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        // The time keeper is never late.
        while let Some(due) = self.queue.next().filter(|due| *due <= end) {
            let stuck = due <= self.now;
            self.now = self.now.max(due);
            self.queue.tick(self.now);
            self.take_events();
            assert!(
                !stuck || self.queue.next() != Some(due),
                "the keeper would spin"
            );
        }
        self.now = end;
        self.queue.tick(self.now);
        self.take_events();
    }

    /// All runs end well, all leases find nothing, and time passes: no session may still wait.
    fn run_out(&mut self) {
        for account in 0..self.limits.len() {
            self.queue.probe(account, self.now);
        }
        self.take_events();
        // All used tokens have drained by then, even at one token per minute.
        self.pass(MINUTE * u32::from(u8::MAX) * u32::try_from(STEPS).unwrap());
        for _ in 0..200 {
            for waiter in 0..self.sessions.len() as WaiterId {
                match self.sessions[&waiter].2 {
                    Does::Runs(_, ticket) => {
                        self.set(waiter, Does::Nothing);
                        self.queue
                            .end(ticket, AccountVerdict::Works, 0, "", self.now);
                    }
                    Does::Hunts(LeaseTurn::Quick) => self.ask(waiter),
                    Does::Nothing | Does::Waits | Does::Hunts(LeaseTurn::Long) => {}
                }
                self.take_events();
            }
            self.pass(MINUTE);
        }
        for (waiter, (_, _, does)) in &self.sessions {
            assert_ne!(*does, Does::Waits, "{waiter} waits for nothing");
        }
    }
}

fn limits() -> impl Strategy<Value = AccountLimits> {
    let some = |most: u32| proptest::option::of(1..=most);
    (some(3), some(4), proptest::option::of(1..=400_u64)).prop_map(
        |(concurrency, requests_per_minute, tokens_per_minute)| AccountLimits {
            concurrency,
            requests_per_minute,
            tokens_per_minute,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_account_exceeds_its_limits_and_no_waiter_is_forgotten(
        limits in proptest::collection::vec(limits(), 1..4),
        wishes in proptest::collection::vec((any::<u8>(), any::<bool>()), 1..8),
        steps in proptest::collection::vec((any::<u8>(), any::<u8>(), 0..20_000_u64), 0..STEPS),
    ) {
        let mut world = World::new(limits, &wishes);
        for (waiter, with, ms) in steps {
            world.step(WaiterId::from(waiter) % wishes.len() as WaiterId, with);
            world.pass(Duration::from_millis(ms));
        }
        world.run_out();
    }
}

/// A queue with one account.
fn queue(concurrency: Option<u32>) -> (AdmissionQueue, Arc<[AccountId]>) {
    let mut queue = AdmissionQueue::default();
    let account = queue.account("a");
    let limits = AccountLimits {
        concurrency,
        ..AccountLimits::default()
    };
    queue.limit(account, limits, Duration::ZERO);
    (queue, Arc::new([account]))
}

#[test]
fn at_the_reset_exactly_one_run_is_let_through() {
    let (mut queue, accounts) = queue(None);
    let at = Duration::ZERO;
    for waiter in 0..4 {
        assert_eq!(
            queue.request_turn(waiter, &accounts, at),
            Some(LeaseTurn::Long)
        );
    }
    let first = queue.take(0, &accounts, at).unwrap();
    let second = queue.take(1, &accounts, at).unwrap();
    queue.end(first.ticket, limited(60), 0, "slow down", at);
    assert_eq!(queue.events(), [QueueEvent::Changed(0)]);
    // A concurrent refusal adds nothing.
    queue.end(second.ticket, limited(30), 0, "slow down", at);
    assert!(queue.events().is_empty());
    assert_eq!(queue.next(), Some(MINUTE));
    assert!(queue.take(2, &accounts, at).is_err(), "parked");
    for waiter in 0..4 {
        assert_eq!(queue.request_turn(waiter, &accounts, at), None);
    }
    queue.tick(MINUTE - SECOND);
    assert!(queue.events().is_empty());
    queue.tick(MINUTE);
    let notified = queue.events();
    assert_eq!(
        notified,
        [
            QueueEvent::Changed(0),
            QueueEvent::Turn(0, LeaseTurn::Quick)
        ]
    );
    let probe = queue.take(0, &accounts, MINUTE).unwrap();
    assert!(queue.events().is_empty(), "one, not two");
    // Refused again.
    queue.end(probe.ticket, limited(60), 0, "slow down", MINUTE);
    assert_eq!(queue.events(), [QueueEvent::Changed(0)]);
    queue.tick(MINUTE * 2);
    queue.events();
    let probe = queue.take(1, &accounts, MINUTE * 2).unwrap();
    queue.end(probe.ticket, AccountVerdict::Works, 0, "", MINUTE * 2);
    assert_eq!(queue.health(0), AccountHealth::Open);
    let notified = queue.events();
    assert_eq!(
        notified.len(),
        3,
        "all others have their turn: {notified:?}"
    );
}

#[test]
fn an_old_run_that_ends_well_opens_nothing() {
    let (mut queue, accounts) = queue(None);
    let at = Duration::ZERO;
    let old = queue.take(0, &accounts, at).unwrap();
    let new = queue.take(1, &accounts, at).unwrap();
    queue.end(new.ticket, limited(60), 0, "", at);
    queue.end(old.ticket, AccountVerdict::Works, 0, "", at);
    assert!(matches!(queue.health(0), AccountHealth::Parked { .. }));
}

#[test]
fn a_missing_login_waits_for_a_person() {
    let (mut queue, accounts) = queue(None);
    let at = Duration::ZERO;
    let run = queue.take(0, &accounts, at).unwrap();
    let old = queue.take(1, &accounts, at).unwrap();
    let refused = AccountVerdict::Parks {
        why: ParkReason::AuthRequired,
        wait: None,
    };
    queue.end(run.ticket, refused, 0, "log in", at);
    assert_eq!(queue.next(), None);
    queue.tick(MINUTE * 600);
    assert!(queue.take(0, &accounts, MINUTE * 600).is_err());
    queue.probe(0, MINUTE * 600);
    let run = queue.take(0, &accounts, MINUTE * 600).unwrap();
    queue.end(run.ticket, AccountVerdict::Works, 0, "", MINUTE * 600);
    assert_eq!(queue.health(0), AccountHealth::Open);
    // This run began before the person acted.
    queue.end(old.ticket, refused, 0, "log in", MINUTE * 600);
    assert_eq!(queue.health(0), AccountHealth::Open);
}

#[test]
fn pauses_of_unknown_length_grow_and_are_forgotten() {
    let (mut queue, accounts) = queue(None);
    let mut now = Duration::ZERO;
    let unknown = AccountVerdict::Parks {
        why: ParkReason::RateLimited,
        wait: None,
    };
    let mut waits = Vec::new();
    for _ in 0..4 {
        let run = queue.take(0, &accounts, now).unwrap();
        queue.end(run.ticket, unknown, 0, "", now);
        let next = queue.next().unwrap();
        waits.push(next - now);
        now = next;
        queue.tick(now);
    }
    assert!(
        waits[0] >= SECOND * 3 && waits[0] <= SECOND * 7,
        "{waits:?}"
    );
    assert!(waits[3] > waits[0] * 2, "{waits:?}");
    let run = queue.take(0, &accounts, now).unwrap();
    queue.end(run.ticket, AccountVerdict::Works, 0, "", now);
    let run = queue.take(0, &accounts, now).unwrap();
    queue.end(run.ticket, unknown, 0, "", now);
    assert!(queue.next().unwrap() - now <= SECOND * 7);
}

#[test]
fn a_session_that_finds_nothing_passes_its_turn_on() {
    let (mut queue, accounts) = queue(Some(1));
    let at = Duration::ZERO;
    let run = queue.take(0, &accounts, at).unwrap();
    // Two sessions of a pool whose queue is empty, then one that has work.
    for waiter in [1, 2, 3] {
        assert_eq!(queue.request_turn(waiter, &accounts, at), None);
    }
    assert_eq!(queue.before(3), Some(2));
    queue.end(run.ticket, AccountVerdict::Works, 0, "", at);
    for waiter in [1, 2] {
        assert_eq!(queue.events(), [QueueEvent::Turn(waiter, LeaseTurn::Quick)]);
        assert_eq!(queue.request_turn(waiter, &accounts, at), None);
    }
    assert_eq!(queue.events(), [QueueEvent::Turn(3, LeaseTurn::Quick)]);
    // It finds nothing either: all may park their leases, and the first one to take a task gets the capacity.
    assert_eq!(queue.request_turn(3, &accounts, at), None);
    let long = |waiter| QueueEvent::Turn(waiter, LeaseTurn::Long);
    assert_eq!(queue.events(), [long(1), long(2), long(3)]);
    assert!(queue.take(2, &accounts, at).is_ok());
    assert_eq!(queue.take(1, &accounts, at), Err(None), "full");
}

#[test]
fn an_account_for_one_run_has_room_for_the_child_of_a_run_that_waits() {
    let (mut queue, accounts) = queue(Some(1));
    let at = Duration::ZERO;
    let parent = queue.take(0, &accounts, at).unwrap();
    assert_eq!(queue.request_turn(1, &accounts, at), None);
    queue.wait(parent.ticket, true, at);
    assert_eq!(queue.events(), [QueueEvent::Turn(1, LeaseTurn::Quick)]);
    let child = queue.take(1, &accounts, at).unwrap();
    assert!(queue.take(2, &accounts, at).is_err(), "one place only");
    queue.end(child.ticket, AccountVerdict::Works, 0, "", at);
    queue.wait(parent.ticket, false, at);
    assert!(queue.take(2, &accounts, at).is_err(), "the parent goes on");
    queue.wait(parent.ticket, true, at);
    queue.end(parent.ticket, AccountVerdict::Works, 0, "", at);
    assert!(queue.take(2, &accounts, at).is_ok());
}

#[test]
fn a_run_that_waits_has_shown_that_its_account_works() {
    let (mut queue, accounts) = queue(None);
    let at = Duration::ZERO;
    let refused = queue.take(0, &accounts, at).unwrap();
    queue.end(refused.ticket, limited(60), 0, "slow down", at);
    queue.tick(MINUTE);
    let probe = queue.take(1, &accounts, MINUTE).unwrap();
    assert!(queue.take(2, &accounts, MINUTE).is_err());
    queue.wait(probe.ticket, true, MINUTE);
    assert_eq!(queue.health(0), AccountHealth::Open);
    assert!(queue.take(2, &accounts, MINUTE).is_ok());
}
