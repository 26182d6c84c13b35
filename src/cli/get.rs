//! `kirosu get`: shows a task with its history.

use super::attempt::fence_of;
use super::show::accept;
use super::{
    Cell, Column, Context, Failure, Paint, Screen, Sheet, TextTable, progress, task_id, text, whole,
};
use crate::terminal::time::{ago, date, now, span, stamp};
use jiff::tz::TimeZone;
use kirosu_protocol::{
    Attempt, Budget, GetAnswer, GetParams, RecordedDecision, Task, TaskBudget, TaskId, Usage,
};

const EXAMPLES: &str = "\
Examples:
  kirosu get 42
  kirosu get 42 --result > answer.md        only the result, unchanged
  kirosu get 42 --output                    with the output of its newest attempt
  kirosu get 42 --output --attempt 1        with the output of its first attempt
  kirosu get 42 --json | jq .attempts";

/// Shows one task: its parameters, status and attempts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "ID", value_parser = task_id)]
    task_id: TaskId,
    /// Also shows the output of the newest attempt
    #[arg(long)]
    output: bool,
    /// The attempt whose output is shown; 1 is the first [default: the newest]
    #[arg(long, value_name = "NUMBER", requires = "output", value_parser = whole::<u64>(1..=i64::MAX, 1))]
    attempt: Option<u64>,
    /// Prints only the result
    #[arg(long, conflicts_with_all = ["output", "json"])]
    result: bool,
}

/// Prints the task.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let attempt = match args.attempt {
        Some(number) => Some(fence_of(number, args.task_id, &hub).await?),
        None => None,
    };
    let params = GetParams {
        task_id: args.task_id,
        output: args.output,
        attempt,
    };
    let answer = hub.request_idempotent(&params).await?;
    let screen = &context.screen;
    screen.answer(&answer, || match args.result {
        true => print_result(&answer.task, screen),
        false => show(&answer, screen),
    })
}

fn print_result(task: &Task, screen: &Screen) -> Result<(), Failure> {
    match &task.result {
        Some(result) => screen.print_untrusted(result),
        None => Err(Failure::Local(format!(
            "task {} has no result: it is {}",
            task.task_id, task.status
        ))),
    }
}

fn show(answer: &GetAnswer, screen: &Screen) -> Result<(), Failure> {
    facts(answer, screen, now(), screen.zone().as_ref()).print(screen)?;
    if !answer.attempts.is_empty() {
        heading("Attempts", screen)?;
        attempts(&answer.attempts).print(screen)?;
    }
    body(
        "System prompt",
        answer.task.system_prompt.as_deref(),
        screen,
    )?;
    body("Prompt", Some(&answer.task.prompt), screen)?;
    body("Result", answer.task.result.as_deref(), screen)?;
    body("Error", answer.task.error.as_deref(), screen)?;
    if !answer.decisions.is_empty() {
        heading("Decisions", screen)?;
        decisions(&answer.decisions, now()).print_whole(screen)?;
    }
    for output in answer.output.iter().flatten() {
        let cut = if output.cut { ", cut" } else { "" };
        body(
            &format!("Output of attempt {}{cut}", answer.number_of(output.fence)),
            Some(&output.text),
            screen,
        )?;
    }
    Ok(())
}

