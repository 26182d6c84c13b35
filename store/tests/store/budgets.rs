//! Recorded usage and budgets: usage adds up, and reservations are returned.

use crate::common::{Bench, T0, done, failed};
use kirosu_protocol::{
    Ack, Budget, BudgetInfo, Error, FailureClass, Fence, NewTask, ReserveAnswer, ReserveParams,
    Scope, ScopeLimit, Status, TaskBudget, TaskId, Usage, UsageAnswer, UsageBy, UsageParams,
    UsageSum,
};
use kirosu_store::{Command, Outcome};

const DAY: i64 = 86_400_000;

/// A way in which an attempt ends.
type End<'a> = &'a dyn Fn(&mut Bench, TaskId, Fence);

fn tokens(tokens: u64) -> Budget {
    Budget {
        tokens: Some(tokens),
        micros: None,
    }
}

fn used(input: u64, output: u64, usd: Option<f64>) -> Usage {
    Usage {
        input_tokens: input,
        output_tokens: output,
        cost_usd: usd,
        ..Usage::default()
    }
}

fn pool(limit: u64) -> ScopeLimit {
    ScopeLimit {
        scope: Scope::Pool("a".into()),
        limit: tokens(limit),
        per_seconds: 86_400,
    }
}

fn ask(task_id: TaskId, fence: Fence, scopes: Vec<ScopeLimit>, want: u64) -> ReserveParams {
    ReserveParams {
        task_id,
        fence,
        scopes,
        want: tokens(want),
        used: Budget::default(),
    }
}

fn reserve(bench: &mut Bench, ask: ReserveParams) -> Result<ReserveAnswer, Error> {
    let outcome = bench.one(Command::Reserve(Box::new(ask)))?;
    match outcome {
        Outcome::Reserved(answer) => Ok(*answer),
        other => panic!("reserve: {other:?}"),
    }
}

fn usage(bench: &mut Bench, ask: UsageParams) -> UsageAnswer {
    let now = bench.now;
    bench.reader.usage(&ask, now).unwrap()
}

fn budget(bench: &mut Bench) -> BudgetInfo {
    let mut budgets = usage(bench, UsageParams::default()).budgets;
    assert_eq!(budgets.len(), 1);
    budgets.remove(0)
}

fn tree_of(parent: TaskId) -> NewTask {
    NewTask {
        parent_id: Some(parent),
        ..NewTask::chat("a part")
    }
}

fn spent(task: TaskId, fence: Fence, usage: Usage, provider: &str) -> Ack {
    Ack {
        usage: Some(usage),
        provider: Some(provider.into()),
        pool: Some("a".into()),
        model: Some("m".into()),
        ..done(task, Some(fence))
    }
}

#[test]
fn usage_adds_up_by_every_dimension_and_outlives_the_tasks() {
    let mut bench = Bench::new();
    let root = bench.chat("root");
    let part = bench.enqueue(tree_of(root));
    let other = bench.chat("other");
    for (task, provider) in [(root, "x"), (part, "y"), (other, "x")] {
        bench.lease(1);
        bench
            .ack(spent(task, 1, used(100, 10, Some(0.25)), provider))
            .unwrap();
        // A repeated report counts once.
        bench
            .ack(spent(task, 1, used(100, 10, Some(0.25)), provider))
            .unwrap();
        bench.now += DAY;
    }
    let by = |by| UsageParams {
        by,
        ..UsageParams::default()
    };
    let providers = usage(&mut bench, by(UsageBy::Provider));
    let row =
        |row: &kirosu_protocol::UsageRow| (row.key.clone(), row.sum.attempts, row.sum.cost_usd);
    let rows: Vec<_> = providers.rows.iter().map(row).collect();
    assert_eq!(rows, [("x".to_owned(), 2, 0.5), ("y".to_owned(), 1, 0.25)]);
    let first_day = usage(&mut bench, by(UsageBy::Day)).rows.remove(0);
    assert_eq!(row(&first_day), ("2023-11-14".to_owned(), 1, 0.25));
    let tree = UsageParams {
        tree_id: Some(root),
        ..by(UsageBy::Pool)
    };
    let tree = usage(&mut bench, tree);
    assert_eq!((tree.total.attempts, tree.total.input_tokens), (2, 200));
    let late = UsageParams {
        since_ms: Some(T0 + DAY),
        limit: Some(1),
        ..by(UsageBy::Task)
    };
    let late = usage(&mut bench, late);
    assert_eq!((late.rows.len(), late.more, late.total.attempts), (1, 1, 2));
    for by in UsageBy::ALL {
        let answer = usage(
            &mut bench,
            UsageParams {
                by,
                ..UsageParams::default()
            },
        );
        assert_eq!(
            answer
                .rows
                .iter()
                .map(|row| row.sum.output_tokens)
                .sum::<u64>(),
            30,
            "{by:?}"
        );
        assert_eq!(
            (answer.total.attempts, answer.total.cost_usd),
            (3, 0.75),
            "{by:?}"
        );
    }
    let before_ms = bench.now + 1;
    bench
        .one(Command::Prune {
            before_ms,
            limit: 100,
        })
        .unwrap();
    assert!(usage(&mut bench, by(UsageBy::Task)).rows.is_empty());
    assert_eq!(usage(&mut bench, by(UsageBy::Model)).total, providers.total);
}

