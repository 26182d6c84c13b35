//! `kirosu enqueue`: enqueues a task, or a file of tasks.

pub(super) mod accept;
pub(super) mod budget;
pub(super) mod context;
pub(super) mod fields;
mod jsonl;

use super::wait::{self, WaitDeadline};
use super::{Context, Failure, HubClient, TIMED_OUT, spinner, text, time};
use crate::terminal::zone;
use context::ContextArgs;
use fields::Fields;
use kirosu_protocol::task::TYPE_HUMAN;
use kirosu_protocol::{EnqueueAnswer, Status, TaskId};
use serde_json::{Map, Value};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maximum number of bytes that are read from a file or from standard input, which may be endless.
const MAX_BYTES: u64 = 1 << 30;

const EXAMPLES: &str = "\
Examples:
  kirosu enqueue \"Summarise README.md\"
  kirosu enqueue \"Summarise README.md\" --wait            prints the answer
  git diff | kirosu enqueue - --system \"Review this diff\"
  kirosu enqueue --file plan.md --queue docs --max-attempts 3 --timeout 10m
  kirosu enqueue \"Deploy\" --type human --depends-on 41,42
  kirosu enqueue \"Fix these\" --context review.md       a text before the prompt, such as of kirosu context save
  kirosu enqueue \"Make the tests pass\" --accept-command 'cargo test' --max-attempts 3
  kirosu enqueue --jsonl tasks.jsonl --queue night

A line of --jsonl is an object with the parameters of `enqueue`, such as
  {\"prompt\": \"Summarise README.md\", \"priority\": 5, \"delay_seconds\": 60}
Flags are defaults for every line. If any line is bad, nothing is enqueued. A line whose idempotency_key belongs to an
existing task creates no task; the number and status of that task are printed (--json: `existed`).
In a pipe, only the new task's number is printed.

Exit codes: 0 enqueued, 1 refused, 2 wrong usage, also an empty prompt or --jsonl file; with --wait also 3 and 4,
like kirosu wait.";

/// Enqueues a task, or a file of tasks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The prompt; `-` reads it from standard input
    #[arg(value_name = "PROMPT", conflicts_with_all = ["file", "jsonl"])]
    prompt: Option<String>,
    /// Reads the prompt from a file
    #[arg(long, value_name = "FILE", conflicts_with = "jsonl")]
    file: Option<PathBuf>,
    /// Enqueues one task per line of a file (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "idempotency_key")]
    jsonl: Option<PathBuf>,
    #[command(flatten)]
    files: ContextArgs,
    #[command(flatten)]
    fields: Fields,
    /// Waits until the task is finished, and prints its result
    #[arg(long, conflicts_with = "jsonl", help_heading = "The answer")]
    wait: bool,
    /// With --wait: gives up after this time
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = time::read_span, help_heading = "The answer")]
    wait_timeout: Option<Duration>,
}

/// Enqueues, and waits if asked to.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let defaults = args.fields.to_json()?;
    if let Some(path) = &args.jsonl {
        if !args.files.is_empty() {
            let why = "--context is for one prompt; put the text into the prompts of the lines";
            return Err(Failure::Usage(why.to_owned()));
        }
        let text = read(path, MAX_BYTES).await?;
        let hub = context.connect().await?;
        return jsonl::run(&text, &defaults, &hub, context).await;
    }
    let mut fields = defaults;
    let prompt = prompt(args.prompt.as_deref(), args.file.as_deref()).await?;
    let prompt = args.files.before(prompt).await?;
    fields.insert("prompt".into(), Value::String(prompt));
    let then = AfterEnqueue {
        at: args.fields.at,
        wait: args.wait,
        wait_timeout: args.wait_timeout,
    };
    send(fields, &then, context).await
}

/// The actions after the enqueue.
pub(super) struct AfterEnqueue {
    /// The time before which the task does not run, in Unix seconds, which is printed.
    pub at: Option<f64>,
    /// Whether to wait for the task and print its result.
    pub wait: bool,
    /// The longest wait; `None` means no limit.
    pub wait_timeout: Option<Duration>,
}

/// Enqueues a task with these parameters, prints its number, or waits for its result.
pub(super) async fn send(
    fields: Map<String, Value>,
    then: &AfterEnqueue,
    context: &Context,
) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let task =
        fields::read(&Value::Object(fields).to_string(), &hub.limits()).map_err(Failure::Usage)?;
    let human = task.task_type == TYPE_HUMAN;
    let waits_for_person = task.requires_approval || human;
    let answer = match task.idempotency_key {
        // The key makes a repeated request safe: it cannot create a second task.
        Some(_) => hub.request_idempotent(&task).await?,
        None => hub.request(&task).await?,
    };
    let task_id = answer.task_id;
    if let Some(status) = answer.status {
        let again = match status {
            Status::Failed | Status::Cancelled => {
                format!("; `kirosu retry {task_id}` runs it again")
            }
            _ => String::new(),
        };
        context.screen.note(&format!(
            "task {task_id} has this key already, so nothing was enqueued; its status is {status}{again}"
        ))?;
    } else if let Some(at) = then.at {
        let utc = time::stamp(at);
        let shown = zone::local().map(|zone| format!("{} ({utc})", time::date(at, Some(&zone))));
        let shown = shown.unwrap_or(utc);
        context
            .screen
            .note(&format!("task {task_id} runs at {shown}"))?;
    }
    if then.wait && waits_for_person {
        let how = match human {
            true => format!("kirosu answer {task_id} TEXT"),
            false => format!("kirosu approve {task_id}"),
        };
        context
            .screen
            .note(&format!("task {task_id} waits for a person: {how}"))?;
    }
    match then.wait {
        true => finish(task_id, then.wait_timeout, &hub, context).await,
        false => print_id(&answer, context),
    }
}

