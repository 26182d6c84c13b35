//! `kirosu suggest`: asks an agent which topology fits a task, and prints the command for it.

mod command;
mod keywords;
mod topology;

use super::enqueue::budget;
use super::show::table::{Cell, Column, TextTable};
use super::wait::{self, WaitDeadline};
use super::{Context, Failure, HubClient, Paint, spinner, time};
use command::{Parts, SuggestedCommand};
use kirosu_protocol::task::DEFAULT_QUEUE;
use kirosu_protocol::text::{counted, one_line};
use kirosu_protocol::{Accept, Budget, CancelParams, NewTask, Status, Target, TaskBudget, TaskId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::pin::pin;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use topology::Topology;

const EXAMPLES: &str = "\
Examples:
  kirosu suggest 'Review src/**/*.rs for bugs'
  kirosu suggest 'Write a design for the cache' --pool architects --model small
  kirosu suggest --list                     the topologies; needs no hub
  kirosu suggest 'Watch the site' --json | jq -r .command

An agent chooses one of five topologies and says why; the command is printed and not run. The question is a task
like any other, with the label `suggest` and a budget of 200k tokens. If no agent answers in time or with a usable
answer, the words of the task decide, and a note says so (--json: `fallback`, `error`).

Exit codes: 0 a suggestion or the list, 1 standard output failed, 2 wrong usage, 130 Ctrl-C.";

/// The longest task, in bytes: it is a part of the command.
const TASK_BYTES: usize = 32 << 10;
/// Steps that a provider may suggest, and characters of each.
const STEPS: usize = 8;
const STEP_CHARS: usize = 2000;
/// Tokens of the question.
const TOKENS: u64 = 200_000;
/// Longest time that an interrupted command takes to cancel its question.
const LEAVE: Duration = Duration::from_secs(2);
/// Characters of an error that a note shows.
const ERROR_CHARS: usize = 300;

/// Suggests how agents could work together on a task
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK", required_unless_present = "list")]
    task: Option<String>,
    /// Lists the topologies
    #[arg(long, conflicts_with_all = ["task", "pool", "provider", "model", "budget", "timeout"])]
    list: bool,
    /// Pool that is asked
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// Provider to use
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Model to use
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Budget of the question: 200k (tokens), 1.50usd, or both [default: 200k]
    #[arg(long, value_name = "AMOUNT", value_parser = budget::read)]
    budget: Option<Budget>,
    /// Waits no longer than this for the answer
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = time::read_span)]
    timeout: Duration,
}

/// A suggestion.
struct Suggestion {
    topology: Topology,
    reasoning: String,
    command: SuggestedCommand,
    /// Why no provider has decided.
    fallback: Option<String>,
}

/// Prints a suggestion, or the list.
///
/// # Errors
/// The task is empty or too long, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    if args.list {
        return list(context);
    }
    let task = args.task.as_deref().unwrap_or_default().trim();
    if task.is_empty() || task.len() > TASK_BYTES || task.contains('\0') {
        return Err(Failure::Usage(format!(
            "give the task in quotes: a text of at most {TASK_BYTES} bytes"
        )));
    }
    let suggestion = match ask(task, args, context).await {
        Ok(chosen) => chosen.suggestion(task),
        Err(Failure::Interrupted) => return Err(Failure::Interrupted),
        Err(why) => by_words(task, counted(&one_line(&why.to_string()), ERROR_CHARS)),
    };
    print(&suggestion, context)
}

/// The answer of a provider.
#[derive(Debug, Deserialize)]
struct Choice {
    topology: String,
    #[serde(default)]
    reasoning: String,
    #[serde(default)]
    steps: Vec<String>,
    #[serde(default)]
    files: Option<String>,
}

/// A usable answer.
struct Chosen {
    topology: Topology,
    reasoning: String,
    parts: Parts,
}