#[test]
fn a_reservation_ends_with_its_attempt_in_every_case() {
    let mut bench = Bench::new();
    let ends: [End<'_>; 5] = [
        &|bench, task, fence| {
            bench
                .ack(spent(task, fence, used(30, 0, None), "x"))
                .unwrap();
        },
        &|bench, task, fence| {
            bench.ack(failed(task, Some(fence))).unwrap();
        },
        &|bench, task, fence| {
            let (delay_ms, reason) = (0, None);
            drop(
                bench
                    .one(Command::Release {
                        task,
                        fence,
                        delay_ms,
                        reason,
                    })
                    .unwrap(),
            );
        },
        &|bench, task, _| {
            let (by, reason) = (None, None);
            drop(bench.one(Command::Cancel { task, by, reason }).unwrap());
        },
        &|bench, _, _| {
            bench.now += 60_000;
            bench.expire();
        },
    ];
    for end in ends {
        let task = bench.chat("p");
        let lease = bench.lease(1).remove(0);
        assert_eq!(lease.task_id, task);
        let asked = ask(task, lease.fence, vec![pool(1000)], 100);
        let answer = reserve(&mut bench, asked.clone()).unwrap();
        assert_eq!((answer.granted, answer.grant), (true, tokens(100)));
        // The answer was lost and is requested again; the process is killed in between.
        bench = bench.reopen();
        assert_eq!(reserve(&mut bench, asked).unwrap().grant, tokens(100));
        assert_eq!(budget(&mut bench).tokens.unwrap().reserved, 100.0);
        end(&mut bench, task, lease.fence);
        let standing = budget(&mut bench).tokens.unwrap();
        assert_eq!((standing.reserved, standing.used), (0.0, 30.0));
        bench
            .one(Command::Cancel {
                task,
                by: None,
                reason: None,
            })
            .ok();
    }
    let stale = reserve(&mut bench, ask(1, 1, vec![pool(1000)], 1)).unwrap_err();
    assert_eq!(stale.code, kirosu_protocol::ErrorCode::StaleLease);
}

#[test]
fn usage_reported_by_a_lost_or_cancelled_run_counts_once() {
    let mut bench = Bench::new();
    for cancelled in [true, false] {
        let task = bench.chat("p");
        let fence = bench.lease(1)[0].fence;
        let mut asked = ask(task, fence, vec![pool(1000)], 100);
        reserve(&mut bench, asked.clone()).unwrap();
        asked.used = tokens(40);
        asked.want = tokens(200);
        assert!(reserve(&mut bench, asked).unwrap().granted);
        let before = budget(&mut bench).tokens.unwrap().used;
        match cancelled {
            true => drop(
                bench
                    .one(Command::Cancel {
                        task,
                        by: None,
                        reason: None,
                    })
                    .unwrap(),
            ),
            false => {
                bench.now += 60_000;
                bench.expire();
            }
        }
        let standing = budget(&mut bench).tokens.unwrap();
        assert_eq!((standing.reserved, standing.used - before), (0.0, 40.0));
        let mut late = spent(task, fence, used(50, 5, None), "x");
        if cancelled {
            late = Ack {
                usage: late.usage,
                class: Some(FailureClass::Cancelled),
                pool: late.pool,
                ..failed(task, Some(fence))
            };
        }
        bench.ack(late).unwrap();
        let standing = budget(&mut bench).tokens.unwrap();
        assert_eq!(
            (standing.reserved, standing.used - before),
            (0.0, 55.0),
            "cancelled: {cancelled}"
        );
    }
    assert_eq!(
        usage(&mut bench, UsageParams::default()).total.input_tokens,
        100
    );
}

