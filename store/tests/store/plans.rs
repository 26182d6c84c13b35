//! Runs of plans: rows that change with the ends of tasks, and guarded changes.

use crate::common::*;
use kirosu_protocol::{
    AckStatus, Budget, ErrorCode, Fence, ItemState, NewTask, RunRetryParams, RunState, Status,
    StepState, TYPE_PLAN, TaskBudget, TaskId, TaskRun,
};
use kirosu_store::*;
use serde_json::json;

/// A run that was taken, with one step.
struct Taken {
    run: TaskId,
    fence: Fence,
}

fn plan_task() -> NewTask {
    NewTask {
        task_type: TYPE_PLAN.into(),
        ..NewTask::chat("pipeline: []")
    }
}

fn plan(command: PlanOrder) -> Command {
    Command::Plan(Box::new(command))
}

impl Taken {
    fn new(b: &mut Bench) -> Taken {
        let run = b.enqueue(plan_task());
        let taken = take(b);
        assert_eq!(taken, [run]);
        Taken {
            run,
            fence: b.task(run).fence,
        }
    }

    fn change(&self, b: &mut Bench, change: PlanChange) -> bool {
        let (run, fence) = (self.run, self.fence);
        match b.one(plan(PlanOrder::Change { run, fence, change })) {
            Ok(Outcome::Plan(outcome)) => outcome.applied,
            other => panic!("a change: {other:?}"),
        }
    }

    fn open(&self, b: &mut Bench, path: &str, total: i64) -> RunStep {
        let new = NewStep {
            path: path.into(),
            kind: "map".into(),
            each: false,
            shared: false,
            state: StepState::Open,
            reason: None,
            total: Some(total),
            merges: None,
        };
        assert!(self.change(b, PlanChange::Open(new)));
        self.step(b, path)
    }

    fn step(&self, b: &mut Bench, path: &str) -> RunStep {
        let (_, steps) = b.reader.plan_run(self.run).unwrap().unwrap();
        steps.into_iter().find(|step| step.path == path).unwrap()
    }

    fn row(&self, b: &mut Bench) -> PlanRun {
        b.reader.plan_run(self.run).unwrap().unwrap().0
    }

    /// Tasks for the next `count` items, one each.
    fn expansion(&self, step: &RunStep, count: i64) -> Expansion {
        let task = NewTask {
            parent_id: Some(self.run),
            ends_with_parent: true,
            ..NewTask::chat("item")
        };
        let item = |at: i64| NewItem {
            index: step.cursor + at,
            key: format!("k{}", step.cursor + at),
            task: Some(at as usize),
            cached: None,
            position: 0,
        };
        Expansion {
            step: step.id,
            version: step.version,
            cursor: step.cursor,
            items: (0..count).map(item).collect(),
            tasks: vec![task; count as usize],
            cache: Vec::new(),
        }
    }

    fn expand(&self, b: &mut Bench, path: &str, count: i64) -> bool {
        let step = self.step(b, path);
        let expansion = self.expansion(&step, count);
        self.change(b, PlanChange::Expand(expansion))
    }
}

fn take(b: &mut Bench) -> Vec<TaskId> {
    match b.one(plan(PlanOrder::Take {
        limit: 10,
        below: false,
    })) {
        Ok(Outcome::Leased(tasks)) => tasks.into_iter().map(|task| task.task_id).collect(),
        other => panic!("take: {other:?}"),
    }
}

/// Items in each state: waiting, open, done, failed, cancelled.
fn counts(step: &RunStep) -> [i64; 5] {
    [
        step.waiting,
        step.open,
        step.done,
        step.failed,
        step.cancelled,
    ]
}

/// The rows of the items say the same as the counters of their step.
fn check(b: &mut Bench, taken: &Taken, path: &str) -> [i64; 5] {
    let step = taken.step(b, path);
    let items = b.reader.plan_items(step.id, None, 0, 1000).unwrap();
    let count = |state: ItemState| items.iter().filter(|item| item.state == state).count() as i64;
    assert_eq!(ItemState::ALL.map(count), counts(&step));
    assert_eq!(items.len() as i64, step.cursor);
    for item in &items {
        let Some(task) = item.task_id else {
            continue;
        };
        let expected = match b.task(task).status {
            Status::Done => ItemState::Done,
            Status::Failed => ItemState::Failed,
            Status::Cancelled => ItemState::Cancelled,
            _ => ItemState::Open,
        };
        assert_eq!(item.state, expected, "{item:?}");
    }
    counts(&step)
}

#[test]
fn only_the_hub_takes_runs_and_no_lease_ends_them() {
    let mut b = Bench::new();
    let run = b.enqueue(plan_task());
    assert!(b.lease(10).is_empty());
    assert_eq!(take(&mut b), [run]);
    assert!(take(&mut b).is_empty());
    b.now += 400 * 24 * 3_600_000;
    assert!(b.expire().is_empty());
    let mut b = b.reopen();
    assert_eq!(b.task(run).status, Status::Leased);
    assert_eq!(b.reader.open_runs().unwrap(), [run]);
}