impl Chosen {
    /// Reads the answer: JSON, perhaps with other text around it.
    fn read(answer: &str) -> Option<Chosen> {
        let (start, end) = (answer.find('{')?, answer.rfind('}')?);
        let choice: Choice = serde_json::from_str(answer.get(start..=end)?).ok()?;
        let usable = |step: &&String| {
            let step = step.trim();
            !step.is_empty() && step.chars().count() <= STEP_CHARS && !step.contains('\0')
        };
        let steps: Vec<String> = choice
            .steps
            .iter()
            .filter(usable)
            .take(STEPS)
            .cloned()
            .collect();
        Some(Chosen {
            topology: Topology::of(&choice.topology)?,
            reasoning: choice.reasoning,
            parts: Parts {
                steps,
                // Read as a word of the task, so that it is no flag and no absolute path.
                files: choice.files.as_deref().and_then(keywords::glob),
            },
        })
    }

    fn suggestion(self, task: &str) -> Suggestion {
        Suggestion {
            command: SuggestedCommand::of(self.topology, task, &self.parts),
            topology: self.topology,
            reasoning: self.reasoning,
            fallback: None,
        }
    }
}

/// The suggestion by the words of the task. `why` no provider has decided.
fn by_words(task: &str, why: String) -> Suggestion {
    let (topology, words) = keywords::choose(task);
    let reasoning = match words.is_empty() {
        true => "no word of the task suggests that several agents are needed".to_owned(),
        false => format!("these words of the task suggest it: {}", words.join(", ")),
    };
    Suggestion {
        command: SuggestedCommand::of(topology, task, &Parts::default()),
        topology,
        reasoning,
        fallback: Some(why),
    }
}

/// Asks an agent.
///
/// # Errors
/// No hub can be reached, it refuses, or there is no usable answer in time.
async fn ask(task: &str, args: &Args, context: &Context) -> Result<Chosen, Failure> {
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|why| Failure::local("cannot notice Ctrl-C", why))?;
    let hub = tokio::select! {
        hub = context.connect() => hub?,
        _ = interrupts.recv() => return Err(Failure::Interrupted),
    };
    let question = NewTask {
        system_prompt: Some(instructions()),
        queue: args.pool.clone().unwrap_or_else(|| DEFAULT_QUEUE.into()),
        provider: args.provider.clone(),
        model: args.model.clone(),
        labels: vec!["suggest".to_owned()],
        timeout_ms: Some(
            u64::try_from(args.timeout.as_millis())
                .unwrap_or(u64::MAX)
                .max(1000),
        ),
        max_attempts: Some(2),
        budget: Some(TaskBudget {
            own: args.budget.unwrap_or(Budget {
                tokens: Some(TOKENS),
                micros: None,
            }),
            tree: None,
        }),
        accept: Some(Box::new(Accept {
            schema: Some(schema()),
            ..Accept::default()
        })),
        parent_id: super::running_task(),
        ..NewTask::chat(prompt(task))
    };
    let mut sent = pin!(hub.request(&question));
    let task_id = tokio::select! {
        answer = &mut sent => answer?.task_id,
        _ = interrupts.recv() => {
            // The question may be on its way.
            if let Ok(Ok(answer)) = timeout(LEAVE, sent).await {
                leave(answer.task_id, &hub).await;
            }
            return Err(Failure::Interrupted);
        }
    };
    let spinner = spinner::spinner(&context.screen, format!("asking an agent (task {task_id})"));
    let deadline = WaitDeadline::after(Some(args.timeout));
    let answer = tokio::select! {
        answer = wait::for_tasks(vec![task_id], deadline, &hub) => answer,
        _ = interrupts.recv() => {
            leave(task_id, &hub).await;
            Err(Failure::Interrupted)
        }
    };
    spinner.finish_and_clear();
    let answer = answer?;
    let Some(ended) = answer.tasks.first().filter(|_| answer.finished) else {
        cancel(task_id, "no answer in time", &hub).await;
        let waited = time::span(args.timeout.as_secs_f64());
        return Err(Failure::Local(format!(
            "no agent has answered within {waited} (task {task_id})"
        )));
    };
    if ended.status != Status::Done {
        let why = ended.error.as_deref().unwrap_or_default();
        return Err(Failure::Local(format!(
            "task {task_id} has {}: {why}",
            ended.status
        )));
    }
    let text = ended.result.as_deref().unwrap_or_default();
    Chosen::read(text).ok_or_else(|| {
        Failure::Local(format!(
            "the answer of task {task_id} names none of the topologies"
        ))
    })
}

/// Cancels the question of an interrupted command.
async fn leave(task_id: TaskId, hub: &HubClient) {
    let _ = timeout(LEAVE, cancel(task_id, "interrupted", hub)).await;
}

