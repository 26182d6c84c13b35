//! The rules of tasks, one test each.

use crate::common::*;
use kirosu_protocol::{
    ErrorCode, FailureClass, LeaseParams, NewTask, OnLost, RetryPolicy, Status, Usage,
};
use kirosu_store::*;

#[test]
fn the_same_ack_twice_is_fine_and_another_is_not() {
    let mut b = Bench::new();
    let id = b.chat("x");
    b.lease(1);
    let fenced = done(id, Some(1));
    assert!(b.ack(fenced.clone()).unwrap().newly);
    assert!(!b.ack(fenced.clone()).unwrap().newly);
    assert!(!b.ack(done(id, None)).unwrap().newly);
    let mut b = b.reopen();
    assert!(!b.ack(fenced).unwrap().newly, "a restart forgets nothing");
    assert_eq!(
        b.ack(failed(id, Some(1))).unwrap_err().code,
        ErrorCode::StaleLease
    );
    assert_eq!(
        b.ack(failed(id, None)).unwrap_err().code,
        ErrorCode::WrongState
    );
    assert_eq!(
        b.ack(done(999, None)).unwrap_err().code,
        ErrorCode::UnknownTask
    );
    let fresh = b.chat("y");
    assert_eq!(
        b.ack(done(fresh, None)).unwrap_err().code,
        ErrorCode::WrongState
    );
    assert_eq!(b.stats().done, 1);
}

#[test]
fn strict_expiry_refuses_late_acks() {
    let mut b = Bench::with(|o| o.strict_expiry = true);
    let id = b.chat("x");
    b.lease(1);
    b.now += 10_001;
    assert_eq!(
        b.ack(done(id, Some(1))).unwrap_err().code,
        ErrorCode::StaleLease
    );
    b.expire();
    assert_eq!(
        b.ack(done(id, Some(1))).unwrap_err().code,
        ErrorCode::StaleLease
    );
    assert_eq!(b.lease(1)[0].fence, 2);
}

#[test]
fn a_restart_gives_every_lease_a_grace() {
    let mut b = Bench::with(|o| o.restart_grace_ms = 30_000);
    b.now += 30_000;
    let id = b.chat("x");
    b.lease(1);
    b.now += 20_000;
    let mut b = b.reopen();
    assert!(
        b.expire().is_empty(),
        "overdue, but the worker may be reconnecting"
    );
    assert_eq!(b.store.next_deadline(), Some(b.now + 30_000));
    b.now += 30_000;
    assert_eq!(b.expire()[0].task_id, id);
}

#[test]
fn failed_attempts_are_retried_as_the_policy_says() {
    let mut b = Bench::new();
    let id = b.enqueue(NewTask {
        retry: Some(RetryPolicy {
            initial_ms: 1_000,
            max_ms: 1_000,
            factor: 1.0,
        }),
        ..NewTask::chat("x")
    });
    for attempt in 1..=3 {
        assert_eq!(b.lease(1)[0].attempts, attempt);
        let acked = b.ack(failed(id, None)).unwrap();
        assert_eq!(
            acked.status,
            if attempt == 3 {
                Status::Failed
            } else {
                Status::Scheduled
            }
        );
        assert_eq!(b.task(id).error.as_deref(), Some("it broke"));
        b.now += 1_000;
        b.one(Command::PromoteDue { limit: 10 }).unwrap();
    }
    assert_eq!(b.detail(id).attempts.len(), 3);
    assert_eq!(
        b.one(Command::RetryFailed { queue: None }),
        Ok(Outcome::Counted {
            count: 1,
            more: false
        })
    );
    let task = b.task(id);
    assert_eq!(
        (task.status, task.attempts, task.error, task.worker_id),
        (Status::Queued, 0, None, None)
    );
    assert_eq!(b.lease(1)[0].fence, 4, "a fence is never used again");
}