#[test]
fn the_end_of_a_task_changes_its_item_and_step_in_the_same_commit() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 5);
    assert!(taken.expand(&mut b, "m", 5));
    assert_eq!(check(&mut b, &taken, "m"), [0, 5, 0, 0, 0]);
    let tasks = b.lease(4);
    let acks = vec![
        done(tasks[0].task_id, Some(tasks[0].fence)),
        failed(tasks[1].task_id, Some(tasks[1].fence)),
        failed(tasks[2].task_id, Some(tasks[2].fence)),
    ];
    let applied = b.store.apply(
        b.now,
        acks.into_iter()
            .map(|ack| Command::Ack(Box::new(ack)))
            .collect(),
    );
    assert_eq!(applied.plans, [taken.run]);
    assert_eq!(check(&mut b, &taken, "m"), [0, 2, 1, 2, 0]);
    let step = taken.step(&mut b, "m");
    assert_eq!(
        (step.streak, step.class.as_deref()),
        (2, Some("provider_error"))
    );
    let cancel = Command::Cancel {
        task: tasks[3].task_id,
        by: None,
        reason: None,
    };
    b.one(cancel).unwrap();
    let mut b = b.reopen();
    assert_eq!(check(&mut b, &taken, "m"), [0, 1, 1, 2, 1]);
    // A retry by hand is the same item again.
    b.one(Command::Retry {
        task: tasks[1].task_id,
    })
    .unwrap();
    assert_eq!(check(&mut b, &taken, "m"), [0, 2, 1, 1, 1]);
}

#[test]
fn a_change_that_was_decided_on_an_older_state_changes_nothing() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let step = taken.open(&mut b, "m", 9);
    let first = taken.expansion(&step, 3);
    assert!(taken.change(&mut b, PlanChange::Expand(first.clone())));
    let before = (b.stats(), taken.step(&mut b, "m"));
    assert!(
        !taken.change(&mut b, PlanChange::Expand(first)),
        "the same items twice"
    );
    let reopened = NewStep {
        path: "m".into(),
        kind: "map".into(),
        each: false,
        shared: false,
        state: StepState::Open,
        reason: None,
        total: None,
        merges: None,
    };
    assert!(
        !taken.change(&mut b, PlanChange::Open(reopened)),
        "the same step twice"
    );
    let set = StepChange {
        step: step.id,
        version: step.version,
        ended: Some(1),
        state: StepState::Failed,
        reason: None,
        total: None,
        merges: None,
        result: None,
    };
    assert!(
        !taken.change(&mut b, PlanChange::Set(set.clone())),
        "an end that did not happen"
    );
    let other = Taken {
        fence: taken.fence + 1,
        ..taken
    };
    assert!(!other.expand(&mut b, "m", 1), "the fence of another lease");
    assert_eq!(before, (b.stats(), taken.step(&mut b, "m")));
    assert!(taken.change(
        &mut b,
        PlanChange::Set(StepChange {
            ended: Some(0),
            ..set
        })
    ));
    assert!(!taken.expand(&mut b, "m", 1), "a step that has ended");
}

#[test]
fn two_items_with_one_key_are_refused_before_a_task_is_made() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let step = taken.open(&mut b, "m", 9);
    assert!(taken.expand(&mut b, "m", 2));
    let mut again = taken.expansion(&taken.step(&mut b, "m"), 3);
    again.items[2].key = "k0".into();
    let before = b.stats();
    let (run, fence) = (taken.run, taken.fence);
    let change = PlanChange::Expand(again);
    let refused = b
        .one(plan(PlanOrder::Change { run, fence, change }))
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidParams);
    assert!(
        refused
            .message
            .contains("the items 1 and 5 have the same key \"k0\""),
        "{}",
        refused.message
    );
    assert_eq!(before, b.stats());
    assert_eq!(taken.step(&mut b, "m").cursor, step.cursor + 2);
}

#[test]
fn the_end_of_a_run_ends_its_tasks() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 300);
    for _ in 0..3 {
        assert!(taken.expand(&mut b, "m", 100));
    }
    let leased = b.lease(3);
    let cancel = Command::Cancel {
        task: taken.run,
        by: Some("ann".into()),
        reason: None,
    };
    b.one(cancel).unwrap();
    assert!(!taken.expand(&mut b, "m", 1));
    while b.store.next_deadline().is_some_and(|at| at <= b.now) {
        b.batch(vec![]);
    }
    assert_eq!(b.stats().queued + b.stats().leased, 0);
    assert_eq!(b.ended.len(), leased.len(), "the holders learn of it");
    assert_eq!(check(&mut b, &taken, "m"), [0, 0, 0, 0, 300]);
    assert_eq!(taken.row(&mut b).state, RunState::Cancelled);
    assert!(b.reader.open_runs().unwrap().is_empty());
}

