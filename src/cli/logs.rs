//! `kirosu logs`: prints the output of a task's run.

use super::attempt::fence_of;
use super::{
    Context, Failure, HubClient, NOT_ALL_DONE, Screen, StreamItem, WatchStream, task_id, whole,
};
use crate::terminal::sanitizer::Sanitizer;
use kirosu_protocol::{
    AttemptOutput, EventKind, Fence, GetAnswer, GetParams, Status, TaskId, WatchParams,
};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  kirosu logs 42
  kirosu logs 42 --attempt 1                the output of an earlier attempt
  kirosu logs 42 --tail 20                  its last 20 lines
  kirosu logs -f 42                         follows until the task is finished
  kirosu logs -f --tail 0 42                only new output
  kirosu logs -f 42 --json | jq -r .text

Exit code with -f: 0 done, 3 failed or cancelled.";

/// Shows the output of a task's run, live with -f
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "ID", value_parser = task_id)]
    task_id: TaskId,
    /// Follows the output until the task is finished
    #[arg(short, long)]
    follow: bool,
    /// The attempt to show; 1 is the first (`kirosu get` lists them) [default: the newest]
    #[arg(long, value_name = "NUMBER", conflicts_with = "follow", value_parser = whole::<u64>(1..=i64::MAX, 1))]
    attempt: Option<u64>,
    /// Starts with the last lines of the output so far; 0 starts with none
    #[arg(long, value_name = "LINES", value_parser = whole::<usize>(0..=i64::MAX, 20))]
    tail: Option<usize>,
}

/// Prints the output.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let attempt = match args.attempt {
        Some(number) => Some(fence_of(number, args.task_id, &hub).await?),
        None => None,
    };
    let mut reader = LogReader {
        task_id: args.task_id,
        attempt,
        tail: args.tail,
        screen: context.screen,
        at: OutputPosition::default(),
        at_line_start: true,
        sanitizer: Sanitizer::default(),
    };
    match args.follow {
        true => follow(&mut reader, &hub).await,
        false => {
            let answer = reader.catch_up(&hub).await?;
            reader.end()?;
            if reader.at.fence == 0
                && let Some(attempt) = args.attempt
            {
                let why = format!("attempt {attempt} of task {} printed nothing", args.task_id);
                context.screen.note(&why)?;
            } else if reader.at.fence == 0 && answer.task.status == Status::Done {
                context.screen.note(&format!(
                    "task {0} printed nothing; `kirosu get {0} --result` shows its result",
                    args.task_id
                ))?;
            }
            Ok(0)
        }
    }
}

async fn follow(reader: &mut LogReader, hub: &HubClient) -> Result<u8, Failure> {
    let params = WatchParams {
        task_id: Some(reader.task_id),
        kinds: vec!["task".into(), "output".into()],
        ..WatchParams::default()
    };
    let mut events = WatchStream::start(hub, params).await?;
    let mut answer = reader.catch_up(hub).await?;
    while !answer.task.status.is_final() {
        let complete = match events.next().await? {
            StreamItem::Missed => false,
            StreamItem::Event(event) => match event.what {
                EventKind::Output {
                    fence, chunk, text, ..
                } => reader.chunk(fence, chunk, &text)?,
                EventKind::Task { status, .. } => !status.is_final(),
                _ => true,
            },
        };
        if !complete {
            answer = reader.catch_up(hub).await?;
        }
    }
    reader.end()?;
    let status = answer.task.status;
    reader
        .screen
        .note(&format!("task {} {status}", reader.task_id))?;
    Ok(if status == Status::Done {
        0
    } else {
        NOT_ALL_DONE
    })
}

/// The end of the output that has been printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputPosition {
    /// Fence of the attempt; 0 before the first one.
    pub(crate) fence: Fence,
    /// Number of the next chunk of this attempt.
    pub(crate) chunk: u64,
    /// Bytes of this attempt that have been printed.
    pub(crate) bytes: usize,
}

/// How a chunk relates to the printed output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkOrder {
    /// It was printed before.
    Known,
    /// It continues the printed output.
    Next,
    /// It is the first of a new attempt.
    NewAttempt,
    /// An earlier chunk is missing.
    Gap,
}

impl OutputPosition {
    /// Compares a chunk with this position.
    pub(crate) fn compare(&self, fence: Fence, chunk: u64) -> ChunkOrder {
        match (fence.cmp(&self.fence), chunk.cmp(&self.chunk)) {
            (std::cmp::Ordering::Less, _) => ChunkOrder::Known,
            (std::cmp::Ordering::Greater, _) if chunk == 0 => ChunkOrder::NewAttempt,
            (std::cmp::Ordering::Greater, _) => ChunkOrder::Gap,
            (_, std::cmp::Ordering::Less) => ChunkOrder::Known,
            (_, std::cmp::Ordering::Equal) => ChunkOrder::Next,
            (_, std::cmp::Ordering::Greater) => ChunkOrder::Gap,
        }
    }
}

