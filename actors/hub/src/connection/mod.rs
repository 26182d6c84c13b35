//! One connection: an actor that reads requests, sees to it that they take effect and are answered in order, and tells
//! the client what happens meanwhile.
//!
//! - [`io`] moves bytes, [`out`] keeps those that wait for it, [`slots`] keeps the order of answers, [`order`] the order of effects, [`held`] the leases of
//!   plain clients: none of them knows the hub.
//! - `lines` reads and admits requests, `dispatch` turns them into commands for the writer, `questions` asks others
//!   (`hello`, `tasks`, `holder`, `backup` for those with more to them), `settle` turns what comes back into
//!   the protocol's words, `lists` and `streams` answer what is too long for one piece, `waits` and `watches` keep `wait` and `watch`, and `flow` is what follows each step.

mod along;
mod backup;
mod dispatch;
mod flow;
mod groups;
mod held;
mod hello;
mod holder;
mod io;
mod lines;
mod lists;
mod order;
mod out;
mod peer;
mod questions;
mod settle;
mod slots;
mod streams;
mod tasks;
mod usage;
mod waits;
mod watches;

pub use peer::Peer;

use crate::hub::Hub;
use crate::sessions::Closed;
use crate::writer::messages::{Answers, Caller, Submit};
use actix::prelude::*;
use held::Held;
use io::{Arrived, Gate, Inbound, Writing};
use kirosu_protocol::{
    Fence, Limits, LineSplitter, Notice, PermissionId, PermissionState, RawId, Request, TaskId,
};
use kirosu_store::{Command, ParkId};
use kirosu_supervision::{ChildContext, supervised};
use order::Order;
use out::Out;
use settle::Settling;
use slots::{Slots, Tag};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use streams::Streams;
use waits::Waits;

/// A connection's number within the hub's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// Stands for the hub's own actors.
    pub const HUB: ConnectionId = ConnectionId(0);
}

/// Something the client is told without having asked.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum Notify {
    /// Somebody cancelled the task: stop the run.
    Cancel {
        /// The task.
        task_id: TaskId,
        /// The lease.
        fence: Fence,
        /// Why, where a person said it.
        reason: Option<String>,
    },
    /// The lease is no longer the client's.
    LeaseLost {
        /// The task.
        task_id: TaskId,
        /// The lease.
        fence: Fence,
        /// `expired`, `session_lost` or `taken`.
        reason: &'static str,
    },
    /// A tool question of the run is decided.
    Decided {
        /// The task.
        task_id: TaskId,
        /// The lease.
        fence: Fence,
        /// The question.
        approval_id: PermissionId,
        /// Where it stands now.
        state: PermissionState,
    },
    /// Another connection has taken the session over; this one is closed.
    Superseded,
}

/// What is remembered of a request until it is answered.
struct Asked {
    id: RawId,
    jsonrpc: bool,
    settling: Settling,
    park: Option<ParkId>,
    timer: Option<SpawnHandle>,
    /// Whether it counts among those that wait.
    waits: bool,
}

/// The actor.
pub struct Connection {
    child: ChildContext,
    hub: Hub,
    limits: Arc<Limits>,
    id: ConnectionId,
    peer: String,
    unopened: Option<Peer>,
    writing: Option<Writing>,
    broken: bool,
    /// Whether the client was given up because it does not read: nothing more is read from it either.
    deaf: bool,
    splitter: Rc<RefCell<LineSplitter>>,
    gate: Rc<Gate>,
    /// Whole lines that have not left.
    out: Out,
    /// What leaves before them: the rest of the last write, or a part of a long answer.
    wire: Out,
    streams: Streams,
    slots: Slots<Asked>,
    order: Order<(Tag, Request)>,
    submit: Vec<(u64, Command)>,
    held: Held,
    waits: Waits,
    authenticated: bool,
    greeted: bool,
    session: Option<Arc<str>>,
    own: Option<Addr<Connection>>,
    ended: bool,
    closing: bool,
    /// Whether a request is compiled on another thread: no line is read meanwhile.
    compiling: bool,
    /// Requests that wait in the hub, or may come to.
    waiting: usize,
    /// Bytes of requests that wait here, as the hub counts them.
    counted: usize,
    /// Requests that are not answered, for the roll.
    in_flight: Arc<AtomicUsize>,
}

