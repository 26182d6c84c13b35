//! Tests of reading parameters: the leniency and the refusals that clients of the first hub rely on, and that requests are read
//! back as they were written.

use kirosu_protocol::approval::PermissionOption;
use kirosu_protocol::task::{FailureClass, OnLost, RetryPolicy, Usage};
use kirosu_protocol::verbs::{
    ack::*, approvals::*, approve::*, ask::*, cancel::*, enqueue::NewTask, enqueue_batch::*,
    hello::*, lease::LeaseParams, list::*, pools::*, retry::*, wait::*, watch::*,
};
use kirosu_protocol::{
    Budget, Error, ErrorCode, Group, IdRange, Limits, Method, Params, PermissionState, Request,
    Status, Subject, Target, TaskConversation, Verb, Verdict,
};
use serde_json::{Value, json};

fn read(method: &str, params: Value) -> Result<Request, Error> {
    read_text(method, &params.to_string())
}

fn read_text(method: &str, params: &str) -> Result<Request, Error> {
    Request::read(method, &Params::parse(params)?, &Limits::default())
}

fn lease(params: Value) -> LeaseParams {
    match read("lease", params.clone()) {
        Ok(Request::Lease(ask)) => ask,
        other => panic!("{params}: {other:?}"),
    }
}

fn task(params: Value) -> NewTask {
    match read("enqueue", params.clone()) {
        Ok(Request::Enqueue(task)) => *task,
        other => panic!("{params}: {other:?}"),
    }
}

fn refused(method: &str, params: &str) -> Error {
    read_text(method, params).expect_err(params)
}

#[test]
fn null_zero_and_empty_mean_the_default_of_a_lease() {
    let usual = LeaseParams::one("worker");
    for nothing in [json!({}), json!(null)] {
        assert_eq!(lease(nothing), usual);
    }
    for nothing in [json!(null), json!(0), json!(""), json!(0.0), json!(false)] {
        assert_eq!(
            lease(json!({"max_tasks": nothing, "lease_seconds": nothing, "worker_id": nothing})),
            usual,
            "{nothing}"
        );
    }
}

#[test]
fn numbers_come_as_text_and_whole_floats() {
    for two in [json!(2), json!("2"), json!(2.0), json!(" 2 ")] {
        let ask = lease(json!({"max_tasks": two, "lease_seconds": two}));
        assert_eq!((ask.max_tasks, ask.lease_ms), (2, Some(2000)), "{two}");
    }
    assert_eq!(
        lease(json!({"lease_seconds": 1.5, "wait_seconds": "0.25"})).lease_ms,
        Some(1500)
    );
}

