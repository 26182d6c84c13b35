//! The acceptance clauses of a task and their result, for people.

use crate::terminal::paint::Paint;
use crate::terminal::text::one_line;
use kirosu_protocol::{Accept, GetAnswer, Status};

/// All clauses as one line.
pub fn clauses(accept: &Accept) -> String {
    let mut parts = Vec::new();
    if !accept.file.is_empty() {
        parts.push(format!("file {}", accept.file.join(", ")));
    }
    if accept.diff {
        parts.push("diff".to_owned());
    }
    if let Some(regex) = &accept.regex {
        parts.push(format!("regex {regex}"));
    }
    if let Some(schema) = &accept.schema {
        parts.push(format!("schema {schema}"));
    }
    if !accept.command.is_empty() {
        parts.push(format!("command {}", accept.command.join(" ")));
    }
    one_line(&parts.join("; "))
}

/// The result of the last check; `None` for a task without clauses.
pub fn verdict(answer: &GetAnswer) -> Option<(&'static str, Paint)> {
    let task = &answer.task;
    task.accept.as_ref()?;
    let newest = answer.attempts.last().map(|it| it.outcome.as_str());
    Some(match (task.status, newest) {
        // The hub accepts `done` for such a task only after a check.
        (Status::Done, _) => ("accepted", Paint::Good),
        (_, Some("not_accepted")) => ("not accepted", Paint::Bad),
        _ => ("not checked yet", Paint::Dim),
    })
}