#[test]
fn lost_items_are_made_again_and_a_cleared_step_begins_anew() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 3);
    assert!(taken.expand(&mut b, "m", 3));
    let tasks = b.lease(3);
    b.ack(done(tasks[0].task_id, None)).unwrap();
    b.ack(failed(tasks[1].task_id, None)).unwrap();
    b.ack(failed(tasks[2].task_id, None)).unwrap();
    let step = taken.step(&mut b, "m");
    let end = StepChange {
        step: step.id,
        version: step.version,
        ended: Some(3),
        state: StepState::Failed,
        reason: Some("why".into()),
        total: None,
        merges: None,
        result: None,
    };
    assert!(taken.change(&mut b, PlanChange::Set(end)));
    let refused = b
        .one(Command::Retry {
            task: tasks[1].task_id,
        })
        .unwrap_err();
    assert!(
        refused.message.contains("kirosu run retry"),
        "{}",
        refused.message
    );

    let reset = |step: &RunStep, items| PlanChange::Reset {
        step: step.id,
        version: step.version,
        items,
        limit: 100,
    };
    let step = taken.step(&mut b, "m");
    assert!(taken.change(&mut b, reset(&step, ResetItems::Lost)));
    assert_eq!(check(&mut b, &taken, "m"), [2, 0, 1, 0, 0]);
    let step = taken.step(&mut b, "m");
    assert_eq!(
        (step.state, step.generation, step.reason),
        (StepState::Open, 1, None)
    );
    let mut again = taken.expansion(&taken.step(&mut b, "m"), 2);
    for (item, index) in again.items.iter_mut().zip([1, 2]) {
        (item.index, item.key) = (index, format!("k{index}"));
    }
    assert!(taken.change(&mut b, PlanChange::Expand(again)));
    assert_eq!(check(&mut b, &taken, "m"), [0, 2, 1, 0, 0]);
    // The earlier tasks do not count any more.
    let late = b
        .one(Command::Retry {
            task: tasks[1].task_id,
        })
        .unwrap_err();
    assert_eq!(late.code, ErrorCode::WrongState);
    for task in b.lease(2) {
        b.ack(done(task.task_id, None)).unwrap();
    }
    assert_eq!(check(&mut b, &taken, "m"), [0, 0, 3, 0, 0]);
    let step = taken.step(&mut b, "m");
    assert!(taken.change(&mut b, reset(&step, ResetItems::Key("k1".into()))));
    assert_eq!(check(&mut b, &taken, "m"), [1, 0, 2, 0, 0]);
    let step = taken.step(&mut b, "m");
    assert!(taken.change(&mut b, reset(&step, ResetItems::All)));
    let step = taken.step(&mut b, "m");
    assert_eq!(
        (step.state, step.cursor, step.total),
        (StepState::Pending, 0, None)
    );
    assert_eq!(check(&mut b, &taken, "m"), [0; 5]);
}

#[test]
fn wishes_are_kept_until_they_are_carried_out() {
    let mut b = Bench::new();
    let chat = b.chat("no run");
    let control = |run, control| plan(PlanOrder::Control { run, control });
    let refused = b.one(control(chat, RunControl::Pause)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::WrongState);
    let taken = Taken::new(&mut b);
    b.one(control(taken.run, RunControl::Pause)).unwrap();
    assert_eq!(taken.row(&mut b).state, RunState::Paused);
    b.one(control(taken.run, RunControl::Resume)).unwrap();
    assert_eq!(taken.row(&mut b).state, RunState::Open);

    let error = kirosu_protocol::Ack {
        status: AckStatus::Failed,
        ..failed(taken.run, Some(taken.fence))
    };
    b.ack(error).unwrap();
    assert_eq!(taken.row(&mut b).state, RunState::Failed);
    assert!(b.one(control(taken.run, RunControl::Pause)).is_err());
    let what = RunRetryParams {
        task_id: taken.run,
        ..RunRetryParams::default()
    };
    b.one(control(taken.run, RunControl::Retry(what))).unwrap();
    let mut b = b.reopen();
    assert_eq!(b.task(taken.run).status, Status::Queued);
    assert!(taken.row(&mut b).wishes.is_some());
    assert_eq!(take(&mut b), [taken.run]);
    let taken = Taken {
        fence: b.task(taken.run).fence,
        ..taken
    };
    assert!(taken.change(&mut b, PlanChange::Fulfil));
    assert_eq!(taken.row(&mut b).wishes, None);
    assert!(!taken.change(&mut b, PlanChange::Fulfil));
}

#[test]
fn a_plain_retry_of_a_run_repeats_what_failed_and_all_failed_tasks_leave_runs_out() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    b.ack(failed(taken.run, Some(taken.fence))).unwrap();
    b.one(Command::RetryFailed { queue: None }).unwrap();
    assert_eq!(b.task(taken.run).status, Status::Failed);
    b.one(Command::Retry { task: taken.run }).unwrap();
    assert!(taken.row(&mut b).wishes.is_some());
}

