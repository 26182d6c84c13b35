//! The commands that wait for a commit.
//!
//! A commit has a bounded cost. A request that costs more and consists of many entries (`enqueue_batch`, a list of acks) is
//! carried out in parts over several commits, and answered once. After each part it goes behind the requests of other
//! callers. Later requests of its own caller stay behind it, and so does every request with one of its idempotency keys: the
//! task of the key may not exist yet.

#[cfg(test)]
mod tests;

use super::cost;
use super::messages::Submit;
use crate::caller::{ConnectionId, PendingReply};
use kirosu_protocol::{Ack, Effect, Error, NewTask};
use kirosu_store::{BatchId, BatchPart, Command, Outcome};
use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// The commands of one submission, or a large command of it.
pub(super) struct Entry {
    /// The number of the submission.
    arrival: u64,
    reply: PendingReply,
    commands: VecDeque<Command>,
    /// The state of a large command, whose parts are `commands`.
    large: Option<Box<Large>>,
}

/// A large command that is carried out in parts.
struct Large {
    /// The outcomes of the parts so far.
    gathered: Outcome,
    /// The idempotency keys of its tasks.
    keys: HashSet<String>,
}

/// Commands of one entry that are in the present commit.
pub(super) enum Taken {
    /// Commands with an outcome for each number of the reply.
    Whole(PendingReply),
    /// Parts of a large command.
    Parts(Entry, Vec<PartKind>),
}

/// The kind of a part, which decides the consequence of its failure.
pub(super) enum PartKind {
    /// A number of acks. Each is refused.
    Acks(usize),
    /// A part of a batch is stored. The batch is refused.
    Stage(BatchId),
    /// Tasks of a batch that is stored. The part is tried again, as the batch cannot be taken back.
    Make(BatchPart),
    /// A refused batch is deleted. The next start tries it again.
    Drop,
}

/// See the module.
#[derive(Default)]
pub(super) struct CommandQueue {
    waiting: VecDeque<Entry>,
    /// Batches whose next part failed. They wait for [`CommandQueue::retry`].
    failed: Vec<Entry>,
    /// The number of submissions that were received.
    arrivals: u64,
}

impl CommandQueue {
    /// Whether no command waits for the next commit.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether large batches wait for [`CommandQueue::retry`].
    pub fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// The number of submissions that were received.
    pub fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// The number of the first submission that is not answered. `None` means that all are.
    pub fn first_arrival(&self) -> Option<u64> {
        self.waiting.iter().map(|entry| entry.arrival).min()
    }

    /// Adds a submission. `new_batch` gives out ids for large batches.
    pub fn push(&mut self, submit: Submit, mut new_batch: impl FnMut() -> BatchId) {
        self.arrivals += 1;
        let Submit {
            mut reply,
            commands,
        } = submit;
        let mut small = VecDeque::new();
        for (_, command) in commands {
            if cost::of(&command) <= cost::COMMIT {
                small.push_back(command);
                continue;
            }
            match split(command, &mut new_batch) {
                Err(whole) => small.push_back(whole),
                Ok((parts, keys)) => {
                    let before = reply.take_first(small.len());
                    self.add(before, std::mem::take(&mut small), None);
                    let gathered = Outcome::Ok;
                    self.add(
                        reply.take_first(1),
                        parts,
                        Some(Box::new(Large { gathered, keys })),
                    );
                }
            }
        }
        self.add(reply, small, None);
    }

    fn add(&mut self, reply: PendingReply, commands: VecDeque<Command>, large: Option<Box<Large>>) {
        if !commands.is_empty() {
            self.waiting.push_back(Entry {
                arrival: self.arrivals,
                reply,
                commands,
                large,
            });
        }
    }

