//! What follows any step of a connection: answers leave, requests start, reading goes on, or it ends.

use super::Connection;
use super::io::{Writing, Written, close, write_now, write_rest};
use super::out::Out;
use actix::prelude::*;
use std::time::Duration;

/// Answers that wait in memory for a client that does not read; beyond it, no more requests are read or started.
const UNREAD_BYTES: usize = 1 << 20;

/// Bytes written in one go, before other connections get their turn.
pub(super) const TURN_BYTES: usize = 1 << 20;

/// How long a closing connection waits for what it has asked for, so that nothing is handed out to nobody.
const LINGER: Duration = Duration::from_secs(5);

/// How often it is looked whether a client that sends no more, but waits for an answer, is still there.
const PROBE_EVERY: Duration = Duration::from_secs(1);

impl Connection {
    /// After any step: sends what is to be sent, starts what may start, reads on, or ends.
    pub(super) fn go_on(&mut self, ctx: &mut Context<Self>) {
        loop {
            while self.has_room()
                && let Some((tag, request)) = self.order.next()
            {
                self.start(tag, request, ctx);
            }
            if self.gate.is_closed() && self.may_read() {
                self.gate.open();
                self.read_lines(ctx);
            }
            self.send_commands(ctx);
            self.stream(ctx);
            self.write(ctx);
            // What was held back for want of room has to go on when the room came from this very write: nothing else
            // may be under way that would come back here.
            let held_back = self.order.is_ready() || self.gate.is_closed() && self.may_read();
            if !(held_back && self.has_room() || self.can_stream()) {
                break;
            }
        }
        self.catch_up(ctx);
        let bytes = self.order.waiting_bytes();
        if bytes != self.counted {
            self.hub.count_waiting(bytes, self.counted);
            self.counted = bytes;
        }
        if self.ended
            && self.slots.is_empty()
            && self.submit.is_empty()
            && (self.out.is_empty() && self.wire.is_empty() || self.broken)
        {
            self.close(ctx);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.out.len() < UNREAD_BYTES
    }

    pub(super) fn may_read(&self) -> bool {
        !self.deaf
            && !self.compiling
            && self.has_room()
            && self.slots.in_order() < self.limits.in_flight_per_connection
            && self.order.waiting_bytes() <= self.limits.waiting_bytes_per_connection
    }

    /// Writes what there is, as far as the socket takes it at once.
    pub(super) fn write(&mut self, ctx: &mut Context<Self>) {
        if self.broken {
            self.out = Out::default();
            self.wire = Out::default();
        }
        let in_line = self.streams.in_line();
        let Some(io) = self.writing.as_mut() else {
            return;
        };
        let mut left = TURN_BYTES;
        loop {
            let from = match (self.wire.is_empty(), in_line) {
                (false, _) => &mut self.wire,
                (true, false) if !self.out.is_empty() => &mut self.out,
                _ => return,
            };
            let bytes = from.front();
            let bytes = &bytes[..bytes.len().min(left)];
            match write_now(io, bytes) {
                Ok(n) => {
                    let is_all = n == bytes.len();
                    from.advance(n);
                    left -= n;
                    if !is_all || left == 0 {
                        break;
                    }
                }
                Err(error) => return self.give_up(&error, ctx),
            }
        }
        if !in_line {
            self.wire.append(&mut self.out);
        }
        if !self.wire.is_empty()
            && let Some(io) = self.writing.take()
        {
            let rest = std::mem::take(&mut self.wire);
            self.write_on(io, rest, ctx);
        }
    }

    /// Writes the rest when the socket takes it.
    fn write_on(&mut self, io: Writing, rest: Out, ctx: &mut Context<Self>) {
        let patience = Duration::from_millis(self.hub.limits().unread_ms_max);
        let writing = write_rest(io, rest, patience)
            .into_actor(self)
            .map(|written, act, ctx| {
                match written {
                    Ok(Written::All(io)) => act.writing = Some(io),
                    // A watcher that asks for nothing else holds nothing that others need.
                    Ok(Written::Stuck(io, rest)) if act.only_watches() => {
                        return act.write_on(io, rest, ctx);
                    }
                    Ok(Written::Stuck(..)) => act.end_unread(ctx),
                    Err(error) => act.give_up(&error, ctx),
                }
                act.go_on(ctx);
            });
        ctx.spawn(writing);
    }

    fn only_watches(&self) -> bool {
        self.waits.watches() && self.slots.open_requests() == 0
    }

    /// The client asks and does not read: its place is given to others. What has not begun is not begun any more.
    fn end_unread(&mut self, ctx: &mut Context<Self>) {
        tracing::info!(
            connection = self.id.0,
            peer = self.peer,
            unanswered = self.slots.open_requests(),
            "a client does not read its answers; its connection is ended"
        );
        self.hub.count_unread();
        self.deaf = true;
        self.gate.close();
        self.give_up(&std::io::ErrorKind::TimedOut.into(), ctx);
        for (tag, _) in self.order.abandon() {
            self.forget_slot(tag);
        }
    }

    /// The client is gone: nobody reads the answers any more.
    pub(super) fn give_up(&mut self, error: &std::io::Error, ctx: &mut Context<Self>) {
        tracing::debug!(connection = self.id.0, peer = self.peer, %error, "the connection broke");
        if std::mem::replace(&mut self.broken, true) {
            return;
        }
        self.out = Out::default();
        self.wire = Out::default();
        self.end(ctx);
        // What it waits for is answered to nobody; what it asked for and may still be handed out goes back.
        ctx.run_later(LINGER, |act, ctx| act.close(ctx));
    }

    /// The client sends no more. What waits for a task ends now, or a task would be handed to nobody.
    pub(super) fn end(&mut self, ctx: &mut Context<Self>) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.unpark_all(ctx);
        // Whoever half-closed and waits for a task's end may go on waiting; who is gone may not.
        ctx.run_interval(PROBE_EVERY, |act, ctx| {
            if !act.broken && act.writing.as_ref().is_some_and(Writing::is_gone) {
                act.give_up(&std::io::ErrorKind::ConnectionReset.into(), ctx);
            }
        });
    }

    pub(super) fn close(&mut self, ctx: &mut Context<Self>) {
        if !self.closing {
            self.closing = true;
            if let Some(io) = self.writing.take() {
                close(io);
            }
            self.child.finish(ctx);
        }
    }
}
