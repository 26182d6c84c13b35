//! Enqueues a file of tasks: checks all lines first, then sends them in durable batches.

use super::fields;
use crate::cli::{Context, Failure, HubClient, spinner, text};
use kirosu_protocol::{
    EnqueueBatchAnswer, EnqueueBatchParams, Existing, Limits, NewTask, Status, TaskId,
};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Tasks per batch: large enough to be fast, small enough for a progress bar that moves.
const BATCH: usize = 1000;
/// Bytes that defaults may add to a line on the wire.
const DEFAULTS_BYTES: usize = 512;
/// Maximum number of bad lines, or existing tasks, that are listed.
const MAX_LISTED: usize = 20;

/// A line of the file: its number from 1, and its text.
type NumberedLine<'a> = (usize, &'a str);

/// Checks every line, then enqueues all tasks.
pub async fn run(
    file: &str,
    defaults: &Map<String, Value>,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    let limits = hub.limits();
    let lines = lines(file);
    if lines.is_empty() {
        // The program that should have written the tasks failed, or the file is the wrong one: a script has to notice.
        return Err(Failure::Usage(
            "nothing was enqueued: the file or standard input has no line".into(),
        ));
    }
    check(&lines, defaults, &limits)?;
    let bar = spinner::bar(&context.screen, lines.len() as u64, "tasks");
    let mut all = EnqueueBatchAnswer::default();
    for batch in batches(&lines, &limits) {
        let sent = send(batch, defaults, &limits, hub).await;
        match sent {
            Ok(more) => {
                all.task_ids.extend(more.task_ids);
                all.existed.extend(more.existed);
            }
            Err(failure) => {
                bar.finish_and_clear();
                print_partial(&all, batch, context)?;
                return Err(failure);
            }
        }
        bar.set_position(all.task_ids.len() as u64);
    }
    bar.finish_and_clear();
    print_ids(&all, context)
}

/// The lines that are not empty.
fn lines(file: &str) -> Vec<NumberedLine<'_>> {
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    let numbered = file
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty()).collect()
}

fn read(line: &str, defaults: &Map<String, Value>, limits: &Limits) -> Result<NewTask, String> {
    fields::read(&fields::merged(line, defaults)?, limits)
}

/// Refuses the file if any line is bad, and lists the bad ones.
fn check(
    lines: &[NumberedLine<'_>],
    defaults: &Map<String, Value>,
    limits: &Limits,
) -> Result<(), Failure> {
    let bad: Vec<String> = lines
        .iter()
        .filter_map(|(number, line)| {
            let why = read(line, defaults, limits).err()?;
            Some(format!("  line {number}: {why}"))
        })
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let more = match bad.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        n => format!("\n  and {n} more"),
    };
    Err(Failure::Local(format!(
        "nothing was enqueued: {} of {} cannot be used\n{}{more}",
        text::grouped(bad.len() as u64),
        text::count(lines.len() as u64, "line"),
        bad[..bad.len().min(MAX_LISTED)].join("\n")
    )))
}

