//! `kirosu audit`: shows changes and refused requests, and the clients that sent them.

use super::{Cell, Column, Context, Failure, Paint, TextTable, task_id, time, whole};
use kirosu_protocol::{AUDIT_LIMIT, AUDIT_LIMIT_MAX, AuditLine, AuditParams, TaskId};

const EXAMPLES: &str = "\
Examples:
  kirosu audit
  kirosu audit --since 1h --who ci          the last hour of the key `ci`
  kirosu audit --task 42                    the client that added it, and each one that changed it
  kirosu audit --json --limit 10000 | jq 'select(.code == \"forbidden\")'
A client without a key is `keyless`, one with the hub's own key `admin`, a pool of the hub's process `kirosu`, and one with
a wrong key `unknown`. Work on leases (lease, ack, heartbeat, progress, output) is listed only where it was refused.
In a pipe the columns are: time, who, role, peer, method, task or name, outcome, count.";

/// Shows changes and refused requests, newest first, and the clients that sent them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only this time: 1h (back from now), or since a moment: 2026-11-01
    #[arg(long, value_name = "TIME", value_parser = read_since)]
    since: Option<f64>,
    /// Only of this key, or of admin, keyless, kirosu or unknown
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only about this task
    #[arg(long, value_name = "ID", value_parser = task_id)]
    task: Option<TaskId>,
    /// Maximum number of entries
    #[arg(long, default_value_t = AUDIT_LIMIT, value_name = "NUMBER", value_parser = whole::<u32>(1..=100_000, 50))]
    limit: u32,
}

fn read_since(words: &str) -> Result<f64, String> {
    if let Ok(back) = time::read_span(words) {
        return Ok((time::now() - back.as_secs_f64()).max(0.0));
    }
    time::read_moment(words)
        .map_err(|_| "write a time back from now (1h, 7d) or a moment (2026-11-01T08:00)".into())
}

/// Prints the entries. With `--json` one per line.
///
/// # Errors
/// The hub cannot be reached or refuses, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let mut params = AuditParams {
        who: args.who.clone(),
        task_id: args.task,
        since_ms: args.since.map(|at| (at * 1000.0) as i64),
        ..AuditParams::default()
    };
    let mut left = args.limit;
    let mut entries = Vec::new();
    loop {
        params.limit = Some(left.min(AUDIT_LIMIT_MAX));
        let page = hub.request_idempotent(&params).await?;
        left = left.saturating_sub(u32::try_from(page.entries.len()).unwrap_or(u32::MAX));
        entries.extend(page.entries);
        params.cursor = page.next;
        if left == 0 || page.next.is_none() {
            break;
        }
    }
    let screen = &context.screen;
    if screen.json {
        entries.iter().try_for_each(|entry| screen.json(entry))?;
    } else if entries.is_empty() {
        screen.note("no such entries")?;
    } else {
        table(&entries, time::now()).print(screen)?;
    }
    Ok(0)
}

/// A table with one row per entry.
fn table(entries: &[AuditLine], now: f64) -> TextTable {
    let mut table = TextTable::new([
        Column::text("TIME"),
        Column::text("WHO"),
        Column::text("ROLE").yields(1),
        Column::text("PEER").yields(2),
        Column::text("METHOD"),
        Column::long("ABOUT"),
        Column::text("OUTCOME"),
        Column::number("COUNT").unless("1"),
    ]);
    for entry in entries {
        let (outcome, paint) = match &entry.code {
            Some(code) => (code.as_str(), Paint::Bad),
            None => ("ok", Paint::Good),
        };
        table.row([
            Cell::new(time::ago(entry.at, now)).exact(time::stamp(entry.at)),
            Cell::new(&entry.who),
            Cell::new(entry.role.as_deref().unwrap_or_default()),
            Cell::new(&entry.peer),
            Cell::new(&entry.method),
            Cell::new(about(entry)),
            Cell::new(outcome).painted(paint),
            Cell::new(entry.count.to_string()),
        ]);
    }
    table
}

/// The tasks or the name that an entry is about.
fn about(entry: &AuditLine) -> String {
    match (entry.task_id, entry.last_task_id) {
        (Some(first), Some(last)) if first != last => format!("{first}-{last}"),
        (Some(task), _) => task.to_string(),
        (None, _) => entry.target.clone().unwrap_or_default(),
    }
}
