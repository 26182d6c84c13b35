//! The rows: one per verb.

use super::World;
use kirosu_protocol::Method;
use kirosu_protocol::access::AccessRole;
use serde_json::{Value, json};

/// A verb on the command line.
pub struct CliCall {
    /// The arguments for the verb's parameters.
    pub arguments: fn(&Value) -> Vec<String>,
    /// Fields of the verb's answer and of what the command prints that are equal, as JSON pointers.
    pub same: &'static [(&'static str, &'static str)],
}

/// A verb as an MCP tool.
pub struct McpCall {
    pub tool: &'static str,
    /// The tool's arguments for the verb's parameters.
    pub arguments: fn(&Value) -> Value,
    pub same: &'static [(&'static str, &'static str)],
}

/// A verb and its ways.
pub struct Row {
    pub verb: Method,
    pub route: &'static str,
    /// The role of the calls, if it is not the most limited one with the right.
    pub role: Option<AccessRole>,
    /// Parameters that can be read, for calls that are refused for their role.
    pub sample: Value,
    /// Prepares a call and returns its parameters. `None`: the verb would end the test; only refusals are compared.
    pub params: Option<fn(&mut World) -> Value>,
    /// Fields that are equal in the answers of two calls.
    pub same: &'static [&'static str],
    /// Parameters that are refused, and the name of the error.
    pub wrong: Option<(Value, &'static str)>,
    pub cli: Option<CliCall>,
    pub mcp: Option<McpCall>,
}

impl Row {
    fn new(verb: Method, route: &'static str, sample: Value) -> Row {
        Row {
            verb,
            route,
            sample,
            role: None,
            params: None,
            same: &[],
            wrong: None,
            cli: None,
            mcp: None,
        }
    }

    fn by(mut self, role: AccessRole) -> Row {
        self.role = Some(role);
        self
    }

    fn call(mut self, params: fn(&mut World) -> Value, same: &'static [&'static str]) -> Row {
        self.params = Some(params);
        self.same = same;
        self
    }

    fn wrong(mut self, params: Value, code: &'static str) -> Row {
        self.wrong = Some((params, code));
        self
    }

    fn cli(
        mut self,
        arguments: fn(&Value) -> Vec<String>,
        same: &'static [(&'static str, &'static str)],
    ) -> Row {
        self.cli = Some(CliCall { arguments, same });
        self
    }

    fn mcp(
        mut self,
        tool: &'static str,
        arguments: fn(&Value) -> Value,
        same: &'static [(&'static str, &'static str)],
    ) -> Row {
        self.mcp = Some(McpCall {
            tool,
            arguments,
            same,
        });
        self
    }
}

/// The route of verbs that browsers use by `/session`.
pub const NO_ROUTE: &str = "";

/// The words of a command, and values of the parameters.
macro_rules! command {
    ($($word:expr),* $(,)?) => { vec![$($word.to_string()),*] };
}

fn id(params: &Value) -> String {
    params["task_id"].to_string()
}

fn word<'a>(params: &'a Value, name: &str) -> &'a str {
    params[name].as_str().unwrap_or_default()
}

/// A task that no pool takes.
fn new_task(world: &mut World) -> Value {
    let params = json!({"prompt": "of a face", "queue": "unserved"});
    let id = world.client(AccessRole::Enqueue).enqueue_with(params);
    json!({"task_id": id})
}

fn waiting_task(world: &mut World, more: Value) -> Value {
    let mut params = json!({"prompt": "of a face", "queue": "unserved"});
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let id = world.client(AccessRole::Enqueue).enqueue_with(params);
    json!({"task_id": id})
}

fn cancelled_task(world: &mut World) -> Value {
    let params = new_task(world);
    world
        .client(AccessRole::Enqueue)
        .call("cancel", params.clone());
    params
}

/// A task that the key of the role `work` has leased, with `more` parameters.
fn leased_task(world: &mut World, more: Value) -> Value {
    let queue = format!("leased-{}", world.number());
    let params = json!({"prompt": "of a face", "queue": queue});
    world.client(AccessRole::Enqueue).enqueue_with(params);
    let lease = json!({"worker_id": "faces", "queues": [queue]});
    let task = world.client(AccessRole::Work).lease(lease);
    let mut params = json!({"task_id": task["task_id"], "fence": task["fence"]});
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    params
}

