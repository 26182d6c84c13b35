//! From lines to admitted requests: framing, authentication, limits.

use super::dispatch::{NOBODY, kind_of, settling_of};
use super::settle::Settling;
use super::slots::Tag;
use super::{Asked, Connection};
use actix::prelude::*;
use kirosu_protocol::accept::{COMPILE_LIMIT, read_known, read_within};
use kirosu_protocol::frame::BadLine;
use kirosu_protocol::{Effect, Error, ErrorCode, Frame, Limits, RawId, Request, SplitLine, answer};
use std::sync::atomic::Ordering;
use tokio::task::spawn_blocking;

impl Connection {
    /// Reads complete lines until there are none, or the connection owes too much.
    pub(super) fn read_lines(&mut self, ctx: &mut Context<Self>) {
        let splitter = self.splitter.clone();
        let mut splitter = splitter.borrow_mut();
        self.limits = self.hub.limits();
        let mut read = 0;
        loop {
            if !self.may_read() {
                self.gate.close();
                break;
            }
            match splitter.next_line() {
                Some(line) => self.read_line(line, ctx),
                None => break,
            }
            read += 1;
        }
        self.child.handled_many(read);
    }

    /// The last line may lack its end.
    pub(super) fn read_last_line(&mut self, ctx: &mut Context<Self>) {
        let splitter = self.splitter.clone();
        let mut splitter = splitter.borrow_mut();
        if let Some(line) = splitter.finish() {
            self.read_line(line, ctx);
        }
    }

    fn read_line(&mut self, line: SplitLine<'_>, ctx: &mut Context<Self>) {
        let limits = self.limits.clone();
        let SplitLine::Text(text) = line else {
            return self.refuse_line(BadLine::too_long(&limits));
        };
        let frame = match Frame::read(text, &limits) {
            Ok(frame) => frame,
            Err(bad) => return self.refuse_line(*bad),
        };
        #[cfg(feature = "fault-injection")]
        if frame.method == "_panic" {
            return self.inject_panic(frame);
        }
        if let Err(error) = self.authorise(&frame).and_then(|()| self.count_in()) {
            return self.refuse_line(BadLine {
                id: frame.id,
                jsonrpc: frame.jsonrpc,
                error,
            });
        }
        let Some(request) = read_known(|| Request::read(&frame.method, &frame.params, &limits))
        else {
            return self.compile(text.to_vec(), frame.id, frame.jsonrpc, ctx);
        };
        let request = request
            .and_then(|request| self.check_trust(&request).map(|()| request))
            .inspect_err(|_| self.settle_count(1));
        match request {
            Ok(request) => self.admit(frame.id, frame.jsonrpc, text.len(), request, ctx),
            Err(error) => self.refuse_line(BadLine {
                id: frame.id,
                jsonrpc: frame.jsonrpc,
                error,
            }),
        }
    }

    /// Reads a request whose `accept` clauses have to be compiled first, on another thread. No further line is read until
    /// that is done, so that the order of requests stays.
    fn compile(&mut self, text: Vec<u8>, id: RawId, jsonrpc: bool, ctx: &mut Context<Self>) {
        let tag = self.slots.open(Asked {
            id,
            jsonrpc,
            settling: Settling::Plain,
            park: None,
            timer: None,
            waits: false,
        });
        self.compiling = true;
        let bytes = text.len();
        let (limits, turn) = (self.limits.clone(), self.hub.compiling());
        let compiled = async move {
            // Never closed; without its turn the request is compiled all the same.
            let _turn = turn.acquire_owned().await.ok();
            spawn_blocking(move || read_compiled(&text, &limits)).await
        };
        ctx.spawn(compiled.into_actor(self).map(move |request, act, ctx| {
            act.compiling = false;
            let request = request.unwrap_or_else(|panicked| {
                tracing::error!(%panicked, "a request could not be read");
                let message = "the hub crashed while it read this request; nothing was done";
                Err(Error::internal(Effect::None, message))
            });
            let request = request.and_then(|request| act.check_trust(&request).map(|()| request));
            match request {
                Ok(request) => act.begin(tag, bytes, request, ctx),
                Err(error) => {
                    act.settle_count(1);
                    act.slots.answer(tag, act.out.lines(), |asked, out| {
                        answer::write_error(out, &asked.id, asked.jsonrpc, &error);
                    });
                }
            }
            act.go_on(ctx);
        }));
    }

    fn admit(
        &mut self,
        id: RawId,
        jsonrpc: bool,
        bytes: usize,
        request: Request,
        ctx: &mut Context<Self>,
    ) {
        let asked = Asked {
            id,
            jsonrpc,
            settling: settling_of(&request),
            park: None,
            timer: None,
            waits: false,
        };
        let tag = self.slots.open(asked);
        self.begin(tag, bytes, request, ctx);
    }

