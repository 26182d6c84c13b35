//! `kirosu dashboard`: a live view of the hub.

use super::{Context, Failure, task_id};
use crate::console::view::View;
use crate::console::{self, PlainOptions};
use kirosu_protocol::TaskId;
use std::io::{self, IsTerminal};

const EXAMPLES: &str = "\
Examples:
  kirosu dashboard
  kirosu dashboard --screen tree
  kirosu dashboard --screen runs            runs of plans; Enter shows the steps of one
  kirosu dashboard --screen pools           pools, accounts of providers, agents
  kirosu dashboard --screen schedules
  kirosu dashboard --task 42
  kirosu dashboard --plain | head -2        one frame as text; the default in a pipe
  watch -n 5 kirosu dashboard --plain --size 100x30
Press ? for the keys. See docs/dashboard.md.";

/// Shows tasks, pools, the supervision tree, events, the inbox, runs of plans and schedules on a live screen
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The first screen
    #[arg(
        long,
        value_name = "NAME",
        value_enum,
        default_value_t,
        hide_default_value = true
    )]
    screen: View,
    /// Starts with this task
    #[arg(long, value_name = "ID", conflicts_with = "screen", value_parser = task_id)]
    task: Option<TaskId>,
    /// Starts with this filter, such as "status:failed timeout"
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Prints one frame as text and exits
    #[arg(long)]
    plain: bool,
    /// With --plain: columns and lines, such as 120x40 [default: the terminal's, or 100x30]
    #[arg(long, value_name = "COLUMNSxLINES", value_parser = read_size)]
    size: Option<(u16, u16)>,
}

/// Reads a size such as `120x40`.
fn read_size(text: &str) -> Result<(u16, u16), String> {
    let size = text
        .split_once('x')
        .and_then(|(columns, lines)| Some((columns.parse().ok()?, lines.parse().ok()?)));
    size.filter(|(columns, lines)| (40..=1000).contains(columns) && (10..=1000).contains(lines))
        .ok_or_else(|| "write columns and lines, such as 120x40, from 40x10 to 1000x1000".into())
}

/// Shows the dashboard until `q`, or prints one frame.
///
/// # Errors
/// The flags do not fit together, the hub cannot be reached, or the terminal fails.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    if context.screen.json {
        let text = "the dashboard has no JSON; programs use `kirosu list --json`, `kirosu stats --json` and `kirosu watch --json`";
        return Err(Failure::Usage(text.into()));
    }
    if args.screen == View::Task && args.task.is_none() {
        return Err(Failure::Usage(
            "name the task, as in `kirosu dashboard --task 42`".into(),
        ));
    }
    let begin = console::StartOptions {
        view: args.task.map_or(args.screen, |_| View::Task),
        task: args.task,
        filter: args.filter.clone().unwrap_or_default(),
        zone: context.screen.zone(),
    };
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let plain = args.plain || args.size.is_some() || dumb || !io::stdout().is_terminal();
    super::interruptible(Box::pin(async {
        match plain {
            true => console::plain(&begin, PlainOptions { size: args.size }, context).await,
            false => console::run(&begin, context).await,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_or_refused() {
        assert_eq!(read_size("120x40"), Ok((120, 40)));
        for bad in ["", "120", "0x0", "120x", "99999x40", "-1x5"] {
            assert!(read_size(bad).is_err(), "{bad}");
        }
    }
}
