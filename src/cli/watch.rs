//! `kirosu watch`: prints events.

use super::approvals;
use super::follow::changes;
use super::show::run::{run_paint, step_paint};
use super::{
    Context, Failure, Paint, Screen, StreamItem, WatchStream, progress, task_id, text, time,
};
use kirosu_protocol::{ALL_QUEUES, EVENT_KINDS, Event, EventKind, TaskId, WatchParams};

const EXAMPLES: &str = "\
Examples:
  kirosu watch
  kirosu watch --kind task,actor
  kirosu watch --kind run,step --task 42    a run of a plan
  kirosu watch --json | jq -c 'select(.event == \"actor\")'";

/// Prints events until Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only events of this task
    #[arg(long, value_name = "ID", value_parser = task_id)]
    task: Option<TaskId>,
    /// Only these kinds: task, approval, progress, output, session, actor, queue, run, step, hub [default: all but output
    /// and step]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = EVENT_KINDS, hide_possible_values = true)]
    kind: Vec<String>,
}

/// Prints events until Ctrl-C.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let kinds = match args.kind.is_empty() {
        true => EVENT_KINDS
            .iter()
            .filter(|kind| !["output", "step"].contains(*kind))
            .map(ToString::to_string)
            .collect(),
        false => args.kind.clone(),
    };
    let hub = context.connect().await?;
    let params = WatchParams {
        task_id: args.task,
        kinds,
        ..WatchParams::default()
    };
    let mut events = WatchStream::start(&hub, params).await?;
    let screen = &context.screen;
    loop {
        match events.next().await? {
            StreamItem::Missed => screen.note("(some events were missed)")?,
            StreamItem::Event(event) if screen.json => screen.json(&event)?,
            StreamItem::Event(event) => screen.print(&line(&event, screen))?,
        }
    }
}

/// An event as one line.
pub(super) fn line(event: &Event, screen: &Screen) -> String {
    // On a terminal the time of day is enough.
    let shown = match screen.width {
        Some(_) => time::of_day(event.time, screen.zone().as_ref()),
        None => time::stamp(event.time),
    };
    let (subject, paint, description) = describe(&event.what);
    let subject = text::one_line(&subject);
    let room = screen.width.unwrap_or(usize::MAX);
    let description = text::fit(
        &text::one_line(&description),
        room.saturating_sub(text::width(&shown) + 2 + text::width(&subject) + 2)
            .max(20),
    );
    format!(
        "{}  {subject}  {}",
        screen.paint(Paint::Dim, &shown),
        screen.paint(paint, &description)
    )
}

/// The subject of an event and a description.
pub(crate) fn describe(what: &EventKind) -> (String, Paint, String) {
    let task = |id: &TaskId| format!("task {id}");
    match what {
        EventKind::Task {
            task_id,
            status,
            reason,
            question,
            ..
        } => {
            let by = what
                .task_changed_by()
                .map(|who| format!(" by {who}"))
                .unwrap_or_default();
            let why = match reason == status.as_str() {
                true => String::new(),
                false => format!(" ({reason})"),
            };
            let asks = question
                .as_ref()
                .map(|question| format!(": {question}"))
                .unwrap_or_default();
            (
                task(task_id),
                Paint::of_status(*status),
                format!("{status}{why}{by}{asks}"),
            )
        }
        EventKind::Approval {
            approval_id,
            task_id,
            state,
            tool,
            title,
            by,
            rule,
            ..
        } => {
            let paint = approvals::paint(*state);
            let by = by.as_ref().map(|by| format!(" by {by}"));
            let rule = rule.as_ref().map(|rule| format!(" by rule {rule}"));
            let who = by.or(rule).unwrap_or_default();
            // The event has no arguments: the title is what the agent says.
            let describe = format!("a{approval_id} {state}{who}: {tool} (agent: \"{title}\")");
            (task(task_id), paint, describe)
        }
        EventKind::Progress { task_id, data, .. } => {
            (task(task_id), Paint::Plain, progress::line(data))
        }
        EventKind::Output { task_id, text, .. } => (task(task_id), Paint::Dim, text.clone()),
        EventKind::Session { session_id, state } => {
            (format!("session {session_id}"), Paint::Plain, state.clone())
        }
        EventKind::Actor {
            path,
            state,
            reason,
        } => {
            let paint = match state.as_str() {
                "gave_up" => Paint::Bad,
                "restarted" => Paint::Good,
                _ => Paint::Attention,
            };
            let why = if reason.is_empty() {
                String::new()
            } else {
                format!(": {reason}")
            };
            (path.clone(), paint, format!("{state}{why}"))
        }
        EventKind::Queue { queue, state } => {
            let queue = match queue == ALL_QUEUES {
                true => "all queues".to_owned(),
                false => format!("queue {queue}"),
            };
            (queue, Paint::Attention, state.clone())
        }
        EventKind::Run {
            task_id,
            state,
            reason,
            name,
        } => {
            let name = name.as_ref().map(|name| format!("{name}: "));
            let reason = reason.as_ref().filter(|why| *why != state.as_str());
            let reason = reason.map(|why| format!(" ({why})"));
            let (name, reason) = (name.unwrap_or_default(), reason.unwrap_or_default());
            (
                format!("run {task_id}"),
                run_paint(*state),
                format!("{name}{state}{reason}"),
            )
        }
        EventKind::Step { task_id, step } => (
            format!("run {task_id}"),
            step_paint(step),
            changes::line(step),
        ),
        EventKind::Schedule {
            name,
            state,
            task_id,
        } => {
            let paint = match state.as_str() {
                "failed" => Paint::Bad,
                "fired" => Paint::Good,
                _ => Paint::Attention,
            };
            let task = task_id.map(|id| format!(": task {id}"));
            let what = format!("{state}{}", task.unwrap_or_default());
            (format!("schedule {name}"), paint, what)
        }
        EventKind::Hub { state } => ("hub".into(), Paint::Attention, state.clone()),
    }
}
