//! Long lists, items of steps, reasons of waiting, and odd characters.

use super::*;
use crate::terminal::text::width;
use kirosu_protocol::{ItemInfo, ItemState, WaitReason, Waiting};

fn press(model: &mut Model, code: KeyCode) {
    update::key(model, KeyEvent::from(code));
}

#[test]
fn ten_thousand_rows_are_drawn_through_a_window() {
    let mut model = full(View::Schedules, (80, 24));
    model.apply(Update::Schedules(schedules(10_000)));
    press(&mut model, KeyCode::End);
    let shown = drawn(&mut model);
    assert!(
        shown.contains("links-9999") && !shown.contains("links-9900"),
        "{shown}"
    );
    let pools = (0..10_000).map(|n| PoolInfo {
        name: format!("pool-{n}"),
        ..model.pools.as_ref().unwrap()[0].clone()
    });
    let pools: Vec<PoolInfo> = pools.collect();
    model.apply(Update::Pools(pools));
    press(&mut model, KeyCode::Char('3'));
    press(&mut model, KeyCode::End);
    assert!(drawn(&mut model).contains("host-7-coders-3"));
    for _ in 0..5 {
        press(&mut model, KeyCode::Up);
    }
    let shown = drawn(&mut model);
    assert!(
        shown.contains("pool-9999") && !shown.contains("Accounts"),
        "{shown}"
    );
    // A frame takes no longer because of the rows that it does not show.
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        press(&mut model, KeyCode::Up);
        drawn(&mut model);
    }
    let took = begun.elapsed();
    assert!(took.as_secs() < 4, "20 frames took {took:?}");
}

fn item(index: u64, state: ItemState) -> ItemInfo {
    ItemInfo {
        step: "read".into(),
        index,
        key: format!("docs/{index}.md\x1b[2J"),
        state,
        task_id: Some(100 + index as i64),
        cached: false,
        class: (state == ItemState::Failed).then(|| "timeout".into()),
        error: (state == ItemState::Failed).then(|| "it took\ntoo long".into()),
        result: None,
    }
}

#[test]
fn the_items_of_a_step_are_loaded_as_the_cursor_goes_down() {
    let mut model = full(View::Runs, (80, 24));
    model.open_run(42);
    model.apply(run_of(42, steps()));
    press(&mut model, KeyCode::Enter);
    let request = model.interest().items.unwrap();
    assert_eq!((request.step.as_str(), request.most), ("read", 200));
    let of = |most: u64| {
        let state = |n| {
            if n == 0 {
                ItemState::Failed
            } else {
                ItemState::Done
            }
        };
        (0..most).map(|n| item(n, state(n))).collect::<Vec<_>>()
    };
    model.apply(Update::Items(42, request.clone(), of(200), true));
    matches_snapshot("items-80x24", &drawn(&mut model));
    assert_eq!(model.interest().items.as_ref(), Some(&request));
    press(&mut model, KeyCode::End);
    let more = model.interest().items.unwrap();
    assert_eq!(more.most, 400);
    press(&mut model, KeyCode::PageDown);
    assert_eq!(model.interest().items.unwrap().most, 400);
    model.apply(Update::Items(42, more, of(300), false));
    assert!(drawn(&mut model).contains("step read: 300 items"));
    press(&mut model, KeyCode::Enter);
    assert_eq!((model.view, model.interest().task), (View::Task, Some(299)));
    press(&mut model, KeyCode::Esc);
    assert!(model.view == View::Runs && model.items().is_some());
    press(&mut model, KeyCode::Esc);
    assert!(model.items().is_none() && model.run.is_some());
    press(&mut model, KeyCode::Esc);
    assert!(model.run.is_none());
}

#[test]
fn an_ended_run_shows_its_result_or_its_error() {
    let mut model = full(View::Runs, (80, 24));
    model.open_run(42);
    let mut run = crate::cli::show::run::tests::run(steps());
    run.state = RunState::Done;
    run.result = Some("line\n".repeat(30));
    model.apply(Update::Run(Box::new(run.clone())));
    matches_snapshot("result-80x24", &drawn(&mut model));
    (run.state, run.result) = (RunState::Failed, None);
    run.error = Some("the step read failed\nbecause".into());
    model.apply(Update::Run(Box::new(run)));
    let shown = drawn(&mut model);
    assert!(
        shown.contains(" Error\n the step read failed\n because"),
        "{shown}"
    );
    press(&mut model, KeyCode::Char('o'));
    assert_eq!(model.interest().task, Some(42));
}

