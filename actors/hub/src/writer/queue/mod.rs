//! The commands that wait for a commit.
//!
//! A commit has a bounded cost. A request that costs more and consists of many entries (`enqueue_batch`, a list of acks, a
//! `lease` of many tasks), or has long texts, is carried out in parts over several commits, and answered once. After each part
//! it goes behind the requests of other callers. Later requests of its own caller stay behind it, and so does every request with one of its
//! idempotency keys: the task of the key may not exist yet.

mod large_lease;
mod split;
#[cfg(test)]
mod tests;

use super::cost;
use super::messages::Submit;
use crate::caller::{CommandAnswers, ConnectionId, GiveBack, PendingReply};
use actix::Recipient;
use kirosu_protocol::{Effect, Error, Fence, NewTask, Task, TaskId};
use kirosu_store::{BatchId, BatchPart, Command, Outcome, TextId};
use large_lease::LeaseRest;
use split::split;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

pub(super) use split::NewIds;

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
    /// The outcomes of the parts so far, [`Outcome::Ok`] before the first.
    gathered: Outcome,
    form: Form,
    /// The idempotency keys of its tasks.
    keys: HashSet<String>,
    /// Its long texts, which are dropped if it is refused.
    texts: Vec<TextId>,
    /// The rest of a lease.
    rest: Option<LeaseRest>,
    /// Gets the leases in `gathered` if they reach no client.
    give_back: Option<Arc<Recipient<GiveBack>>>,
}

/// The form of a large command, which decides the consequence of a failed part and the form of the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// A list of acks: each is refused for itself.
    Acks,
    /// A lease.
    Lease,
    /// All or nothing.
    Whole,
    /// The same, of one new task.
    Enqueue,
}

impl Large {
    fn new(form: Form) -> Large {
        Large {
            gathered: Outcome::Ok,
            form,
            keys: HashSet::new(),
            texts: Vec::new(),
            rest: None,
            give_back: None,
        }
    }

    fn take_gathered(&mut self) -> Outcome {
        match std::mem::replace(&mut self.gathered, Outcome::Ok) {
            Outcome::Batch(made) if self.form == Form::Enqueue && made.len() == 1 => {
                Outcome::Enqueued(made[0])
            }
            gathered => gathered,
        }
    }
}

impl Drop for Large {
    /// Nothing is left of a command that is answered. If the writer crashed, the leases go back to the queue.
    fn drop(&mut self) {
        let gathered = vec![(0, Ok(self.take_gathered()))];
        drop(CommandAnswers::with_leases(gathered, self.give_back.take()));
    }
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
    /// A lease of at most this number of tasks. The request is answered with the tasks of the parts before, or refused.
    Lease(u32),
    /// Long texts are stored. The request to which they belong is refused.
    Text(TextId),
    /// A request whose long texts are stored. It is refused.
    Long(TextId),
    /// A part of a batch is stored. The batch is refused.
    Stage(BatchId),
    /// Tasks of a batch that is stored. The part is tried again, as the batch cannot be taken back.
    Make(BatchPart),
    /// A refused batch, or the text of a refused request, is deleted. The next start tries it again.
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
                (Err(error), PartKind::Text(_) | PartKind::Long(_)) => {
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
                    again.push_back(Command::MakePart(part));
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
        for tasks in self.waiting.iter_mut().filter_map(Entry::leased) {
            let over: HashSet<_> = over.iter().collect();
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

    fn has(&self, form: Form) -> bool {
        self.large.as_ref().is_some_and(|large| large.form == form)
    }

    /// Replaces the commands of a refused request by those that drop what is stored of it.
    fn drop_stored(&mut self, batch: Option<BatchId>) {
        let texts = self.large.iter_mut();
        let texts = texts.flat_map(|large| std::mem::take(&mut large.texts));
        let drop = texts.map(Command::DropText);
        self.commands = drop.chain(batch.map(Command::DropBatch)).collect();
    }

    /// Drops the long texts of a refused ack of a list, instead of carrying it out.
    fn give_up(&mut self, text: TextId) {
        let is_of_text = |command: &Command| match PartKind::of(command) {
            Some(PartKind::Text(other) | PartKind::Long(other)) => other == text,
            _ => false,
        };
        self.commands.retain(|command| !is_of_text(command));
        self.commands.push_front(Command::DropText(text));
    }

    fn gather(&mut self, outcome: Outcome) {
        let Some(large) = &mut self.large else {
            return;
        };
        let outcome = match outcome {
            Outcome::Acked(acked) if large.form == Form::Acks => Outcome::Acks(vec![Ok(acked)]),
            outcome => outcome,
        };
        match (&mut large.gathered, outcome) {
            (_, Outcome::Ok) => {}
            (Outcome::Acks(all), Outcome::Acks(more)) => all.extend(more),
            (Outcome::Batch(all), Outcome::Batch(more)) => all.extend(more),
            (Outcome::Leased(all), Outcome::Leased(more)) => all.extend(more),
            (gathered, first) => *gathered = first,
        }
    }

    /// Takes the outcome of a part of a lease, and adds the next part.
    fn gather_leased(&mut self, outcome: Outcome, asked: u32) {
        let rest = self.large.as_mut().and_then(|large| large.rest.as_mut());
        if let (Some(rest), Outcome::Leased(tasks)) = (rest, &outcome) {
            self.commands.extend(rest.next(asked, tasks));
        }
        self.gather(outcome);
    }

    /// The tasks that parts of a lease have taken. `None` before the first part, and of another command.
    fn leased(&mut self) -> Option<&mut Vec<Task>> {
        match &mut self.large.as_mut()?.gathered {
            Outcome::Leased(tasks) => Some(tasks),
            _ => None,
        }
    }

    fn take_gathered(&mut self) -> Outcome {
        let large = self.large.as_mut();
        large.map_or(Outcome::Ok, |large| large.take_gathered())
    }

    /// Whether the outcome of the present part may add a further one.
    fn goes_on(&self) -> bool {
        let rest = self.large.as_ref().and_then(|large| large.rest.as_ref());
        rest.is_some_and(LeaseRest::goes_on)
    }
}

impl PartKind {
    /// The kind of a command that is a part of a large one.
    fn of(command: &Command) -> Option<PartKind> {
        Some(match command {
            Command::Acks(acks) => PartKind::Acks(acks.len()),
            Command::Lease { ask, .. } => PartKind::Lease(ask.max_tasks),
            Command::StagePart(part) => PartKind::Stage(part.batch),
            Command::MakePart(part) => PartKind::Make(part.clone()),
            Command::OpenText(new) => PartKind::Text(new.text),
            Command::StagePiece(piece) => PartKind::Text(piece.text),
            Command::LongAck { text, .. } | Command::LongAnswer { text, .. } => {
                PartKind::Long(*text)
            }
            Command::DropBatch(_) | Command::DropText(_) => PartKind::Drop,
            _ => return None,
        })
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
