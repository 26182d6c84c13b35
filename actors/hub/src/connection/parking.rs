//! Requests that wait in the hub: a `lease` that is parked in the store, a `wait`. Each has a timer that ends its wait.

use super::Connection;
use super::pending::{CommandPart, Responding, command_number};
use super::responses::Tag;
use actix::prelude::*;
use kirosu_protocol::{Error, ErrorCode};
use kirosu_store::{Command, ParkId};
use std::time::Duration;

/// The waiting requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Parking {
    /// The number of requests that wait or may begin to wait. They are counted when they start, not when they are parked:
    /// else a burst of them would pass the limit.
    pub waiting: usize,
}

impl Connection {
    /// # Errors
    ///
    /// `busy` if the connection has as many waiting requests as it may have.
    pub(super) fn check_may_wait(&self) -> Result<(), Error> {
        if self.parking.waiting < self.limits.in_flight_per_connection {
            return Ok(());
        }
        let message = "this connection has too many waiting requests; wait for some, or open another connection";
        Err(Error::new(ErrorCode::Busy, message))
    }

    /// Allows the store to park a lease request, and starts the timer that ends its wait. Returns the name under which the
    /// store parks it. `None`: the request must be answered at once.
    pub(super) fn allow_park(
        &mut self,
        tag: Tag,
        wait_ms: u64,
        ctx: &mut Context<Self>,
    ) -> Option<ParkId> {
        if wait_ms == 0 || self.ended || self.check_may_wait().is_err() {
            return None;
        }
        let park = self.hub.next_park();
        self.start_wait(tag, wait_ms, ctx, move |act, ctx| {
            act.unpark(tag);
            act.advance(ctx);
        });
        self.responses.get_mut(tag)?.park = Some(park);
        Some(park)
    }

    /// Counts a request as waiting, and runs `end` after `wait_ms` unless the request is answered before.
    pub(super) fn start_wait(
        &mut self,
        tag: Tag,
        wait_ms: u64,
        ctx: &mut Context<Self>,
        end: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        let wait_ms = wait_ms.min(self.validity_ms(tag));
        let timer = ctx.run_later(Duration::from_millis(wait_ms), end);
        if let Some(pending) = self.responses.get_mut(tag) {
            pending.timer = Some(timer);
            pending.counts_as_waiting = true;
            self.parking.waiting += 1;
        }
    }

    /// The store has parked the request: later answers overtake it.
    pub(super) fn park(&mut self, tag: Tag) {
        self.responses.park(tag, self.transport.lines());
        if self.ended {
            // The client can receive no more tasks.
            self.unpark(tag);
        }
    }

    /// Takes a waiting request out of the store. The store's answer to that is the answer of the request.
    pub(super) fn unpark(&mut self, tag: Tag) {
        if let Some(pending) = self.responses.get_mut(tag)
            && let Some(park) = pending.park.take()
        {
            pending.timer = None;
            let part = match pending.responding {
                Responding::Ack(_) => CommandPart::Second,
                _ => CommandPart::First,
            };
            let number = command_number(tag, part);
            self.commands.push((number, Command::Unpark(park)));
        }
    }

    /// Ends the waits of all parked leases: the client can receive no more tasks over this connection.
    pub(super) fn unpark_all(&mut self, ctx: &mut Context<Self>) {
        let parked: Vec<Tag> = self.responses.parked().map(|(tag, _)| tag).collect();
        for tag in parked {
            self.unpark(tag);
        }
        self.send_commands(ctx);
    }
}