fn add_items(
    b: &mut Bench,
    source: Option<i64>,
    first: i64,
    items: &[&str],
) -> Result<(i64, i64), String> {
    let add = PlanOrder::AddItems {
        source,
        first,
        items: serde_json::to_string(items).unwrap(),
        count: items.len() as i64,
    };
    match b.one(plan(add)) {
        Ok(Outcome::Source(id, items)) => Ok((id, items)),
        Err(error) => Err(error.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_source_is_stored_in_order_once_and_belongs_to_one_run() {
    let mut b = Bench::new();
    let (source, count) = add_items(&mut b, None, 0, &["a", "b"]).unwrap();
    assert_eq!(count, 2);
    assert_eq!(
        add_items(&mut b, Some(source), 0, &["a", "b"]),
        Ok((source, 2))
    );
    let gap = add_items(&mut b, Some(source), 3, &["d"]).unwrap_err();
    assert!(gap.contains("begins at 2, not at 3"), "{gap}");
    assert_eq!(add_items(&mut b, Some(source), 2, &["c"]), Ok((source, 3)));
    let mut b = b.reopen();
    let piece = b.reader.source_piece(source, 2).unwrap().unwrap();
    assert_eq!((piece.first, &*piece.items), (2, r#"["c"]"#));

    let with = |source: i64| NewTask {
        metadata: Some(json!({"sources": {"m": source}})),
        ..plan_task()
    };
    let unknown = b.one(Command::Enqueue(Box::new(with(99)))).unwrap_err();
    assert!(
        unknown.message.contains("no source 99"),
        "{}",
        unknown.message
    );
    let run = b.enqueue(with(source));
    let taken = b.one(Command::Enqueue(Box::new(with(source)))).unwrap_err();
    assert!(
        taken.message.contains(&format!("belongs to the run {run}")),
        "{}",
        taken.message
    );
    let late = add_items(&mut b, Some(source), 3, &["d"]).unwrap_err();
    assert!(late.contains("takes no further items"), "{late}");
    let (next, _) = add_items(&mut b, None, 0, &["x"]).unwrap();
    assert!(next > source);
}

#[test]
fn the_run_of_a_step_names_sources_of_the_runs_above_it() {
    let mut b = Bench::new();
    let (source, _) = add_items(&mut b, None, 0, &["a"]).unwrap();
    let (other, _) = add_items(&mut b, None, 0, &["b"]).unwrap();
    let with = |source: i64, parent: Option<i64>| NewTask {
        metadata: Some(json!({"sources": {"m": source}})),
        parent_id: parent,
        ends_with_parent: parent.is_some(),
        ..plan_task()
    };
    let top = b.enqueue(with(source, None));
    b.enqueue(with(other, None));
    take(&mut b);
    // A client cannot do what a step does.
    let taken = b.one(Command::Enqueue(Box::new(with(source, Some(top)))));
    let taken = taken.unwrap_err().message;
    assert!(
        taken.contains(&format!("belongs to the run {top}")),
        "{taken}"
    );
    // Two levels, of which each hands the source down.
    let mut above = top;
    for level in 0..2 {
        let run = Taken {
            run: above,
            fence: b.task(above).fence,
        };
        let step = run.open(&mut b, "sub", 2);
        let mut expansion = run.expansion(&step, 1);
        expansion.tasks = vec![with(other, Some(above))];
        let refused = PlanOrder::Change {
            run: run.run,
            fence: run.fence,
            change: PlanChange::Expand(expansion.clone()),
        };
        let refused = b.one(plan(refused)).unwrap_err().message;
        assert!(refused.contains("belongs to the run"), "{refused}");
        expansion.tasks = vec![with(source, Some(above))];
        assert!(run.change(&mut b, PlanChange::Expand(expansion)));
        let below = take(&mut b);
        assert_eq!(below.len(), 1, "level {level}");
        above = below[0];
    }
    // It still belongs to the highest one.
    let taken = b.one(Command::Enqueue(Box::new(with(source, None))));
    assert!(
        taken
            .unwrap_err()
            .message
            .contains(&format!("the run {top}"))
    );
}

#[test]
fn items_are_found_by_key_and_earlier_results_by_fingerprint_or_place() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let entry = |fingerprint: &str, place: &str| CacheEntry {
        fingerprint: fingerprint.into(),
        place: place.into(),
        parts: format!("of {fingerprint}"),
    };
    for (path, prints) in [("m", ["one", "two"]), ("n", ["three", "four"])] {
        let step = taken.open(&mut b, path, 2);
        let mut expansion = taken.expansion(&step, 2);
        expansion.cache = prints
            .map(|print| entry(print, if print == "four" { "other" } else { "here" }))
            .into();
        assert!(taken.change(&mut b, PlanChange::Expand(expansion)));
        b.now += 1000;
    }
    let (m, n) = (taken.step(&mut b, "m").id, taken.step(&mut b, "n").id);
    let mut found = b.reader.items_with_key(taken.run, "k1").unwrap();
    found.sort_unstable();
    assert_eq!(found, [(m, 1), (n, 1)]);
    assert_eq!(b.reader.items_with_key(taken.run, "k7").unwrap(), []);

    let equal = b.reader.earlier_result("two", "other").unwrap().unwrap();
    assert_eq!((equal.is_equal, equal.parts.as_str()), (1, "of two"));
    assert_eq!(equal.is_done, 0);
    // Without an equal one the newest of the place.
    let newest = b.reader.earlier_result("five", "here").unwrap().unwrap();
    assert_eq!((newest.is_equal, newest.parts.as_str()), (0, "of three"));
    assert_eq!(b.reader.earlier_result("five", "nowhere").unwrap(), None);
    let task = newest.task_id;
    for leased in b.lease(4) {
        b.ack(done(leased.task_id, Some(leased.fence))).unwrap();
    }
    let newest = b.reader.earlier_result("five", "here").unwrap().unwrap();
    assert_eq!((newest.task_id, newest.is_done), (task, 1));
}

#[test]
fn retention_removes_a_run_with_all_that_belongs_to_it() {
    let mut b = Bench::new();
    let (source, _) = add_items(&mut b, None, 0, &["a"]).unwrap();
    let run = b.enqueue(NewTask {
        metadata: Some(json!({"sources": {"m": source}})),
        ..plan_task()
    });
    take(&mut b);
    let taken = Taken {
        run,
        fence: b.task(run).fence,
    };
    taken.open(&mut b, "m", 600);
    for _ in 0..6 {
        assert!(taken.expand(&mut b, "m", 100));
    }
    for task in b.lease(600) {
        b.ack(done(task.task_id, Some(task.fence))).unwrap();
    }
    let prune = |b: &mut Bench| {
        let mut rounds = 0;
        loop {
            let prune = Command::Prune {
                before_ms: b.now - 1000,
                limit: 200,
            };
            let more = match b.one(prune) {
                Ok(Outcome::Counted { more, .. }) => more,
                other => panic!("{other:?}"),
            };
            rounds += 1;
            assert!(rounds < 500);
            if !more {
                return;
            }
        }
    };
    b.now += 10_000;
    prune(&mut b);
    assert_eq!(
        check(&mut b, &taken, "m"),
        [0, 0, 600, 0, 0],
        "an open run keeps its tasks"
    );
    b.ack(done(run, Some(taken.fence))).unwrap();
    b.now += 10_000;
    // Tasks that were needed in one sweep are examined again in the next one.
    for _ in 0..5 {
        b.now += 1000;
        prune(&mut b);
    }
    assert_eq!(b.stats().total_tasks, 601, "the counters still count them");
    assert!(b.reader.plan_run(run).unwrap().is_none());
    assert!(
        b.reader
            .many(&[run, run + 1, run + 300])
            .unwrap()
            .is_empty()
    );
    assert_eq!(b.reader.source_items(source).unwrap(), None);
    // A source that no run has named goes after a day.
    let (left, _) = add_items(&mut b, None, 0, &["a"]).unwrap();
    b.now += 25 * 3_600_000;
    prune(&mut b);
    assert_eq!(b.reader.source_items(left).unwrap(), None);
}

/// A run of one step with three items: one done, two failed, the failed ones to be made again.
fn half_done(b: &mut Bench) -> Taken {
    let taken = Taken::new(b);
    taken.open(b, "m", 3);
    assert!(taken.expand(b, "m", 3));
    let tasks = b.lease(3);
    b.ack(done(tasks[0].task_id, None)).unwrap();
    b.ack(failed(tasks[1].task_id, None)).unwrap();
    b.ack(failed(tasks[2].task_id, None)).unwrap();
    let step = taken.step(b, "m");
    let reset = PlanChange::Reset {
        step: step.id,
        version: step.version,
        items: ResetItems::Lost,
        limit: 100,
    };
    assert!(taken.change(b, reset));
    taken
}

#[test]
fn waiting_items_are_made_again_once() {
    let mut b = Bench::new();
    let taken = half_done(&mut b);
    let step = taken.step(&mut b, "m");
    let mut again = taken.expansion(&step, 2);
    for (item, index) in again.items.iter_mut().zip([1, 2]) {
        (item.index, item.key) = (index, format!("k{index}"));
    }
    assert!(taken.change(&mut b, PlanChange::Expand(again.clone())));
    let before = b.stats();
    // The same command of a conductor that was restarted meanwhile.
    assert!(!taken.change(&mut b, PlanChange::Expand(again)));
    assert_eq!(before, b.stats());
    assert_eq!(check(&mut b, &taken, "m"), [0, 2, 1, 0, 0]);
}

#[test]
fn a_paused_run_can_end_as_partial() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let pause = RunControl::Pause;
    let run = taken.run;
    b.one(plan(PlanOrder::Control {
        run,
        control: pause,
    }))
    .unwrap();
    let set = |state| PlanChange::SetRun {
        state,
        reason: None,
    };
    assert!(!taken.change(&mut b, set(RunState::Waiting)));
    assert!(taken.change(&mut b, set(RunState::Partial)));
    b.ack(done(run, Some(taken.fence))).unwrap();
    assert_eq!(taken.row(&mut b).state, RunState::Partial);
}

#[test]
fn a_retry_counts_times_anew_and_names_a_known_item() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 1);
    assert!(taken.expand(&mut b, "m", 1));
    b.now += 1000;
    b.ack(failed(taken.run, Some(taken.fence))).unwrap();
    let retry = |item: &str| {
        let what = RunRetryParams {
            task_id: taken.run,
            step: Some("m".into()),
            item: Some(item.into()),
        };
        plan(PlanOrder::Control {
            run: taken.run,
            control: RunControl::Retry(what),
        })
    };
    let refused = b.one(retry("unknown")).unwrap_err();
    assert!(
        refused.message.contains("no item \"unknown\""),
        "{}",
        refused.message
    );
    assert_eq!(b.task(taken.run).status, Status::Failed);
    b.now += 5000;
    b.one(retry("k0")).unwrap();
    assert_eq!(taken.row(&mut b).started_ms, b.now);
}

fn set(step: &RunStep, state: StepState, reason: Option<&str>) -> PlanChange {
    PlanChange::Set(StepChange {
        step: step.id,
        version: step.version,
        ended: None,
        state,
        reason: reason.map(str::to_owned),
        total: None,
        merges: None,
        result: None,
    })
}

#[test]
fn a_step_is_pending_from_the_first_item_that_is_cleared() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 5);
    assert!(taken.expand(&mut b, "m", 5));
    for task in b.lease(5) {
        b.ack(done(task.task_id, None)).unwrap();
    }
    let step = taken.step(&mut b, "m");
    assert!(taken.change(&mut b, set(&step, StepState::Done, None)));
    for (left, cursor) in [(3, 5), (1, 5), (0, 0)] {
        let step = taken.step(&mut b, "m");
        let clear = PlanChange::Reset {
            step: step.id,
            version: step.version,
            items: ResetItems::All,
            limit: 2,
        };
        assert!(taken.change(&mut b, clear));
        b = b.reopen();
        let step = taken.step(&mut b, "m");
        assert_eq!((step.state, step.cursor), (StepState::Pending, cursor));
        assert_eq!((counts(&step), step.generation), ([0; 5], 1));
        let items = b.reader.plan_items(step.id, None, 0, 9).unwrap();
        assert_eq!(items.len(), left);
    }
}