async fn cancel(task_id: TaskId, reason: &str, hub: &HubClient) {
    let cancel = CancelParams {
        target: Target::Task(task_id),
        by: None,
        reason: Some(reason.to_owned()),
    };
    // It may have ended meanwhile.
    let _ = hub.request_idempotent(&cancel).await;
}

fn instructions() -> String {
    let mut text = "You decide how AI agents work together on a task. Do not carry the task out, and use no tools. \
        Choose the one of these topologies that fits best:\n"
        .to_owned();
    for it in Topology::ALL {
        text += &format!(
            "\n{}: {}; for {}\n{}\n",
            it.key(),
            it.description(),
            it.suits(),
            it.diagram()
        );
    }
    text += &format!(
        "\nAnswer with JSON only: `topology`, one of the words above; `reasoning`, two sentences at most; \
         for chain and parallel optionally `steps`, the instructions of each agent (at most {STEPS}); for parallel work on \
         files optionally `files`, a relative glob such as docs/**/*.md."
    );
    text
}

fn prompt(task: &str) -> String {
    // The task cannot end its own mark.
    let task = task.replace("</task", "<\\/task");
    format!("Which topology fits this task?\n\n<task>\n{task}\n</task>")
}

fn schema() -> Value {
    let keys = Topology::ALL.map(Topology::key);
    json!({
        "type": "object",
        "required": ["topology", "reasoning"],
        "properties": {
            "topology": {"enum": keys},
            "reasoning": {"type": "string"},
            "steps": {"type": "array", "items": {"type": "string"}},
            "files": {"type": ["string", "null"]},
        },
    })
}

fn print(suggestion: &Suggestion, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    let Suggestion {
        topology,
        reasoning,
        command,
        fallback,
    } = suggestion;
    if screen.json {
        let mut document = topology.json();
        document["reasoning"] = reasoning.as_str().into();
        document["command"] = command.to_string().into();
        document["fallback"] = fallback.is_some().into();
        if let Some(why) = fallback {
            document["error"] = why.as_str().into();
        }
        screen.json(&document)?;
        return Ok(0);
    }
    if let Some(why) = fallback {
        screen.note(&format!(
            "no agent has decided, so the words of the task do: {why}"
        ))?;
    }
    let heading = format!("{} ({})", topology.name(), topology.key());
    screen.print(&screen.paint(Paint::Bold, &heading))?;
    screen.print(&format!("\n{}\n", topology.diagram()))?;
    screen.print_untrusted(&format!("{reasoning}\n"))?;
    screen.print_untrusted(&command.to_string())?;
    Ok(0)
}

fn list(context: &Context) -> Result<u8, Failure> {
    let documents: Vec<Value> = Topology::ALL.into_iter().map(Topology::json).collect();
    let screen = &context.screen;
    screen.answer(&json!({ "topologies": documents }), || {
        let mut table = TextTable::new([
            Column::text("KEY"),
            Column::text("NAME"),
            Column::long("HOW"),
            Column::long("FOR"),
        ]);
        for it in Topology::ALL {
            table.row([it.key(), it.name(), it.description(), it.suits()].map(Cell::new));
        }
        table.print(screen)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::accept::schema_faults;

    #[test]
    fn an_answer_is_read_with_text_around_it() {
        let text = "Sure:\n```json\n{\"topology\": \"Parallel\", \"reasoning\": \"r\", \"files\": \"/etc/*\", \
            \"steps\": [\"one\", \" \"]}\n```";
        let chosen = Chosen::read(text).unwrap();
        assert_eq!(chosen.topology, Topology::Parallel);
        assert_eq!(chosen.parts.steps, ["one"]);
        assert_eq!(chosen.parts.files, None, "beyond the folder");
        for bad in ["", "}{", "{\"topology\": \"mesh\"}", "parallel"] {
            assert!(Chosen::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_schema_takes_what_the_instructions_ask_for() {
        let answer = json!({"topology": "chain", "reasoning": "r", "steps": ["a"]}).to_string();
        assert!(schema_faults(&schema(), &answer).is_empty());
        let other = json!({"topology": "mesh", "reasoning": "r"}).to_string();
        assert!(!schema_faults(&schema(), &other).is_empty());
    }
}
