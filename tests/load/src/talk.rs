//! What the load says: the life cycle of a task in the hub's language and in Redis's, both made by hand.
//!
//! A cycle is enqueue, lease, ack. `batch` tasks go through it together: all enqueues in one write, then the lease, then
//! all acks in one write; with a batch of one it is the plain cycle with one request in flight.
//!
//! Redis's equivalent is its documented reliable queue: `LPUSH` to the queue, `BRPOPLPUSH` to a list of the worker's own,
//! `LREM` from that list. It has no lease of several, so a batch is that many `BRPOPLPUSH` in one write. `LREM` searches
//! from the tail, where the oldest is, so it always finds its task at once: the fastest form there is.

use memchr::memmem::Finder;
use std::io::Write;

/// One side of a conversation.
pub trait Talk {
    /// Everything asked has been answered: appends what comes next, returns how many answers it will have.
    fn next(&mut self, out: &mut Vec<u8>) -> usize;
    /// Takes one answer off `input`: the bytes consumed, 0 when it is not complete yet.
    fn take(&mut self, input: &[u8]) -> Result<usize, String>;
    /// Life cycles completed.
    fn cycles(&self) -> u64;
}

/// Where a cycle stands: what was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Enqueue,
    Lease,
    Ack,
}

/// A prompt of `size` bytes that begins with its number.
pub fn prompt(number: u64, size: usize) -> String {
    let head = format!("task {number:012} ");
    let filler = "Summarise what changed and say why it matters. "
        .chars()
        .cycle();
    head.chars().chain(filler).take(size).collect()
}

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
    step: Step,
    tasks: Vec<u64>,
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

    fn enqueue(&mut self, out: &mut Vec<u8>) -> usize {
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

    fn lease(&mut self, out: &mut Vec<u8>) -> usize {
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

    fn ack(&mut self, out: &mut Vec<u8>) -> usize {
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

/// Writing to a vector cannot fail.
fn put(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what);
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

fn number_at(digits: &[u8]) -> u64 {
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
}

/// Speaks to a Redis.
pub struct Redis {
    batch: usize,
    own_list: String,
    filler: String,
    step: Step,
    tasks: Vec<Vec<u8>>,
    taken: usize,
    number: u64,
    cycles: u64,
}

impl Redis {
    /// The same cycles as [`Kirosu::new`].
    pub fn new(speaker: u64, batch: usize) -> Redis {
        Redis {
            batch,
            own_list: format!("taken:{speaker}"),
            filler: prompt(0, 200)[18..].to_owned(),
            step: Step::Ack,
            tasks: vec![Vec::new(); batch],
            taken: 0,
            number: speaker * 1_000_000_000,
            cycles: 0,
        }
    }

    fn request(&mut self, i: usize, out: &mut Vec<u8>) {
        let own = &self.own_list;
        match self.step {
            Step::Enqueue => {
                self.number += 1;
                let length = 18 + self.filler.len();
                put(
                    out,
                    format_args!(
                        "*3\r\n$5\r\nLPUSH\r\n$4\r\nwork\r\n${length}\r\ntask {:012} {}\r\n",
                        self.number, self.filler
                    ),
                );
            }
            Step::Lease => put(
                out,
                format_args!(
                    "*4\r\n$10\r\nBRPOPLPUSH\r\n$4\r\nwork\r\n${}\r\n{own}\r\n$1\r\n0\r\n",
                    own.len()
                ),
            ),
            Step::Ack => {
                let task = &self.tasks[i];
                put(
                    out,
                    format_args!(
                        "*4\r\n$4\r\nLREM\r\n${}\r\n{own}\r\n$2\r\n-1\r\n${}\r\n",
                        own.len(),
                        task.len()
                    ),
                );
                out.extend_from_slice(task);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A bulk string: its length in a line, then so many bytes and a line end.
    fn bulk(&mut self, input: &[u8], end: usize) -> usize {
        let length = number_at(&input[1..end]) as usize;
        let whole = end + 1 + length + 2;
        if input.len() < whole {
            return 0;
        }
        let task = &mut self.tasks[self.taken];
        task.clear();
        task.extend_from_slice(&input[end + 1..end + 1 + length]);
        self.taken += 1;
        whole
    }
}

impl Talk for Redis {
    fn next(&mut self, out: &mut Vec<u8>) -> usize {
        self.step = match self.step {
            Step::Enqueue => Step::Lease,
            Step::Lease => Step::Ack,
            Step::Ack => {
                self.cycles += self.taken as u64;
                self.taken = 0;
                Step::Enqueue
            }
        };
        for i in 0..self.batch {
            self.request(i, out);
        }
        self.batch
    }

    fn take(&mut self, input: &[u8]) -> Result<usize, String> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            return Ok(0);
        };
        match (input[0], self.step) {
            (b'$', Step::Lease) if input[1] != b'-' => Ok(self.bulk(input, end)),
            (b':', Step::Enqueue) => Ok(end + 1),
            (b':', Step::Ack) if input[1] == b'1' => Ok(end + 1),
            _ => Err(String::from_utf8_lossy(&input[..end]).into_owned()),
        }
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }
}
