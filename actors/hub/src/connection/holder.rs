//! What holders say of their leases without the fence, in a worker's name, or by way of the lease's actor.

use super::Connection;
use super::dispatch::{FIRST, heartbeat, number, release, unsupported};
use super::slots::Tag;
use crate::leases::Forward;
use crate::leases::lease::Report;
use crate::readers::{Question, Told};
use crate::writer::messages::Owed;
use actix::prelude::*;
use kirosu_protocol::{Error, ErrorCode, Fence, Request, Status, TaskId};
use kirosu_store::Command;

impl Connection {
    /// `heartbeat`, `release`, `output`, `progress`.
    pub(super) fn holder_says(&mut self, tag: Tag, request: Request, ctx: &mut Context<Self>) {
        match request {
            Request::Heartbeat(ask) => {
                let held = (ask.task_id, ask.fence, ask.worker_id.clone());
                self.as_holder(tag, held, ctx, move |act, fence, _| {
                    act.submit
                        .push((number(tag, FIRST), heartbeat(&ask, fence)));
                });
            }
            Request::Release(ask) => {
                let held = (ask.task_id, ask.fence, ask.worker_id.clone());
                self.as_holder(tag, held, ctx, move |act, fence, _| {
                    act.submit.push((number(tag, FIRST), release(&ask, fence)));
                });
            }
            Request::Output(ask) => {
                let held = (ask.task_id, ask.fence, ask.worker_id);
                self.as_holder(tag, held, ctx, move |act, fence, ctx| {
                    let command = Command::Output {
                        task: ask.task_id,
                        fence,
                        chunk: ask.chunk,
                        text: ask.text,
                    };
                    act.report(tag, (ask.task_id, fence), command, ctx);
                });
            }
            Request::Progress(ask) => {
                let held = (ask.task_id, ask.fence, ask.worker_id);
                self.as_holder(tag, held, ctx, move |act, fence, ctx| {
                    let command = Command::Progress {
                        task: ask.task_id,
                        fence,
                        data: ask.data,
                    };
                    act.report(tag, (ask.task_id, fence), command, ctx);
                });
            }
            other => self.refuse(tag, unsupported(other.method().name())),
        }
    }

    /// Finds the lease that a holder speaks of: by its fence; without one, what was leased over this connection, or else
    /// the current lease. A worker named with it must be the holder.
    fn as_holder(
        &mut self,
        tag: Tag,
        (task_id, given, worker): (TaskId, Option<Fence>, Option<String>),
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Fence, &mut Context<Self>) + 'static,
    ) {
        let fence = given.or_else(|| self.held.fence(task_id));
        let (None, Some(fence)) = (&worker, fence) else {
            let question = Question::Many(vec![task_id]);
            return self.ask_reader(
                question,
                tag,
                ctx,
                move |act, told, ctx| match current_lease(told, task_id, fence, worker.as_deref()) {
                    Ok(fence) => then(act, fence, ctx),
                    Err(error) => act.refuse(tag, error),
                },
            );
        };
        then(self, fence, ctx);
    }

    /// Output and progress go by the lease's actor, which keeps their order and gathers them.
    fn report(
        &mut self,
        tag: Tag,
        (task_id, fence): (TaskId, Fence),
        command: Command,
        ctx: &mut Context<Self>,
    ) {
        let owed = Owed::new(self.caller(ctx), vec![number(tag, FIRST)]);
        self.hub.leases().do_send(Forward {
            task_id,
            fence,
            report: Report { owed, command },
        });
    }
}

/// The fence of a task's newest lease, unless somebody else is named as its holder.
fn current_lease(
    told: Told,
    task_id: TaskId,
    given: Option<Fence>,
    worker: Option<&str>,
) -> Result<Fence, Error> {
    let task = match told {
        Told::Tasks(tasks) => tasks.into_iter().next(),
        _ => None,
    };
    let Some(task) = task else {
        let message = format!("no task has the id {task_id}");
        return Err(Error::new(ErrorCode::UnknownTask, message));
    };
    if let Some(worker) = worker.filter(|worker| task.worker_id.as_deref() != Some(worker)) {
        let message = format!(
            "task {task_id} is not leased to {worker} (it is {}, its newest lease is {}); drop this run",
            task.status, task.fence
        );
        return Err(Error::new(ErrorCode::StaleLease, message).with_data(
            serde_json::json!({ "task_id": task_id, "status": task.status, "fence": task.fence }),
        ));
    }
    match given {
        Some(fence) => Ok(fence),
        None if task.status == Status::Leased => Ok(task.fence),
        None => {
            let message = format!("task {task_id} is {}, not leased", task.status);
            Err(Error::new(ErrorCode::WrongState, message))
        }
    }
}
