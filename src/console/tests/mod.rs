//! Snapshots of the screens at two sizes, and random keys on screens of any size.

use super::action::{HubAction, RunAction};
use super::cursor::CursorStep;
use super::messages::{KeyEffect, LinkState, OutputUpdate, Update};
use super::model::Model;
use super::row::ListRow;
use super::tasks::{LoadedPage, PageStart};
use super::view::View;
use super::{plain, update, views};
use kirosu_protocol::{
    AgentInfo, Approval, Attempt, Event, EventKind, GetAnswer, HeldLease, LaneInfo, ListedRun,
    PoolInfo, RunAnswer, RunState, ScheduleInfo, Stats, Status, StepInfo, StepState, Subject, Task,
    TaskId, TreeNode,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

mod actions;
mod lists;

const NOW: f64 = 1_800_000_000.0;

/// A row of the list.
pub fn row(id: TaskId) -> ListRow {
    ListRow::from(&task(id, Status::Queued))
}

fn task(id: TaskId, status: Status) -> Task {
    let ran = !matches!(status, Status::Queued);
    let texts = [
        "Summarise the report and say what is missing",
        "日本語の長い文書を要約して、足りないものを言ってください 🦀👩\u{200d}💻",
        "\x1b[31mred\x1b[0m\tand\r\nmore\x07 lines \u{202e}turned",
    ];
    let text = texts[id as usize % texts.len()];
    let fields = serde_json::json!({
        "task_id": id, "prompt": format!("{text} ({id})"), "system_prompt": null, "type": "chat", "status": status,
        "created_at": NOW - 100.0 - id as f64, "updated_at": NOW - 50.0, "leased_until": null,
        "worker_id": ran.then_some("coders-1@host"), "result": null, "error": null, "fence": i64::from(ran),
        "queue": if id % 2 == 0 { "default" } else { "docs" }, "priority": 0, "attempts": u32::from(ran),
    });
    let mut task: Task = serde_json::from_value(fields).unwrap();
    match status {
        Status::Done => task.result = Some(format!("{text}: well done")),
        Status::Failed => task.error = Some("the program ended with code 3".into()),
        Status::Scheduled => task.run_at = Some(NOW + 20.0),
        _ => {}
    }
    task
}

fn node(name: &str, state: &str, children: Vec<TreeNode>) -> TreeNode {
    TreeNode {
        name: name.into(),
        state: state.into(),
        kind: if children.is_empty() {
            "worker"
        } else {
            "supervisor"
        }
        .into(),
        uptime: Some(42.0),
        children,
        ..TreeNode::default()
    }
}

/// A dashboard with content on every screen.
fn full(view: View, size: (u16, u16)) -> Model {
    let mut model = Model::new("127.0.0.1:8765", view, size, NOW);
    let version = "0.1.0".into();
    model.apply(Update::Link(LinkState::Up { version }));
    let stats = Stats {
        queued: 3,
        leased: 1,
        done: 12_345,
        failed: 2,
        awaiting_approval: 1,
        ..Stats::default()
    };
    model.apply(Update::Stats(Stats {
        done: 12_300,
        ..stats.clone()
    }));
    model.pass(NOW + 2.0);
    let rows = (1..=8)
        .rev()
        .map(|id| ListRow::from(&task(id, Status::ALL[id as usize - 1])));
    let page = LoadedPage {
        rows: rows.collect(),
        from: PageStart::Newest,
        ..LoadedPage::default()
    };
    model.apply(Update::Page(model.tasks.request.clone(), page, stats));
    apply_task(&mut model);
    apply_workers(&mut model);
    model.apply(Update::Inbox(vec![question(17, "git push")]));
    model.apply(Update::Runs(vec![
        listed(43, RunState::Waiting),
        listed(42, RunState::Open),
        listed(9, RunState::Failed),
    ]));
    let event = |seq, what| Event {
        seq,
        time: NOW + seq as f64 / 8.0,
        what,
    };
    let queued = EventKind::Task {
        task_id: 5,
        status: Status::Leased,
        fence: 1,
        worker_id: Some("coders-1@host".into()),
        by: None,
        reason: "leased".into(),
        question: None,
    };
    let crashed = EventKind::Actor {
        path: "root/pools/coders/sessions/2".into(),
        state: "restarting".into(),
        reason: "panicked: \x1b[2Joh no".into(),
    };
    model.apply(Update::Event(event(1, queued)));
    model.apply(Update::Event(event(2, crashed)));
    model.pass(NOW + 3.0);
    model
}

fn listed(task_id: TaskId, state: RunState) -> ListedRun {
    let ended = state.is_final();
    ListedRun {
        task_id,
        state,
        reason: (state == RunState::Waiting).then(|| "5 items failed in a row".into()),
        name: Some(format!("review\x1b[2J {task_id}")),
        error: ended.then(|| "the step read failed".into()),
        made: 70,
        steps: 2,
        open: if ended { 0 } else { 4 },
        done: 1012,
        failed: 2,
        cancelled: 0,
        created_at: NOW - 100.0 - task_id as f64,
        ended_at: ended.then_some(NOW),
    }
}

fn run_of(id: TaskId, steps: Vec<StepInfo>) -> Update {
    let run = RunAnswer {
        task_id: id,
        made: 1020,
        created_at: NOW - 100.0,
        ..crate::cli::show::run::tests::run(steps)
    };
    Update::Run(Box::new(run))
}

fn steps() -> Vec<StepInfo> {
    use crate::cli::show::run::tests::step;
    let mut read = step("read", "map", StepState::Open);
    (read.total, read.open, read.done, read.failed) = (Some(1018), 4, 1012, 2);
    let mut ok = step("ok", "approve", StepState::Open);
    ok.task_id = Some(77);
    let mut write = step("polish[1].write", "task", StepState::Failed);
    write.reason = Some("not\x1b[2J accepted".into());
    let mut steps = vec![read, ok, step("polish", "loop", StepState::Open), write];
    for step in &mut steps {
        step.started_at = Some(NOW - 90.0);
        step.ended_at = step.ended_at.map(|_| NOW - 30.0);
    }
    steps
}

fn apply_task(model: &mut Model) {
    let view = model.view;
    model.open(5);
    model.view = view;
    let attempt = Attempt {
        fence: 1,
        worker_id: Some("coders-2@host".into()),
        started_at: NOW - 90.0,
        ended_at: NOW - 80.0,
        outcome: "lost".into(),
        error: Some("its lease expired".into()),
        result: None,
        provider: None,
        usage: None,
    };
    let answer = GetAnswer {
        task: task(5, Status::Leased),
        attempts: vec![attempt],
        depends_on: vec![1, 2],
        decisions: Vec::new(),
        progress: None,
        output: None,
    };
    model.apply(Update::Task(Box::new(answer)));
    let output = OutputUpdate::Whole {
        fence: 2,
        text: "reading\nreading more\n".into(),
        cut: false,
    };
    model.apply(Update::Output(5, output));
    let more = "\x1b[32m10 %\r20 %\n\x1b]0;title\x07half a li";
    model.apply(Update::Output(5, OutputUpdate::More(more.into())));
    model.apply(Update::Output(5, OutputUpdate::More("ne\n".into())));
}

fn apply_workers(model: &mut Model) {
    let agent = |n: i64, leases: Vec<HeldLease>| AgentInfo {
        session_id: Some(format!("host-7-coders-{n}")),
        name: format!("coders-{n}@host"),
        peer: "local".into(),
        connected: n != 3,
        leases,
        since: NOW - 500.0,
        last_seen: NOW - n as f64,
    };
    let lease = HeldLease {
        task_id: 5,
        fence: 1,
    };
    model.apply(Update::Agents(vec![
        agent(1, vec![lease]),
        agent(2, vec![]),
        agent(3, vec![]),
    ]));
    let lane = |account: &str, state: &str, until| LaneInfo {
        account: account.into(),
        state: state.into(),
        until,
        running: 1,
        concurrency: Some(4),
        ..LaneInfo::default()
    };
    let until = Some(NOW as u64 + 600);
    let mut tired = lane("second@example.org", "rate_limited", until);
    tired.note = Some("usage limit reached".into());
    let pool = PoolInfo {
        lanes: vec![lane("codex", "open", None), tired],
        name: "coders".into(),
        provider: "codex".into(),
        queues: vec!["default".into(), "docs".into()],
        size: 3,
        busy: 1,
        state: "running".into(),
        ..PoolInfo::default()
    };
    let depths = [("default".to_owned(), 12), ("docs".to_owned(), 3)];
    model.apply(Update::Depths(depths.into_iter().collect()));
    model.apply(Update::Pools(vec![pool]));
    model.apply(Update::Schedules(schedules(4)));
    let mut sick = node("2", "backing_off", vec![]);
    (sick.restarts, sick.next_restart_in, sick.uptime) = (3, Some(4.0), None);
    sick.last_exit = Some("panicked: oh no".into());
    let sessions = node(
        "sessions",
        "running",
        vec![node("1", "running", vec![]), sick],
    );
    let pools = node(
        "pools",
        "running",
        vec![node("coders", "running", vec![sessions])],
    );
    let tree = node(
        "root",
        "running",
        vec![node("writer", "running", vec![]), pools],
    );
    model.apply(Update::Tree(tree));
}

/// Schedules of every kind.
fn schedules(number: u64) -> Vec<ScheduleInfo> {
    let of = |n: u64| {
        let spec = match n % 3 {
            0 => serde_json::json!({"cron": "0 3 * * *", "tz": "Europe/Berlin"}),
            1 => serde_json::json!({"every_seconds": 600.0}),
            _ => serde_json::json!({"at": NOW - 50.0}),
        };
        let mut fields = serde_json::json!({
            "name": format!("links-{n}"), "missed": "one", "overlap": "skip", "paused": n == 1, "queue": "docs",
            "type": "chat", "prompt": "Check\x1b[2J the links 👩\u{200d}💻\nin docs/", "fired": n, "skipped": 0,
            "created_at": NOW - 9000.0,
        });
        for (name, value) in spec.as_object().unwrap() {
            fields[name] = value.clone();
        }
        let mut it: ScheduleInfo = serde_json::from_value(fields).unwrap();
        if n % 3 != 2 {
            it.next_at = Some(NOW + 700.0 * n as f64 + 60.0);
        }
        if n > 0 {
            it.last_at = Some(NOW - 3600.0);
            it.last_task = Some(40 + n as i64);
            it.last_status = Some(if n == 2 { Status::Failed } else { Status::Done });
        }
        if n == 0 {
            it.error = Some("the queue is full".into());
        }
        it
    };
    (0..number).map(of).collect()
}

/// The screen as text.
fn drawn(model: &mut Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal
        .draw(|frame| views::draw(model, frame.buffer_mut(), true))
        .unwrap();
    plain::text(terminal.backend().buffer()) + "\n"
}

/// Compares with a snapshot. `KIROSU_SNAPSHOTS=write` writes new snapshots, which must be reviewed.
fn matches_snapshot(name: &str, text: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/snapshots");
    let path = format!("{folder}/{name}.txt");
    if std::env::var("KIROSU_SNAPSHOTS").is_ok_and(|value| value == "write") {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{name} looks different now:\n{text}\nthan in {path}:\n{kept}"
    );
}

#[test]
fn the_screens_match_their_snapshots() {
    for (size, name) in [((80, 24), "80x24"), ((200, 50), "200x50")] {
        for view in View::ALL {
            let text = drawn(&mut full(view, size));
            assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
            matches_snapshot(&format!("{}-{name}", view.name().to_lowercase()), &text);
        }
    }
}

#[test]
fn popups_match_their_snapshots() {
    let mut model = full(View::Tasks, (80, 24));
    model.tasks.step(CursorStep::Lines(3), 20);
    update::key(&mut model, key('c'));
    matches_snapshot("confirm-80x24", &drawn(&mut model));
    update::key(&mut model, key('n'));
    update::key(&mut model, key('?'));
    matches_snapshot("help-80x24", &drawn(&mut model));
    let why =
        "cannot reach the hub at 127.0.0.1:8765: connection refused; start one with `kirosu up`"
            .to_owned();
    let again = Some(NOW + 4.2);
    let mut model = Model::new("127.0.0.1:8765", View::Tasks, (80, 24), NOW);
    model.apply(Update::Link(LinkState::Away { why, again }));
    matches_snapshot("away-80x24", &drawn(&mut model));
}

#[test]
fn a_run_is_shown_with_its_steps_and_steered_after_a_confirmation() {
    let mut model = full(View::Runs, (80, 24));
    let press = |model: &mut Model, code| update::key(model, KeyEvent::from(code));
    press(&mut model, KeyCode::Down);
    // A newer run is added above the chosen one.
    let newer = [44, 43, 42, 9].map(|id| listed(id, RunState::Open));
    model.apply(Update::Runs(newer.to_vec()));
    press(&mut model, KeyCode::Char('p'));
    matches_snapshot("pause-80x24", &drawn(&mut model));
    let effect = press(&mut model, KeyCode::Char('y'));
    let act = |act| Some(KeyEffect::Act(HubAction::Run(act, 42)));
    assert_eq!(effect, act(RunAction::Pause));

    let mut poor = listed(42, RunState::Waiting);
    poor.reason = Some("budget: 2 tasks wait because it is used up".into());
    model.apply(Update::Runs(vec![poor.clone()]));
    press(&mut model, KeyCode::Char('a'));
    assert!(drawn(&mut model).contains("raise the budget of run 42?"));
    let raised = press(&mut model, KeyCode::Char('y'));
    assert_eq!(raised, act(RunAction::Raise));

    press(&mut model, KeyCode::Enter);
    assert_eq!(model.interest().run, Some(42));
    model.apply(run_of(42, steps()));
    model.pass(NOW + 3.0);
    matches_snapshot("run-80x24", &drawn(&mut model));
    // The chosen step stays chosen when a failed one is drawn above it.
    press(&mut model, KeyCode::Down);
    let mut changed = steps();
    changed[0].state = StepState::Failed;
    changed.swap(0, 2);
    model.apply(run_of(42, changed));
    press(&mut model, KeyCode::Char('a'));
    assert!(drawn(&mut model).contains("approve task 77?"));
    press(&mut model, KeyCode::Char('n'));
    press(&mut model, KeyCode::Char('/'));
    assert!(model.typing.is_none());
    press(&mut model, KeyCode::Esc);
    assert!(model.run.is_none() && model.view == View::Runs);
    for view in ['1', '7'] {
        press(&mut model, KeyCode::Char(view));
    }
    press(&mut model, KeyCode::Char('1'));
    press(&mut model, KeyCode::Char('p'));
    assert!(model.confirm.is_none());
}

#[test]
fn escape_counts_if_it_arrives_together_with_the_next_key() {
    let together = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::ALT);
    let mut model = full(View::Runs, (80, 24));
    model.open_run(7);
    assert_eq!(update::key(&mut model, together('G')), None);
    assert!(model.run.is_none());
    let last = model.runs.as_ref().map(|runs| runs.len() - 1);
    assert_eq!(Some(model.cursors[View::Runs as usize].at), last);
    update::key(&mut model, key('/'));
    assert_eq!(
        update::key(&mut model, together('q')),
        Some(KeyEffect::Quit)
    );
    assert!(model.typing.is_none());
}

