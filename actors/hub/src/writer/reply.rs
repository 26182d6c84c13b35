//! Replies after a commit: answers to the callers, changes of leases, events.

use super::Writer;
use super::context::{CommandContext, closed_lease, decided, unanswered};
use super::queue::Taken;
use crate::bus::Publish;
use crate::caller::{CommandAnswers, PendingReply};
use crate::conductor::PlanNews;
use crate::leases::{GrantedLease, LeasesChanged};
use kirosu_protocol::{EventKind, Fence, Task, TaskId};
use kirosu_store::{Applied, EndedLease, Outcome, ParkId};

/// The callers of a commit's commands.
pub(super) struct CommitBatch {
    /// The submissions, in the order of the commit.
    pub taken: Vec<Taken>,
    /// One context per command, in the order of the commit.
    pub contexts: Vec<CommandContext>,
    /// Outcomes that replace the store's, by command. Empty if the writer does not drain.
    pub withheld: Vec<Option<Outcome>>,
}

/// Changes of leases that a commit made.
#[derive(Default)]
struct LeaseChanges {
    granted: Vec<GrantedLease>,
    ended: Vec<(EndedLease, &'static str)>,
}

impl Writer {
    /// Answers the commands of a commit, and reports its effects. The holder of a lease is registered after its answer is
    /// sent, so that a notice about the lease never overtakes the answer that grants it.
    pub(super) fn reply(&mut self, batch: CommitBatch, applied: Applied) {
        let mut changes = LeaseChanges::default();
        let contexts = batch.contexts;
        let mut withheld = batch.withheld.into_iter();
        let outcomes = applied.outcomes.into_iter();
        let mut outcomes = outcomes
            .map(|outcome| withheld.next().flatten().map_or(outcome, Ok))
            .zip(contexts.iter());
        for taken in batch.taken {
            match taken {
                Taken::Whole(reply) => self.reply_to_one(reply, &mut outcomes, &mut changes),
                Taken::Parts(entry, parts) => {
                    // That of the last part, which counts only for a lease. A lease has one part per commit.
                    let mut context = CommandContext::default();
                    let outcomes = outcomes.by_ref().map(|(outcome, of)| {
                        context = *of;
                        outcome
                    });
                    if let Some((reply, answer)) = self.queue.advance(entry, parts, outcomes) {
                        let mut answer = std::iter::once((answer, &context));
                        self.reply_to_one(reply, &mut answer, &mut changes);
                    }
                }
            }
        }
        for (work, outcome) in applied.finished {
            if let Some(reply) = self.works.remove(&work) {
                reply.answer(std::iter::once(Ok(outcome)), None);
            }
        }
        let ended = applied.ended.into_iter();
        changes
            .ended
            .extend(ended.map(|lease| (lease, "cancelled")));
        for (park, tasks) in applied.woken {
            changes.granted.extend(self.wake(park, tasks));
        }
        for park in contexts.iter().filter_map(|context| context.unparked) {
            self.parked.0.remove(&park);
        }
        let closed: Vec<_> = applied.changes.iter().filter_map(closed_lease).collect();
        self.queue.forget_leases(&closed);
        if !applied.plans.is_empty() {
            self.factory.conductor.do_send(PlanNews(applied.plans));
        }
        self.report(changes, closed, applied.changes);
    }

    /// Answers one submission with the next outcomes.
    fn reply_to_one<'a>(
        &mut self,
        mut reply: PendingReply,
        outcomes: &mut impl Iterator<
            Item = (Result<Outcome, kirosu_protocol::Error>, &'a CommandContext),
        >,
        changes: &mut LeaseChanges,
    ) {
        let mut results = Vec::with_capacity(reply.numbers().len());
        let mut begun = Vec::new();
        let mut leases = false;
        for number in reply.numbers() {
            let (outcome, context) = outcomes.next().map_or_else(
                || (Err(unanswered()), CommandContext::default()),
                |(o, c)| (o, *c),
            );
            match &outcome {
                // Answered by a later commit.
                Ok(Outcome::Begun(work)) => {
                    begun.push((*work, *number));
                    continue;
                }
                Ok(Outcome::Parked) => {
                    if let Some(park) = context.park {
                        let caller = reply.caller().clone();
                        self.parked.0.insert(park, (caller, *number));
                    }
                }
                Ok(Outcome::Leased(tasks)) => {
                    leases |= !tasks.is_empty();
                    let granted = GrantedLease::of(tasks, reply.caller());
                    changes.granted.extend(granted);
                }
                Ok(Outcome::Ended { leases, .. }) => {
                    let ended = leases.iter().cloned();
                    changes
                        .ended
                        .extend(ended.map(|lease| (lease, context.why)));
                }
                _ => {}
            }
            results.push(outcome);
        }
        for (work, number) in begun {
            self.works.insert(work, reply.split(number));
        }
        let give_back = self.queue.give_back.clone().filter(|_| leases);
        reply.answer(results.into_iter(), give_back);
    }

    /// Sends tasks to a parked request.
    fn wake(&mut self, park: ParkId, tasks: Vec<Task>) -> Vec<GrantedLease> {
        let Some((caller, number)) = self.parked.0.remove(&park) else {
            return Vec::new();
        };
        let granted = GrantedLease::of(&tasks, &caller).collect();
        let answer = vec![(number, Ok(Outcome::Leased(tasks)))];
        let answers = CommandAnswers::with_leases(answer, self.queue.give_back.clone());
        caller.reply.do_send(answers);
        granted
    }

    /// Sends the effects of a commit to the lease registry and to the event bus.
    fn report(&self, leases: LeaseChanges, closed: Vec<(TaskId, Fence)>, events: Vec<EventKind>) {
        let LeaseChanges { granted, ended } = leases;
        let decided: Vec<_> = events.iter().filter_map(decided).collect();
        if !(granted.is_empty() && ended.is_empty() && closed.is_empty() && decided.is_empty()) {
            self.factory.leases.do_send(LeasesChanged {
                granted,
                closed,
                decided,
                ended,
            });
        }
        if !events.is_empty() {
            self.factory.bus.do_send(Publish(events));
        }
    }
}
