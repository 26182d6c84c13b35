use super::*;
use serde_json::json;

fn task(status: &str, more: serde_json::Value) -> Task {
    let mut fields = json!({
        "task_id": 7, "prompt": "p", "system_prompt": null, "type": "chat", "status": status, "created_at": 0.0,
        "updated_at": 0.0, "leased_until": null, "worker_id": null, "result": null, "error": null, "fence": 0,
        "queue": "docs", "priority": 0, "attempts": 0,
    });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    serde_json::from_value(fields).unwrap()
}

fn pool(state: &str, size: u32, busy: u32) -> PoolInfo {
    PoolInfo {
        name: "writers".into(),
        provider: "claude".into(),
        queues: vec!["docs".into()],
        size,
        busy,
        state: state.into(),
        note: Some("see here".into()),
        ..PoolInfo::default()
    }
}

fn of(task: &Task, facts: &WaitFacts, pools: Vec<PoolInfo>) -> (WaitReason, String) {
    let context = WaitContext {
        pools,
        draining: false,
        python: true,
    };
    let waiting = reason(task, facts, &context).unwrap();
    (waiting.reason, waiting.message)
}

#[test]
fn each_state_that_waits_has_its_reason() {
    let facts = WaitFacts::default();
    let why = |status, more| of(&task(status, more), &facts, vec![]).0;
    assert_eq!(why("blocked", json!({})), WaitReason::Dependency);
    assert_eq!(
        why("scheduled", json!({"run_at": 9.0})),
        WaitReason::NotBefore
    );
    let tried = json!({"run_at": 9.0, "fence": 1, "worker_id": "w", "error": "x"});
    assert_eq!(why("scheduled", tried), WaitReason::Retry);
    assert_eq!(why("awaiting_approval", json!({})), WaitReason::Approval);
    assert_eq!(why("queued", json!({"type": "human"})), WaitReason::Answer);
    let scheduled = task("scheduled", json!({"run_at": 9.0}));
    let waiting = reason(&scheduled, &facts, &WaitContext::default()).unwrap();
    assert_eq!(waiting.until, Some(9.0));
    for status in ["leased", "done", "failed", "cancelled"] {
        let task = task(status, json!({}));
        assert_eq!(reason(&task, &facts, &WaitContext::default()), None);
    }
}

#[test]
fn a_blocked_task_names_its_dependency_and_the_state_of_it() {
    let mut facts = WaitFacts::default();
    let on = |status, more| Dependency {
        task_id: 3,
        status,
        more,
    };
    let mut message = |dependency| {
        facts.dependencies.insert(7, dependency);
        of(&task("blocked", json!({})), &facts, vec![]).1
    };
    assert_eq!(
        message(on(Status::Queued, 2)),
        "it waits for task 3, which is queued, and for 2 more"
    );
    assert_eq!(
        message(on(Status::Failed, 0)),
        "it waits for task 3, which has failed: kirosu retry 3"
    );
    assert_eq!(
        message(on(Status::Leased, 0)),
        "it waits for task 3, which runs"
    );
    // The end of a task with many dependents unblocks them in several commits.
    let late = of(&task("blocked", json!({})), &WaitFacts::default(), vec![]);
    assert_eq!(
        late.1,
        "all tasks that it depends on are done: it leaves `blocked` in a moment"
    );
}

#[test]
fn a_stopped_hub_or_queue_comes_before_a_stopped_pool() {
    let queued = task("queued", json!({}));
    let paused = |name: &str| WaitFacts {
        paused: vec![name.into()],
        ..WaitFacts::default()
    };
    let missing = vec![pool("missing", 2, 0)];
    let named = of(&queued, &paused("docs"), missing.clone());
    assert_eq!(
        named,
        (
            WaitReason::Paused,
            "queue 'docs' is paused: kirosu resume docs".into()
        )
    );
    assert_eq!(
        of(&queued, &paused("*"), missing.clone()).0,
        WaitReason::Paused
    );
    assert_eq!(
        of(&queued, &paused("other"), missing.clone()).0,
        WaitReason::Missing
    );
    let context = WaitContext {
        pools: missing,
        draining: true,
        python: true,
    };
    let waiting = reason(&queued, &paused("docs"), &context).unwrap();
    assert_eq!(waiting.reason, WaitReason::Draining);
}