#[test]
fn a_used_up_pool_says_until_when_and_a_new_day_fills_it() {
    let mut bench = Bench::new();
    let task = bench.chat("p");
    let fence = bench.lease(1)[0].fence;
    reserve(&mut bench, ask(task, fence, vec![pool(100)], 80)).unwrap();
    let other = bench.chat("q");
    let second = bench.lease(1)[0].fence;
    let rest = reserve(&mut bench, ask(other, second, vec![pool(100)], 80)).unwrap();
    assert_eq!((rest.granted, rest.grant), (true, tokens(20)));
    // The other run has reserved the rest: the budget is not exhausted.
    let more = reserve(&mut bench, ask(other, second, vec![pool(100)], 81)).unwrap();
    let refused = more.refused.unwrap();
    assert!(
        !more.granted && !refused.exhausted && refused.message.contains("reserved"),
        "{refused:?}"
    );
    bench
        .ack(spent(task, fence, used(150, 0, None), "x"))
        .unwrap();
    let more = reserve(&mut bench, ask(other, second, vec![pool(100)], 81)).unwrap();
    let refused = more.refused.unwrap();
    let midnight = (T0.div_euclid(DAY) + 1) * DAY;
    assert_eq!(refused.retry_at, Some(midnight as f64 / 1000.0));
    assert!(
        refused.exhausted && refused.message.contains("150 of 100 tokens"),
        "{refused:?}"
    );
    bench.now = midnight;
    bench
        .one(Command::Heartbeat {
            task: other,
            fence: second,
            lease_ms: None,
        })
        .unwrap();
    let more = reserve(&mut bench, ask(other, second, vec![pool(100)], 81)).unwrap();
    assert_eq!((more.granted, more.grant), (true, tokens(81)));
}

#[test]
fn a_task_and_a_tree_wait_for_an_approval_that_raises_the_budget() {
    let mut bench = Bench::new();
    let budget = TaskBudget {
        own: Budget::default(),
        tree: Some(tokens(100)),
    };
    let root = bench.enqueue(NewTask {
        budget: Some(budget),
        ..NewTask::chat("root")
    });
    let part = bench.enqueue(tree_of(root));
    let grandchild = bench.enqueue(tree_of(part));
    let run = |bench: &mut Bench, task: TaskId, uses: u64| {
        let lease = bench.lease(1).remove(0);
        assert_eq!((lease.task_id, &*lease.budget_trees), (task, &[root][..]));
        let answer = reserve(bench, ask(task, lease.fence, vec![], 60)).unwrap();
        if answer.granted {
            bench
                .ack(spent(task, lease.fence, used(uses, 0, None), "x"))
                .unwrap();
        } else {
            let refused = answer.refused.clone().unwrap();
            assert_eq!((refused.scope, refused.retry_at), (Scope::Tree(root), None));
            let ack = Ack {
                class: Some(FailureClass::BudgetExhausted),
                error: Some(refused.message),
                ..failed(task, Some(lease.fence))
            };
            bench.ack(ack).unwrap();
        }
        (answer.granted, answer.grant.tokens)
    };
    assert_eq!(run(&mut bench, root, 70), (true, Some(60)));
    assert_eq!(run(&mut bench, part, 30), (true, Some(30)));
    assert_eq!(run(&mut bench, grandchild, 0), (false, Some(0)));
    assert_eq!(bench.task(grandchild).status, Status::AwaitingApproval);
    let (by, comment) = (None, None);
    bench
        .one(Command::Approve {
            raise: None,
            only_human: false,
            task: grandchild,
            fence: None,
            by,
            comment,
        })
        .unwrap();
    assert_eq!(run(&mut bench, grandchild, 90), (true, Some(60)));
    let tree = UsageParams {
        tree_id: Some(root),
        ..UsageParams::default()
    };
    let standing = usage(&mut bench, tree).budgets.remove(0).tokens.unwrap();
    assert_eq!(
        (
            standing.limit,
            standing.used,
            standing.reserved,
            standing.left
        ),
        (200.0, 190.0, 0.0, 10.0)
    );
}