    /// Takes the commands of the next commit. The last submission is divided if it does not fit as a whole.
    pub fn take(&mut self) -> (Vec<Taken>, Vec<Command>) {
        let (mut taken, mut batch, mut spent) = (Vec::new(), Vec::new(), 0);
        while let Some(mut entry) = self.waiting.pop_front() {
            let begin = batch.len();
            while let Some(command) = entry.commands.front() {
                let cost = cost::of(command);
                if spent > 0 && spent + cost > cost::COMMIT {
                    break;
                }
                spent += cost;
                batch.extend(entry.commands.pop_front());
            }
            let is_whole = entry.commands.is_empty();
            if batch.len() == begin {
                self.waiting.push_front(entry);
                break;
            }
            // A crash from here on is answered with "effect unknown".
            if entry.large.is_some() {
                entry.reply.begin();
                let parts = batch[begin..].iter().filter_map(PartKind::of).collect();
                taken.push(Taken::Parts(entry, parts));
            } else if is_whole {
                entry.reply.begin();
                taken.push(Taken::Whole(entry.reply));
            } else {
                let mut reply = entry.reply.take_first(batch.len() - begin);
                reply.begin();
                taken.push(Taken::Whole(reply));
                self.waiting.push_front(entry);
            }
            if !is_whole {
                break;
            }
        }
        (taken, batch)
    }

    /// Takes the outcomes of parts, in their order. Answers the large command if they are the last, else puts the rest back.
    pub fn advance(
        &mut self,
        mut entry: Entry,
        parts: Vec<PartKind>,
        outcomes: impl Iterator<Item = Result<Outcome, Error>>,
    ) {
        // All of them, as those of other entries follow.
        let outcomes: Vec<_> = outcomes.take(parts.len()).collect();
        let mut again = VecDeque::new();
        for (part, outcome) in parts.into_iter().zip(outcomes) {
            match (outcome, part) {
                (Ok(outcome), _) => entry.gather(outcome),
                (Err(error), PartKind::Acks(count)) => {
                    entry.gather(Outcome::Acks(vec![Err(error); count]));
                }
                (Err(error), PartKind::Stage(batch)) => {
                    entry.answer(Err(error));
                    entry.commands = VecDeque::from([Command::DropBatch(batch)]);
                    break;
                }
                (Err(error), PartKind::Make(part)) => {
                    entry.answer(Err(not_made(&error)));
                    again.push_back(Command::MakePart(part));
                }
                (Err(_), PartKind::Drop) => {}
            }
        }
        if !again.is_empty() {
            again.append(&mut entry.commands);
            entry.commands = again;
            self.failed.push(entry);
        } else if entry.commands.is_empty() {
            entry.finish();
        } else {
            self.put_back(entry);
        }
    }

    /// Puts the rest of a large command behind the entries that need not wait for it.
    fn put_back(&mut self, rest: Entry) {
        let mut callers = HashSet::from([rest.connection()]);
        let mut behind = vec![rest];
        let mut others = VecDeque::with_capacity(self.waiting.len() + 1);
        for entry in self.waiting.drain(..) {
            let waits = callers.contains(&entry.connection())
                || behind.iter().any(|earlier| earlier.holds_key_of(&entry));
            if waits {
                callers.insert(entry.connection());
                behind.push(entry);
            } else {
                others.push_back(entry);
            }
        }
        others.extend(behind);
        self.waiting = others;
    }

    /// Queues the batches whose parts failed again, before everything that waits behind them.
    pub fn retry(&mut self) {
        for entry in self.failed.drain(..).rev() {
            self.waiting.push_front(entry);
        }
    }
}

impl Entry {
    fn connection(&self) -> ConnectionId {
        self.reply.caller().connection
    }

    /// Whether this is a large command and one of its keys is in another entry.
    fn holds_key_of(&self, other: &Entry) -> bool {
        let Some(keys) = self.large.as_ref().map(|large| &large.keys) else {
            return false;
        };
        let holds = |new: &NewTask| {
            let key = new.idempotency_key.as_ref();
            key.is_some_and(|key| keys.contains(key))
        };
        !keys.is_empty()
            && match &other.large {
                Some(large) => !keys.is_disjoint(&large.keys),
                None => other.commands.iter().any(|command| match command {
                    Command::Enqueue(new) => holds(new),
                    Command::EnqueueBatch(batch) => batch.iter().any(holds),
                    _ => false,
                }),
            }
    }

