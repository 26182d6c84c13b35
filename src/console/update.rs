//! Keys: what each does to the model, and what has to be done besides.

use super::clean::harmless;
use super::list::Step;
use super::model::{Act, Confirm, Model, Reply, View, task_of};
use super::news::{Effect, Link};
use super::query::Query;
use super::views;
use crate::cli::show::paint::Paint;
use kirosu_protocol::Subject;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Takes in one key.
pub fn key(model: &mut Model, key: KeyEvent) -> Option<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return Some(Effect::Interrupt),
        KeyCode::Char('l') if control => return Some(Effect::Redraw),
        _ => {}
    }
    if model.confirm.is_some() {
        return answer(model, key.code);
    }
    if model.typing.is_some() {
        type_filter(model, key.code, control);
        return None;
    }
    if model.reply.is_some() {
        return type_reply(model, key.code, control);
    }
    if model.help {
        // Any key closes it; those that leave do so.
        model.help = false;
        return matches!(key.code, KeyCode::Char('q')).then_some(Effect::Quit);
    }
    if let Some(step) = step_of(key.code, control) {
        step_by(model, step);
        return None;
    }
    match key.code {
        KeyCode::Char('q') => return Some(Effect::Quit),
        KeyCode::Char('?') | KeyCode::F(1) => model.help = true,
        KeyCode::Char(digit @ '1'..='6') => {
            show(model, View::ALL[digit as usize - '1' as usize]);
        }
        KeyCode::Tab => turn(model, 1),
        KeyCode::BackTab => turn(model, View::ALL.len() - 1),
        KeyCode::Enter => enter(model),
        KeyCode::Esc => back(model),
        KeyCode::Char('/') => match model.view {
            View::Task => model.say("this screen has no filter", Paint::Attention),
            _ => model.typing = Some(model.filter().to_owned()),
        },
        KeyCode::Char('a') => ask(model, Act::Approve),
        KeyCode::Char('w') => begin_reply(model),
        KeyCode::Char('r') => ask(model, Act::Reject),
        KeyCode::Char('c') => ask(model, Act::Cancel),
        KeyCode::Char('R') => ask(model, Act::Retry),
        _ => {}
    }
    None
}

