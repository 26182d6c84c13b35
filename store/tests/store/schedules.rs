//! Schedules: each time fires once, whatever happens to the process and the clock.

use crate::common::*;
use kirosu_protocol::{
    ErrorCode, MissedPolicy, NewTask, OverlapPolicy, ScheduleSpec, Status, Task, TaskId,
};
use kirosu_store::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn every(every_ms: u64) -> NewSchedule {
    NewSchedule {
        name: "s".into(),
        spec: ScheduleSpec::Every { every_ms },
        task: Box::new(NewTask {
            labels: vec!["schedule:s".into()],
            ..NewTask::chat("work")
        }),
        missed: MissedPolicy::One,
        overlap: OverlapPolicy::Queue,
        jitter_ms: 0,
        replace: false,
    }
}

fn command(command: ScheduleCommand) -> Command {
    Command::Schedule(Box::new(command))
}

impl Bench {
    fn schedule(&mut self, new: NewSchedule) -> Option<i64> {
        match self.one(command(ScheduleCommand::Add(new))) {
            Ok(Outcome::Scheduled { next_ms, .. }) => next_ms,
            other => panic!("schedule: {other:?}"),
        }
    }

    fn refused(&mut self, it: ScheduleCommand) -> (ErrorCode, String) {
        let error = self.one(command(it)).unwrap_err();
        (error.code, error.message)
    }

    /// Fires what is due, as the reaper does. Returns the number of new tasks.
    fn fire(&mut self) -> u64 {
        let mut all = 0;
        for _ in 0..1000 {
            match self.one(Command::FireSchedules { limit: 10 }) {
                Ok(Outcome::Counted { count, more }) => {
                    all += count;
                    if !more {
                        return all;
                    }
                }
                other => panic!("fire: {other:?}"),
            }
        }
        panic!("there is always more");
    }

    fn entry(&mut self) -> ScheduleEntry {
        self.reader.schedules().unwrap().pop().unwrap()
    }

    fn set(&mut self, paused: bool) {
        let name = "s".to_owned();
        self.one(command(ScheduleCommand::Set { name, paused }))
            .unwrap();
    }

    fn tasks(&mut self) -> Vec<Task> {
        let query = ListQuery::default();
        let mut tasks = self.reader.list(&query).unwrap().tasks;
        tasks.reverse();
        tasks
    }
}

#[test]
fn each_time_adds_one_task_with_the_label_and_is_the_next_deadline() {
    let mut bench = Bench::new();
    assert_eq!(bench.schedule(every(10_000)), Some(T0 + 10_000));
    assert_eq!(bench.store.next_deadline(), Some(T0 + 10_000));
    bench.now += 9_999;
    assert_eq!(bench.fire(), 0);
    bench.now += 1;
    assert_eq!(bench.fire(), 1);
    assert_eq!(bench.fire(), 0, "once");
    assert_eq!(bench.store.next_deadline(), Some(T0 + 20_000));
    let tasks = bench.tasks();
    assert_eq!(tasks[0].labels, ["schedule:s"]);
    assert_eq!((tasks.len(), &*tasks[0].prompt), (1, "work"));
    let entry = bench.entry();
    assert_eq!((entry.fired, entry.last_at), (1, Some(T0 + 10_000)));
    assert_eq!(entry.last_task, Some(tasks[0].task_id));
    assert_eq!(entry.last_status, Some(Status::Queued));
}

#[test]
fn a_restart_between_neither_repeats_nor_loses_a_firing() {
    let mut bench = Bench::new();
    bench.schedule(every(10_000));
    for round in 1..=5 {
        bench.now = T0 + round * 10_000;
        bench = bench.reopen();
        assert_eq!(bench.store.next_deadline(), Some(bench.now));
        assert_eq!(bench.fire(), 1, "round {round}");
        bench = bench.reopen();
        assert_eq!(bench.fire(), 0, "round {round}");
    }
    assert_eq!(bench.tasks().len(), 5);
}

/// A firing that is not committed has neither added the task nor moved the schedule: the copy of the file is that of a
/// process that died before the commit.
#[test]
fn a_crash_before_the_commit_leaves_the_time_to_the_next_start() {
    let mut bench = Bench::new();
    bench.schedule(every(10_000));
    bench.store.checkpoint().unwrap();
    let copy = bench.directory.path().join("copy.db");
    std::fs::copy(&bench.options.path, &copy).unwrap();
    bench.now += 10_000;
    assert_eq!(bench.fire(), 1);
    let options = StoreOptions {
        path: copy,
        now_ms: bench.now,
        ..bench.options.clone()
    };
    let mut crashed = Store::open(&options).unwrap();
    let fire = Command::FireSchedules { limit: 10 };
    let fired = crashed.apply(bench.now, vec![fire]).outcomes;
    assert_eq!(
        fired,
        [Ok(Outcome::Counted {
            count: 1,
            more: false
        })]
    );
    assert_eq!(crashed.stats(bench.now).total_tasks, 1);
}

