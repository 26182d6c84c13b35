//! Schedules: their firings by a real hub, over crashes, and their commands.

use crate::common::{Client, Hub, Setup, sentence, until, word};
use serde_json::{Value, json};
use std::fs;
use std::process::Output;

/// Adds a schedule of one second whose firings never wait for one another.
fn add(client: &mut Client, name: &str, missed: &str) {
    client.call(
        "schedule_add",
        json!({"name": name, "every_seconds": 1, "overlap": "queue", "missed": missed, "task": {"prompt": name}}),
    );
}

/// A schedule as the list shows it.
fn listed(client: &mut Client, name: &str) -> Value {
    let answer = client.call("schedule_list", json!({}));
    let all = answer["schedules"].as_array().unwrap();
    let found = all.iter().find(|it| it["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {answer}"))
        .clone()
}

/// The ids of the tasks of a schedule.
fn tasks(client: &mut Client, name: &str) -> Vec<i64> {
    let label = format!("schedule:{name}");
    let answer = client.call("list", json!({"label": [label], "limit": 1000}));
    let tasks = answer["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| task["task_id"].as_i64().unwrap())
        .collect()
}

/// The number of times from the addition to the newest firing.
fn times(schedule: &Value) -> u64 {
    let second = |name: &str| schedule[name].as_f64().unwrap();
    (second("last_at") - second("created_at")).round() as u64
}

fn fired(schedule: &Value) -> u64 {
    schedule["fired"].as_u64().unwrap()
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

#[test]
fn a_crash_neither_repeats_nor_loses_a_time() {
    let mut hub = Hub::start();
    add(&mut hub.client(), "each", "all<=100");
    for _ in 0..4 {
        let mut client = hub.client();
        let before = tasks(&mut client, "each").len();
        until("it fires", || {
            (tasks(&mut client, "each").len() > before).then_some(())
        });
        // In the middle of whatever it does.
        hub = hub.kill().start();
    }
    let mut client = hub.client();
    until("it fires again", || {
        (fired(&listed(&mut client, "each")) >= 6).then_some(())
    });
    client.call("schedule_set", json!({"name": "each", "paused": true}));
    let schedule = listed(&mut client, "each");
    assert_eq!(fired(&schedule), times(&schedule), "{schedule}");
    let all = tasks(&mut client, "each");
    assert_eq!(all.len() as u64, fired(&schedule), "one task per time");
    assert_eq!(schedule["last_task"], all[0]);
}

#[test]
fn times_that_pass_while_the_hub_is_down_follow_missed() {
    let hub = Hub::start();
    let mut client = hub.client();
    for (name, missed) in [("skips", "skip"), ("one", "one"), ("all", "all<=100")] {
        add(&mut client, name, missed);
    }
    until("all have fired", || {
        let has_fired = |name: &str| fired(&listed(&mut client, name)) > 0;
        ["skips", "one", "all"]
            .into_iter()
            .all(has_fired)
            .then_some(())
    });
    let setup = hub.kill();
    let down = now();
    until("times pass", || (now() > down + 5.0).then_some(()));
    let hub = setup.start();
    let mut client = hub.client();
    let left_out = |client: &mut Client, name: &str| {
        until("it has caught up", || {
            let it = listed(client, name);
            (it["last_at"].as_f64().unwrap() > down + 5.0).then(|| times(&it) - fired(&it))
        })
    };
    assert_eq!(left_out(&mut client, "all"), 0);
    assert!(left_out(&mut client, "one") >= 3);
    assert!(left_out(&mut client, "skips") >= 2);
}

#[test]
fn the_commands_add_list_pause_run_and_remove() {
    let hub = Setup::new()
        .up()
        .set("pool.echo.provider=echo")
        .set("pool.echo.size=1")
        .start();
    let mut client = hub.client();
    let added = out(&hub.cli(&[
        "schedule",
        "add",
        "--name",
        "often",
        "--every",
        "1s",
        "--prompt",
        "hello",
        "--label",
        "night",
        "--priority",
        "3",
        "--overlap",
        "queue",
    ]));
    assert!(added.starts_with("often fires next at "), "{added}");
    let task = until("its task is done", || {
        let task = *tasks(&mut client, "often").first()?;
        let task = client.task(task);
        (task["status"] == "done").then_some(task)
    });
    assert_eq!(
        (&task["result"], &task["priority"]),
        (&json!("hello"), &json!(3))
    );
    assert_eq!(task["labels"], json!(["night", "schedule:often"]));

    out(&hub.cli(&["schedule", "pause", "often"]));
    let paused = fired(&listed(&mut client, "often"));
    let list = out(&hub.cli(&["schedule", "list"]));
    let columns: Vec<&str> = list.trim_end().split('\t').collect();
    assert_eq!(columns[..3], ["often", "every 1 s", "paused"], "{list}");
    // By hand also while it is paused; the paused schedule itself adds none meanwhile.
    let ran = out(&hub.cli(&["schedule", "run", "often"]));
    let ran: i64 = ran.trim().parse().unwrap();
    until("the task is done", || {
        (client.status(ran) == "done").then_some(())
    });
    assert_eq!(fired(&listed(&mut client, "often")), paused + 1);

    out(&hub.cli(&["schedule", "resume", "often"]));
    until("it fires again", || {
        (fired(&listed(&mut client, "often")) > paused + 1).then_some(())
    });
    let answer = out(&hub.cli(&["schedule", "remove", "often", "--json"]));
    assert_eq!(answer, "{\"ok\":true}\n");
    let answer: Value =
        serde_json::from_str(&out(&hub.cli(&["schedule", "list", "--json"]))).unwrap();
    assert_eq!(answer, json!({"schedules": []}));
    assert_eq!(client.status(ran), "done", "its tasks stay");
    let gone = hub.cli(&["schedule", "pause", "often"]);
    assert_eq!(gone.status.code(), Some(1));
    let why = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(why.contains("there is no schedule `often`"), "{why}");

    let entries = client.call("audit", json!({}));
    let of_schedules: Vec<(&str, &str)> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| Some((it["method"].as_str()?, it["target"].as_str()?)))
        .filter(|(_, target)| *target == "often")
        .collect();
    let methods: Vec<&str> = of_schedules
        .iter()
        .map(|(method, _)| *method)
        .rev()
        .collect();
    let expected = [
        "schedule_add",
        "schedule_set",
        "schedule_run",
        "schedule_set",
        "schedule_remove",
    ];
    assert_eq!(methods[..5], expected);
}

#[test]
fn a_fault_says_what_to_do() {
    let hub = Hub::start();
    let mut client = hub.client();
    let cli = |words: &[&str]| {
        let first = ["schedule", "add", "--name", "x"];
        let output = hub.cli(&[&first, words].concat());
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), why)
    };
    for (words, code, part) in [
        (
            &["--cron", "0 25 * * *", "--prompt", "p"][..],
            1,
            "the field 2 (hour) is 25",
        ),
        (&["--cron", "0 3 * *", "--prompt", "p"], 1, "this has 4"),
        (
            &["--cron", "0 0 30 2 *", "--prompt", "p"],
            1,
            "would never fire",
        ),
        (
            &[
                "--cron",
                "0 3 * * *",
                "--tz",
                "Europe/Berln",
                "--prompt",
                "p",
            ],
            1,
            "did you mean Europe/Berlin?",
        ),
        (
            &["--at", "2001-01-01T00:00:00Z", "--prompt", "p"],
            1,
            "in the future",
        ),
        (
            &["--every", "1h", "--missed", "all", "--prompt", "p"],
            2,
            "all<=N",
        ),
        (
            &[
                "--every",
                "1h",
                "--at",
                "2099-01-01T00:00:00Z",
                "--prompt",
                "p",
            ],
            2,
            "--at",
        ),
        (&["--every", "1h"], 2, "--prompt"),
        (
            &["--every", "1h", "--prompt", "p", "--tz", "UTC"],
            2,
            "--tz",
        ),
    ] {
        let (found, why) = cli(words);
        assert!(
            found == Some(code) && why.contains(part),
            "{words:?}: {why}"
        );
    }
    for (params, part) in [
        (
            json!({"every_seconds": 1, "task": {"prompt": "p", "run_at": 5}}),
            "`task.run_at`",
        ),
        (
            json!({"every_seconds": 1, "task": {"prompt": "p", "parent_id": 5}}),
            "`task.parent_id`",
        ),
        (json!({"every_seconds": 1}), "`task`"),
        (
            json!({"task": {"prompt": "p"}}),
            "one of `every_seconds`, `cron` and `at`",
        ),
        (
            json!({"every_seconds": 5, "jitter_seconds": 6, "task": {"prompt": "p"}}),
            "`jitter_seconds`",
        ),
        (
            json!({"every_seconds": 5, "task": {"type": "plan", "prompt": "p", "metadata": {"sources": {"a": 1}}}}),
            "cannot be scheduled yet",
        ),
    ] {
        let mut params = params;
        params["name"] = json!("x");
        let error = client.refused("schedule_add", params);
        assert_eq!(word(&error), "invalid_params");
        assert!(sentence(&error).contains(part), "{error}");
    }
    let python =
        json!({"name": "x", "every_seconds": 5, "task": {"type": "python", "prompt": "p"}});
    assert_eq!(word(&client.refused("schedule_add", python)), "not_trusted");
}

