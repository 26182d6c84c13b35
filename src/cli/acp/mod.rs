//! `kirosu acp`: Kirosu as an agent of the Agent Client Protocol, for editors, on standard input and output.
//!
//! # Theory of operation
//!
//! [`wire`] reads and writes lines; [`agent`] answers requests and keeps the conversations ([`session`]). A prompt begins a
//! [`turn`]: a task, or by `/name` ([`commands`]) a run of a plan. [`follow`] shows it until its end from two streams of events: its
//! own output and steps ([`printed`], [`steps`]), and the states of all tasks, of which [`tree`] finds those below it; their
//! questions to a person become permission requests ([`asks`]). All that must survive this process is in the hub: a conversation
//! is the tasks with its label ([`history`]).
//!
//! Everything runs on one thread. The queues of both directions are bounded; an editor that does not read makes the turn wait, and
//! the hub keeps its events or reports that some are lost.

mod agent;
mod asks;
mod below;
mod choices;
mod commands;
mod ending;
mod feed;
mod follow;
mod history;
mod hub;
mod printed;
mod prompt;
mod request_error;
mod session;
mod steps;
mod tree;
mod turn;
mod updates;
mod wire;
mod workdir;

use super::{Context, Failure};
use agent::{Agent, Options};
use hub::HubAccess;
use kirosu_config::read_text;
use kirosu_protocol::task::DEFAULT_QUEUE;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use wire::{EditorLines, Wire, write_all};

const EXAMPLES: &str = "\
Examples:
  kirosu acp                                an editor starts it, and holds a conversation over it
  kirosu acp --queue coders --model gpt-5
  kirosu acp --person-key-file ~/.config/kirosu/person.key
  kirosu key add editor --role person       makes that key

Zed, in settings.json:
  {\"agent_servers\": {\"Kirosu\": {\"type\": \"custom\", \"command\": \"kirosu\", \"args\": [\"acp\"]}}}

A prompt becomes a task, and the next one continues its conversation. /NAME starts a run of the plan
.kirosu/plans/NAME.yaml of the project; the words behind it are its inputs: /review dir=docs. Tasks
below are tool calls, steps are the plan, approvals are permission requests. Other editors, and all
that is shown: docs/acp.md

When the editor closes, tasks go on; the conversation can be loaded again. Exit codes: 0 the editor has
closed, 130 Ctrl-C.";

/// Bytes of a file with a key.
const KEY_BYTES: u64 = 4096;
/// Time for the last messages, and for the cancels of --cancel-on-exit.
const END: Duration = Duration::from_secs(10);

/// Lets an editor hold a conversation with the swarm (Agent Client Protocol)
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Queue of the tasks; the editor can choose another [default: default]
    #[arg(long)]
    queue: Option<String>,
    /// Model of the tasks
    #[arg(long)]
    model: Option<String>,
    /// File with a key of the role person, with which the answers of the editor decide [default: the hub's key, which may decide only
    /// on a terminal]
    #[arg(long, value_name = "FILE")]
    person_key_file: Option<PathBuf>,
    /// Cancels the tasks of running turns when the editor closes
    #[arg(long)]
    cancel_on_exit: bool,
}

/// Serves the editor until standard input ends.
///
/// # Errors
/// The settings or the file of the key cannot be used, or Ctrl-C.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let person_key = args
        .person_key_file
        .as_deref()
        .map(person_key)
        .transpose()?;
    let loaded = context.globals.for_client()?;
    let (wire, queue) = Wire::new();
    let agent = Agent::new(
        wire,
        HubAccess::new(context, person_key)?,
        Options {
            queue: args.queue.clone().unwrap_or_else(|| DEFAULT_QUEUE.into()),
            model: args.model.clone(),
            pools: loaded.settings.pools,
        },
    );
    if io::stdin().is_terminal() {
        context.screen.note(
            "kirosu: waiting for an editor on standard input, which is the terminal; `kirosu acp --help` shows how an editor starts it; \
             Ctrl-C ends it",
        )?;
    }
    let writing = write_all(queue, tokio::io::stdout());
    let served = async {
        let ended = serve(&agent).await;
        if args.cancel_on_exit {
            let _ = tokio::time::timeout(END, agent.cancel_all()).await;
        }
        for id in agent.running() {
            context.screen.note(&format!(
                "kirosu: task {id} goes on; follow it with `kirosu logs -f {id}`, end it with `kirosu cancel {id}`"
            ))?;
        }
        drop(agent);
        ended
    };
    LocalSet::new()
        .run_until(until_written(served, writing))
        .await
}

/// Runs both until the first ends; after the end of the service the last messages are written.
async fn until_written(
    served: impl Future<Output = Result<u8, Failure>>,
    writing: impl Future<Output = io::Result<()>>,
) -> Result<u8, Failure> {
    let (mut served, mut writing) = (std::pin::pin!(served), std::pin::pin!(writing));
    tokio::select! {
        ended = &mut served => {
            // Turns that go on keep the queue open: what they have sent so far is written.
            let _ = tokio::time::timeout(LAST, writing).await;
            ended
        }
        // The editor does not read any more.
        _ = &mut writing => served.await,
    }
}

/// Time in which the messages are written that wait at the end.
const LAST: Duration = Duration::from_millis(200);

/// Handles the lines of the editor until it closes, or a signal.
async fn serve(agent: &Rc<Agent>) -> Result<u8, Failure> {
    let mut lines = EditorLines::new(tokio::io::stdin());
    let mut terminated = signal(SignalKind::terminate())
        .map_err(|why| Failure::local("cannot receive signals", why))?;
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Ok(Some(line)) => agent.take(line).await,
                Ok(None) => return Ok(0),
                Err(why) => return Err(Failure::local("cannot read standard input", why)),
            },
            _ = terminated.recv() => return Ok(0),
            _ = tokio::signal::ctrl_c() => return Err(Failure::Interrupted),
        }
    }
}

fn person_key(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let text = read_text(file, KEY_BYTES)
        .map_err(|why| Failure::local(format!("cannot read the key in {shown}"), why))?;
    match text.trim() {
        "" => Err(Failure::Local(format!(
            "the file {shown} has no key; `kirosu key add NAME --role person` prints one"
        ))),
        key => Ok(key.to_owned()),
    }
}
