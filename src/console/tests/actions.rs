//! Actions: what is asked before, and what is sent.

use super::*;
use crate::console::action::{PoolAction, ScheduleAction};
use kirosu_protocol::approval::PermissionOption;

fn press(model: &mut Model, code: KeyCode) -> Option<KeyEffect> {
    update::key(model, KeyEvent::from(code))
}

fn type_text(model: &mut Model, text: &str) {
    for c in text.chars() {
        assert_eq!(press(model, KeyCode::Char(c)), None);
    }
}

fn sent(action: HubAction) -> Option<KeyEffect> {
    Some(KeyEffect::Act(action))
}

#[test]
fn the_inbox_shows_arguments_and_keeps_the_chosen_entry() {
    let mut model = full(View::Inbox, (100, 24));
    let ask = |model: &mut Model, ids: &[i64]| {
        let entries = ids
            .iter()
            .map(|id| question(*id, &format!("git push {id}\x1b[2J")));
        model.apply(Update::Inbox(entries.collect()));
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
    // Another person decides the entry above, and a new entry arrives.
    ask(&mut model, &[18, 19]);
    let done = press(&mut model, KeyCode::Char('y'));
    let approve = HubAction::Approve(Subject::Approval(18), None);
    assert_eq!(done, Some(KeyEffect::Act(approve)));
    press(&mut model, KeyCode::Char('r'));
    ask(&mut model, &[19]);
    assert!(drawn(&mut model).contains("that was decided meanwhile"));
    assert!(model.draft.is_none());
    press(&mut model, KeyCode::Char('c'));
    assert!(model.confirm.is_none());
}

#[test]
fn a_rejection_asks_for_a_reason_that_may_be_empty() {
    let mut model = full(View::Inbox, (80, 24));
    let subject = Subject::Approval(17);
    press(&mut model, KeyCode::Char('r'));
    let shown = drawn(&mut model);
    assert!(
        shown.contains("reject a17: reason (may be empty)"),
        "{shown}"
    );
    assert!(
        shown.contains("git push") && shown.contains("Enter send"),
        "{shown}"
    );
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        sent(HubAction::Reject(subject, None))
    );
    press(&mut model, KeyCode::Char('r'));
    type_text(&mut model, "not on Fridays");
    let reason = Some("not on Fridays".to_owned());
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        sent(HubAction::Reject(subject, reason))
    );
    press(&mut model, KeyCode::Char('r'));
    type_text(&mut model, "y");
    assert_eq!(press(&mut model, KeyCode::Esc), None);
    assert!(drawn(&mut model).contains("nothing was sent"));
}

#[test]
fn an_answer_has_several_lines_and_keeps_what_is_typed_or_inserted() {
    let mut model = full(View::Tasks, (80, 24));
    press(&mut model, KeyCode::Char('w'));
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(drawn(&mut model).contains("the answer is empty"));
    type_text(&mut model, "one");
    update::key(
        &mut model,
        KeyEvent::new(KeyCode::Char('j'), KeyModifiers::CONTROL),
    );
    type_text(&mut model, "twoe\u{301}👩\u{200d}💻x");
    press(&mut model, KeyCode::Backspace);
    press(&mut model, KeyCode::Backspace);
    update::key(&mut model, KeyEvent::new(KeyCode::Enter, KeyModifiers::ALT));
    // An insertion is text, not keys; its line ends do not send it.
    update::paste(&mut model, "q\r\nc\tyn\u{7}日本\r");
    matches_snapshot("answer-80x24", &drawn(&mut model));
    let text = "one\ntwoe\u{301}\nq\nc yn日本\n".to_owned();
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        sent(HubAction::Answer(8, text))
    );
    model.view = View::Inbox;
    press(&mut model, KeyCode::Char('w'));
    assert!(drawn(&mut model).contains("a permission request takes no text"));
    model.view = View::Tasks;
    // Without a question, an insertion has no effect.
    update::paste(&mut model, "qcy");
    assert!(model.confirm.is_none() && model.draft.is_none());
    press(&mut model, KeyCode::Char('/'));
    update::paste(&mut model, "two\nwords");
    assert_eq!(model.typing.as_deref(), Some("two words"));
}

#[test]
fn an_option_is_chosen_for_a_permission_request_that_has_some() {
    let mut model = full(View::Inbox, (80, 24));
    let mut asked = question(18, "Which database?");
    let option = |n: usize| PermissionOption {
        id: format!("o{n}"),
        name: format!("Option \x1b[2J{n}"),
    };
    asked.options = (0..20).map(option).collect();
    model.apply(Update::Inbox(vec![asked]));
    press(&mut model, KeyCode::Char('a'));
    matches_snapshot("options-80x24", &drawn(&mut model));
    press(&mut model, KeyCode::End);
    press(&mut model, KeyCode::Up);
    let shown = drawn(&mut model);
    assert!(
        shown.contains("o18 (Option 18)") && !shown.contains("│  o11 ("),
        "{shown}"
    );
    let subject = Subject::Approval(18);
    let approve = HubAction::Approve(subject, Some("o18".to_owned()));
    assert_eq!(press(&mut model, KeyCode::Enter), sent(approve));
    press(&mut model, KeyCode::Char('a'));
    press(&mut model, KeyCode::Esc);
    assert!(model.choice.is_none());
}

