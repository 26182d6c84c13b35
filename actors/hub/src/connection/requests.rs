//! From received lines to admitted requests: framing, authentication, limits.

use super::Connection;
use super::pending::{PendingRequest, UNANSWERED};
use super::responses::Tag;
use crate::hub::Hub;
use crate::verbs;
use actix::prelude::*;
use kirosu_protocol::accept::{COMPILE_LIMIT, read_known, read_within};
use kirosu_protocol::{
    BadLine, Effect, Error, ErrorCode, Frame, Limits, Request, SplitLine, answer,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::{JoinError, spawn_blocking};

/// Bytes of a line whose parameters are read on another thread. Those of a shorter one are read in a millisecond.
const LONG_LINE: usize = 128 << 10;

impl Connection {
    /// Whether another request may be read.
    pub(super) fn may_read(&self) -> bool {
        !self.transport.is_unread()
            && !self.is_reading_on_blocking_thread
            && self.transport.has_room()
            && self.responses.in_order() < self.limits.in_flight_per_connection
            && self.responses.waiting_bytes() <= self.limits.waiting_bytes_per_connection
    }

    /// Reads the complete lines that have arrived, until the connection has too many unanswered requests.
    pub(super) fn read_lines(&mut self, ctx: &mut Context<Self>) {
        let splitter = self.transport.splitter.clone();
        let mut splitter = splitter.borrow_mut();
        self.limits = self.hub.limits();
        let mut read = 0;
        loop {
            if !self.may_read() {
                self.transport.gate.close();
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

    /// Reads the last line, which may lack its line end.
    pub(super) fn read_last_line(&mut self, ctx: &mut Context<Self>) {
        let splitter = self.transport.splitter.clone();
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
        let request = match text.len() <= LONG_LINE {
            true => read_known(|| Request::read(&frame.method, &frame.params, &limits)),
            false => None,
        };
        let tag = self
            .responses
            .open(PendingRequest::new(frame.id, frame.jsonrpc));
        match request {
            Some(Ok(request)) => self.admit(tag, text.len(), request, ctx),
            Some(Err(error)) => self.refuse(tag, error),
            None => self.read_on_blocking_thread(tag, text.to_vec(), ctx),
        }
    }

    /// Reads a request on another thread, because its line is long or its `accept` clauses must be compiled first. No further
    /// line is read until that is done, so that the order of requests is kept.
    fn read_on_blocking_thread(&mut self, tag: Tag, text: Vec<u8>, ctx: &mut Context<Self>) {
        self.is_reading_on_blocking_thread = true;
        let bytes = text.len();
        let request = read_request(text.into(), self.limits.clone(), self.hub.clone());
        ctx.spawn(request.into_actor(self).map(move |request, act, ctx| {
            act.is_reading_on_blocking_thread = false;
            let request = request.unwrap_or_else(|panicked| {
                tracing::error!(%panicked, "a request could not be read");
                let message = "the hub crashed while it read this request; nothing was done";
                Err(Error::internal(Effect::None, message))
            });
            match request {
                Ok(request) => act.admit(tag, bytes, request, ctx),
                Err(error) => act.refuse(tag, error),
            }
            act.advance(ctx);
        }));
    }

    /// Starts the request, or keeps it until the requests before it allow its start.
    fn admit(&mut self, tag: Tag, bytes: usize, request: Request, ctx: &mut Context<Self>) {
        let kind = verbs::kind_of(&request);
        match self.responses.admit(tag, kind, bytes, request) {
            Some(request) => self.start(tag, request, ctx),
            None => self.extend_lease_early(),
        }
    }

    /// If the request that has just begun to wait is a heartbeat, extends its lease now: a client that reads a long answer
    /// slowly must not lose its lease. The heartbeat itself keeps its place in the order; a second extension does no harm.
    fn extend_lease_early(&mut self) {
        if let Some(Request::Heartbeat(params)) = self.responses.newest_waiting() {
            let command = verbs::heartbeat::command(params.clone(), &self.leases);
            self.commands.push((UNANSWERED, command));
        }
    }

    /// Checks the key, before the method: a client without the key learns nothing.
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

    /// Counts a request as unanswered, for this connection and for the hub. Fails with `busy` at the hub's limit.
    fn count_in(&self) -> Result<(), Error> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let limit = self.limits.in_flight_total;
        if self.hub.in_flight().fetch_add(1, Ordering::Relaxed) < limit {
            return Ok(());
        }
        self.count_answered(1);
        let message = format!(
            "the hub has {limit} requests under way, which is its limit; nothing was done, send it again later"
        );
        Err(Error::new(ErrorCode::Busy, message))
    }

    /// Makes the actor at `path` panic. The answer is whether there is such an actor.
    #[cfg(feature = "fault-injection")]
    fn inject_panic(&mut self, frame: Frame<'_>) {
        let path = frame.params.text("path").unwrap_or_default();
        let found = self.hub.tree().is_some_and(|tree| tree.inject_panic(&path));
        let pending = PendingRequest::new(frame.id, frame.jsonrpc);
        self.answer_uncounted(pending, |pending, out| {
            answer::write_result(out, &pending.id, pending.jsonrpc, &found);
        });
    }

    fn refuse_line(&mut self, bad: BadLine) {
        let pending = PendingRequest::new(bad.id, bad.jsonrpc);
        self.answer_uncounted(pending, |pending, out| {
            answer::write_error(out, &pending.id, pending.jsonrpc, &bad.error)
        });
    }

    /// Answers a line that was never counted as a request.
    fn answer_uncounted(
        &mut self,
        pending: PendingRequest,
        write: impl FnOnce(&PendingRequest, &mut Vec<u8>),
    ) {
        let tag = self.responses.open(pending);
        self.responses.answer(tag, self.transport.lines(), write);
    }
}

/// Reads a line that was read as a frame before. Clauses are compiled for one request at a time, so that they do not take all
/// processors; other requests do not wait for that.
async fn read_request(
    line: Arc<[u8]>,
    limits: Arc<Limits>,
    hub: Hub,
) -> Result<Result<Request, Error>, JoinError> {
    // The semaphores are never closed. If they were, the request would only be read without its turn.
    if line.len() > LONG_LINE {
        let _turn = hub.reading().acquire_owned().await.ok();
        let (line, limits) = (line.clone(), limits.clone());
        let read = move || read_known(|| read_line_again(&line, &limits));
        if let Some(request) = spawn_blocking(read).await? {
            return Ok(request);
        }
    }
    let _turn = hub.compiling().acquire_owned().await.ok();
    spawn_blocking(move || read_within(COMPILE_LIMIT, || read_line_again(&line, &limits))).await
}

fn read_line_again(line: &[u8], limits: &Limits) -> Result<Request, Error> {
    let frame = Frame::read(line, limits).map_err(|bad| bad.error)?;
    Request::read(&frame.method, &frame.params, limits)
}

/// Compares in constant time: the time reveals nothing about how much of the key is right.
fn same(given: &str, key: &str) -> bool {
    let (given, key) = (given.as_bytes(), key.as_bytes());
    given.len() == key.len() && given.iter().zip(key).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}
