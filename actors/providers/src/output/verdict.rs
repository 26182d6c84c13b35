//! What a run was: what the program said against how it ended.

use super::{Reading, Terminal};
use crate::definition::{Format, Output};
use crate::limits::{self, Complaint, Moment};
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
        let complaint = Complaint {
            status: *status,
            text: message,
            data: None,
        };
        let class = class.unwrap_or_else(|| class_of(output, &complaint, &Moment::now()));
        let message = match message.is_empty() {
            true => "it gave no reason".to_owned(),
            false => message.clone(),
        };
        let advice = limits::advice(&complaint);
        return Some((
            class,
            format!("'{program}' reported an error: {message}{advice}"),
        ));
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
    let is_notice = output.format != Format::Text && limits::is_notice(answer);
    (is_notice || is_error_answer(output, answer)).then(|| {
        let class = class_of(output, &Complaint::of_text(answer), &Moment::now());
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

/// The class of an error: by the definition's own words, else by those that all programs share.
pub(crate) fn class_of(
    output: &Output,
    complaint: &Complaint<'_>,
    moment: &Moment,
) -> FailureClass {
    match phrase(output, complaint.text) {
        Some(FailureClass::RateLimited { .. }) => FailureClass::RateLimited {
            until: limits::until(complaint, moment),
        },
        Some(class) => class,
        None => limits::classify(complaint, moment).unwrap_or(FailureClass::ProviderError),
    }
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
