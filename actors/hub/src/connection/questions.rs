//! Requests that change nothing in the store: their answers come from readers, sessions, the tree, the pools.

use super::dispatch::{FIRST, heartbeat, number, release, unsupported};
use super::slots::Tag;
use super::{Connection, answers};
use crate::leases::lease::Report;
use crate::leases::{Forward, Holder, ListHeld};
use crate::measure::{self, Facts};
use crate::readers::{Ask, Question, Told};
use crate::sessions::table::Newcomer;
use crate::sessions::{ListAgents, Open};
use crate::writer::messages::{GetMetrics, GetStats, Owed};
use actix::dev::{Request as Pending, ToEnvelope};
use actix::prelude::*;
use kirosu_protocol::verbs::OK;
use kirosu_protocol::verbs::agents::{AgentsAsk, DEFAULT_LIMIT};
use kirosu_protocol::verbs::drain::DrainAnswer;
use kirosu_protocol::verbs::get::GetAsk;
use kirosu_protocol::verbs::hello::{HelloAnswer, HelloAsk, PROTOCOL};
use kirosu_protocol::verbs::list::{ListAnswer, ListAsk, ListStatus};
use kirosu_protocol::verbs::pools::{PoolsAnswer, PoolsAsk};
use kirosu_protocol::{Error, ErrorCode, Fence, Request, Status, TaskId};
use kirosu_store::{Command, ListQuery};
use kirosu_supervision::Tree;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Chunks of output that one `get` answers at the most.
const OUTPUT_CHUNKS: u32 = 10_000;

impl Connection {
    pub(super) fn ask(&mut self, tag: Tag, request: Request, ctx: &mut Context<Self>) {
        match request {
            Request::Hello(ask) => self.hello(tag, ask, ctx),
            Request::List(ask) => self.list(tag, ask, ctx),
            Request::Get(ask) => self.get(tag, ask, ctx),
            Request::Wait(ask) => self.wait(tag, ask, ctx),
            Request::Watch(ask) => self.watch(tag, ask, ctx),
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
            Request::Agents(ask) => self.agents(tag, ask, ctx),
            Request::Pools(ask) => self.pools(tag, ask, ctx),
            Request::Tree => match self.hub.tree() {
                Some(tree) => {
                    let answer = answers::tree(&tree.snapshot());
                    self.answer(tag, &answer);
                }
                None => self.refuse(
                    tag,
                    unsupported("`tree` (the hub runs without a supervision tree)"),
                ),
            },
            Request::Backup(ask) => self.backup(tag, ask, ctx),
            Request::Metrics => self.metrics(tag, ctx),
            Request::Drain => {
                self.hub.drain();
                self.ask_actor(
                    self.hub.writer().send(GetStats),
                    tag,
                    ctx,
                    move |act, stats| {
                        let leased = u64::try_from(stats.leased).unwrap_or(0);
                        act.answer(tag, &DrainAnswer { ok: true, leased });
                    },
                );
            }
            Request::Shutdown => {
                self.answer(tag, &OK);
                self.write(ctx);
                tracing::info!(peer = self.peer, "a client asked for shutdown");
                self.hub.ask_shutdown();
            }
            other => self.refuse(tag, unsupported(other.method().name())),
        }
    }