#[test]
fn a_rate_limit_costs_no_attempt_and_a_login_needs_a_person() {
    let mut b = Bench::new();
    let id = b.chat("x");
    b.lease(1);
    let mut ack = failed(id, Some(1));
    ack.class = Some(FailureClass::RateLimited);
    ack.retry_at_ms = Some(b.now + 60_000);
    assert_eq!(b.ack(ack).unwrap().status, Status::Scheduled);
    assert!(
        b.store
            .next_deadline()
            .is_some_and(|at| at <= b.now + 60_000)
    );
    assert_eq!(b.task(id).attempts, 0);
    b.now += 60_000;
    b.one(Command::PromoteDue { limit: 10 }).unwrap();
    b.lease(1);
    let mut ack = failed(id, Some(2));
    ack.class = Some(FailureClass::AuthRequired);
    assert_eq!(b.ack(ack).unwrap().status, Status::AwaitingApproval);
    b.one(Command::Approve {
        raise: None,
        only_human: false,
        task: id,
        fence: None,
        by: Some("ann".into()),
        comment: None,
    })
    .unwrap();
    assert_eq!(b.lease(1)[0].fence, 3);
    let decision = &b.detail(id).decisions[0];
    assert_eq!(
        (
            decision.verdict.as_str(),
            decision.by.as_deref(),
            decision.fence
        ),
        ("approved", Some("ann"), 2)
    );
}

#[test]
fn lost_runs_follow_on_lost_and_max_attempts() {
    let mut b = Bench::new();
    let with = |on_lost, max_attempts| NewTask {
        on_lost,
        max_attempts,
        ..NewTask::chat("x")
    };
    let retry = b.enqueue(with(OnLost::Retry, None));
    let fail = b.enqueue(with(OnLost::Fail, None));
    let person = b.enqueue(with(OnLost::Ask, None));
    let once = b.enqueue(with(OnLost::Retry, Some(1)));
    assert_eq!(b.lease_as(ask(10), Some("s")).len(), 4);
    let ended = b.one(Command::ReleaseSession {
        session: "s".into(),
        counted: true,
    });
    let Ok(Outcome::Ended { leases, .. }) = ended else {
        panic!("{ended:?}")
    };
    assert!(
        leases
            .iter()
            .all(|lease| lease.session.as_deref() == Some("s"))
    );
    let status = |b: &mut Bench, id| b.task(id).status;
    assert_eq!(status(&mut b, retry), Status::Queued);
    assert_eq!(status(&mut b, fail), Status::Failed);
    assert_eq!(status(&mut b, person), Status::AwaitingApproval);
    assert_eq!(status(&mut b, once), Status::Failed);
    let error = b.task(once).error.unwrap();
    assert!(error.starts_with("lost: its session was lost"), "{error}");
}

#[test]
fn a_returned_lease_is_not_counted_and_can_be_returned_twice() {
    let mut b = Bench::new();
    let id = b.chat("x");
    b.lease(1);
    let release = Command::Release {
        task: id,
        fence: 1,
        delay_ms: 0,
        reason: None,
    };
    b.one(release.clone()).unwrap();
    b.one(release.clone()).unwrap();
    assert_eq!(b.task(id).attempts, 0);
    assert_eq!(
        b.ack(done(id, Some(1))).unwrap_err().code,
        ErrorCode::StaleLease
    );
    assert_eq!(b.lease(1)[0].fence, 2);
    b.one(release).unwrap();
    assert_eq!(
        b.task(id).status,
        Status::Leased,
        "an old release does not end the new lease"
    );
}

#[test]
fn a_cancelled_lease_is_dead_at_once() {
    let mut b = Bench::new();
    let id = b.chat("x");
    b.lease_as(ask(1), Some("s"));
    let Ok(Outcome::Ended { leases, .. }) = b.one(Command::Cancel {
        task: id,
        by: None,
        reason: None,
    }) else {
        panic!()
    };
    assert_eq!(
        (leases[0].fence, leases[0].session.as_deref()),
        (1, Some("s"))
    );
    assert_eq!(
        b.ack(done(id, Some(1))).unwrap_err().code,
        ErrorCode::StaleLease
    );
    let beat = Command::Heartbeat {
        task: id,
        fence: 1,
        lease_ms: None,
    };
    assert_eq!(b.one(beat).unwrap_err().code, ErrorCode::StaleLease);
    b.one(Command::Cancel {
        task: id,
        by: None,
        reason: None,
    })
    .unwrap();
    b.one(Command::Retry { task: id }).unwrap();
    b.one(Command::Retry { task: id }).unwrap();
    b.lease(1);
    b.ack(done(id, None)).unwrap();
    assert_eq!(
        b.one(Command::Cancel {
            task: id,
            by: None,
            reason: None
        })
        .unwrap_err()
        .code,
        ErrorCode::WrongState
    );
}

