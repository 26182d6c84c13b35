//! Sessions: the workers of the hub and their connections. A session that stays away too long is lost, with its leases.
//!
//! The table belongs to the child's factory, so that it survives a crash of this actor. The leases of a session that is lost,
//! or that begins a new incarnation, are taken away in steps of one commit each (`endings`). Leases that are left when the hub
//! is killed end after the next start: with their session's grace, or when they expire.

pub mod endings;
pub mod table;

use crate::bus::{Bus, Publish};
use crate::caller::{Caller, CommandAnswers, ConnectionId, Notify};
use crate::clock::now_ms;
use crate::leases::lost;
use crate::writer::Writer;
use crate::writer::messages::Submit;
use actix::dev::RecipientRequest;
use actix::prelude::*;
use kirosu_protocol::{AgentInfo, Error, EventKind};
use kirosu_store::{Command, EndedLease, LiveLease, Outcome};
use kirosu_supervision::{ChildContext, supervised};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use table::{SessionHello, SessionTable};
use tokio::sync::oneshot;

/// Pause between two steps, in which requests of clients are served.
const STEP_PAUSE: Duration = Duration::from_millis(1);
/// Pause after a step that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The table, shared with the child's factory.
pub type SharedTable = Arc<Mutex<SessionTable<Recipient<Notify>>>>;

/// A connection opens a session.
#[derive(Message)]
#[rtype(result = "Result<OpenSessionReply, Error>")]
pub struct OpenSession(pub SessionHello<Recipient<Notify>>);

/// The answer to [`OpenSession`].
pub struct OpenSessionReply {
    /// Whether the session goes on with its leases.
    pub resumed: bool,
    /// Resolves when the connection that had the session until now has ended. `None` if there was none.
    pub superseded: Option<RecipientRequest<Notify>>,
    /// Resolves when the leases of the previous incarnation have ended; to an error if this actor crashes meanwhile. `None` if
    /// there are none to end.
    pub released: Option<oneshot::Receiver<()>>,
}

/// The connection of a session has closed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Closed {
    /// The session.
    pub session: Arc<str>,
    /// The connection that has closed.
    pub connection: ConnectionId,
}

/// Leases that were live when the store was opened. Their sessions get their grace to reconnect.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Seed(pub Vec<LiveLease>);

/// Sends a message to the connection of a session. Dropped if the session is not connected.
#[derive(Message)]
#[rtype(result = "()")]
pub struct NotifySession {
    /// The session.
    pub session: String,
    /// The message.
    pub notify: Notify,
}

/// Sets how long a session may be disconnected before it is lost.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetGrace(pub Duration);

/// Lists all sessions, without their leases.
#[derive(Message)]
#[rtype(result = "Vec<AgentInfo>")]
pub struct ListAgents;

/// Counts the known sessions, and the connected ones among them.
#[derive(Message)]
#[rtype(result = "(usize, usize)")]
pub struct CountSessions;

/// The actor that keeps the sessions.
pub struct Sessions {
    child: ChildContext,
    table: SharedTable,
    writer: Addr<Writer>,
    bus: Addr<Bus>,
    timer: Option<SpawnHandle>,
    /// Sessions whose leases the writer takes away now, by the number of the command. Empty if no step is under way.
    releasing: HashMap<u64, String>,
    /// Senders that resolve when all leases of a session have ended.
    waiting: HashMap<String, Vec<oneshot::Sender<()>>>,
}

supervised!(Sessions);

impl Sessions {
    /// An actor over a table that survives it.
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
        now_ms(&self.child)
    }

    /// Sets the timer to the next moment at which a session is lost.
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

    /// Takes leases away from sessions that have ended: the next step, unless one is under way.
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

    /// A step took these leases away from a session. `more`: the session has further leases.
    fn released(&mut self, session: &str, leases: &[EndedLease], more: bool) {
        let progress = self.table().ending.took(session, leases.len(), more);
        // Only the first step logs single leases: there may be very many.
        if progress.before == 0 {
            lost::log(leases, "a session was lost");
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
        // If an earlier incarnation crashed, the answers to its step are lost.
        self.table().ending.begin_again();
        self.release(ctx);
    }
}

impl Handler<OpenSession> for Sessions {
    type Result = Result<OpenSessionReply, Error>;

    fn handle(&mut self, OpenSession(hello): OpenSession, ctx: &mut Self::Context) -> Self::Result {
        self.child.handled();
        let session = hello.session.clone();
        let opened = self.table().open(hello, self.now_ms())?;
        let superseded = opened
            .superseded
            .map(|connection| connection.send(Notify::Superseded));
        if opened.is_new_incarnation {
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
        Ok(OpenSessionReply {
            resumed: opened.resumed,
            superseded,
            released,
        })
    }
}

impl Handler<Closed> for Sessions {
    type Result = ();

    fn handle(&mut self, closed: Closed, ctx: &mut Self::Context) {
        let (session, connection) = (closed.session, closed.connection);
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
                self.table().seed(session, name, lease.key, now_ms, now);
            }
        }
        self.arm(ctx);
    }
}

impl Handler<NotifySession> for Sessions {
    type Result = ();

    fn handle(&mut self, NotifySession { session, notify }: NotifySession, _: &mut Self::Context) {
        if let Some(to) = self.table().recipient(&session) {
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

impl Handler<CommandAnswers> for Sessions {
    type Result = ();

    fn handle(&mut self, answers: CommandAnswers, ctx: &mut Self::Context) {
        let mut pause = Duration::ZERO;
        for (number, answer) in answers.take() {
            let session = self.releasing.remove(&number);
            match (answer, session) {
                (Ok(Outcome::Ended { leases, more }), Some(session)) => {
                    self.released(&session, &leases, more);
                    pause = pause.max(if more { STEP_PAUSE } else { Duration::ZERO });
                }
                (Err(error), Some(session)) => {
                    tracing::error!(session, %error, "the leases of a lost session could not be taken away; trying again in a second");
                    self.released(&session, &[], true);
                    pause = RETRY_PAUSE;
                }
                // The answer to an incarnation that crashed. This one has begun the step again.
                _ => {}
            }
        }
        match pause.is_zero() {
            true => self.release(ctx),
            false => drop(ctx.run_later(pause, |sessions, ctx| sessions.release(ctx))),
        }
    }
}
