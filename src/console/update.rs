//! Keys: their effect on the model, and effects beyond it.

use super::cursor::CursorStep;
use super::messages::{KeyEffect, LinkState};
use super::model::{Model, PendingConfirm, ReplyDraft, RunAction, TaskAction, View, task_of};
use super::query::TaskFilter;
use super::views;
use crate::terminal::paint::Paint;
use kirosu_protocol::text::visible;
use kirosu_protocol::{EventKind, Subject};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Handles a key.
pub fn key(model: &mut Model, key: KeyEvent) -> Option<KeyEffect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return Some(KeyEffect::Interrupt),
        KeyCode::Char('l') if control => return Some(KeyEffect::Redraw),
        _ => {}
    }
    if let Some((escape, next)) = after_escape(key) {
        let effect = self::key(model, escape);
        return effect.or_else(|| self::key(model, next));
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
        // Any key closes the help; `q` also quits.
        model.help = false;
        return matches!(key.code, KeyCode::Char('q')).then_some(KeyEffect::Quit);
    }
    if let Some(step) = step_of(key.code, control) {
        step_by(model, step);
        return None;
    }
    match key.code {
        KeyCode::Char('q') => return Some(KeyEffect::Quit),
        KeyCode::Char('?') | KeyCode::F(1) => model.help = true,
        KeyCode::Char(digit @ '1'..='7') => {
            show(model, View::ALL[digit as usize - '1' as usize]);
        }
        KeyCode::Tab => next_screen(model, 1),
        KeyCode::BackTab => next_screen(model, View::ALL.len() - 1),
        KeyCode::Enter => enter(model),
        KeyCode::Esc => back(model),
        KeyCode::Char('/') => match model.has_filter() {
            false => model.show_message("this screen has no filter", Paint::Attention),
            true => model.typing = Some(model.filter().to_owned()),
        },
        KeyCode::Char('a') if views::runs::waits_for_budget(model) => {
            confirm_run(model, RunAction::Raise);
        }
        KeyCode::Char('a') => confirm_action(model, TaskAction::Approve),
        KeyCode::Char('w') => begin_reply(model),
        KeyCode::Char('r') => confirm_action(model, TaskAction::Reject),
        KeyCode::Char('c') if model.view == View::Runs => confirm_run(model, RunAction::Cancel),
        KeyCode::Char('R') if model.view == View::Runs => confirm_run(model, RunAction::Retry),
        KeyCode::Char('p') => confirm_run(model, RunAction::Pause),
        KeyCode::Char('P') => confirm_run(model, RunAction::Resume),
        KeyCode::Char('c') => confirm_action(model, TaskAction::Cancel),
        KeyCode::Char('R') => confirm_action(model, TaskAction::Retry),
        _ => {}
    }
    None
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
    let next = (model.view as usize + by) % View::ALL.len();
    show(model, View::ALL[next]);
}

