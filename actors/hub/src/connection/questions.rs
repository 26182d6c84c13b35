//! Requests that change nothing in the store: their answers come from readers, sessions, the tree, the pools.

use super::Connection;
use super::dispatch::unsupported;
use super::slots::Tag;
use crate::answers;
use crate::leases::ListHeld;
use crate::measure::{self, Facts};
use crate::readers::{Question, Told, Unwritten};
use crate::sessions::{CountSessions, ListAgents};
use crate::waiting::Surroundings;
use crate::writer::messages::{GetMetrics, GetStats};
use actix::dev::{Request as Pending, ToEnvelope};
use actix::prelude::*;
use kirosu_protocol::verbs::OK;
use kirosu_protocol::verbs::agents::{AgentsParams, DEFAULT_LIMIT};
use kirosu_protocol::verbs::cancel::CancelParams;
use kirosu_protocol::verbs::drain::DrainAnswer;
use kirosu_protocol::verbs::pools::{PoolsAnswer, PoolsParams};
use kirosu_protocol::{Effect, Error, ErrorCode, Request, Target};
use kirosu_supervision::Tree;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Connection {
    pub(super) fn ask(&mut self, tag: Tag, request: Request, ctx: &mut Context<Self>) {
        match request {
            Request::Hello(ask) => self.hello(tag, ask, ctx),
            Request::List(ask) => self.list(tag, ask, ctx),
            Request::Get(ask) => self.get(tag, ask, ctx),
            Request::Approvals(ask) => self.approvals(tag, ask, ctx),
            Request::Wait(ask) => self.wait(tag, ask, ctx),
            Request::Cancel(CancelParams {
                target: Target::Group(group),
                by,
                reason,
            }) => self.cancel_group(tag, group, by, reason, ctx),
            Request::Retry(ask) => self.retry(tag, ask, ctx),
            Request::Watch(ask) => self.watch(tag, ask, ctx),
            Request::Output(_) | Request::Progress(_) => self.report(tag, request, ctx),
            Request::Usage(ask) => self.usage(tag, ask, ctx),
            Request::Agents(ask) => self.agents(tag, ask, ctx),
            Request::Pools(ask) => self.pools(tag, ask, ctx),
            Request::Reload(_) => self.reload(tag, ctx),
            Request::Tree(_) => match self.hub.tree() {
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
            Request::Metrics(_) => self.metrics(tag, ctx),
            Request::Drain(_) => {
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
            Request::Shutdown(_) => {
                self.answer(tag, &OK);
                self.write(ctx);
                tracing::info!(peer = self.peer, "a client asked for shutdown");
                self.hub.ask_shutdown();
            }
            other => self.refuse(tag, unsupported(other.method().name())),
        }
    }

    fn agents(&mut self, tag: Tag, ask: AgentsParams, ctx: &mut Context<Self>) {
        let (sessions, leases) = (self.hub.sessions().clone(), self.hub.leases().clone());
        let asked = async move {
            Ok((
                sessions.send(ListAgents).await?,
                leases.send(ListHeld).await?,
            ))
        };
        self.ask_future(asked, tag, ctx, move |act, (agents, held), ctx| {
            let limit = ask.limit.unwrap_or(DEFAULT_LIMIT) as usize;
            let after = ask.after.unwrap_or(0);
            let connections = ask.all.then(|| act.hub.roll().page(after, limit));
            // Of thousands of sessions, this takes milliseconds that others would wait for.
            let unwritten = Unwritten::later(move || {
                let mut answer = answers::agents(agents, held);
                if let Some((page, next)) = connections {
                    (answer.connections, answer.next) = (Some(page), next);
                }
                answer
            });
            act.ask_reader(Question::Write(unwritten), tag, ctx, move |act, told, _| {
                if let Told::Json(json) = told {
                    act.answer_json(tag, json);
                }
            });
        });
    }

    fn pools(&mut self, tag: Tag, ask: PoolsParams, ctx: &mut Context<Self>) {
        let Some(pools) = self.hub.pools().cloned() else {
            return match (ask.resize, ask.probe) {
                (None, None) => self.answer(tag, &PoolsAnswer::default()),
                _ => self.refuse(
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
            Ok(mut answer) => {
                // A pool that runs is given no task any more.
                let running = answer
                    .pools
                    .iter_mut()
                    .filter(|pool| pool.state == "running");
                for pool in running.take_while(|_| act.hub.is_draining()) {
                    pool.state = "draining".to_owned();
                }
                act.answer(tag, &answer);
            }
            Err(error) => act.refuse(tag, error),
        });
    }

    fn reload(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(reload) = self.hub.reload().cloned() else {
            return self.refuse(tag, unsupported("reload"));
        };
        let asked = async move { Ok(reload.reload().await) };
        self.ask_future(asked, tag, ctx, move |act, answer, _| match answer {
            Ok(answer) => act.answer(tag, &answer),
            Err(error) => act.refuse(tag, error),
        });
    }

    fn metrics(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let hub = self.hub.clone();
        let asked = async move {
            let (writer, sessions) = (hub.writer().clone(), hub.sessions().clone());
            let oldest = hub.readers().ask(Question::Oldest).await?;
            let pools = match hub.pools().cloned() {
                Some(pools) => pools
                    .pools(PoolsParams::default())
                    .await
                    .unwrap_or_default(),
                None => PoolsAnswer::default(),
            };
            Ok((
                writer.send(GetMetrics).await?,
                sessions.send(CountSessions).await?,
                (oldest, pools.pools),
            ))
        };
        self.ask_future(asked, tag, ctx, move |act, (measured, sessions, (oldest, pools)), _| {
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
                pools,
                restarts: act.hub.tree().map(Tree::restarts).unwrap_or_default(),
                sessions,
                connections: act.hub.connections(),
                unread: act.hub.unread(),
                in_flight: act.hub.in_flight().load(Ordering::Relaxed),
                memory: act.hub.memory(),
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
        let asked = self.hub.readers().ask(question);
        self.ask_future(asked, tag, ctx, move |act, told, ctx| match told {
            Ok(told) => then(act, told, ctx),
            Err(error) => act.refuse(tag, error),
        });
    }

    /// Asks a reader what needs to know why tasks wait.
    pub(super) fn ask_why(
        &mut self,
        question: impl FnOnce(Arc<Surroundings>) -> Question + 'static,
        tag: Tag,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Told, &mut Context<Self>) + 'static,
    ) {
        let hub = self.hub.clone();
        let asked = async move {
            let question = question(Arc::new(hub.surroundings().await));
            hub.readers().ask(question).await
        };
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

    pub(super) fn ask_future<T: 'static>(
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
                    act.forget_wait(tag, ctx);
                    let message = "a part of the hub crashed over this request and was restarted; whether the request took effect is unknown, send it again";
                    act.fail(tag, Error::internal(Effect::Unknown, message), ctx);
                }
            }
            act.go_on(ctx);
        });
        ctx.spawn(asked);
    }
}
