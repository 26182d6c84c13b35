//! Real programs whose model refuses: the class that Kirosu reads from what they print, the time until which it parks
//! the account, and whether a router moves on. The refusals are those of the services (tests/end_to_end/agents/refusals.py).

use crate::agents::programs::{CLAUDE, CODEX, GOOSE, OPENCODE, Program, named};
use crate::agents::world::World;
use crate::agents::{AGENT_PATIENCE, path_with_programs};
use crate::common::{Client, Setup, until_within};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest time of one run. The slowest program asks again for a minute and a half before it gives up by itself.
const RUN_SECONDS: u64 = 150;

/// How far a time read may be from the time stated: clocks of a minute's precision, the run itself, a second try.
const TOLERANCE: u64 = 150;

/// One way of refusing, and what has to come of it.
#[derive(Clone, Copy)]
struct Refusal {
    /// The directive's kind; `down`: the model cannot be reached at all.
    kind: &'static str,
    class: &'static str,
    /// Seconds until it may be asked again, as the service states.
    after: Option<u64>,
}

const fn refusal(kind: &'static str, class: &'static str, after: Option<u64>) -> Refusal {
    Refusal { kind, class, after }
}

const LIMIT: Refusal = refusal("limit", "rate_limited", Some(3600));
const PLAN: Refusal = refusal("plan", "rate_limited", Some(7200));
const DAY: Refusal = refusal("day", "rate_limited", Some(25_920));
const CREDIT: Refusal = refusal("credit", "rate_limited", None);
const LOGIN: Refusal = refusal("login", "auth_required", None);
const FORBIDDEN: Refusal = refusal("forbidden", "auth_required", None);
const MODEL: Refusal = refusal("model", "bad_input", None);
const LONG: Refusal = refusal("long", "bad_input", None);
const BROKEN: Refusal = refusal("broken", "provider_error", None);
const GATEWAY: Refusal = refusal("gateway", "network", None);
const BUSY: Refusal = refusal("busy", "rate_limited", None);
const DOWN: Refusal = refusal("down", "network", None);

const ALL: [Refusal; 12] = [
    LIMIT, PLAN, DAY, CREDIT, LOGIN, FORBIDDEN, MODEL, LONG, BROKEN, GATEWAY, BUSY, DOWN,
];

/// A program that passes on less than its service says.
struct Exception {
    program: &'static str,
    /// `command` or `acp`; empty: both.
    kind: &'static str,
    refusals: &'static [&'static str],
    class: &'static str,
    after: Option<u64>,
}

const EXCEPTIONS: &[Exception] = &[
    // "exceeded retry limit, last status: 429 Too Many Requests"
    Exception {
        program: "codex",
        kind: "",
        refusals: &["limit", "day"],
        class: "rate_limited",
        after: None,
    },
    // "We're currently experiencing high demand", for every 500.
    Exception {
        program: "codex",
        kind: "",
        refusals: &["broken"],
        class: "rate_limited",
        after: None,
    },
    // The words of the service, which name no time.
    Exception {
        program: "claude",
        kind: "",
        refusals: &["limit", "day"],
        class: "rate_limited",
        after: None,
    },
    // It says that the quota is a daily one, and not when the day ends.
    Exception {
        program: "gemini",
        kind: "",
        refusals: &["day"],
        class: "rate_limited",
        after: None,
    },
    // It waits for 6 hours at most before it asks again, and says that.
    Exception {
        program: "qwen",
        kind: "",
        refusals: &["day"],
        class: "rate_limited",
        after: Some(21_600),
    },
    // It shortens the conversation by itself and goes on, and this model then answers.
    Exception {
        program: "opencode",
        kind: "acp",
        refusals: &["long"],
        class: "done",
        after: None,
    },
];

/// Programs whose model API in these tests knows no plan with a window.
const WITHOUT_PLAN: &[&str] = &["goose", "opencode", "qwen"];

/// A program that meets a refusal.
#[derive(Clone, Copy)]
struct Case {
    program: Program,
    /// `command` or `acp`.
    kind: &'static str,
    refusal: Refusal,
}

impl Case {
    fn name(&self) -> String {
        format!("{}-{}-{}", self.program.name, self.kind, self.refusal.kind)
    }

    fn prompt(&self) -> String {
        let seconds = self.refusal.after.unwrap_or(3600);
        match (self.program.name, self.refusal.kind) {
            (_, "down") => "hello".to_owned(),
            // Its own service, not OpenAI's.
            ("copilot", kind @ ("plan" | "credit")) => {
                format!("[[refuse copilot-{kind} {seconds}]]")
            }
            (_, kind) => format!("[[refuse {kind} {seconds}]]"),
        }
    }