#[test]
fn a_queued_task_names_the_state_of_its_pools() {
    let queued = task("queued", json!({}));
    let none = WaitFacts::default();
    let why = |pools| of(&queued, &none, pools).0;
    for (state, reason) in [
        ("missing", WaitReason::Missing),
        ("auth_required", WaitReason::AuthRequired),
        ("rate_limited", WaitReason::RateLimited),
        ("network", WaitReason::Network),
        ("budget_exhausted", WaitReason::BudgetExhausted),
        ("short", WaitReason::Short),
        ("failing", WaitReason::Failing),
        ("not_trusted", WaitReason::NotTrusted),
        ("gave_up", WaitReason::GaveUp),
        ("from_a_later_version", WaitReason::Other),
    ] {
        let (word, message) = of(&queued, &none, vec![pool(state, 2, 0)]);
        assert_eq!(word, reason, "{state}");
        assert!(
            message.starts_with("pool 'writers' takes no tasks: "),
            "{message}"
        );
        assert!(message.ends_with("see here"), "{message}");
    }
    assert_eq!(why(vec![pool("running", 0, 0)]), WaitReason::NoAgents);
    assert_eq!(why(vec![pool("running", 2, 2)]), WaitReason::Busy);
    assert_eq!(why(vec![pool("running", 2, 1)]), WaitReason::Next);
    // Another pool that runs is what it waits for.
    assert_eq!(
        why(vec![pool("missing", 1, 0), pool("running", 1, 1)]),
        WaitReason::Busy
    );
    let lane = |until| LaneInfo {
        account: "claude".into(),
        state: "rate_limited".into(),
        until,
        ..LaneInfo::default()
    };
    let parked = |until| PoolInfo {
        lanes: vec![lane(until)],
        ..pool("rate_limited", 1, 0)
    };
    let context = WaitContext {
        pools: vec![parked(None), parked(Some(900)), parked(Some(500))],
        draining: false,
        python: true,
    };
    assert_eq!(reason(&queued, &none, &context).unwrap().until, Some(500.0));
}

#[test]
fn a_task_without_a_pool_names_the_busy_worker_if_there_is_one() {
    let none = WaitFacts::default();
    let why = |more, pools| of(&task("queued", more), &none, pools);
    let (reason, message) = why(json!({"queue": "nowhere"}), vec![pool("running", 1, 0)]);
    assert_eq!(reason, WaitReason::NoWorker);
    assert!(
        message.starts_with("no pool serves queue 'nowhere'"),
        "{message}"
    );
    let (reason, message) = why(json!({"queue": "nowhere"}), vec![]);
    assert_eq!(reason, WaitReason::NoWorker);
    assert!(message.starts_with("this hub has no pools"), "{message}");
    let typed = PoolInfo {
        types: vec!["chat".into()],
        ..pool("running", 1, 0)
    };
    let (reason, message) = why(json!({"type": "review"}), vec![typed]);
    assert_eq!(reason, WaitReason::NoWorker);
    assert!(message.contains("but not type 'review'"), "{message}");
    // A pool without the opt-in leaves `python` tasks alone.
    let (reason, _) = why(json!({"type": "python"}), vec![pool("running", 1, 0)]);
    assert_eq!(reason, WaitReason::NoWorker);
    let mut busy = WaitFacts::default();
    busy.leased.insert(("docs".into(), "chat".into()), 3);
    assert_eq!(
        of(&task("queued", json!({})), &busy, vec![]).0,
        WaitReason::Busy
    );
}

#[test]
fn a_python_task_waits_for_a_hub_that_allows_code() {
    let mut python = task("queued", json!({}));
    python.task_type = TYPE_PYTHON.to_owned();
    let context = WaitContext::default();
    let waiting = reason(&python, &WaitFacts::default(), &context).unwrap();
    assert_eq!(waiting.reason, WaitReason::NotTrusted);
    assert!(waiting.message.contains("hub.trust_all_tools"));
}
