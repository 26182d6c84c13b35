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
pub(crate) mod confirm;
mod connect;
pub(crate) mod each;
pub(crate) mod events;
mod failure;
mod follow;
mod globals;
mod help;
mod launch;
mod legacy_settings;
mod numbers;
mod select;
pub(crate) mod show;
mod sources;

// The verbs import from here the names that most of them use.
pub(crate) use crate::terminal::paint::Paint;
pub(crate) use crate::terminal::{text, time};
use clap::error::ErrorKind;
use clap::{FromArgMatches, Parser, Subcommand};
pub(crate) use connect::{Context, HubClient};
pub(crate) use events::{StreamItem, WatchStream};
pub(crate) use failure::Failure;
use failure::{NOT_ALL_DONE, TIMED_OUT};
pub(crate) use globals::Globals;
use kirosu_protocol::TaskId;
use numbers::{PORTS, task_id, whole};
use select::{SelectArgs, Selection, counted};
pub(crate) use show::Screen;
use show::sheet::Sheet;
use show::table::{Cell, Column, TextTable};
use show::{progress, spinner};
use std::ffi::OsString;
use std::pin::Pin;
use std::process::ExitCode;

/// Defines the verbs of the command line from a table: their modules, clap's subcommands, the groups of `kirosu --help`
/// and the dispatch.
///
/// A row is `module: Variant, runner;`. The module's name is the verb's name; it has `Args`, whose doc comment is the
/// verb's line in the help, and `run`, whose result the function `runner` turns into the outcome.
macro_rules! verbs {
    ($($group:literal { $($module:ident: $variant:ident, $runner:ident;)* })*) => {
        $($(pub(crate) mod $module;)*)*

        #[derive(Debug, Subcommand)]
        enum CliVerb {
            $($($variant(Box<$module::Args>),)*)*
        }

        /// The visible verbs, by purpose.
        const GROUPS: &[(&str, &[&str])] = &[$(($group, &[$(stringify!($module)),*])),*];

        /// Runs a verb. Returns the exit code.
        fn run(verb: CliVerb, context: &Context) -> Result<u8, Failure> {
            match verb {
                $($(CliVerb::$variant(args) => $runner($module::run(&args, context), context),)*)*
            }
        }
    };
}

// `cargo fmt` does not see the modules of the table; `make lint` formats the folder.
verbs! {
    "Run it" {
        up: Up, blocking;
        hub: Hub, blocking;
        agent: Agent, blocking;
        api: Api, blocking;
        mcp: Mcp, client;
        acp: Acp, leaving;
        demo: Demo, blocking;
    }
    "Tasks" {
        enqueue: Enqueue, client;
        task: Task, client;
        r#continue: Continue, client;
        status: Status, client;
        list: List, client;
        get: Get, client;
        results: Results, client;
        context: Context, client;
        wait: Wait, client;
        logs: Logs, client;
        cancel: Cancel, client;
        retry: Retry, client;
        approvals: Approvals, client;
        answer: Answer, client;
        approve: Approve, client;
        reject: Reject, client;
    }
    "Changes of tasks" {
        diff: Diff, client;
        apply: Apply, client;
        discard: Discard, client;
        workspaces: Workspaces, client;
    }
    "Plans and schedules" {
        plan: Plan, client;
        map: Map, client;
        run_pipeline: RunPipeline, client;
        run_recursive: RunRecursive, client;
        suggest: Suggest, leaving;
        run: Run, client;
        runs: Runs, client;
        schedule: Schedule, client;
        notify: Notify, client;
    }
    "Look inside" {
        web: Web, client;
        dashboard: Dashboard, blocking;
        tree: Tree, client;
        watch: Watch, client;
        agents: Agents, client;
        pool: Pool, client;
        stats: Stats, client;
        usage: Usage, client;
        ping: Ping, client;
    }
    "Steer" {
        pause: Pause, client;
        resume: Resume, client;
        reload: Reload, client;
        backup: Backup, client;
        restore: Restore, blocking;
        db: Db, blocking;
        drain: Drain, client;
        shutdown: Shutdown, client;
    }
    "Access" {
        key: Key, client;
        audit: Audit, client;
        tls: Tls, blocking;
    }
    "Set up" {
        config: Config, blocking;
        trust: Trust, blocking;
        doctor: Doctor, client;
        completions: Completions, blocking;
    }
}

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
  kirosu map --files \"docs/**/*.md\" --prompt \"Summarise {{ item.text }}\"
  kirosu status
  kirosu tree                               actors, restarts and their reasons
  kirosu help enqueue                       flags and examples of a command, as --help

