//! `kirosu dashboard`: the hub on one screen, live.

use super::connect::Context;
use super::failure::Failure;
use super::numbers::task_id;
use crate::console::model::View;
use crate::console::{self, Plain};
use kirosu_protocol::TaskId;
use std::io::{self, IsTerminal};

const EXAMPLES: &str = "\
Examples:
  kirosu dashboard
  kirosu dashboard --screen tree
  kirosu dashboard --task 42
  kirosu dashboard --plain | head -2        one frame as text; so also in a pipe
  watch -n 5 kirosu dashboard --plain --size 100x30
Press ? in it for the keys. docs/dashboard.md shows it.";

/// Shows tasks, agents, the supervision tree, events and the inbox on one live screen
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The screen to begin with
    #[arg(
        long,
        value_name = "NAME",
        value_enum,
        default_value_t,
        hide_default_value = true
    )]
    screen: View,
    /// Begins with this task
    #[arg(long, value_name = "ID", conflicts_with = "screen", value_parser = task_id)]
    task: Option<TaskId>,
    /// Begins with this filter, such as "status:failed timeout"
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Prints one frame as text and ends
    #[arg(long)]
    plain: bool,
    /// With --plain: columns and lines, such as 120x40 [default: the terminal's, else 100x30]
    #[arg(long, value_name = "COLUMNSxLINES", value_parser = read_size)]
    size: Option<(u16, u16)>,
}

/// Reads `120x40`.
fn read_size(text: &str) -> Result<(u16, u16), String> {
    let size = text
        .split_once('x')
        .and_then(|(columns, lines)| Some((columns.parse().ok()?, lines.parse().ok()?)));
    size.filter(|(columns, lines)| (40..=1000).contains(columns) && (10..=1000).contains(lines))
        .ok_or_else(|| "write columns and lines, such as 120x40, from 40x10 to 1000x1000".into())
}

/// Shows it until `q`, or prints one frame.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    if context.screen.json {
        let text = "the dashboard is for people; programs are served by `kirosu list --json`, `kirosu stats --json` and `kirosu watch --json`";
        return Err(Failure::Usage(text.into()));
    }
    if args.screen == View::Task && args.task.is_none() {
        return Err(Failure::Usage(
            "name the task, as in `kirosu dashboard --task 42`".into(),
        ));
    }
    let begin = console::Begin {
        view: args.task.map_or(args.screen, |_| View::Task),
        task: args.task,
        filter: args.filter.clone().unwrap_or_default(),
        zone: context.screen.zone(),
    };
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let plain = args.plain || args.size.is_some() || dumb || !io::stdout().is_terminal();
    super::interruptible(async {
        match plain {
            true => console::plain(&begin, Plain { size: args.size }, context).await,
            false => console::run(&begin, context).await,
        }
    })
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
