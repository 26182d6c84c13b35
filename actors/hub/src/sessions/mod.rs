//! Sessions: who works for the hub, over which connection, and what happens when one stays away.
//!
//! The table belongs to the recipe: a crash of this actor forgets nobody. The leases of a session that is lost, or begins a
//! new life, are taken away in steps of one commit each (`endings`); what is left when the hub is killed ends with its
//! session's grace after the next start, or when it expires.

pub mod endings;
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
use kirosu_store::{Command, EndedLease, LiveLease, Outcome};
use kirosu_supervision::{ChildContext, supervised};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use table::{SessionHello, SessionTable};
use tokio::sync::oneshot;

/// Pause between two steps: whoever asks meanwhile is served first.
const TURN: Duration = Duration::from_millis(1);
/// Pause after a step that the store could not do.
const AGAIN: Duration = Duration::from_secs(1);

/// State that belongs to the recipe, so that it survives a crash of the actor.
pub type SharedTable = Arc<Mutex<SessionTable<Recipient<Notify>>>>;

/// A connection opens a session.
#[derive(Message)]
#[rtype(result = "Opened")]
pub struct Open(pub SessionHello<Recipient<Notify>>);

/// The answer to [`Open`].
#[derive(MessageResponse)]
pub struct Opened {
    /// Whether the session goes on with its leases.
    pub resumed: bool,
    /// Resolves when the connection that had the session until now has ended.
    pub replaced: Option<RecipientRequest<Notify>>,
    /// Resolves when the leases of a former life have ended. An error: this actor has crashed meanwhile.
    pub released: Option<oneshot::Receiver<()>>,
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
    /// Sessions whose leases the writer takes away now, by the number of the command.
    releasing: HashMap<u64, String>,
    /// Waiters for the end of a session's leases.
    waiting: HashMap<String, Vec<oneshot::Sender<()>>>,
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
            releasing: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    fn table(&self) -> MutexGuard<'_, SessionTable<Recipient<Notify>>> {
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
            for session in lost {
                sessions.publish(session.clone(), "lost");
                sessions.table().ending.begin(session);
            }
            sessions.release(ctx);
            sessions.arm(ctx);
        }));
    }

    /// Takes the next leases away of sessions that have ended, unless a step is under way.
    fn release(&mut self, ctx: &mut Context<Self>) {
        if !self.releasing.is_empty() {
            return;
        }
        let step = self.table().ending.step();
        if step.is_empty() {
            return;
        }
        let release = |(number, session): &(u64, String)| {
            let command = Command::ReleaseSession {
                session: session.clone(),
                counted: true,
            };
            (*number, command)
        };
        let commands = step.iter().map(release).collect();
        self.releasing = step.into_iter().collect();
        let caller = Caller::hub(ctx.address().recipient());
        self.writer.do_send(Submit::new(caller, commands));
    }

    /// A step took these leases of a session away.
    fn released(&mut self, session: &str, leases: &[EndedLease], more: bool) {
        let progress = self.table().ending.took(session, leases.len(), more);
        if progress.before == 0 {
            lost::tell(leases, "a session was lost");
        }
        if more {
            return;
        }
        if progress.before > 0 {
            tracing::warn!(
                session,
                leases = progress.total,
                "a session was lost, and its leases with it"
            );
        }
        for waits in self.waiting.remove(session).into_iter().flatten() {
            let _ = waits.send(());
        }
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
        // The answers to a step of an actor that has crashed are dropped.
        self.table().ending.begin_again();
        self.release(ctx);
    }
}

impl Handler<Open> for Sessions {
    type Result = Opened;

    fn handle(&mut self, Open(who): Open, ctx: &mut Self::Context) -> Opened {
        self.child.handled();
        let session = who.session.clone();
        let opened = self.table().open(who, self.now_ms());
        let replaced = opened
            .superseded
            .map(|superseded| superseded.send(Notify::Superseded));
        if opened.supersedes {
            self.table().ending.begin(session.clone());
        }
        let is_ending = self.table().ending.contains(&session);
        let released = is_ending.then(|| {
            let (waits, released) = oneshot::channel();
            let waiting = self.waiting.entry(session.clone()).or_default();
            waiting.push(waits);
            released
        });
        self.release(ctx);
        self.publish(session, if opened.resumed { "resumed" } else { "opened" });
        self.arm(ctx);
        Opened {
            resumed: opened.resumed,
            replaced,
            released,
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

    fn handle(&mut self, answers: Answers, ctx: &mut Self::Context) {
        let mut pause = Duration::ZERO;
        for (number, answer) in answers.take() {
            let session = self.releasing.remove(&number);
            match (answer, session) {
                (Ok(Outcome::Ended { leases, more }), Some(session)) => {
                    self.released(&session, &leases, more);
                    pause = pause.max(if more { TURN } else { Duration::ZERO });
                }
                (Err(error), Some(session)) => {
                    tracing::error!(session, %error, "the leases of a lost session could not be taken away; trying again in a second");
                    self.released(&session, &[], true);
                    pause = AGAIN;
                }
                // Asked by an actor that has crashed; this one has asked again.
                _ => {}
            }
        }
        match pause.is_zero() {
            true => self.release(ctx),
            false => drop(ctx.run_later(pause, |sessions, ctx| sessions.release(ctx))),
        }
    }
}
