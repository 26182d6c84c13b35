//! A client that is not known yet: its connection allows little before the first request with a valid key.
//!
//! Whatever is not the protocol is closed at its first bytes. A web page can make a browser send an HTTP request to any local
//! port, with lines of its choice in the body: no line after a first one that is not a request may be read.

use super::Connection;
use crate::clock::now_ms;
use crate::hub::Hub;
use crate::identity::{ClientIdentity, PeerOwner};
use crate::listener::process::{self, PeerProcess};
use crate::unknown_clients::{ClientOrigin, UnknownSlot};
use actix::prelude::*;
use kirosu_protocol::{BadLine, Error, ErrorCode, LineSplitter, RawId};
use kirosu_tls::{Fingerprint, HandshakeMeter};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

/// The time for the first request with a valid key. A client that needs none has any time.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// The first byte of a client that speaks TLS (RFC 8446, 5.1).
const TLS_RECORD: u8 = 0x16;
/// Bytes of incomplete lines and of TLS handshakes of all unknown clients together.
const UNKNOWN_BYTES: usize = 64 << 20;

/// The state of a connection until its client is known.
#[derive(Debug, Default)]
pub(super) struct Acquaintance {
    /// Whether the client has sent a valid key, or needs none.
    pub is_known: bool,
    /// Whether a line was read. The first one shows the protocol.
    has_line: bool,
    /// Whether the client was turned away. Nothing further is read.
    pub is_refused: bool,
    /// Bytes of its incomplete line, as the hub counts them.
    bytes: usize,
    /// Its place among the connections of its origin, while it is not known, or if it speaks for a run.
    slot: Option<UnknownSlot>,
    /// Its turn to be examined.
    turn: Option<OwnedSemaphorePermit>,
    /// Whether the client had closed the connection before its user could be found out.
    pub was_gone: bool,
}

impl Acquaintance {
    /// `is_known`: whether the client needs no key.
    pub fn new(
        is_known: bool,
        slot: Option<UnknownSlot>,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Acquaintance {
        Acquaintance {
            is_known,
            slot,
            turn,
            ..Acquaintance::default()
        }
    }
}

impl Connection {
    /// Finds out whether a client of the hub's user belongs to a run, while agents are at work.
    pub(super) fn examine_client(&mut self, ctx: &mut Context<Self>) {
        let process = self.transport.process;
        // The next client is accepted when it is dropped.
        let turn = self.acquaintance.turn.take();
        // Of one that is gone cannot be found out whether it belonged to a run.
        if self.transport.owner == PeerOwner::Gone && self.hub.has_live_runs() {
            self.acquaintance.was_gone = true;
            self.belongs_to_run(ctx);
        }
        if self.transport.owner != PeerOwner::Own
            || process == PeerProcess::None
            || !self.hub.has_live_runs()
        {
            return;
        }
        self.is_examined = false;
        let found = spawn_blocking(move || process::find(process));
        ctx.spawn(found.into_actor(self).map(|place, act, ctx| {
            let _turn = turn;
            // Only a panic has no result.
            if place.is_ok_and(|place| !place.in_run) {
                act.is_examined = true;
                return act.advance(ctx);
            }
            act.belongs_to_run(ctx);
            act.await_first_request(ctx);
            act.is_examined = true;
            act.advance(ctx);
        }));
    }

    /// The client belongs to a run, or that cannot be ruled out: it needs the token of the run, or a key of its own.
    fn belongs_to_run(&mut self, ctx: &mut Context<Self>) {
        self.transport.owner = PeerOwner::Run;
        // The certificate of its TLS handshake may be a credential of its own.
        if self.identity.as_ref().is_some_and(|it| it.key.is_some()) {
            return;
        }
        self.identity = None;
        self.acquaintance.is_known = false;
        if self.acquaintance.slot.is_none() {
            match self.hub.enter_unknown(ClientOrigin::Run) {
                Ok(slot) => self.acquaintance.slot = Some(slot),
                Err(refusal) => {
                    self.refuse_client(refusal, ctx);
                    // At once, whether the client takes the refusal or not: it must not occupy a connection.
                    self.write(ctx);
                    self.close(ctx);
                }
            }
        }
    }

    /// Begins the time for the first request.
    pub(super) fn await_first_request(&mut self, ctx: &mut Context<Self>) {
        if !self.acquaintance.is_known {
            ctx.run_later(FIRST_REQUEST, |act, ctx| {
                if !act.acquaintance.is_known {
                    act.refuse_client(Error::unauthorized(), ctx);
                    act.advance(ctx);
                }
            });
        }
    }

    /// The client has sent a valid key. Fails with `busy` if it is the token of a run, and the programs of runs have too many
    /// connections.
    pub(super) fn become_known(&mut self, by: &ClientIdentity) -> Result<(), Error> {
        let slot = match &by.run {
            Some(_) => Some(self.hub.enter_unknown(ClientOrigin::RunWithToken)?),
            None => None,
        };
        self.is_known_now(slot);
        Ok(())
    }

    fn is_known_now(&mut self, slot: Option<UnknownSlot>) {
        self.acquaintance.is_known = true;
        self.acquaintance.slot = slot;
        self.count_unknown_bytes(0);
    }

