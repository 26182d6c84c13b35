//! One connection: an actor that reads requests, starts them in order, and sends their answers in order.
//!
//! A request's way: [`transport`] receives its line, `requests` admits it, [`responses`] keeps the order, and its verb
//! (`crate::verbs`) turns it into a command for the writer or a call of another actor. The outcome comes back to the verb,
//! which answers through `responses` and `transport`. The verbs see the connection through [`RequestScope`].
//!
//! `parking` has the requests that wait, [`leases`] the leases of the client, `long_answers` and `watches` the answers and
//! events that are sent piece by piece, `lifecycle` the end of the connection. [`Connection::advance`] follows each step.

mod identified;
mod leases;
mod lifecycle;
mod long_answers;
mod parking;
mod pending;
mod requests;
mod responses;
mod scope;
mod speaker;
mod transport;
mod unknown;
mod watches;

pub(crate) use leases::{ConnectionLeases, as_holder};
pub(crate) use long_answers::{LongAnswer, SHORT_ANSWER_BYTES};
pub(crate) use pending::{CommandPart, Responding};
pub(crate) use responses::{RequestKind, Tag};
pub(crate) use scope::RequestScope;
pub(crate) use transport::Peer;
pub(crate) use unknown::HandshakeBytes;
pub(crate) use watches::EventWatch;

use crate::bus::Unwatch;
use crate::caller::{Caller, CommandAnswers, ConnectionId, Notify};
use crate::clock::now_ms;
use crate::credentials::LiveKey;
use crate::hub::Hub;
use crate::identity::ClientIdentity;
use crate::leases::RunWaits;
use crate::verbs;
use crate::writer::messages::Submit;
use actix::prelude::*;
use kirosu_protocol::{Error, ErrorCode, Fence, Limits, Request, TaskId, answer};
use kirosu_store::{Command, Outcome, Principal};
use kirosu_supervision::{ChildContext, supervised};
use kirosu_tls::Fingerprint;
use long_answers::LongAnswers;
use parking::Parking;
use pending::{PendingRequest, REVOKED, UNANSWERED, command_origin};
use responses::ResponseQueue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use transport::{Received, Transport};
use unknown::Acquaintance;

/// The actor of one connection.
pub struct Connection {
    child: ChildContext,
    hub: Hub,
    /// The limits in force when the last bytes were read.
    limits: Arc<Limits>,
    id: ConnectionId,
    own: Option<Addr<Connection>>,
    transport: Transport,
    responses: ResponseQueue<PendingRequest, Request>,
    long_answers: LongAnswers,
    leases: ConnectionLeases,
    parking: Parking,
    /// The watches of events, by the request that began each.
    watches: BTreeMap<Tag, EventWatch>,
    /// Commands for the writer that this turn has gathered.
    commands: Vec<(u64, Command)>,
    /// The party for which the client speaks: that of the key that it sent with `hello`, or of a client without a key. `None`
    /// means that each request needs a key.
    identity: Option<Arc<ClientIdentity>>,
    acquaintance: Acquaintance,
    /// The certificate that the client has sent in its TLS handshake.
    certificate: Option<Fingerprint>,
    /// Whether the client has sent `hello`: it understands notices.
    greeted: bool,
    session: Option<Arc<str>>,
    /// Whether the client sends no more requests.
    ended: bool,
    /// Whether the actor stops.
    closing: bool,
    /// Whether a line is read on another thread. No further line is read meanwhile.
    is_reading_on_blocking_thread: bool,
    /// Whether it is known whether the client belongs to a run. No line is read before.
    is_examined: bool,
    /// Whether the answer to a wrong key is delayed. No further line is read meanwhile.
    is_delayed: bool,
    /// The number of wrong keys.
    wrong_keys: u32,
    /// The key of the newest request that had one: leases of this connection belong to it.
    last_key: Option<Arc<LiveKey>>,
    /// The party of `commands`.
    commands_by: Option<Arc<Principal>>,
    /// The party of the newest command, with the name by which it is found again.
    principal: Option<(Arc<str>, Arc<Principal>)>,
    /// Bytes of requests that have not started, as the hub counts them.
    counted_bytes: usize,
    /// The number of unanswered requests, which the hub's list of connections reads.
    in_flight: Arc<AtomicUsize>,
}

supervised!(Connection);

