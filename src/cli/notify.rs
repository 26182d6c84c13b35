//! `kirosu notify`: the targets of notifications, and tests of them.

use super::{
    Cell, Column, Context, Failure, HubClient, Paint, Screen, TIMED_OUT, TextTable, text, time,
};
use clap::Subcommand;
use kirosu_protocol::{NotifyListAnswer, NotifyListParams, NotifyTargetInfo, NotifyTestParams};
use serde_json::json;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  kirosu notify                             targets: what waits, what was delivered, what fails and why
  kirosu notify test ops                    sends a test to the target ops, like any other event
  kirosu notify --json | jq '.targets[] | select(.failing)'

The settings name the targets, as [[notify]]. In a pipe the columns of the list are: name, kind, state,
pending, last delivery, next try, lost, reason. More: docs/notifications.md

Exit codes of a test: 0 delivered, 1 it failed or there is no such target, 4 not delivered in time.";

/// Pause between two looks at a target that is tested.
const LOOK: Duration = Duration::from_millis(200);

/// Lists the targets of notifications, or tests one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Sends a test to a target, after the events that wait for it
    Test {
        /// The target
        name: String,
        /// The longest wait for the delivery
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::read_some_span)]
        timeout: Duration,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// The hub cannot be reached or refuses, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let (hub, screen) = (context.connect().await?, &context.screen);
    match &args.action {
        None => {
            let answer = hub.request_idempotent(&NotifyListParams {}).await?;
            screen.answer(&answer, || match answer.targets.as_slice() {
                [] => screen.note("no targets; a [[notify]] in the settings adds one"),
                all => table(all, time::now()).print(screen),
            })
        }
        Some(Action::Test { name, timeout }) => test(name, *timeout, &hub, screen).await,
    }
}

async fn test(
    name: &str,
    timeout: Duration,
    hub: &HubClient,
    screen: &Screen,
) -> Result<u8, Failure> {
    let failures = |target: Option<&NotifyTargetInfo>| {
        let failing = target.and_then(|it| it.failing.as_ref());
        failing.map_or(0, |failing| failing.failures)
    };
    let before = failures(look(hub, name).await?.as_ref());
    let params = NotifyTestParams {
        name: name.to_owned(),
    };
    let number = hub.request(&params).await?.number;
    let until = Instant::now() + timeout;
    loop {
        let target = look(hub, name).await?;
        let is_there = target.as_ref().and_then(|it| it.delivered) >= Some(number);
        if is_there {
            let answer = json!({"name": name, "number": number, "delivered": true});
            return screen.answer(&answer, || {
                screen.print(&format!("{name} has got the test (event {number})"))
            });
        }
        let is_over = Instant::now() >= until;
        if is_over || failures(target.as_ref()) > before {
            let why = reason(target.as_ref());
            let answer = json!({"name": name, "number": number, "delivered": false, "error": why});
            let sentence = format!(
                "{name} has not got the test (event {number}): {why}; it will be tried again, see `kirosu notify`"
            );
            screen.answer(&answer, || screen.print(&sentence))?;
            return Ok(if is_over { TIMED_OUT } else { 1 });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(hub: &HubClient, name: &str) -> Result<Option<NotifyTargetInfo>, Failure> {
    let answer: NotifyListAnswer = hub.request_idempotent(&NotifyListParams {}).await?;
    Ok(answer.targets.into_iter().find(|it| it.name == name))
}

fn reason(target: Option<&NotifyTargetInfo>) -> String {
    match target.map(|it| (it.failing.as_ref(), it.pending)) {
        Some((Some(failing), _)) => failing.error.clone(),
        Some((None, pending)) => format!("{} events wait", text::grouped(pending)),
        None => "the settings have it no more".to_owned(),
    }
}

/// A table with one row per target.
fn table(targets: &[NotifyTargetInfo], now: f64) -> TextTable {
    let mut table = TextTable::new([
        Column::text("NAME"),
        Column::text("KIND").yields(1),
        Column::text("STATE"),
        Column::number("PENDING"),
        Column::text("LAST DELIVERY"),
        Column::text("NEXT TRY"),
        Column::number("LOST").unless("0"),
        Column::long("REASON"),
    ]);
    for it in targets {
        let number = |n: u64| Cell::new(text::grouped(n)).exact(n.to_string());
        let moment = |at: Option<f64>, none: &str| match at {
            Some(at) => Cell::new(time::ago(at, now)).exact(time::stamp(at)),
            None => Cell::new(none),
        };
        let failing = it.failing.as_ref();
        let (state, paint) = match failing {
            None => ("good".to_owned(), Paint::Good),
            Some(failing) => {
                let since = time::span((now - failing.since).max(0.0));
                (format!("failing for {since}"), Paint::Bad)
            }
        };
        let exact = if failing.is_some() { "failing" } else { "good" };
        let stopped = if failing.is_some() { "stopped" } else { "" };
        let why = failing.map_or("", |failing| failing.error.as_str());
        table.row([
            Cell::new(&it.name),
            Cell::new(it.kind.as_str()),
            Cell::new(state).exact(exact).painted(paint),
            number(it.pending),
            moment(it.delivered_at, "never"),
            moment(failing.and_then(|failing| failing.next_at), stopped),
            number(it.lost).painted(Paint::Bad),
            Cell::new(text::one_line(why)).painted(Paint::Bad),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{NoticeKind, NotifyFailure, NotifyKind};

    #[test]
    fn a_row_has_what_waits_and_what_fails() {
        let good = NotifyTargetInfo {
            name: "ops".into(),
            kind: NotifyKind::Webhook,
            events: vec![NoticeKind::Failed],
            pending: 0,
            lost: 0,
            delivered: Some(7),
            delivered_at: Some(60.0),
            failing: None,
        };
        let bad = NotifyTargetInfo {
            name: "pager".into(),
            pending: 1200,
            delivered: None,
            delivered_at: None,
            failing: Some(NotifyFailure {
                since: 40.0,
                failures: 3,
                error: "cannot reach http://127.0.0.1:9".into(),
                next_at: Some(120.0),
            }),
            ..good.clone()
        };
        assert_eq!(
            table(&[good, bad], 100.0).render(None, false),
            "ops\twebhook\tgood\t0\t1970-01-01T00:01:00.000Z\t\t0\t\n\
             pager\twebhook\tfailing\t1200\tnever\t1970-01-01T00:02:00.000Z\t0\tcannot reach http://127.0.0.1:9\n"
        );
    }
}
