//! What must hold before a task is done, and whether it does, for people.

use super::paint::Paint;
use super::text::one_line;
use kirosu_protocol::verbs::get::GetAnswer;
use kirosu_protocol::{Accept, Status};

/// The clauses in a line.
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

/// Whether they hold; none for a task without clauses.
pub fn verdict(answer: &GetAnswer) -> Option<(&'static str, Paint)> {
    let task = &answer.task;
    task.accept.as_ref()?;
    let newest = answer.attempts.last().map(|it| it.outcome.as_str());
    Some(match (task.status, newest) {
        // The hub takes no `done` of such a task that was not checked.
        (Status::Done, _) => ("accepted", Paint::Good),
        (_, Some("not_accepted")) => ("not accepted", Paint::Bad),
        _ => ("not checked yet", Paint::Dim),
    })
}