/// All fields of a task except its long texts.
pub(crate) fn facts(
    answer: &GetAnswer,
    screen: &Screen,
    now: f64,
    zone: Option<&TimeZone>,
) -> Sheet {
    let task = &answer.task;
    let when = |at: f64| match screen.width {
        Some(_) => format!("{} ({})", ago(at, now), date(at, zone)),
        None => stamp(at),
    };
    let of = |max: u32| format!("{} of {max}", task.attempts);
    let ids = |ids: &[TaskId]| {
        ids.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let status = screen.paint(Paint::of_status(task.status), task.status.as_str());
    let mut sheet = Sheet::default();
    sheet
        .fact("task", task.task_id.to_string())
        .painted("status", status)
        .maybe(
            "waiting",
            task.waiting.as_deref().map(|waiting| match waiting.until {
                Some(until) => format!("{}, until {}", waiting.message, when(until)),
                None => waiting.message.clone(),
            }),
        )
        .fact("type", &task.task_type)
        .fact("queue", &task.queue)
        .maybe(
            "priority",
            (task.priority != 0).then(|| task.priority.to_string()),
        )
        .fact(
            "attempts",
            task.max_attempts.map_or(task.attempts.to_string(), of),
        )
        .maybe("worker", task.worker_id.as_deref())
        .fact("created", when(task.created_at))
        .maybe(
            "due",
            task.run_at.filter(|_| !task.status.is_final()).map(when),
        )
        .maybe("leased until", task.leased_until.map(when))
        .maybe("finished", task.finished_at.map(when))
        .maybe(
            "took",
            task.finished_at.map(|end| span(end - task.created_at)),
        )
        .maybe(
            "timeout",
            task.timeout_ms.map(|ms| span(ms as f64 / 1000.0)),
        )
        .maybe(
            "continues",
            task.continues
                .as_ref()
                .map(|it| format!("task {}", it.task_id)),
        )
        .maybe(
            "depends on",
            (!answer.depends_on.is_empty()).then(|| ids(&answer.depends_on)),
        )
        .maybe(
            "labels",
            (!task.labels.is_empty()).then(|| task.labels.join(", ")),
        )
        .maybe(
            "parent",
            task.parent_id.map(|id| match task.ends_with_parent {
                true => format!("{id}, and it ends with it"),
                false => id.to_string(),
            }),
        )
        .maybe("provider", task.provider.as_deref())
        .maybe("model", task.model.as_deref())
        .maybe("workdir", task.workdir.as_deref())
        .maybe("budget", task.budget.as_ref().map(budget))
        .maybe("used", used(&answer.attempts))
        .maybe("accept", task.accept.as_deref().map(accept::clauses))
        .maybe("metadata", task.metadata.as_ref().map(ToString::to_string))
        .maybe("progress", answer.progress.as_ref().map(progress::line));
    if let Some((word, paint)) = accept::verdict(answer) {
        sheet.painted("evidence", screen.paint(paint, word));
    }
    sheet
}

/// A table with one row per ended attempt.
pub(crate) fn attempts(attempts: &[Attempt]) -> TextTable {
    let mut table = TextTable::new([
        Column::number("ATTEMPT"),
        Column::text("OUTCOME"),
        Column::text("TOOK"),
        Column::text("WORKER"),
        Column::text("PROVIDER").yields(2),
        Column::text("USAGE").yields(1),
        Column::long("ERROR"),
    ]);
    for (number, attempt) in (1_usize..).zip(attempts) {
        let paint = match attempt.outcome.as_str() {
            "done" => Paint::Good,
            "released" | "cancelled" | "parked" => Paint::Dim,
            _ => Paint::Bad,
        };
        let took = attempt.ended_at - attempt.started_at;
        table.row([
            Cell::new(number.to_string()),
            Cell::new(&attempt.outcome).painted(paint),
            Cell::new(span(took)).exact(format!("{took:.3}")),
            Cell::new(attempt.worker_id.as_deref().unwrap_or_default()),
            Cell::new(attempt.provider.as_deref().unwrap_or_default()),
            Cell::new(attempt.usage.as_ref().map(usage).unwrap_or_default()),
            Cell::new(attempt.error.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

/// A table with one row per decision.
pub(crate) fn decisions(decisions: &[RecordedDecision], now: f64) -> TextTable {
    let mut table = TextTable::new([
        Column::text("DECISION"),
        Column::text("BY"),
        Column::text("WHEN"),
        Column::long("COMMENT").counted(),
    ]);
    for decision in decisions {
        let paint = match decision.verdict.as_str() {
            "approved" => Paint::Good,
            _ => Paint::Bad,
        };
        table.row([
            Cell::new(&decision.verdict).painted(paint),
            Cell::new(decision.by.as_deref().unwrap_or_default()),
            Cell::new(ago(decision.at, now)).exact(stamp(decision.at)),
            Cell::new(decision.comment.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

/// The usage of all attempts together; `None` if no attempt reported any.
fn used(attempts: &[Attempt]) -> Option<String> {
    let reported = attempts.iter().filter_map(|attempt| attempt.usage.as_ref());
    let sum = reported.cloned().reduce(|sum, one| Usage {
        input_tokens: sum.input_tokens + one.input_tokens,
        cache_read_tokens: sum.cache_read_tokens + one.cache_read_tokens,
        cache_write_tokens: sum.cache_write_tokens + one.cache_write_tokens,
        output_tokens: sum.output_tokens + one.output_tokens,
        cost_usd: match (sum.cost_usd, one.cost_usd) {
            (None, None) => None,
            (sum, one) => Some(sum.unwrap_or(0.0) + one.unwrap_or(0.0)),
        },
        cost_estimated: sum.cost_estimated || one.cost_estimated,
    });
    sum.as_ref().map(usage)
}

/// A budget as a line.
fn budget(budget: &TaskBudget) -> String {
    let words = |budget: &Budget| {
        let tokens = budget
            .tokens
            .map(|n| format!("{} tokens", text::grouped(n)));
        let usd = budget
            .micros
            .map(|micros| format!("${:.2}", micros as f64 / 1e6));
        tokens.into_iter().chain(usd).collect::<Vec<_>>().join(", ")
    };
    let own = Some(&budget.own).filter(|own| !own.is_empty()).map(words);
    let tree = budget.tree.as_ref();
    let tree = tree.map(|tree| format!("{} including its descendants", words(tree)));
    own.into_iter().chain(tree).collect::<Vec<_>>().join("; ")
}

fn usage(usage: &Usage) -> String {
    let input = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
    let cost = usage
        .cost_usd
        .map(|cost| {
            let about = if usage.cost_estimated { "~" } else { "" };
            format!(", {about}${cost:.4}")
        })
        .unwrap_or_default();
    format!(
        "{} in, {} out{cost}",
        text::grouped(input),
        text::grouped(usage.output_tokens)
    )
}

fn heading(name: &str, screen: &Screen) -> Result<(), Failure> {
    screen.print(&format!("\n{}", screen.paint(Paint::Bold, name)))
}

/// Prints a text of the task under a heading; nothing if it is empty.
fn body(name: &str, text: Option<&str>, screen: &Screen) -> Result<(), Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    heading(name, screen)?;
    screen.print_untrusted(text)
}
