//! One entry of the queue: commands of a submission, or a large command with what its parts have brought so far.

use super::large_lease::LeaseRest;
use crate::caller::{Caller, CommandAnswers, ConnectionId, GiveBack, PendingReply};
use actix::Recipient;
use kirosu_protocol::{NewTask, Task};
use kirosu_store::{BatchId, Command, Outcome, TextId};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// The commands of one submission, or a large command of it.
pub(in crate::writer) struct Entry {
    /// The number of the submission.
    pub arrival: u64,
    pub reply: PendingReply,
    pub commands: VecDeque<Command>,
    /// The state of a large command, whose parts are `commands`.
    pub large: Option<Box<Large>>,
}

/// A large command that is carried out in parts.
pub(in crate::writer) struct Large {
    /// The outcomes of the parts so far, [`Outcome::Ok`] before the first.
    pub gathered: Outcome,
    pub form: Form,
    /// The idempotency keys of its tasks.
    pub keys: HashSet<String>,
    /// Its long texts, which are dropped if it is refused.
    pub texts: Vec<TextId>,
    /// The rest of a lease.
    pub rest: Option<LeaseRest>,
    /// Gets the leases in `gathered` if they reach no client.
    pub give_back: Option<Arc<Recipient<GiveBack>>>,
}

/// The form of a large command, which decides the consequence of a failed part and the form of the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::writer) enum Form {
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
    pub fn new(form: Form) -> Large {
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

/// The kind of a part, which decides the consequence of its failure.
pub(in crate::writer) enum PartKind {
    /// A number of acks. Each is refused.
    Acks(usize),
    /// A lease of at most this number of tasks. The request is answered with the tasks of the parts before, or refused.
    Lease(u32),
    /// Dependencies are read ahead. The request that has them is refused.
    Dependencies,
    /// Long texts are stored. The request to which they belong is refused.
    Text(TextId),
    /// A request whose long texts are stored. It is refused.
    Long(TextId),
    /// A part of a batch is stored. The batch is refused.
    Stage(BatchId),
    /// Tasks of a batch that is stored, or their dependencies. The part is tried again, as the batch cannot be taken back.
    Make(Box<Command>),
    /// A refused batch, or the text of a refused request, is deleted. The next start tries it again.
    Drop,
}

impl Entry {
    /// The sender of its commands.
    pub fn caller(&self) -> &Caller {
        self.reply.caller()
    }

    pub fn connection(&self) -> ConnectionId {
        self.reply.caller().connection
    }

    /// Whether this is a large command and one of its keys is in another entry.
    pub fn holds_key_of(&self, other: &Entry) -> bool {
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

    pub fn has(&self, form: Form) -> bool {
        self.large.as_ref().is_some_and(|large| large.form == form)
    }

    /// Replaces the commands of a refused request by those that drop what is stored of it.
    pub fn drop_stored(&mut self, batch: Option<BatchId>) {
        let texts = self.large.iter_mut();
        let texts = texts.flat_map(|large| std::mem::take(&mut large.texts));
        let drop = texts.map(Command::DropText);
        self.commands = drop.chain(batch.map(Command::DropBatch)).collect();
    }

    /// Drops the long texts of a refused ack of a list, instead of carrying it out.
    pub fn give_up(&mut self, text: TextId) {
        let is_of_text = |command: &Command| match PartKind::of(command) {
            Some(PartKind::Text(other) | PartKind::Long(other)) => other == text,
            _ => false,
        };
        self.commands.retain(|command| !is_of_text(command));
        self.commands.push_front(Command::DropText(text));
    }

    pub fn gather(&mut self, outcome: Outcome) {
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
    pub fn gather_leased(&mut self, outcome: Outcome, asked: u32) {
        let rest = self.large.as_mut().and_then(|large| large.rest.as_mut());
        if let (Some(rest), Outcome::Leased(tasks)) = (rest, &outcome) {
            self.commands.extend(rest.next(asked, tasks));
        }
        self.gather(outcome);
    }

    /// The tasks that parts of a lease have taken. `None` before the first part, and of another command.
    pub fn leased(&mut self) -> Option<&mut Vec<Task>> {
        match &mut self.large.as_mut()?.gathered {
            Outcome::Leased(tasks) => Some(tasks),
            _ => None,
        }
    }

    pub fn take_gathered(&mut self) -> Outcome {
        let large = self.large.as_mut();
        large.map_or(Outcome::Ok, |large| large.take_gathered())
    }

    /// Whether the outcome of the present part may add a further one.
    pub fn goes_on(&self) -> bool {
        let rest = self.large.as_ref().and_then(|large| large.rest.as_ref());
        rest.is_some_and(LeaseRest::goes_on)
    }
}

impl PartKind {
    /// The kind of a command that is a part of a large one.
    pub fn of(command: &Command) -> Option<PartKind> {
        Some(match command {
            Command::Acks(acks) => PartKind::Acks(acks.len()),
            Command::Lease { ask, .. } => PartKind::Lease(ask.max_tasks),
            Command::StagePart(part) => PartKind::Stage(part.batch),
            Command::InsertDependencies(_) | Command::MakePart(_) => {
                PartKind::Make(Box::new(command.clone()))
            }
            Command::PrepareDependencies(_) => PartKind::Dependencies,
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
