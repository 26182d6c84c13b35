//! The writes of a connection, and its end.

use super::transport::{RestWritten, SendBuffer, SendHalf, write_rest};
use super::{Connection, Responding};
use crate::bus::Unwatch;
use crate::leases::RunWaits;
use crate::sessions::Closed;
use actix::prelude::*;
use std::io;
use std::time::Duration;

/// Time for which a broken connection stays: leases that it requested may still arrive, and are given back.
const LINGER: Duration = Duration::from_secs(5);

/// Interval at which a client that sends no more, but waits for an answer, is checked to be still there.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl Connection {
    /// Writes as much as the socket takes now. A background write continues with the rest.
    pub(super) fn write(&mut self, ctx: &mut Context<Self>) {
        match self.transport.write(self.long_answers.in_line()) {
            Ok(None) => {}
            Ok(Some((io, rest))) => self.write_rest(io, rest, ctx),
            Err(error) => self.give_up(&error, ctx),
        }
    }

    fn write_rest(&mut self, io: SendHalf, rest: SendBuffer, ctx: &mut Context<Self>) {
        let unread_timeout = Duration::from_millis(self.hub.limits().unread_ms_max);
        let write = write_rest(io, rest, unread_timeout).into_actor(self);
        ctx.spawn(write.map(|written, act, ctx| {
            match written {
                Ok(RestWritten::All(io)) => act.transport.give_back(io),
                // A client that only watches events occupies nothing that others need. One that has half-closed waits for its
                // last bytes only.
                Ok(RestWritten::Stuck(io, rest)) if act.only_watches() && !act.ended => {
                    return act.write_rest(io, rest, ctx);
                }
                Ok(RestWritten::Stuck(..)) => act.end_unread(ctx),
                Err(error) => act.give_up(&error, ctx),
            }
            act.advance(ctx);
        }));
    }

    fn only_watches(&self) -> bool {
        !self.watches.is_empty() && self.responses.open_requests() == 0
    }

    /// The client sends requests and does not read the answers. Ends the connection; requests that have not started are
    /// dropped.
    fn end_unread(&mut self, ctx: &mut Context<Self>) {
        tracing::info!(
            connection = self.id.0,
            peer = self.transport.peer,
            unanswered = self.responses.open_requests(),
            "a client does not read its answers; its connection is ended"
        );
        self.hub.count_unread();
        self.transport.mark_unread();
        self.give_up(&io::ErrorKind::TimedOut.into(), ctx);
        let dropped = self.responses.abandon(self.transport.lines());
        self.count_answered(dropped);
    }

    /// The client is gone: no answer reaches it. The actor stays for a while to give back the leases that still arrive.
    pub(super) fn give_up(&mut self, error: &io::Error, ctx: &mut Context<Self>) {
        tracing::debug!(connection = self.id.0, peer = self.transport.peer, %error, "the connection broke");
        if !self.transport.mark_broken() {
            return;
        }
        self.end(ctx);
        ctx.run_later(LINGER, |act, ctx| act.close(ctx));
    }

    /// The client sends no more. Its parked leases end now: it may never read their tasks.
    pub(super) fn end(&mut self, ctx: &mut Context<Self>) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.unpark_all(ctx);
        // A client that half-closed may wait for its last answers (a `wait`). A client that is gone must not occupy the hub.
        ctx.run_interval(PROBE_INTERVAL, |act, ctx| {
            if !act.transport.is_broken() && act.transport.is_gone() {
                act.give_up(&io::ErrorKind::ConnectionReset.into(), ctx);
            }
        });
    }

    /// Closes the socket and stops the actor.
    pub(super) fn close(&mut self, ctx: &mut Context<Self>) {
        if !self.closing {
            self.closing = true;
            self.transport.close();
            self.child.finish(ctx);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.hub.sessions().do_send(Closed {
                session,
                connection: self.id,
            });
        }
        let runs = self.responses.parked();
        for run in runs.filter_map(|(_, pending)| pending.waiting_run) {
            let waiting = false;
            self.hub.leases().do_send(RunWaits { run, waiting });
        }
        let waits = self
            .responses
            .parked()
            .filter(|(_, pending)| matches!(pending.responding, Responding::Wait(_)));
        for tag in self
            .watches
            .keys()
            .copied()
            .chain(waits.map(|(tag, _)| tag))
        {
            self.hub.bus().do_send(Unwatch((self.id, tag)));
        }
        self.hub.count_waiting(0, self.counted_bytes);
        self.count_unknown_bytes(0);
        self.count_answered(self.responses.open_requests());
        self.hub.connections().remove(self.id.0);
        self.hub.leave();
    }
}
