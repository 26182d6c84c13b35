//! From what the writer says to the answer of the request.

use super::dispatch::{NOBODY, SECOND};
use super::groups::GroupPart;
use super::slots::Tag;
use super::{Asked, Connection};
use crate::readers::{Question, Told, Unwritten};
use actix::prelude::*;
use kirosu_protocol::answer::{write_error, write_result};
use kirosu_protocol::verbs::OK;
use kirosu_protocol::verbs::ack::{AckAnswer, AckOutcome, AckParams};
use kirosu_protocol::verbs::ask::AskAnswer;
use kirosu_protocol::verbs::enqueue::EnqueueAnswer;
use kirosu_protocol::verbs::enqueue_batch::{EnqueueBatchAnswer, Existing};
use kirosu_protocol::verbs::heartbeat::HeartbeatAnswer;
use kirosu_protocol::verbs::lease::LeaseAnswer;
use kirosu_protocol::verbs::pause::PauseAnswer;
use kirosu_protocol::verbs::retry::RetryAnswer;
use kirosu_protocol::verbs::retry_failed::RetryFailedAnswer;
use kirosu_protocol::verbs::stats::StatsAnswer;
use kirosu_protocol::{DecisionAnswer, Effect, Error, ErrorCode, Fence, Status, Task, TaskId};
use kirosu_store::{Command, Enqueued, Outcome};
use serde::Serialize;

/// Bytes of tasks that are written here: a part of a millisecond.
const HEAVY_BYTES: usize = 256 << 10;

/// What is needed for a request's answer beside what the writer says.
#[derive(Debug)]
pub(super) enum Settling {
    /// Nothing: the outcome is the answer.
    Plain,
    /// A lease whose wait is over: no tasks.
    Unparked,
    /// One or several acks, and perhaps the next tasks.
    Ack(Box<AckPart>),
    /// The change of a group, page by page.
    Group(Box<GroupPart>),
}

/// An ack's answers as they come in.
#[derive(Debug)]
pub(super) struct AckPart {
    tasks: Vec<TaskId>,
    single: bool,
    waits_for_lease: bool,
    acked: Option<Result<Outcome, Error>>,
    leased: Option<Result<Vec<Task>, Error>>,
}

impl AckPart {
    pub(super) fn of(ask: &AckParams) -> AckPart {
        AckPart {
            tasks: ask.acks.iter().map(|ack| ack.task_id).collect(),
            single: ask.single,
            waits_for_lease: ask.lease.is_some(),
            acked: None,
            leased: None,
        }
    }

    fn complete(&self) -> bool {
        self.acked.is_some() && (self.leased.is_some() || !self.waits_for_lease)
    }
}

impl Connection {
    /// Takes one answer of the writer.
    pub(super) fn settle(
        &mut self,
        number: u64,
        answer: Result<Outcome, Error>,
        ctx: &mut Context<Self>,
    ) {
        let (tag, part) = (number / 2, number % 2);
        let Some(asked) = self.slots.get_mut(tag) else {
            return self.give_back(answer, ctx);
        };
        match &mut asked.settling {
            Settling::Ack(state) => {
                if matches!(answer, Ok(Outcome::Parked)) {
                    return self.park_ack(tag, ctx);
                }
                if part == SECOND {
                    state.leased = Some(answer.map(tasks_of));
                } else {
                    state.acked = Some(answer);
                }
                if state.complete() {
                    self.settle_ack(tag, ctx);
                }
            }
            Settling::Group(group) => {
                if group.take(part, answer) {
                    self.change_page(tag, ctx);
                }
            }
            _ => self.settle_one(tag, answer, ctx),
        }
    }

    /// The lease that an ack asked for waits: so does the answer, unless the ack was refused, which is told at once.
    fn park_ack(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(asked) = self.slots.get_mut(tag) else {
            return;
        };
        let Settling::Ack(state) = &mut asked.settling else {
            return;
        };
        if !(state.single && matches!(state.acked, Some(Err(_)))) {
            self.slots.park(tag, self.out.lines());
            self.order.finished();
            if self.ended {
                self.unpark(tag);
            }
            return;
        }
        state.leased = Some(Ok(Vec::new()));
        if let Some(park) = asked.park.take() {
            // Tasks that come in between are given back: nobody asks under this number any more.
            self.submit.push((NOBODY, Command::Unpark(park)));
        }
        self.settle_ack(tag, ctx);
    }