/// A run of a plan that waits for a person.
fn waiting_run(world: &mut World) -> Value {
    let plan = "pipeline: [{id: ok, approve: {prompt: 'Go on?'}}]";
    let params = json!({"type": "plan", "prompt": plan});
    let id = world.client(AccessRole::Enqueue).enqueue_with(params);
    let run = json!({"task_id": id});
    crate::common::until("the run is under way", || {
        let answer = world.client(AccessRole::Observe).call("run", run.clone());
        (answer["state"] == "waiting" || answer["state"] == "open").then_some(())
    });
    run
}

fn paused_run(world: &mut World) -> Value {
    let run = waiting_run(world);
    world
        .client(AccessRole::Enqueue)
        .call("run_pause", run.clone());
    run
}

/// A run of a plan that is done.
pub fn done_run(world: &mut World) -> Value {
    let plan = "pipeline: [{id: say, prompt: hi}]";
    let params = json!({"type": "plan", "prompt": plan});
    let id = world.client(AccessRole::Enqueue).enqueue_with(params);
    let wait = json!({"task_id": id, "timeout_seconds": 30});
    let waited = world.client(AccessRole::Observe).call("wait", wait);
    assert_eq!(waited["finished"], true, "{waited}");
    json!({"task_id": id})
}

fn schedule(world: &mut World) -> Value {
    let name = format!("s{}", world.number());
    let params = json!({"name": name, "every_seconds": 90_000, "task": {"prompt": "p", "queue": "unserved"}});
    world
        .client(AccessRole::Enqueue)
        .call("schedule_add", params);
    json!({"name": name})
}

fn key(world: &mut World) -> Value {
    let name = format!("k{}", world.number());
    let params = json!({"name": name, "role": "observe"});
    world.client(AccessRole::Admin).call("key_add", params);
    json!({"name": name})
}

fn nothing(_: &mut World) -> Value {
    json!({})
}

/// A call about a task that does not exist.
fn unknown() -> Value {
    json!({"task_id": 999_999})
}

/// A call about a schedule or key that does not exist.
fn unknown_name() -> Value {
    json!({"name": "nothing"})
}

pub fn rows() -> Vec<Row> {
    let mut rows = tasks();
    rows.extend(workers());
    rows.extend(people());
    rows.extend(runs());
    rows.extend(operations());
    rows
}

