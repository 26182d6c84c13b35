//! From received lines to admitted requests: framing, authentication, limits.

use super::Connection;
use super::pending::{PendingRequest, UNANSWERED};
use super::responses::Tag;
use crate::access_log::AUTH;
use crate::clock::now_ms;
use crate::hub::Hub;
use crate::identity::{ClientIdentity, PeerOwner, UNKNOWN};
use crate::verbs;
use actix::prelude::*;
use kirosu_protocol::accept::{COMPILE_LIMIT, read_known, read_within};
use kirosu_protocol::access::is_same_secret;
use kirosu_protocol::{
    BadLine, Effect, Error, ErrorCode, Frame, Limits, LongLine, Method, RawId, Request, SplitLine,
    answer,
};
use kirosu_store::Principal;
use kirosu_tls::Fingerprint;
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
        if !self.acquaintance.is_known {
            self.is_known_now();
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

/// A line that is not a request, or whose key is wrong.
enum Unread {
    Bad(BadLine),
    NoKey(BadLine),
    WrongKey(BadLine),
    /// A program of a run has sent the hub's own key.
    KeyOfHub(BadLine),
}

/// A line that is a request.
struct ReadLine {
    id: RawId,
    jsonrpc: bool,
    /// Its method. `None` if there is none of its name.
    method: Option<Method>,
    /// The party for which it speaks.
    identity: Arc<ClientIdentity>,
    /// `None` means that `accept` clauses must be compiled first.
    request: Option<Result<Request, Error>>,
}

/// The facts about a connection's client that decide its rights.
struct Speaker {
    hub: Hub,
    owner: PeerOwner,
    identity: Option<Arc<ClientIdentity>>,
    /// That of its TLS handshake.
    certificate: Option<Fingerprint>,
    /// Unix milliseconds.
    now_ms: i64,
}

impl Speaker {
    /// The refusal of a request with a wrong key, or without one.
    fn unauthorized(&self, has_key: bool) -> Error {
        let error = ClientIdentity::unknown(self.owner);
        match self.certificate.filter(|_| !has_key) {
            None => error,
            Some(certificate) => {
                let message = format!(
                    "the client certificate {certificate} is not a credential of this hub, or not any more: `kirosu key add NAME --role ROLE --certificate FILE` adds it"
                );
                Error { message, ..error }
            }
        }
    }

    /// Checks the key and the right, and reads the parameters of a request. The key comes first: a client without it learns
    /// nothing, and costs little.
    fn read(&self, frame: Frame<'_>, limits: &Limits) -> Result<ReadLine, Unread> {
        let is_guess = frame.auth.as_deref().is_some_and(|token| !token.is_empty());
        let identity = match frame.auth.as_deref() {
            Some(token) => self
                .hub
                .identify(token, self.owner, self.now_ms)
                .map(Arc::new),
            None => self.identity.clone(),
        };
        let (id, jsonrpc) = (frame.id, frame.jsonrpc);
        let identity = match identity {
            Some(identity) if identity.is_valid(self.now_ms) => identity,
            // Its token is right, but its time is over.
            Some(identity) if identity.run.is_some() => {
                let error = identity.ended();
                return Err(Unread::Bad(BadLine { id, jsonrpc, error }));
            }
            _ => {
                let error = self.unauthorized(is_guess);
                let bad = BadLine { id, jsonrpc, error };
                return Err(match frame.auth.as_deref().filter(|_| is_guess) {
                    Some(token) if is_same_secret(token, &self.hub.options().key) => {
                        Unread::KeyOfHub(bad)
                    }
                    Some(_) => Unread::WrongKey(bad),
                    None => Unread::NoKey(bad),
                });
            }
        };
        let (read, is_known) = read_known(|| Request::read(&frame.method, &frame.params, limits));
        let allowed = read.and_then(|request| identity.allow(request));
        // Only what is allowed is compiled; of a request with faults, to find those of its clauses.
        let method = Method::from_name(&frame.method);
        let compiles = match &allowed {
            Ok(_) => true,
            Err(error) => {
                error.code == ErrorCode::InvalidParams
                    && method.is_some_and(|method| identity.may_use(method))
            }
        };
        let request = (is_known || !compiles).then_some(allowed);
        Ok(ReadLine {
            id,
            jsonrpc,
            method,
            identity,
            request,
        })
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