    fn hello(&mut self, tag: Tag, ask: HelloAsk, ctx: &mut Context<Self>) {
        self.greeted = true;
        let Some(session) = ask.session_id else {
            let answer = self.hello_answer(None, false, Vec::new());
            return self.answer(tag, &answer);
        };
        if self
            .session
            .as_deref()
            .is_some_and(|present| present != session)
        {
            let message = "this connection has a session already; open another connection for another session";
            return self.refuse(tag, Error::new(ErrorCode::WrongState, message));
        }
        let who = Newcomer {
            session: session.clone(),
            name: ask.name.unwrap_or_else(|| session.clone()),
            peer: self.peer.clone(),
            connection: self.id.0,
            notify: self.caller_address(ctx).recipient(),
            resume: ask.resume,
        };
        let session: Arc<str> = session.into();
        self.session = Some(session.clone());
        self.hub.roll().opened(self.id.0, session.clone());
        let (sessions, leases) = (self.hub.sessions().clone(), self.hub.leases().clone());
        let asked = async move {
            let resumed = sessions.send(Open(who)).await?;
            Ok((resumed, leases.send(ListHeld).await?))
        };
        self.ask_future(asked, tag, ctx, move |act, (resumed, held), _| {
            let mine = Holder::Session(session.clone());
            let leases = if ask.resume {
                held.into_iter()
                    .filter(|(holder, _)| *holder == mine)
                    .map(|(_, lease)| lease)
                    .collect()
            } else {
                Vec::new()
            };
            let answer = act.hello_answer(Some(session.to_string()), resumed, leases);
            act.answer(tag, &answer);
        });
    }

    fn hello_answer(
        &self,
        session_id: Option<String>,
        resumed: bool,
        leases: Vec<kirosu_protocol::verbs::hello::HeldLease>,
    ) -> HelloAnswer {
        HelloAnswer {
            protocol: PROTOCOL,
            server: "kirosu".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            limits: (*self.limits).clone(),
            session_id,
            resumed,
            leases,
            boot_id: self.hub.boot_id().into(),
        }
    }

    fn list(&mut self, tag: Tag, ask: ListAsk, ctx: &mut Context<Self>) {
        let status = match ask.status {
            ListStatus::Any => None,
            ListStatus::Is(status) => Some(status),
            ListStatus::Unknown => {
                return self.ask_actor(
                    self.hub.writer().send(GetStats),
                    tag,
                    ctx,
                    move |act, stats| {
                        act.answer(
                            tag,
                            &ListAnswer {
                                tasks: Vec::new(),
                                stats,
                                next: None,
                            },
                        );
                    },
                );
            }
        };
        let query = ListQuery {
            status,
            queue: ask.queue,
            task_type: ask.task_type,
            parent_id: ask.parent_id,
            limit: ask.limit.map_or(0, i64::from),
            before_id: ask.before,
        };
        let (reader, writer) = (self.hub.reader().clone(), self.hub.writer().clone());
        let asked = async move {
            let told = reader.send(Ask(Question::List(query))).await?;
            Ok((told, writer.send(GetStats).await?))
        };
        self.ask_future(asked, tag, ctx, move |act, (told, stats), _| match told {
            Ok(Told::Page(page)) => act.answer(
                tag,
                &ListAnswer {
                    tasks: page.tasks,
                    stats,
                    next: page.next_before,
                },
            ),
            Ok(_) => {}
            Err(error) => act.refuse(tag, error),
        });
    }