impl Connection {
    /// An actor for a client that has just connected. It is temporary: after a crash the client has to connect again.
    pub fn new(child: ChildContext, hub: Hub, id: u64, mut peer: Option<Peer>) -> Connection {
        let (slot, turn) = peer
            .as_mut()
            .map_or((None, None), |peer| (peer.slot.take(), peer.turn.take()));
        let limits = hub.limits();
        let transport = Transport::new(peer, limits.line_bytes);
        let identity =
            ClientIdentity::keyless(transport.owner, hub.options().keyless).map(Arc::new);
        let in_flight = hub
            .connections()
            .add(id, transport.peer.clone(), now_ms(&child));
        Connection {
            in_flight,
            id: ConnectionId(id),
            own: None,
            transport,
            responses: ResponseQueue::default(),
            long_answers: LongAnswers::default(),
            leases: ConnectionLeases::default(),
            parking: Parking::default(),
            watches: BTreeMap::new(),
            commands: Vec::new(),
            acquaintance: Acquaintance::new(identity.is_some(), slot, turn),
            identity,
            certificate: None,
            greeted: false,
            session: None,
            ended: false,
            closing: false,
            is_reading_on_blocking_thread: false,
            is_examined: true,
            is_delayed: false,
            wrong_keys: 0,
            last_key: None,
            commands_by: None,
            principal: None,
            counted_bytes: 0,
            child,
            limits,
            hub,
        }
    }

    fn address(&self, ctx: &mut Context<Self>) -> Addr<Connection> {
        self.own.clone().unwrap_or_else(|| ctx.address())
    }

    fn caller(&self, ctx: &mut Context<Self>) -> Caller {
        let own = self.address(ctx);
        Caller {
            connection: self.id,
            session: self.session.clone(),
            notify: (self.greeted && self.session.is_none()).then(|| own.clone().recipient()),
            reply: own.recipient(),
            by: None,
        }
    }

    /// Sends the gathered commands to the writer, as one submission.
    fn send_commands(&mut self, ctx: &mut Context<Self>) {
        if !self.commands.is_empty() {
            let commands = std::mem::take(&mut self.commands);
            let caller = Caller {
                by: self.commands_by.take(),
                ..self.caller(ctx)
            };
            self.hub.writer().do_send(Submit::new(caller, commands));
        }
    }

    /// Starts a request whose turn has come.
    fn start(&mut self, tag: Tag, request: Request, ctx: &mut Context<Self>) {
        if verbs::kind_of(&request) == RequestKind::Query {
            // The commands of earlier requests must be on their way before a query can see their effects.
            self.send_commands(ctx);
        }
        if let Err(error) = self.check_valid(tag) {
            return self.refuse(tag, error);
        }
        self.record_action(tag, &request);
        let mut scope = RequestScope {
            connection: self,
            tag,
            ctx,
        };
        if scope
            .identity()
            .is_some_and(|it| it.must_be_person(&request))
        {
            scope.begin_of_person(request);
        } else if let Some(run) = scope.run() {
            scope.begin_of_run(run, request);
        } else {
            scope.begin(request);
        }
    }

    /// Takes the writer's answer to one command.
    fn take_outcome(
        &mut self,
        number: u64,
        answer: Result<Outcome, Error>,
        ctx: &mut Context<Self>,
    ) {
        if number == REVOKED {
            return self.give_session_back(&answer);
        }
        let (tag, part) = command_origin(number);
        let Some(pending) = self.responses.get_mut(tag) else {
            return self.give_back(answer);
        };
        let responding = &pending.responding;
        let finish = match responding {
            Responding::Once(finish) => Some(*finish),
            _ => None,
        };
        let is_group = matches!(responding, Responding::Group(_));
        let prepared = match responding {
            Responding::Prepared(answer) => Some(answer.clone()),
            _ => None,
        };
        let scope = &mut RequestScope {
            connection: self,
            tag,
            ctx,
        };
        match (finish, answer) {
            (Some(finish), Ok(outcome)) => finish(outcome, scope),
            (Some(_), Err(error)) => scope.refuse(error),
            (None, Ok(_)) if let Some(answer) = prepared => scope.answer(&answer),
            (None, Err(error)) if prepared.is_some() => scope.refuse(error),
            (None, answer) if is_group => verbs::group::take(part, answer, scope),
            (None, answer) => verbs::ack::take(part, answer, scope),
        }
    }

    /// The request was answered before. Tasks in the answer go back to the queue.
    fn give_back(&mut self, answer: Result<Outcome, Error>) {
        if let Ok(Outcome::Leased(tasks)) = answer {
            let leases = tasks.iter().map(|task| (task.task_id, task.fence));
            self.release(&leases.collect::<Vec<_>>());
        }
    }

    /// Gives leases back to the queue.
    fn release(&mut self, leases: &[(TaskId, Fence)]) {
        let release = |(task, fence): &(TaskId, Fence)| {
            let command = Command::Release {
                task: *task,
                fence: *fence,
                delay_ms: 0,
                reason: None,
            };
            (UNANSWERED, command)
        };
        self.commands.extend(leases.iter().map(release));
    }

