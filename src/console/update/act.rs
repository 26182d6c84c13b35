//! Keys that begin an action: each asks for a confirmation, a text or an option first.

use super::typing;
use super::{Model, Paint, RunAction, ScheduleAction, View, is_connected, step_of, views};
use crate::console::action::{DraftKind, HubAction, PendingChoice, PendingConfirm, PoolAction};
use crate::console::cursor::ListCursor;
use crate::console::messages::KeyEffect;
use crate::terminal::text::one_line_start;
use kirosu_protocol::approval::PermissionOption;
use kirosu_protocol::{ALL_QUEUES, PoolInfo, Subject};
use ratatui::crossterm::event::KeyCode;

/// Begins the action of a key on the current screen. Keys without a meaning are ignored.
pub fn begin(model: &mut Model, code: KeyCode) {
    let KeyCode::Char(key) = code else { return };
    match (model.view, key) {
        (View::Pools, '+' | '-' | 'p' | 'P' | 't') => pool(model, key),
        (View::Schedules, 'p') => schedule(model, ScheduleAction::Pause),
        (View::Schedules, 'P') => schedule(model, ScheduleAction::Resume),
        (View::Schedules, 'x') => schedule(model, ScheduleAction::Fire),
        (View::Schedules, 'D') => schedule(model, ScheduleAction::Remove),
        (View::Runs, 'a') if views::runs::waits_for_budget(model) => run(model, RunAction::Raise),
        (View::Runs, 'c') => run(model, RunAction::Cancel),
        (View::Runs, 'R') => run(model, RunAction::Retry),
        (View::Runs, 'p') => run(model, RunAction::Pause),
        (View::Runs, 'P') => run(model, RunAction::Resume),
        (_, 'a' | 'r' | 'w' | 'c' | 'R') => decide(model, key),
        (_, 'p' | 'P') => model.show_message(
            "screen 3 pauses queues, screen 7 runs, screen 8 schedules",
            Paint::Attention,
        ),
        _ => {}
    }
}

fn confirm(model: &mut Model, action: HubAction, about: String) {
    if is_connected(model) {
        model.message = None;
        model.confirm = Some(PendingConfirm { action, about });
    }
}

/// Handles a key while an action waits for `y` or `n`.
pub fn answer(model: &mut Model, code: KeyCode) -> Option<KeyEffect> {
    match code {
        KeyCode::Char('y' | 'Y') => {
            let confirm = model.confirm.take()?;
            Some(KeyEffect::Act(confirm.action))
        }
        KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
            model.confirm = None;
            model.show_message("nothing was done", Paint::Dim);
            None
        }
        _ => None,
    }
}

/// Handles a key while an option of a permission request is chosen.
pub fn choose(model: &mut Model, code: KeyCode, control: bool) -> Option<KeyEffect> {
    let choice = model.choice.as_mut()?;
    let len = choice.options.len();
    match code {
        KeyCode::Enter => {
            let choice = model.choice.take()?;
            let option = choice.options.get(choice.cursor.at)?.id.clone();
            let subject = Subject::Approval(choice.approval_id);
            return Some(KeyEffect::Act(HubAction::Approve(subject, Some(option))));
        }
        KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
            model.choice = None;
            model.show_message("nothing was done", Paint::Dim);
        }
        code => {
            if let Some(step) = step_of(code, control) {
                choice.cursor.step(step, len, views::OPTIONS_SHOWN);
            }
        }
    }
    None
}

/// The task or permission request that an action would change, and its description.
fn subject(model: &Model) -> Option<(Subject, String)> {
    match model.view {
        View::Tasks => {
            let row = model.tasks.chosen()?;
            let about = format!("{}: {}", row.status, row.prompt);
            Some((Subject::Task(row.id), about))
        }
        View::Task => {
            let pane = model.task.as_ref()?;
            let task = &pane.answer.as_ref()?.task;
            let prompt = one_line_start(&task.prompt, 300);
            Some((Subject::Task(pane.id), format!("{}: {prompt}", task.status)))
        }
        View::Inbox => views::inbox::chosen(model),
        View::Runs => {
            let (task_id, path) = views::runs::chosen_question(model)?;
            let about = format!("the step {path} waits for a person");
            Some((Subject::Task(task_id), about))
        }
        View::Pools | View::Tree | View::Events | View::Schedules => None,
    }
}