#[test]
fn a_plan_runs_at_its_times() {
    let hub = Setup::new()
        .up()
        .set("pool.echo.provider=echo")
        .set("pool.echo.size=2")
        .start();
    let folder = hub.setup.directory.path();
    let plan = "inputs: { word: { required: true } }\npipeline:\n- { id: a, prompt: 'say {{ inputs.word }}' }\n";
    fs::write(folder.join("plan.yaml"), plan).unwrap();
    let files = "pipeline:\n- { id: m, map: { over: { lines: x.txt } }, prompt: '{{ item }}' }\n";
    fs::write(folder.join("files.yaml"), files).unwrap();
    let add = |file: &str, input: &[&str]| {
        let words = [
            "schedule", "add", "--name", "p", "--every", "1s", "--plan", file,
        ];
        hub.cli(&[&words, input].concat())
    };
    let refused = add("files.yaml", &[]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        why.contains("the step m") && why.contains("cannot be scheduled yet"),
        "{why}"
    );
    assert!(
        !add("plan.yaml", &[]).status.success(),
        "an input is missing"
    );
    out(&add("plan.yaml", &["--input", "word=hello"]));
    let mut client = hub.client();
    let runs = until("two runs are done", || {
        let runs = tasks(&mut client, "p");
        let is_done = |run: &&i64| client.status(**run) == "done";
        (runs.iter().filter(is_done).count() >= 2).then_some(runs)
    });
    let run = client.call("run", json!({"task_id": runs.last().unwrap()}));
    assert_eq!(
        (&run["state"], &run["result"]),
        (&json!("done"), &json!("say hello"))
    );
}