#[test]
fn refusals_name_the_parameter_the_rule_and_the_value() {
    let table = [
        (
            "lease",
            r#"{"lease_seconds":-5}"#,
            "invalid params: `lease_seconds` must be a number from 1 to 86400 (got -5)",
        ),
        (
            "lease",
            r#"{"lease_seconds":1e999}"#,
            "invalid params: `lease_seconds` must be a number from 1 to 86400 (got 1e999)",
        ),
        (
            "lease",
            r#"{"max_tasks":1.9}"#,
            "invalid params: `max_tasks` must be a whole number from 1 to 1000 (got 1.9)",
        ),
        (
            "lease",
            r#"{"max_tasks":"many"}"#,
            "invalid params: `max_tasks` must be a whole number from 1 to 1000 (got \"many\")",
        ),
        (
            "lease",
            r#"{"max_tasks":1001}"#,
            "invalid params: `max_tasks` must be a whole number from 1 to 1000 (got 1001)",
        ),
        (
            "lease",
            r#"{"worker_id":7}"#,
            "invalid params: `worker_id` must be a string (got 7)",
        ),
        (
            "ack",
            r#"{"task_id":1.9,"status":"done"}"#,
            "invalid params: `task_id` must be a whole number within 64 bits (got 1.9)",
        ),
        (
            "ack",
            r#"{"task_id":1180591620717411303424,"status":"done"}"#,
            "invalid params: `task_id` must be a whole number within 64 bits (got 1180591620717411303424)",
        ),
        (
            "ack",
            r#"{"status":"done"}"#,
            "invalid params: `task_id` must be a whole number within 64 bits (got nothing)",
        ),
        (
            "ack",
            r#"{"task_id":true,"status":"done"}"#,
            "invalid params: `task_id` must be a whole number within 64 bits (got true)",
        ),
        (
            "ack",
            r#"{"task_id":1,"status":"finished"}"#,
            "status must be done|failed",
        ),
        ("ack", r#"{"task_id":1}"#, "status must be done|failed"),
        (
            "ack",
            r#"{"task_id":1,"status":7}"#,
            "status must be done|failed",
        ),
        (
            "enqueue",
            r#"{"prompt":{"a":1}}"#,
            "invalid params: `prompt` must be a string, a number, true or false (got {\"a\":1})",
        ),
        (
            "ack",
            r#"{"acks":[{"task_id":1,"status":"done"},{"task_id":"x","status":"done"}]}"#,
            "invalid params: `acks[1].task_id` must be a whole number within 64 bits (got \"x\")",
        ),
        (
            "enqueue",
            r#"{}"#,
            "invalid params: `prompt` must be a string",
        ),
        (
            "enqueue",
            r#"{"prompt":null}"#,
            "invalid params: `prompt` must be a string",
        ),
        (
            "enqueue",
            r#"{"prompt":"\ud800"}"#,
            "invalid params: `prompt` is not valid text: a lone surrogate (\\ud800 to \\udfff without its pair) is not a character",
        ),
        (
            "enqueue",
            r#"{"prompt":"a","metadata":{"n":1e999}}"#,
            "invalid params: `metadata`: a number is beyond the range of a 64-bit float",
        ),
        (
            "enqueue",
            r#"{"prompt":"a","run_at":1760000000000}"#,
            "invalid params: `run_at` must be a number from 0 to 253402300799 (got 1760000000000)",
        ),
        (
            "enqueue",
            r#"{"prompt":"a","run_at":5,"delay_seconds":5}"#,
            "invalid params: give `run_at` or `delay_seconds`, not both",
        ),
        (
            "enqueue",
            r#"{"prompt":"a","on_lost":"weep"}"#,
            "invalid params: `on_lost` must be `retry`, `fail` or `ask` (got \"weep\")",
        ),
        (
            "enqueue",
            r#"{"prompt":"a","retry":{"factor":0.5}}"#,
            "invalid params: `retry.factor` must be a number from 1 to 100 (got 0.5)",
        ),
        (
            "enqueue_batch",
            r#"{"tasks":[{"prompt":"a"},{"prompt":[5]}]}"#,
            "invalid params: `tasks[1].prompt` must be a string, a number, true or false (got [5])",
        ),
        (
            "enqueue_batch",
            r#"{"tasks":[]}"#,
            "invalid params: `tasks` must be a list of at least one task (got [])",
        ),
        (
            "wait",
            r#"{"task_ids":[1,"x"]}"#,
            "invalid params: `task_ids` must be a list of at most 10000 task ids (got [1,\"x\"])",
        ),
        (
            "watch",
            r#"{"kinds":["moon"]}"#,
            "invalid params: `kinds` must be a list of task, approval, progress, output, session, actor, queue, run, step, hub, schedule (got [\"moon\"])",
        ),
    ];
    for (method, params, message) in table {
        let error = refused(method, params);
        assert_eq!(error.message, message, "{params}");
        assert_eq!(error.code, ErrorCode::InvalidParams, "{params}");
    }
}

#[test]
fn enqueue_is_as_lenient_as_the_first_hub() {
    assert_eq!(task(json!({"prompt": ""})), NewTask::chat(""));
    let lenient = json!({"prompt": "p", "system_prompt": "", "type": null, "nobody_knows": {"this": 1}, "accept": null});
    assert_eq!(task(lenient), NewTask::chat("p"));
    assert_eq!(
        task(json!({"prompt": "p", "type": "any text"})).task_type,
        "any text"
    );
    let some = task(json!({"prompt": "p", "retry": {}}));
    assert_eq!(
        (some.max_attempts, some.retry),
        (Some(3), Some(RetryPolicy::default()))
    );
}

#[test]
fn parts_of_the_protocol_that_are_not_built_are_named() {
    let error = refused("hello", r#"{"protocol":2}"#);
    assert_eq!(error.code, ErrorCode::Unsupported);
}

#[test]
fn sizes_have_their_limits() {
    let limits = Limits {
        prompt_bytes: 4,
        batch: 1,
        ..Limits::default()
    };
    let read = |method, text: &str| {
        Request::read(method, &Params::parse(text).expect("params"), &limits)
            .expect_err(text)
            .code
    };
    assert_eq!(
        read("enqueue", r#"{"prompt":"12345"}"#),
        ErrorCode::TooLarge
    );
    assert_eq!(
        read(
            "enqueue_batch",
            r#"{"tasks":[{"prompt":"1"},{"prompt":"2"}]}"#
        ),
        ErrorCode::TooLarge
    );
    assert_eq!(
        refused("lease", &json!({"worker_id": "x".repeat(257)}).to_string()).code,
        ErrorCode::InvalidParams
    );
}

#[test]
fn list_limits_and_statuses() {
    let list = |params: Value| match read("list", params.clone()) {
        Ok(Request::List(ask)) => (ask.status, ask.limit),
        other => panic!("{params}: {other:?}"),
    };
    assert_eq!(list(json!({})), (ListStatus::Any, Some(50)));
    assert_eq!(
        list(json!({"limit": null, "status": ""})),
        (ListStatus::Any, Some(50))
    );
    assert_eq!(
        list(json!({"limit": 0, "status": "done"})),
        (ListStatus::Is(Status::Done), None)
    );
    assert_eq!(
        list(json!({"limit": "-3", "status": "odd"})),
        (ListStatus::Unknown, None)
    );
    assert_eq!(
        list(json!({"limit": 2.0, "status": null})),
        (ListStatus::Any, Some(2))
    );
}

#[test]
fn ack_reads_status_in_any_case_and_the_next_lease() {
    let Ok(Request::Ack(ask)) = read(
        "ack",
        json!({"task_id": "7", "status": " DONE ", "lease": {"max_tasks": 3}}),
    ) else {
        panic!("refused");
    };
    assert_eq!(
        (ask.acks[0].task_id, ask.acks[0].status, ask.single),
        (7, AckStatus::Done, true)
    );
    assert_eq!(ask.lease.map(|l| l.max_tasks), Some(3));
}

#[test]
fn every_method_is_known_by_its_name() {
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.name()), Some(method));
    }
}

