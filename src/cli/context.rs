//! `kirosu context`: writes what a finished task has learned into a file, for `--context` of other tasks.

use super::enqueue::context::CONTEXT_BYTES;
use super::{Context, Failure, task_id};
use clap::Subcommand;
use kirosu_protocol::text::{head, one_line, shorten, tail};
use kirosu_protocol::{GetAnswer, GetParams, TaskId};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  kirosu context save 42 review.md
  kirosu enqueue \"Fix these bugs\" --context review.md
  kirosu context save 42 - | less
  kirosu map --files 'src/**/*.rs' --context review.md --prompt 'Which of the bugs are in {{ item.path }}? {{ item.text }}'

The file has at most 256 KiB: of the prompt 16 KiB, of the result (or the error) 128 KiB, the newest 100 tool
calls, of the output of the last attempt the last 16 KiB. What is left out is marked. It is Markdown, or JSON if
its name ends in .json. A file that exists is not replaced without --force.";

/// Hands what one task has learned to others
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Writes prompt, result, tool calls and output of a finished task into a file
    Save {
        /// The task
        #[arg(value_name = "TASK", value_parser = task_id)]
        task_id: TaskId,
        /// The file; `-` is standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Replaces a file that exists
        #[arg(long)]
        force: bool,
    },
}

/// Bytes of the prompt, of the result and of the end of the output.
const PROMPT: usize = 16 << 10;
const RESULT: usize = 128 << 10;
const OUTPUT: usize = 16 << 10;
/// Tool calls, and characters of each.
const TOOLS: usize = 100;
const TOOL_CHARS: usize = 300;

/// Saves the context of a task.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let Action::Save {
        task_id,
        file,
        force,
    } = &args.action;
    let hub = context.connect().await?;
    let params = GetParams {
        task_id: *task_id,
        output: true,
        ..GetParams::default()
    };
    let answer = hub.request_idempotent(&params).await?;
    let status = answer.task.status;
    if !status.is_final() {
        return Err(Failure::Local(format!(
            "task {task_id} is {status}: its context is saved when it has ended (kirosu wait {task_id})"
        )));
    }
    let found = TaskContext::of(&answer);
    let is_json = file.extension().is_some_and(|ending| ending == "json");
    let text = match is_json {
        true => format!("{:#}\n", found.json()),
        false => found.markdown(),
    };
    debug_assert!(text.len() as u64 <= CONTEXT_BYTES, "{} bytes", text.len());
    let screen = &context.screen;
    if file == Path::new("-") {
        screen.print_untrusted(text.trim_end())?;
        return Ok(0);
    }
    let written = write(file, &text, *force);
    written.map_err(|why| Failure::local(format!("cannot write {}", file.display()), why))?;
    screen.answer(
        &json!({"task_id": task_id, "file": file, "bytes": text.len()}),
        || screen.note(&format!("task {task_id} is saved in {}", file.display())),
    )
}

/// The text is written completely or not at all.
fn write(file: &Path, text: &str, force: bool) -> std::io::Result<()> {
    let (target, is_final) = match force {
        false => (file.to_owned(), true),
        true => {
            let mut name = file.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}.new", std::process::id()));
            (file.with_file_name(name), false)
        }
    };
    let mut new = File::create_new(&target)?;
    let written = new.write_all(text.as_bytes());
    let written = written.and_then(|()| match is_final {
        true => Ok(()),
        false => std::fs::rename(&target, file),
    });
    if written.is_err() {
        // A part of the text is of no use, and would stop the next try.
        let _ = std::fs::remove_file(&target);
    }
    written
}

/// The parts of the file, cut to their sizes.
struct TaskContext<'a> {
    answer: &'a GetAnswer,
    prompt: String,
    result: Option<String>,
    error: Option<String>,
    /// Tool calls as the output shows them, and the number of earlier ones.
    tools: (Vec<String>, usize),
    output: Option<String>,
}

