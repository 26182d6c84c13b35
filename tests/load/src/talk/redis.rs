//! The language of Redis.

use super::{Step, Talk, number_at, prompt, put};

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

    /// A bulk string: a line with its length, then that number of bytes and a line end.
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
