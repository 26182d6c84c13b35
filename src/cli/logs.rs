//! `kirosu logs`: what a task's run prints.

use super::attempt::fence_of;
use super::connect::{Context, Hub};
use super::events::{Events, Heard};
use super::failure::{Failure, NOT_ALL_DONE};
use super::numbers::{task_id, whole};
use super::show::Screen;
use super::show::foreign::Foreign;
use kirosu_protocol::verbs::get::{AttemptOutput, GetAnswer, GetParams};
use kirosu_protocol::verbs::watch::WatchParams;
use kirosu_protocol::{EventKind, Fence, Status, TaskId};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  kirosu logs 42
  kirosu logs 42 --attempt 1                what an earlier attempt printed
  kirosu logs 42 --tail 20                  its last 20 lines
  kirosu logs -f 42                         until the task is finished
  kirosu logs -f --tail 0 42                only what is printed from now on
  kirosu logs -f 42 --json | jq -r .text

Exit code with -f: 0 done, 3 failed or cancelled.";

/// Shows what a task's run prints, live with -f
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "ID", value_parser = task_id)]
    task_id: TaskId,
    /// Goes on until the task is finished
    #[arg(short, long)]
    follow: bool,
    /// Shows this attempt; 1: the first (`kirosu get` lists them) [default: the newest]
    #[arg(long, value_name = "NUMBER", conflicts_with = "follow", value_parser = whole::<u64>(1..=i64::MAX, 1))]
    attempt: Option<u64>,
    /// Begins with the last lines of what was printed so far; 0: with none
    #[arg(long, value_name = "LINES", value_parser = whole::<usize>(0..=i64::MAX, 20))]
    tail: Option<usize>,
}

/// Prints it.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let attempt = match args.attempt {
        Some(number) => Some(fence_of(number, args.task_id, &hub).await?),
        None => None,
    };
    let mut reader = Reader {
        task_id: args.task_id,
        attempt,
        tail: args.tail,
        screen: context.screen,
        at: Position::default(),
        at_line_start: true,
        foreign: Foreign::default(),
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

async fn follow(reader: &mut Reader, hub: &Hub) -> Result<u8, Failure> {
    let ask = WatchParams {
        task_id: Some(reader.task_id),
        kinds: vec!["task".into(), "output".into()],
        ..WatchParams::default()
    };
    let mut events = Events::start(hub, ask).await?;
    let mut answer = reader.catch_up(hub).await?;
    while !answer.task.status.is_final() {
        let complete = match events.next().await? {
            Heard::Missed => false,
            Heard::Event(event) => match event.what {
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

/// How far the output has been printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The attempt; 0: none yet.
    pub(crate) fence: Fence,
    /// Its next chunk.
    pub(crate) chunk: u64,
    /// Bytes of it that are printed.
    pub(crate) bytes: usize,
}

/// What to do with a piece of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Printed before.
    Known,
    /// It follows what was printed.
    Next,
    /// The first of a new attempt.
    NewAttempt,
    /// Something before it is missing.
    Gap,
}

impl Position {
    /// What a chunk is, seen from here.
    pub(crate) fn piece(&self, fence: Fence, chunk: u64) -> Piece {
        match (fence.cmp(&self.fence), chunk.cmp(&self.chunk)) {
            (std::cmp::Ordering::Less, _) => Piece::Known,
            (std::cmp::Ordering::Greater, _) if chunk == 0 => Piece::NewAttempt,
            (std::cmp::Ordering::Greater, _) => Piece::Gap,
            (_, std::cmp::Ordering::Less) => Piece::Known,
            (_, std::cmp::Ordering::Equal) => Piece::Next,
            (_, std::cmp::Ordering::Greater) => Piece::Gap,
        }
    }
}

struct Reader {
    task_id: TaskId,
    /// The attempt to show; the newest when none.
    attempt: Option<Fence>,
    /// Lines to begin with; none once something was printed, or for all.
    tail: Option<usize>,
    screen: Screen,
    at: Position,
    at_line_start: bool,
    foreign: Foreign,
}

impl Reader {
    /// Reads the output from the hub and prints what is new.
    async fn catch_up(&mut self, hub: &Hub) -> Result<GetAnswer, Failure> {
        let answer = hub
            .insist(&GetParams {
                task_id: self.task_id,
                output: true,
                attempt: self.attempt,
            })
            .await?;
        let outputs = answer.output.as_deref().unwrap_or_default();
        // The last lines are those of the newest attempt.
        let first = match self.tail {
            Some(_) => outputs.len().saturating_sub(1),
            None => 0,
        };
        for output in &outputs[first..] {
            self.attempt(output)?;
        }
        // Whatever comes from now on is new, and shown as a whole.
        self.tail = None;
        Ok(answer)
    }

    /// Prints what is new of an attempt's whole output.
    fn attempt(&mut self, output: &AttemptOutput) -> Result<(), Failure> {
        if output.fence < self.at.fence {
            return Ok(());
        }
        if output.fence > self.at.fence {
            self.begin(output.fence)?;
        }
        // Beyond its end when the hub has cut it meanwhile: then there is nothing to add.
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

    /// Prints a chunk as it comes; false when something before it is missing.
    fn chunk(&mut self, fence: Fence, chunk: u64, text: &str) -> Result<bool, Failure> {
        match self.at.piece(fence, chunk) {
            Piece::Known => return Ok(true),
            Piece::Gap => return Ok(false),
            Piece::NewAttempt => self.begin(fence)?,
            Piece::Next => {}
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
        self.at = Position {
            fence,
            ..Position::default()
        };
        // A sequence that the attempt before left open ends with it.
        self.foreign = Foreign::default();
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
            Some(_) => self.screen.raw(&self.foreign.piece(text)),
            None => self.screen.raw(text),
        }
    }

    /// Ends the last line on a terminal, so that the prompt does not stick to it.
    fn end(&mut self) -> Result<(), Failure> {
        if !self.at_line_start && self.screen.width.is_some() && !self.screen.json {
            self.screen.raw("\n")?;
        }
        self.at_line_start = true;
        Ok(())
    }
}

/// The last lines of a text; one without an end counts.
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
    fn each_chunk_is_printed_once_and_a_missing_one_is_noticed() {
        let at = Position {
            fence: 2,
            chunk: 3,
            bytes: 40,
        };
        assert_eq!(at.piece(1, 9), Piece::Known);
        assert_eq!(at.piece(2, 2), Piece::Known);
        assert_eq!(at.piece(2, 3), Piece::Next);
        assert_eq!(at.piece(2, 4), Piece::Gap);
        assert_eq!(at.piece(3, 0), Piece::NewAttempt);
        assert_eq!(at.piece(3, 1), Piece::Gap);
        assert_eq!(Position::default().piece(1, 0), Piece::NewAttempt);
    }
}