fn tasks() -> Vec<Row> {
    vec![
        Row::new(Method::Hello, "GET /v1/hello", json!({})).call(nothing, &["/protocol", "/server", "/boot_id", "/limits", "/role"]),
        Row::new(Method::Enqueue, "POST /v1/tasks", json!({"prompt": "p"}))
            .call(
                |world| {
                    // The same task for each face, which is there before the first call.
                    let params = json!({"prompt": "once", "queue": "unserved", "idempotency_key": "faces"});
                    world.client(AccessRole::Enqueue).enqueue_with(params.clone());
                    params
                },
                &["/task_id", "/existed", "/status"],
            )
            .wrong(json!({"prompt": "p", "depends_on": [999_999]}), "invalid_params")
            .cli(
                |p| match p.get("depends_on") {
                    Some(ids) => command!["enqueue", word(p, "prompt"), "--depends-on", ids[0]],
                    None => command!["enqueue", word(p, "prompt"), "--queue", "unserved", "--idempotency-key", "faces"],
                },
                &[("/task_id", "/task_id")],
            )
            .mcp("enqueue_task", Value::clone, &[("/task_id", "/task_id")]),
        Row::new(Method::EnqueueBatch, "POST /v1/tasks/batch", json!({"tasks": [{"prompt": "p"}]}))
            .call(|_| json!({"tasks": [{"prompt": "once", "queue": "unserved", "idempotency_key": "faces"}]}), &["/task_ids"])
            .wrong(json!({"tasks": [{"prompt": "p", "depends_on": [999_999]}]}), "invalid_params"),
        Row::new(Method::List, "GET /v1/tasks", json!({}))
            .call(
                |world| {
                    let queue = format!("listed-{}", world.number());
                    world.client(AccessRole::Enqueue).enqueue_with(json!({"prompt": "listed", "queue": queue}));
                    json!({"queue": queue, "limit": 1})
                },
                &["/tasks/0/prompt", "/tasks/0/status", "/tasks/0/priority"],
            )
            .cli(
                |p| match p.get("queue") {
                    Some(_) => command!["list", "--queue", word(p, "queue"), "--limit", 1],
                    None => command!["list"],
                },
                &[("/tasks/0/prompt", "/tasks/0/prompt"), ("/tasks/0/status", "/tasks/0/status")],
            )
            .mcp(
                "list_tasks",
                Value::clone,
                &[("/tasks/0/prompt", "/tasks/0/prompt"), ("/tasks/0/status", "/tasks/0/status")],
            ),
        Row::new(Method::Get, "GET /v1/tasks/{task_id}", json!({"task_id": 1}))
            .call(new_task, &["/task/prompt", "/task/status", "/attempts"])
            .wrong(unknown(), "unknown_task")
            .cli(|p| command!["get", id(p)], &[("/task/prompt", "/task/prompt"), ("/attempts", "/attempts")])
            .mcp("get_task_status", Value::clone, &[("/task/prompt", "/prompt"), ("/task/status", "/status")]),
        Row::new(Method::Wait, "POST /v1/wait", json!({"task_id": 1}))
            .call(cancelled_task, &["/finished", "/tasks/0/status"])
            .wrong(unknown(), "unknown_task")
            .mcp("wait_for_task", Value::clone, &[("/tasks/0/status", "/status"), ("/finished", "/finished")]),
        Row::new(Method::Cancel, "POST /v1/tasks/{task_id}/cancel", json!({"task_id": 1}))
            .call(new_task, &["/ok"])
            .wrong(unknown(), "unknown_task")
            .cli(|p| command!["cancel", id(p)], &[])
            .mcp("cancel_task", Value::clone, &[]),
        Row::new(Method::Retry, "POST /v1/tasks/{task_id}/retry", json!({"task_id": 1}))
            .call(cancelled_task, &["/ok"])
            .wrong(unknown(), "unknown_task")
            .cli(|p| command!["retry", id(p)], &[]),
        Row::new(Method::RetryFailed, "POST /v1/tasks/retry_failed", json!({}))
            .call(|_| json!({"queue": "unserved"}), &["/retried"])
            .cli(|_| command!["retry", "--failed", "--queue", "unserved"], &[("/retried", "/retried")]),
        Row::new(Method::Watch, "GET /v1/events", json!({})),
        Row::new(Method::Stats, "GET /v1/stats", json!({}))
            .call(nothing, &["/stats/done", "/stats/queued"])
            .cli(|_| command!["stats"], &[("/stats/queued", "/stats/queued")]),
        Row::new(Method::Usage, "GET /v1/usage", json!({}))
            .call(|_| json!({"by": "pool"}), &["/total"])
            .cli(|_| command!["usage", "--by", "pool"], &[("/total", "/total")]),
    ]
}

fn workers() -> Vec<Row> {
    let of_task = || json!({"task_id": 1, "fence": 1});
    let unknown = || json!({"task_id": 999_999, "fence": 1});
    vec![
        Row::new(Method::Lease, "POST /v1/leases", json!({}))
            .call(
                |world| {
                    let queue = format!("to-lease-{}", world.number());
                    world
                        .client(AccessRole::Enqueue)
                        .enqueue_with(json!({"prompt": "leased", "queue": queue}));
                    json!({"worker_id": "faces", "queues": [queue]})
                },
                &["/tasks/0/prompt", "/tasks/0/status", "/tasks/0/attempts"],
            )
            .wrong(json!({"max_tasks": -1}), "invalid_params"),
        Row::new(
            Method::Ack,
            "POST /v1/leases/ack",
            json!({"task_id": 1, "fence": 1, "status": "done"}),
        )
        .call(
            |world| leased_task(world, json!({"status": "done", "result": "r"})),
            &["/ok"],
        )
        .wrong(
            json!({"task_id": 999_999, "fence": 1, "status": "done"}),
            "unknown_task",
        ),
        Row::new(Method::Heartbeat, "POST /v1/leases/heartbeat", of_task())
            .call(|world| leased_task(world, json!({})), &["/ok"])
            .wrong(unknown(), "unknown_task"),
        Row::new(Method::Progress, "POST /v1/leases/progress", of_task())
            .call(
                |world| leased_task(world, json!({"data": {"percent": 4}})),
                &["/ok"],
            )
            .wrong(unknown(), "unknown_task"),
        Row::new(
            Method::Output,
            "POST /v1/leases/output",
            json!({"task_id": 1, "fence": 1, "text": "x"}),
        )
        .call(|world| leased_task(world, json!({"text": "x"})), &["/ok"])
        .wrong(
            json!({"task_id": 999_999, "fence": 1, "text": "x"}),
            "unknown_task",
        ),
        Row::new(
            Method::WaitChildren,
            "POST /v1/leases/wait_children",
            of_task(),
        )
        // Only a run with its token has children.
        .wrong(unknown(), "unknown_task"),
        Row::new(Method::Reserve, "POST /v1/leases/reserve", of_task())
            .call(
                |world| leased_task(world, json!({"want": {"tokens": 5}})),
                &["/granted"],
            )
            .wrong(unknown(), "unknown_task"),
        Row::new(Method::Release, "POST /v1/leases/release", of_task())
            .call(|world| leased_task(world, json!({})), &["/ok"])
            .wrong(unknown(), "unknown_task"),
        Row::new(
            Method::Ask,
            "POST /v1/approvals",
            json!({"task_id": 1, "fence": 1, "call": "c", "tool": "t"}),
        )
        .call(
            |world| leased_task(world, json!({"call": "c", "tool": "shell"})),
            &["/state"],
        )
        .wrong(
            json!({"task_id": 999_999, "fence": 1, "call": "c", "tool": "t"}),
            "unknown_task",
        ),
        Row::new(
            Method::RunFile,
            "POST /v1/runs/{task_id}/file",
            json!({"task_id": 1, "fence": 1, "step": "s"}),
        )
        .wrong(
            json!({"task_id": 999_999, "fence": 1, "step": "s"}),
            "stale_lease",
        ),
    ]
}