/// The prompt: an argument, the text of a file or, without both or for `-`, of standard input.
pub(super) async fn prompt(given: Option<&str>, file: Option<&Path>) -> Result<String, Failure> {
    match (given, file) {
        (_, Some(file)) => piped(file, true, "prompt").await,
        (Some(prompt), None) if prompt != "-" => Ok(prompt.to_owned()),
        (given, None) => piped(Path::new("-"), given.is_some(), "prompt").await,
    }
}

/// Reads the text of a file or (`-`) of standard input, without its last line end. `what` names the text in errors.
/// Standard input is read from a terminal only if the user wrote `-`.
///
/// # Errors
/// The file cannot be read, or `Failure::Usage` if there is no text.
pub(super) async fn piped(path: &Path, named: bool, what: &str) -> Result<String, Failure> {
    if !named && std::io::stdin().is_terminal() {
        let file = if what == "prompt" {
            " with --file,"
        } else {
            ""
        };
        return Err(Failure::Usage(format!(
            "there is no {what}: give it in quotes,{file} or on standard input"
        )));
    }
    let text = read(path, MAX_BYTES).await?;
    let text = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    match text {
        // Nothing was piped in, or the program before the pipe failed.
        "" => Err(Failure::Usage(format!(
            "there is no {what}: the file or standard input is empty"
        ))),
        text => Ok(text.to_owned()),
    }
}

/// Reads a whole file or, for `-`, standard input: at most `max` bytes.
///
/// # Errors
/// It cannot be read, is longer, or is not UTF-8.
pub(super) async fn read(path: &Path, max: u64) -> Result<String, Failure> {
    let named = match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    };
    let path = path.to_owned();
    let bytes = tokio::task::spawn_blocking(move || match path == Path::new("-") {
        true => bounded(std::io::stdin().lock(), max),
        false => bounded(std::fs::File::open(path)?, max),
    });
    let bytes = match bytes.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(why)) => return Err(Failure::local(format!("cannot read {named}"), why)),
        Err(why) => return Err(Failure::local(format!("cannot read {named}"), why)),
    };
    String::from_utf8(bytes).map_err(|why| {
        let at = why.utf8_error().valid_up_to();
        Failure::Local(format!(
            "cannot use {named}: it is not UTF-8 text (byte {at})"
        ))
    })
}

/// Reads to the end; fails above `max` bytes.
fn bounded(source: impl Read, max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(max + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max {
        true => Err(std::io::Error::other(format!(
            "it has more than {max} bytes; split it"
        ))),
        false => Ok(bytes),
    }
}

fn print_id(answer: &EnqueueAnswer, context: &Context) -> Result<u8, Failure> {
    let (screen, task_id) = (&context.screen, answer.task_id);
    match (screen.json, screen.width) {
        (true, _) => screen.json(answer)?,
        (_, Some(_)) if answer.existed => screen.print(&format!("task {task_id}"))?,
        (_, Some(_)) => screen.print(&format!("enqueued task {task_id}"))?,
        _ => screen.print(&task_id.to_string())?,
    }
    Ok(0)
}

/// Waits for the task and prints its result.
async fn finish(
    task_id: TaskId,
    timeout: Option<Duration>,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    let screen = &context.screen;
    let message = format!("waiting for task {task_id}");
    let spinner = spinner::spinner(screen, message);
    let deadline = WaitDeadline::after(timeout);
    let ids = [task_id];
    let answer = tokio::select! {
        answer = wait::for_tasks(vec![task_id], deadline, hub) => answer,
        never = wait::explain(&ids, hub, screen) => match never {},
    };
    spinner.finish_and_clear();
    let answer = answer?;
    let Some(task) = answer.tasks.first() else {
        return Ok(TIMED_OUT);
    };
    if screen.json {
        screen.json(task)?;
    } else if !answer.finished {
        let state = task.status.as_str();
        screen.note(&format!(
            "task {task_id} is still {state}; keep waiting with `kirosu wait {task_id}`"
        ))?;
    } else if task.status == Status::Done {
        screen.print_untrusted(task.result.as_deref().unwrap_or_default())?;
    } else {
        let why = task
            .error
            .as_deref()
            .map(text::one_line)
            .filter(|why| !why.is_empty());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        screen.note(&format!("kirosu: task {task_id} {}{why}", task.status))?;
    }
    Ok(wait::exit_code([task.status], answer.finished))
}