#[test]
fn human_tasks_wait_in_the_queue_and_are_only_answered_by_people() {
    let mut b = Bench::new();
    let new = NewTask {
        task_type: "human".into(),
        ..NewTask::chat("may I?")
    };
    let (yes, no) = (b.enqueue(new.clone()), b.enqueue(new));
    assert_eq!(b.stats().queued, 2);
    let every = LeaseParams {
        types: vec!["human".into()],
        ..ask(5)
    };
    assert!(b.lease(5).is_empty() && b.lease_as(every, None).is_empty());
    let approve = |task| Command::Approve {
        raise: None,
        only_human: false,
        task,
        fence: None,
        by: None,
        comment: None,
    };
    b.one(approve(yes)).unwrap();
    b.one(approve(yes)).unwrap();
    let task = b.task(yes);
    assert_eq!(
        (task.status, task.result.as_deref()),
        (Status::Done, Some("Approved by human"))
    );
    assert_eq!(task.worker_id.as_deref(), Some("human"));
    let reject = Command::Reject {
        task: no,
        fence: None,
        reason: Some("too dear".into()),
        by: None,
    };
    b.one(reject.clone()).unwrap();
    b.one(reject).unwrap();
    let task = b.task(no);
    assert_eq!(
        (task.status, task.error.as_deref()),
        (Status::Failed, Some("rejected: too dear"))
    );
    let chat = b.chat("x");
    assert_eq!(
        b.one(approve(chat)).unwrap_err().code,
        ErrorCode::WrongState
    );
}

#[test]
fn an_approved_task_waits_for_its_dependencies_and_its_time() {
    let mut b = Bench::new();
    let first = b.chat("first");
    let id = b.enqueue(NewTask {
        requires_approval: true,
        depends_on: vec![first, first],
        run_at_ms: Some(b.now + 5_000),
        ..NewTask::chat("x")
    });
    assert_eq!(b.task(id).status, Status::AwaitingApproval);
    b.one(Command::Approve {
        raise: None,
        only_human: false,
        task: id,
        fence: None,
        by: None,
        comment: None,
    })
    .unwrap();
    assert_eq!(
        (b.task(id).status, b.detail(id).blocked_by),
        (Status::Blocked, 1)
    );
    b.lease(1);
    b.ack(done(first, None)).unwrap();
    assert_eq!(b.task(id).status, Status::Scheduled);
    assert_eq!(b.store.next_deadline(), Some(b.now + 5_000));
    b.now += 5_000;
    assert_eq!(
        b.one(Command::PromoteDue { limit: 9 }),
        Ok(Outcome::Counted {
            count: 1,
            more: false
        })
    );
    assert_eq!(b.lease(5)[0].task_id, id);
    let unknown = NewTask {
        depends_on: vec![999],
        ..NewTask::chat("x")
    };
    assert_eq!(
        b.one(Command::Enqueue(Box::new(unknown))).unwrap_err().code,
        ErrorCode::InvalidParams
    );
}

#[test]
fn a_failed_dependency_fails_those_behind_it() {
    let mut b = Bench::new();
    let after = |id| NewTask {
        depends_on: vec![id],
        ..NewTask::chat("x")
    };
    let a = b.chat("a");
    let c = b.enqueue(after(a));
    let d = b.enqueue(after(c));
    b.one(Command::Cancel {
        task: a,
        by: None,
        reason: None,
    })
    .unwrap();
    assert_eq!(
        b.task(c).error.as_deref(),
        Some(&*format!("dependency {a} was cancelled"))
    );
    assert_eq!(
        b.task(d).error.as_deref(),
        Some(&*format!("dependency {c} failed"))
    );
    let late = b.enqueue(after(a));
    assert_eq!(b.task(late).status, Status::Failed);
    b.one(Command::Retry { task: c }).unwrap();
    assert_eq!(
        b.task(c).status,
        Status::Failed,
        "its dependency is cancelled"
    );
    b.one(Command::Retry { task: a }).unwrap();
    for waits in [c, d, late] {
        assert_eq!(b.task(waits).status, Status::Blocked, "it waits again");
    }
    b.lease(1);
    b.ack(done(a, None)).unwrap();
    assert_eq!(b.task(c).status, Status::Queued);
    assert_eq!(b.task(d).status, Status::Blocked);
}