impl TaskContext<'_> {
    fn of(answer: &GetAnswer) -> TaskContext<'_> {
        let task = &answer.task;
        let output = answer.output.iter().flatten().next_back();
        let output = output.map_or("", |output| output.text.as_str());
        let mut tools: Vec<String> = output
            .lines()
            .filter_map(|line| line.strip_prefix("[tool ")?.strip_suffix(']'))
            .map(|line| shorten(&one_line(line), TOOL_CHARS))
            .collect();
        let earlier = tools.len().saturating_sub(TOOLS);
        tools.drain(..earlier);
        TaskContext {
            answer,
            prompt: begin(&task.prompt, PROMPT),
            result: task.result.as_deref().map(|text| begin(text, RESULT)),
            error: task.error.as_deref().map(|text| begin(text, RESULT)),
            tools: (tools, earlier),
            // The answer is often all of the output.
            output: (!output.trim().is_empty()
                && Some(output.trim()) != task.result.as_deref().map(str::trim))
            .then(|| end(output, OUTPUT)),
        }
    }

    fn provider(&self) -> Option<&str> {
        let last = self.answer.attempts.last();
        last.and_then(|attempt| attempt.provider.as_deref())
    }

    fn markdown(&self) -> String {
        let task = &self.answer.task;
        let by = self.provider().map(|name| format!(", by {name}"));
        let mut text = format!(
            "# Task {}: {}{}\n",
            task.task_id,
            task.status,
            by.unwrap_or_default()
        );
        let mut part = |heading: &str, body: &str| {
            text += &format!("\n## {heading}\n\n{}\n", body.trim());
        };
        part("Prompt", &self.prompt);
        if let Some(result) = &self.result {
            part("Result", result);
        }
        if let Some(error) = &self.error {
            part("Error", error);
        }
        let (tools, earlier) = &self.tools;
        if !tools.is_empty() {
            let mut lines: Vec<String> = tools.iter().map(|tool| format!("- {tool}")).collect();
            if *earlier > 0 {
                lines.insert(0, format!("({earlier} earlier calls are left out)\n"));
            }
            part("Tool calls", &lines.join("\n"));
        }
        if let Some(output) = &self.output {
            part("Output", output);
        }
        text
    }

    fn json(&self) -> Value {
        let task = &self.answer.task;
        let (tools, earlier) = &self.tools;
        json!({
            "task_id": task.task_id,
            "status": task.status,
            "provider": self.provider(),
            "prompt": self.prompt,
            "result": self.result,
            "error": self.error,
            "tools": tools,
            "earlier_tools": earlier,
            "output": self.output,
        })
    }
}

/// The beginning of a text, marked if it is longer.
fn begin(text: &str, bytes: usize) -> String {
    match head(text, bytes) {
        part if part.len() == text.len() => text.to_owned(),
        part => format!(
            "{part}\n... ({} more bytes are left out)",
            text.len() - part.len()
        ),
    }
}

/// The end of a text, marked if it is longer.
fn end(text: &str, bytes: usize) -> String {
    match tail(text, bytes) {
        part if part.len() == text.len() => text.to_owned(),
        part => format!(
            "({} earlier bytes are left out) ...\n{part}",
            text.len() - part.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{AttemptOutput, NewTask};

    fn answer(prompt: &str, result: &str, output: &str) -> GetAnswer {
        let new = serde_json::to_value(NewTask::chat(prompt)).unwrap();
        let task = json!({
            "task_id": 7, "prompt": new["prompt"], "system_prompt": null, "type": "chat", "status": "done",
            "created_at": 1.0, "updated_at": 2.0, "leased_until": null, "worker_id": null, "result": result,
            "error": null, "fence": 1, "queue": "default", "priority": 0, "attempts": 1
        });
        GetAnswer {
            task: serde_json::from_value(task).unwrap(),
            attempts: Vec::new(),
            depends_on: Vec::new(),
            decisions: Vec::new(),
            progress: None,
            output: Some(vec![AttemptOutput {
                fence: 1,
                text: output.to_owned(),
                cut: false,
                next_chunk: None,
            }]),
        }
    }

    #[test]
    fn the_longest_task_fits_into_a_context() {
        // A quotation mark or control character takes more bytes in JSON.
        let long = "\u{1}".repeat(1 << 20);
        let tools = format!("[tool bash: {}]\n", "ü".repeat(1000)).repeat(1000);
        let answer = answer(&long, &"x".repeat(1 << 20), &tools);
        let found = TaskContext::of(&answer);
        assert_eq!((found.tools.0.len(), found.tools.1), (TOOLS, 900));
        let text = found.markdown();
        assert!((text.len() as u64) < CONTEXT_BYTES, "{}", text.len());
        assert!(text.contains("more bytes are left out"));
        assert!(text.contains("(900 earlier calls are left out)"));
    }

    #[test]
    fn an_output_that_is_the_answer_is_not_repeated() {
        let twice = answer("p", "42", "42\n");
        assert!(!TaskContext::of(&twice).markdown().contains("Output"));
        let more = answer("p", "42", "[tool bash: ls]\n42\n");
        let text = TaskContext::of(&more).markdown();
        assert_eq!(
            text,
            "# Task 7: done\n\n## Prompt\n\np\n\n## Result\n\n42\n\n## Tool calls\n\n- bash: ls\n\n## Output\n\n[tool bash: ls]\n42\n"
        );
        let value = TaskContext::of(&more).json();
        assert_eq!(value["tools"], json!(["bash: ls"]));
    }
}