#[test]
fn a_pool_is_resized_and_its_queues_are_paused() {
    let mut model = full(View::Pools, (80, 24));
    press(&mut model, KeyCode::Char('+'));
    assert!(drawn(&mut model).contains("size of pool coders"));
    press(&mut model, KeyCode::Char('+'));
    type_text(&mut model, "x");
    let resize = |size| sent(HubAction::Pool(PoolAction::Resize(size), "coders".into()));
    assert_eq!(press(&mut model, KeyCode::Enter), resize(5));
    press(&mut model, KeyCode::Char('-'));
    press(&mut model, KeyCode::Backspace);
    type_text(&mut model, "10001");
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(drawn(&mut model).contains("from 0 to 10000"));
    press(&mut model, KeyCode::Backspace);
    assert_eq!(press(&mut model, KeyCode::Enter), resize(1000));

    press(&mut model, KeyCode::Char('P'));
    assert!(drawn(&mut model).contains("no queue of this pool is paused"));
    press(&mut model, KeyCode::Char('p'));
    assert!(drawn(&mut model).contains(" pause queues default, docs? "));
    let queues = vec!["default".to_owned(), "docs".to_owned()];
    let pause = HubAction::Pool(PoolAction::Pause(queues), "coders".into());
    assert_eq!(press(&mut model, KeyCode::Char('y')), sent(pause));
    let mut stats = model.stats.clone().unwrap();
    stats.paused = vec!["docs".into()];
    model.apply(Update::Stats(stats.clone()));
    assert!(drawn(&mut model).contains("default, docs (paused)"));
    press(&mut model, KeyCode::Char('P'));
    let resume = |queue: &str| PoolAction::Resume(vec![queue.to_owned()]);
    let docs = HubAction::Pool(resume("docs"), "coders".into());
    assert_eq!(press(&mut model, KeyCode::Char('y')), sent(docs));
    // While all queues are paused, one of them cannot be resumed.
    stats.paused = vec!["*".into(), "docs".into()];
    model.apply(Update::Stats(stats));
    press(&mut model, KeyCode::Char('P'));
    assert!(drawn(&mut model).contains(" resume all queues? "));
    let all = HubAction::Pool(resume("*"), "coders".into());
    assert_eq!(press(&mut model, KeyCode::Char('y')), sent(all));

    // The second account is parked.
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('t'));
    assert!(drawn(&mut model).contains("parked: over its limit, used by coders"));
    let probe = HubAction::Probe("second@example.org".into());
    assert_eq!(press(&mut model, KeyCode::Char('y')), sent(probe));
    press(&mut model, KeyCode::Char('+'));
    assert!(drawn(&mut model).contains("choose a pool first"));
}

#[test]
fn a_schedule_is_steered_after_a_confirmation() {
    let mut model = full(View::Schedules, (80, 24));
    press(&mut model, KeyCode::Down);
    for (key, act) in [
        ('p', ScheduleAction::Pause),
        ('P', ScheduleAction::Resume),
        ('x', ScheduleAction::Fire),
        ('D', ScheduleAction::Remove),
    ] {
        press(&mut model, KeyCode::Char(key));
        assert!(drawn(&mut model).contains("schedule links-1? "));
        // The list changes above it meanwhile.
        let mut list = schedules(4);
        list.insert(0, list[0].clone());
        list[0].name = "a".into();
        model.apply(Update::Schedules(list));
        let action = HubAction::Schedule(act, "links-1".into());
        assert_eq!(press(&mut model, KeyCode::Char('y')), sent(action));
        assert_eq!(model.cursors[View::Schedules as usize].at, 2);
    }
    press(&mut model, KeyCode::Enter);
    assert_eq!((model.view, model.interest().task), (View::Task, Some(41)));
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.view, View::Schedules);
}

#[test]
fn no_action_begins_without_a_connection() {
    for view in [
        View::Tasks,
        View::Pools,
        View::Inbox,
        View::Runs,
        View::Schedules,
    ] {
        let mut model = full(view, (80, 24));
        let why = "gone".to_owned();
        model.apply(Update::Link(LinkState::Away { why, again: None }));
        for key in "arwcRpPtxD+-".chars() {
            press(&mut model, KeyCode::Char(key));
            assert!(model.confirm.is_none() && model.draft.is_none() && model.choice.is_none());
        }
    }
}
