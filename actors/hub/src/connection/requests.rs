//! From received lines to admitted requests: framing, authentication, limits.

use super::Connection;
use super::pending::{PendingRequest, UNANSWERED};
use super::responses::Tag;
use super::speaker::{ReadLine, Speaker, Unread};
use crate::access_log::AUTH;
use crate::clock::now_ms;
use crate::hub::Hub;
use crate::identity::{ClientIdentity, PeerOwner, UNKNOWN};
use crate::verbs;
use actix::prelude::*;
use kirosu_protocol::accept::{COMPILE_LIMIT, read_within};
use kirosu_protocol::{
    BadLine, Effect, Error, ErrorCode, Frame, Limits, LongLine, Method, RawId, Request, SplitLine,
    answer,
};
use kirosu_store::Principal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::{JoinError, spawn_blocking};

/// Bytes of a line that is read on another thread. A shorter one is read in a millisecond.
const LONG_LINE: usize = 128 << 10;

/// Wrong keys after which a connection ends.
const WRONG_KEYS: u32 = 3;
/// Pause before a wrong key is answered, so that trying keys takes long.
const WRONG_KEY_PAUSE: Duration = Duration::from_secs(1);

impl Connection {
    /// Whether another request may be read.
    pub(super) fn may_read(&self) -> bool {
        !self.transport.is_unread()
            && !self.acquaintance.is_refused
            && !self.is_reading_on_blocking_thread
            && self.is_examined
            && !self.is_delayed
            && self.wrong_keys < WRONG_KEYS
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
                None => {
                    self.examine_rest(&splitter, ctx);
                    break;
                }
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

    fn speaker(&self) -> Speaker {
        Speaker {
            hub: self.hub.clone(),
            owner: self.transport.owner,
            identity: self.identity.clone(),
            certificate: self.certificate,
            now_ms: now_ms(&self.child),
        }
    }

    fn read_line(&mut self, line: SplitLine<'_>, ctx: &mut Context<Self>) {
        if !self.admits_line(line.first_byte(), ctx) {
            return;
        }
        let limits = self.limits.clone();
        let text = match line {
            SplitLine::Text(text) if text.len() > LONG_LINE => {
                return self.read_long_line(text.into(), ctx);
            }
            SplitLine::Text(text) => text,
            SplitLine::Long(line) => return self.read_long_line(line, ctx),
            SplitLine::TooLong => return self.refuse_line(BadLine::too_long(&limits)),
        };
        let frame = match Frame::read(text, &limits) {
            Ok(frame) => frame,
            Err(bad) => return self.refuse_line(*bad),
        };
        #[cfg(feature = "fault-injection")]
        if frame.method == "_panic" {
            return self.inject_panic(frame);
        }
        let read = self.speaker().read(frame, &limits);
        self.take(read, text.len(), || text.into(), ctx);
    }

    /// Reads a long line on another thread. No further line is read until that is done, so that the order of requests is kept.
    fn read_long_line(&mut self, line: LongLine, ctx: &mut Context<Self>) {
        self.is_reading_on_blocking_thread = true;
        let hub = self.hub.clone();
        let (speaker, limits) = (self.speaker(), self.limits.clone());
        let read = async move {
            // The semaphore is never closed. If it were, the line would only be read without its turn.
            let turn = hub.reading().acquire_owned().await.ok();
            let read = move |text: &[u8]| {
                let frame = Frame::read(text, &limits).map_err(|bad| Unread::Bad(*bad))?;
                let (id, jsonrpc) = (frame.id.clone(), frame.jsonrpc);
                let read = || speaker.read(frame, &limits);
                // The client waits for an answer with this id.
                catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
                    let error = not_read();
                    Err(Unread::Bad(BadLine { id, jsonrpc, error }))
                })
            };
            let read = move || {
                let text = line.join();
                let read = read(&text);
                // Here: the thread goes on if the connection ends meanwhile.
                drop(turn);
                (read, text)
            };
            spawn_blocking(read).await
        };
        ctx.spawn(read.into_actor(self).map(move |read, act, ctx| {
            act.is_reading_on_blocking_thread = false;
            let (read, text) = read.unwrap_or_else(|_| {
                let bad = BadLine {
                    id: RawId::null(),
                    jsonrpc: false,
                    error: not_read(),
                };
                (Err(Unread::Bad(bad)), Vec::new())
            });
            act.take(read, text.len(), || text, ctx);
            act.advance(ctx);
        }));
    }

    /// Takes a line of `bytes` bytes that was read. `text`: the line, to read it again.
    fn take(
        &mut self,
        read: Result<ReadLine, Unread>,
        bytes: usize,
        text: impl FnOnce() -> Vec<u8>,
        ctx: &mut Context<Self>,
    ) {
        let line = match read {
            Ok(line) => line,
            Err(Unread::Bad(bad)) => return self.refuse_line(bad),
            Err(Unread::NoKey(bad)) => {
                if self.transport.owner == PeerOwner::Gone || self.acquaintance.was_gone {
                    self.hub.count_gone(&self.transport.peer);
                }
                self.record_wrong_key();
                return self.refuse_line(bad);
            }
            Err(Unread::WrongKey(bad)) => {
                self.hub.count_wrong_key(&self.transport.peer);
                return self.refuse_wrong_key(bad, ctx);
            }
            Err(Unread::KeyOfHub(bad)) => return self.refuse_wrong_key(bad, ctx),
        };
        if !self.acquaintance.is_known
            && let Err(error) = self.become_known(&line.identity)
        {
            let (id, jsonrpc) = (line.id, line.jsonrpc);
            return self.turn_away(BadLine { id, jsonrpc, error }, ctx);
        }
        if line.identity.key.is_some() {
            self.last_key.clone_from(&line.identity.key);
        }
        if line.method == Some(Method::Hello) {
            self.identity = Some(line.identity.clone());
        }
        if let Err(error) = self.count_in() {
            return self.refuse_line(BadLine {
                id: line.id,
                jsonrpc: line.jsonrpc,
                error,
            });
        }
        let tag = self.responses.open(PendingRequest::new(
            line.id,
            line.jsonrpc,
            line.method,
            Some(line.identity.clone()),
        ));
        match line.request {
            Some(Ok(request)) => self.admit(tag, bytes, request, ctx),
            Some(Err(error)) => self.refuse(tag, error),
            None => self.compile(tag, text(), line.identity, ctx),
        }
    }

    /// Reads a request again on another thread, because its `accept` clauses must be compiled first. No further line is read
    /// until that is done, so that the order of requests is kept.
    fn compile(
        &mut self,
        tag: Tag,
        text: Vec<u8>,
        identity: Arc<ClientIdentity>,
        ctx: &mut Context<Self>,
    ) {
        self.is_reading_on_blocking_thread = true;
        let bytes = text.len();
        let request = read_with_clauses(
            text,
            self.limits.clone(),
            self.hub.clone(),
            identity.clone(),
        );
        ctx.spawn(request.into_actor(self).map(move |request, act, ctx| {
            act.is_reading_on_blocking_thread = false;
            let request = request.unwrap_or_else(|_| Err(not_read()));
            let allowed = request.and_then(|request| identity.allow(request));
            match allowed {
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
            None => self.extend_lease_early(ctx),
        }
    }

    /// If the request that has just begun to wait is a heartbeat, extends its lease now: a client that reads a long answer
    /// slowly must not lose its lease. The heartbeat itself keeps its place in the order; a second extension does no harm.
    fn extend_lease_early(&mut self, ctx: &mut Context<Self>) {
        if let Some((tag, Request::Heartbeat(params))) = self.responses.newest_waiting() {
            let (tag, params) = (*tag, params.clone());
            self.set_commands_by(tag, ctx);
            let command = verbs::heartbeat::command(params, &self.leases);
            self.commands.push((UNANSWERED, command));
        }
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
        let pending = PendingRequest::new(frame.id, frame.jsonrpc, None, None);
        self.answer_uncounted(pending, |pending, out| {
            answer::write_result(out, &pending.id, pending.jsonrpc, &found);
        });
    }

    /// Refuses a line with a wrong key after a pause in which the connection reads no further line. After some wrong keys the
    /// connection ends.
    fn refuse_wrong_key(&mut self, bad: BadLine, ctx: &mut Context<Self>) {
        self.record_wrong_key();
        self.wrong_keys += 1;
        self.is_delayed = true;
        ctx.run_later(WRONG_KEY_PAUSE, move |act, ctx| {
            act.is_delayed = false;
            act.refuse_line(bad);
            if act.wrong_keys >= WRONG_KEYS {
                act.end(ctx);
            }
            act.advance(ctx);
        });
    }

    /// Records a wrong or missing key in the audit trail.
    fn record_wrong_key(&self) {
        let by = Principal {
            who: UNKNOWN.to_owned(),
            role: None,
            peer: self.transport.peer.clone(),
        };
        self.record_refusal(&Arc::new(by), AUTH, ErrorCode::Unauthorized);
    }

    pub(super) fn refuse_line(&mut self, bad: BadLine) {
        let pending = PendingRequest::new(bad.id, bad.jsonrpc, None, None);
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

/// Reads a request and compiles its `accept` clauses: those of one request at a time, so that they do not take all
/// processors. Other requests do not wait for that.
async fn read_with_clauses(
    line: Vec<u8>,
    limits: Arc<Limits>,
    hub: Hub,
    by: Arc<ClientIdentity>,
) -> Result<Result<Request, Error>, JoinError> {
    let turn = hub.compile_turns().next(by.party()).await;
    let read = move || {
        let frame = Frame::read(&line, &limits).map_err(|bad| bad.error)?;
        Request::read(&frame.method, &frame.params, &limits)
    };
    let compile = move || {
        let read = read_within(COMPILE_LIMIT, read);
        // Here: the thread goes on if the connection ends meanwhile.
        drop(turn);
        read
    };
    spawn_blocking(compile).await
}

/// The answer to a request whose reading panicked.
fn not_read() -> Error {
    tracing::error!("a request could not be read");
    let message = "the hub crashed while it read this request; nothing was done";
    Error::internal(Effect::None, message)
}