Exit codes:
  0  done                          4    a wait ran out of time
  1  refused or failed             5    no hub could be reached
  2  wrong usage                   130  interrupted by Ctrl-C
  3  some tasks did not succeed

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

/// Runs the command line and returns its exit code. Failures are printed on standard error.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = help::command().try_get_matches_from(&args);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, args.iter().any(|arg| arg == "--json")),
    };
    let context = Context {
        screen: Screen::new(&cli.globals),
        globals: cli.globals,
    };
    match run(cli.verb, &context) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report(context.screen.json);
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

/// Runs a verb that starts a server, prompts a program or only prints: `run` has done it.
fn blocking(outcome: Result<u8, Failure>, _: &Context) -> Result<u8, Failure> {
    outcome
}

/// Runs a verb that is a client of the hub, or that only examines this machine.
fn client(
    verb: impl Future<Output = Result<u8, Failure>>,
    context: &Context,
) -> Result<u8, Failure> {
    context.globals.log_as_client();
    interruptible(Box::pin(verb))
}

/// Runs a verb that is a client of the hub and leaves by itself on Ctrl-C, because it has to undo something.
fn leaving(
    verb: impl Future<Output = Result<u8, Failure>>,
    context: &Context,
) -> Result<u8, Failure> {
    context.globals.log_as_client();
    on_runtime(Box::pin(verb))
}

type BoxedVerb<'v> = Pin<Box<dyn Future<Output = Result<u8, Failure>> + 'v>>;

/// Runs `work` until it ends or Ctrl-C.
fn interruptible(work: BoxedVerb<'_>) -> Result<u8, Failure> {
    on_runtime(Box::pin(async {
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
        }
    }))
}

/// Runs `work` on this thread. It is boxed so that the runtime is compiled only once.
fn on_runtime(work: BoxedVerb<'_>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::local("cannot start the runtime", why))?;
    let outcome = runtime.block_on(work);
    // An unfinished read of standard input would delay the end.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use kirosu_protocol::Method;

    /// Verbs of the protocol without a verb of the same name here, and how people use them.
    const OTHERWISE: &[(Method, &str)] = &[
        (Method::Hello, "every client sends it first"),
        (Method::EnqueueBatch, "enqueue --jsonl"),
        (Method::Lease, "only workers send it"),
        (Method::Ack, "only workers send it"),
        (Method::Heartbeat, "only workers send it"),
        (Method::Progress, "only workers send it"),
        (Method::Output, "only workers send it"),
        (Method::WaitChildren, "wait --children"),
        (Method::Reserve, "only workers send it"),
        (Method::Release, "only workers send it"),
        (Method::RetryFailed, "retry --failed"),
        (Method::Ask, "only workers send it"),
        (Method::Source, "map and run-pipeline"),
        (Method::RunItems, "run items"),
        (Method::RunFile, "only workers send it"),
        (Method::RunPause, "run pause"),
        (Method::RunResume, "run resume"),
        (Method::RunRetry, "run retry"),
        (Method::ScheduleAdd, "schedule add"),
        (Method::ScheduleList, "schedule list"),
        (Method::ScheduleSet, "schedule pause and schedule resume"),
        (Method::ScheduleRun, "schedule run"),
        (Method::ScheduleRemove, "schedule remove"),
        (Method::Pools, "pool list, pool resize and pool probe"),
        (Method::NotifyList, "notify"),
        (Method::NotifyTest, "notify test"),
        (Method::NotifyTake, "the hub's own deliveries send it"),
        (Method::PoolDown, "only workers send it"),
        (Method::Metrics, "the gateway serves it"),
        (Method::KeyAdd, "key add"),
        (Method::KeyList, "key list"),
        (Method::KeyRevoke, "key revoke"),
        (Method::WebTicket, "web"),
        (Method::WebLogin, "browsers send it through the gateway"),
        (Method::WebLogout, "browsers send it through the gateway"),
    ];

    #[test]
    fn every_verb_of_the_protocol_is_here_or_has_a_reason() {
        let names: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, verbs)| *verbs)
            .copied()
            .collect();
        for method in Method::ALL {
            let is_here = names.contains(&method.name());
            let reason = OTHERWISE.iter().find(|(other, _)| *other == method);
            assert_ne!(is_here, reason.is_some(), "{}", method.name());
        }
    }

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
            "task add hello --wait",
            "status --limit 5 --status failed",
            "approve 7",
            "dashboard",
            "mcp",
            "api --host 127.0.0.1 --port 8000",
            "continue 7 more",
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
