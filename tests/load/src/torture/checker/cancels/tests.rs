//! Each planted fault is found, and a history without one passes.

use crate::torture::checker::check;
use crate::torture::history::{Call, Event, Leased, Outcome, prompt_of};
use crate::torture::stored::{Attempt, Stored};

/// One task, enqueued as number 7, leased by speaker 1 in a session, cancelled by speaker 2 while the lease was live.
struct World {
    events: Vec<Event>,
    stored: Vec<Stored>,
    attempts: Vec<Attempt>,
}

fn event(speaker: u32, begun: u64, outcome: Outcome, call: Call) -> Event {
    Event {
        speaker,
        begun: begun * 1_000_000,
        ended: (begun + 5) * 1_000_000,
        wall_ms: begun as i64 + 5,
        tries: 1,
        boot: None,
        call,
        outcome,
    }
}

fn lease(begun: u64, outcome: Outcome, fence: Option<i64>) -> Event {
    let leased = |fence| Leased {
        task: 1,
        fence,
        number: Some(7),
        until_ms: 90_000,
    };
    let call = Call::Lease {
        session: true,
        most: 1,
        tasks: fence.into_iter().map(leased).collect(),
    };
    event(1, begun, outcome, call)
}

fn hello(begun: u64, replaces: bool, leases: &[(u64, i64)]) -> Event {
    let leases = leases.to_vec();
    event(1, begun, Outcome::Ok, Call::Hello { replaces, leases })
}

fn attempt(outcome: &str, started_ms: i64) -> Attempt {
    Attempt {
        task: 1,
        fence: 1,
        outcome: outcome.into(),
        worker: "w1".into(),
        started_ms,
    }
}

fn world() -> World {
    let enqueue = Call::Enqueue {
        numbers: vec![7],
        keyed: false,
        after: None,
        priority: 0,
        ids: vec![1],
    };
    let notice = Call::Notice {
        task: 1,
        fence: 1,
        cancelled: true,
    };
    World {
        events: vec![
            event(3, 0, Outcome::Ok, enqueue),
            lease(10, Outcome::Ok, Some(1)),
            event(2, 20, Outcome::Ok, Call::Cancel { task: 1 }),
            event(1, 40, Outcome::Ok, notice),
            lease(50, Outcome::Ok, None),
            lease(60, Outcome::Ok, None),
        ],
        stored: vec![Stored {
            id: 1,
            status: "cancelled".into(),
            fence: 1,
            attempts: 1,
            prompt: prompt_of(7),
            ..Stored::default()
        }],
        attempts: vec![attempt("cancelled", 12)],
    }
}

/// Asserts that the checker says exactly this (a part of each sentence, in order).
fn finds(world: &World, parts: &[&str]) {
    let found = check(&world.events, &world.stored, &world.attempts).violations;
    assert_eq!(found.len(), parts.len(), "{found:#?}");
    for (sentence, part) in found.iter().zip(parts) {
        assert!(sentence.contains(part), "{sentence:?} lacks {part:?}");
    }
}

#[test]
fn a_holder_that_is_not_notified_is_found() {
    finds(&world(), &[]);
    let mut world = world();
    world.events.remove(3);
    finds(&world, &["was not notified of its cancel"]);
    // Coming back it learns it in another way, and with too few answers it cannot have learnt it.
    world.events.push(hello(70, false, &[]));
    finds(&world, &[]);
    world.events.truncate(4);
    finds(&world, &[]);
}

#[test]
fn a_cancel_that_does_not_hold_is_found() {
    let mut world = world();
    world.events.push(lease(70, Outcome::Ok, Some(2)));
    world.stored[0].fence = 2;
    finds(&world, &["with fence 2 after it was cancelled"]);
    let mut world = self::world();
    world.stored[0].status = "failed".into();
    finds(&world, &["was cancelled, the file says failed"]);
    world.stored[0].status = "cancelled".into();
    world.events.remove(2);
    finds(&world, &["is cancelled, by nobody"]);
}

#[test]
fn a_lease_that_is_over_and_still_listed_is_found() {
    let mut world = world();
    world.events.push(hello(70, false, &[(1, 1)]));
    finds(&world, &["which was over"]);
}

#[test]
fn a_lease_that_nobody_was_given_is_found() {
    let mut world = world();
    world.attempts = vec![attempt("lost", 12)];
    world.events[1] = lease(10, Outcome::Unknown, None);
    finds(&world, &[]);
    // The connection was replaced: then it has to go back at once.
    let mut replaced = hello(11, true, &[]);
    replaced.ended = world.events[1].ended;
    world.events.push(replaced);
    finds(&world, &["for w1, which was given no answer"]);
}