#[test]
fn a_retry_just_before_the_end_of_a_run_brings_it_back() {
    for status in [AckStatus::Done, AckStatus::Failed] {
        let mut b = Bench::new();
        let taken = half_done(&mut b);
        let retry = RunControl::Retry(RunRetryParams::default());
        b.one(plan(PlanOrder::Control {
            run: taken.run,
            control: retry,
        }))
        .unwrap();
        b.now += 5000;
        let ack = match status {
            AckStatus::Done => done(taken.run, Some(taken.fence)),
            _ => failed(taken.run, Some(taken.fence)),
        };
        b.ack(ack).unwrap();
        let row = taken.row(&mut b);
        assert_eq!((row.state, row.ended_ms), (RunState::Open, None));
        // Its deadline, which may have ended it, counts from here.
        assert_eq!(row.started_ms, b.now);
        assert!(row.wishes.is_some());
        assert_eq!(take(&mut b), [taken.run]);
        // A person who cancels it means the retry, too.
        b.one(Command::Cancel {
            task: taken.run,
            by: None,
            reason: None,
        })
        .unwrap();
        let row = taken.row(&mut b);
        assert_eq!((row.state, row.wishes), (RunState::Cancelled, None));
    }
}

#[test]
fn a_run_is_resumed_where_it_waits_while_other_steps_run() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let resume = || {
        plan(PlanOrder::Control {
            run: taken.run,
            control: RunControl::Resume,
        })
    };
    taken.open(&mut b, "other", 1);
    let step = taken.open(&mut b, "m", 9);
    let refused = b.one(resume()).unwrap_err();
    assert!(refused.message.contains("neither paused nor"), "{refused}");
    assert!(taken.change(&mut b, set(&step, StepState::Open, Some("breaker"))));
    b.one(resume()).unwrap();
    let row = taken.row(&mut b);
    assert_eq!((row.state, row.agreed), (RunState::Open, 1));
}

