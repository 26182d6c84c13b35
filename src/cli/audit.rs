//! `kirosu audit`: shows changes and refused requests, and the clients that sent them.

use super::{
    Cell, Column, Context, Failure, HubClient, Paint, Screen, TextTable, task_id, text, time, whole,
};
use kirosu_protocol::{AUDIT_LIMIT, AUDIT_LIMIT_MAX, AuditLine, AuditParams, TaskId};
use std::collections::BTreeMap;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kirosu audit
  kirosu audit --since 1h --who ci          the last hour of the key `ci`
  kirosu audit --task 42                    the client that added it, and each one that changed it
  kirosu audit --follow --who ci
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
    /// Prints further entries as they are added, oldest first, until Ctrl-C. A refusal that is repeated within its minute is
    /// printed again with its new count
    #[arg(short, long)]
    follow: bool,
}

/// Time between two requests for further entries.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);

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
    let params = AuditParams {
        who: args.who.clone(),
        task_id: args.task,
        since_ms: args.since.map(|at| (at * 1000.0) as i64),
        ..AuditParams::default()
    };
    let screen = &context.screen;
    let entries = newest(&hub, &params, args.limit).await?;
    if args.follow {
        return follow(&hub, params, entries, screen).await;
    }
    if screen.json {
        entries.iter().try_for_each(|entry| screen.json(entry))?;
    } else if entries.is_empty() {
        screen.note("no such entries")?;
    } else {
        table(&entries, time::now()).print(screen)?;
    }
    Ok(0)
}

/// The newest entries, at most `limit`, newest first.
async fn newest(
    hub: &HubClient,
    params: &AuditParams,
    limit: u32,
) -> Result<Vec<AuditLine>, Failure> {
    let (mut left, mut entries) = (limit, Vec::new());
    let mut params = params.clone();
    loop {
        params.limit = Some(left.min(AUDIT_LIMIT_MAX));
        let page = hub.request_idempotent(&params).await?;
        left = left.saturating_sub(u32::try_from(page.entries.len()).unwrap_or(u32::MAX));
        entries.extend(page.entries);
        params.cursor = page.next;
        if left == 0 || page.next.is_none() {
            return Ok(entries);
        }
    }
}

/// Prints the entries, then each that is added or counted up.
async fn follow(
    hub: &HubClient,
    mut params: AuditParams,
    mut entries: Vec<AuditLine>,
    screen: &Screen,
) -> Result<u8, Failure> {
    let mut printed = PrintedEntries::default();
    loop {
        for entry in printed.take_new(entries) {
            match (screen.json, screen.width) {
                (true, _) => screen.json(&entry)?,
                (false, None) => table(&[entry], time::now()).print(screen)?,
                (false, Some(_)) => screen.print(&line(&entry, screen))?,
            }
        }
        // Refusals have the time of the start of their minute, within which they are counted up.
        params.since_ms = Some(((time::now() - 120.0) * 1000.0) as i64);
        tokio::time::sleep(FOLLOW_PAUSE).await;
        entries = newest(hub, &params, u32::MAX).await?;
    }
}

/// The entries that are printed.
#[derive(Debug, Default)]
struct PrintedEntries {
    /// By number, the count that was printed.
    counts: BTreeMap<i64, i64>,
    /// The number of the oldest one: lower ones are not wanted.
    oldest: Option<i64>,
}

impl PrintedEntries {
    /// Of a list with the newest first, those that are new or have another count, oldest first.
    fn take_new(&mut self, entries: Vec<AuditLine>) -> Vec<AuditLine> {
        let before = std::mem::take(&mut self.counts);
        self.oldest = self.oldest.or(entries.last().map(|entry| entry.id));
        let mut new = Vec::new();
        for entry in entries.into_iter().rev() {
            let known = before.get(&entry.id);
            self.counts.insert(entry.id, entry.count);
            let is_wanted = self.oldest.is_none_or(|oldest| entry.id >= oldest);
            if is_wanted && known != Some(&entry.count) {
                new.push(entry);
            }
        }
        new
    }
}

/// An entry as one line for a terminal.
fn line(entry: &AuditLine, screen: &Screen) -> String {
    let (outcome, paint) = outcome(entry);
    let count = match entry.count {
        1 => String::new(),
        count => format!(" x{count}"),
    };
    let text = format!(
        "{} {} {} {}",
        entry.who,
        entry.peer,
        entry.method,
        about(entry)
    );
    format!(
        "{}  {}  {}",
        screen.paint(Paint::Dim, &time::of_day(entry.at, screen.zone().as_ref())),
        text::one_line(&text),
        screen.paint(paint, &format!("{outcome}{count}"))
    )
}

fn outcome(entry: &AuditLine) -> (&str, Paint) {
    match &entry.code {
        Some(code) => (code.as_str(), Paint::Bad),
        None => ("ok", Paint::Good),
    }
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
        let (outcome, paint) = outcome(entry);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_printed_again_when_its_count_grows() {
        let entry = |id, count| AuditLine {
            id,
            count,
            at: 100.0 + id as f64,
            ..AuditLine::default()
        };
        let mut printed = PrintedEntries::default();
        let ids =
            |entries: Vec<AuditLine>| -> Vec<i64> { entries.iter().map(|it| it.id).collect() };
        assert_eq!(
            ids(printed.take_new(vec![entry(2, 1), entry(1, 1)])),
            [1, 2]
        );
        // The first list was cut before entry 0.
        let next = vec![entry(3, 1), entry(2, 4), entry(1, 1), entry(0, 1)];
        assert_eq!(ids(printed.take_new(next)), [2, 3]);
        assert_eq!(ids(printed.take_new(vec![entry(3, 1)])), [0; 0]);
    }
}