#[test]
fn a_clock_that_is_set_back_fires_nothing_again_and_one_set_forward_follows_missed() {
    let mut bench = Bench::new();
    bench.schedule(every(10_000));
    bench.now += 10_000;
    assert_eq!(bench.fire(), 1);
    bench.now -= HOUR;
    bench.one(Command::ShiftLeases { by_ms: -HOUR }).unwrap();
    bench.now += 30_000;
    assert_eq!(bench.fire(), 0);
    bench = bench.reopen();
    bench.now = T0 + 19_999;
    assert_eq!(bench.fire(), 0);
    bench.now = T0 + HOUR + 5_000;
    assert_eq!(bench.fire(), 1, "one for all");
    assert_eq!(bench.entry().due_at, Some(T0 + HOUR + 10_000));
}

#[test]
fn missed_times_follow_the_policy() {
    for (missed, added) in [
        (MissedPolicy::Skip, 0),
        (MissedPolicy::One, 1),
        (MissedPolicy::All(7), 7),
    ] {
        let mut bench = Bench::new();
        bench.schedule(NewSchedule {
            missed,
            ..every(10_000)
        });
        bench.now += 24 * HOUR + 5_000;
        bench = bench.reopen();
        assert_eq!(bench.fire(), added, "{missed}");
        assert_eq!(
            bench.entry().due_at,
            Some(T0 + 24 * HOUR + 10_000),
            "{missed}"
        );
        bench.now += 5_000;
        assert_eq!(bench.fire(), 1, "{missed}: it goes on");
    }
}

#[test]
fn while_the_last_task_is_unfinished_overlap_decides() {
    let mut bench = Bench::new();
    bench.schedule(NewSchedule {
        overlap: OverlapPolicy::Skip,
        ..every(10_000)
    });
    let pass = |bench: &mut Bench| {
        bench.now += 10_000;
        bench.fire()
    };
    assert_eq!(pass(&mut bench), 1);
    assert_eq!(pass(&mut bench), 0, "skip");
    assert_eq!(bench.entry().skipped, 1);
    let name = "s".to_owned();
    let (code, why) = bench.refused(ScheduleCommand::Run { name });
    assert!(
        code == ErrorCode::WrongState && why.contains("task 1"),
        "{why}"
    );
    let fence = bench.lease(1)[0].fence;
    bench.ack(done(1, Some(fence))).unwrap();
    assert_eq!(pass(&mut bench), 1, "it has ended");

    bench.schedule(NewSchedule {
        overlap: OverlapPolicy::Cancel,
        replace: true,
        ..every(10_000)
    });
    bench.lease(1);
    assert_eq!(pass(&mut bench), 1, "cancel");
    let states: Vec<(TaskId, Status)> = bench
        .tasks()
        .iter()
        .map(|it| (it.task_id, it.status))
        .collect();
    let expected = [
        (1, Status::Done),
        (2, Status::Cancelled),
        (3, Status::Queued),
    ];
    assert_eq!(states, expected);
    let ended: Vec<TaskId> = bench.ended.iter().map(|it| it.task_id).collect();
    assert_eq!(ended, [2], "the holder is notified");
    let entry = bench.entry();
    assert_eq!((entry.fired, entry.last_task), (3, Some(3)));
}

#[test]
fn a_moment_comes_once_and_the_schedule_is_finished_then() {
    let mut bench = Bench::new();
    let at = |at_ms| NewSchedule {
        spec: ScheduleSpec::At { at_ms },
        ..every(1000)
    };
    let (code, why) = bench.refused(ScheduleCommand::Add(at(T0)));
    assert!(
        code == ErrorCode::InvalidParams && why.contains("future"),
        "{why}"
    );
    bench.schedule(at(T0 + HOUR));
    bench.now += 2 * HOUR;
    bench = bench.reopen();
    assert_eq!((bench.fire(), bench.entry().due_at), (1, None));
    assert_eq!(bench.store.next_deadline(), None);
    bench.now += 24 * HOUR;
    assert_eq!(bench.fire(), 0);
    // The same request again finds it; it can still be run by hand.
    assert_eq!(bench.schedule(at(T0 + HOUR)), None);
    let name = "s".to_owned();
    let ran = bench.one(command(ScheduleCommand::Run { name }));
    assert!(
        matches!(ran, Ok(Outcome::Enqueued(made)) if made.task_id == 2),
        "{ran:?}"
    );
}

