//! The session's connection to the hub: opened, replaced, closed.

use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::client::{CallError, ConnectionState};

use crate::link::SessionLink;
use crate::session::machine::Event;
use crate::session::{Session, signals};

/// How long a leaving session waits to learn which leases it was granted last.
const CHECK_TIME: Duration = Duration::from_secs(1);

impl Session {
    /// Opens a client: the first of this incarnation, or a successor.
    pub(super) fn open_link(&mut self, ctx: &mut Context<Self>) {
        let client = self.identity.client(self.link.is_some());
        self.links += 1;
        ctx.add_stream(signals::link(&client, self.links));
        ctx.add_stream(signals::notices(&client));
        match &self.link {
            None => self.link = Some(SessionLink::new(client)),
            Some(link) => link.replace(client),
        }
    }

    pub(super) fn link_changed(&mut self, state: ConnectionState, ctx: &mut Context<Self>) {
        match state {
            ConnectionState::Connected(hello) => {
                self.pool.swarm.hub_found();
                // Another start of the hub knows of no wait; the agents wait again.
                if self.hub_boot.replace(hello.boot_id.clone()).as_ref() != Some(&hello.boot_id) {
                    self.forget_waits();
                }
                self.on(Event::Connected(hello.leases.clone()), ctx);
            }
            ConnectionState::Connecting(None) => {}
            ConnectionState::Connecting(Some(error)) => self.link_broken(&error, ctx),
            ConnectionState::Closed => self.on(Event::Disconnected, ctx),
        }
    }

    fn link_broken(&mut self, error: &CallError, ctx: &mut Context<Self>) {
        // The error of an open connection that broke: the next attempt may well succeed.
        let broke = matches!(error, CallError::Unreachable { source, .. } if source.kind() == std::io::ErrorKind::Other || source.kind() == std::io::ErrorKind::UnexpectedEof);
        if broke {
            self.on(Event::Disconnected, ctx);
            return;
        }
        self.pool.swarm.hub_lost(error);
        self.on(Event::Unreachable, ctx);
    }

    /// Withdraws the parked lease request by a new connection, whose `hello` reports the leases granted meanwhile.
    pub(super) fn check(&mut self, ctx: &mut Context<Self>) {
        self.hang_up();
        self.open_link(ctx);
        self.send_after(CHECK_TIME, Event::CheckOverdue, ctx);
    }

    /// Closes the client, even if an invocation still uses it: it would reconnect under this session's id and take
    /// the connection away from the next incarnation.
    pub(super) fn hang_up(&self) {
        if let Some(link) = &self.link {
            link.client().close();
        }
    }
}
