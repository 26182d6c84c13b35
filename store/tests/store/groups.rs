//! Groups of tasks: their members page by page, and labels that end with their tasks.

use crate::common::{Bench, T0, done};
use kirosu_protocol::{Group, IdRange, NewTask, Status, TaskId};
use kirosu_store::{Command, GroupQuery, Outcome};

fn labelled(label: &str) -> Group {
    Group {
        labels: vec![label.into()],
        ..Group::default()
    }
}

fn new(queue: &str, labels: &[&str]) -> NewTask {
    NewTask {
        queue: queue.into(),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        ..NewTask::chat("x")
    }
}

/// All ids of a group, read in pages of `limit`; each page is at most that long, and the ids fall from page to page.
fn all(bench: &mut Bench, group: &Group, statuses: &[Status], limit: u32) -> Vec<TaskId> {
    let mut query = GroupQuery {
        group: group.clone(),
        statuses: statuses.to_vec(),
        before: None,
        limit,
    };
    let mut ids = Vec::new();
    loop {
        let page = bench.reader.group(&query).unwrap();
        assert!(page.ids.len() <= limit as usize, "{page:?}");
        ids.extend(page.ids);
        assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
        match page.next {
            None => return ids,
            next => query.before = next,
        }
    }
}

#[test]
fn a_queue_with_tasks_of_all_states_is_read_whole_in_pages() {
    let mut bench = Bench::new();
    let mut expected = Vec::new();
    for n in 0..60 {
        let priority = [0, 5, -3][n % 3];
        let id = bench.enqueue(NewTask {
            priority,
            ..new(["default", "other"][usize::from(n % 5 == 0)], &[])
        });
        match n % 4 {
            0 => drop(bench.one(Command::Cancel {
                task: id,
                by: None,
                reason: None,
            })),
            1 => {
                let lease = bench.lease(1).pop();
                if let Some(task) = lease {
                    bench.ack(done(task.task_id, Some(task.fence))).unwrap();
                }
            }
            _ => {}
        }
        if n % 5 != 0 {
            expected.insert(0, id);
        }
    }
    let group = Group {
        queue: Some("default".into()),
        ..Group::default()
    };
    for limit in [1, 3, 7, 1000] {
        assert_eq!(all(&mut bench, &group, &[], limit), expected, "{limit}");
        let states = [Status::Queued, Status::Cancelled];
        let some = all(&mut bench, &group, &states, limit);
        let right = |id: &TaskId| states.contains(&bench.reader.many(&[*id]).unwrap()[0].status);
        let wanted: Vec<TaskId> = expected.iter().copied().filter(right).collect();
        assert_eq!(some, wanted, "{limit}");
    }
    let counts = bench.reader.group_counts(&group).unwrap();
    assert_eq!(counts.iter().sum::<i64>(), 48);
}

#[test]
fn labels_and_ranges_narrow_each_other() {
    let mut bench = Bench::new();
    for n in 0..40 {
        let labels: &[&str] = match n % 4 {
            0 => &["a"],
            1 => &["a", "b"],
            2 => &["b"],
            _ => &[],
        };
        bench.enqueue(new("default", labels));
    }
    let both = Group {
        labels: vec!["b".into(), "a".into()],
        ranges: [(30, 90), (1, 10), (5, 12)]
            .map(|(first, last)| IdRange { first, last })
            .to_vec(),
        ..Group::default()
    };
    for limit in [1, 2, 100] {
        let ids = all(&mut bench, &both, &[Status::Queued], limit);
        assert_eq!(ids, [38, 34, 30, 10, 6, 2], "{limit}");
    }
    assert_eq!(bench.reader.group_counts(&both).unwrap()[0], 6);
    assert_eq!(
        all(&mut bench, &both, &[Status::Done], 5),
        Vec::<TaskId>::new()
    );
}

#[test]
fn labels_are_pruned_with_their_tasks() {
    let mut bench = Bench::new();
    let id = bench.enqueue(new("default", &["night", "docs"]));
    let open = bench.enqueue(new("default", &["night"]));
    let lease = bench.lease(1).pop().unwrap();
    bench.ack(done(id, Some(lease.fence))).unwrap();
    let pruned = bench.one(Command::Prune {
        before_ms: T0 + 1,
        limit: 100,
    });
    assert!(
        matches!(pruned, Ok(Outcome::Counted { count: 1, .. })),
        "{pruned:?}"
    );
    assert_eq!(all(&mut bench, &labelled("night"), &[], 10), [open]);
    assert_eq!(
        all(&mut bench, &labelled("docs"), &[], 10),
        Vec::<TaskId>::new()
    );
    let mut bench = bench.reopen();
    assert_eq!(bench.task(open).labels, ["night"]);
    assert_eq!(all(&mut bench, &labelled("night"), &[], 10), [open]);
}
