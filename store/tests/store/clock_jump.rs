//! The wall clock is set while leases are live: with the shift that the hub orders, each lease keeps its remaining
//! time.

use crate::common::*;
use kirosu_protocol::Status;
use kirosu_store::{Command, LiveLease, Outcome};

const HOUR: i64 = 3_600_000;

/// The clock is set by `jump` one second after a lease of ten was granted; the hub notices it.
fn set_by(jump: i64) -> Bench {
    let mut bench = Bench::new();
    bench.chat("in memory and in the file");
    bench.lease(1);
    bench.now += 1_000 + jump;
    let shifted = bench.one(Command::ShiftLeases { by_ms: jump });
    assert!(matches!(shifted, Ok(Outcome::Ok)), "{shifted:?}");
    bench
}

#[test]
fn leases_end_when_they_would_have_whichever_way_the_clock_is_set() {
    for jump in [HOUR, -HOUR] {
        for reopened in [false, true] {
            let mut bench = set_by(jump);
            let deadline = bench.store.next_deadline();
            assert_eq!(
                deadline,
                Some(T0 + jump + 10_000),
                "what the reaper waits for"
            );
            if reopened {
                bench = bench.reopen();
            }
            bench.now += 8_000;
            assert!(bench.expire().is_empty(), "lost too early, set by {jump}");
            bench.now += 1_001;
            assert_eq!(bench.expire().len(), 1, "lives too long, set by {jump}");
        }
    }
}

#[test]
fn memory_and_file_agree_also_on_what_the_same_batch_changed_before() {
    let mut bench = Bench::new();
    let first = bench.chat("leased before");
    let fence = bench.lease(1)[0].fence;
    bench.now += HOUR;
    bench.batch(vec![
        Command::ShiftLeases { by_ms: HOUR },
        Command::Heartbeat {
            task: first,
            fence,
            lease_ms: Some(5_000),
        },
        Command::ShiftLeases { by_ms: -1_000 },
    ]);
    let live = bench.store.live_leases(None).unwrap();
    assert_eq!(live[0].lease_until_ms, T0 + HOUR + 4_000);
    // A change of the row writes the deadline that is in memory.
    bench
        .one(Command::Heartbeat {
            task: first,
            fence,
            lease_ms: Some(9_000),
        })
        .unwrap();
    bench.one(Command::ShiftLeases { by_ms: 500 }).unwrap();
    let live = bench.store.live_leases(None).unwrap();
    assert_eq!(live[0].lease_until_ms, T0 + HOUR + 9_500);
}

#[test]
fn scheduled_tasks_remain_bound_to_the_wall_clock() {
    let mut bench = Bench::new();
    let mut later = kirosu_protocol::NewTask::chat("at a moment");
    later.run_at_ms = Some(T0 + 60_000);
    let id = bench.enqueue(later);
    bench.now += HOUR;
    bench.one(Command::ShiftLeases { by_ms: HOUR }).unwrap();
    bench.one(Command::PromoteDue { limit: 10 }).unwrap();
    assert_eq!(bench.task(id).status, Status::Queued);
}

#[test]
fn very_many_deadlines_move_in_steps_and_none_is_over_meanwhile() {
    const MANY: usize = 1_000;
    for jump in [HOUR, -HOUR] {
        let mut bench = Bench::new();
        let tasks = vec![kirosu_protocol::NewTask::chat("x"); MANY];
        bench.one(Command::EnqueueBatch(tasks)).unwrap();
        let leases = bench.lease(MANY as u32);
        bench.now += 1_000 + jump;
        bench.one(Command::ShiftLeases { by_ms: jump }).unwrap();
        let moved = |bench: &mut Bench| {
            let live = bench.store.live_leases(None).unwrap();
            let moved = |lease: &&LiveLease| lease.lease_until_ms != T0 + 10_000;
            live.iter().filter(moved).count()
        };
        assert!((1..400).contains(&moved(&mut bench)), "in one commit");
        assert!(bench.expire().is_empty(), "nothing is over by the old time");
        // In between one holder sends a heartbeat, one lease ends, and the clock is set again.
        let (beats, ends) = (&leases[MANY - 1], &leases[MANY - 2]);
        let beat = Command::Heartbeat {
            task: beats.task_id,
            fence: beats.fence,
            lease_ms: Some(20_000),
        };
        bench.one(beat).unwrap();
        bench.ack(done(ends.task_id, Some(ends.fence))).unwrap();
        bench.now += 500;
        bench.one(Command::ShiftLeases { by_ms: 500 }).unwrap();
        let mut commits = 0;
        while bench.store.next_deadline() <= Some(bench.now) {
            bench.batch(vec![]);
            commits += 1;
            assert!(commits < 200);
        }
        assert!(commits > 2, "{commits} commits");
        let until = T0 + jump + 500;
        assert_eq!(bench.store.next_deadline(), Some(until + 10_000));
        for lease in bench.store.live_leases(None).unwrap() {
            let expected = match lease.task_id == beats.task_id {
                true => until + 21_000,
                false => until + 10_000,
            };
            assert_eq!(lease.lease_until_ms, expected, "task {}", lease.task_id);
        }
        assert_eq!(bench.stats().leased, MANY as i64 - 1);
    }
}