fn key(c: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
}

#[test]
fn random_keys_and_sizes_do_not_panic() {
    let codes = [
        KeyCode::Tab,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::PageDown,
        KeyCode::PageUp,
        KeyCode::End,
        KeyCode::Backspace,
    ];
    let letters: Vec<char> = "12345678jkgGacrRpPwytxDo+-n/?:日 x".chars().collect();
    // A simple generator with a fixed seed, so that a failure can be reproduced.
    let mut state = 42_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for empty in [true, false] {
        let mut model = match empty {
            true => Model::new("hub", View::Tasks, (80, 24), NOW),
            false => full(View::Tasks, (80, 24)),
        };
        for _ in 0..3000 {
            let code = match random(3) {
                0 => codes[random(codes.len())],
                _ => KeyCode::Char(letters[random(letters.len())]),
            };
            update::key(&mut model, KeyEvent::new(code, KeyModifiers::NONE));
            if random(20) == 0 {
                model.resize((random(220) as u16, random(60) as u16));
            }
            if random(10) == 0 {
                drawn(&mut model);
            }
        }
    }
}

#[test]
fn an_action_needs_confirmation_and_a_connection() {
    let mut model = full(View::Tasks, (80, 24));
    assert_eq!(update::key(&mut model, key('c')), None);
    assert_eq!(update::key(&mut model, key('j')), None);
    let effect = update::key(&mut model, key('y'));
    assert_eq!(effect, Some(KeyEffect::Act(HubAction::Cancel(8))));
    let why = "gone".to_owned();
    model.apply(Update::Link(LinkState::Away { why, again: None }));
    update::key(&mut model, key('R'));
    assert!(model.confirm.is_none());
}

fn question(id: i64, title: &str) -> Approval {
    Approval {
        approval_id: Some(id),
        task_id: 5,
        title: title.into(),
        tool: Some("shell".into()),
        args: Some(format!("{{\"command\":\"{title}\"}}")),
        pool: Some("coders".into()),
        asked_at: NOW - 75.0,
        ..Approval::default()
    }
}
