//! The command line: one file per verb.
//!
//! # Theory of operation
//!
//! `main` calls this module after it has handled the hidden verbs. Clap reads the flags. Every flag that means a setting
//! becomes one flag of the configuration's strongest layer, so that `kirosu config show` names it as origin. There are
//! three kinds of verbs: servers (`up`, `hub`, `agent`, `api`, `demo`) load settings and start the process in `boot`;
//! clients share one [`Context`] and run on one thread until they end or Ctrl-C; the others (`config`, `completions`)
//! only print. The `run` of a verb returns the exit code, or the [`Failure`] that is reported.
//!
//! Results go to standard output; progress, notes and errors go to standard error. On a terminal, tables are coloured and
//! cut to its width; in a pipe they are complete, tab-separated and without a heading. `--json` prints one document, or
//! one per line for streams.

mod attempt;
pub(crate) mod connect;
pub(crate) mod each;
pub(crate) mod events;
pub(crate) mod failure;
pub(crate) mod globals;
mod help;
mod numbers;
mod select;
pub(crate) mod show;

mod agent;
pub(crate) mod agents;
mod answer;
mod api;
mod apply;
pub(crate) mod approvals;
mod approve;
mod backup;
mod cancel;
mod completions;
mod config;
mod dashboard;
mod demo;
mod diff;
mod discard;
mod doctor;
pub(crate) mod drain;
mod enqueue;
pub(crate) mod get;
mod hub;
mod list;
pub(crate) mod logs;
mod mcp;
pub(crate) mod pause;
pub(crate) mod pool;
mod reject;
mod reload;
mod restore;
mod results;
mod resume;
mod retry;
mod shutdown;
mod stats;
mod status;
pub(crate) mod tree;
mod unavailable;
mod up;
mod usage;
mod wait;
pub(crate) mod watch;
mod workspaces;

use clap::error::ErrorKind;
use clap::{FromArgMatches, Parser, Subcommand};
use connect::Context;
use failure::Failure;
use globals::Globals;
use kirosu_protocol::TaskId;
use show::Screen;
use std::ffi::OsString;
use std::pin::Pin;
use std::process::ExitCode;

/// The task whose agent, hook or check runs this program; `None` outside of runs.
fn running_task() -> Option<TaskId> {
    let text = std::env::var("KIROSU_TASK_ID").ok()?;
    text.parse().ok().filter(|id| *id > 0)
}

const AFTER_HELP: &str = "\
Examples:
  kirosu up --config kirosu.toml            hub and agents, supervised
  kirosu enqueue \"Summarise README.md\" --wait
  git diff | kirosu enqueue - --system \"Review this diff\"
  kirosu status
  kirosu tree                               actors, restarts and their reasons
  kirosu help enqueue                       flags and examples of a command, as --help

Exit codes:
  0  done                          4    a wait ran out of time
  1  refused or failed             5    no hub could be reached
  2  wrong usage                   69   not in this version
  3  some tasks did not succeed    130  interrupted by Ctrl-C

Environment: KIRO_SWARM_HOST, KIRO_SWARM_PORT, KIRO_SWARM_KEY, KIROSU_CONFIG, NO_COLOR;
any key of the settings as KIROSU_SECTION__KEY (kirosu config example shows them all).";

/// A supervised swarm of AI agents over a durable task queue
#[derive(Debug, Parser)]
#[command(name = "kirosu", version, after_help = AFTER_HELP, arg_required_else_help = true)]
#[command(subcommand_required = true, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: CliVerb,
}

#[derive(Debug, Subcommand)]
enum CliVerb {
    Up(up::Args),
    Hub(hub::Args),
    Agent(agent::Args),
    Api(api::Args),
    Mcp(mcp::Args),
    Demo(demo::Args),

    Enqueue(Box<enqueue::Args>),
    Status(status::Args),
    List(list::Args),
    Get(get::Args),
    Results(results::Args),
    Wait(wait::Args),
    Logs(logs::Args),
    Watch(watch::Args),

    Cancel(cancel::Args),
    Retry(retry::Args),
    Approvals(approvals::Args),
    Answer(answer::Args),
    Approve(approve::Args),
    Reject(reject::Args),

    Diff(diff::Args),
    Apply(apply::Args),
    Discard(discard::Args),
    Workspaces(workspaces::Args),

    Dashboard(dashboard::Args),
    Stats(stats::Args),
    Usage(usage::Args),
    Tree(tree::Args),
    Pool(pool::Args),
    Agents(agents::Args),

    Pause(pause::Args),
    Resume(resume::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Drain(drain::Args),
    Reload(reload::Args),
    Shutdown(shutdown::Args),

    Config(config::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),

    #[command(flatten)]
    Unavailable(unavailable::UnavailableVerb),
}

/// Runs the command line and returns its exit code. Failures are printed on standard error.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = help::command().try_get_matches_from(&args);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, args.iter().any(|arg| arg == "--json")),
    };
    let json = cli.globals.json;
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Prints help, the version or an error of the command line; returns the exit code.
fn refused(error: &clap::Error, json: bool) -> ExitCode {
    let is_requested = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if json && !is_requested {
        let text = error.render().to_string();
        let text = text.trim().trim_start_matches("error: ");
        Failure::Usage(text.to_owned()).report(true);
    } else {
        // A reader that has closed the pipe is not a failure.
        let _ = error.print();
    }
    ExitCode::from(u8::from(!is_requested) * 2)
}

