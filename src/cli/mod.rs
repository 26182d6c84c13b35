//! The command line: one file a verb.
//!
//! # Theory of operation
//!
//! `main` hands over here after the hidden runner verb was ruled out. Clap reads the flags; every flag that means a
//! setting becomes one flag of the configuration's strongest layer, so that `kirosu config show` names it as origin.
//! Verbs come in three kinds: those that serve (`up`, `hub`, `agent`, `api`, `demo`) load settings and call the wiring in
//! `boot`; those that speak to a hub share one [`Context`] and run on one thread under Ctrl-C; those that need no hub
//! (`config`, `completions`) just print.
//!
//! What a verb says goes to standard output, everything by the way (progress, notes, errors) to standard error. On a
//! terminal tables are cut to its width and coloured; in a pipe they are whole, tab-separated and without a heading.
//! `--json` prints exactly one document, or one a line for what streams.

mod attempt;
pub(crate) mod connect;
pub(crate) mod each;
pub(crate) mod events;
pub(crate) mod failure;
pub(crate) mod globals;
mod help;
pub(crate) mod log;
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
mod later;
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
use std::process::ExitCode;

/// The task whose agent, hook or check called this program; `None` outside of runs.
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
  kirosu tree                               who runs, who was restarted, and why
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
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
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
    Later(later::Verb),
}

/// Reads the command line, does what it says, and tells how it went.
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

/// Help, version, and what clap cannot read.
fn refused(error: &clap::Error, json: bool) -> ExitCode {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if json && !asked_for {
        let text = error.render().to_string();
        let text = text.trim().trim_start_matches("error: ");
        Failure::Usage(text.to_owned()).report(true);
    } else {
        // A reader that has gone is no failure.
        let _ = error.print();
    }
    ExitCode::from(u8::from(!asked_for) * 2)
}

/// Runs a verb; the exit code when it did what it could.
fn run(cli: Cli) -> Result<u8, Failure> {
    let context = Context {
        screen: Screen::look(&cli.globals),
        globals: cli.globals,
    };
    match cli.verb {
        Verb::Up(args) => up::run(&args, &context.globals),
        Verb::Hub(args) => hub::run(&args, &context.globals),
        Verb::Agent(args) => agent::run(&args, &context.globals),
        Verb::Api(args) => api::run(&args, &context.globals),
        Verb::Demo(args) => demo::run(args, &context.globals),
        Verb::Config(args) => config::run(&args, &context),
        Verb::Restore(args) => restore::run(&args, &context),
        Verb::Completions(args) => completions::run(&args, &context),
        Verb::Dashboard(args) => dashboard::run(&args, &context),
        Verb::Later(verb) => verb.run(),
        verb => {
            log::for_client(&context.globals);
            interruptible(ask(verb, &context))
        }
    }
}

/// The verbs that speak to a hub.
async fn ask(verb: Verb, context: &Context) -> Result<u8, Failure> {
    match verb {
        Verb::Mcp(args) => mcp::run(&args, context).await,
        Verb::Enqueue(args) => enqueue::run(*args, context).await,
        Verb::Status(args) => status::run(&args, context).await,
        Verb::List(args) => list::run(&args, context).await,
        Verb::Results(args) => results::run(&args, context).await,
        Verb::Get(args) => get::run(&args, context).await,
        Verb::Wait(args) => wait::run(&args, context).await,
        Verb::Logs(args) => logs::run(&args, context).await,
        Verb::Watch(args) => watch::run(&args, context).await,
        Verb::Cancel(args) => cancel::run(&args, context).await,
        Verb::Retry(args) => retry::run(&args, context).await,
        Verb::Approvals(args) => approvals::run(&args, context).await,
        Verb::Answer(args) => answer::run(&args, context).await,
        Verb::Approve(args) => approve::run(&args, context).await,
        Verb::Reject(args) => reject::run(&args, context).await,
        Verb::Diff(args) => diff::run(&args, context).await,
        Verb::Apply(args) => apply::run(&args, context).await,
        Verb::Discard(args) => discard::run(&args, context).await,
        Verb::Workspaces(args) => workspaces::run(&args, context).await,
        Verb::Stats(args) => stats::run(&args, context).await,
        Verb::Usage(args) => usage::run(&args, context).await,
        Verb::Tree(args) => tree::run(&args, context).await,
        Verb::Pool(args) => pool::run(&args, context).await,
        Verb::Agents(args) => agents::run(&args, context).await,
        Verb::Pause(args) => pause::run(&args, context).await,
        Verb::Resume(args) => resume::run(&args, context).await,
        Verb::Backup(args) => backup::run(&args, context).await,
        Verb::Drain(args) => drain::run(&args, context).await,
        Verb::Reload(args) => reload::run(&args, context).await,
        Verb::Doctor(args) => doctor::run(&args, context).await,
        Verb::Shutdown(args) => shutdown::run(&args, context).await,
        // `run` has taken these.
        Verb::Up(_) | Verb::Hub(_) | Verb::Agent(_) | Verb::Api(_) | Verb::Demo(_) => Ok(0),
        Verb::Config(_) | Verb::Completions(_) | Verb::Dashboard(_) => Ok(0),
        Verb::Restore(_) | Verb::Later(_) => Ok(0),
    }
}

/// Runs to its end or to Ctrl-C, on this thread.
fn interruptible(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
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
    // A read of standard input that nobody waits for any more must not hold up the end.
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