#[test]
fn an_idempotency_key_finds_its_task_and_a_batch_is_all_or_none() {
    let mut b = Bench::new();
    let keyed = NewTask {
        idempotency_key: Some("k".into()),
        ..NewTask::chat("x")
    };
    let batch = vec![keyed.clone(), NewTask::chat("y"), keyed.clone()];
    let Ok(Outcome::Batch(made)) = b.one(Command::EnqueueBatch(batch)) else {
        panic!()
    };
    assert_eq!(
        (made[0].existed, made[2].existed, made[0].task_id),
        (false, true, made[2].task_id)
    );
    let bad = NewTask {
        depends_on: vec![77],
        ..NewTask::chat("z")
    };
    let outcomes = b.batch(vec![
        Command::EnqueueBatch(vec![NewTask::chat("w"), bad]),
        Command::Enqueue(Box::new(keyed)),
    ]);
    assert_eq!(
        outcomes[0].as_ref().unwrap_err().code,
        ErrorCode::InvalidParams
    );
    assert_eq!(
        outcomes[1],
        Ok(Outcome::Enqueued(EnqueuedTask {
            task_id: made[0].task_id,
            existed: true,
            status: Status::Queued,
        }))
    );
    assert_eq!(b.stats().total_tasks, 2);
}

#[test]
fn a_key_returns_its_task_and_refuses_other_parameters() {
    let mut b = Bench::new();
    let needed = b.chat("needed");
    let keyed = |prompt: &str, key: &str| NewTask {
        idempotency_key: Some(key.into()),
        depends_on: vec![needed],
        ..NewTask::chat(prompt)
    };
    let order = b.enqueue(keyed("charge", "7"));
    let cancel = |task| Command::Cancel {
        task,
        by: None,
        reason: None,
    };
    b.one(cancel(order)).unwrap();
    let again = b.one(Command::Enqueue(Box::new(keyed("charge", "7"))));
    let existing = EnqueuedTask {
        task_id: order,
        existed: true,
        status: Status::Cancelled,
    };
    assert_eq!(again, Ok(Outcome::Enqueued(existing)));
    let refund = NewTask {
        queue: "refunds".into(),
        ..keyed("charge", "7")
    };
    let refused = b
        .one(Command::Enqueue(Box::new(refund.clone())))
        .unwrap_err();
    assert!(refused.message.contains("task 2 (cancelled)"), "{refused}");
    for batch in [
        vec![NewTask::chat("other"), refund],
        vec![keyed("one", "8"), keyed("two", "8")],
    ] {
        let refused = b.one(Command::EnqueueBatch(batch)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidParams, "{refused}");
    }
    assert_eq!(b.stats().total_tasks, 2, "all or none");
    // The dependency is pruned; the same request again finds its task first.
    b.one(cancel(needed)).unwrap();
    b.one(Command::Prune {
        before_ms: b.now,
        limit: 10,
    })
    .unwrap();
    b.now += 1;
    b.one(Command::Prune {
        before_ms: b.now,
        limit: 1,
    })
    .unwrap();
    let forgotten = b.reader.get(needed, 1).unwrap().is_none();
    assert!(forgotten, "a cancelled task with a cancelled dependent");
    let batch = vec![keyed("charge", "7")];
    assert_eq!(
        b.one(Command::EnqueueBatch(batch)),
        Ok(Outcome::Batch(vec![existing]))
    );
}

#[test]
fn parked_requests_are_served_in_order_by_every_command_that_readies_tasks() {
    let mut b = Bench::new();
    let park = |park, queue: &str| Command::Lease {
        ask: LeaseParams {
            queues: vec![queue.into()],
            ..waiting(1)
        },
        session: None,
        park: Some(park),
        spent: 0,
    };
    let id = b.chat("x");
    b.lease(1);
    b.batch(vec![
        park(1, "elsewhere"),
        park(2, "default"),
        park(3, "default"),
        Command::Unpark(2),
    ]);
    assert_eq!(b.store.parked(), 2);
    b.now += 10_001;
    assert_eq!(b.expire()[0].task_id, id);
    assert_eq!(
        (b.woken[0].0, b.woken[0].1[0].task_id, b.woken[0].1[0].fence),
        (3, id, 2)
    );
    b.one(Command::Pause(Some("elsewhere".into()))).unwrap();
    b.enqueue(NewTask {
        queue: "elsewhere".into(),
        ..NewTask::chat("y")
    });
    assert_eq!(b.woken.len(), 1);
    let mut b = b.reopen();
    b.one(park(4, "elsewhere")).unwrap();
    assert_eq!(
        b.store.paused(),
        ["elsewhere"],
        "a pause survives a restart"
    );
    b.one(Command::Resume(Some("elsewhere".into()))).unwrap();
    assert_eq!(b.woken.last().unwrap().0, 4);
}