fn step_of(code: KeyCode, control: bool) -> Option<Step> {
    Some(match code {
        KeyCode::Char('d' | 'f') if control => Step::Pages(1),
        KeyCode::Char('u' | 'b') if control => Step::Pages(-1),
        KeyCode::Down | KeyCode::Char('j') => Step::Lines(1),
        KeyCode::Up | KeyCode::Char('k') => Step::Lines(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Step::Pages(1),
        KeyCode::PageUp => Step::Pages(-1),
        KeyCode::Home | KeyCode::Char('g') => Step::First,
        KeyCode::End | KeyCode::Char('G') => Step::Last,
        _ => return None,
    })
}

/// Shows another screen.
fn show(model: &mut Model, view: View) {
    // The screen of one task shows the chosen one.
    let chosen = model.tasks.chosen().map(|row| row.id);
    match (view, chosen) {
        (View::Task, Some(id)) if model.view == View::Tasks || model.task.is_none() => {
            model.open(id);
        }
        _ => model.view = view,
    }
}

fn turn(model: &mut Model, by: usize) {
    let next = (model.view as usize + by) % View::ALL.len();
    show(model, View::ALL[next]);
}

fn step_by(model: &mut Model, step: Step) {
    let height = views::list_height(model, model.view);
    match model.view {
        View::Tasks => model.tasks.step(step, height),
        View::Task => scroll(model, step),
        view => {
            let len = views::list_len(model);
            model.cursors[view as usize].step(step, len, height);
        }
    }
}

/// Moves through one task's text; at its end the newest output stays in sight.
fn scroll(model: &mut Model, step: Step) {
    let Some(pane) = &mut model.task else { return };
    let (rows, height) = pane.rows;
    let most = rows.saturating_sub(height);
    let top = if pane.follows {
        most
    } else {
        pane.top.min(most)
    };
    pane.top = match step {
        Step::Lines(by) => top.saturating_add_signed(by),
        Step::Pages(by) => top.saturating_add_signed(by * height.saturating_sub(2).max(1) as isize),
        Step::First => 0,
        Step::Last => most,
    }
    .min(most);
    pane.follows = pane.top == most && !matches!(step, Step::First);
}

fn enter(model: &mut Model) {
    let id = match model.view {
        View::Tasks => model.tasks.chosen().map(|row| row.id),
        View::Events => views::events::chosen(model).and_then(task_of),
        View::Agents => views::agents::chosen_task(model),
        View::Inbox => views::inbox::chosen_task(model),
        View::Task | View::Tree => None,
    };
    match (id, model.view) {
        (Some(id), _) => model.open(id),
        (None, View::Agents) => model.say("this line holds no task", Paint::Attention),
        (None, View::Events) => model.say("this event is about no task", Paint::Attention),
        _ => {}
    }
}

/// Takes back what was done last: the filter, the way into a task.
fn back(model: &mut Model) {
    model.message = None;
    match model.view {
        View::Task => model.view = View::Tasks,
        _ if !model.filter().is_empty() => filter(model, String::new()),
        _ => {}
    }
}

fn type_filter(model: &mut Model, code: KeyCode, control: bool) {
    let Some(typed) = &mut model.typing else {
        return;
    };
    match code {
        KeyCode::Esc => model.typing = None,
        KeyCode::Enter => {
            let typed = typed.trim().to_owned();
            model.typing = None;
            filter(model, typed);
        }
        code => edit(typed, code, control),
    }
}

/// Changes a line that is being typed.
fn edit(typed: &mut String, code: KeyCode, control: bool) {
    match code {
        KeyCode::Char('u' | 'w') if control => typed.clear(),
        KeyCode::Char(c) if !control => typed.extend(harmless(c)),
        KeyCode::Backspace => drop(typed.pop()),
        _ => {}
    }
}

/// Begins an answer to the chosen task; the hub refuses it where the task is no `human` task that waits.
fn begin_reply(model: &mut Model) {
    match subject(model) {
        Some((Subject::Task(task_id), _)) if linked(model) => {
            model.message = None;
            let text = String::new();
            model.reply = Some(Reply { task_id, text });
        }
        Some((Subject::Task(_), _)) => {}
        Some((Subject::Approval(_), _)) => model.say(
            "a tool question takes no text: approve or reject it",
            Paint::Attention,
        ),
        None => model.say("choose a task first, on screen 1 or 6", Paint::Attention),
    }
}

fn type_reply(model: &mut Model, code: KeyCode, control: bool) -> Option<Effect> {
    match code {
        KeyCode::Esc => {
            model.reply = None;
            model.say("nothing was sent", Paint::Dim);
        }
        KeyCode::Enter => {
            let reply = model.reply.take()?;
            if !reply.text.trim().is_empty() {
                return Some(Effect::Answer(reply.task_id, reply.text));
            }
            model.say("nothing was sent: the answer is empty", Paint::Attention);
        }
        code => edit(&mut model.reply.as_mut()?.text, code, control),
    }
    None
}

/// Whether there is a connection; says so where there is none.
fn linked(model: &mut Model) -> bool {
    let up = matches!(model.link, Link::Up { .. });
    if !up {
        model.say(
            "there is no connection to the hub; try again when it is back",
            Paint::Bad,
        );
    }
    up
}

/// Sets the present screen's filter, where it can be understood; otherwise it stays to be corrected.
fn filter(model: &mut Model, text: String) {
    if model.view == View::Tasks {
        match Query::read(&text) {
            Ok(query) => model.tasks.filter(query),
            Err(why) => {
                model.say(why, Paint::Bad);
                model.typing = Some(text);
                return;
            }
        }
    }
    model.cursors[model.view as usize] = Default::default();
    model.filters[model.view as usize] = text;
}

/// The task, or tool question, that an action would be about.
fn subject(model: &Model) -> Option<(Subject, String)> {
    match model.view {
        View::Tasks => {
            let row = model.tasks.chosen()?;
            Some((
                Subject::Task(row.id),
                format!("{}: {}", row.status, row.prompt),
            ))
        }
        View::Task => {
            let pane = model.task.as_ref()?;
            let task = &pane.answer.as_ref()?.task;
            let prompt = super::clean::one_line(&task.prompt, 300);
            Some((Subject::Task(pane.id), format!("{}: {prompt}", task.status)))
        }
        View::Inbox => views::inbox::chosen(model),
        _ => None,
    }
}

fn ask(model: &mut Model, act: Act) {
    let Some((subject, about)) = subject(model) else {
        return model.say("choose a task first, on screen 1 or 6", Paint::Attention);
    };
    if model.view == View::Inbox && matches!(act, Act::Cancel | Act::Retry) {
        return model.say("here one can approve and reject", Paint::Attention);
    }
    if !linked(model) {
        return;
    }
    model.message = None;
    model.confirm = Some(Confirm {
        act,
        subject,
        about,
    });
}

fn answer(model: &mut Model, code: KeyCode) -> Option<Effect> {
    match code {
        KeyCode::Char('y' | 'Y') => {
            let confirm = model.confirm.take()?;
            Some(Effect::Act(confirm.act, confirm.subject))
        }
        KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
            model.confirm = None;
            model.say("nothing was done", Paint::Dim);
            None
        }
        _ => None,
    }
}
