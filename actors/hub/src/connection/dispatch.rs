//! From a request to commands for the writer, or a question to somebody else.

use super::Connection;
use super::order::Kind;
use super::settle::{AckPart, Settling};
use super::slots::Tag;
use actix::prelude::*;
use kirosu_protocol::verbs::ack::AckParams;
use kirosu_protocol::verbs::approve::ApproveParams;
use kirosu_protocol::verbs::cancel::CancelParams;
use kirosu_protocol::verbs::enqueue::NewTask;
use kirosu_protocol::verbs::lease::LeaseParams;
use kirosu_protocol::verbs::reject::RejectParams;
use kirosu_protocol::verbs::retry::RetryParams;
use kirosu_protocol::{Effect, Error, ErrorCode, Request, Subject, Target, Verdict};
use kirosu_store::{Command, ParkId};
use std::time::Duration;

/// A request may become two commands; the number of a command is twice its request's tag, plus which.
pub(super) const FIRST: u64 = 0;
/// See [`FIRST`].
pub(super) const SECOND: u64 = 1;

/// The number of a command whose answer goes to no request.
pub(super) const NOBODY: u64 = u64::MAX;

/// The writer's number of a command.
pub(super) fn number(tag: Tag, part: u64) -> u64 {
    tag * 2 + part
}

/// Whose work a request is.
pub(super) fn kind_of(request: &Request) -> Kind {
    match request {
        Request::Enqueue(_)
        | Request::EnqueueBatch(_)
        | Request::Lease(_)
        | Request::Ack(_)
        | Request::Reserve(_)
        | Request::Cancel(CancelParams {
            target: Target::Task(_),
            ..
        })
        | Request::Retry(RetryParams {
            target: Target::Task(_),
            with_dependencies: false,
            ..
        })
        | Request::RetryFailed(_)
        | Request::Approve(_)
        | Request::Answer(_)
        | Request::Reject(_)
        | Request::Ask(_)
        | Request::Pause(_)
        | Request::Resume(_)
        | Request::Heartbeat(_)
        | Request::Release(_)
        | Request::Stats(_) => Kind::Change,
        // Output and progress go by the lease's actor, and must not be overtaken by the ack that follows them.
        _ => Kind::Question,
    }
}

/// What is needed for its answer beside what the writer says.
pub(super) fn settling_of(request: &Request) -> Settling {
    match request {
        Request::Ack(ask) => Settling::Ack(Box::new(AckPart::of(ask))),
        _ => Settling::Plain,
    }
}

impl Connection {
    /// Starts a request whose turn has come.
    pub(super) fn start(&mut self, tag: Tag, request: Request, ctx: &mut Context<Self>) {
        if kind_of(&request) == Kind::Question {
            // What comes before must be under way first.
            self.send_commands(ctx);
            return self.ask(tag, request, ctx);
        }
        match request {
            Request::Lease(ask) => self.lease(tag, ask, ctx),
            Request::Ack(ask) => self.ack(tag, ask, ctx),
            other => match self.command(other) {
                Ok(command) => self.submit.push((number(tag, FIRST), command)),
                Err(error) => self.refuse(tag, error),
            },
        }
    }

    fn command(&self, request: Request) -> Result<Command, Error> {
        Ok(match request {
            Request::Enqueue(mut task) => {
                self.time(&mut task);
                Command::Enqueue(task)
            }
            Request::EnqueueBatch(mut batch) => {
                batch.tasks.iter_mut().for_each(|task| self.time(task));
                Command::EnqueueBatch(batch.tasks)
            }
            Request::Heartbeat(ask) => self.heartbeat(ask),
            Request::Release(ask) => self.release_ask(ask),
            Request::Reserve(ask) => Command::Reserve(Box::new(ask)),
            Request::Cancel(CancelParams {
                target: Target::Task(task),
                by,
                reason,
            }) => Command::Cancel {
                task,
                // A session that gives no name is known by its own.
                by: by.or_else(|| self.session.as_deref().map(str::to_owned)),
                reason,
            },
            Request::Retry(RetryParams {
                target: Target::Task(task),
                ..
            }) => Command::Retry { task },
            Request::RetryFailed(ask) => Command::RetryFailed { queue: ask.queue },
            Request::Approve(ask) => approve(ask),
            Request::Answer(ask) => Command::Answer {
                task: ask.task_id,
                text: ask.text,
                by: ask.by,
            },
            Request::Reject(ask) => reject(ask),
            Request::Ask(mut ask) => {
                ask.fence = ask.fence.or_else(|| self.held.fence(ask.task_id));
                Command::RequestPermission(ask)
            }
            Request::Pause(ask) => Command::Pause(ask.queue),
            Request::Resume(ask) => Command::Resume(ask.queue),
            Request::Stats(_) => Command::Stats,
            other => {
                let message = format!("{} cannot be done by the writer", other.method().name());
                return Err(Error::internal(Effect::None, message));
            }
        })
    }

