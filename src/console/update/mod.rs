//! Keys: their effect on the model, and effects beyond it.

mod act;
mod typing;

use super::action::{RunAction, ScheduleAction};
use super::cursor::CursorStep;
use super::messages::{KeyEffect, LinkState};
use super::model::{Model, task_of};
use super::query::TaskFilter;
use super::run_pane::ItemsPane;
use super::view::View;
use super::views;
use crate::terminal::paint::Paint;
use kirosu_protocol::EventKind;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
pub use typing::paste;

/// Handles a key.
pub fn key(model: &mut Model, key: KeyEvent) -> Option<KeyEffect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return Some(KeyEffect::Interrupt),
        KeyCode::Char('l') if control => return Some(KeyEffect::Redraw),
        _ => {}
    }
    if model.draft.is_some() && typing::is_line_end(key) {
        typing::break_line(model);
        return None;
    }
    if let Some((escape, next)) = after_escape(key) {
        let effect = self::key(model, escape);
        return effect.or_else(|| self::key(model, next));
    }
    if model.confirm.is_some() {
        return act::answer(model, key.code);
    }
    if model.choice.is_some() {
        return act::choose(model, key.code, control);
    }
    if model.typing.is_some() {
        typing::type_filter(model, key.code, control);
        return None;
    }
    if model.draft.is_some() {
        return typing::type_draft(model, key.code, control);
    }
    if model.help {
        // Any key closes the help; `q` also quits.
        model.help = false;
        return matches!(key.code, KeyCode::Char('q')).then_some(KeyEffect::Quit);
    }
    if let Some(step) = step_of(key.code, control) {
        step_by(model, step);
        return None;
    }
    if key.code == KeyCode::Char('q') {
        return Some(KeyEffect::Quit);
    }
    if !go(model, key.code) {
        act::begin(model, key.code);
    }
    None
}

/// Handles a key that changes what is shown. Returns false for other keys.
fn go(model: &mut Model, code: KeyCode) -> bool {
    match code {
        KeyCode::Char('?') | KeyCode::F(1) => model.help = true,
        KeyCode::Char(digit @ '1'..='8') => {
            show(model, View::ALL[digit as usize - '1' as usize]);
        }
        KeyCode::Tab => next_screen(model, 1),
        KeyCode::BackTab => next_screen(model, View::COUNT - 1),
        KeyCode::Enter => enter(model),
        KeyCode::Esc => back(model),
        KeyCode::Char('o') => open_run_task(model),
        KeyCode::Char('/') => match model.has_filter() {
            false => model.show_message("this screen has no filter", Paint::Attention),
            true => model.typing = Some(model.filter().to_owned()),
        },
        _ => return false,
    }
    true
}

/// Esc and the key after it, if they arrived together.
///
/// A terminal sends both as the bytes of Alt and that key, which has no meaning here. A busy machine or a slow connection
/// delivers keys together that a person has pressed one after the other.
fn after_escape(key: KeyEvent) -> Option<(KeyEvent, KeyEvent)> {
    let is_one_byte = matches!(
        key.code,
        KeyCode::Char(_) | KeyCode::Enter | KeyCode::Tab | KeyCode::Backspace
    );
    let others = key.modifiers.difference(KeyModifiers::ALT);
    (is_one_byte && others != key.modifiers)
        .then(|| (KeyCode::Esc.into(), KeyEvent::new(key.code, others)))
}

