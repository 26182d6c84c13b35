//! Sessions: who works for the hub, over which connection, and what happens when one stays away.
//!
//! The table belongs to the recipe: a crash of this actor forgets nobody.

pub mod table;

use crate::bus::{Bus, Publish};
use crate::connection::{ConnectionId, Notify};
use crate::leases::lost;
use crate::writer::Writer;
use crate::writer::messages::{Answers, Caller, Submit};
use actix::dev::{MessageResponse, RecipientRequest};
use actix::prelude::*;
use kirosu_protocol::EventKind;
use kirosu_protocol::verbs::agents::AgentInfo;
use kirosu_store::{Command, LiveLease, Outcome};
use kirosu_supervision::{ChildContext, supervised};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use table::{Newcomer, Table};

/// State that belongs to the recipe, so that it survives a crash of the actor.
pub type SharedTable = Arc<Mutex<Table<Recipient<Notify>>>>;

/// A connection opens a session.
#[derive(Message)]
#[rtype(result = "Opened")]
pub struct Open(pub Newcomer<Recipient<Notify>>);

/// The answer to [`Open`].
#[derive(MessageResponse)]
pub struct Opened {
    /// Whether the session goes on with its leases.
    pub resumed: bool,
    /// Resolves when the connection that had the session until now has ended.
    pub replaced: Option<RecipientRequest<Notify>>,
}

/// A session's connection is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Closed {
    /// The session.
    pub session: Arc<str>,
    /// The connection that is gone.
    pub connection: ConnectionId,
}

/// Leases that were alive when the store was opened: their sessions have their grace.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Seed(pub Vec<LiveLease>);

/// Tells a session something, if it is connected.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tell {
    /// The session.
    pub session: String,
    /// What.
    pub notify: Notify,
}

/// How long a session may be away from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetGrace(pub Duration);

/// Asks for all sessions, without their leases.
#[derive(Message)]
#[rtype(result = "Vec<AgentInfo>")]
pub struct ListAgents;

/// Asks how many sessions there are, and how many of them are connected.
#[derive(Message)]
#[rtype(result = "(usize, usize)")]
pub struct CountSessions;

/// The actor.
pub struct Sessions {
    child: ChildContext,
    table: SharedTable,
    writer: Addr<Writer>,
    bus: Addr<Bus>,
    timer: Option<SpawnHandle>,
}

supervised!(Sessions);

impl Sessions {
    /// Over a table that outlives it.
    pub fn new(
        child: ChildContext,
        table: SharedTable,
        writer: Addr<Writer>,
        bus: Addr<Bus>,
    ) -> Sessions {
        Sessions {
            child,
            table,
            writer,
            bus,
            timer: None,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<Recipient<Notify>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.child.clock().now_ms()).unwrap_or(i64::MAX)
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(deadline) = self.table().next_deadline() else {
            return;
        };
        let wait = deadline.saturating_duration_since(self.child.clock().now());
        self.timer = Some(ctx.run_later(wait, |sessions, ctx| {
            sessions.timer = None;
            let now = sessions.child.clock().now();
            let lost = sessions.table().take_lost(now);
            for session in &lost {
                sessions.publish(session.clone(), "lost");
            }
            sessions.release(ctx, lost);
            sessions.arm(ctx);
        }));
    }

    /// Takes the leases of these sessions away. Sent before anything the session's next life may ask for.
    fn release(&mut self, ctx: &mut Context<Self>, sessions: Vec<String>) {
        if sessions.is_empty() {
            return;
        }
        let caller = Caller::hub(ctx.address().recipient());
        let commands = sessions
            .iter()
            .map(|s| {
                (
                    0,
                    Command::ReleaseSession {
                        session: s.clone(),
                        counted: true,
                    },
                )
            })
            .collect();
        self.writer.do_send(Submit::new(caller, commands));
    }

    fn publish(&self, session_id: String, state: &str) {
        self.bus.do_send(Publish(vec![EventKind::Session {
            session_id,
            state: state.into(),
        }]));
    }
}

impl Actor for Sessions {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.arm(ctx);
    }
}

impl Handler<Open> for Sessions {
    type Result = Opened;

    fn handle(&mut self, Open(who): Open, ctx: &mut Self::Context) -> Opened {
        self.child.handled();
        let session = who.session.clone();
        let opened = self.table().open(who, self.now_ms());
        let replaced = opened.ousted.map(|ousted| ousted.send(Notify::Ousted));
        if opened.supersedes {
            self.release(ctx, vec![session.clone()]);
        }
        self.publish(session, if opened.resumed { "resumed" } else { "opened" });
        self.arm(ctx);
        Opened {
            resumed: opened.resumed,
            replaced,
        }
    }
}

impl Handler<Closed> for Sessions {
    type Result = ();

    fn handle(
        &mut self,
        Closed {
            session,
            connection,
        }: Closed,
        ctx: &mut Self::Context,
    ) {
        let (now_ms, now) = (self.now_ms(), self.child.clock().now());
        let was_present = self.table().closed(&session, connection.0, now_ms, now);
        if was_present {
            self.publish(session.to_string(), "closed");
            self.arm(ctx);
        }
    }
}

impl Handler<Seed> for Sessions {
    type Result = ();

    fn handle(&mut self, Seed(live): Seed, ctx: &mut Self::Context) {
        let (now_ms, now) = (self.now_ms(), self.child.clock().now());
        for lease in live {
            if let Some(session) = lease.session {
                let name = lease.worker_id.unwrap_or_else(|| session.clone());
                self.table().seed(session, name, now_ms, now);
            }
        }
        self.arm(ctx);
    }
}

impl Handler<Tell> for Sessions {
    type Result = ();

    fn handle(&mut self, Tell { session, notify }: Tell, _: &mut Self::Context) {
        if let Some(to) = self.table().reach(&session) {
            to.do_send(notify);
        }
    }
}

impl Handler<SetGrace> for Sessions {
    type Result = ();

    fn handle(&mut self, SetGrace(grace): SetGrace, _: &mut Self::Context) {
        self.table().set_grace(grace);
    }
}

impl Handler<ListAgents> for Sessions {
    type Result = MessageResult<ListAgents>;

    fn handle(&mut self, _: ListAgents, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.table().agents())
    }
}

impl Handler<CountSessions> for Sessions {
    type Result = MessageResult<CountSessions>;

    fn handle(&mut self, _: CountSessions, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.table().count())
    }
}

impl Handler<Answers> for Sessions {
    type Result = ();

    fn handle(&mut self, answers: Answers, _: &mut Self::Context) {
        for (_, answer) in answers.take() {
            match answer {
                Ok(Outcome::Ended { leases, .. }) if !leases.is_empty() => {
                    lost::tell(&leases, "a session was lost");
                }
                Err(error) => {
                    tracing::error!(%error, "the leases of a lost session could not be given back; they end when they expire")
                }
                Ok(_) => {}
            }
        }
    }
}