/// Runs a verb. Returns the exit code.
fn run(cli: Cli) -> Result<u8, Failure> {
    let context = &Context {
        screen: Screen::new(&cli.globals),
        globals: cli.globals,
    };
    let globals = &context.globals;
    match cli.verb {
        CliVerb::Up(args) => up::run(&args, globals),
        CliVerb::Hub(args) => hub::run(&args, globals),
        CliVerb::Agent(args) => agent::run(&args, globals),
        CliVerb::Api(args) => api::run(&args, globals),
        CliVerb::Demo(args) => demo::run(args, globals),
        CliVerb::Config(args) => config::run(&args, context),
        CliVerb::Restore(args) => restore::run(&args, context),
        CliVerb::Completions(args) => completions::run(&args, context),
        CliVerb::Dashboard(args) => dashboard::run(&args, context),
        CliVerb::Unavailable(verb) => verb.run(),
        CliVerb::Mcp(args) => client(mcp::run(&args, context), globals),
        CliVerb::Enqueue(args) => client(enqueue::run(*args, context), globals),
        CliVerb::Status(args) => client(status::run(&args, context), globals),
        CliVerb::List(args) => client(list::run(&args, context), globals),
        CliVerb::Results(args) => client(results::run(&args, context), globals),
        CliVerb::Get(args) => client(get::run(&args, context), globals),
        CliVerb::Wait(args) => client(wait::run(&args, context), globals),
        CliVerb::Logs(args) => client(logs::run(&args, context), globals),
        CliVerb::Watch(args) => client(watch::run(&args, context), globals),
        CliVerb::Cancel(args) => client(cancel::run(&args, context), globals),
        CliVerb::Retry(args) => client(retry::run(&args, context), globals),
        CliVerb::Approvals(args) => client(approvals::run(&args, context), globals),
        CliVerb::Answer(args) => client(answer::run(&args, context), globals),
        CliVerb::Approve(args) => client(approve::run(&args, context), globals),
        CliVerb::Reject(args) => client(reject::run(&args, context), globals),
        CliVerb::Diff(args) => client(diff::run(&args, context), globals),
        CliVerb::Apply(args) => client(apply::run(&args, context), globals),
        CliVerb::Discard(args) => client(discard::run(&args, context), globals),
        CliVerb::Workspaces(args) => client(workspaces::run(&args, context), globals),
        CliVerb::Stats(args) => client(stats::run(&args, context), globals),
        CliVerb::Usage(args) => client(usage::run(&args, context), globals),
        CliVerb::Tree(args) => client(tree::run(&args, context), globals),
        CliVerb::Pool(args) => client(pool::run(&args, context), globals),
        CliVerb::Agents(args) => client(agents::run(&args, context), globals),
        CliVerb::Pause(args) => client(pause::run(&args, context), globals),
        CliVerb::Resume(args) => client(resume::run(&args, context), globals),
        CliVerb::Backup(args) => client(backup::run(&args, context), globals),
        CliVerb::Drain(args) => client(drain::run(&args, context), globals),
        CliVerb::Reload(args) => client(reload::run(&args, context), globals),
        CliVerb::Doctor(args) => client(doctor::run(&args, context), globals),
        CliVerb::Shutdown(args) => client(shutdown::run(&args, context), globals),
    }
}

/// Runs a verb that is a client of the hub, or that only examines this machine.
fn client(
    verb: impl Future<Output = Result<u8, Failure>>,
    globals: &Globals,
) -> Result<u8, Failure> {
    globals.log_as_client();
    interruptible(Box::pin(verb))
}

/// Runs `work` on this thread until it ends or Ctrl-C. It is boxed so that the runtime is compiled only once.
fn interruptible(
    work: Pin<Box<dyn Future<Output = Result<u8, Failure>> + '_>>,
) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::local("cannot start the runtime", why))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
        }
    });
    // An unfinished read of standard input would delay the end.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_verb_shows_an_example() {
        Cli::command().debug_assert();
        for verb in Cli::command()
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
        {
            let own = verb
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                own.contains("kirosu "),
                "{} has no example",
                verb.get_name()
            );
        }
    }

    #[test]
    fn the_spellings_of_the_earlier_version_are_read() {
        for line in [
            "hub --host 127.0.0.1 --port 0 --db x.db --lease-seconds 60 --trust-all-tools",
            "agent --host h --port 1 --model m --id a-1 --log-file f --verbose --trust-all-tools",
            "enqueue hello",
            "status --limit 5 --status failed",
            "approve 7",
            "dashboard",
            "mcp",
            "api --host 127.0.0.1 --port 8000",
            "suggest --list",
            "suggest task",
            "run-recursive task",
            "run-pipeline --file plan.md",
        ] {
            let words = std::iter::once("kirosu").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