    pub(super) fn settle_one(
        &mut self,
        tag: Tag,
        answer: Result<Outcome, Error>,
        ctx: &mut Context<Self>,
    ) {
        match answer {
            Err(error) => self.refuse(tag, error),
            Ok(Outcome::Parked) => {
                self.slots.park(tag, self.out.lines());
                self.order.finished();
                if self.ended {
                    self.unpark(tag);
                }
            }
            Ok(Outcome::Leased(tasks)) => self.settle_lease(tag, tasks, ctx),
            Ok(Outcome::Enqueued(made)) => self.answer(
                tag,
                &EnqueueAnswer {
                    task_id: made.task_id,
                    existed: made.existed,
                    status: made.existed.then_some(made.status),
                },
            ),
            Ok(Outcome::Batch(made)) => {
                self.answer(
                    tag,
                    &EnqueueBatchAnswer {
                        task_ids: made.iter().map(|one| one.task_id).collect(),
                        existed: made.iter().filter_map(existing).collect(),
                    },
                );
            }
            Ok(Outcome::Reserved(answer)) => self.answer(tag, &*answer),
            Ok(Outcome::Extended { lease_until_ms }) => {
                let leased_until = lease_until_ms as f64 / 1000.0;
                self.answer(
                    tag,
                    &HeartbeatAnswer {
                        ok: true,
                        leased_until,
                    },
                );
            }
            Ok(Outcome::Permission(asked)) => self.answer(
                tag,
                &AskAnswer {
                    approval_id: asked.approval_id,
                    state: asked.state,
                    reason: asked.reason,
                    by: asked.by,
                    rule: asked.rule,
                    option: asked.option,
                },
            ),
            Ok(Outcome::Retried { status, error }) => {
                let failed = (status == Status::Failed).then_some(status);
                self.answer(
                    tag,
                    &RetryAnswer {
                        ok: true,
                        status: failed,
                        error,
                        ..RetryAnswer::default()
                    },
                );
            }
            Ok(Outcome::Counted { count, .. }) => {
                self.answer(tag, &RetryFailedAnswer { retried: count })
            }
            Ok(Outcome::DecidedBefore) => self.answer(
                tag,
                &DecisionAnswer {
                    ok: true,
                    repeated: true,
                },
            ),
            Ok(Outcome::Paused(paused)) => self.answer(tag, &PauseAnswer { ok: true, paused }),
            Ok(Outcome::Stats(mut stats)) => {
                stats.draining = self.hub.is_draining();
                self.answer(tag, &StatsAnswer { stats })
            }
            Ok(Outcome::Ok) if self.is_unparked(tag) => {
                self.answer(tag, &LeaseAnswer { tasks: Vec::new() })
            }
            Ok(Outcome::Ok | Outcome::Ended { .. } | Outcome::Acked(_) | Outcome::Acks(_)) => {
                self.answer(tag, &OK)
            }
            // The writer answers when the work is done.
            Ok(Outcome::Begun(_)) => {}
        }
    }

    fn is_unparked(&mut self, tag: Tag) -> bool {
        matches!(
            self.slots.get_mut(tag),
            Some(Asked {
                settling: Settling::Unparked,
                ..
            })
        )
    }

    /// A timer that is left behind is looked at with every wake of this connection until its time comes.
    pub(super) fn cancel_timer(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        if let Some(timer) = self.slots.get_mut(tag).and_then(|asked| asked.timer.take()) {
            ctx.cancel_future(timer);
        }
    }

    fn settle_lease(&mut self, tag: Tag, tasks: Vec<Task>, ctx: &mut Context<Self>) {
        self.cancel_timer(tag, ctx);
        if self.broken {
            // Nobody reads this answer: the tasks go back at once instead of waiting for their leases to expire.
            self.release(&leases_of(&tasks));
            return self.answer(tag, &LeaseAnswer { tasks: Vec::new() });
        }
        for task in &tasks {
            self.held.remember(task.task_id, task.fence);
        }
        if is_heavy(&tasks) {
            let leases = leases_of(&tasks);
            return self.answer_heavy(tag, LeaseAnswer { tasks }, leases, ctx);
        }
        self.answer(tag, &LeaseAnswer { tasks });
    }

    /// Answers with tasks that would take too long to write here. Should the client be gone by then, they go back.
    fn answer_heavy(
        &mut self,
        tag: Tag,
        answer: impl Serialize + Send + 'static,
        leases: Vec<(TaskId, Fence)>,
        ctx: &mut Context<Self>,
    ) {
        let question = Question::Write(Unwritten::new(answer));
        self.ask_reader(question, tag, ctx, move |act, told, _| {
            if act.broken {
                act.release(&leases);
            }
            if let Told::Json(json) = told {
                act.answer_json(tag, json);
            }
        });
    }