#[test]
fn tasks_that_have_not_begun_are_taken_out_of_the_queue_and_made_again() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 6);
    assert!(taken.expand(&mut b, "m", 6));
    let begun = b.lease(3);
    b.ack(done(begun[0].task_id, None)).unwrap();
    let step = taken.step(&mut b, "m");
    let withdraw = |limit| PlanChange::Withdraw {
        step: step.id,
        limit,
    };
    assert!(taken.change(&mut b, withdraw(2)));
    assert_eq!(check(&mut b, &taken, "m"), [2, 3, 1, 0, 0]);
    assert!(taken.change(&mut b, withdraw(9)));
    assert!(!taken.change(&mut b, withdraw(9)), "nothing is left");
    assert_eq!(check(&mut b, &taken, "m"), [3, 2, 1, 0, 0]);
    assert_eq!(taken.row(&mut b).made, 3);
    assert!(b.lease(9).is_empty());
    b.ack(done(begun[1].task_id, None)).unwrap();
    assert_eq!(check(&mut b, &taken, "m"), [3, 1, 2, 0, 0]);
}

#[test]
fn the_retry_of_an_item_that_runs_is_no_wish() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 4);
    assert!(taken.expand(&mut b, "m", 2));
    let begun = b.lease(1);
    b.ack(done(begun[0].task_id, None)).unwrap();
    for (key, is_wish) in [("k1", false), ("k0", true)] {
        let retry = RunControl::Retry(RunRetryParams {
            step: Some("m".into()),
            item: Some(key.into()),
            ..RunRetryParams::default()
        });
        let run = taken.run;
        b.one(plan(PlanOrder::Control {
            run,
            control: retry,
        }))
        .unwrap();
        let (row, _) = b.reader.plan_run(run).unwrap().unwrap();
        assert_eq!(row.wishes.is_some(), is_wish, "{key}");
    }
}

