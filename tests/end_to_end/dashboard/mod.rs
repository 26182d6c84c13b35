//! `kirosu dashboard` as a person meets it: the built binary in a terminal (tmux), every screen and key at two sizes, a
//! hub that is killed under it, the time from a run's print to the screen, and the traffic of a dashboard at rest.

mod decisions;
mod pools;
mod redraw;
mod relay;
mod runs;
mod schedules;
mod widths;

use crate::common::tmux::Tmux;
use crate::common::{Client, Hub, Setup, until};
use relay::Relay;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SIZES: [(usize, usize); 2] = [(80, 24), (200, 50)];

/// Prints what its prompt asks for: `say N` prints N marks with the time, `hold` waits to be cancelled.
const AGENT: &str = r#"
import sys, time
prompt = sys.stdin.read()
if prompt.startswith("say"):
    for n in range(int(prompt.split()[1])):
        time.sleep(0.2)
        print(f"mark-{n} {time.time():.6f} end", flush=True)
    time.sleep(600)
if prompt.startswith("hold"):
    print("\x1b[31mholding\x1b[0m on\rstill holding", flush=True)
    time.sleep(600)
if prompt.startswith("fail"):
    sys.exit("it went wrong")
print("answer to " + prompt)
"#;

/// A hub with a pool of two agents that run the program above.
fn hub() -> Hub {
    hub_with(Setup::new())
}

fn hub_with(setup: Setup) -> Hub {
    let folder = setup.directory.path();
    let settings = "[[pool]]\nname = \"crew\"\nprovider = \"agent\"\nsize = 2\n[providers.agent]\nkind = \"command\"\ncommand = [\"python3\", \"agent.py\"]\n";
    fs::write(folder.join("agent.py"), AGENT).unwrap();
    fs::write(folder.join("kirosu.toml"), settings).unwrap();
    let file = folder.join("kirosu.toml");
    setup
        .up()
        .argument("--config")
        .argument(file.to_str().unwrap())
        .start()
}

/// The command line of a dashboard, with nothing of the surroundings in it.
fn dashboard(port: u16, arguments: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_kirosu");
    format!(
        "cd / && env -u KIROSU_CONFIG '{binary}' dashboard --utc --config /dev/null --port {port} {arguments}"
    )
}

fn open(hub: &Hub, size: (usize, usize), arguments: &str) -> Tmux {
    Tmux::start(size, &[], &dashboard(hub.port, arguments))
}

fn ended(client: &mut Client, id: i64) -> Value {
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 25}));
    client.task(id)
}

/// One task of each kind that the screens distinguish.
fn tasks(hub: &Hub) -> (i64, i64, i64) {
    let mut client = hub.client();
    let wide = "要約 🦀👩\u{200d}💻 \u{1b}[31mred\u{1b}[0m\u{202e} and\nmore, and far more than there is room for on a screen of eighty columns";
    let wide = client.enqueue(wide);
    ended(&mut client, wide);
    let failed = client.enqueue("fail, please");
    assert_eq!(ended(&mut client, failed)["status"], "failed");
    client.enqueue_with(json!({"prompt": "May it go out?", "type": "human"}));
    let held = client.enqueue("hold the line");
    until("the task runs", || {
        (client.status(held) == "leased").then_some(())
    });
    (wide, failed, held)
}

/// Requirements for every frame: as many lines as the terminal has, column names at the top, keys at the bottom, no escape
/// sequences from tasks.
fn in_shape(screen: &str, size: (usize, usize)) {
    let lines: Vec<&str> = screen.trim_end_matches('\n').lines().collect();
    assert_eq!(lines.len(), size.1, "{screen}");
    let names = match size.0 {
        80 => " 1 Tasks 2 Task 3 Pools 4 Tree 5 Events 6 Inbox 7 Runs 8 Schedules ",
        _ => " kirosu  1 Tasks  2 Task  3 Pools  4 Tree  5 Events  6 Inbox  7 Runs  8 Schedules ",
    };
    assert!(lines[0].starts_with(names), "{screen}");
    assert!(lines[0].trim_end().ends_with(" live"), "{screen}");
    assert!(lines[1].contains("1 leased"), "{screen}");
    assert!(lines[size.1 - 1].contains("q quit"), "{screen}");
    assert!(
        !screen.contains("[31m") && !screen.contains('\u{202e}'),
        "{screen}"
    );
}