    fn get(&mut self, tag: Tag, ask: GetAsk, ctx: &mut Context<Self>) {
        let question = Question::Get {
            task: ask.task_id,
            attempt: ask.attempt,
            chunks: if ask.output { OUTPUT_CHUNKS } else { 0 },
        };
        self.ask_reader(question, tag, ctx, move |act, told, _| match told {
            Told::Detail(Some(detail)) => match answers::detail(*detail, &ask) {
                Ok(answer) => act.answer(tag, &answer),
                Err(error) => act.refuse(tag, error),
            },
            _ => {
                let message = format!("no task has the id {}", ask.task_id);
                act.refuse(tag, Error::new(ErrorCode::UnknownTask, message));
            }
        });
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

    fn agents(&mut self, tag: Tag, ask: AgentsAsk, ctx: &mut Context<Self>) {
        let (sessions, leases) = (self.hub.sessions().clone(), self.hub.leases().clone());
        let asked = async move {
            Ok((
                sessions.send(ListAgents).await?,
                leases.send(ListHeld).await?,
            ))
        };
        self.ask_future(asked, tag, ctx, move |act, (agents, held), _| {
            let mut answer = answers::agents(agents, held);
            if ask.all {
                let limit = ask.limit.unwrap_or(DEFAULT_LIMIT) as usize;
                let (page, next) = act.hub.roll().page(ask.after.unwrap_or(0), limit);
                (answer.connections, answer.next) = (Some(page), next);
            }
            act.answer(tag, &answer);
        });
    }

    fn pools(&mut self, tag: Tag, ask: PoolsAsk, ctx: &mut Context<Self>) {
        let Some(pools) = self.hub.pools().cloned() else {
            return match ask.resize {
                None => self.answer(tag, &PoolsAnswer::default()),
                Some(_) => self.refuse(
                    tag,
                    Error::new(
                        ErrorCode::NotFound,
                        "this hub runs without pools; start one with `kirosu up`",
                    ),
                ),
            };
        };
        let asked = async move { Ok(pools.pools(ask).await) };
        self.ask_future(asked, tag, ctx, move |act, answer, _| match answer {
            Ok(answer) => act.answer(tag, &answer),
            Err(error) => act.refuse(tag, error),
        });
    }

    fn metrics(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let hub = self.hub.clone();
        let asked = async move {
            let (writer, sessions) = (hub.writer().clone(), hub.sessions().clone());
            let oldest = hub.reader().send(Ask(Question::Oldest)).await?;
            Ok((
                writer.send(GetMetrics).await?,
                sessions.send(ListAgents).await?,
                oldest,
            ))
        };
        self.ask_future(asked, tag, ctx, move |act, (measured, agents, oldest), _| {
            let oldest = match oldest {
                Ok(Told::Oldest(oldest)) => oldest,
                Ok(_) => Vec::new(),
                Err(error) => {
                    tracing::warn!(%error, "the ages of the oldest tasks are not among the metrics");
                    Vec::new()
                }
            };
            let answer = measure::answer(&Facts {
                measured: *measured,
                oldest,
                restarts: act.hub.tree().map(Tree::restarts).unwrap_or_default(),
                sessions: (agents.len(), agents.iter().filter(|a| a.connected).count()),
                connections: act.hub.connections(),
                in_flight: act.hub.in_flight().load(Ordering::Relaxed),
                draining: act.hub.is_draining(),
                now_ms: i64::try_from(act.child.clock().now_ms()).unwrap_or(i64::MAX),
            });
            act.answer(tag, &answer);
        });
    }

    pub(super) fn caller_address(&self, ctx: &mut Context<Self>) -> Addr<Connection> {
        self.own.clone().unwrap_or_else(|| ctx.address())
    }

    /// Asks a reader; a refusal is answered at once.
    pub(super) fn ask_reader(
        &mut self,
        question: Question,
        tag: Tag,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Told, &mut Context<Self>) + 'static,
    ) {
        let reader = self.hub.reader().clone();
        let asked = async move { reader.send(Ask(question)).await };
        self.ask_future(asked, tag, ctx, move |act, told, ctx| match told {
            Ok(told) => then(act, told, ctx),
            Err(error) => act.refuse(tag, error),
        });
    }

    /// Asks an actor; if it crashes over it, the client learns that.
    pub(super) fn ask_actor<A, M>(
        &mut self,
        pending: Pending<A, M>,
        tag: Tag,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, M::Result) + 'static,
    ) where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + Unpin + 'static,
        M::Result: Send,
    {
        self.ask_future(pending, tag, ctx, move |act, result, _| then(act, result));
    }

    fn ask_future<T: 'static>(
        &mut self,
        asked: impl Future<Output = Result<T, MailboxError>> + 'static,
        tag: Tag,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        let asked = asked.into_actor(self).map(move |result, act, ctx| {
            match result {
                Ok(result) => then(act, result, ctx),
                Err(_) => {
                    let message = "a part of the hub crashed over this request and was restarted; send it again";
                    act.refuse(tag, Error::new(ErrorCode::Internal, message));
                }
            }
            act.go_on(ctx);
        });
        ctx.spawn(asked);
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