#[test]
fn an_item_that_rests_on_others_is_not_repeated_alone() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let new = NewStep {
        path: "r".into(),
        kind: "reduce".into(),
        each: false,
        shared: false,
        state: StepState::Open,
        reason: None,
        total: Some(2),
        merges: None,
    };
    assert!(taken.change(&mut b, PlanChange::Open(new)));
    assert!(taken.expand(&mut b, "r", 2));
    let retry = RunControl::Retry(RunRetryParams {
        step: Some("r".into()),
        item: Some("k0".into()),
        ..RunRetryParams::default()
    });
    let refused = b
        .one(plan(PlanOrder::Control {
            run: taken.run,
            control: retry,
        }))
        .unwrap_err();
    assert!(refused.message.contains("--step r` repeats"), "{refused}");
}

#[test]
fn the_first_item_that_has_not_ended_is_found_and_a_merged_one_does_not_come_back_alone() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let step = taken.open(&mut b, "l[1].m", 10);
    assert_eq!(b.reader.first_open_item(step.id).unwrap(), None);
    assert!(taken.expand(&mut b, "l[1].m", 4));
    let first = |b: &mut Bench| b.reader.first_open_item(step.id).unwrap();
    assert_eq!(first(&mut b), Some(0));
    let begun = b.lease(4);
    for at in [0, 2] {
        b.ack(done(begun[at].task_id, None)).unwrap();
    }
    assert_eq!(first(&mut b), Some(1));
    let lost = begun[1].task_id;
    let cancel = |b: &mut Bench| {
        let (task, by, reason) = (lost, None, None);
        b.one(Command::Cancel { task, by, reason }).unwrap();
    };
    cancel(&mut b);
    assert_eq!(first(&mut b), Some(3));
    let not_done = |b: &mut Bench| b.reader.first_item_not_done(step.id).unwrap();
    assert_eq!(not_done(&mut b), Some(1));

    // Reduces that began after their map, or merge another one, have not merged it.
    let reduce = |path: &str, merges: Option<&str>| {
        PlanChange::Open(NewStep {
            path: path.into(),
            kind: "reduce".into(),
            each: false,
            shared: false,
            state: StepState::Open,
            reason: None,
            total: Some(2),
            merges: merges.map(str::to_owned),
        })
    };
    assert!(taken.change(&mut b, reduce("l[1].late", None)));
    assert!(taken.change(&mut b, reduce("l[1].other", Some("l[1].n"))));
    b.one(Command::Retry { task: lost }).unwrap();
    assert_eq!(first(&mut b), Some(1));
    cancel(&mut b);
    assert!(taken.change(&mut b, reduce("l[1].r", Some("l[1].m"))));
    let refused = b.one(Command::Retry { task: lost }).unwrap_err();
    assert!(refused.message.contains("--step l[1].m`"), "{refused}");
    assert_eq!(check(&mut b, &taken, "l[1].m"), [0, 1, 2, 0, 1]);

    // One that begins anew after the end of the map merges it no more while it goes on.
    let merge = taken.step(&mut b, "l[1].r");
    let clear = PlanChange::Reset {
        step: merge.id,
        version: merge.version,
        items: ResetItems::All,
        limit: 9,
    };
    assert!(taken.change(&mut b, clear));
    b.one(Command::Retry { task: lost }).unwrap();
    let merge = taken.step(&mut b, "l[1].r");
    let begin = StepChange {
        step: merge.id,
        version: merge.version,
        ended: None,
        state: StepState::Open,
        reason: None,
        total: Some(1),
        result: None,
        merges: None,
    };
    assert!(taken.change(&mut b, PlanChange::Set(begin)));
    assert_eq!(taken.step(&mut b, "l[1].r").merges, None);
}

#[test]
fn runs_below_others_are_taken_when_there_is_no_room_for_further_ones() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let own = b.enqueue(NewTask {
        priority: 9,
        ..plan_task()
    });
    taken.open(&mut b, "sub", 1);
    let step = taken.step(&mut b, "sub");
    let mut expansion = taken.expansion(&step, 1);
    expansion.tasks[0].task_type = TYPE_PLAN.into();
    assert!(taken.change(&mut b, PlanChange::Expand(expansion)));
    let below = PlanOrder::Take {
        limit: 10,
        below: true,
    };
    let Ok(Outcome::Leased(tasks)) = b.one(plan(below)) else {
        panic!("a run is taken");
    };
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].parent_id, Some(taken.run));
    assert_eq!(take(&mut b), [own]);
}

#[test]
fn items_of_a_batch_keep_their_positions_when_one_of_them_is_repeated() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let step = taken.open(&mut b, "m", 5);
    let mut expansion = taken.expansion(&step, 5);
    let places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)];
    for (item, (task, position)) in expansion.items.iter_mut().zip(places) {
        (item.task, item.position) = (Some(task), position);
    }
    expansion.tasks.truncate(2);
    assert!(taken.change(&mut b, PlanChange::Expand(expansion)));
    for task in b.lease(2) {
        b.ack(done(task.task_id, None)).unwrap();
    }
    let reset = PlanChange::Reset {
        step: step.id,
        version: taken.step(&mut b, "m").version,
        items: ResetItems::Key("k0".into()),
        limit: 9,
    };
    assert!(taken.change(&mut b, reset));
    let step = taken.step(&mut b, "m");
    let mut again = taken.expansion(&step, 1);
    again.items[0].index = 0;
    assert!(taken.change(&mut b, PlanChange::Expand(again)));
    let items = b.reader.plan_items(step.id, None, 0, 9).unwrap();
    let positions: Vec<i64> = items.iter().map(|item| item.position).collect();
    assert_eq!(positions, [0, 1, 2, 0, 1]);
}

