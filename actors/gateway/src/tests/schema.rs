//! The OpenAPI description has the fields of the protocol's types and all routes, and the verbs without a route are known.

use crate::rest::description;
use kirosu_protocol::{Error, ErrorCode, Method, NewTask, OnLost, RetryPolicy, TaskBudget};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

#[test]
fn schemas_have_the_fields_of_the_protocol() {
    same("WireError", &Error::new(ErrorCode::Busy, "full"));
    let once = NewTask {
        system_prompt: Some("s".into()),
        run_at_ms: Some(0),
        max_attempts: Some(1),
        retry: Some(RetryPolicy::default()),
        timeout_ms: Some(1),
        idempotency_key: Some("k".into()),
        depends_on: vec![1],
        continues: Some(1),
        parent_id: Some(1),
        ends_with_parent: true,
        handoff: true,
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

/// The route of a verb outside of `/v1`, as method and path, or the reason why it has none.
fn route_of(method: Method) -> Result<(&'static str, &'static str), &'static str> {
    const CONNECTION: &str = "its effect belongs to one connection; HTTP requests share several";
    const WORKER: &str = "workers hold their leases by a connection";
    const OPERATOR: &str = "operators use the command line";
    match method {
        Method::Enqueue => Ok(("post", "/tasks")),
        Method::List => Ok(("get", "/tasks")),
        Method::Get => Ok(("get", "/tasks/{id}")),
        Method::Wait => Ok(("get", "/tasks/{id}/wait")),
        Method::Cancel | Method::Retry | Method::Approve | Method::Answer | Method::Reject => {
            Ok(("post", "/tasks/{id}/{act}"))
        }
        Method::Approvals => Ok(("get", "/approvals")),
        Method::Stats => Ok(("get", "/stats")),
        Method::Usage => Ok(("get", "/usage")),
        Method::Metrics => Err("the gateway serves it as /metrics, which is not of REST"),
        Method::Ping => Err("/healthz and /readyz are the checks over HTTP"),
        Method::Hello | Method::Watch => Err(CONNECTION),
        Method::Lease
        | Method::Ack
        | Method::Heartbeat
        | Method::Progress
        | Method::WaitChildren
        | Method::Output
        | Method::Reserve
        | Method::Release
        | Method::RunFile
        | Method::Ask => Err(WORKER),
        Method::EnqueueBatch | Method::RetryFailed => Err("scripts send one request per task"),
        Method::Agents | Method::Pools | Method::Tree => Err(OPERATOR),
        Method::Pause | Method::Resume | Method::Backup => Err(OPERATOR),
        Method::KeyAdd => Ok(("post", "/keys")),
        Method::KeyList => Ok(("get", "/keys")),
        Method::KeyRevoke => Ok(("delete", "/keys/{name}")),
        Method::Source => Ok(("post", "/sources")),
        Method::Runs => Ok(("get", "/runs")),
        Method::Run => Ok(("get", "/runs/{id}")),
        Method::RunItems => Ok(("get", "/runs/{id}/items")),
        Method::RunPause | Method::RunResume | Method::RunRetry => Ok(("post", "/runs/{id}/{act}")),
        Method::Audit => Err(OPERATOR),
        Method::WebTicket => Err("only a process on a terminal gives the rights of a person on"),
        Method::WebLogin | Method::WebLogout => Err("browsers use /session"),
        Method::ScheduleAdd => Ok(("post", "/schedules")),
        Method::ScheduleList => Ok(("get", "/schedules")),
        Method::ScheduleSet => Ok(("post", "/schedules/{name}/{act}")),
        Method::ScheduleRun => Ok(("post", "/schedules/{name}/run")),
        Method::ScheduleRemove => Ok(("delete", "/schedules/{name}")),
        Method::NotifyList | Method::NotifyTest => Err(OPERATOR),
        Method::NotifyTake | Method::PoolDown => Err(WORKER),
        Method::Reload | Method::Drain | Method::Shutdown => Err(OPERATOR),
    }
}

#[test]
fn the_routes_of_verbs_and_no_others_are_described_with_their_key() {
    let description = serde_json::to_value(description()).unwrap();
    let described = names(&description["paths"]);
    let of_verbs = Method::ALL.into_iter().filter_map(|it| route_of(it).ok());
    let mut expected = BTreeSet::from(["/approvals/{id}/{verdict}", "/healthz", "/readyz"]);
    assert!(description["paths"]["/runs"]["post"].is_object());
    for (method, path) in of_verbs {
        assert!(description["paths"][path][method].is_object(), "{path}");
        expected.insert(path);
    }
    assert_eq!(described, expected);
    let key = &description["components"]["securitySchemes"]["key"];
    assert_eq!(
        (&key["in"], &key["name"]),
        (&json!("header"), &json!("x-kiro-key"))
    );
}
