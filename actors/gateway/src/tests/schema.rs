//! The schemas of the OpenAPI description have the fields of the protocol's types.

use crate::rest::description;
use kirosu_protocol::{
    Approval, Attempt, Error, ErrorCode, NewTask, OnLost, RetryPolicy, Stats, Status, Task,
    TaskBudget, Usage, UsageAnswer, UsageRow, UsageSum, WaitReason, Waiting,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Names of an object's fields, or of a schema's properties.
fn names(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn same(schema: &str, real: &impl Serialize) {
    let description = serde_json::to_value(description()).unwrap();
    let described = &description["components"]["schemas"][schema]["properties"];
    let real = serde_json::to_value(real).unwrap();
    assert_eq!(names(described), names(&real), "{schema}");
}

fn task() -> Task {
    Task {
        task_id: 1,
        prompt: "p".into(),
        system_prompt: None,
        task_type: "chat".into(),
        status: Status::Queued,
        created_at: 0.0,
        updated_at: 0.0,
        leased_until: None,
        worker_id: None,
        result: None,
        error: None,
        fence: 0,
        queue: "default".into(),
        priority: 0,
        attempts: 0,
        attempt: Some(1),
        max_attempts: Some(1),
        run_at: Some(0.0),
        finished_at: Some(0.0),
        timeout_ms: Some(1),
        parent_id: Some(1),
        provider: Some("p".into()),
        model: Some("m".into()),
        workdir: Some("w".into()),
        budget: Some(TaskBudget::default()),
        budget_trees: vec![1],
        accept: Some(Box::default()),
        not_accepted: Some(Box::default()),
        metadata: Some(json!({})),
        cut: BTreeMap::from([("prompt".to_owned(), 1)]),
        labels: vec!["l".into()],
        waiting: Some(Box::new(waiting())),
    }
}

fn waiting() -> Waiting {
    Waiting {
        reason: WaitReason::Busy,
        message: "m".into(),
        until: Some(0.0),
        task_id: Some(1),
        pool: Some("p".into()),
    }
}

#[test]
fn its_schemas_have_the_fields_of_the_protocol() {
    same("Task", &task());
    let draining = Stats {
        draining: true,
        ..Stats::default()
    };
    same("Stats", &draining);
    same("Waiting", &waiting());
    let attempt = Attempt {
        fence: 1,
        worker_id: None,
        started_at: 0.0,
        ended_at: 0.0,
        outcome: "done".into(),
        error: None,
        result: Some(String::new()),
        provider: Some(String::new()),
        usage: Some(Usage::default()),
    };
    same("Attempt", &attempt);
    same("Usage", &UsageAnswer::default());
    same("UsageRow", &UsageRow::default());
    same("UsageSum", &UsageSum::default());
    let approval = Approval {
        approval_id: Some(1),
        tool: Some("t".into()),
        kind: Some("k".into()),
        args: Some("{}".into()),
        pool: Some("p".into()),
        queue: Some("q".into()),
        expires_at: Some(0.0),
        decided_at: Some(0.0),
        by: Some("b".into()),
        reason: Some("r".into()),
        rule: Some("r".into()),
        options: vec![kirosu_protocol::approval::PermissionOption::default()],
        option: Some(String::new()),
        ..Approval::default()
    };
    same("Approval", &approval);
    same("WireError", &Error::new(ErrorCode::Busy, "full"));
    let once = NewTask {
        system_prompt: Some("s".into()),
        run_at_ms: Some(0),
        max_attempts: Some(1),
        retry: Some(RetryPolicy::default()),
        timeout_ms: Some(1),
        idempotency_key: Some("k".into()),
        depends_on: vec![1],
        parent_id: Some(1),
        provider: Some("p".into()),
        model: Some("m".into()),
        workdir: Some("w".into()),
        on_lost: OnLost::Ask,
        budget: Some(TaskBudget::default()),
        accept: Some(Box::default()),
        labels: vec!["l".into()],
        metadata: Some(json!({})),
        delay_ms: 1,
        ..NewTask::chat("p")
    };
    same("NewTask", &once);
    same("Retry", &serde_json::to_value(&once).unwrap()["retry"]);
}

#[test]
fn every_route_is_described_with_its_key() {
    let description = serde_json::to_value(description()).unwrap();
    let paths = names(&description["paths"]);
    let expected = [
        "/approvals",
        "/approvals/{id}/{verdict}",
        "/healthz",
        "/readyz",
        "/stats",
        "/tasks",
        "/tasks/{id}",
        "/tasks/{id}/wait",
        "/tasks/{id}/{act}",
        "/usage",
    ];
    assert_eq!(paths, BTreeSet::from(expected));
    let key = &description["components"]["securitySchemes"]["key"];
    assert_eq!(
        (&key["in"], &key["name"]),
        (&json!("header"), &json!("x-kiro-key"))
    );
}