#[test]
fn a_limited_key_adds_and_steers_what_is_within_its_limits() {
    let hub = Hub::start();
    let added = hub.client().call(
        "key_add",
        json!({"name": "ci", "role": "enqueue", "labels": ["ci"], "queues": ["builds"]}),
    );
    let mut limited = hub.client();
    limited.call("hello", json!({"auth_token": added["key"]}));
    let schedule = |name: &str, queue: &str| json!({"name": name, "every_seconds": 1, "task": {"prompt": "p", "queue": queue, "labels": ["ci"]}});
    let beyond = limited.refused("schedule_add", schedule("a", "default"));
    assert_eq!(
        (word(&beyond), &beyond["data"]["limit"]),
        ("forbidden", &json!("queues"))
    );
    limited.call("schedule_add", schedule("own", "builds"));
    let task = until("it fires", || tasks(&mut limited, "own").pop());
    // The label of the schedule is no obstacle.
    limited.call("cancel", json!({"task_id": task}));
    limited.call("schedule_set", json!({"name": "own", "paused": true}));

    add(&mut hub.client(), "foreign", "one");
    for (method, params) in [
        ("schedule_set", json!({"name": "foreign", "paused": true})),
        ("schedule_run", json!({"name": "foreign"})),
        ("schedule_remove", json!({"name": "foreign"})),
    ] {
        assert_eq!(
            word(&limited.refused(method, params)),
            "forbidden",
            "{method}"
        );
    }
    let mut replaces = schedule("foreign", "builds");
    replaces["replace"] = json!(true);
    assert_eq!(
        word(&limited.refused("schedule_add", replaces)),
        "forbidden"
    );
    limited.call("schedule_remove", json!({"name": "own"}));
}