    /// As TOML. Claude Code knows of a plan only when it is logged in, not with a key.
    fn environment(&self, home: &Path, url: &str) -> String {
        let env = self.program.environment(home, url);
        match (self.program.name, self.refusal.kind) {
            ("claude", "plan") => env.replace("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"),
            _ => env,
        }
    }

    /// The expected outcome: the service's message, as far as the program passes it on.
    fn expected(&self) -> Refusal {
        let is = |it: &&Exception| {
            it.program == self.program.name
                && (it.kind.is_empty() || it.kind == self.kind)
                && it.refusals.contains(&self.refusal.kind)
        };
        EXCEPTIONS
            .iter()
            .find(is)
            .map_or(self.refusal, |it| Refusal {
                class: it.class,
                after: it.after,
                ..self.refusal
            })
    }

    /// A provider, a router of it and echo, and a pool, all of its own: an account that is parked for one case is not
    /// there for the next.
    fn settings(&self, world: &World, folder: &Path) -> String {
        let name = self.name();
        let url = match self.refusal.kind {
            // The port that is never listened on.
            "down" => "http://127.0.0.1:1",
            _ => &world.url,
        };
        let home = world.folder().join(&name);
        let env = self.environment(&home, url);
        let keys = match self.kind {
            "command" => self.program.keys,
            _ => "",
        };
        format!(
            "[providers.{name}]\nkind = \"{}\"\npreset = \"{}\"\n{keys}\n\
             [providers.router-{name}]\nkind = \"router\"\nproviders = [\"{name}\", \"echo\"]\n\
             [[pool]]\nname = \"{name}\"\nqueues = [\"{name}\"]\nsize = 1\nprovider = \"router-{name}\"\n\
             workdir = {}\nenv = {env}\n",
            self.kind,
            self.program.name,
            json!(folder)
        )
    }
}

/// How a case ended.
#[derive(Debug)]
struct Row {
    class: String,
    /// Seconds from the end to the time until which the account is parked.
    parked: Option<u64>,
    moved: bool,
    seconds: f64,
    status: String,
    said: String,
}

