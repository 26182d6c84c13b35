//! A checker that never complains proves nothing: each planted fault must be found, and a faultless history must pass.

use super::*;
use crate::torture::history::prompt_of;

/// One task, enqueued as number 7, leased, acked.
struct World {
    events: Vec<Event>,
    stored: Vec<Stored>,
}

fn event(begun: u64, outcome: Outcome, call: Call) -> Event {
    Event {
        speaker: 1,
        begun,
        ended: begun + 5,
        wall_ms: begun as i64,
        tries: 1,
        boot: None,
        call,
        outcome,
    }
}

fn enqueue(begun: u64, outcome: Outcome, numbers: &[u64], ids: &[u64]) -> Event {
    let call = Call::Enqueue {
        numbers: numbers.to_vec(),
        keyed: false,
        after: None,
        priority: 0,
        ids: ids.to_vec(),
    };
    event(begun, outcome, call)
}

fn lease(begun: u64, fence: i64, until_ms: i64) -> Event {
    let tasks = vec![Leased {
        task: 1,
        fence,
        number: Some(7),
        until_ms,
    }];
    let call = Call::Lease {
        session: false,
        most: 1,
        tasks,
    };
    event(begun, Outcome::Ok, call)
}

fn ack(begun: u64, fence: i64, outcome: Outcome) -> Event {
    let call = Call::Ack {
        task: 1,
        fence,
        done: true,
        result: format!("by {fence}"),
    };
    event(begun, outcome, call)
}

fn world() -> World {
    World {
        events: vec![
            enqueue(0, Outcome::Ok, &[7], &[1]),
            lease(10, 1, 100),
            ack(20, 1, Outcome::Ok),
        ],
        stored: vec![Stored {
            id: 1,
            status: "done".into(),
            fence: 1,
            attempts: 1,
            prompt: prompt_of(7),
            result: Some("by 1".into()),
            done_attempts: 1,
            ..Stored::default()
        }],
    }
}

/// A second task, enqueued as number 8 with this priority, that was handed out at `leased`.
fn another(world: &mut World, enqueued: u64, priority: i64, leased: u64) {
    let mut made = enqueue(enqueued, Outcome::Ok, &[8], &[2]);
    if let Call::Enqueue { priority: p, .. } = &mut made.call {
        *p = priority;
    }
    let mut taken = lease(leased, 1, 1000);
    if let Call::Lease { tasks, .. } = &mut taken.call {
        (tasks[0].task, tasks[0].number) = (2, Some(8));
    }
    world.events.extend([made, taken]);
    world.stored.push(Stored {
        id: 2,
        status: "failed".into(),
        fence: 1,
        attempts: 1,
        prompt: prompt_of(8),
        ..Stored::default()
    });
}

/// Asserts that the checker says exactly this (a part of each sentence, in order).
fn finds(world: &World, parts: &[&str]) {
    let found = check(&world.events, &world.stored, &[]).violations;
    assert_eq!(found.len(), parts.len(), "{found:#?}");
    for (sentence, part) in found.iter().zip(parts) {
        assert!(sentence.contains(part), "{sentence:?} lacks {part:?}");
    }
}

#[test]
fn a_faultless_history_passes() {
    finds(&world(), &[]);
}

#[test]
fn an_answered_enqueue_that_is_gone_is_a_loss() {
    let mut world = world();
    world.events.push(enqueue(30, Outcome::Ok, &[8], &[2]));
    finds(&world, &["holds it 0 times", "answered as task 2"]);
}

#[test]
fn an_unknown_enqueue_may_be_there_once_but_not_twice() {
    let mut world = world();
    world.events[0] = enqueue(0, Outcome::Unknown, &[7], &[]);
    world.events.push(enqueue(30, Outcome::Unknown, &[8], &[]));
    finds(&world, &[]);
    let mut twin = world.stored[0].clone();
    twin.id = 2;
    twin.status = "failed".into();
    twin.done_attempts = 0;
    world.stored.push(twin);
    finds(&world, &["holds it 2 times"]);
}