fn people() -> Vec<Row> {
    vec![
        Row::new(
            Method::Approve,
            "POST /v1/tasks/{task_id}/approve",
            json!({"task_id": 1}),
        )
        .call(
            |world| waiting_task(world, json!({"requires_approval": true})),
            &["/ok"],
        )
        .wrong(unknown(), "unknown_task")
        .cli(|p| command!["approve", id(p)], &[])
        .mcp("approve_task", Value::clone, &[]),
        Row::new(
            Method::Answer,
            "POST /v1/tasks/{task_id}/answer",
            json!({"task_id": 1, "text": "yes"}),
        )
        .call(
            |world| {
                let mut params = waiting_task(world, json!({"type": "human"}));
                params["text"] = json!("yes");
                params
            },
            &["/ok"],
        )
        .wrong(json!({"task_id": 999_999, "text": "yes"}), "unknown_task")
        .cli(|p| command!["answer", id(p), word(p, "text")], &[])
        .mcp("answer_task", Value::clone, &[]),
        Row::new(
            Method::Reject,
            "POST /v1/tasks/{task_id}/reject",
            json!({"task_id": 1}),
        )
        .call(
            |world| waiting_task(world, json!({"requires_approval": true})),
            &["/ok"],
        )
        .wrong(unknown(), "unknown_task")
        .cli(|p| command!["reject", id(p)], &[]),
        Row::new(Method::Approvals, "GET /v1/approvals", json!({}))
            .call(nothing, &["/approvals/0/what"])
            .cli(|_| command!["approvals"], &[]),
    ]
}