#[test]
fn a_daily_budget_counts_usage_from_before_it_was_named() {
    let mut bench = Bench::new();
    let task = bench.chat("p");
    bench.lease(1);
    bench.ack(spent(task, 1, used(70, 0, None), "x")).unwrap();
    let task = bench.chat("q");
    bench.lease(1);
    let answer = reserve(&mut bench, ask(task, 1, vec![pool(100)], 80)).unwrap();
    assert_eq!(answer.grant, tokens(30));
}

#[test]
fn the_usage_migration_counts_existing_attempts() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        let task = bench.chat("p");
        bench.lease(1);
        bench
            .ack(spent(task, 1, used(100, 10, Some(0.25)), "x"))
            .unwrap();
    }
    let (total, _) = from_before_the_ledger(bench);
    assert_eq!(
        (total.attempts, total.input_tokens, total.cost_usd),
        (3, 300, 0.75)
    );
}

#[test]
fn absurd_figures_of_old_attempts_do_not_keep_a_hub_from_its_store() {
    let most = i64::MAX as u64;
    let mut bench = Bench::new();
    for usage in [
        used(most, most, Some(1e300)),
        used(u64::MAX, 1, Some(1e300)),
    ] {
        let task = bench.chat("p");
        bench.lease(1);
        bench.ack(spent(task, 1, usage, "x")).unwrap();
    }
    let (total, _) = from_before_the_ledger(bench);
    assert_eq!((total.attempts, total.input_tokens), (2, most));
}

/// The same store as before the migration that added recorded usage. Returns the usage that the migrated store reports
/// in total.
fn from_before_the_ledger(bench: Bench) -> (UsageSum, tempfile::TempDir) {
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, SqliteConnection};
    let Bench {
        store,
        options,
        directory,
        reader,
        ..
    } = bench;
    drop((store, reader));
    let path = options.path.to_str().unwrap();
    let mut conn = SqliteConnection::establish(path).unwrap();
    let down = include_str!("../../../migrations/00000000000004_usage/down.sql");
    conn.batch_execute(down).unwrap();
    let forget = "DELETE FROM __diesel_schema_migrations WHERE version = '00000000000004'";
    conn.batch_execute(forget).unwrap();
    drop(conn);
    let store = kirosu_store::Store::open(&options).unwrap();
    let mut reader = kirosu_store::StoreReader::open(&options.path).unwrap();
    let [days, tasks] = [UsageBy::Day, UsageBy::Task].map(|by| {
        let ask = UsageParams {
            by,
            ..UsageParams::default()
        };
        reader.usage(&ask, T0).unwrap().total
    });
    assert_eq!(days, tasks);
    drop((store, reader));
    (days, directory)
}

#[test]
fn reported_usage_of_a_lost_run_counts_and_its_late_ack_adds_the_rest() {
    let mut bench = Bench::new();
    for late in [true, false] {
        let task = bench.chat("p");
        let fence = bench.lease(1)[0].fence;
        reserve(&mut bench, ask(task, fence, vec![pool(1000)], 100)).unwrap();
        let data = serde_json::json!({
            "model": "m", "usage": {"input_tokens": 30, "output_tokens": 3, "cost_usd": 0.25}
        });
        bench.one(Command::Progress { task, fence, data }).unwrap();
        bench.now += 60_000;
        bench.expire();
        let told = |bench: &mut Bench| {
            let asked = UsageParams {
                task_id: Some(task),
                by: UsageBy::Model,
                ..UsageParams::default()
            };
            usage(bench, asked)
        };
        let sum = told(&mut bench).total;
        assert_eq!(
            (sum.attempts, sum.input_tokens, sum.cost_usd),
            (1, 30, 0.25)
        );
        assert_eq!(
            bench.detail(task).attempts[0]
                .usage
                .as_ref()
                .unwrap()
                .output_tokens,
            3
        );
        if late {
            bench
                .ack(spent(task, fence, used(100, 10, Some(1.0)), "x"))
                .unwrap();
            let after = told(&mut bench);
            let sum = &after.total;
            assert_eq!(
                (
                    sum.attempts,
                    sum.input_tokens,
                    sum.output_tokens,
                    sum.cost_usd
                ),
                (1, 100, 10, 1.0)
            );
            assert_eq!(after.rows.len(), 1);
        }
        bench
            .one(Command::Cancel {
                task,
                by: None,
                reason: None,
            })
            .ok();
    }
    let standing = budget(&mut bench).tokens.unwrap();
    assert_eq!((standing.used, standing.reserved), (143.0, 0.0));
}

