//! Delivery by a program: it gets the event as JSON on its standard input, and some of it in variables.

use crate::DeliveryFailure;
use kirosu_protocol::NoticeInfo;
use kirosu_protocol::redact::hide_in_command;
use kirosu_protocol::text::{one_line, tail};
use kirosu_providers::{Cancel, Containment, EventSink, Program};
use std::path::Path;
use std::time::Duration;

/// Bytes of output of which a failure quotes the end.
const LAST_WORDS: usize = 200;

/// The bounds of a program.
pub(crate) struct ProgramBounds<'a> {
    pub containment: &'a Containment,
    pub folder: &'a Path,
    pub timeout: Duration,
}

/// Runs a program for an event. It has to exit with code 0.
pub(crate) async fn deliver(
    argv: &[String],
    notice: &NoticeInfo,
    body: Vec<u8>,
    bounds: &ProgramBounds<'_>,
) -> Result<(), DeliveryFailure> {
    let mut env = vec![
        ("KIROSU_EVENT".to_owned(), notice.event.as_str().to_owned()),
        ("KIROSU_EVENT_ID".to_owned(), notice.id.clone()),
    ];
    if let Some(task) = notice.data.task_id {
        env.push(("KIROSU_TASK_ID".to_owned(), task.to_string()));
    }
    run(argv, env, body, bounds).await
}

/// Runs a program with this input to its end.
pub(crate) async fn run(
    argv: &[String],
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    bounds: &ProgramBounds<'_>,
) -> Result<(), DeliveryFailure> {
    let program = Program {
        env,
        stdin,
        limit: bounds.timeout,
        keep: LAST_WORDS,
        ..Program::new(argv.to_vec(), bounds.folder)
    };
    let end = program
        .run(bounds.containment, &EventSink::discard(), Cancel::never())
        .await;
    if end.is_good() {
        return Ok(());
    }
    let shown = hide_in_command(argv, &[]).join(" ");
    let mut why = format!("the program {shown:?} {}", end.exit);
    let output = [end.stderr.as_str(), end.stdout.as_str()];
    if let Some(output) = output.into_iter().find(|output| !output.trim().is_empty()) {
        why.push_str(": ");
        why.push_str(one_line(tail(output.trim(), LAST_WORDS)).trim());
    }
    Err(DeliveryFailure::new(why))
}