fn runs() -> Vec<Row> {
    vec![
        Row::new(Method::Source, "POST /v1/sources", json!({"items": [1]}))
            .call(|_| json!({"items": ["red", "blue"]}), &["/items"])
            .wrong(json!({"items": []}), "invalid_params"),
        Row::new(Method::Run, "GET /v1/runs/{task_id}", json!({"task_id": 1}))
            .call(done_run, &["/state", "/made", "/steps/0/path", "/result"])
            .wrong(unknown(), "unknown_task")
            .cli(|p| command!["run", "show", id(p)], &[("/state", "/state"), ("/made", "/made")])
            .mcp("get_run", Value::clone, &[("/state", "/state"), ("/steps/0/path", "/steps/0/path")]),
        Row::new(Method::Runs, "GET /v1/runs", json!({}))
            .call(|_| json!({"state": "done", "limit": 1}), &["/runs/0/state", "/runs/0/task_id"])
            .cli(
                |p| match p.get("state") {
                    Some(_) => command!["runs", "--state", "done", "--limit", 1],
                    None => command!["runs"],
                },
                &[("/runs/0/task_id", "/runs/0/task_id")],
            )
            .mcp("list_runs", Value::clone, &[("/runs/0/task_id", "/runs/0/task_id")]),
        Row::new(Method::RunItems, "GET /v1/runs/{task_id}/items", json!({"task_id": 1}))
            .call(done_run, &["/items/0/step", "/items/0/state"])
            .wrong(unknown(), "unknown_task")
            .cli(|p| command!["run", "items", id(p)], &[])
            .mcp("list_run_items", Value::clone, &[("/items/0/step", "/items/0/step"), ("/items/0/state", "/items/0/state")]),
        Row::new(Method::RunPause, "POST /v1/runs/{task_id}/pause", json!({"task_id": 1}))
            .call(waiting_run, &["/ok"])
            .wrong(unknown(), "unknown_task")
            .cli(|p| command!["run", "pause", id(p)], &[]),
        Row::new(Method::RunResume, "POST /v1/runs/{task_id}/resume", json!({"task_id": 1}))
            .call(paused_run, &["/ok"])
            .wrong(unknown(), "unknown_task")
            .cli(|p| command!["run", "resume", id(p)], &[]),
        Row::new(Method::RunRetry, "POST /v1/runs/{task_id}/retry", json!({"task_id": 1}))
            .call(
                |world| {
                    let mut params = done_run(world);
                    params["step"] = json!("say");
                    params
                },
                &["/ok"],
            )
            .wrong(unknown(), "unknown_task")
            .cli(
                |p| match p.get("step") {
                    Some(_) => command!["run", "retry", id(p), "--step", word(p, "step")],
                    None => command!["run", "retry", id(p)],
                },
                &[],
            )
            .mcp("retry_run", Value::clone, &[]),
        Row::new(
            Method::ScheduleAdd,
            "POST /v1/schedules",
            json!({"name": "s", "every_seconds": 90_000, "task": {"prompt": "p"}}),
        )
        .call(
            |world| {
                let name = format!("a{}", world.number());
                json!({"name": name, "every_seconds": 90_000, "task": {"prompt": "p", "queue": "unserved"}})
            },
            &[],
        )
        .wrong(json!({"name": "s", "cron": "0 3 * * 9", "task": {"prompt": "p"}}), "invalid_params")
        .cli(
            |p| match p.get("cron") {
                Some(_) => command!["schedule", "add", "--name", word(p, "name"), "--cron", word(p, "cron"), "--prompt", "p"],
                None => command!["schedule", "add", "--name", word(p, "name"), "--every", "25h", "--prompt", "p"],
            },
            &[],
        ),
        Row::new(Method::ScheduleList, "GET /v1/schedules", json!({}))
            .call(nothing, &["/schedules/0/name"])
            .cli(|_| command!["schedule", "list"], &[("/schedules/0/name", "/schedules/0/name")]),
        Row::new(Method::ScheduleSet, "PATCH /v1/schedules/{name}", json!({"name": "s", "paused": true}))
            .call(
                |world| {
                    let mut params = schedule(world);
                    params["paused"] = json!(true);
                    params
                },
                &["/ok"],
            )
            .wrong(json!({"name": "nothing", "paused": true}), "not_found")
            .cli(|p| command!["schedule", "pause", word(p, "name")], &[]),
        Row::new(Method::ScheduleRun, "POST /v1/schedules/{name}/run", json!({"name": "s"}))
            .call(schedule, &[])
            .wrong(unknown_name(), "not_found")
            .cli(|p| command!["schedule", "run", word(p, "name")], &[]),
        Row::new(Method::ScheduleRemove, "DELETE /v1/schedules/{name}", json!({"name": "s"}))
            .call(schedule, &["/ok"])
            .wrong(unknown_name(), "not_found")
            .cli(|p| command!["schedule", "remove", word(p, "name")], &[]),
    ]
}