fn step_by(model: &mut Model, step: CursorStep) {
    let height = views::list_height(model, model.view);
    match model.view {
        View::Tasks => model.tasks.step(step, height),
        View::Task => scroll(model, step),
        View::Runs if model.run.is_some() => {
            let len = views::list_len(model);
            if let Some(pane) = &mut model.run {
                pane.cursor.step(step, len, height);
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
        View::Agents => views::agents::chosen_task(model),
        View::Inbox => views::inbox::chosen_task(model),
        View::Task | View::Tree | View::Runs => None,
    };
    match (id, model.view) {
        (Some(id), _) => model.open(id),
        (None, View::Agents) => model.show_message("this line has no task", Paint::Attention),
        (None, View::Events) => model.show_message("this event has no task", Paint::Attention),
        _ => {}
    }
}

/// Opens the chosen run, or the task of the chosen step: that of a step which is a run itself as a run.
fn enter_run(model: &mut Model) {
    if model.run.is_none() {
        if let Some((id, _)) = views::runs::chosen(model) {
            model.open_run(id);
        }
        return;
    }
    match views::runs::chosen_step(model) {
        Some(step) => match (step.task_id, step.kind.as_str()) {
            (Some(id), "pipeline") => model.open_run(id),
            (Some(id), _) => model.open(id),
            (None, _) => {
                let id = model.run.as_ref().map_or(0, |pane| pane.id);
                let text = format!(
                    "this step has no task of its own: kirosu run items {id} --step {}",
                    step.path
                );
                model.show_message(text, Paint::Attention);
            }
        },
        None => model.show_message("no step is chosen", Paint::Attention),
    }
}

/// Goes back one step: from the filter, or from the task to the list.
fn back(model: &mut Model) {
    model.message = None;
    match model.view {
        View::Task => model.view = View::Tasks,
        View::Runs if model.run.is_some() => model.run = None,
        _ if !model.filter().is_empty() => filter(model, String::new()),
        _ => {}
    }
}

fn type_filter(model: &mut Model, code: KeyCode, control: bool) {
    let Some(input) = &mut model.typing else {
        return;
    };
    match code {
        KeyCode::Esc => model.typing = None,
        KeyCode::Enter => {
            let input = input.trim().to_owned();
            model.typing = None;
            filter(model, input);
        }
        code => edit(input, code, control),
    }
}

/// Edits a line that is being input.
fn edit(input: &mut String, code: KeyCode, control: bool) {
    match code {
        KeyCode::Char('u' | 'w') if control => input.clear(),
        KeyCode::Char(c) if !control => input.extend(visible(c)),
        KeyCode::Backspace => drop(input.pop()),
        _ => {}
    }
}

/// Starts an answer to the chosen task. The hub refuses it if the task is not a waiting `human` task.
fn begin_reply(model: &mut Model) {
    match subject(model) {
        Some((Subject::Task(task_id), _)) if is_connected(model) => {
            model.message = None;
            let text = String::new();
            model.reply = Some(ReplyDraft { task_id, text });
        }
        Some((Subject::Task(_), _)) => {}
        Some((Subject::Approval(_), _)) => model.show_message(
            "a permission request takes no text: approve or reject it",
            Paint::Attention,
        ),
        None => model.show_message("choose a task first, on screen 1 or 6", Paint::Attention),
    }
}

fn type_reply(model: &mut Model, code: KeyCode, control: bool) -> Option<KeyEffect> {
    match code {
        KeyCode::Esc => {
            model.reply = None;
            model.show_message("nothing was sent", Paint::Dim);
        }
        KeyCode::Enter => {
            let reply = model.reply.take()?;
            if !reply.text.trim().is_empty() {
                return Some(KeyEffect::Answer(reply.task_id, reply.text));
            }
            model.show_message("nothing was sent: the answer is empty", Paint::Attention);
        }
        code => edit(&mut model.reply.as_mut()?.text, code, control),
    }
    None
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

/// The task or permission request that an action would change, and its description.
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
            let prompt = crate::terminal::text::one_line_start(&task.prompt, 300);
            Some((Subject::Task(pane.id), format!("{}: {prompt}", task.status)))
        }
        View::Inbox => views::inbox::chosen(model),
        View::Runs => {
            let (task_id, path) = views::runs::chosen_question(model)?;
            let about = format!("the step {path} waits for a person");
            Some((Subject::Task(task_id), about))
        }
        _ => None,
    }
}

fn confirm_run(model: &mut Model, act: RunAction) {
    let chosen = match model.view {
        View::Runs => views::runs::chosen(model),
        _ => None,
    };
    let Some((id, about)) = chosen else {
        return model.show_message("choose a run first, on screen 7", Paint::Attention);
    };
    if is_connected(model) {
        model.message = None;
        model.confirm = Some(PendingConfirm {
            act: TaskAction::Run(act),
            subject: Subject::Task(id),
            about,
        });
    }
}

fn confirm_action(model: &mut Model, act: TaskAction) {
    let Some((subject, about)) = subject(model) else {
        if model.view == View::Runs {
            return model.show_message(
                "open a run and choose a step that waits for a person, or see screen 6",
                Paint::Attention,
            );
        }
        return model.show_message("choose a task first, on screen 1 or 6", Paint::Attention);
    };
    if model.view == View::Inbox && matches!(act, TaskAction::Cancel | TaskAction::Retry) {
        return model.show_message(
            "on this screen, only approve and reject are possible",
            Paint::Attention,
        );
    }
    if !is_connected(model) {
        return;
    }
    model.message = None;
    model.confirm = Some(PendingConfirm {
        act,
        subject,
        about,
    });
}

fn answer(model: &mut Model, code: KeyCode) -> Option<KeyEffect> {
    match code {
        KeyCode::Char('y' | 'Y') => {
            let confirm = model.confirm.take()?;
            Some(KeyEffect::TaskAction(confirm.act, confirm.subject))
        }
        KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
            model.confirm = None;
            model.show_message("nothing was done", Paint::Dim);
            None
        }
        _ => None,
    }
}
