//! `kirosu approvals`: everything that waits for a person, as one list.

use super::connect::{Context, Hub};
use super::events::{Events, Heard};
use super::failure::Failure;
use super::numbers::{task_id, whole};
use super::show::paint::Paint;
use super::show::table::{Cell, Column, Table};
use super::show::{Screen, time};
use super::watch;
use kirosu_protocol::approval::options_line;
use kirosu_protocol::verbs::approvals::{
    ApprovalsAnswer, ApprovalsParams, Cursor, DEFAULT_LIMIT, MAX_LIMIT, WhichState,
};
use kirosu_protocol::verbs::watch::WatchParams;
use kirosu_protocol::{Approval, ApprovalKind, EventKind, PermissionState, TaskId};

const EXAMPLES: &str = "\
Examples:
  kirosu approvals
  kirosu approve a17                        lets the agent use the tool, this once
  kirosu approve a18 --option postgres      answers a question that offers several options
  kirosu reject a17 --reason \"not on main\"  an agent that stops for it hears the reason
  kirosu approvals --watch
  kirosu approvals --state any --task 42    what was decided about this task's tools, by whom or which rule
In a pipe the columns are: id, asked, what, state, task, pool or queue, tool, decided by, question.";

/// Lists what waits for a person: tool questions, tasks to approve, tasks to answer
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only of this task
    #[arg(long, value_name = "ID", value_parser = task_id)]
    task: Option<TaskId>,
    /// Tool questions of the past: approved, rejected, void, expired, or any
    #[arg(long, value_name = "STATE", value_parser = read_state, default_value = "open", hide_default_value = true)]
    state: State,
    /// Entries at most
    #[arg(long, default_value_t = DEFAULT_LIMIT, value_name = "NUMBER", value_parser = whole::<u32>(1..=i64::from(MAX_LIMIT), 20))]
    limit: u32,
    /// Goes on after this entry: the page that follows
    #[arg(long, value_name = "ENTRY", value_parser = read_cursor)]
    cursor: Option<Cursor>,
    /// Goes on with what is asked and decided from now on, until Ctrl-C
    #[arg(long, conflicts_with_all = ["state", "cursor"])]
    watch: bool,
}

/// A state, or any.
#[derive(Clone, Copy, Debug)]
struct State(WhichState);

fn read_state(word: &str) -> Result<State, String> {
    let known = || "it is one of open, approved, rejected, void, expired, any".to_owned();
    WhichState::from_name(&word.trim().to_ascii_lowercase())
        .map(State)
        .ok_or_else(known)
}

fn read_cursor(text: &str) -> Result<Cursor, String> {
    Cursor::from_text(text).ok_or_else(|| "it is what an earlier list ended with".to_owned())
}

/// Prints them.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let ask = ApprovalsParams {
        state: args.state.0,
        task_id: args.task,
        limit: Some(args.limit),
        cursor: args.cursor,
    };
    if args.watch {
        return follow(&hub, &ask, &context.screen).await;
    }
    show(&ask, &hub.insist(&ask).await?, &context.screen)?;
    Ok(0)
}

fn show(ask: &ApprovalsParams, answer: &ApprovalsAnswer, screen: &Screen) -> Result<(), Failure> {
    if screen.json {
        return screen.json(answer);
    }
    if answer.approvals.is_empty() {
        return screen.note(match ask.state {
            WhichState::Is(PermissionState::Open) => "nothing waits for a person",
            _ => "no tool question of this kind is known",
        });
    }
    table(&answer.approvals, time::now()).print(screen)?;
    match &answer.next {
        Some(next) if screen.width.is_some() => screen.note(&format!(
            "more: kirosu approvals --cursor {next} (with the same filters)"
        )),
        _ => Ok(()),
    }
}

/// The list, then what is asked and decided.
async fn follow(hub: &Hub, ask: &ApprovalsParams, screen: &Screen) -> Result<u8, Failure> {
    let watched = WatchParams {
        task_id: ask.task_id,
        kinds: vec!["approval".into(), "task".into()],
        ..WatchParams::default()
    };
    let mut events = Events::start(hub, watched).await?;
    show(ask, &hub.insist(ask).await?, screen)?;
    loop {
        match events.next().await? {
            // What was missed stands in the list, if it still matters.
            Heard::Missed => show(ask, &hub.insist(ask).await?, screen)?,
            Heard::Event(event) if !concerns(&event.what) => {}
            Heard::Event(event) if screen.json => screen.json(&event)?,
            Heard::Event(event) => screen.print(&watch::line(&event, screen))?,
        }
    }
}

fn concerns(what: &EventKind) -> bool {
    match what {
        EventKind::Approval { .. } => true,
        EventKind::Task {
            question, reason, ..
        } => question.is_some() || ["approved", "rejected"].contains(&reason.as_str()),
        _ => false,
    }
}

/// The entries, a row each.
pub(crate) fn table(approvals: &[Approval], now: f64) -> Table {
    let mut table = Table::new([
        Column::text("ID"),
        Column::text("ASKED"),
        Column::text("WHAT"),
        Column::text("STATE").unless("open"),
        Column::text("TASK").yields(2),
        Column::text("POOL").yields(3),
        Column::text("TOOL").yields(1),
        Column::text("BY"),
        Column::long("QUESTION"),
    ]);
    for approval in approvals {
        let (id, what) = match (approval.what, approval.approval_id) {
            (ApprovalKind::Tool, Some(id)) => (format!("a{id}"), "tool"),
            (ApprovalKind::Tool, None) => ("?".to_owned(), "tool"),
            (ApprovalKind::Run, _) => (approval.task_id.to_string(), "run"),
            (ApprovalKind::Human, _) => (approval.task_id.to_string(), "human"),
        };
        let place = approval.pool.as_ref().or(approval.queue.as_ref());
        let rule = approval.rule.as_ref().map(|rule| format!("rule {rule}"));
        table.row([
            Cell::new(id),
            Cell::new(time::ago(approval.asked_at, now)).exact(time::stamp(approval.asked_at)),
            Cell::new(what),
            Cell::new(approval.state.as_str()).painted(paint(approval.state)),
            Cell::new(approval.task_id.to_string()),
            Cell::new(place.cloned().unwrap_or_default()),
            Cell::new(approval.tool.clone().unwrap_or_default()),
            Cell::new(approval.by.clone().or(rule).unwrap_or_default()),
            Cell::new(question(approval)),
        ]);
    }
    table
}

/// How a state is painted.
pub(crate) fn paint(state: PermissionState) -> Paint {
    match state {
        PermissionState::Open => Paint::Attention,
        PermissionState::Approved => Paint::Good,
        PermissionState::Rejected | PermissionState::Expired => Paint::Bad,
        PermissionState::Void => Paint::Dim,
    }
}

/// The question: the agent's words, the options to choose from, and the arguments, which are what would run.
pub(crate) fn question(approval: &Approval) -> String {
    let mut text = approval.title.clone();
    // The title as the pools state it has them already.
    let options = options_line(&approval.options);
    if !text.contains(&options) {
        text.push_str(&format!(" [{options}]"));
    }
    if let Some(option) = &approval.option {
        text.push_str(&format!(" => {option}"));
    }
    match approval.args.as_deref().filter(|args| *args != "{}") {
        Some(args) => format!("{text} {args}"),
        None => text,
    }
}