    fn settle_ack(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(Asked {
            settling: Settling::Ack(state),
            ..
        }) = self.slots.get_mut(tag)
        else {
            return;
        };
        let (single, tasks) = (state.single, std::mem::take(&mut state.tasks));
        let acked = state.acked.take().unwrap_or(Ok(Outcome::Ok));
        let mut leased = state.leased.take();
        self.cancel_timer(tag, ctx);
        if self.broken
            && let Some(Ok(tasks)) = &mut leased
        {
            let tasks = std::mem::take(tasks);
            self.release(&leases_of(&tasks));
        }
        let mut answer = AckAnswer::default();
        match (single, acked) {
            (true, Err(error)) => {
                // A refused single ack leases nothing.
                if let Some(Ok(tasks)) = leased {
                    self.release(&leases_of(&tasks));
                    self.send_commands(ctx);
                }
                return self.refuse(tag, error);
            }
            (true, Ok(_)) => answer.ok = Some(true),
            (false, Ok(Outcome::Acks(results))) => {
                let outcome = |(task, result): (TaskId, Result<_, Error>)| {
                    AckOutcome::of(task, result.map(drop))
                };
                answer.acks = Some(tasks.into_iter().zip(results).map(outcome).collect());
            }
            (false, Ok(_)) => {
                answer.acks = Some(
                    tasks
                        .into_iter()
                        .map(|task| AckOutcome::of(task, Ok(())))
                        .collect(),
                )
            }
            (false, Err(error)) => return self.refuse(tag, error),
        }
        match leased {
            None => {}
            Some(Err(error)) if error.code == ErrorCode::Internal => {
                let message = format!(
                    "the acks were taken, but no next task: {error} (the acks may be sent again)"
                );
                return self.refuse(tag, Error::internal(Effect::Unknown, message));
            }
            Some(Err(error)) => return self.refuse(tag, error),
            Some(Ok(next)) => {
                for task in &next {
                    self.held.remember(task.task_id, task.fence);
                }
                if is_heavy(&next) {
                    let leases = leases_of(&next);
                    answer.tasks = Some(next);
                    return self.answer_heavy(tag, answer, leases, ctx);
                }
                answer.tasks = Some(next);
            }
        }
        self.answer(tag, &answer);
    }

    /// An answer nobody waits for any more; tasks in it go back.
    fn give_back(&mut self, answer: Result<Outcome, Error>, ctx: &mut Context<Self>) {
        if let Ok(Outcome::Leased(tasks)) = answer {
            self.release(&leases_of(&tasks));
            self.send_commands(ctx);
        }
    }

    fn release(&mut self, leases: &[(TaskId, Fence)]) {
        let release = |(task, fence): &(TaskId, Fence)| {
            (
                NOBODY,
                Command::Release {
                    task: *task,
                    fence: *fence,
                    delay_ms: 0,
                    reason: None,
                },
            )
        };
        self.submit.extend(leases.iter().map(release));
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, tag: Tag, result: &impl Serialize) {
        self.close_slot(tag, |asked, out| {
            write_result(out, &asked.id, asked.jsonrpc, result)
        });
    }

    /// Refuses a request.
    pub(super) fn refuse(&mut self, tag: Tag, error: Error) {
        if error.code == ErrorCode::Internal {
            tracing::error!(connection = self.id.0, %error, "a request failed");
        }
        self.close_slot(tag, |asked, out| {
            write_error(out, &asked.id, asked.jsonrpc, &error)
        });
    }

    /// Gives up a request that has not begun, without an answer.
    pub(super) fn forget_slot(&mut self, tag: Tag) {
        if self
            .slots
            .answer(tag, self.out.lines(), |_, _| {})
            .is_some()
        {
            self.settle_count(1);
        }
    }

    pub(super) fn close_slot(&mut self, tag: Tag, write: impl FnOnce(&Asked, &mut Vec<u8>)) {
        let parked = self.slots.is_parked(tag);
        if let Some(asked) = self.slots.answer(tag, self.out.lines(), write) {
            self.settle_count(1);
            self.waiting -= usize::from(asked.waits);
            if !parked {
                self.order.finished();
            }
        }
    }
}

fn existing(made: &Enqueued) -> Option<Existing> {
    made.existed.then_some(Existing {
        task_id: made.task_id,
        status: made.status,
    })
}

/// Whether to write the tasks takes so long that others would notice.
fn is_heavy(tasks: &[Task]) -> bool {
    tasks.iter().map(Task::weight).sum::<usize>() > HEAVY_BYTES
}

fn leases_of(tasks: &[Task]) -> Vec<(TaskId, Fence)> {
    let leases = tasks.iter().map(|task| (task.task_id, task.fence));
    leases.collect()
}

fn tasks_of(outcome: Outcome) -> Vec<Task> {
    match outcome {
        Outcome::Leased(tasks) => tasks,
        _ => Vec::new(),
    }
}