/// Checks that the hub reads the request that the client writes.
fn round_trip<V: Verb>(ask: &V, expected: Request) {
    let text = serde_json::to_string(ask).expect("JSON");
    assert_eq!(
        read_text(V::METHOD.name(), &text).expect(&text),
        expected,
        "{text}"
    );
}

#[test]
fn requests_are_read_back_as_written() {
    let full = NewTask {
        system_prompt: Some("be brief".into()),
        queue: "docs".into(),
        priority: -3,
        run_at_ms: Some(1_760_000_000_123),
        max_attempts: Some(5),
        retry: Some(RetryPolicy {
            initial_ms: 1500,
            max_ms: 60_000,
            factor: 1.5,
        }),
        timeout_ms: Some(90_500),
        idempotency_key: Some("k".into()),
        depends_on: vec![3, 1],
        parent_id: Some(1),
        ends_with_parent: true,
        requires_approval: true,
        provider: Some("codex".into()),
        model: Some("m".into()),
        workdir: Some("/srv/w".into()),
        on_lost: OnLost::Ask,
        metadata: Some(json!({"a": [1, "ü"]})),
        ..NewTask::chat("do it")
    };
    let later = NewTask {
        delay_ms: 2500,
        ..NewTask::chat("later")
    };
    round_trip(&full, Request::Enqueue(Box::new(full.clone())));
    let further = NewTask {
        prompt: "and the tests".into(),
        continues: Some(7),
        ..NewTask::default()
    };
    round_trip(&further, Request::Enqueue(Box::new(further.clone())));
    let batch = EnqueueBatchParams {
        tasks: vec![full, later],
    };
    round_trip(&batch, Request::EnqueueBatch(batch.clone()));

    let next = LeaseParams {
        max_tasks: 4,
        lease_ms: Some(60_000),
        wait_ms: 1500,
        queues: vec!["a".into(), "b".into()],
        types: vec!["chat".into()],
        exclude_types: vec!["python".into()],
        ..LeaseParams::one("w")
    };
    round_trip(&next, Request::Lease(next.clone()));
    let failed = Ack {
        retry_at_ms: Some(1_760_000_000_500),
        usage: Some(Usage {
            input_tokens: 5,
            cost_usd: Some(0.25),
            cost_estimated: true,
            ..Usage::default()
        }),
        worker_id: Some("w".into()),
        ..Ack::failed(9, Some(2), FailureClass::RateLimited, "slow down")
    };
    let failed = Ack {
        conversation: Some(Box::new(TaskConversation {
            session: "s-1".into(),
            provider: "codex".into(),
            pool: Some("coders".into()),
            workdir: Some("/w".into()),
            folder_removed: true,
            data: Some(json!({"a": 1})),
        })),
        ..failed
    };
    let single = AckParams {
        lease: Some(Box::new(next)),
        ..AckParams::one(Ack::done(8, Some(1), "fine"))
    };
    round_trip(&single, Request::Ack(single.clone()));
    let many = AckParams {
        acks: vec![Ack::done(8, None, ""), failed],
        single: false,
        lease: None,
    };
    round_trip(&many, Request::Ack(many.clone()));

    let list = ListParams {
        status: ListStatus::Is(Status::Failed),
        limit: None,
        before: Some(9),
        preview_bytes: Some(0),
        ..ListParams::default()
    };
    round_trip(&list, Request::List(list.clone()));
    let wait = WaitParams {
        target: WaitTarget::Tasks(vec![5, 4]),
        timeout_ms: 0,
    };
    round_trip(&wait, Request::Wait(wait.clone()));
    let group = Group {
        labels: vec!["night".into()],
        queue: Some("docs".into()),
        parent_id: Some(7),
        ranges: vec![IdRange { first: 2, last: 5 }],
    };
    let wait = WaitParams {
        target: WaitTarget::Group(group.clone()),
        timeout_ms: 1500,
    };
    round_trip(&wait, Request::Wait(wait.clone()));
    for target in [Target::Task(3), Target::Group(group)] {
        let cancel = CancelParams {
            target: target.clone(),
            by: Some("ada".into()),
            reason: None,
        };
        round_trip(&cancel, Request::Cancel(cancel.clone()));
        let retry = RetryParams {
            failed: matches!(target, Target::Group(_)),
            target,
            with_dependencies: true,
        };
        round_trip(&retry, Request::Retry(retry.clone()));
    }
    let watch = WatchParams {
        since: Some(3),
        boot_id: Some("b".into()),
        task_id: Some(4),
        kinds: vec!["output".into()],
    };
    round_trip(&watch, Request::Watch(watch.clone()));
    let hello = HelloParams {
        session_id: Some("s".into()),
        resume: false,
        ..HelloParams::default()
    };
    round_trip(&hello, Request::Hello(hello.clone()));
    let pools = PoolsParams {
        resize: Some(Resize {
            pool: "p".into(),
            size: 0,
        }),
        probe: Some("claude".into()),
    };
    round_trip(&pools, Request::Pools(pools.clone()));
}

