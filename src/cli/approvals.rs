//! `kirosu approvals`: lists everything that waits for a person.

use super::watch;
use super::{
    Cell, Column, Context, Failure, HubClient, Paint, Screen, StreamItem, TextTable, WatchStream,
    task_id, text, time, whole,
};
use kirosu_protocol::{
    APPROVALS_LIMIT, APPROVALS_LIMIT_MAX, Approval, ApprovalKind, ApprovalsAnswer, ApprovalsParams,
    Cursor, EventKind, PermissionId, PermissionState, TaskId, WatchParams, WhichState,
};

const EXAMPLES: &str = "\
Examples:
  kirosu approvals
  kirosu approve a17                        the agent may use the tool once
  kirosu approve a18 --option postgres      answers a permission request with several options
  kirosu reject a17 --reason \"not on main\"  an agent that stops for it gets the reason
  kirosu approvals --watch
  kirosu approvals --state any --task 42    past decisions on this task's tools, by a person or a rule
In a pipe the columns are: id, asked, what, state, task, pool or queue, tool, decided by, question.
The question begins with the program and arguments that would run; (agent: \"...\") is the agent's own title for it. If a
terminal is too narrow for it, it follows the table as a whole.";

/// Lists what waits for a person: permission requests, tasks to approve, tasks to answer
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only entries of this task
    #[arg(long, value_name = "ID", value_parser = task_id)]
    task: Option<TaskId>,
    /// Permission requests of the past: approved, rejected, void, expired, or any
    #[arg(long, value_name = "STATE", value_parser = read_state, default_value = "open", hide_default_value = true)]
    state: StateArg,
    /// Maximum number of entries
    #[arg(long, default_value_t = APPROVALS_LIMIT, value_name = "NUMBER", value_parser = whole::<u32>(1..=i64::from(APPROVALS_LIMIT_MAX), 20))]
    limit: u32,
    /// Continues after this entry, which an earlier list printed
    #[arg(long, value_name = "ENTRY", value_parser = read_cursor)]
    cursor: Option<Cursor>,
    /// Prints new requests and decisions until Ctrl-C
    #[arg(long, conflicts_with_all = ["state", "cursor"])]
    watch: bool,
}

/// A state, or `any`.
#[derive(Clone, Copy, Debug)]
struct StateArg(WhichState);

fn read_state(word: &str) -> Result<StateArg, String> {
    let known = || "it is one of open, approved, rejected, void, expired, any".to_owned();
    WhichState::from_name(&word.trim().to_ascii_lowercase())
        .map(StateArg)
        .ok_or_else(known)
}

fn read_cursor(text: &str) -> Result<Cursor, String> {
    Cursor::from_text(text)
        .ok_or_else(|| "write the entry that an earlier list printed after --cursor".to_owned())
}

/// Prints the list.
///
/// # Errors
/// The hub cannot be reached or refuses, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let params = ApprovalsParams {
        state: args.state.0,
        task_id: args.task,
        limit: Some(args.limit),
        cursor: args.cursor,
    };
    if args.watch {
        return follow(&hub, &params, &context.screen).await;
    }
    show(
        &params,
        &hub.request_idempotent(&params).await?,
        &context.screen,
    )?;
    Ok(0)
}

fn show(
    params: &ApprovalsParams,
    answer: &ApprovalsAnswer,
    screen: &Screen,
) -> Result<(), Failure> {
    if screen.json {
        return screen.json(answer);
    }
    if answer.approvals.is_empty() {
        return screen.note(match params.state {
            WhichState::Is(PermissionState::Open) => "nothing waits for a person",
            _ => "there are no such permission requests",
        });
    }
    table(&answer.approvals, time::now()).print_whole(screen)?;
    match &answer.next {
        Some(next) if screen.width.is_some() => screen.note(&format!(
            "more: kirosu approvals --cursor {next} (with the same filters)"
        )),
        _ => Ok(()),
    }
}

/// Prints the list, then each new request and decision.
async fn follow(hub: &HubClient, params: &ApprovalsParams, screen: &Screen) -> Result<u8, Failure> {
    let watched = WatchParams {
        task_id: params.task_id,
        kinds: vec!["approval".into(), "task".into()],
        ..WatchParams::default()
    };
    let mut events = WatchStream::start(hub, watched).await?;
    show(params, &hub.request_idempotent(params).await?, screen)?;
    loop {
        match events.next().await? {
            // The list shows every request that is still open, so it replaces the lost events.
            StreamItem::Missed => show(params, &hub.request_idempotent(params).await?, screen)?,
            StreamItem::Event(event) if !concerns(&event.what) => {}
            StreamItem::Event(event) if screen.json => screen.json(&event)?,
            StreamItem::Event(event) => {
                screen.print(&watch::line(&event, screen))?;
                if let Some(asked) = opened(&event.what) {
                    let question = asked_by(hub, asked).await?;
                    let question = question.map(|approval| approval.question());
                    screen.print_untrusted(&text::one_line(&question.unwrap_or_default()))?;
                }
            }
        }
    }
}

/// The permission request that an event opens: the event has its title, but not its arguments.
fn opened(what: &EventKind) -> Option<PermissionId> {
    match what {
        EventKind::Approval {
            approval_id,
            state: PermissionState::Open,
            ..
        } => Some(*approval_id),
        _ => None,
    }
}

/// A permission request by its number; `None` if there is none.
///
/// # Errors
/// The hub refuses, or it does not come back in time.
pub(crate) async fn asked_by(
    hub: &HubClient,
    approval_id: PermissionId,
) -> Result<Option<Approval>, Failure> {
    let params = ApprovalsParams::only(approval_id);
    Ok(hub.request_idempotent(&params).await?.only(approval_id))
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

/// A table with one row per entry.
pub(crate) fn table(approvals: &[Approval], now: f64) -> TextTable {
    let mut table = TextTable::new([
        Column::text("ID"),
        Column::text("ASKED"),
        Column::text("WHAT"),
        Column::text("STATE").unless("open"),
        Column::text("TASK").yields(2),
        Column::text("POOL").yields(3),
        Column::text("TOOL").yields(1),
        Column::text("BY"),
        Column::long("QUESTION").counted(),
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
            Cell::new(approval.question()),
        ]);
    }
    table
}

/// The paint of a state.
pub(crate) fn paint(state: PermissionState) -> Paint {
    match state {
        PermissionState::Open => Paint::Attention,
        PermissionState::Approved => Paint::Good,
        PermissionState::Rejected | PermissionState::Expired => Paint::Bad,
        PermissionState::Void => Paint::Dim,
    }
}
