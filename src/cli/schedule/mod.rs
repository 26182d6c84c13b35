//! `kirosu schedule`: adds, lists and steers schedules.

mod add;
pub(crate) mod list;

use super::{Cell, Column, Context, Failure, Paint, TextTable, running_task, text, time, whole};
use add::NewArgs;
use clap::Subcommand;
use kirosu_protocol::{
    ScheduleListParams, ScheduleRemoveParams, ScheduleRunParams, ScheduleSetParams,
};

const EXAMPLES: &str = "\
Examples:
  kirosu schedule add --name links --cron \"0 3 * * *\" --prompt \"Check the links in docs/\"
  kirosu schedule add --name news --cron \"0 8 * * MON-FRI\" --tz Europe/Berlin --plan news.yaml --input days=1
  kirosu schedule add --name watch --every 10m --prompt \"Is the site up?\" --missed skip --jitter 30s
  kirosu schedule add --name release --at \"2027-01-31 08:00\" --prompt \"Write the release notes\"
  kirosu schedule list
  kirosu schedule run links                 now, once; the next time stays
  kirosu schedule pause links
  kirosu schedule resume links              times of the pause are left out
  kirosu schedule remove links              its tasks stay
  kirosu list --label schedule:links        the tasks of a schedule

In a pipe the columns of the list are: name, times, state, next, last task, its status, fired,
skipped, error. More: docs/schedules.md";

/// Adds tasks at times: again and again, or once
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Adds a schedule
    Add(Box<NewArgs>),
    /// Lists the schedules
    List,
    /// Pauses a schedule
    Pause {
        /// The schedule
        name: String,
    },
    /// Lets a paused schedule go on; times of the pause are left out
    Resume {
        /// The schedule
        name: String,
    },
    /// Adds its task now; its next time stays
    Run {
        /// The schedule
        name: String,
    },
    /// Removes a schedule; its tasks stay
    Remove {
        /// The schedule
        name: String,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// A plan has faults, the hub cannot be reached or refuses, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    match &args.action {
        Action::Add(new) => add::run(new, context).await,
        Action::List => {
            let hub = context.connect().await?;
            let answer = hub.request_idempotent(&ScheduleListParams {}).await?;
            screen.answer(&answer, || match answer.schedules.as_slice() {
                [] => screen.note("no schedules; `kirosu schedule add` adds one"),
                all => list::table(all, time::now(), screen.zone().as_ref()).print(screen),
            })
        }
        Action::Pause { name } => set(name, true, context).await,
        Action::Resume { name } => set(name, false, context).await,
        Action::Run { name } => {
            let params = ScheduleRunParams { name: name.clone() };
            let answer = context.connect().await?.request(&params).await?;
            screen.answer(&answer, || match screen.width {
                Some(_) => screen.print(&format!("added task {} of {name}", answer.task_id)),
                None => screen.print(&answer.task_id.to_string()),
            })
        }
        Action::Remove { name } => {
            let params = ScheduleRemoveParams { name: name.clone() };
            let answer = context.connect().await?.request(&params).await?;
            screen.answer(&answer, || {
                screen.print(&format!("{name} removed; its tasks stay"))
            })
        }
    }
}

async fn set(name: &str, paused: bool, context: &Context) -> Result<u8, Failure> {
    let params = ScheduleSetParams {
        name: name.to_owned(),
        paused,
    };
    let hub = context.connect().await?;
    let answer = hub.request_idempotent(&params).await?;
    let screen = &context.screen;
    screen.answer(&answer, || match paused {
        true => {
            screen.print(&format!("{name} paused"))?;
            screen.note(&format!(
                "a task that runs goes on; `kirosu schedule resume {name}` lets it add further ones"
            ))
        }
        false => screen.print(&format!("{name} goes on")),
    })
}