impl Row {
    fn of(got: &Value, lane: &Value) -> Row {
        let attempt = &got["attempts"][0];
        let open = lane["state"] == "open";
        let class = if open {
            &attempt["outcome"]
        } else {
            &lane["state"]
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let time = |key: &str| attempt[key].as_f64().unwrap_or_default();
        let note = lane["note"].as_str();
        Row {
            class: class.as_str().unwrap_or("?").to_owned(),
            parked: lane["until"]
                .as_u64()
                .map(|it| it.saturating_sub(now.as_secs())),
            moved: got["output"].to_string().contains("echo runs")
                || got["output"].to_string().contains("'echo' runs"),
            seconds: time("ended_at") - time("started_at"),
            status: got["task"]["status"].as_str().unwrap_or("?").to_owned(),
            said: attempt["error"]
                .as_str()
                .or(note)
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// The deviations from the expected outcome; empty if there are none.
    fn faults(&self, case: &Case) -> String {
        let Refusal { class, after, .. } = case.expected();
        let mut faults = String::new();
        if self.class != class {
            write!(faults, "class {class} expected; ").unwrap();
        }
        // The router's default.
        let moves = ["rate_limited", "auth_required", "network", "missing"].contains(&class);
        let ends = if moves || class == "done" {
            "done"
        } else {
            "failed"
        };
        if self.moved != moves || self.status != ends {
            write!(faults, "{ends} expected, moved on: {moves}; ").unwrap();
        }
        if let Some(after) = after {
            let parked = self.parked.unwrap_or_default();
            if parked.abs_diff(after) > TOLERANCE {
                write!(faults, "parked for {after} s expected; ").unwrap();
            }
        }
        faults
    }
}

/// Runs the cases with one hub, as many side by side as there are processors; the rows in their order.
fn rows(cases: &[Case]) -> Vec<Row> {
    let mut names: Vec<&str> = cases.iter().map(|it| it.program.program(it.kind)).collect();
    names.sort_unstable();
    names.dedup();
    let world = World::new(&names);
    let setup = Setup::new().up();
    let folder = setup.directory.path().join("work");
    fs::create_dir(&folder).unwrap();
    let settings: String = cases
        .iter()
        .map(|it| it.settings(&world, &folder))
        .collect();
    fs::write(setup.directory.path().join("kirosu.toml"), settings).unwrap();
    let hub = setup.environment("PATH", &path_with_programs()).start();
    let mut client = hub.client();
    let lanes = std::thread::available_parallelism().map_or(2, usize::from);
    let mut rows: Vec<Option<Row>> = cases.iter().map(|_| None).collect();
    let mut open: Vec<(usize, i64)> = Vec::new();
    let mut next = 0;
    until_within(
        AGENT_PATIENCE * cases.len() as u32,
        "all cases ended",
        || {
            while open.len() < lanes && next < cases.len() {
                open.push((next, begin(&mut client, &cases[next])));
                next += 1;
            }
            open.retain(|(at, id)| {
                let Some(row) = ended(&mut client, &cases[*at], *id) else {
                    return true;
                };
                eprintln!("{}", line(&cases[*at], &row));
                rows[*at] = Some(row);
                false
            });
            (open.is_empty() && next == cases.len()).then_some(())
        },
    );
    drop(hub);
    rows.into_iter().flatten().collect()
}

fn begin(client: &mut Client, case: &Case) -> i64 {
    client.enqueue_with(json!({
        "queue": case.name(), "prompt": case.prompt(), "max_attempts": 1, "timeout_seconds": RUN_SECONDS
    }))
}

/// Its row, once its task has ended; its pool is closed then, so that no process of it waits for more.
fn ended(client: &mut Client, case: &Case, id: i64) -> Option<Row> {
    std::thread::park_timeout(Duration::from_millis(50));
    let got = client.call("get", json!({"task_id": id, "output": true}));
    let status = got["task"]["status"].as_str().unwrap_or_default();
    let pools = client.call("pools", json!({}));
    let pools = pools["pools"].as_array().unwrap();
    let name = case.name();
    let pool = pools.iter().find(|it| it["name"] == name.as_str()).unwrap();
    let lanes = pool["lanes"].as_array().unwrap();
    let lane = lanes.iter().find(|it| it["account"] == name.as_str());
    let lane = lane.unwrap_or(&Value::Null);
    if !["done", "failed", "cancelled"].contains(&status) {
        return None;
    }
    client.call("pools", json!({"pool": name, "size": 0}));
    Some(Row::of(&got, lane))
}

/// A line of the table.
fn line(case: &Case, row: &Row) -> String {
    let parked = row.parked.map_or("-".to_owned(), |it| it.to_string());
    let said: String = row.said.replace('\n', " ").chars().take(160).collect();
    let faults = row.faults(case);
    format!(
        "{:<9} {:<8} {:<10} {:<15} {parked:>7} {:<6} {:>6.1}  {faults}{said}",
        case.program.name,
        case.kind,
        case.refusal.kind,
        row.class,
        if row.moved { "moved" } else { &row.status },
        row.seconds,
    )
}

fn hold(cases: &[Case]) {
    let begun = Instant::now();
    let rows = rows(cases);
    eprintln!("{} refusals in {:.0?}", cases.len(), begun.elapsed());
    let faults: Vec<String> = std::iter::zip(cases, &rows)
        .filter(|(case, row)| !row.faults(case).is_empty())
        .map(|(case, row)| line(case, row))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn cases(program: Program, kind: &'static str, refusals: &[Refusal]) -> Vec<Case> {
    let case = |refusal: &Refusal| Case {
        program,
        kind,
        refusal: *refusal,
    };
    let is_real = |it: &&Refusal| it.kind != "plan" || !WITHOUT_PLAN.contains(&program.name);
    refusals.iter().filter(is_real).map(case).collect()
}

#[test]
fn refusals_are_read_and_routers_move_on() {
    let all = [
        cases(CODEX, "command", &[PLAN, CREDIT, LONG]),
        cases(CLAUDE, "command", &[PLAN, LOGIN, BUSY]),
        cases(OPENCODE, "command", &[LIMIT, MODEL]),
        cases(GOOSE, "command", &[LIMIT, BROKEN, DOWN]),
        cases(CODEX, "acp", &[PLAN, LOGIN, DOWN]),
        cases(OPENCODE, "acp", &[LIMIT]),
        cases(GOOSE, "acp", &[LIMIT, LONG, DOWN]),
    ];
    hold(&all.concat());
}

/// The whole table, for `make agents-all`: every program named by KIROSU_TEST_AGENTS with every refusal, over pipes and
/// ACP. KIROSU_TEST_REFUSALS and KIROSU_TEST_KINDS name some of them.
#[test]
fn all_refusals_of_others() {
    let names = |variable: &str| std::env::var(variable).unwrap_or_default();
    let refusals = names("KIROSU_TEST_REFUSALS");
    let is_wanted =
        |list: &str, name: &str| list.is_empty() || list.split(' ').any(|it| it == name);
    let refusals = ALL.iter().filter(|it| is_wanted(&refusals, it.kind));
    let refusals: Vec<Refusal> = refusals.copied().collect();
    for name in names("KIROSU_TEST_AGENTS").split_whitespace() {
        let kinds = ["command", "acp"].into_iter();
        let kinds = kinds.filter(|kind| is_wanted(&names("KIROSU_TEST_KINDS"), kind));
        let all: Vec<Case> = kinds
            .flat_map(|kind| cases(named(name), kind, &refusals))
            .collect();
        // Each in a network of its own, so each on a thread of its own.
        std::thread::spawn(move || hold(&all)).join().unwrap();
    }
}
