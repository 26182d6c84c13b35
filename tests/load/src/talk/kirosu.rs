//! The hub's language.

use super::{Step, Talk, number_at, prompt, put};
use memchr::memmem::Finder;

/// How requests are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A request a task, as clients written for the Python hub do.
    Plain,
    /// `enqueue_batch`, one lease, one ack of all.
    Batched,
}

/// Speaks to a hub.
pub struct Kirosu {
    style: Style,
    batch: usize,
    filler: String,
    queue: Option<&'static str>,
    pub(super) step: Step,
    pub(super) tasks: Vec<u64>,
    number: u64,
    cycles: u64,
    task_id: Finder<'static>,
    error: Finder<'static>,
}

impl Kirosu {
    /// Cycles of `batch` tasks with prompts of 200 bytes; `speaker` makes the prompts its own.
    pub fn new(speaker: u64, batch: usize, style: Style) -> Kirosu {
        Kirosu {
            style,
            batch,
            filler: prompt(0, 200)[18..].to_owned(),
            queue: None,
            step: Step::Ack,
            tasks: Vec::with_capacity(batch),
            number: speaker * 1_000_000_000,
            cycles: 0,
            task_id: Finder::new(b"\"task_id\":"),
            error: Finder::new(b"\"error\":{"),
        }
    }

    /// The same in a queue of its own.
    pub fn in_queue(mut self, queue: &'static str) -> Kirosu {
        self.queue = Some(queue);
        self
    }

    /// `enqueue` of the batch.
    pub(super) fn enqueue(&mut self, out: &mut Vec<u8>) -> usize {
        let (open, close) = match self.style {
            Style::Plain => (r#"{"id":1,"method":"enqueue","params":{"#, "}}\n"),
            Style::Batched => ("{", "}"),
        };
        if self.style == Style::Batched {
            out.extend_from_slice(br#"{"id":1,"method":"enqueue_batch","params":{"tasks":["#);
        }
        for i in 0..self.batch {
            self.number += 1;
            if i > 0 && self.style == Style::Batched {
                out.push(b',');
            }
            put(
                out,
                format_args!(
                    "{open}\"prompt\":\"task {:012} {}\"",
                    self.number, self.filler
                ),
            );
            if let Some(queue) = self.queue {
                put(out, format_args!(",\"queue\":\"{queue}\""));
            }
            out.extend_from_slice(close.as_bytes());
        }
        match self.style {
            Style::Plain => self.batch,
            Style::Batched => {
                out.extend_from_slice(b"]}}\n");
                1
            }
        }
    }

    /// `lease` of the batch.
    pub(super) fn lease(&mut self, out: &mut Vec<u8>) -> usize {
        put(
            out,
            format_args!(
                r#"{{"id":2,"method":"lease","params":{{"worker_id":"bench","max_tasks":{}"#,
                self.batch - self.tasks.len()
            ),
        );
        if let Some(queue) = self.queue {
            put(out, format_args!(",\"queues\":[\"{queue}\"]"));
        }
        out.extend_from_slice(b"}}\n");
        1
    }

    /// `ack` of the batch.
    pub(super) fn ack(&mut self, out: &mut Vec<u8>) -> usize {
        let (open, close) = match self.style {
            Style::Plain => (r#"{"id":3,"method":"ack","params":{"#, "}}\n"),
            Style::Batched => ("{", "}"),
        };
        if self.style == Style::Batched {
            out.extend_from_slice(br#"{"id":3,"method":"ack","params":{"acks":["#);
        }
        for (i, task) in self.tasks.iter().enumerate() {
            if i > 0 && self.style == Style::Batched {
                out.push(b',');
            }
            put(
                out,
                format_args!(
                    "{open}\"task_id\":{task},\"status\":\"done\",\"result\":\"ok\"{close}"
                ),
            );
        }
        if self.style == Style::Batched {
            out.extend_from_slice(b"]}}\n");
            return 1;
        }
        self.tasks.len()
    }
}

impl Talk for Kirosu {
    fn next(&mut self, out: &mut Vec<u8>) -> usize {
        self.step = match self.step {
            Step::Enqueue => Step::Lease,
            // Fewer than asked for: take the rest before the acks.
            Step::Lease if self.tasks.len() < self.batch => Step::Lease,
            Step::Lease => Step::Ack,
            Step::Ack => {
                self.cycles += self.tasks.len() as u64;
                self.tasks.clear();
                Step::Enqueue
            }
        };
        match self.step {
            Step::Enqueue => self.enqueue(out),
            Step::Lease => self.lease(out),
            Step::Ack => self.ack(out),
        }
    }

    fn take(&mut self, input: &[u8]) -> Result<usize, String> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            return Ok(0);
        };
        let line = &input[..end];
        let refused = self.style == Style::Batched && self.error.find(line).is_some();
        if refused || !line.ends_with(b"\"error\":null}") {
            return Err(String::from_utf8_lossy(line).into_owned());
        }
        if self.step == Step::Lease {
            let found = self.task_id.find_iter(line);
            self.tasks
                .extend(found.map(|at| number_at(&line[at + 10..])));
        }
        Ok(end + 1)
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }
}