/// Begins an action on a task or permission request.
fn decide(model: &mut Model, key: char) {
    let Some((subject, about)) = subject(model) else {
        let text = match model.view {
            View::Runs => "open a run and choose a step that waits for a person, or see screen 6",
            _ => "choose a task first, on screen 1 or 6",
        };
        return model.show_message(text, Paint::Attention);
    };
    let options = match model.view {
        View::Inbox => views::inbox::options(model),
        _ => None,
    };
    match (key, subject, options) {
        ('a', Subject::Approval(id), Some((about, options))) => choice(model, id, about, options),
        ('a', ..) => confirm(model, HubAction::Approve(subject, None), about),
        ('r', ..) => typing::begin(model, DraftKind::Reject(subject), about, String::new()),
        ('c' | 'R', ..) if model.view == View::Inbox => model.show_message(
            "on this screen, only approve, reject and answer are possible",
            Paint::Attention,
        ),
        ('c', Subject::Task(id), _) => confirm(model, HubAction::Cancel(id), about),
        ('R', Subject::Task(id), _) => confirm(model, HubAction::Retry(id), about),
        ('w', Subject::Task(id), _) => {
            typing::begin(model, DraftKind::Answer(id), about, String::new());
        }
        ('w', Subject::Approval(_), _) => model.show_message(
            "a permission request takes no text: approve it with a, reject it with r and a reason",
            Paint::Attention,
        ),
        _ => {}
    }
}

fn choice(model: &mut Model, approval_id: i64, about: String, options: Vec<PermissionOption>) {
    if is_connected(model) {
        model.message = None;
        model.choice = Some(PendingChoice {
            approval_id,
            about,
            options,
            cursor: ListCursor::default(),
        });
    }
}

fn run(model: &mut Model, act: RunAction) {
    match views::runs::chosen(model) {
        Some((id, about)) => confirm(model, HubAction::Run(act, id), about),
        None => model.show_message("choose a run first, on screen 7", Paint::Attention),
    }
}

fn schedule(model: &mut Model, act: ScheduleAction) {
    let chosen = views::schedules::chosen(model);
    let chosen = chosen.map(|it| (it.name.clone(), views::schedules::about(it)));
    match chosen {
        Some((name, about)) => confirm(model, HubAction::Schedule(act, name), about),
        None => model.show_message("there is no schedule to choose", Paint::Attention),
    }
}

/// Begins an action on the chosen pool, or on the chosen account.
fn pool(model: &mut Model, key: char) {
    if let ('t', Some((name, about))) = (key, views::pools::chosen_account(model)) {
        return confirm(model, HubAction::Probe(name), about);
    }
    let Some(pool) = views::pools::chosen_pool(model).cloned() else {
        let what = match key {
            't' => "an account or a pool",
            _ => "a pool",
        };
        return model.show_message(format!("choose {what} first"), Paint::Attention);
    };
    let about = views::pools::about(&pool);
    let name = pool.name.clone();
    match key {
        '+' | '-' => {
            let size = match key {
                '+' => pool.size.saturating_add(1),
                _ => pool.size.saturating_sub(1),
            };
            typing::begin(model, DraftKind::Resize(name), about, size.to_string());
        }
        't' => confirm(model, HubAction::Probe(name), about),
        'p' => {
            let action = PoolAction::Pause(pool.queues);
            confirm(model, HubAction::Pool(action, name), about);
        }
        _ => resume(model, pool, about),
    }
}

/// Begins to resume the paused queues of a pool.
fn resume(model: &mut Model, pool: PoolInfo, about: String) {
    let paused = model.stats.as_ref().map(|stats| stats.paused.as_slice());
    let paused = paused.unwrap_or_default();
    if paused.iter().any(|queue| queue == ALL_QUEUES) {
        // One queue cannot be resumed while all are paused.
        let action = PoolAction::Resume(vec![ALL_QUEUES.to_owned()]);
        return confirm(model, HubAction::Pool(action, pool.name), about);
    }
    let mut queues = pool.queues;
    queues.retain(|queue| paused.contains(queue));
    if queues.is_empty() {
        return model.show_message("no queue of this pool is paused", Paint::Attention);
    }
    let action = PoolAction::Resume(queues);
    confirm(model, HubAction::Pool(action, pool.name), about);
}