supervised!(Connection);

impl Connection {
    /// An actor for a client that has just connected. Temporary: a connection that crashed is closed, its client comes again.
    pub fn new(child: ChildContext, hub: Hub, id: u64, peer: Option<Peer>) -> Connection {
        let limits = hub.limits();
        let name = peer
            .as_ref()
            .map_or_else(String::new, |peer| peer.name.clone());
        let now_ms = i64::try_from(child.clock().now_ms()).unwrap_or(i64::MAX);
        Connection {
            in_flight: hub.roll().enter(id, name.clone(), now_ms),
            waiting: 0,
            counted: 0,
            child,
            id: ConnectionId(id),
            peer: name,
            unopened: peer,
            writing: None,
            broken: false,
            deaf: false,
            splitter: Rc::new(RefCell::new(LineSplitter::new(limits.line_bytes))),
            gate: Rc::new(Gate::default()),
            out: Out::default(),
            wire: Out::default(),
            streams: Streams::default(),
            slots: Slots::default(),
            order: Order::default(),
            submit: Vec::new(),
            held: Held::default(),
            waits: Waits::default(),
            authenticated: hub.options().key.is_none(),
            greeted: false,
            session: None,
            own: None,
            ended: false,
            closing: false,
            compiling: false,
            limits,
            hub,
        }
    }

    fn caller(&self, ctx: &mut Context<Self>) -> Caller {
        let own = self.own.clone().unwrap_or_else(|| ctx.address());
        Caller {
            connection: self.id,
            session: self.session.clone(),
            notify: (self.greeted && self.session.is_none()).then(|| own.clone().recipient()),
            reply: own.recipient(),
        }
    }

    /// Sends the writer what has been gathered.
    fn send_commands(&mut self, ctx: &mut Context<Self>) {
        if !self.submit.is_empty() {
            let commands = std::mem::take(&mut self.submit);
            let caller = self.caller(ctx);
            self.hub.writer().do_send(Submit::new(caller, commands));
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
        self.waits.leave(self.id, self.hub.bus());
        self.hub.count_waiting(0, self.counted);
        self.settle_count(self.slots.open_requests());
        self.hub.roll().leave(self.id.0);
        self.hub.leave();
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.own = Some(ctx.address());
        let Some(Peer {
            reading, writing, ..
        }) = self.unopened.take()
        else {
            self.child.finish(ctx);
            return;
        };
        self.writing = Some(writing);
        ctx.add_stream(Inbound::new(
            reading,
            self.splitter.clone(),
            self.gate.clone(),
        ));
        self.child.on_stop(ctx, |act, ctx| {
            act.write(ctx);
            act.close(ctx);
        });
    }
}

impl StreamHandler<Arrived> for Connection {
    fn handle(&mut self, arrived: Arrived, ctx: &mut Self::Context) {
        match arrived {
            Arrived::Bytes => self.read_lines(ctx),
            Arrived::End => {
                self.read_lines(ctx);
                self.read_last_line(ctx);
                self.end(ctx);
            }
            Arrived::Broken(error) => self.give_up(&error, ctx),
        }
        self.go_on(ctx);
    }

    /// The default would stop the actor while answers are owed.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Answers> for Connection {
    type Result = ();

    fn handle(&mut self, answers: Answers, ctx: &mut Self::Context) {
        for (number, answer) in answers.take() {
            self.settle(number, answer, ctx);
        }
        self.go_on(ctx);
    }
}

impl Handler<Notify> for Connection {
    type Result = ();

    fn handle(&mut self, notify: Notify, ctx: &mut Self::Context) {
        let notice = match notify {
            Notify::Cancel {
                task_id,
                fence,
                reason,
            } => Notice::Cancel {
                task_id,
                fence,
                reason,
            },
            Notify::LeaseLost {
                task_id,
                fence,
                reason,
            } => Notice::LeaseLost {
                task_id,
                fence,
                reason: reason.into(),
            },
            Notify::Decided {
                task_id,
                fence,
                approval_id,
                state,
            } => Notice::Decided {
                task_id,
                fence,
                approval_id,
                state,
            },
            Notify::Superseded => {
                self.session = None;
                self.end(ctx);
                return self.close(ctx);
            }
        };
        notice.write(self.out.lines());
        self.go_on(ctx);
    }
}