#[test]
fn permission_requests_are_read_back_and_invalid_ones_named() {
    let ask = AskParams {
        task_id: 42,
        fence: Some(3),
        call: "1:call_7".into(),
        tool: "shell".into(),
        kind: Some("execute".into()),
        title: "git push".into(),
        args: Some(serde_json::json!({"command": "git push"})),
        pool: Some("coders".into()),
        wait_ms: Some(1500),
        decided: Some(RuleDecision {
            verdict: Verdict::Rejected,
            rule: "no".into(),
        }),
        options: vec![PermissionOption {
            id: "pg".into(),
            name: "Postgres".into(),
        }],
        withdrawn: true,
    };
    round_trip(&ask, Request::Ask(Box::new(ask.clone())));
    let page = ApprovalsParams {
        state: WhichState::Is(PermissionState::Void),
        task_id: Some(42),
        limit: Some(7),
        cursor: Some(Cursor::Human(43)),
    };
    round_trip(&page, Request::Approvals(page.clone()));
    let approve = ApproveParams {
        subject: Subject::Approval(17),
        fence: None,
        by: Some("ada".into()),
        comment: None,
        raise: None,
        option: Some("pg".into()),
    };
    round_trip(&approve, Request::Approve(approve.clone()));
    let of_task = ApproveParams {
        subject: Subject::Task(3),
        fence: Some(2),
        raise: Some(Budget {
            tokens: Some(5),
            micros: None,
        }),
        option: None,
        ..approve
    };
    round_trip(&of_task, Request::Approve(of_task.clone()));
    for (method, params, wrong) in [
        ("ask", r#"{"task_id":1,"tool":"t"}"#, "`call`"),
        ("ask", r#"{"task_id":1,"call":"c"}"#, "`tool`"),
        (
            "ask",
            r#"{"task_id":1,"call":"c","tool":"t","decided":{"verdict":"maybe","rule":"r"}}"#,
            "`decided.verdict`",
        ),
        (
            "ask",
            r#"{"task_id":1,"call":"c","tool":"t","decided":{"verdict":"approved"}}"#,
            "`decided.rule`",
        ),
        ("approve", r#"{"approval_id":1,"fence":2}"#, "`fence`"),
        ("reject", r#"{"task_id":1,"fence":-2}"#, "`fence`"),
        ("approvals", r#"{"state":"opened"}"#, "`state`"),
        ("approvals", r#"{"cursor":"x7"}"#, "`cursor`"),
        ("approvals", r#"{"limit":1001}"#, "`limit`"),
        ("approve", r#"{"approval_id":"b17"}"#, "`approval_id`"),
        (
            "reject",
            r#"{"approval_id":17,"task_id":1}"#,
            "`approval_id`",
        ),
        ("reject", "{}", "`task_id`"),
    ] {
        let error = read_text(method, params).expect_err(params);
        assert!(error.message.contains(wrong), "{params}: {error}");
    }
}

#[test]
fn a_reserve_names_each_budget_once_within_the_name_limit() {
    let reserve = |scopes: Value| {
        let params = json!({"task_id": 1, "fence": 1, "scopes": scopes, "want": {"tokens": 1}});
        read("reserve", params).map(drop)
    };
    let pool = |name: &str| json!({"scope": format!("pool:{name}"), "tokens": 1});
    reserve(json!([pool("a"), pool(&"b".repeat(256))])).expect("two pools");
    let twice = reserve(json!([pool("a"), pool("a")])).expect_err("twice");
    assert!(twice.message.contains("pool:a twice"), "{twice}");
    reserve(json!([pool(&"b".repeat(300))])).expect_err("a long name");
}