#[test]
fn every_reason_of_waiting_is_readable_on_the_list_and_whole_on_the_task() {
    let reasons = [
        (
            "dependency",
            "it waits for task 3, which has failed: kirosu retry 3, and for 2 more",
            None,
        ),
        ("not_before", "its time has not come", Some(900.0)),
        (
            "retry",
            "its next attempt follows after a pause; the last one failed: no answer",
            Some(9.0),
        ),
        (
            "approval",
            "a person has to approve it: kirosu approve 7",
            None,
        ),
        (
            "answer",
            "a person has to answer it: kirosu answer 7 TEXT",
            None,
        ),
        (
            "draining",
            "the hub drains: it leases nothing until it is restarted",
            None,
        ),
        ("paused", "queue 'docs' is paused: kirosu resume docs", None),
        (
            "no_worker",
            "this hub has no pools, and no worker is at work on its tasks: name the queue in a pool's `queues`, start a worker for it, or enqueue into another queue",
            None,
        ),
        (
            "no_agents",
            "pool 'writers' has no agents: kirosu pool resize writers 1",
            None,
        ),
        (
            "missing",
            "pool 'writers' takes no tasks: the program claude is not there",
            None,
        ),
        (
            "auth_required",
            "pool 'writers' takes no tasks: a person has to log in: claude login",
            None,
        ),
        (
            "rate_limited",
            "pool 'writers' takes no tasks: its account is over the provider's limit: usage limit reached",
            Some(600.0),
        ),
        (
            "network",
            "pool 'writers' takes no tasks: its provider cannot be reached: no route",
            Some(5.0),
        ),
        (
            "budget_exhausted",
            "pool 'writers' takes no tasks: a budget is used up: 5 USD today",
            None,
        ),
        (
            "short",
            "pool 'writers' takes no tasks: the machine is short of something: memory",
            None,
        ),
        (
            "failing",
            "pool 'writers' takes no tasks: its runs fail at once: exit code 127",
            None,
        ),
        (
            "not_trusted",
            "pool 'writers' takes no tasks: it is not trusted: trust_all_tools",
            None,
        ),
        (
            "gave_up",
            "pool 'writers' takes no tasks: its agents crash: panicked",
            None,
        ),
        ("busy", "all 3 agents of pool 'writers' are busy", None),
        (
            "next",
            "pool 'writers' takes it with its next free agent",
            None,
        ),
        ("of a later version", "something new", None),
    ];
    for (reason, message, left) in reasons {
        let reason: WaitReason = serde_json::from_value(reason.into()).unwrap();
        let mut waits = task(7, Status::Queued);
        waits.waiting = Some(Box::new(Waiting {
            reason,
            message: message.into(),
            until: left.map(|left| NOW + 3.0 + left),
            task_id: None,
            pool: None,
        }));
        for size in [(80, 24), (200, 50)] {
            let mut model = full(View::Tasks, size);
            let page = LoadedPage {
                rows: vec![ListRow::from(&waits)],
                ..LoadedPage::default()
            };
            model.apply(Update::Page(
                model.tasks.request.clone(),
                page,
                Stats::default(),
            ));
            let shown = drawn(&mut model);
            let most = if size.0 == 200 { 40 } else { 12 };
            let until = left.map(|left| format!("in {}: ", crate::terminal::time::span(left)));
            let start: String = until.unwrap_or_default() + message;
            let start: String = start.chars().take(most.min(start.len())).collect();
            assert!(shown.contains(&start), "{start}:\n{shown}");
            model.open(7);
            let answer = GetAnswer {
                task: waits.clone(),
                attempts: Vec::new(),
                depends_on: Vec::new(),
                decisions: Vec::new(),
                progress: None,
                output: None,
            };
            model.apply(Update::Task(Box::new(answer)));
            press(&mut model, KeyCode::Home);
            let shown = drawn(&mut model);
            let whole = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(whole.contains(&format!("waits: {message}")), "{shown}");
            if let Some(left) = left {
                let left = crate::terminal::time::ago(NOW + left, NOW);
                assert!(whole.contains(&left), "{left}:\n{shown}");
            }
        }
    }
}

#[test]
fn columns_stay_aligned_whatever_the_characters() {
    let odd = [
        "👩\u{200d}👩\u{200d}👧\u{200d}👦 family",
        "🇩🇪🇫🇷 flags",
        "👍🏽 thumb",
        "❤\u{fe0f} heart 1\u{fe0f}\u{20e3}",
        "e\u{301}\u{302}\u{303} marks",
        "日本語ｶﾞ한글",
        "हिन्दी لا ก็",
        "a\u{200b}b\u{200d}c\u{2060}d\u{feff}e",
        "\u{7}bell\u{0}nul\u{9b}31mcsi",
    ];
    for size in [(80, 24), (200, 50)] {
        let mut model = full(View::Tasks, size);
        let rows = odd.iter().enumerate().map(|(at, text)| {
            let mut it = task(at as i64 + 1, Status::Done);
            it.prompt = format!("{text} ").repeat(1 + at * 3);
            (it.result, it.worker_id) = (Some("RESULT-HERE".into()), Some((*text).into()));
            ListRow::from(&it)
        });
        let page = LoadedPage {
            rows: rows.collect(),
            ..LoadedPage::default()
        };
        model.apply(Update::Page(
            model.tasks.request.clone(),
            page,
            Stats::default(),
        ));
        let shown = drawn(&mut model);
        let columns: Vec<usize> = shown
            .lines()
            .filter_map(|line| Some(width(line.split_once("RESULT")?.0)))
            .collect();
        assert_eq!(columns.len(), odd.len() + 1, "{shown}");
        assert!(
            columns.iter().all(|it| *it == columns[0]),
            "{columns:?}\n{shown}"
        );
        assert!(
            shown.lines().all(|line| width(line) <= usize::from(size.0)),
            "{shown}"
        );
    }
}
