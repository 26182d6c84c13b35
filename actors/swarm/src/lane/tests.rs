//! Whatever happens to the lanes: no account is asked more than it allows, and nobody waits for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::house::{Begun, House, LaneId, News, Ticket, Turn, Who};
use super::limits::{Limits, Moment};
use super::standing::{Standing, Verdict, Why};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Most steps of a world.
const STEPS: usize = 200;

fn limited(wait: u64) -> Verdict {
    Verdict::Parks {
        why: Why::RateLimited,
        wait: Some(SECOND * u32::try_from(wait).unwrap()),
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Nothing,
    Waits,
    /// It leases; whether room is kept for it.
    Hunts(Turn),
    Runs(usize, Ticket),
}

/// Sessions before the lanes, and what they have seen.
struct World {
    house: House,
    now: Moment,
    limits: Vec<Limits>,
    /// Of each session: which lanes, whether it asks for slots, what it does.
    sessions: BTreeMap<Who, (Arc<[LaneId]>, bool, Does)>,
    begun: Vec<Vec<Moment>>,
}

impl World {
    fn new(limits: Vec<Limits>, wishes: &[(u8, bool)]) -> Self {
        let mut house = House::default();
        for (number, limits) in limits.iter().enumerate() {
            let lane = house.lane(&format!("lane {number}"));
            assert_eq!(lane, number);
            house.limit(lane, *limits, Duration::ZERO);
        }
        let lanes = |wish: u8| -> Arc<[LaneId]> {
            let chosen: Vec<LaneId> = (0..limits.len())
                .filter(|id| wish & (1 << id) != 0)
                .collect();
            match chosen.is_empty() {
                true => Arc::new([0]),
                false => chosen.into(),
            }
        };
        let sessions = wishes
            .iter()
            .enumerate()
            .map(|(who, (wish, slots))| (who as Who, (lanes(*wish), *slots, Does::Nothing)));
        Self {
            sessions: sessions.collect(),
            begun: vec![Vec::new(); limits.len()],
            house,
            now: Duration::ZERO,
            limits,
        }
    }

    fn set(&mut self, who: Who, does: Does) {
        self.sessions.get_mut(&who).unwrap().2 = does;
    }

    fn running(&self, lane: LaneId) -> usize {
        let runs =
            |it: &&(Arc<[LaneId]>, bool, Does)| matches!(it.2, Does::Runs(id, _) if id == lane);
        self.sessions.values().filter(runs).count()
    }

    /// A run has begun: whether it was allowed to.
    fn begins(&mut self, who: Who, begun: Begun) {
        let lane = self.sessions[&who].0[begun.place];
        self.set(who, Does::Runs(lane, begun.ticket));
        self.begun[lane].push(self.now);
        let limits = self.limits[lane];
        if let Some(most) = limits.concurrency {
            assert!(self.running(lane) <= most as usize, "too many side by side");
        }
        if let Some(most) = limits.requests_per_minute {
            let recent = self.begun[lane]
                .iter()
                .filter(|at| **at + MINUTE > self.now);
            assert!(recent.count() <= most as usize, "too many a minute");
        }
        assert!(
            !matches!(self.house.standing(lane), Standing::Parked { .. }),
            "a run on a parked lane"
        );
    }

    fn hear(&mut self) {
        for news in self.house.news() {
            match news {
                News::Turn(who, turn) => {
                    assert_eq!(self.sessions[&who].2, Does::Waits, "told unasked");
                    self.set(who, Does::Hunts(turn));
                }
                News::Slot(who, begun) => {
                    assert_eq!(self.sessions[&who].2, Does::Waits, "told unasked");
                    self.begins(who, begun);
                }
                News::Shut(who, _) => self.set(who, Does::Nothing),
                News::Changed(_) => {}
            }
        }
    }

    fn ask(&mut self, who: Who) {
        let (lanes, slots, _) = self.sessions[&who].clone();
        self.set(who, Does::Waits);
        if slots {
            self.house.ask_slot(who, &lanes, self.now);
        } else if let Some(turn) = self.house.ask_turn(who, &lanes, self.now) {
            self.set(who, Does::Hunts(turn));
        }
    }

    /// A session's next step: `with` says what comes of it.
    fn step(&mut self, who: Who, with: u8) {
        let lanes = self.sessions[&who].0.clone();
        match self.sessions[&who].2 {
            Does::Nothing => self.ask(who),
            Does::Waits if with > 200 => {
                self.house.leave(who, self.now);
                self.set(who, Does::Nothing);
            }
            Does::Waits => {}
            // Nothing to lease.
            Does::Hunts(_) if with.is_multiple_of(3) => self.ask(who),
            Does::Hunts(turn) => match self.house.take(who, &lanes, self.now) {
                Ok(begun) => self.begins(who, begun),
                Err(_) => {
                    let [lane] = *lanes else {
                        return self.set(who, Does::Nothing);
                    };
                    let kept = turn == Turn::Quick
                        && self.house.standing(lane) == Standing::Open
                        && self.limits[lane].tokens_per_minute.is_none();
                    assert!(!kept, "room was kept for it");
                    self.set(who, Does::Nothing);
                }
            },
            Does::Runs(_, ticket) => {
                let verdict = match with % 8 {
                    0 => limited(u64::from(with)),
                    1 => Verdict::Parks {
                        why: Why::RateLimited,
                        wait: None,
                    },
                    2 => Verdict::Nothing,
                    3 if with > 250 => Verdict::Parks {
                        why: Why::AuthRequired,
                        wait: None,
                    },
                    _ => Verdict::Works,
                };
                self.set(who, Does::Nothing);
                self.house
                    .end(ticket, verdict, u64::from(with), "", self.now);
            }
        }
        self.hear();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        // The keeper is never late.
        while let Some(due) = self.house.next().filter(|due| *due <= end) {
            let stuck = due <= self.now;
            self.now = self.now.max(due);
            self.house.tick(self.now);
            self.hear();
            assert!(
                !stuck || self.house.next() != Some(due),
                "the keeper would spin"
            );
        }
        self.now = end;
        self.house.tick(self.now);
        self.hear();
    }

    /// All runs end well, all leases find nothing, and time passes: nobody may still wait.
    fn settle(&mut self) {
        for lane in 0..self.limits.len() {
            self.house.probe(lane, self.now);
        }
        self.hear();
        // What all runs have used has flowed off by then, at a token a minute, too.
        self.pass(MINUTE * u32::from(u8::MAX) * u32::try_from(STEPS).unwrap());
        for _ in 0..200 {
            for who in 0..self.sessions.len() as Who {
                match self.sessions[&who].2 {
                    Does::Runs(_, ticket) => {
                        self.set(who, Does::Nothing);
                        self.house.end(ticket, Verdict::Works, 0, "", self.now);
                    }
                    Does::Hunts(Turn::Quick) => self.ask(who),
                    Does::Nothing | Does::Waits | Does::Hunts(Turn::Long) => {}
                }
                self.hear();
            }
            self.pass(MINUTE);
        }
        for (who, (_, _, does)) in &self.sessions {
            assert_ne!(*does, Does::Waits, "{who} waits for nothing");
        }
    }
}

fn limits() -> impl Strategy<Value = Limits> {
    let some = |most: u32| proptest::option::of(1..=most);
    (some(3), some(4), proptest::option::of(1..=400_u64)).prop_map(
        |(concurrency, requests_per_minute, tokens_per_minute)| Limits {
            concurrency,
            requests_per_minute,
            tokens_per_minute,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_account_is_asked_too_much_and_nobody_is_forgotten(
        limits in proptest::collection::vec(limits(), 1..4),
        wishes in proptest::collection::vec((any::<u8>(), any::<bool>()), 1..8),
        steps in proptest::collection::vec((any::<u8>(), any::<u8>(), 0..20_000_u64), 0..STEPS),
    ) {
        let mut world = World::new(limits, &wishes);
        for (who, with, ms) in steps {
            world.step(Who::from(who) % wishes.len() as Who, with);
            world.pass(Duration::from_millis(ms));
        }
        world.settle();
    }
}

/// A house of one lane, and sessions that ask for it.
fn house(concurrency: Option<u32>) -> (House, Arc<[LaneId]>) {
    let mut house = House::default();
    let lane = house.lane("a");
    let limits = Limits {
        concurrency,
        ..Limits::default()
    };
    house.limit(lane, limits, Duration::ZERO);
    (house, Arc::new([lane]))
}

#[test]
fn at_the_reset_exactly_one_run_is_let_through() {
    let (mut house, lanes) = house(None);
    let at = Duration::ZERO;
    for who in 0..4 {
        assert_eq!(house.ask_turn(who, &lanes, at), Some(Turn::Long));
    }
    let first = house.take(0, &lanes, at).unwrap();
    let second = house.take(1, &lanes, at).unwrap();
    house.end(first.ticket, limited(60), 0, "slow down", at);
    assert_eq!(house.news(), [News::Changed(0)]);
    // Side by side with the first: tells the same, and no more.
    house.end(second.ticket, limited(30), 0, "slow down", at);
    assert!(house.news().is_empty());
    assert_eq!(house.next(), Some(MINUTE));
    assert!(house.take(2, &lanes, at).is_err(), "parked");
    for who in 0..4 {
        assert_eq!(house.ask_turn(who, &lanes, at), None);
    }
    house.tick(MINUTE - SECOND);
    assert!(house.news().is_empty());
    house.tick(MINUTE);
    let told = house.news();
    assert_eq!(told, [News::Changed(0), News::Turn(0, Turn::Quick)]);
    let probe = house.take(0, &lanes, MINUTE).unwrap();
    assert!(house.news().is_empty(), "one, not two");
    // It is refused again.
    house.end(probe.ticket, limited(60), 0, "slow down", MINUTE);
    assert_eq!(house.news(), [News::Changed(0)]);
    house.tick(MINUTE * 2);
    house.news();
    let probe = house.take(1, &lanes, MINUTE * 2).unwrap();
    house.end(probe.ticket, Verdict::Works, 0, "", MINUTE * 2);
    assert_eq!(house.standing(0), Standing::Open);
    let told = house.news();
    assert_eq!(told.len(), 3, "all others have their turn: {told:?}");
}

#[test]
fn an_old_run_that_ends_well_opens_nothing() {
    let (mut house, lanes) = house(None);
    let at = Duration::ZERO;
    let old = house.take(0, &lanes, at).unwrap();
    let new = house.take(1, &lanes, at).unwrap();
    house.end(new.ticket, limited(60), 0, "", at);
    house.end(old.ticket, Verdict::Works, 0, "", at);
    assert!(matches!(house.standing(0), Standing::Parked { .. }));
}

#[test]
fn a_missing_login_waits_for_a_person() {
    let (mut house, lanes) = house(None);
    let at = Duration::ZERO;
    let run = house.take(0, &lanes, at).unwrap();
    let old = house.take(1, &lanes, at).unwrap();
    let refused = Verdict::Parks {
        why: Why::AuthRequired,
        wait: None,
    };
    house.end(run.ticket, refused, 0, "log in", at);
    assert_eq!(house.next(), None);
    house.tick(MINUTE * 600);
    assert!(house.take(0, &lanes, MINUTE * 600).is_err());
    house.probe(0, MINUTE * 600);
    let run = house.take(0, &lanes, MINUTE * 600).unwrap();
    house.end(run.ticket, Verdict::Works, 0, "", MINUTE * 600);
    assert_eq!(house.standing(0), Standing::Open);
    // It began before the person came.
    house.end(old.ticket, refused, 0, "log in", MINUTE * 600);
    assert_eq!(house.standing(0), Standing::Open);
}

#[test]
fn pauses_of_unknown_length_grow_and_are_forgotten() {
    let (mut house, lanes) = house(None);
    let mut now = Duration::ZERO;
    let unknown = Verdict::Parks {
        why: Why::RateLimited,
        wait: None,
    };
    let mut waits = Vec::new();
    for _ in 0..4 {
        let run = house.take(0, &lanes, now).unwrap();
        house.end(run.ticket, unknown, 0, "", now);
        let next = house.next().unwrap();
        waits.push(next - now);
        now = next;
        house.tick(now);
    }
    assert!(
        waits[0] >= SECOND * 3 && waits[0] <= SECOND * 7,
        "{waits:?}"
    );
    assert!(waits[3] > waits[0] * 2, "{waits:?}");
    let run = house.take(0, &lanes, now).unwrap();
    house.end(run.ticket, Verdict::Works, 0, "", now);
    let run = house.take(0, &lanes, now).unwrap();
    house.end(run.ticket, unknown, 0, "", now);
    assert!(house.next().unwrap() - now <= SECOND * 7);
}

#[test]
fn who_finds_nothing_hands_its_turn_on() {
    let (mut house, lanes) = house(Some(1));
    let at = Duration::ZERO;
    let run = house.take(0, &lanes, at).unwrap();
    // Two sessions of a pool whose queue is empty, then one that has work.
    for who in [1, 2, 3] {
        assert_eq!(house.ask_turn(who, &lanes, at), None);
    }
    assert_eq!(house.before(3), Some(2));
    house.end(run.ticket, Verdict::Works, 0, "", at);
    for who in [1, 2] {
        assert_eq!(house.news(), [News::Turn(who, Turn::Quick)]);
        assert_eq!(house.ask_turn(who, &lanes, at), None);
    }
    assert_eq!(house.news(), [News::Turn(3, Turn::Quick)]);
    // It finds nothing either: all may park their leases, and the first task is taken by whoever gets it.
    assert_eq!(house.ask_turn(3, &lanes, at), None);
    let long = |who| News::Turn(who, Turn::Long);
    assert_eq!(house.news(), [long(1), long(2), long(3)]);
    assert!(house.take(2, &lanes, at).is_ok());
    assert_eq!(house.take(1, &lanes, at), Err(None), "full");
}