#[test]
fn runs_in_a_paused_queue_are_news_when_it_goes_on() {
    for queue in [None, Some("default".to_owned())] {
        let mut b = Bench::new();
        b.one(Command::Pause(queue.clone())).unwrap();
        let run = b.enqueue(plan_task());
        assert!(take(&mut b).is_empty());
        let applied = b.store.apply(b.now, vec![Command::Resume(queue)]);
        assert_eq!(applied.plans, [0]);
        assert_eq!(take(&mut b), [run]);
    }
}

#[test]
fn decisions_of_people_are_counted_until_they_are_carried_out_also_while_it_is_paused() {
    let mut b = Bench::new();
    let run = b.enqueue(NewTask {
        budget: Some(TaskBudget {
            tree: Some(Budget {
                tokens: Some(10),
                micros: None,
            }),
            ..TaskBudget::default()
        }),
        ..plan_task()
    });
    assert_eq!(take(&mut b), [run]);
    let fence = b.task(run).fence;
    let taken = Taken { run, fence };
    let approve = |raise: Option<Budget>| Command::Approve {
        task: run,
        fence: None,
        by: None,
        comment: None,
        raise,
        only_human: false,
    };
    let control = |control| plan(PlanOrder::Control { run, control });
    b.one(control(RunControl::Pause)).unwrap();
    let amount = Budget {
        tokens: Some(5),
        micros: None,
    };
    b.one(approve(Some(amount))).unwrap();
    b.one(control(RunControl::Resume)).unwrap();
    b.one(approve(None)).unwrap();
    assert_eq!(taken.row(&mut b).raised, 2);
    // One that comes while the first ones are carried out stays.
    let done = PlanChange::Decided {
        agreed: 0,
        raised: 1,
    };
    assert!(taken.change(&mut b, done));
    assert_eq!(taken.row(&mut b).raised, 1);
    let usd = Budget {
        tokens: None,
        micros: Some(5),
    };
    let refused = b.one(approve(Some(usd))).unwrap_err();
    assert!(
        refused.message.contains("no limit in US dollars"),
        "{refused}"
    );
}

#[test]
fn a_run_that_waits_for_a_budget_is_not_resumed() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    let waits = PlanChange::SetRun {
        state: RunState::Waiting,
        reason: Some("budget: 1 tasks wait".into()),
    };
    assert!(taken.change(&mut b, waits));
    let run = taken.run;
    let resume = plan(PlanOrder::Control {
        run,
        control: RunControl::Resume,
    });
    let refused = b.one(resume).unwrap_err();
    assert!(
        refused.message.contains("budget: 1 tasks wait"),
        "{refused}"
    );
}

#[test]
fn a_task_that_was_handed_over_keeps_its_item_also_in_a_pause() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 2);
    assert!(taken.expand(&mut b, "m", 2));
    let own = b.lease(1).remove(0);
    let next = b.enqueue(NewTask {
        handoff: true,
        run: Some(TaskRun {
            task_id: own.task_id,
            fence: own.fence,
        }),
        ..NewTask::chat("go on")
    });
    assert_eq!(taken.row(&mut b).made, 3);
    b.ack(done(own.task_id, Some(own.fence))).unwrap();
    // Its answer is not the result of the item, and nothing is made anew.
    assert_eq!(check(&mut b, &taken, "m"), [0, 2, 0, 0, 0]);
    let step = taken.step(&mut b, "m");
    let withdraw = PlanChange::Withdraw {
        step: step.id,
        limit: 9,
    };
    assert!(taken.change(&mut b, withdraw));
    assert_eq!(check(&mut b, &taken, "m"), [1, 1, 0, 0, 0]);
    let item = b.reader.plan_items(step.id, None, 0, 1).unwrap().remove(0);
    assert_eq!(item.task_id, Some(next));
    let lease = b.lease(9).remove(0);
    assert_eq!(lease.task_id, next);
    b.ack(done(next, Some(lease.fence))).unwrap();
    assert_eq!(check(&mut b, &taken, "m"), [1, 0, 1, 0, 0]);
}

#[test]
fn a_handoff_to_a_task_that_is_gone_counts_no_more() {
    let mut b = Bench::new();
    let taken = Taken::new(&mut b);
    taken.open(&mut b, "m", 1);
    assert!(taken.expand(&mut b, "m", 1));
    let own = b.lease(1).remove(0);
    let next = b.enqueue(NewTask {
        handoff: true,
        run: Some(TaskRun {
            task_id: own.task_id,
            fence: own.fence,
        }),
        ..NewTask::chat("go on")
    });
    b.one(Command::Cancel {
        task: next,
        by: None,
        reason: None,
    })
    .unwrap();
    b.now += 1000;
    let prune = Command::Prune {
        before_ms: b.now,
        limit: 100,
    };
    for _ in 0..5 {
        b.one(prune.clone()).unwrap();
    }
    assert!(b.reader.many(&[next]).unwrap().is_empty(), "it is pruned");
    b.ack(done(own.task_id, Some(own.fence))).unwrap();
    assert_eq!(check(&mut b, &taken, "m"), [0, 0, 1, 0, 0]);
}