    fn gather(&mut self, outcome: Outcome) {
        let Some(large) = &mut self.large else {
            return;
        };
        match (&mut large.gathered, outcome) {
            (_, Outcome::Ok) => {}
            (Outcome::Acks(all), Outcome::Acks(more)) => all.extend(more),
            (Outcome::Batch(all), Outcome::Batch(more)) => all.extend(more),
            (gathered, first) => *gathered = first,
        }
    }

    /// Answers the command, unless it is answered already.
    fn answer(&mut self, outcome: Result<Outcome, Error>) {
        let reply = self.reply.take_first(1);
        if !reply.numbers().is_empty() {
            reply.answer(std::iter::once(outcome), None);
        }
    }

    fn finish(mut self) {
        let gathered = self.large.take().map(|large| large.gathered);
        self.answer(Ok(gathered.unwrap_or(Outcome::Ok)));
    }
}

impl PartKind {
    /// The kind of a command that is a part of a large one.
    fn of(command: &Command) -> Option<PartKind> {
        Some(match command {
            Command::Acks(acks) => PartKind::Acks(acks.len()),
            Command::StagePart(part) => PartKind::Stage(part.batch),
            Command::MakePart(part) => PartKind::Make(part.clone()),
            Command::DropBatch(_) => PartKind::Drop,
            _ => return None,
        })
    }
}

/// The parts of a large command, and the idempotency keys of its tasks. Returns a command back that has no parts.
fn split(
    command: Command,
    new_batch: impl FnOnce() -> BatchId,
) -> Result<(VecDeque<Command>, HashSet<String>), Command> {
    match command {
        Command::Acks(acks) if acks.len() > 1 => {
            let ranges = ranges(&acks, cost::of_ack);
            let mut acks = acks.into_iter();
            let part =
                |range: Range<usize>| -> Vec<Ack> { acks.by_ref().take(range.len()).collect() };
            let parts = ranges.into_iter().map(part).map(Command::Acks);
            Ok((parts.collect(), HashSet::new()))
        }
        Command::EnqueueBatch(tasks) if tasks.len() > 1 => {
            let keys = tasks.iter().filter_map(|new| new.idempotency_key.clone());
            let keys = keys.collect();
            let ranges = ranges(&tasks, cost::of_task);
            let (batch, all) = (new_batch(), Arc::new(tasks));
            let part = |range: &Range<usize>| BatchPart {
                batch,
                all: all.clone(),
                range: range.clone(),
            };
            let stage = ranges.iter().map(part).map(Command::StagePart);
            let make = ranges.iter().map(part).map(Command::MakePart);
            Ok((stage.chain(make).collect(), keys))
        }
        whole => Err(whole),
    }
}

/// Divides a list into ranges that cost at most [`cost::PART`] each, or have one entry.
fn ranges<T>(list: &[T], cost_of: impl Fn(&T) -> u64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut begin, mut spent) = (0, 0);
    for (at, entry) in list.iter().enumerate() {
        let cost = cost_of(entry);
        if at > begin && spent + cost > cost::PART {
            ranges.push(begin..at);
            (begin, spent) = (at, 0);
        }
        spent += cost;
    }
    ranges.push(begin..list.len());
    ranges
}

/// The answer to a batch that is stored, but not all of whose tasks could be made.
fn not_made(error: &Error) -> Error {
    let message = format!(
        "the batch is stored, but not all of its tasks are made yet: {error}; the hub goes on by itself; sent again, \
         only tasks with an `idempotency_key` are not added twice"
    );
    Error::internal(Effect::Unknown, message)
}