#[test]
fn every_screen_is_right_at_both_sizes() {
    let hub = hub();
    let (wide, failed, held) = tasks(&hub);
    for size in SIZES {
        let mut tmux = open(&hub, size, "");
        let screen = tmux.see(&[
            "hold the line",
            "fail, please",
            "May it go out?",
            "要約 🦀",
            "live",
        ]);
        in_shape(&screen, size);
        assert!(
            screen.contains("STATUS") && screen.contains("AGE") && screen.contains("RESULT"),
            "{screen}"
        );
        assert!(
            screen
                .lines()
                .any(|line| line.contains(&format!("{failed} failed"))),
            "{screen}"
        );
        // Wide characters do not shift the columns to their right.
        let column = |text: &str, at: &str| {
            let line = screen.lines().find(|line| line.contains(text)).unwrap();
            columns(&line[..line.find(at).unwrap()])
        };
        let result = columns(
            screen
                .lines()
                .find_map(|line| line.split_once("RESULT"))
                .unwrap()
                .0,
        );
        assert_eq!(column("要約", "answer to"), result, "{screen}");

        tmux.keys(&["Enter"]);
        let screen = tmux.see(&[
            &format!("task {held} leased for"),
            "Output",
            "still holding",
        ]);
        in_shape(&screen, size);
        assert!(
            screen.contains("crew-") && !screen.contains("holding on"),
            "{screen}"
        );
        tmux.keys(&["3"]);
        let screen = tmux.see(&[
            "QUEUED",
            "crew",
            "Accounts",
            "available",
            "Agents",
            "busy",
            "crew-1@",
        ]);
        in_shape(&screen, size);
        tmux.keys(&["4"]);
        let screen = tmux.see(&["root", "├── bus", "writer", "running"]);
        in_shape(&screen, size);
        tmux.keys(&["5"]);
        let screen = tmux.see(&["TIME (", &format!("task {wide}"), "leased by crew-"]);
        in_shape(&screen, size);
        tmux.keys(&["?"]);
        in_shape(
            &tmux.see(&["┌ keys of the screen events", "q, Ctrl-C"]),
            size,
        );
        // The other size, while it runs.
        let other = SIZES[usize::from(size == SIZES[0])];
        tmux.resize(other);
        tmux.keys(&["x", "1"]);
        let right = |screen: &str| {
            screen.lines().count() == other.1
                && screen.contains("hold the line")
                && screen.contains("q quit")
        };
        in_shape(&tmux.watch("the list at another size", right), other);
    }
}

/// Columns that a text takes, as far as this test's texts go.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| if u32::from(c) > 0x2e80 { 2 } else { 1 })
        .sum()
}

/// The line that is marked as chosen.
fn chosen(tmux: &Tmux) -> String {
    let screen = tmux.coloured();
    let line = screen
        .lines()
        .skip(2)
        .find(|line| line.contains("\u{1b}[7m") || line.contains(";7m"));
    line.unwrap_or_default().to_owned()
}

fn choose(tmux: &Tmux, keys: &[&str], text: &str) {
    tmux.keys(keys);
    until(&format!("{keys:?} choose {text}"), || {
        chosen(tmux).contains(text).then_some(())
    });
}