struct LogReader {
    task_id: TaskId,
    /// Fence of the attempt to show; `None` means the newest.
    attempt: Option<Fence>,
    /// Number of lines to start with; `None` means all, as after the first print.
    tail: Option<usize>,
    screen: Screen,
    at: OutputPosition,
    at_line_start: bool,
    sanitizer: Sanitizer,
}

impl LogReader {
    /// Reads the output from the hub and prints the new part.
    async fn catch_up(&mut self, hub: &HubClient) -> Result<GetAnswer, Failure> {
        let answer = hub
            .request_idempotent(&GetParams {
                task_id: self.task_id,
                output: true,
                attempt: self.attempt,
            })
            .await?;
        let outputs = answer.output.as_deref().unwrap_or_default();
        // The last lines belong to the newest attempt.
        let first = match self.tail {
            Some(_) => outputs.len().saturating_sub(1),
            None => 0,
        };
        for output in &outputs[first..] {
            self.attempt(output)?;
        }
        // Later output is new and is printed in full.
        self.tail = None;
        Ok(answer)
    }

    /// Prints the new part of an attempt's output.
    fn attempt(&mut self, output: &AttemptOutput) -> Result<(), Failure> {
        if output.fence < self.at.fence {
            return Ok(());
        }
        if output.fence > self.at.fence {
            self.begin(output.fence)?;
        }
        // Out of range if the hub has shortened the output meanwhile; then there is nothing to print.
        let fresh = output.text.get(self.at.bytes..).unwrap_or_default();
        let shown = self.tail.map_or(fresh, |lines| last_lines(fresh, lines));
        self.print(shown)?;
        self.at.bytes = self.at.bytes.max(output.text.len());
        self.at.chunk = self.at.chunk.max(output.next_chunk.unwrap_or(0));
        if output.cut && !fresh.is_empty() {
            self.screen.note("(cut here)")?;
        }
        Ok(())
    }

    /// Prints a new chunk. Returns `false` if an earlier chunk is missing.
    fn chunk(&mut self, fence: Fence, chunk: u64, text: &str) -> Result<bool, Failure> {
        match self.at.compare(fence, chunk) {
            ChunkOrder::Known => return Ok(true),
            ChunkOrder::Gap => return Ok(false),
            ChunkOrder::NewAttempt => self.begin(fence)?,
            ChunkOrder::Next => {}
        }
        self.print(text)?;
        self.at.bytes += text.len();
        self.at.chunk = chunk + 1;
        Ok(true)
    }

    fn begin(&mut self, fence: Fence) -> Result<(), Failure> {
        if self.at.fence > 0 {
            self.end()?;
            self.screen
                .note(&format!("task {} runs again", self.task_id))?;
        }
        self.at = OutputPosition {
            fence,
            ..OutputPosition::default()
        };
        // An unfinished escape sequence of the previous attempt does not continue in this one.
        self.sanitizer = Sanitizer::default();
        Ok(())
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        self.at_line_start = text.ends_with('\n');
        if self.screen.json {
            let line = json!({ "task_id": self.task_id, "fence": self.at.fence, "text": text });
            return self.screen.json(&line);
        }
        match self.screen.width {
            Some(_) => self.screen.raw(&self.sanitizer.piece(text)),
            None => self.screen.raw(text),
        }
    }

    /// Ends the last line on a terminal, so that the shell's prompt starts on a line of its own.
    fn end(&mut self) -> Result<(), Failure> {
        if !self.at_line_start && self.screen.width.is_some() && !self.screen.json {
            self.screen.raw("\n")?;
        }
        self.at_line_start = true;
        Ok(())
    }
}

/// The last lines of a text. A last line without a line end counts too.
fn last_lines(text: &str, lines: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let start = match lines {
        0 => text.len(),
        _ => {
            let ends = body.rmatch_indices('\n');
            ends.map(|(at, _)| at + 1).nth(lines - 1).unwrap_or(0)
        }
    };
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        for (text, lines, expected) in [
            ("a\nb\nc\n", 0, ""),
            ("a\nb\nc\n", 1, "c\n"),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc\n", 9, "a\nb\nc\n"),
            ("a\nb", 1, "b"),
            ("\n\n\n", 2, "\n\n"),
            ("", 3, ""),
            ("\u{fc}\n\u{e9}", 1, "\u{e9}"),
        ] {
            assert_eq!(last_lines(text, lines), expected, "{text:?} {lines}");
        }
    }

    #[test]
    fn each_chunk_is_printed_once_and_a_gap_is_detected() {
        let at = OutputPosition {
            fence: 2,
            chunk: 3,
            bytes: 40,
        };
        assert_eq!(at.compare(1, 9), ChunkOrder::Known);
        assert_eq!(at.compare(2, 2), ChunkOrder::Known);
        assert_eq!(at.compare(2, 3), ChunkOrder::Next);
        assert_eq!(at.compare(2, 4), ChunkOrder::Gap);
        assert_eq!(at.compare(3, 0), ChunkOrder::NewAttempt);
        assert_eq!(at.compare(3, 1), ChunkOrder::Gap);
        assert_eq!(
            OutputPosition::default().compare(1, 0),
            ChunkOrder::NewAttempt
        );
    }
}
