//! The screens as text at two sizes, and keys at random on screens of any size.

use super::list::Step;
use super::model::{Model, View};
use super::news::{Link, News, Output};
use super::row::Row;
use super::tasks::{From, Page};
use super::{plain, update, views};
use kirosu_protocol::verbs::agents::AgentInfo;
use kirosu_protocol::verbs::get::GetAnswer;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::verbs::pools::PoolInfo;
use kirosu_protocol::verbs::tree::TreeNode;
use kirosu_protocol::{Approval, Attempt, Event, EventKind, Stats, Status, Subject, Task, TaskId};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

const NOW: f64 = 1_800_000_000.0;

/// A row of the list.
pub fn row(id: TaskId) -> Row {
    Row::from(&task(id, Status::Queued))
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

/// A dashboard with something on every screen.
fn full(view: View, size: (u16, u16)) -> Model {
    let mut model = Model::new("127.0.0.1:8765", view, size, NOW);
    let version = "0.1.0".into();
    model.hear(News::Link(Link::Up { version }));
    let stats = Stats {
        queued: 3,
        leased: 1,
        done: 12_345,
        failed: 2,
        awaiting_approval: 1,
        ..Stats::default()
    };
    model.hear(News::Stats(Stats {
        done: 12_300,
        ..stats.clone()
    }));
    model.pass(NOW + 2.0);
    let rows = (1..=8)
        .rev()
        .map(|id| Row::from(&task(id, Status::ALL[id as usize - 1])));
    let page = Page {
        rows: rows.collect(),
        from: From::Newest,
        ..Page::default()
    };
    model.hear(News::Page(model.tasks.ask.clone(), page, stats));
    hear_task(&mut model);
    hear_workers(&mut model);
    model.hear(News::Inbox(vec![question(17, "git push")]));
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
    model.hear(News::Event(event(1, queued)));
    model.hear(News::Event(event(2, crashed)));
    model.pass(NOW + 3.0);
    model
}

fn hear_task(model: &mut Model) {
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
    model.hear(News::Task(Box::new(answer)));
    let output = Output::Whole {
        fence: 2,
        text: "reading\nreading more\n".into(),
        cut: false,
    };
    model.hear(News::Output(5, output));
    let more = "\x1b[32m10 %\r20 %\n\x1b]0;title\x07half a li";
    model.hear(News::Output(5, Output::More(more.into())));
    model.hear(News::Output(5, Output::More("ne\n".into())));
}

fn hear_workers(model: &mut Model) {
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
    model.hear(News::Agents(vec![
        agent(1, vec![lease]),
        agent(2, vec![]),
        agent(3, vec![]),
    ]));
    let pool = PoolInfo {
        name: "coders".into(),
        provider: "codex".into(),
        queues: vec!["default".into(), "docs".into()],
        size: 3,
        busy: 1,
        state: "running".into(),
        ..PoolInfo::default()
    };
    model.hear(News::Pools(vec![pool]));
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
    model.hear(News::Tree(tree));
}

/// What is on a terminal of that size.
fn drawn(model: &mut Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal
        .draw(|frame| views::draw(model, frame.buffer_mut(), true))
        .unwrap();
    plain::text(terminal.backend().buffer()) + "\n"
}

/// Compares with the file that keeps how it should look; `KIROSU_SNAPSHOTS=write` writes it anew, to be looked at.
fn same(name: &str, text: &str) {
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
fn the_screens_look_as_they_should_at_both_sizes() {
    for (size, name) in [((80, 24), "80x24"), ((200, 50), "200x50")] {
        for view in View::ALL {
            let text = drawn(&mut full(view, size));
            assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
            same(&format!("{}-{name}", view.name().to_lowercase()), &text);
        }
    }
}

#[test]
fn what_stands_over_a_screen_looks_as_it_should() {
    let mut model = full(View::Tasks, (80, 24));
    model.tasks.step(Step::Lines(3), 20);
    update::key(&mut model, key('c'));
    same("confirm-80x24", &drawn(&mut model));
    update::key(&mut model, key('n'));
    update::key(&mut model, key('?'));
    same("help-80x24", &drawn(&mut model));
    let why =
        "cannot reach the hub at 127.0.0.1:8765: connection refused; start one with `kirosu up`"
            .to_owned();
    let again = Some(NOW + 4.2);
    let mut model = Model::new("127.0.0.1:8765", View::Tasks, (80, 24), NOW);
    model.hear(News::Link(Link::Away { why, again }));
    same("away-80x24", &drawn(&mut model));
}

fn key(c: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
}

#[test]
fn no_key_and_no_size_breaks_it() {
    let codes = [
        KeyCode::Tab,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::PageDown,
        KeyCode::PageUp,
        KeyCode::End,
        KeyCode::Backspace,
    ];
    let letters: Vec<char> = "12345jkgGacrRwyn/?:日 x".chars().collect();
    // A simple generator, so that a failure can be seen again.
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
fn an_action_is_asked_for_first_and_needs_a_connection() {
    let mut model = full(View::Tasks, (80, 24));
    assert_eq!(update::key(&mut model, key('c')), None);
    assert_eq!(update::key(&mut model, key('j')), None);
    let effect = update::key(&mut model, key('y'));
    let cancel = super::news::Effect::Act(super::model::Act::Cancel, Subject::Task(8));
    assert_eq!(effect, Some(cancel));
    let why = "gone".to_owned();
    model.hear(News::Link(Link::Away { why, again: None }));
    update::key(&mut model, key('R'));
    assert!(model.confirm.is_none());
}

#[test]
fn an_answer_is_typed_and_sent_and_needs_a_connection() {
    let mut model = full(View::Tasks, (80, 24));
    let press = |model: &mut Model, code| update::key(model, KeyEvent::from(code));
    press(&mut model, KeyCode::Char('w'));
    for c in "qx the second".chars() {
        assert_eq!(update::key(&mut model, key(c)), None);
    }
    assert!(drawn(&mut model).contains("answer to task 8: qx the second"));
    let sent = press(&mut model, KeyCode::Enter);
    let answer = super::news::Effect::Answer(8, "qx the second".into());
    assert_eq!(sent, Some(answer));
    press(&mut model, KeyCode::Char('w'));
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(drawn(&mut model).contains("the answer is empty"));
    model.view = View::Inbox;
    press(&mut model, KeyCode::Char('w'));
    assert!(drawn(&mut model).contains("approve or reject it"));
    model.view = View::Tasks;
    let why = "gone".to_owned();
    model.hear(News::Link(Link::Away { why, again: None }));
    press(&mut model, KeyCode::Char('w'));
    assert!(model.reply.is_none());
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

#[test]
fn the_inbox_shows_what_would_run_and_the_eye_stays_on_what_is_decided() {
    let mut model = full(View::Inbox, (100, 24));
    let ask = |model: &mut Model, ids: &[i64]| {
        let entries = ids
            .iter()
            .map(|id| question(*id, &format!("git push {id}\x1b[2J")));
        model.hear(News::Inbox(entries.collect()));
    };
    ask(&mut model, &[17, 18]);
    let shown = drawn(&mut model);
    assert!(
        shown.contains("a17     78s  tool  5       shell"),
        "{shown}"
    );
    assert!(shown.contains(r#"{"command":"git push 18"#), "{shown}");
    let press = |model: &mut Model, code| update::key(model, KeyEvent::from(code));
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('a'));
    assert!(drawn(&mut model).contains(" approve a18? "));
    // The one above is decided by somebody else, and another one comes.
    ask(&mut model, &[18, 19]);
    let done = press(&mut model, KeyCode::Char('y'));
    let approve = super::news::Effect::Act(super::model::Act::Approve, Subject::Approval(18));
    assert_eq!(done, Some(approve));
    press(&mut model, KeyCode::Char('r'));
    ask(&mut model, &[19]);
    assert!(drawn(&mut model).contains("that was decided meanwhile"));
    assert_eq!(press(&mut model, KeyCode::Char('y')), None);
    press(&mut model, KeyCode::Char('c'));
    assert!(model.confirm.is_none());
}
