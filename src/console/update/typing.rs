//! Texts that are being typed: the filter, and drafts of answers, reasons and sizes.

use super::{filter, is_connected};
use crate::console::action::{Draft, DraftKind, HubAction, PoolAction};
use crate::console::messages::KeyEffect;
use crate::console::model::Model;
use crate::terminal::paint::Paint;
use crate::terminal::text::pop;
use kirosu_protocol::POOL_SIZES;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub fn type_filter(model: &mut Model, code: KeyCode, control: bool) {
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

/// Edits the last line of a text that is being typed.
fn edit(input: &mut String, code: KeyCode, control: bool) {
    match code {
        KeyCode::Char('u') if control => input.truncate(input.rfind('\n').map_or(0, |at| at + 1)),
        KeyCode::Char('w') if control => {
            input.truncate(input.trim_end_matches(' ').len());
            let word = input.rfind([' ', '\n']).map_or(0, |at| at + 1);
            input.truncate(word);
        }
        // The text is sent as it was typed; only the drawing leaves out what a terminal does not show.
        KeyCode::Char(c) if !control && !c.is_control() => input.push(c),
        KeyCode::Backspace => pop(input),
        _ => {}
    }
}

/// Starts a text, if the hub is connected.
pub fn begin(model: &mut Model, kind: DraftKind, about: String, text: String) {
    if is_connected(model) {
        model.message = None;
        model.draft = Some(Draft { kind, about, text });
    }
}

/// Whether a key begins a new line in a draft: Ctrl-J, or Alt-Enter.
pub fn is_line_end(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Enter => key.modifiers.contains(KeyModifiers::ALT),
        KeyCode::Char('j') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

/// Begins a new line.
pub fn break_line(model: &mut Model) {
    if let Some(draft) = &mut model.draft
        && !matches!(draft.kind, DraftKind::Resize(_))
    {
        draft.text.push('\n');
    }
}

/// Inserts a text from the clipboard: into a draft with its lines, into a filter as one line. Elsewhere it is ignored, because
/// its letters would be keys.
pub fn paste(model: &mut Model, text: &str) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let put = |input: &mut String, c: char| match c {
        '\t' => input.push(' '),
        c => edit(input, KeyCode::Char(c), false),
    };
    if model.confirm.is_some() || model.choice.is_some() {
        return;
    }
    if let Some(input) = &mut model.typing {
        let line = text.chars().map(|c| if c == '\n' { ' ' } else { c });
        line.for_each(|c| put(input, c));
        return;
    }
    for c in text.chars() {
        match (c, &mut model.draft) {
            ('\n', _) => break_line(model),
            (c, Some(draft)) => type_char(draft, KeyCode::Char(c), false),
            (_, None) => {}
        }
    }
}

fn type_char(draft: &mut Draft, code: KeyCode, control: bool) {
    match (&draft.kind, code) {
        (DraftKind::Resize(_), KeyCode::Char(sign @ ('+' | '-'))) => {
            let size = draft.text.parse::<i64>().unwrap_or(0);
            let size = if sign == '+' { size + 1 } else { size - 1 };
            let size = size.clamp(*POOL_SIZES.start(), *POOL_SIZES.end());
            draft.text = size.to_string();
        }
        (DraftKind::Resize(_), KeyCode::Char(c)) if !control && !c.is_ascii_digit() => {}
        (_, KeyCode::Char('\t')) => draft.text.push(' '),
        (_, code) => edit(&mut draft.text, code, control),
    }
}

/// Handles a key while a draft is typed.
pub fn type_draft(model: &mut Model, code: KeyCode, control: bool) -> Option<KeyEffect> {
    match code {
        KeyCode::Esc => {
            model.draft = None;
            model.show_message("nothing was sent", Paint::Dim);
            None
        }
        KeyCode::Enter => match finished(model.draft.as_ref()?) {
            Ok(action) => {
                model.draft = None;
                Some(KeyEffect::Act(action))
            }
            Err(why) => {
                model.show_message(why, Paint::Attention);
                None
            }
        },
        code => {
            model.message = None;
            type_char(model.draft.as_mut()?, code, control);
            None
        }
    }
}

/// The action of a draft.
///
/// # Errors
/// The text is not one; the message says what to write.
fn finished(draft: &Draft) -> Result<HubAction, String> {
    let text = draft.text.trim();
    match &draft.kind {
        DraftKind::Answer(_) if text.is_empty() => {
            Err("the answer is empty: write one, or leave with Esc".to_owned())
        }
        DraftKind::Answer(id) => Ok(HubAction::Answer(*id, draft.text.clone())),
        DraftKind::Reject(subject) => {
            let reason = (!text.is_empty()).then(|| text.to_owned());
            Ok(HubAction::Reject(*subject, reason))
        }
        DraftKind::Resize(pool) => {
            let size = text.parse().ok().filter(|size| POOL_SIZES.contains(size));
            let size = size.and_then(|size| u32::try_from(size).ok());
            let most = POOL_SIZES.end();
            let size = size.ok_or_else(|| format!("write a number from 0 to {most}"))?;
            Ok(HubAction::Pool(PoolAction::Resize(size), pool.clone()))
        }
    }
}