#[test]
fn a_crash_without_usage_counts_the_last_report() {
    let mut bench = Bench::new();
    let task = bench.chat("p");
    let fence = bench.lease(1)[0].fence;
    let data = serde_json::json!({"usage": {"input_tokens": 30}});
    bench.one(Command::Progress { task, fence, data }).unwrap();
    let crashed = Ack {
        class: Some(FailureClass::Crashed),
        ..failed(task, Some(fence))
    };
    bench.ack(crashed).unwrap();
    let total = usage(&mut bench, UsageParams::default()).total;
    assert_eq!((total.attempts, total.input_tokens), (1, 30));
}

#[test]
fn a_late_ack_of_an_earlier_run_counts_once_and_leaves_the_present_reservation() {
    let mut bench = Bench::new();
    for told in [false, true] {
        let task = bench.chat("p");
        let fence = bench.lease(1)[0].fence;
        reserve(&mut bench, ask(task, fence, vec![pool(1000)], 100)).unwrap();
        let before = budget(&mut bench).tokens.unwrap().used;
        if told {
            let data = serde_json::json!({"usage": {"input_tokens": 30}});
            bench.one(Command::Progress { task, fence, data }).unwrap();
        }
        let (by, reason) = (None, None);
        bench.one(Command::Cancel { task, by, reason }).unwrap();
        bench.one(Command::Retry { task }).unwrap();
        let again = bench.lease(1)[0].fence;
        reserve(&mut bench, ask(task, again, vec![pool(1000)], 100)).unwrap();
        let late = Ack {
            class: Some(FailureClass::Cancelled),
            status: failed(task, None).status,
            ..spent(task, fence, used(50, 0, None), "x")
        };
        bench.ack(late).unwrap();
        let standing = budget(&mut bench).tokens.unwrap();
        assert_eq!(
            (standing.used - before, standing.reserved),
            (50.0, 100.0),
            "told: {told}"
        );
        bench
            .ack(spent(task, again, used(7, 0, None), "x"))
            .unwrap();
        let standing = budget(&mut bench).tokens.unwrap();
        assert_eq!((standing.used - before, standing.reserved), (57.0, 0.0));
    }
}

#[test]
fn a_budget_that_is_named_twice_counts_once() {
    let mut bench = Bench::new();
    let other = bench.chat("p");
    let task = bench.chat("p");
    for lease in bench.lease(2) {
        let named = vec![pool(1000), pool(1000)];
        reserve(&mut bench, ask(lease.task_id, lease.fence, named, 100)).unwrap();
    }
    bench.ack(spent(task, 1, used(50, 0, None), "x")).unwrap();
    let standing = budget(&mut bench).tokens.unwrap();
    assert_eq!((standing.used, standing.reserved), (50.0, 100.0));
    bench.ack(spent(other, 1, used(50, 0, None), "x")).unwrap();
    let standing = budget(&mut bench).tokens.unwrap();
    assert_eq!((standing.used, standing.reserved), (100.0, 0.0));
}

#[test]
fn absurd_figures_break_neither_acks_nor_sums() {
    let most = i64::MAX as u64;
    let mut bench = Bench::new();
    for day in 0..2 {
        bench.now += day * DAY;
        for _ in 0..2 {
            let task = bench.chat("p");
            bench.lease(1);
            let absurd = used(most, most, Some(1e12));
            bench.ack(spent(task, 1, absurd, "x")).unwrap();
        }
    }
    for by in UsageBy::ALL {
        let ask = UsageParams {
            by,
            ..UsageParams::default()
        };
        let total = usage(&mut bench, ask).total;
        assert_eq!((total.attempts, total.input_tokens), (4, most), "{by:?}");
    }
    // A budget that is named now counts them.
    let task = bench.chat("p");
    let fence = bench.lease(1)[0].fence;
    assert!(
        !reserve(&mut bench, ask(task, fence, vec![pool(1)], 1))
            .unwrap()
            .granted
    );
}
