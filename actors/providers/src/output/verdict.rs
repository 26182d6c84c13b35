//! What a run was: what the program said against how it ended.

use super::{Reading, Terminal};
use crate::definition::{Format, Output};
use crate::outcome::FailureClass;

/// Bytes at the end of a text output in which words of an error are looked for.
const TAIL: usize = 2 * 1024;

/// How the program itself ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal, which was not ours.
    Signal(i32),
}

/// `None` for a run that ended well, else the class and what to tell, without the end of stderr.
pub(crate) fn verdict(
    program: &str,
    output: &Output,
    reading: &Reading,
    ended: Ended,
    stderr: &str,
) -> Option<(FailureClass, String)> {
    if let Terminal::Failed {
        message,
        status,
        class,
    } = &reading.terminal
    {
        let class = class.unwrap_or_else(|| class_of(output, *status, message));
        let message = match message.is_empty() {
            true => "it gave no reason".to_owned(),
            false => message.clone(),
        };
        return Some((class, format!("'{program}' reported an error: {message}")));
    }
    let is_framed = output.format != Format::Text;
    let code = match ended {
        Ended::Signal(signal) => {
            let message = format!("'{program}' was ended by signal {signal}");
            return Some((FailureClass::Crashed, message));
        }
        Ended::Code(code) => code,
    };
    if code != 0 {
        let class = output.exit.get(&code).copied();
        let class = class.or_else(|| phrase(output, stderr));
        let class = class.or_else(|| match is_framed {
            true => None,
            false => phrase(output, tail(&reading.answer)),
        });
        let message = format!("'{program}' exited with code {code}");
        return Some((class.unwrap_or(FailureClass::ProviderError), message));
    }
    if !is_framed {
        return error_answer(program, output, reading);
    }
    match (&reading.terminal, &reading.denied) {
        (Terminal::Done, _) => error_answer(program, output, reading),
        (_, Some(what)) => Some((
            FailureClass::RefusedByPolicy,
            format!(
                "'{program}' ended because a tool was denied ({what}); nobody could be asked. Give the pool trust_all_tools = true, or let the program's own settings allow it"
            ),
        )),
        (_, None) => Some((
            FailureClass::ProviderError,
            format!(
                "'{program}' exited with code 0 and never said that it was done: it was stopped, or its output has another form than its definition says"
            ),
        )),
    }
}

fn error_answer(
    program: &str,
    output: &Output,
    reading: &Reading,
) -> Option<(FailureClass, String)> {
    let answer = reading.answer.trim_start();
    is_error_answer(output, answer).then(|| {
        let class = class_of(output, None, answer);
        (
            class,
            format!("'{program}' answered with an error: {answer}"),
        )
    })
}

/// Whether an answer is an error in truth.
pub(crate) fn is_error_answer(output: &Output, answer: &str) -> bool {
    let answer = answer.trim_start();
    output.error_answers.iter().any(|it| answer.starts_with(it))
}

/// The class of an error, from its status and its words.
pub(crate) fn class_of(output: &Output, status: Option<u16>, message: &str) -> FailureClass {
    status
        .and_then(by_status)
        .or_else(|| phrase(output, message))
        .or_else(|| by_status(status_in(message)?))
        .unwrap_or(FailureClass::ProviderError)
}

/// What a status of HTTP means. Bad requests are not tried again, errors of the server are.
fn by_status(status: u16) -> Option<FailureClass> {
    match status {
        401 | 403 => Some(FailureClass::AuthRequired),
        429 | 529 => Some(FailureClass::RateLimited { until: None }),
        400 | 413 | 422 => Some(FailureClass::BadInput),
        _ => None,
    }
}

/// A status that a sentence names: `unexpected status 401`, `API Error: 529`.
fn status_in(message: &str) -> Option<u16> {
    let words = message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut before = "";
    for word in words {
        let names_one = ["status", "error", "code", "http"]
            .iter()
            .any(|it| before.eq_ignore_ascii_case(it));
        if names_one && word.len() == 3 {
            let status = word.parse().ok().filter(|it| (400..600).contains(it));
            if status.is_some() {
                return status;
            }
        }
        before = word;
    }
    None
}

fn phrase(output: &Output, text: &str) -> Option<FailureClass> {
    let text = text.to_lowercase();
    let found = output.errors.iter().find(|it| text.contains(&it.contains));
    found.map(|it| it.class)
}

fn tail(text: &str) -> &str {
    let from = crate::invocation::floor_boundary(text, text.len().saturating_sub(TAIL));
    &text[from..]
}