#[test]
fn a_batch_in_part_and_an_invented_task_are_found() {
    let mut world = world();
    world.events[0] = enqueue(0, Outcome::Unknown, &[7, 8], &[]);
    finds(&world, &["in the file in part"]);
    world.events[0] = enqueue(0, Outcome::Unknown, &[8], &[]);
    finds(&world, &["nobody enqueued it"]);
}

#[test]
fn a_fence_used_twice_or_going_back_is_found() {
    let mut twice = world();
    twice.events.push(lease(200, 1, 300));
    finds(&twice, &["leased twice with fence 1"]);
    let mut back = world();
    back.events[1] = lease(10, 2, 100);
    back.events[2] = ack(20, 2, Outcome::Ok);
    back.events.push(lease(200, 1, 0));
    back.stored[0].fence = 2;
    back.stored[0].result = Some("by 2".into());
    finds(&back, &["fence 2 was issued before fence 1"]);
}

#[test]
fn a_stale_ack_that_was_taken_is_found() {
    let mut world = world();
    world.events.insert(2, lease(150, 2, 300));
    world.events[3] = ack(160, 1, Outcome::Ok);
    world.stored[0].fence = 2;
    finds(
        &world,
        &[
            "taken after fence 2 was issued",
            "which nobody's accepted ack said",
        ],
    );
}

#[test]
fn two_winners_and_a_result_of_the_loser_are_found() {
    let mut world = world();
    world.events.push(lease(150, 2, 300));
    world.events.push(ack(160, 2, Outcome::Ok));
    world.stored[0].fence = 2;
    let found = check(&world.events, &world.stored, &[])
        .violations
        .join("\n");
    assert!(found.contains("done was taken under fences"), "{found}");
    assert!(
        found.contains("the file says done with Some(\"by 1\")"),
        "{found}"
    );
}

#[test]
fn a_refused_ack_that_changed_the_task_is_found() {
    let mut world = world();
    world.events[2] = ack(120, 1, Outcome::Refused(STALE));
    finds(&world, &["which nobody's accepted ack said"]);
    // In time, it had to be taken.
    world.events[2] = ack(20, 1, Outcome::Refused(STALE));
    finds(
        &world,
        &[
            "80 ms before its lease under fence 1 ran out",
            "which nobody's accepted ack said",
        ],
    );
}

#[test]
fn an_ack_cut_off_may_have_been_taken() {
    let mut world = world();
    world.events[2] = ack(20, 1, Outcome::Unknown);
    finds(&world, &[]);
}

#[test]
fn a_lease_under_a_live_lease_is_found_unless_it_was_given_back() {
    let mut world = world();
    world.events[1] = lease(10, 1, 1000);
    world.events[2] = lease(50, 2, 1000);
    world.events.push(ack(60, 2, Outcome::Ok));
    world.stored[0].fence = 2;
    world.stored[0].result = Some("by 2".into());
    finds(&world, &["before the lease under fence 1 ran out"]);
    let call = Call::Release { task: 1, fence: 1 };
    world.events.push(event(30, Outcome::Unknown, call));
    finds(&world, &[]);
}

#[test]
fn a_dependent_that_ran_too_early_is_found() {
    let mut world = world();
    let call = Call::Enqueue {
        numbers: vec![8],
        keyed: true,
        after: Some(1),
        priority: 0,
        ids: vec![2],
    };
    world.events.push(event(6, Outcome::Ok, call));
    let tasks = vec![Leased {
        task: 2,
        fence: 1,
        number: Some(8),
        until_ms: 100,
    }];
    let call = Call::Lease {
        session: false,
        most: 1,
        tasks,
    };
    world.events.push(event(8, Outcome::Ok, call));
    world.stored.push(Stored {
        id: 2,
        status: "failed".into(),
        fence: 1,
        attempts: 1,
        prompt: prompt_of(8),
        ..Stored::default()
    });
    finds(&world, &["handed out before task 1 was done"]);
}