#[test]
fn types_are_filtered_and_priorities_go_first() {
    let mut b = Bench::new();
    let of = |task_type: &str, priority| NewTask {
        task_type: task_type.into(),
        priority,
        ..NewTask::chat("x")
    };
    let low = b.enqueue(of("chat", -1));
    let python = b.enqueue(of("python", 5));
    let high = b.enqueue(of("chat", 7));
    let no_python = LeaseParams {
        exclude_types: vec!["python".into()],
        ..ask(9)
    };
    let ids: Vec<_> = b
        .lease_as(no_python, None)
        .iter()
        .map(|t| t.task_id)
        .collect();
    assert_eq!(ids, [high, low]);
    let only = LeaseParams {
        types: vec!["python".into()],
        ..ask(9)
    };
    assert_eq!(b.lease_as(only, None)[0].task_id, python);
}

#[test]
fn output_progress_and_usage_are_stored_and_output_is_cut_with_a_mark() {
    let mut b = Bench::with(|o| o.output_limit_bytes = 10);
    let id = b.chat("x");
    b.lease(1);
    let output = |chunk, text: &str, fence| Command::Output {
        task: id,
        fence,
        chunk: Some(chunk),
        text: text.into(),
    };
    b.batch(vec![
        output(0, "12345", 1),
        output(0, "12345", 1),
        output(1, "678é000", 1),
        output(2, "gone", 1),
    ]);
    assert_eq!(
        b.one(output(3, "x", 2)).unwrap_err().code,
        ErrorCode::StaleLease
    );
    let progress = Command::Progress {
        task: id,
        fence: 1,
        data: serde_json::json!({"done": 3}),
    };
    b.one(progress).unwrap();
    let mut ack = done(id, Some(1));
    ack.usage = Some(Usage {
        input_tokens: 7,
        ..Usage::default()
    });
    b.ack(ack).unwrap();
    let detail = b.detail(id);
    let text: String = detail.output.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(
        text,
        "12345678é\n[output cut here: an attempt keeps 10 bytes]\n"
    );
    assert_eq!(b.reader.output(id, 1, 1, 10).unwrap().len(), 1);
    assert_eq!(detail.progress, Some(serde_json::json!({"done": 3})));
    assert_eq!(detail.attempts[0].usage.as_ref().unwrap().input_tokens, 7);
}

#[test]
fn pruning_forgets_old_tasks_and_keeps_the_counters_and_ids() {
    let mut b = Bench::new();
    for prompt in ["a", "b", "c"] {
        b.enqueue(NewTask {
            idempotency_key: Some(prompt.into()),
            ..NewTask::chat(prompt)
        });
    }
    b.lease(3);
    b.ack(done(1, None)).unwrap();
    b.ack(failed(2, None)).unwrap();
    b.now += 100_000;
    b.ack(done(3, None)).unwrap();
    let before = b.stats();
    let prune = |before_ms| Command::Prune {
        before_ms,
        limit: 100,
    };
    let counted = b.one(prune(b.now)).unwrap();
    assert_eq!(
        counted,
        Outcome::Counted {
            count: 2,
            more: false
        }
    );
    assert_eq!(b.stats(), before);
    assert_eq!(b.reader.list(&ListQuery::default()).unwrap().tasks.len(), 1);
    b.now += 1;
    b.one(prune(b.now)).unwrap();
    let mut b = b.reopen();
    assert_eq!(b.stats(), before);
    let again = b.enqueue(NewTask {
        idempotency_key: Some("a".into()),
        ..NewTask::chat("a")
    });
    assert_eq!(again, 4, "no id is given twice");
    b.now += 3_600_000;
    assert_eq!(b.stats().completed_last_hour, 0);
}

#[test]
fn lists_page_by_id_and_filter_by_queue_and_type() {
    let mut b = Bench::new();
    for i in 0..7 {
        b.enqueue(NewTask {
            queue: if i % 2 == 0 { "even" } else { "odd" }.into(),
            ..NewTask::chat("x")
        });
    }
    let mut query = ListQuery {
        queue: Some("even".into()),
        limit: 3,
        ..ListQuery::default()
    };
    let ids = |page: &TaskPage| page.tasks.iter().map(|t| t.task_id).collect::<Vec<_>>();
    let page = b.reader.list(&query).unwrap();
    assert_eq!(ids(&page), [7, 5, 3]);
    query.before_id = page.next_before;
    let page = b.reader.list(&query).unwrap();
    assert_eq!((ids(&page), page.next_before), (vec![1], None));
    query.queue = Some("nowhere".into());
    assert!(b.reader.list(&query).unwrap().tasks.is_empty());
    let many = b.reader.many(&[5, 99, 2]).unwrap();
    assert_eq!(many.iter().map(|t| t.task_id).collect::<Vec<_>>(), [5, 2]);
    let depth = b
        .store
        .lanes()
        .into_iter()
        .find(|lane| lane.queue == "odd")
        .unwrap();
    assert_eq!((depth.queued, depth.task_type.as_str()), (3, "chat"));
}