#[test]
fn pause_resume_run_replace_and_remove() {
    let mut bench = Bench::new();
    bench.schedule(every(10_000));
    bench.set(true);
    bench.set(true);
    bench.now += HOUR;
    assert_eq!(bench.fire(), 0, "paused");
    let name = || "s".to_owned();
    bench
        .one(command(ScheduleCommand::Run { name: name() }))
        .unwrap();
    assert_eq!(bench.tasks().len(), 1, "by hand also while it is paused");
    bench.now += 3_000;
    bench.set(false);
    assert_eq!(bench.fire(), 0, "times of the pause are left out");
    assert_eq!(bench.store.next_deadline(), Some(T0 + HOUR + 10_000));

    let (code, why) = bench.refused(ScheduleCommand::Add(every(20_000)));
    assert!(
        code == ErrorCode::WrongState && why.contains("--replace"),
        "{why}"
    );
    assert_eq!(
        bench.schedule(every(10_000)),
        Some(T0 + HOUR + 10_000),
        "as it is"
    );
    let replaced = bench.schedule(NewSchedule {
        replace: true,
        ..every(20_000)
    });
    assert_eq!(replaced, Some(bench.now + 20_000));
    assert_eq!(bench.entry().fired, 1);

    bench
        .one(command(ScheduleCommand::Remove { name: name() }))
        .unwrap();
    bench.now += HOUR;
    assert_eq!((bench.fire(), bench.tasks().len()), (0, 1));
    let (code, _) = bench.refused(ScheduleCommand::Remove { name: name() });
    assert_eq!(code, ErrorCode::NotFound);
}

#[test]
fn a_refused_task_is_reported_and_the_schedule_goes_on() {
    let mut bench = Bench::with(|options| options.lane_limit = 1);
    let mut new = every(10_000);
    new.task.queue = "second".into();
    bench.schedule(new);
    bench.chat("takes the only lane");
    bench.now += 10_000;
    assert_eq!(bench.fire(), 0);
    let error = bench.entry().error.unwrap();
    assert!(error.contains("queue and type"), "{error}");
    let task = bench.lease(1).remove(0);
    bench.ack(done(task.task_id, Some(task.fence))).unwrap();
    bench.now += 10_000;
    assert_eq!(bench.fire(), 1);
    assert_eq!(bench.entry().error, None);
}

#[test]
fn the_delay_is_the_same_after_a_restart() {
    let mut bench = Bench::new();
    let due = bench
        .schedule(NewSchedule {
            jitter_ms: 600_000,
            ..every(HOUR as u64)
        })
        .unwrap();
    assert!((T0 + HOUR..=T0 + HOUR + 600_000).contains(&due));
    bench = bench.reopen();
    assert_eq!(bench.store.next_deadline(), Some(due));
    bench.now = due - 1;
    assert_eq!(bench.fire(), 0);
    bench.now = due;
    assert_eq!(bench.fire(), 1);
    assert_eq!(bench.entry().last_at, Some(T0 + HOUR));
}

#[test]
fn large_tasks_fire_in_several_commits_and_the_number_is_bounded() {
    let mut bench = Bench::new();
    for number in 0..8 {
        let mut new = every(10_000);
        new.name = format!("large-{number}");
        new.task.prompt = "x".repeat(200_000);
        bench.schedule(new);
    }
    bench.now += 10_000;
    let first = bench.one(Command::FireSchedules { limit: 100 }).unwrap();
    assert_eq!(
        first,
        Outcome::Counted {
            count: 2,
            more: true
        }
    );
    assert_eq!(bench.fire(), 6);
    let mut new = every(10_000);
    new.task.prompt = "x".repeat(1 << 20);
    let (code, _) = bench.refused(ScheduleCommand::Add(new));
    assert_eq!(code, ErrorCode::TooLarge);
    let small = |number: usize| {
        let mut new = every(10_000);
        new.name = format!("n{number}");
        command(ScheduleCommand::Add(new))
    };
    let answers = bench.batch((8..1001).map(small).collect());
    let refused = answers.iter().filter(|it| it.is_err()).count();
    assert_eq!(refused, 1);
}