    /// A delay becomes a time.
    fn time(&self, task: &mut NewTask) {
        if task.delay_ms > 0 {
            let due = self.child.clock().now_ms().saturating_add(task.delay_ms);
            task.run_at_ms = Some(i64::try_from(due).unwrap_or(i64::MAX));
        }
    }

    fn lease(&mut self, tag: Tag, mut ask: LeaseParams, ctx: &mut Context<Self>) {
        if ask.wait_ms > 0 && self.too_many_wait() {
            return self.refuse(tag, too_many_wait());
        }
        ask.lease_ms.get_or_insert(self.limits.lease_ms_default);
        let park = self.may_park(tag, &ask, ctx);
        let session = self.session.as_deref().map(str::to_owned);
        self.submit
            .push((number(tag, FIRST), Command::Lease { ask, session, park }));
    }

    /// Counted when a request starts, not when it is parked: a burst of them is no way around the limit.
    pub(super) fn too_many_wait(&self) -> bool {
        self.waiting >= self.limits.in_flight_per_connection
    }

    /// The name under which a lease may wait in the store, and the timer that ends its wait.
    fn may_park(&mut self, tag: Tag, ask: &LeaseParams, ctx: &mut Context<Self>) -> Option<ParkId> {
        if ask.wait_ms == 0 || self.ended || self.too_many_wait() {
            return None;
        }
        let park = self.hub.next_park();
        let timer = ctx.run_later(Duration::from_millis(ask.wait_ms), move |act, ctx| {
            act.unpark(tag);
            act.go_on(ctx);
        });
        let asked = self.slots.get_mut(tag)?;
        asked.park = Some(park);
        asked.timer = Some(timer);
        asked.waits = true;
        self.waiting += 1;
        Some(park)
    }

    fn ack(&mut self, tag: Tag, ask: AckParams, ctx: &mut Context<Self>) {
        let AckParams {
            mut acks,
            single,
            lease,
        } = ask;
        for ack in &mut acks {
            ack.fence = ack.fence.or_else(|| self.held.fence(ack.task_id));
        }
        let command = match (single, acks.pop()) {
            (true, Some(ack)) => Command::Ack(ack),
            (_, last) => {
                acks.extend(last);
                Command::Acks(acks)
            }
        };
        self.submit.push((number(tag, FIRST), command));
        if let Some(mut ask) = lease {
            ask.lease_ms.get_or_insert(self.limits.lease_ms_default);
            // With too many waiting already, the lease does not wait: the ack must be taken in any case.
            let park = self.may_park(tag, &ask, ctx);
            let session = self.session.as_deref().map(str::to_owned);
            self.submit.push((
                number(tag, SECOND),
                Command::Lease {
                    ask: *ask,
                    session,
                    park,
                },
            ));
        }
    }

    /// Takes a waiting request out of the store; its answer follows the store's.
    pub(super) fn unpark(&mut self, tag: Tag) {
        if let Some(asked) = self.slots.get_mut(tag)
            && let Some(park) = asked.park.take()
        {
            asked.timer = None;
            let part = match asked.settling {
                Settling::Ack(_) => SECOND,
                _ => {
                    asked.settling = Settling::Unparked;
                    FIRST
                }
            };
            self.submit.push((number(tag, part), Command::Unpark(park)));
        }
    }

    /// The client can get no more tasks over this connection.
    pub(super) fn unpark_all(&mut self, ctx: &mut Context<Self>) {
        let parked: Vec<Tag> = self.slots.parked().map(|(tag, _)| tag).collect();
        for tag in parked {
            self.unpark(tag);
        }
        self.send_commands(ctx);
    }
}

fn approve(ask: ApproveParams) -> Command {
    match ask.subject {
        Subject::Task(task) => Command::Approve {
            task,
            fence: ask.fence,
            by: ask.by,
            comment: ask.comment,
        },
        Subject::Approval(approval) => Command::DecidePermission {
            approval,
            verdict: Verdict::Approved,
            by: ask.by,
            reason: ask.comment,
            option: ask.option,
        },
    }
}

fn reject(ask: RejectParams) -> Command {
    match ask.subject {
        Subject::Task(task) => Command::Reject {
            task,
            fence: ask.fence,
            reason: ask.reason,
            by: ask.by,
        },
        Subject::Approval(approval) => Command::DecidePermission {
            approval,
            verdict: Verdict::Rejected,
            by: ask.by,
            reason: ask.reason,
            option: None,
        },
    }
}

/// The refusal of one more request that would wait.
pub(super) fn too_many_wait() -> Error {
    let message =
        "this connection has too many waiting requests; wait for some, or open another connection";
    Error::new(ErrorCode::Busy, message)
}

pub(super) fn unsupported(what: &str) -> Error {
    Error::new(
        ErrorCode::Unsupported,
        format!("{what} is part of the protocol but not of this version"),
    )
}
