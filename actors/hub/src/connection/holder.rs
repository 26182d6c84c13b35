//! What holders say of their leases: `heartbeat` and `release` go to the writer, `output` and `progress` by way of the
//! lease's actor. The writer finds the lease of a holder who names itself, or no fence.

use super::Connection;
use super::dispatch::{FIRST, number, unsupported};
use super::slots::Tag;
use crate::leases::Forward;
use crate::leases::lease::Report;
use crate::writer::messages::PendingReply;
use actix::prelude::*;
use kirosu_protocol::verbs::heartbeat::HeartbeatParams;
use kirosu_protocol::verbs::release::ReleaseParams;
use kirosu_protocol::{Fence, Request, TaskId};
use kirosu_store::{Command, LIVE_LEASE};

impl Connection {
    /// As the writer takes it.
    pub(super) fn heartbeat(&self, ask: HeartbeatParams) -> Command {
        let fence = self.fence_of(ask.task_id, ask.fence);
        let command = Command::Heartbeat {
            task: ask.task_id,
            fence,
            lease_ms: ask.lease_ms,
        };
        as_holder(fence, ask.worker_id, command)
    }

    /// As the writer takes it.
    pub(super) fn release_ask(&self, ask: ReleaseParams) -> Command {
        let fence = self.fence_of(ask.task_id, ask.fence);
        let command = Command::Release {
            task: ask.task_id,
            fence,
            delay_ms: ask.delay_ms,
            reason: ask.reason,
        };
        as_holder(fence, ask.worker_id, command)
    }

    /// `output` and `progress`.
    pub(super) fn report(&mut self, tag: Tag, request: Request, ctx: &mut Context<Self>) {
        let (task_id, fence, command) = match request {
            Request::Output(ask) => {
                let fence = self.fence_of(ask.task_id, ask.fence);
                let command = Command::Output {
                    task: ask.task_id,
                    fence,
                    chunk: ask.chunk,
                    text: ask.text,
                };
                (ask.task_id, fence, as_holder(fence, ask.worker_id, command))
            }
            Request::Progress(ask) => {
                let fence = self.fence_of(ask.task_id, ask.fence);
                let command = Command::Progress {
                    task: ask.task_id,
                    fence,
                    data: ask.data,
                };
                (ask.task_id, fence, as_holder(fence, ask.worker_id, command))
            }
            other => return self.refuse(tag, unsupported(other.method().name())),
        };
        let owed = PendingReply::new(self.caller(ctx), vec![number(tag, FIRST)]);
        self.hub.leases().do_send(Forward {
            task_id,
            fence,
            report: Report { owed, command },
        });
    }

    /// The lease that is meant: the one named, or else the one that was leased over this connection, or else
    /// the task's live lease.
    fn fence_of(&self, task_id: TaskId, named: Option<Fence>) -> Fence {
        named
            .or_else(|| self.held.fence(task_id))
            .unwrap_or(LIVE_LEASE)
    }
}

fn as_holder(fence: Fence, worker: Option<String>, command: Command) -> Command {
    match (fence, &worker) {
        (0.., None) => command,
        _ => Command::AsHolder {
            worker,
            command: Box::new(command),
        },
    }
}