#[test]
fn unfinished_tasks_and_attempts_beyond_the_limit_are_found() {
    let mut world = world();
    world.events.truncate(2);
    let task = &mut world.stored[0];
    (task.status, task.result, task.done_attempts) = ("leased".into(), None, 0);
    (task.attempts, task.max_attempts) = (4, Some(3));
    finds(
        &world,
        &["is leased, after draining", "4 attempts of at most"],
    );
}

#[test]
fn a_task_that_was_passed_over_is_found() {
    // Task 1 is ready from 5 on and was taken by a request of 30; task 2 is handed out in between.
    let mut early = world();
    (early.events[1], early.events[2]) = (lease(30, 1, 100), ack(40, 1, Outcome::Ok));
    another(&mut early, 6, 0, 20);
    finds(
        &early,
        &["task 2 (priority 0) was handed out while task 1 (priority 0) was ready"],
    );
    // Of a higher priority it goes first; of a lower one even an older task waits.
    let mut higher = world();
    (higher.events[1], higher.events[2]) = (lease(30, 1, 100), ack(40, 1, Outcome::Ok));
    another(&mut higher, 6, 5, 20);
    finds(&higher, &[]);
    let mut lower = world();
    another(&mut lower, 1, 5, 30);
    finds(
        &lower,
        &["task 1 (priority 0) was handed out while task 2 (priority 5) was ready"],
    );
}

#[test]
fn requests_that_overlap_may_be_carried_out_in_either_order() {
    let mut world = world();
    (world.events[1], world.events[2]) = (lease(30, 1, 100), ack(40, 1, Outcome::Ok));
    // It was asked for before task 2 was answered.
    another(&mut world, 6, 0, 28);
    finds(&world, &[]);
}

#[test]
fn a_task_given_back_and_passed_over_is_found() {
    let mut world = world();
    let call = Call::Release { task: 1, fence: 1 };
    world.events[2] = event(20, Outcome::Ok, call);
    world.events.push(lease(60, 2, 1000));
    world.events.push(ack(70, 2, Outcome::Ok));
    (world.stored[0].fence, world.stored[0].result) = (2, Some("by 2".into()));
    another(&mut world, 6, 0, 40);
    finds(&world, &["while task 1 (priority 0) was ready"]);
}

#[test]
fn limits_that_were_exceeded_are_found() {
    let mut world = world();
    if let Call::Lease { most, .. } = &mut world.events[1].call {
        *most = 0;
    }
    for in_flight in [64, 65] {
        let call = Call::Load {
            in_flight,
            most: 64,
        };
        world.events.push(event(30, Outcome::Ok, call));
    }
    finds(
        &world,
        &[
            "at most 0 was answered with 1",
            "65 requests were under way, of at most 64",
        ],
    );
}

#[test]
fn two_answers_to_one_request_are_found() {
    let mut world = world();
    let twice = |second: Option<&str>| Call::Twice {
        method: "enqueue".into(),
        first: Some("1".into()),
        second: second.map(str::to_owned),
        second_boot: None,
    };
    world.events.push(event(30, Outcome::Ok, twice(None)));
    world.events.push(event(30, Outcome::Ok, twice(Some("1"))));
    finds(&world, &[]);
    world.events.push(event(30, Outcome::Ok, twice(Some("2"))));
    finds(&world, &["answered with 1 and with 2"]);
}

#[test]
fn an_enqueue_refused_for_a_full_disk_must_not_be_there() {
    let mut world = world();
    let full = Outcome::Refused(crate::torture::link::FAILED);
    world.events.push(enqueue(30, full, &[9], &[]));
    finds(&world, &[]);
    world.events[0] = enqueue(0, full, &[7], &[]);
    finds(&world, &["holds it 1 times"]);
}
