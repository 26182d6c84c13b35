//! Each planted fault is found, and a restore without one passes.

use crate::torture::checker::{STALE, check};
use crate::torture::history::{Call, Event, Leased, Outcome, prompt_of};
use crate::torture::stored::Stored;

/// Task 1 is enqueued and leased under fence 1 before the backup, and acked after it; task 2 is enqueued and leased under
/// fence 1 after it. Then the backup is restored: task 1 is acked again, the ack of task 2 is refused.
struct Run {
    events: Vec<Event>,
    stored: Vec<Stored>,
}

const ENQUEUED_LATE: usize = 5;
const ACKED_AGAIN: usize = 8;
const REFUSED: usize = 9;

fn event(begun: u64, boot: &str, outcome: Outcome, call: Call) -> Event {
    Event {
        speaker: 1,
        begun: begun * 1_000_000,
        ended: (begun + 5) * 1_000_000,
        wall_ms: begun as i64 + 5,
        tries: 1,
        boot: Some(boot.to_owned()),
        call,
        outcome,
    }
}

fn enqueue(number: u64, after: Option<u64>, id: u64) -> Call {
    Call::Enqueue {
        numbers: vec![number],
        keyed: false,
        after,
        priority: 0,
        ids: vec![id],
    }
}

fn lease(task: u64, fence: i64, number: u64) -> Call {
    Call::Lease {
        session: false,
        most: 1,
        tasks: vec![Leased {
            task,
            fence,
            number: Some(number),
            until_ms: 90_000,
        }],
    }
}

fn ack(task: u64, fence: i64) -> Call {
    Call::Ack {
        task,
        fence,
        done: true,
        result: format!("{task} by {fence}"),
    }
}

fn done(id: u64, number: u64, fence: i64) -> Stored {
    Stored {
        id,
        status: "done".into(),
        fence,
        attempts: 1,
        prompt: prompt_of(number),
        result: Some(format!("{id} by {fence}")),
        done_attempts: 1,
        ..Stored::default()
    }
}

fn run() -> Run {
    let name = || "one.db".to_owned();
    let (restored, first) = (Some(name()), None);
    let ok = |begun, boot, call| event(begun, boot, Outcome::Ok, call);
    Run {
        events: vec![
            ok(0, "a", Call::Start { restored: first }),
            ok(10, "a", enqueue(7, None, 1)),
            ok(20, "a", lease(1, 1, 7)),
            ok(30, "a", Call::Backup { name: name() }),
            ok(40, "a", ack(1, 1)),
            ok(50, "a", enqueue(8, None, 2)),
            ok(60, "a", lease(2, 1, 8)),
            ok(100, "b", Call::Start { restored }),
            ok(110, "b", ack(1, 1)),
            event(120, "b", Outcome::Refused(STALE), ack(2, 1)),
        ],
        stored: vec![done(1, 7, 1)],
    }
}

/// Asserts that the checker says exactly this (a part of each sentence, in order).
fn finds(run: &Run, parts: &[&str]) {
    let found = check(&run.events, &run.stored, &[]).violations;
    assert_eq!(found.len(), parts.len(), "{found:#?}");
    for (sentence, part) in found.iter().zip(parts) {
        assert!(sentence.contains(part), "{sentence:?} lacks {part:?}");
    }
}

#[test]
fn a_restore_that_undoes_all_that_came_after_passes() {
    finds(&run(), &[]);
}

#[test]
fn what_was_answered_before_the_backup_must_be_there() {
    let mut lost = run();
    lost.stored.clear();
    finds(
        &lost,
        &[
            "holds it 0 times",
            "answered as task 1",
            "is not in the file",
        ],
    );
    // A lease of before the backup is live after the restore, and only the second ack ends it.
    let mut refused = run();
    refused.events[ACKED_AGAIN].outcome = Outcome::Refused(STALE);
    finds(
        &refused,
        &[
            "before its lease under fence 1 ran out",
            "nobody's accepted ack",
        ],
    );
}

#[test]
fn what_came_after_the_backup_must_be_gone() {
    let mut survivor = run();
    survivor.stored.push(Stored {
        status: "failed".into(),
        result: None,
        done_attempts: 0,
        ..done(2, 8, 1)
    });
    finds(
        &survivor,
        &[
            "is in the file as task 2",
            "the id 2 was given out after the backup",
        ],
    );
    // While the backup is taken it may fall on either side, as a whole.
    survivor.events[ENQUEUED_LATE].begun = 32_000_000;
    finds(&survivor, &[]);
    survivor.stored.pop();
    finds(&survivor, &[]);
}

#[test]
fn an_id_and_a_fence_that_come_again_are_found() {
    let mut again = run();
    again
        .events
        .push(event(130, "b", Outcome::Ok, enqueue(9, None, 2)));
    again
        .events
        .push(event(140, "b", Outcome::Ok, lease(2, 1, 9)));
    again.events.push(event(150, "b", Outcome::Ok, ack(2, 1)));
    again.stored.push(done(2, 9, 1));
    let parts = [
        "leased twice with fence 1",
        "given to several tasks, the numbers {8, 9}",
        "the id 2 was given out after the backup",
        "task 2: an ack under fence 1, which a restore had undone, ended as Ok",
    ];
    finds(&again, &parts);
}

#[test]
fn a_lease_that_was_undone_and_still_counts_is_found() {
    let mut taken = run();
    taken.events[REFUSED].outcome = Outcome::Ok;
    finds(
        &taken,
        &[
            "which a restore had undone, ended as Ok",
            "is not in the file",
        ],
    );
    let mut listed = run();
    let hello = Call::Hello {
        replaces: false,
        leases: vec![(1, 1), (2, 1)],
    };
    listed
        .events
        .insert(ACKED_AGAIN, event(105, "b", Outcome::Ok, hello));
    finds(&listed, &["`hello` listed the lease of task 2"]);
}

#[test]
fn a_task_may_not_depend_on_one_that_is_gone() {
    let mut refused = run();
    let late = |outcome| event(130, "b", outcome, enqueue(9, Some(2), 1_000));
    let mut no = late(Outcome::Refused(-32602));
    if let Call::Enqueue { ids, .. } = &mut no.call {
        ids.clear();
    }
    refused.events.push(no);
    finds(&refused, &[]);
    let mut taken = run();
    taken.events.push(late(Outcome::Ok));
    taken.stored.push(Stored {
        status: "failed".into(),
        result: None,
        done_attempts: 0,
        ..done(1_000, 9, 0)
    });
    finds(
        &taken,
        &["were enqueued after task 2, which a restore had undone"],
    );
}

#[test]
fn a_start_that_says_the_boot_id_of_another_is_found() {
    let mut same = run();
    for event in &mut same.events {
        event.boot = Some("a".into());
    }
    let found = check(&same.events, &same.stored, &[]).violations;
    assert!(found[0].contains("said the boot_id a"), "{found:#?}");
    let mut foreign = run();
    foreign.events[REFUSED].boot = Some("c".into());
    finds(&foreign, &["the boot_id c, which no start said"]);
}