#[test]
fn lanes_are_limited_and_idle_requests_write_nothing() {
    let mut b = Bench::with(|o| o.lane_limit = 1);
    b.chat("x");
    let other = NewTask {
        queue: "another".into(),
        ..NewTask::chat("y")
    };
    let refused = b.one(Command::Enqueue(Box::new(other))).unwrap_err();
    assert!(refused.message.contains("limit is 1"), "{refused}");
    b.lease(1);
    let log = b.store.wal_bytes();
    b.batch(vec![
        Command::Stats,
        Command::ExpireDue { limit: 5 },
        Command::PromoteDue { limit: 5 },
    ]);
    assert!(b.lease(1).is_empty());
    assert_eq!(b.store.wal_bytes(), log);
}

#[test]
fn a_file_has_one_hub_and_a_backup_is_sound() {
    let mut b = Bench::new();
    b.chat("x");
    let second = Store::open(&b.options).err().unwrap().to_string();
    assert!(
        second.contains(&format!("process {}", std::process::id())),
        "{second}"
    );
    let copy = b.directory.path().join("copy.db");
    // Unfinished copies of a hub that ended: the old one is removed, the other one may still be written.
    let [left, fresh] =
        ["left.db.kirosu-part", "fresh.db.kirosu-part"].map(|name| b.directory.path().join(name));
    std::fs::write(&fresh, "x").unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
    let file = std::fs::File::create(&left).unwrap();
    file.set_modified(old).unwrap();
    // A finished one is kept, whatever its age and name.
    let weekly = b.directory.path().join("weekly.part");
    backup(&b.options.path, &weekly).unwrap();
    let file = std::fs::File::options().write(true).open(&weekly);
    file.unwrap().set_modified(old).unwrap();
    let named = backup(&b.options.path, &left).unwrap_err();
    assert!(matches!(named, BackupError::Name(_)), "{named}");
    let bytes = backup(&b.options.path, &copy).unwrap();
    assert_eq!(bytes, std::fs::metadata(&copy).unwrap().len());
    assert!(!left.exists() && fresh.exists() && weekly.exists());
    let again = backup(&b.options.path, &copy).unwrap_err();
    assert!(matches!(again, BackupError::Exists(_)), "{again}");
    b.store.close().unwrap();
    let copied = Store::open(&StoreOptions::new(copy, T0)).unwrap();
    assert_eq!(copied.stats(T0).queued, 1);
}

#[test]
fn a_status_change_writes_the_same_with_a_large_prompt() {
    let mut grown = Vec::new();
    for size in [100, 1_000_000] {
        let mut b = Bench::new();
        b.chat(&"x".repeat(size));
        b.store.checkpoint().unwrap();
        b.lease(1);
        b.ack(done(1, None)).unwrap();
        grown.push(b.store.wal_bytes());
    }
    assert_eq!(grown[0], grown[1], "bytes written by lease and ack");
}

#[test]
fn pruned_space_goes_back_to_the_disk_but_for_a_reserve() {
    let mut b = Bench::new();
    for _ in 0..400 {
        b.chat(&"x".repeat(20_000));
    }
    for task in b.lease(400) {
        b.ack(done(task.task_id, Some(task.fence))).unwrap();
    }
    b.store.checkpoint().unwrap();
    let size = |b: &Bench| std::fs::metadata(&b.options.path).unwrap().len();
    let full = size(&b);
    b.now += 1_000;
    let before_ms = b.now;
    let prune = Command::Prune {
        before_ms,
        limit: 1000,
    };
    // A part of the texts per commit.
    while let Outcome::Counted { more: true, .. } = b.one(prune.clone()).unwrap() {}
    let reserve = 64;
    assert!(
        b.store.shrink(100, reserve).unwrap(),
        "there is more to give"
    );
    while b.store.shrink(500, reserve).unwrap() {}
    b.store.checkpoint().unwrap();
    assert!(
        full > 8_000_000 && size(&b) < 1_000_000,
        "{full} {}",
        size(&b)
    );
    let kept = size(&b);
    assert!(!b.store.shrink(500, reserve).unwrap());
    b.store.checkpoint().unwrap();
    assert_eq!(size(&b), kept, "the reserve stays");
}