    /// Answers a request: `write` appends the answer's line. A request that is answered already is left alone.
    fn respond(&mut self, tag: Tag, write: impl FnOnce(&PendingRequest, &mut Vec<u8>)) {
        let answered = self.responses.answer(tag, self.transport.lines(), write);
        let Some(pending) = answered else { return };
        self.count_answered(1);
        self.parking.waiting -= usize::from(pending.counts_as_waiting);
        if let Some(run) = pending.waiting_run {
            let waiting = false;
            self.hub.leases().do_send(RunWaits { run, waiting });
        }
        if let Responding::Wait(_) = pending.responding {
            self.hub.bus().do_send(Unwatch((self.id, tag)));
        }
    }

    /// Answers a request with an error.
    fn refuse(&mut self, tag: Tag, error: Error) {
        if error.code == ErrorCode::Internal {
            tracing::error!(connection = self.id.0, %error, "a request failed");
        }
        self.record_refused(tag, error.code);
        self.respond(tag, |pending, out| {
            answer::write_error(out, &pending.id, pending.jsonrpc, &error)
        });
    }

    /// Counts requests as answered, for this connection and for the hub.
    fn count_answered(&self, requests: usize) {
        self.in_flight.fetch_sub(requests, Ordering::Relaxed);
        self.hub.in_flight().fetch_sub(requests, Ordering::Relaxed);
    }

    /// Runs one step of a request, and what follows from it.
    pub(crate) fn step(
        &mut self,
        tag: Tag,
        ctx: &mut Context<Self>,
        step: impl FnOnce(&mut RequestScope<'_>),
    ) {
        step(&mut RequestScope {
            connection: self,
            tag,
            ctx,
        });
        self.advance(ctx);
    }

    /// Follows each step of the connection: starts requests that may start, reads on, sends commands and answers, and ends
    /// the connection when everything is done.
    fn advance(&mut self, ctx: &mut Context<Self>) {
        loop {
            while self.transport.has_room()
                && let Some((tag, request)) = self.responses.next()
            {
                self.start(tag, request, ctx);
            }
            if self.transport.gate.is_closed() && self.may_read() {
                self.transport.gate.open();
                self.read_lines(ctx);
            }
            self.send_commands(ctx);
            self.advance_long_answer(ctx);
            self.write(ctx);
            // If requests were held back and this write has let the client take its answers, they must continue now: perhaps
            // nothing is under way any more that would call this function again.
            let held_back =
                self.responses.is_ready() || self.transport.gate.is_closed() && self.may_read();
            if !(held_back && self.transport.has_room() || self.can_send_part()) {
                break;
            }
        }
        self.advance_watches(ctx);
        self.count_waiting_bytes();
        if self.ended
            && !self.is_reading_on_blocking_thread
            && self.is_examined
            && !self.is_delayed
            && self.responses.is_empty()
            && self.commands.is_empty()
            && (self.transport.is_flushed() || self.transport.is_broken())
        {
            self.close(ctx);
        }
    }

    fn count_waiting_bytes(&mut self) {
        let bytes = self.responses.waiting_bytes();
        if bytes != self.counted_bytes {
            self.hub.count_waiting(bytes, self.counted_bytes);
            self.counted_bytes = bytes;
        }
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.own = Some(ctx.address());
        let Some(inbound) = self.transport.take_inbound() else {
            self.child.finish(ctx);
            return;
        };
        let own = ctx.address().recipient();
        self.hub.connections().set_actor(self.id.0, own);
        ctx.add_stream(inbound);
        self.examine_client(ctx);
        self.await_first_request(ctx);
        self.child.on_stop(ctx, |act, ctx| {
            act.write(ctx);
            act.close(ctx);
        });
    }
}

impl StreamHandler<Received> for Connection {
    fn handle(&mut self, received: Received, ctx: &mut Self::Context) {
        match received {
            Received::Bytes => self.read_lines(ctx),
            Received::End => {
                self.read_lines(ctx);
                self.read_last_line(ctx);
                self.end(ctx);
            }
            Received::Broken(error) => self.give_up(&error, ctx),
            Received::Secure(certificate) => self.take_certificate(certificate),
            Received::NotTls => self.refuse_plain(ctx),
            Received::NotSecure(error) => self.refuse_handshake(&error, ctx),
        }
        self.advance(ctx);
    }

    /// The default stops the actor, which may still have answers to send.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<CommandAnswers> for Connection {
    type Result = ();

    fn handle(&mut self, answers: CommandAnswers, ctx: &mut Self::Context) {
        for (number, answer) in answers.take() {
            self.take_outcome(number, answer, ctx);
        }
        self.advance(ctx);
    }
}

impl Handler<Notify> for Connection {
    type Result = ();

    fn handle(&mut self, notify: Notify, ctx: &mut Self::Context) {
        match notify {
            Notify::Client(notice) => notice.write(self.transport.lines()),
            Notify::Superseded => {
                // The session belongs to another connection now: this one must not close it.
                self.session = None;
                self.end(ctx);
                return self.close(ctx);
            }
            Notify::KeysRevoked => self.end_revoked(ctx),
        }
        self.advance(ctx);
    }
}