#[test]
fn keys_walk_through_thousands_of_tasks_and_filter_them() {
    let hub = Hub::start();
    let mut client = hub.client();
    let batch: Vec<Value> = (1..=3000).map(|n| json!({"prompt": format!("prompt-{n}-end"), "queue": if n % 1000 == 0 { "rare" } else { "default" }})).collect();
    client.call("enqueue_batch", json!({"tasks": batch}));
    for size in SIZES {
        let rows = size.1 - if size.1 > 40 { 8 } else { 5 };
        let tmux = open(&hub, size, "");
        tmux.see(&["prompt-3000-end"]);
        choose(&tmux, &["j"], "prompt-2999-end");
        choose(&tmux, &["Down"], "prompt-2998-end");
        choose(&tmux, &["k"], "prompt-2999-end");
        choose(&tmux, &["Up"], "prompt-3000-end");
        choose(
            &tmux,
            &["PageDown"],
            &format!("prompt-{}-end", 3000 - (rows - 1)),
        );
        choose(
            &tmux,
            &["Space"],
            &format!("prompt-{}-end", 3000 - 2 * (rows - 1)),
        );
        choose(
            &tmux,
            &["PageUp"],
            &format!("prompt-{}-end", 3000 - (rows - 1)),
        );
        // Far beyond the first window, and back over its edge.
        for page in 2..10 {
            choose(
                &tmux,
                &["C-f"],
                &format!("prompt-{}-end", 3000 - page * (rows - 1)),
            );
        }
        for page in (1..9).rev() {
            choose(
                &tmux,
                &["C-b"],
                &format!("prompt-{}-end", 3000 - page * (rows - 1)),
            );
        }
        choose(&tmux, &["G"], "prompt-1-end");
        choose(&tmux, &["PageUp"], &format!("prompt-{rows}-end"));
        choose(&tmux, &["g"], "prompt-3000-end");
        choose(&tmux, &["End"], "prompt-1-end");
        choose(&tmux, &["Home"], "prompt-3000-end");
        // Filters: the hub's, words, one that cannot be meant, one that finds nothing.
        tmux.keys(&["/", "queue:rare", "Enter"]);
        let screen = tmux.see(&[
            "prompt-1000-end",
            "prompt-2000-end",
            "prompt-3000-end",
            "/queue:rare",
        ]);
        assert!(!screen.contains("prompt-2999-end"), "{screen}");
        tmux.keys(&["Escape"]);
        tmux.see(&["prompt-2999-end"]);
        tmux.keys(&["/", "PROMPT-77-", "Enter"]);
        tmux.see(&["prompt-77-end", "/PROMPT-77-"]);
        tmux.gone(&["prompt-2999-end"]);
        tmux.keys(&["/", "C-u", "status:odd", "Enter"]);
        tmux.see(&["filter: status:odd"]);
        tmux.keys(&["C-u", "status:failed", "Enter"]);
        tmux.see(&["nothing matches the filter \"status:failed\"; Esc removes it"]);
        tmux.keys(&["Escape"]);
        tmux.see(&["prompt-2999-end"]);
        tmux.keys(&["Tab", "Tab"]);
        tmux.see(&["3 Pools", "no pools and no agents"]);
        tmux.keys(&["BTab"]);
        tmux.see(&["task 3000 queued", "it has not run yet"]);
        tmux.keys(&["Escape", "q"]);
        tmux.see(&["[exit 0]"]);
    }
}

#[test]
fn actions_ask_first_and_then_do_it() {
    let hub = hub();
    let (_, failed, held) = tasks(&hub);
    let mut client = hub.client();
    let tmux = open(&hub, SIZES[0], "");
    tmux.see(&["hold the line", "May it go out?"]);
    tmux.keys(&["c"]);
    tmux.see(&[
        &format!("cancel task {held}?"),
        "leased: hold the line",
        "y  yes, cancel it",
    ]);
    tmux.keys(&["n"]);
    tmux.see(&["nothing was done"]);
    assert_eq!(client.status(held), "leased");
    tmux.keys(&["c", "y"]);
    tmux.see(&[&format!("task {held} cancelled")]);
    assert_eq!(client.status(held), "cancelled");
    choose(&tmux, &["j"], "May it go out?");
    tmux.keys(&["a", "y"]);
    tmux.see(&[&format!("task {} approved", held - 1)]);
    assert_eq!(client.status(held - 1), "done");
    // Refused by the hub: its own words.
    tmux.keys(&["r", "Enter"]);
    tmux.see(&[&format!("cannot reject task {}", held - 1), "done"]);
    choose(&tmux, &["j"], "fail, please");
    tmux.keys(&["R", "y"]);
    tmux.see(&[&format!("task {failed} queued again")]);
    until("it has run again", || {
        (client.task(failed)["fence"] == 2).then_some(())
    });
    let asked = client.enqueue_with(json!({"prompt": "Second thoughts", "type": "human"}));
    choose(&tmux, &["g"], "Second thoughts");
    tmux.keys(&["Enter"]);
    tmux.see(&[&format!("task {asked} queued"), "Second thoughts"]);
    tmux.keys(&["r"]);
    tmux.see(&[&format!("reject task {asked}: reason")]);
    tmux.keys(&["too risky", "Enter"]);
    tmux.see(&[
        &format!("task {asked} failed"),
        &format!("task {asked} rejected"),
        "rejected: too risky",
    ]);
    tmux.keys(&["C-c"]);
    tmux.see(&["[exit 130]"]);
}