fn step_of(code: KeyCode, control: bool) -> Option<CursorStep> {
    Some(match code {
        KeyCode::Char('d' | 'f') if control => CursorStep::Pages(1),
        KeyCode::Char('u' | 'b') if control => CursorStep::Pages(-1),
        KeyCode::Down | KeyCode::Char('j') => CursorStep::Lines(1),
        KeyCode::Up | KeyCode::Char('k') => CursorStep::Lines(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => CursorStep::Pages(1),
        KeyCode::PageUp => CursorStep::Pages(-1),
        KeyCode::Home | KeyCode::Char('g') => CursorStep::First,
        KeyCode::End | KeyCode::Char('G') => CursorStep::Last,
        _ => return None,
    })
}

/// Shows another screen.
fn show(model: &mut Model, view: View) {
    // The task screen shows the task chosen in the list.
    let chosen = model.tasks.chosen().map(|row| row.id);
    match (view, chosen) {
        (View::Task, Some(id)) if model.view == View::Tasks || model.task.is_none() => {
            model.open(id);
        }
        (View::Runs, _) if model.view == View::Runs => model.run = None,
        _ => model.view = view,
    }
}

fn next_screen(model: &mut Model, by: usize) {
    let next = (model.view as usize + by) % View::COUNT;
    show(model, View::ALL[next]);
}

fn step_by(model: &mut Model, step: CursorStep) {
    let height = views::list_height(model, model.view);
    match model.view {
        View::Tasks => model.tasks.step(step, height),
        View::Task => scroll(model, step),
        View::Runs if model.run.is_some() => {
            let len = views::list_len(model);
            let Some(pane) = model.run.as_mut() else {
                return;
            };
            match pane.items.as_mut() {
                Some(items) => {
                    items.cursor.step(step, len, height);
                    items.look_ahead(height);
                }
                None => pane.cursor.step(step, len, height),
            }
        }
        view => {
            let len = views::list_len(model);
            model.cursors[view as usize].step(step, len, height);
        }
    }
}

/// Scrolls the text of a task. At its end, the view follows new output.
fn scroll(model: &mut Model, step: CursorStep) {
    let Some(pane) = &mut model.task else { return };
    let (rows, height) = pane.rows;
    let most = rows.saturating_sub(height);
    let top = if pane.follows {
        most
    } else {
        pane.top.min(most)
    };
    pane.top = match step {
        CursorStep::Lines(by) => top.saturating_add_signed(by),
        CursorStep::Pages(by) => {
            top.saturating_add_signed(by * height.saturating_sub(2).max(1) as isize)
        }
        CursorStep::First => 0,
        CursorStep::Last => most,
    }
    .min(most);
    pane.follows = pane.top == most && !matches!(step, CursorStep::First);
}

fn enter(model: &mut Model) {
    match model.view {
        View::Runs => return enter_run(model),
        View::Events => {
            if let Some(EventKind::Run { task_id, .. }) =
                views::events::chosen(model).map(|event| &event.what)
            {
                return model.open_run(*task_id);
            }
        }
        _ => {}
    }
    let id = match model.view {
        View::Tasks => model.tasks.chosen().map(|row| row.id),
        View::Events => views::events::chosen(model).and_then(task_of),
        View::Pools => views::pools::chosen_task(model),
        View::Schedules => views::schedules::chosen(model).and_then(|it| it.last_task),
        View::Inbox => views::inbox::chosen_task(model),
        View::Task | View::Tree | View::Runs => None,
    };
    match (id, model.view) {
        (Some(id), _) => model.open(id),
        (None, View::Pools) => model.show_message("this line has no task", Paint::Attention),
        (None, View::Schedules) if views::list_len(model) > 0 => {
            model.show_message("this schedule has added no task yet", Paint::Attention);
        }
        (None, View::Events) => model.show_message("this event has no task", Paint::Attention),
        _ => {}
    }
}

/// Opens the chosen run; of an opened run the items or the task of the chosen step, and a step which is a run itself as a run;
/// of an opened step the task of the chosen item.
fn enter_run(model: &mut Model) {
    let Some(pane) = &mut model.run else {
        if let Some((id, _)) = views::runs::chosen(model) {
            model.open_run(id);
        }
        return;
    };
    if let Some(items) = &pane.items {
        match items.chosen().map(|item| item.task_id) {
            Some(Some(id)) => model.open(id),
            Some(None) => model.show_message("this item has no task yet", Paint::Attention),
            None => {}
        }
        return;
    }
    match views::runs::chosen_step(model) {
        Some(step) => match (step.task_id, step.kind.as_str()) {
            (Some(id), "pipeline") => model.open_run(id),
            (Some(id), _) => model.open(id),
            (None, _) => {
                if let Some(pane) = &mut model.run {
                    pane.items = Some(ItemsPane::new(step.path));
                }
            }
        },
        None => model.show_message("no step is chosen", Paint::Attention),
    }
}

/// Opens the task of the opened run, which has its whole result.
fn open_run_task(model: &mut Model) {
    match views::runs::chosen(model).filter(|_| model.view == View::Runs) {
        Some((id, _)) => model.open(id),
        None => model.show_message("choose a run first, on screen 7", Paint::Attention),
    }
}

/// Goes back one step: from the filter, or from the task to the list.
fn back(model: &mut Model) {
    model.message = None;
    match model.view {
        View::Task => model.view = model.origin,
        View::Runs if model.run.is_some() => {
            if let Some(pane) = model.run.take_if(|pane| pane.items.take().is_none()) {
                drop(pane);
            }
        }
        _ if !model.filter().is_empty() => filter(model, String::new()),
        _ => {}
    }
}

/// Whether the hub is connected; shows a message if it is not.
fn is_connected(model: &mut Model) -> bool {
    let up = matches!(model.link, LinkState::Up { .. });
    if !up {
        model.show_message("the hub is not connected; try again later", Paint::Bad);
    }
    up
}

/// Sets the filter of the current screen. A filter with a fault stays open for correction.
fn filter(model: &mut Model, text: String) {
    if model.view == View::Tasks {
        match TaskFilter::read(&text) {
            Ok(query) => model.tasks.filter(query),
            Err(why) => {
                model.show_message(why, Paint::Bad);
                model.typing = Some(text);
                return;
            }
        }
    }
    model.cursors[model.view as usize] = Default::default();
    model.filters[model.view as usize] = text;
}
