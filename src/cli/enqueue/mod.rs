//! `kirosu enqueue`: one task, or a file of them.

mod accept;
mod budget;
mod fields;
mod jsonl;

use super::connect::{Context, Hub};
use super::failure::Failure;
use super::show::{text, time, zone};
use super::wait::{self, Until};
use fields::Fields;
use kirosu_protocol::task::TYPE_HUMAN;
use kirosu_protocol::verbs::enqueue::EnqueueAnswer;
use kirosu_protocol::{Status, TaskId};
use serde_json::Value;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most bytes that are read of a file or of standard input, which may have no end.
const MOST: u64 = 1 << 30;

const EXAMPLES: &str = "\
Examples:
  kirosu enqueue \"Summarise README.md\"
  kirosu enqueue \"Summarise README.md\" --wait            prints the answer
  git diff | kirosu enqueue - --system \"Review this diff\"
  kirosu enqueue --file plan.md --queue docs --max-attempts 3 --timeout 10m
  kirosu enqueue \"Deploy\" --type human --depends-on 41,42
  kirosu enqueue \"Make the tests pass\" --accept-command 'cargo test' --max-attempts 3
  kirosu enqueue --jsonl tasks.jsonl --queue night

A line of --jsonl is an object with the parameters of `enqueue`, such as
  {\"prompt\": \"Summarise README.md\", \"priority\": 5, \"delay_seconds\": 60}
Flags count for the lines that say nothing else. Nothing is enqueued if any line is bad. A line whose idempotency_key a
task has already enqueues nothing; the number and state of that task are printed (--json: `existed`).
In a pipe only the new task's number is printed.

Exit codes: 0 enqueued, 1 refused, 2 wrong usage, also a prompt or a --jsonl without any line; with --wait also 3 and 4,
as kirosu wait.";

/// Puts a task, or a file of tasks, into the queue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What is to be done; `-` reads it from standard input
    #[arg(value_name = "PROMPT", conflicts_with_all = ["file", "jsonl"])]
    prompt: Option<String>,
    /// Reads the prompt from a file
    #[arg(long, value_name = "FILE", conflicts_with = "jsonl")]
    file: Option<PathBuf>,
    /// Enqueues a task for each line of a file (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    #[command(flatten)]
    fields: Fields,
    /// Waits for the end, and prints the result
    #[arg(long, conflicts_with = "jsonl", help_heading = "The answer")]
    wait: bool,
    /// With --wait: gives up after this long
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = time::read_span, help_heading = "The answer")]
    wait_timeout: Option<Duration>,
}

/// Enqueues, and waits where asked to.
pub async fn run(args: Args, context: &Context) -> Result<u8, Failure> {
    let usual = args.fields.to_json()?;
    if let Some(path) = &args.jsonl {
        let text = read(path).await?;
        let hub = context.connect().await?;
        return jsonl::run(&text, &usual, &hub, context).await;
    }
    let mut fields = usual;
    fields.insert("prompt".into(), Value::String(args.prompt().await?));
    let hub = context.connect().await?;
    let task =
        fields::read(&Value::Object(fields).to_string(), &hub.limits()).map_err(Failure::Usage)?;
    let human = task.task_type == TYPE_HUMAN;
    let asks = task.requires_approval || human;
    let answer = match task.idempotency_key {
        // With a key it can be sent again when the connection breaks, without becoming two tasks.
        Some(_) => hub.insist(&task).await?,
        None => hub.ask(&task).await?,
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
            "task {task_id} has this key already, nothing new was enqueued; it is {status}{again}"
        ))?;
    } else if let Some(at) = args.fields.at {
        let utc = time::stamp(at);
        let shown = zone::local().map(|zone| format!("{} ({utc})", time::date(at, Some(&zone))));
        let shown = shown.unwrap_or(utc);
        context
            .screen
            .note(&format!("task {task_id} runs at {shown}"))?;
    }
    if args.wait && asks {
        let how = match human {
            true => format!("kirosu answer {task_id} TEXT"),
            false => format!("kirosu approve {task_id}"),
        };
        context
            .screen
            .note(&format!("task {task_id} waits for a person: {how}"))?;
    }
    match args.wait {
        true => finish(task_id, args.wait_timeout, &hub, context).await,
        false => told(&answer, context),
    }
}

impl Args {
    async fn prompt(&self) -> Result<String, Failure> {
        match (&self.prompt, &self.file) {
            (_, Some(file)) => piped(file, true, "prompt").await,
            (Some(prompt), None) if prompt != "-" => Ok(prompt.clone()),
            (given, None) => piped(Path::new("-"), given.is_some(), "prompt").await,
        }
    }
}

/// The text of a file or (`-`) of standard input, without the line end that files and pipes end with; `what` names it in
/// errors. Standard input that is a terminal is read only where it was asked for by name.
///
/// # Errors
/// `Failure::Usage` where there is no text.
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
    let text = read(path).await?;
    let text = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    match text {
        // Nothing was piped, or its writer failed.
        "" => Err(Failure::Usage(format!(
            "there is no {what}: the file or standard input that should hold it is empty"
        ))),
        text => Ok(text.to_owned()),
    }
}

/// Reads a whole file or, for `-`, standard input.
async fn read(path: &Path) -> Result<String, Failure> {
    let named = match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    };
    let path = path.to_owned();
    let bytes = tokio::task::spawn_blocking(move || match path == Path::new("-") {
        true => bounded(std::io::stdin().lock()),
        false => bounded(std::fs::File::open(path)?),
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

/// Everything there is, up to [`MOST`].
fn bounded(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MOST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MOST {
        true => Err(std::io::Error::other(format!(
            "it has more than {MOST} bytes; enqueue it in several parts"
        ))),
        false => Ok(bytes),
    }
}

fn told(answer: &EnqueueAnswer, context: &Context) -> Result<u8, Failure> {
    let (screen, task_id) = (&context.screen, answer.task_id);
    match (screen.json, screen.width) {
        (true, _) => screen.json(answer)?,
        (_, Some(_)) if answer.existed => screen.print(&format!("task {task_id}"))?,
        (_, Some(_)) => screen.print(&format!("enqueued task {task_id}"))?,
        _ => screen.print(&task_id.to_string())?,
    }
    Ok(0)
}

/// Waits for the one task and prints its result.
async fn finish(
    task_id: TaskId,
    timeout: Option<Duration>,
    hub: &Hub,
    context: &Context,
) -> Result<u8, Failure> {
    let screen = &context.screen;
    let message = format!("task {task_id} is on its way");
    let spinner = super::show::spinner::spinner(screen, message);
    let until = Until::after(timeout);
    let ids = [task_id];
    let answer = tokio::select! {
        answer = wait::for_tasks(vec![task_id], until, hub) => answer,
        never = wait::explain(&ids, hub, screen) => match never {},
    };
    spinner.finish_and_clear();
    let answer = answer?;
    let Some(task) = answer.tasks.first() else {
        return Ok(super::failure::TIMED_OUT);
    };
    if screen.json {
        screen.json(task)?;
    } else if !answer.finished {
        let state = task.status.as_str();
        screen.note(&format!(
            "task {task_id} is still {state}; keep waiting with `kirosu wait {task_id}`"
        ))?;
    } else if task.status == Status::Done {
        screen.foreign(task.result.as_deref().unwrap_or_default())?;
    } else {
        let why = task
            .error
            .as_deref()
            .map(text::one_line)
            .filter(|why| !why.is_empty());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        screen.note(&format!("kirosu: task {task_id} {}{why}", task.status))?;
    }
    Ok(wait::exit_code(&answer.tasks, answer.finished))
}
