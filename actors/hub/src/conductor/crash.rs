//! For tests only: the process ends as by `kill -9` at a named point between two commands of the conductor.
//!
//! `KIROSU_TEST_CRASH` names the point: `before NAME` or `after NAME`, with a name of `PlanChange::NAMES`, `take` or `ack`.

use kirosu_store::{Command, PlanOrder};

/// The name of a command; `None`: the conductor does not send it.
pub(super) fn name(command: &Command) -> Option<&'static str> {
    match command {
        Command::Plan(command) => match &**command {
            PlanOrder::Take { .. } => Some("take"),
            PlanOrder::Change { change, .. } => Some(change.into()),
            PlanOrder::Control { .. } | PlanOrder::AddItems { .. } => None,
        },
        Command::Ack(_) => Some("ack"),
        _ => None,
    }
}

/// Ends the process if this is the point that the environment names.
pub(super) fn point(when: &str, name: Option<&str>) {
    let Some(name) = name else {
        return;
    };
    if std::env::var("KIROSU_TEST_CRASH").is_ok_and(|point| point == format!("{when} {name}")) {
        tracing::error!(when, name, "the process ends here for a test");
        std::process::abort();
    }
}