/// Splits the lines into batches that the hub accepts, by number of tasks and by bytes.
fn batches<'l, 'f>(lines: &'l [NumberedLine<'f>], limits: &Limits) -> Vec<&'l [NumberedLine<'f>]> {
    let most = BATCH.min(limits.batch).max(1);
    let room = limits.line_bytes / 2;
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, (_, line)) in lines.iter().enumerate() {
        let size = line.len() + DEFAULTS_BYTES;
        if at > start && (at - start == most || bytes + size > room) {
            batches.push(&lines[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < lines.len() {
        batches.push(&lines[start..]);
    }
    batches
}

async fn send(
    batch: &[NumberedLine<'_>],
    defaults: &Map<String, Value>,
    limits: &Limits,
    hub: &HubClient,
) -> Result<EnqueueBatchAnswer, Failure> {
    let tasks: Result<Vec<NewTask>, String> = batch
        .iter()
        .map(|(_, line)| read(line, defaults, limits))
        .collect();
    let tasks = tasks.map_err(Failure::Local)?;
    hub.request(&EnqueueBatchParams { tasks }).await
}

/// Prints which tasks exist after the hub refused a batch.
fn print_partial(
    all: &EnqueueBatchAnswer,
    batch: &[NumberedLine<'_>],
    context: &Context,
) -> Result<(), Failure> {
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
        return Ok(());
    };
    context.screen.note(&format!(
        "kirosu: {} enqueued; the batch of lines {} to {} failed; later lines were not sent",
        match all.task_ids.len() {
            0 => "nothing was".to_owned(),
            n => format!("{} before it were", text::count(n as u64, "task")),
        },
        first.0,
        last.0
    ))
}

fn print_ids(all: &EnqueueBatchAnswer, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    if screen.json {
        screen.json(all)?;
        return Ok(0);
    }
    let ids = &all.task_ids;
    if screen.width.is_none() {
        screen.print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
    } else {
        let new = new(all);
        let span = match (new.iter().min(), new.iter().max()) {
            (Some(first), Some(last)) if first != last => format!(": {first} to {last}"),
            (Some(first), _) => format!(": {first}"),
            _ => String::new(),
        };
        let count = text::count(new.len() as u64, "task");
        screen.print(&format!("enqueued {count}{span}"))?;
    }
    match existed(&all.existed) {
        Some(note) => screen.note(&note).map(|()| 0),
        None => Ok(0),
    }
}

/// The tasks that were created. If a key is in the file twice, its first line created the task.
fn new(all: &EnqueueBatchAnswer) -> Vec<TaskId> {
    let mut known: HashMap<TaskId, usize> = HashMap::new();
    for it in &all.existed {
        *known.entry(it.task_id).or_default() += 1;
    }
    let is_new = |id: &TaskId| match known.get_mut(id) {
        Some(lines) if *lines > 0 => {
            *lines -= 1;
            false
        }
        _ => true,
    };
    all.task_ids.iter().copied().rev().filter(is_new).collect()
}

/// The tasks whose key existed already, with their status; `None` if there are none.
fn existed(existed: &[Existing]) -> Option<String> {
    let one = |it: &Existing| format!("{} ({})", it.task_id, it.status);
    let named: Vec<String> = existed.iter().take(MAX_LISTED).map(one).collect();
    let more = match existed.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        n => format!(" and {} more", text::grouped(n as u64)),
    };
    let again = match existed
        .iter()
        .any(|it| matches!(it.status, Status::Failed | Status::Cancelled))
    {
        true => "; `kirosu retry ID` runs a failed or cancelled one again",
        false => "",
    };
    let lines = text::count(existed.len() as u64, "line");
    (!named.is_empty()).then(|| {
        format!(
            "{lines} enqueued nothing, because a task has the key already: {}{more}{again}",
            named.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn defaults() -> Map<String, Value> {
        [
            ("queue".to_owned(), json!("night")),
            ("delay_seconds".to_owned(), json!(5)),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn a_bad_line_refuses_the_file_and_all_bad_lines_are_listed() {
        let file = "\u{feff}{\"prompt\":\"a\"}\r\n\n{\"prompt\":[5]}\n[1]\n{\"prompt\":\"b\",\"prio\":1}\n{oops\n{}\n{\"prompt\":\"c\",\"priority\":9999}\n";
        let lines = lines(file);
        assert_eq!(
            lines.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
            [1, 3, 4, 5, 6, 7, 8]
        );
        let Err(Failure::Local(text)) = check(&lines, &defaults(), &Limits::default()) else {
            panic!("taken");
        };
        for part in [
            "6 of 7 lines",
            "line 3: `prompt` must be a string",
            "line 4: not a JSON object",
            "line 5: `prio` is not a parameter of a task",
            "line 6: not JSON",
            "line 7: `prompt` is missing",
            "line 8: `priority` must be",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn flags_are_defaults_for_each_line() {
        let limits = Limits::default();
        let plain = read(r#"{"prompt":"a"}"#, &defaults(), &limits).unwrap();
        assert_eq!((plain.queue.as_str(), plain.delay_ms), ("night", 5000));
        let own = read(
            r#"{"prompt":"a","queue":"day","run_at":1e9}"#,
            &defaults(),
            &limits,
        )
        .unwrap();
        assert_eq!(
            (own.queue.as_str(), own.delay_ms, own.run_at_ms),
            ("day", 0, Some(1_000_000_000_000))
        );
    }

    #[test]
    fn batches_respect_the_hubs_limits_and_lose_no_line() {
        let file = "{\"prompt\":\"x\"}\n".repeat(2500);
        let lines = lines(&file);
        let sizes = |limits: &Limits| {
            batches(&lines, limits)
                .iter()
                .map(|s| s.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&Limits::default()), [1000, 1000, 500]);
        let narrow = Limits {
            line_bytes: 8192,
            ..Limits::default()
        };
        assert!(
            sizes(&narrow).iter().all(|n| *n == 7 || *n == 1),
            "{:?}",
            sizes(&narrow)
        );
        assert_eq!(sizes(&narrow).iter().sum::<usize>(), 2500);
        assert!(batches(&[], &narrow).is_empty());
    }
}