#[test]
fn the_hub_is_killed_and_comes_back() {
    let hub = hub();
    let port = hub.port;
    hub.client().enqueue("before the crash");
    let tmux = open(&hub, SIZES[0], "");
    tmux.see(&["answer to before", "live"]);
    let mut setup = hub.kill();
    let screen = tmux.see(&[
        "away",
        "not connected, next attempt in",
        "connection refused",
    ]);
    // The last known data is still shown.
    assert!(screen.contains("before the crash"), "{screen}");
    tmux.keys(&["c"]);
    tmux.see(&["the hub is not connected"]);
    setup.port = port;
    let hub = setup.start();
    tmux.see(&["live", "before the crash"]);
    hub.client().enqueue("after the crash");
    tmux.see(&["answer to after"]);
    tmux.keys(&["5"]);
    tmux.see(&["task 2", "leased by crew-"]);
    drop(hub);
    tmux.see(&["away"]);
    tmux.keys(&["q"]);
    tmux.see(&["[exit 0]"]);
}

#[test]
fn a_hub_that_is_not_there_yet_is_waited_for_and_a_wrong_key_is_not() {
    let first = Hub::start();
    let port = first.port;
    let mut setup = first.kill();
    let tmux = Tmux::start(SIZES[0], &[], &dashboard(port, ""));
    tmux.see(&[
        "cannot reach the hub",
        "connection refused",
        "start one with",
        "next attempt in",
    ]);
    setup.port = port;
    let _hub = setup.environment("KIRO_SWARM_KEY", "right").start();
    tmux.see(&["Invalid KIRO_SWARM_KEY", "[exit 1]"]);
    let tmux = Tmux::start(
        SIZES[0],
        &[("KIRO_SWARM_KEY", "right")],
        &dashboard(port, ""),
    );
    tmux.see(&["no tasks yet: kirosu enqueue", "live"]);
}

#[test]
fn the_terminal_is_given_back_when_it_is_told_to_end() {
    let hub = Hub::start();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let tmux = open(&hub, SIZES[0], "");
        tmux.see(&["no tasks yet", "live"]);
        kill_process(Pid::from_raw(tmux.pid()).unwrap(), signal).unwrap();
        tmux.see(&["[exit 130]"]);
        // Typed text is echoed again, and the dashboard is gone.
        tmux.keys(&["hello"]);
        let screen = tmux.see(&["hello"]);
        assert!(!screen.contains("1 Tasks"), "{screen}");
    }
}

/// Seconds from a mark's print to its sight; the screen is read as fast as tmux gives it.
fn sight_times(hub: &Hub, marks: usize) -> Vec<f64> {
    let id = hub.client().enqueue(&format!("say {marks}"));
    let tmux = open(hub, SIZES[0], &format!("--task {id}"));
    let mut times = Vec::new();
    for n in 0..marks {
        let mark = format!("mark-{n} ");
        let line = until(&mark, || {
            let screen = tmux.screen();
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs_f64();
            let line = screen
                .lines()
                .find(|line| line.contains(&mark) && line.contains(" end"))?;
            Some((line.to_owned(), now))
        });
        let printed: f64 = line.0.split_whitespace().nth(1).unwrap().parse().unwrap();
        times.push(line.1 - printed);
    }
    times
}

#[test]
fn what_a_run_prints_is_on_the_screen_within_100_ms() {
    let hub = hub();
    let mut times = sight_times(&hub, 25);
    // The first frames may precede the complete dashboard.
    times.drain(..5);
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let ms: Vec<u64> = times.iter().map(|time| (time * 1000.0) as u64).collect();
    println!("from print to screen, in ms: {ms:?}");
    assert!(median < 0.1, "from print to screen, in ms: {ms:?}");
}

