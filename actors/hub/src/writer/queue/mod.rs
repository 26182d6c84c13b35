//! The commands that wait for a commit.
//!
//! A commit has a bounded cost. A request that costs more and consists of many entries (`enqueue_batch`, a list of acks, a
//! `lease` of many tasks), or has long texts, is carried out in parts over several commits, and answered once. After each part
//! it goes behind the requests of other callers. Later requests of its own caller stay behind it, and so does every request
//! with one of its idempotency keys: the task of the key may not exist yet.

mod entry;
mod large_lease;
mod split;
#[cfg(test)]
mod tests;

use super::cost;
use super::messages::Submit;
use crate::caller::{GiveBack, PendingReply};
use actix::Recipient;
use entry::{Entry, Form, Large, PartKind};
use kirosu_protocol::{Effect, Error, Fence, TaskId};
use kirosu_store::{Command, Outcome};
use split::split;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

pub(super) use split::NewIds;

/// Commands of one entry that are in the present commit.
pub(super) enum Taken {
    /// Commands with an outcome for each number of the reply.
    Whole(PendingReply),
    /// Parts of a large command.
    Parts(Entry, Vec<PartKind>),
}

/// See the module.
#[derive(Default)]
pub(super) struct CommandQueue {
    waiting: VecDeque<Entry>,
    /// Batches whose next part failed. They wait for [`CommandQueue::retry`].
    failed: Vec<Entry>,
    /// The number of submissions that were received.
    arrivals: u64,
    /// Whether the last commit had a part of a large command.
    had_part: bool,
    /// The writer, for leases that reach no client. Shared, because to clone a recipient allocates.
    pub give_back: Option<Arc<Recipient<GiveBack>>>,
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

    /// Adds a submission.
    pub fn push(&mut self, submit: Submit, ids: &mut impl NewIds) {
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
            match split(command, ids) {
                Err(whole) => small.push_back(whole),
                Ok((parts, mut large)) => {
                    let before = reply.take_first(small.len());
                    self.add(before, std::mem::take(&mut small), None);
                    large.give_back = self.give_back.clone();
                    self.add(reply.take_first(1), parts, Some(Box::new(large)));
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

    /// Takes the commands of the next commit. The last submission is divided if it does not fit as a whole. After a commit
    /// with a part of a large command comes one without, if others wait: they wait for one part at most.
    pub fn take(&mut self) -> (Vec<Taken>, Vec<Command>) {
        let (mut taken, mut batch, mut spent) = (Vec::new(), Vec::new(), 0);
        let others_first = std::mem::take(&mut self.had_part);
        if others_first {
            self.put_behind(Vec::new(), |entry| entry.large.is_some());
        }
        while let Some(mut entry) = self.waiting.pop_front() {
            if entry.large.is_some() && others_first && !taken.is_empty() {
                self.waiting.push_front(entry);
                break;
            }
            let begin = batch.len();
            while let Some(command) = entry.commands.front() {
                let cost = cost::of(command);
                if spent > 0 && spent + cost > cost::COMMIT {
                    break;
                }
                spent += cost;
                batch.extend(entry.commands.pop_front());
            }
            let is_whole = entry.commands.is_empty() && !entry.goes_on();
            if batch.len() == begin {
                self.waiting.push_front(entry);
                break;
            }
            // A crash from here on is answered with "effect unknown".
            if entry.large.is_some() {
                self.had_part = true;
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

    /// Takes the outcomes of parts, in their order. Returns the answer of the large command if they decide it, and puts the
    /// rest back.
    pub fn advance(
        &mut self,
        mut entry: Entry,
        parts: Vec<PartKind>,
        outcomes: impl Iterator<Item = Result<Outcome, Error>>,
    ) -> Option<(PendingReply, Result<Outcome, Error>)> {
        // All of them, as those of other entries follow.
        let outcomes: Vec<_> = outcomes.take(parts.len()).collect();
        let (mut again, mut refusal) = (VecDeque::new(), None);
        // Texts of acks of a list that are refused already.
        let mut refused = HashSet::new();
        for (part, outcome) in parts.into_iter().zip(outcomes) {
            match (outcome, part) {
                (_, PartKind::Text(text) | PartKind::Long(text)) if refused.contains(&text) => {}
                (Ok(outcome), PartKind::Lease(asked)) => entry.gather_leased(outcome, asked),
                (Ok(outcome), _) => entry.gather(outcome),
                // The tasks of the parts before are the answer.
                (Err(_), PartKind::Lease(_)) if entry.leased().is_some() => {}
                (Err(error), PartKind::Lease(_)) => refusal = Some(error),
                (Err(error), PartKind::Acks(count)) => {
                    entry.gather(Outcome::Acks(vec![Err(error); count]));
                }
                (Err(error), PartKind::Text(text) | PartKind::Long(text))
                    if entry.has(Form::Acks) =>
                {
                    entry.gather(Outcome::Acks(vec![Err(error)]));
                    entry.give_up(text);
                    refused.insert(text);
                }
                (Err(error), PartKind::Dependencies | PartKind::Text(_) | PartKind::Long(_)) => {
                    refusal = Some(error);
                    entry.drop_stored(None);
                    break;
                }
                (Err(error), PartKind::Stage(batch)) => {
                    refusal = Some(error);
                    entry.drop_stored(Some(batch));
                    break;
                }
                (Err(error), PartKind::Make(part)) => {
                    refusal = Some(not_made(&error));
                    again.push_back(*part);
                }
                (Err(_), PartKind::Drop) => {}
            }
        }
        let is_over = again.is_empty() && entry.commands.is_empty();
        let answer = match refusal {
            Some(error) => Some(Err(error)),
            None => is_over.then(|| Ok(entry.take_gathered())),
        };
        // A command that was refused before has no number left.
        let answer = answer.map(|answer| (entry.reply.take_first(1), answer));
        let answer = answer.filter(|(reply, _)| !reply.numbers().is_empty());
        if !again.is_empty() {
            again.append(&mut entry.commands);
            entry.commands = again;
            self.failed.push(entry);
        } else if !is_over {
            // Other large ones take turns with it.
            self.put_behind(vec![entry], |_| false);
        }
        answer
    }

    /// Removes leases that are over from the answers that are being gathered: their clients do not know them yet.
    pub fn forget_leases(&mut self, over: &[(TaskId, Fence)]) {
        if over.is_empty() {
            return;
        }
        let over: HashSet<_> = over.iter().collect();
        for tasks in self.waiting.iter_mut().filter_map(Entry::leased) {
            tasks.retain(|task| !over.contains(&(task.task_id, task.fence)));
        }
    }

    /// Puts large entries behind those that need not wait for them: `behind` and the others for which `is_large` is true.
    fn put_behind(&mut self, mut behind: Vec<Entry>, is_large: impl Fn(&Entry) -> bool) {
        let mut callers: HashSet<_> = behind.iter().map(Entry::connection).collect();
        let mut others = VecDeque::with_capacity(self.waiting.len() + 1);
        for entry in self.waiting.drain(..) {
            let waits = is_large(&entry)
                || callers.contains(&entry.connection())
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

/// The answer to a batch that is stored, but not all of whose tasks could be made.
fn not_made(error: &Error) -> Error {
    let message = format!(
        "the request is stored, but not all of its tasks are made yet: {error}; the hub goes on by itself; sent again, \
         only tasks with an `idempotency_key` are not added twice"
    );
    Error::internal(Effect::Unknown, message)
}