    fn begin(&mut self, tag: Tag, bytes: usize, request: Request, ctx: &mut Context<Self>) {
        match self.order.admit(kind_of(&request), bytes, (tag, request)) {
            Some((tag, request)) => self.start(tag, request, ctx),
            None => self.keep_alive(),
        }
    }

    /// Where the request that has just begun to wait for those before it is a heartbeat, the lease is extended at once: a
    /// long answer that the client reads slowly must not cost it the lease. Its answer, and what it finds then, keep its
    /// place in the order; an extension more changes nothing about that.
    fn keep_alive(&mut self) {
        if let Some((_, Request::Heartbeat(ask))) = self.order.newest() {
            let command = self.heartbeat(ask.clone());
            self.submit.push((NOBODY, command));
        }
    }

    /// The key comes before the method: who has none learns nothing.
    fn authorise(&mut self, frame: &Frame<'_>) -> Result<(), Error> {
        let Some(key) = self.hub.options().key.as_deref() else {
            return Ok(());
        };
        let allowed = match frame.auth.as_deref() {
            Some(token) => same(token, key),
            None => self.authenticated,
        };
        if !allowed {
            return Err(Error::unauthorized());
        }
        if frame.method == "hello" {
            self.authenticated = true;
        }
        Ok(())
    }

    fn count_in(&self) -> Result<(), Error> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let most = self.limits.in_flight_total;
        if self.hub.in_flight().fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        self.settle_count(1);
        let message = format!(
            "the hub has {most} requests under way, which is its limit; nothing was done, send it again later"
        );
        Err(Error::new(ErrorCode::Busy, message))
    }

    /// These requests are under way no more.
    pub(super) fn settle_count(&self, requests: usize) {
        self.in_flight.fetch_sub(requests, Ordering::Relaxed);
        self.hub.in_flight().fetch_sub(requests, Ordering::Relaxed);
    }

    /// Python tasks run as they are on the worker's machine: only where hub (here) and pool opted in.
    fn check_trust(&self, request: &Request) -> Result<(), Error> {
        let is_python = |task: &kirosu_protocol::verbs::enqueue::NewTask| {
            task.task_type == kirosu_protocol::task::TYPE_PYTHON
        };
        let python = match request {
            Request::Enqueue(task) => is_python(task),
            Request::EnqueueBatch(batch) => batch.tasks.iter().any(is_python),
            _ => false,
        };
        if !python || self.hub.options().trust_all_tools {
            return Ok(());
        }
        let message = "python tasks run any code on the agents' machines and are switched off on this hub; start it with `kirosu hub --trust-all-tools` \
                       (and agents with `kirosu agent --trust-all-tools`), or set `trust_all_tools = true` in [hub] and in the pool";
        Err(Error::new(ErrorCode::NotTrusted, message))
    }

    /// Makes the actor at `path` panic; the answer tells whether there is such an actor.
    #[cfg(feature = "fault-injection")]
    fn inject_panic(&mut self, frame: Frame<'_>) {
        let path = frame.params.text("path").unwrap_or_default();
        let found = self.hub.tree().is_some_and(|tree| tree.inject_panic(&path));
        let asked = Asked {
            id: frame.id,
            jsonrpc: frame.jsonrpc,
            settling: Settling::Plain,
            park: None,
            timer: None,
            waits: false,
        };
        let tag = self.slots.open(asked);
        self.slots.answer(tag, self.out.lines(), |asked, out| {
            answer::write_result(out, &asked.id, asked.jsonrpc, &found);
        });
    }

    fn refuse_line(&mut self, bad: BadLine) {
        let asked = Asked {
            id: bad.id,
            jsonrpc: bad.jsonrpc,
            settling: Settling::Plain,
            park: None,
            timer: None,
            waits: false,
        };
        let tag: Tag = self.slots.open(asked);
        self.slots.answer(tag, self.out.lines(), |asked, out| {
            answer::write_error(out, &asked.id, asked.jsonrpc, &bad.error)
        });
    }
}

/// Reads a line that was read before, and compiles the clauses in it.
fn read_compiled(text: &[u8], limits: &Limits) -> Result<Request, Error> {
    let frame = Frame::read(text, limits).map_err(|bad| bad.error)?;
    read_within(COMPILE_LIMIT, || {
        Request::read(&frame.method, &frame.params, limits)
    })
}

/// Compares without telling by its time how much was right.
fn same(given: &str, key: &str) -> bool {
    let (given, key) = (given.as_bytes(), key.as_bytes());
    given.len() == key.len() && given.iter().zip(key).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}
