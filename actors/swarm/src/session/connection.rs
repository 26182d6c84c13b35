//! The session's lines to the hub: opened, replaced, ended.

use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::client::{CallError, ConnectionState};

use crate::link::HubLink;
use crate::session::machine::SessionEvent;
use crate::session::{Session, signals};

/// How long a leaving session waits to hear what it was granted last.
const CHECK_TIME: Duration = Duration::from_secs(1);

impl Session {
    /// Opens a line: the first of this incarnation, or its successor.
    pub(super) fn open_link(&mut self, ctx: &mut Context<Self>) {
        let client = self.identity.client(self.link.is_some());
        self.links += 1;
        ctx.add_stream(signals::link(&client, self.links));
        ctx.add_stream(signals::notices(&client));
        match &self.link {
            None => self.link = Some(HubLink::new(client)),
            Some(link) => link.replace(client),
        }
    }

    pub(super) fn link_changed(&mut self, state: ConnectionState, ctx: &mut Context<Self>) {
        match state {
            ConnectionState::Connected(hello) => {
                self.pool.swarm.hub_found();
                self.on(SessionEvent::Connected(hello.leases.clone()), ctx);
            }
            ConnectionState::Connecting(None) => {}
            ConnectionState::Connecting(Some(error)) => self.link_broken(&error, ctx),
            ConnectionState::Closed => self.on(SessionEvent::Disconnected, ctx),
        }
    }

    fn link_broken(&mut self, error: &CallError, ctx: &mut Context<Self>) {
        // Told by the client of a connection that stood: the next attempt may well succeed.
        let broke = matches!(error, CallError::Unreachable { source, .. } if source.kind() == std::io::ErrorKind::Other || source.kind() == std::io::ErrorKind::UnexpectedEof);
        if broke {
            self.on(SessionEvent::Disconnected, ctx);
            return;
        }
        self.pool.swarm.hub_lost(error);
        self.on(SessionEvent::Unreachable, ctx);
    }

    /// Withdraws the parked lease and hears from the next line's `hello` what was granted meanwhile.
    pub(super) fn check(&mut self, ctx: &mut Context<Self>) {
        self.hang_up();
        self.open_link(ctx);
        self.send_after(CHECK_TIME, SessionEvent::CheckOverdue, ctx);
    }

    /// Ends the line, also for an invocation that still has it: it would come back under this session's name and take
    /// the connection away from the next incarnation.
    pub(super) fn hang_up(&self) {
        if let Some(link) = &self.link {
            link.client().close();
        }
    }
}