fn operations() -> Vec<Row> {
    vec![
        Row::new(Method::WebTicket, NO_ROUTE, json!({})).call(nothing, &["/rights"]),
        Row::new(Method::WebLogin, NO_ROUTE, json!({})).call(nothing, &["/who"]),
        Row::new(Method::WebLogout, NO_ROUTE, json!({"session": "krw_0"}))
            .call(|_| json!({"session": "krw_0"}), &["/ok"]),
        Row::new(Method::NotifyList, "GET /v1/notify", json!({}))
            .call(nothing, &["/targets"])
            .cli(|_| command!["notify"], &[("/targets", "/targets")]),
        Row::new(
            Method::NotifyTest,
            "POST /v1/notify/{name}/test",
            json!({"name": "ops"}),
        )
        .wrong(unknown_name(), "not_found")
        .cli(|p| command!["notify", "test", word(p, "name")], &[]),
        Row::new(
            Method::NotifyTake,
            "POST /v1/notify/{name}/take",
            json!({"name": "ops"}),
        )
        .wrong(unknown_name(), "not_found"),
        Row::new(
            Method::PoolDown,
            "POST /v1/pools/down",
            json!({"pool": "p", "state": "gave_up"}),
        )
        .call(|_| json!({"pool": "p", "state": "gave_up"}), &["/ok"]),
        Row::new(
            Method::Pause,
            "POST /v1/queues/pause",
            json!({"queue": "q"}),
        )
        .call(|_| json!({"queue": "paused"}), &["/ok"])
        .cli(|p| command!["pause", word(p, "queue")], &[]),
        Row::new(
            Method::Resume,
            "POST /v1/queues/resume",
            json!({"queue": "q"}),
        )
        .call(|_| json!({"queue": "paused"}), &["/ok"])
        .cli(|p| command!["resume", word(p, "queue")], &[]),
        Row::new(Method::Agents, "GET /v1/agents", json!({}))
            .call(nothing, &["/agents/0/name"])
            .cli(
                |_| command!["agents"],
                &[("/agents/0/name", "/agents/0/name")],
            ),
        Row::new(
            Method::Pools,
            "POST /v1/pools",
            json!({"resize": {"pool": "p", "size": 2}}),
        )
        .by(AccessRole::Admin)
        .call(
            |_| json!({"resize": {"pool": "p", "size": 2}}),
            &["/pools/0/name", "/pools/0/size"],
        )
        .wrong(json!({"resize": {"pool": "none", "size": 2}}), "not_found")
        .cli(
            |p| {
                command![
                    "pool",
                    "resize",
                    word(&p["resize"], "pool"),
                    p["resize"]["size"]
                ]
            },
            &[],
        ),
        Row::new(Method::Tree, "GET /v1/tree", json!({}))
            .call(nothing, &["/tree/name"])
            .cli(|_| command!["tree"], &[]),
        Row::new(Method::Metrics, "GET /v1/metrics", json!({})).call(nothing, &["/metrics/0/name"]),
        Row::new(Method::Ping, "GET /v1/ping", json!({}))
            .call(nothing, &["/boot_id"])
            .cli(|_| command!["ping"], &[("/boot_id", "/boot_id")]),
        Row::new(Method::Backup, "POST /v1/backup", json!({"name": "b.db"}))
            .call(
                |world| json!({"name": format!("b{}.db", world.number())}),
                &[],
            )
            .wrong(json!({"name": "../b.db"}), "invalid_params")
            .cli(|p| command!["backup", word(p, "name")], &[]),
        Row::new(
            Method::KeyAdd,
            "POST /v1/keys",
            json!({"name": "k", "role": "observe"}),
        )
        .call(
            |world| json!({"name": format!("n{}", world.number()), "role": "observe"}),
            &["/role"],
        )
        .wrong(
            json!({"name": "key-admin", "role": "observe"}),
            "wrong_state",
        )
        .cli(
            |p| command!["key", "add", word(p, "name"), "--role", "observe"],
            &[("/role", "/role")],
        ),
        Row::new(Method::KeyList, "GET /v1/keys", json!({}))
            .call(nothing, &["/keys/0/name", "/keys/0/role"])
            .cli(
                |_| command!["key", "list"],
                &[("/keys/0/name", "/keys/0/name")],
            ),
        Row::new(
            Method::KeyRevoke,
            "DELETE /v1/keys/{name}",
            json!({"name": "k"}),
        )
        .call(key, &["/ok"])
        .wrong(unknown_name(), "not_found")
        .cli(|p| command!["key", "revoke", word(p, "name")], &[]),
        Row::new(Method::Audit, "GET /v1/audit", json!({}))
            .call(
                |_| json!({"who": "key-enqueue", "limit": 1}),
                &["/entries/0/who"],
            )
            .cli(
                |_| command!["audit", "--who", "key-enqueue", "--limit", 1],
                &[],
            ),
        Row::new(Method::Reload, "POST /v1/hub/reload", json!({}))
            .call(nothing, &["/changed"])
            .cli(|_| command!["reload"], &[]),
        Row::new(Method::Drain, "POST /v1/hub/drain", json!({}))
            .call(nothing, &[])
            .cli(|_| command!["drain"], &[]),
        Row::new(Method::Shutdown, "POST /v1/hub/shutdown", json!({}))
            .cli(|_| command!["shutdown"], &[]),
    ]
}