    /// Whether a line that begins with this byte may be read. The client of a first line that is not an object is refused.
    pub(super) fn admits_line(&mut self, first: Option<u8>, ctx: &mut Context<Self>) -> bool {
        let is_admitted = self.admits_first_byte(first, ctx);
        // After a refusal the lines that follow are refused as well.
        self.acquaintance.has_line |= is_admitted && first.is_some();
        is_admitted
    }

    /// Looks at the bytes of a line that is not complete.
    pub(super) fn examine_rest(&mut self, rest: &LineSplitter, ctx: &mut Context<Self>) {
        let Acquaintance {
            is_known, has_line, ..
        } = self.acquaintance;
        // The first byte is looked for only while it matters.
        if !has_line && !self.admits_first_byte(rest.first_byte(), ctx) {
            return;
        }
        if !is_known && self.count_unknown_bytes(rest.pending()) > UNKNOWN_BYTES {
            let message = "too many clients without a valid key send long lines; send the key with `hello` first";
            self.refuse_client(Error::new(ErrorCode::Busy, message), ctx);
        }
    }

    fn admits_first_byte(&mut self, first: Option<u8>, ctx: &mut Context<Self>) -> bool {
        if self.acquaintance.has_line || first.is_none_or(|first| first == b'{') {
            return true;
        }
        let message = match first {
            Some(TLS_RECORD) => {
                "this port of a Kirosu hub takes no TLS: set hub.tls_certificate and hub.tls_key here, or let the client connect without"
            }
            _ => {
                "this is the port of a Kirosu hub, which takes JSON-RPC requests, one JSON object per line"
            }
        };
        self.refuse_client(Error::new(ErrorCode::ParseError, message), ctx);
        false
    }

    /// Counts the bytes of this client's incomplete line. Returns those of all unknown clients.
    pub(super) fn count_unknown_bytes(&mut self, bytes: usize) -> usize {
        let before = std::mem::replace(&mut self.acquaintance.bytes, bytes);
        self.hub.count_unknown(bytes, before)
    }

    /// The TLS handshake has ended. A certificate that is the credential of a client gives the connection its identity; with
    /// another one, each request needs a key.
    pub(super) fn take_certificate(&mut self, certificate: Option<Fingerprint>) {
        let Some(certificate) = certificate else {
            return;
        };
        let identity = self
            .hub
            .identify_certificate(certificate, now_ms(&self.child));
        match &identity {
            Some(identity) => {
                self.last_key.clone_from(&identity.key);
                self.is_known_now(None);
            }
            None => {
                tracing::info!(connection = self.id.0, peer = self.transport.peer, %certificate, "a client has sent a certificate that is not the credential of a client");
            }
        }
        self.certificate = Some(certificate);
        self.identity = identity.map(Arc::new);
    }

    /// The client does not speak TLS, as this port requires.
    pub(super) fn refuse_plain(&mut self, ctx: &mut Context<Self>) {
        let message = "this port of a Kirosu hub takes only TLS: give your client the hub's fingerprint as hub.tls_fingerprint, or its authority as hub.tls_ca";
        self.refuse_client(Error::new(ErrorCode::ParseError, message), ctx);
    }

    /// The TLS handshake failed: nothing can be sent to the client.
    pub(super) fn refuse_handshake(&mut self, error: &io::Error, ctx: &mut Context<Self>) {
        // Checks of whether a port is open end like this.
        if error.kind() != io::ErrorKind::UnexpectedEof {
            tracing::info!(connection = self.id.0, peer = self.transport.peer, %error, "a TLS handshake failed");
        }
        self.give_up(error, ctx);
    }

    /// Answers with an error, and ends the connection.
    fn refuse_client(&mut self, error: Error, ctx: &mut Context<Self>) {
        let bad = BadLine {
            id: RawId::null(),
            jsonrpc: false,
            error,
        };
        self.turn_away(bad, ctx);
    }

    /// Answers a line with an error, and ends the connection.
    pub(super) fn turn_away(&mut self, bad: BadLine, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.acquaintance.is_refused, true) {
            return;
        }
        // The hub counts those of which there are too many.
        let error = &bad.error;
        if error.code != ErrorCode::Busy {
            tracing::info!(connection = self.id.0, peer = self.transport.peer, %error, "a client was turned away");
        }
        self.transport.gate.close();
        self.count_unknown_bytes(0);
        self.refuse_line(bad);
        self.end(ctx);
    }
}

/// The bytes of a TLS handshake, as the hub counts them.
pub(crate) struct HandshakeBytes {
    hub: Hub,
    bytes: usize,
}

impl HandshakeBytes {
    /// No bytes yet.
    pub fn new(hub: Hub) -> HandshakeBytes {
        HandshakeBytes { hub, bytes: 0 }
    }
}

impl HandshakeMeter for HandshakeBytes {
    fn received(&mut self, bytes: usize) -> io::Result<()> {
        let before = self.bytes;
        self.bytes += bytes;
        match self.hub.count_unknown(self.bytes, before) > UNKNOWN_BYTES {
            true => Err(io::Error::other("too many clients send long handshakes")),
            false => Ok(()),
        }
    }
}

impl Drop for HandshakeBytes {
    fn drop(&mut self) {
        self.hub.count_unknown(0, self.bytes);
    }
}