#[test]
fn at_rest_it_asks_the_hub_nothing() {
    let hub = Hub::start();
    hub.client().enqueue("waits for ever");
    let relay = Relay::start(hub.port);
    for screen in [
        "tasks",
        "pools",
        "tree",
        "events",
        "inbox",
        "runs",
        "schedules",
    ] {
        let tmux = Tmux::start(
            SIZES[0],
            &[],
            &dashboard(relay.port, &format!("--screen {screen}")),
        );
        tmux.see(&["live", "1 queued"]);
        // Two seconds in which ages grow on the screen, but nothing is sent.
        let still = || {
            let before = relay.sent();
            std::thread::park_timeout(Duration::from_secs(2));
            relay.sent() == before
        };
        until(&format!("{screen} is at rest"), || still().then_some(()));
        assert!(relay.sent() > 0);
    }
    let tmux = Tmux::start(SIZES[0], &[], &dashboard(relay.port, ""));
    let age = |screen: &str| {
        let line = screen
            .lines()
            .find(|line| line.contains("waits for ever"))?;
        line.split_whitespace()
            .find_map(|word| word.strip_suffix('s')?.parse::<u32>().ok())
    };
    let first = until("an age", || age(&tmux.screen()));
    tmux.watch("a greater age", |screen| {
        age(screen).is_some_and(|age| age > first)
    });
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let hub = hub();
    let mut client = hub.client();
    let id = client.enqueue("some work");
    ended(&mut client, id);
    let coloured = |tmux: &Tmux| {
        tmux.see(&["some work", "done"]);
        let screen = tmux.coloured();
        ["[38;5;", "[32m"].iter().any(|code| screen.contains(code))
    };
    assert!(coloured(&open(&hub, SIZES[0], "")));
    assert!(!coloured(&open(&hub, SIZES[0], "--no-color")));
    assert!(!coloured(&Tmux::start(
        SIZES[0],
        &[("NO_COLOR", "1")],
        &dashboard(hub.port, "")
    )));
}

/// Runs it without a terminal; exit code, standard output, standard error.
fn piped(port: u16, arguments: &str) -> (i32, String, String) {
    let mut shell = Command::new("sh");
    let output = shell
        .arg("-c")
        .arg(dashboard(port, arguments))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn in_a_pipe_it_prints_one_frame_without_escapes() {
    let hub = hub();
    let (wide, ..) = tasks(&hub);
    for (arguments, expected) in [
        ("", "May it go out?"),
        ("--plain --size 80x24", "hold the line"),
        ("--filter status:failed", "fail, please"),
        ("--screen pools", "crew-2@"),
        // The name of the screen in earlier versions.
        ("--screen agents", "Accounts"),
        ("--screen schedules", "no schedules yet"),
        ("--screen tree", "├── writer"),
        ("--screen events", "leased by crew-"),
        ("--screen runs", "no runs of plans yet"),
        (&format!("--task {wide}"), "Attempts"),
    ] {
        let (code, out, err) = piped(hub.port, arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments}");
        assert!(
            out.contains(expected) && !out.contains('\u{1b}'),
            "{arguments}:\n{out}"
        );
    }
    let (code, out, _) = piped(hub.port, "--filter status:failed");
    assert!(code == 0 && !out.contains("hold the line"), "{out}");
    for (arguments, exit, words) in [
        ("--filter status:odd", 2, "status: is one of queued"),
        ("--size 7", 2, "such as 120x40"),
        ("--screen task", 2, "--task 42"),
        ("--task 99", 1, "99"),
        ("--json", 2, "kirosu list --json"),
    ] {
        let (code, _, err) = piped(hub.port, arguments);
        assert!(
            code == exit && err.contains(words),
            "{arguments}: {code} {err}"
        );
    }
    let port = hub.port;
    drop(hub);
    let (code, _, err) = piped(port, "");
    assert!(
        code == 5 && err.contains("cannot reach the hub"),
        "{code} {err}"
    );
}
