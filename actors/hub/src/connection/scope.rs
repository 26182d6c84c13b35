//! The interface of a connection for the verbs: one request, and the means to answer it.

use super::Connection;
use super::leases::ConnectionLeases;
use super::long_answers::{LongAnswer, SHORT_ANSWER_BYTES};
use super::pending::{CommandPart, PendingRequest, Responding, UNANSWERED, command_number};
use super::responses::Tag;
use super::watches::EventWatch;
use crate::caller::{Caller, ConnectionId};
use crate::clock::now_ms;
use crate::hub::Hub;
use crate::identity::{Access, ClientIdentity, PeerOwner};
use crate::leases::RunWaits;
use crate::listener::process;
use crate::readers::{DeferredAnswer, QueryReply, StoreQuery};
use crate::run_access;
use crate::verbs::{self, Started};
use actix::prelude::*;
use kirosu_protocol::{
    Effect, Error, Fence, Limits, Method, Request, Task, TaskId, TaskRun, answer,
};
use kirosu_store::{Command, ParkId};
use serde::Serialize;
use std::sync::Arc;

/// Tasks with more bytes than this are serialized by a reader: on this thread it would delay other connections by a
/// noticeable part of a millisecond.
const HEAVY_BYTES: usize = 256 << 10;

/// One request of a connection.
pub(crate) struct RequestScope<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) tag: Tag,
    pub(super) ctx: &'a mut Context<Connection>,
}

impl RequestScope<'_> {
    pub fn hub(&self) -> &Hub {
        &self.connection.hub
    }

    pub fn limits(&self) -> &Arc<Limits> {
        &self.connection.limits
    }

    /// The request's number on its connection.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    pub fn connection_id(&self) -> ConnectionId {
        self.connection.id
    }

    pub fn peer(&self) -> &str {
        &self.connection.transport.peer
    }

    /// The owner of the client's process.
    pub fn owner(&self) -> PeerOwner {
        self.connection.transport.owner
    }

    /// The party for which the request speaks.
    pub fn identity(&mut self) -> Option<&ClientIdentity> {
        self.pending()?.identity.as_deref()
    }

    /// The connection's session. `None` if it opened none.
    pub fn session(&self) -> Option<&Arc<str>> {
        self.connection.session.as_ref()
    }

    /// Marks the client as one that understands notices.
    pub fn greet(&mut self) {
        self.connection.greeted = true;
    }

    /// Binds the connection to a session.
    pub fn set_session(&mut self, session: Arc<str>) {
        let connection = &mut *self.connection;
        connection.session = Some(session.clone());
        connection
            .hub
            .connections()
            .set_session(connection.id.0, session);
    }

    /// The session that was set belongs to another client.
    pub fn clear_session(&mut self) {
        let connection = &mut *self.connection;
        connection.session = None;
        connection.hub.connections().clear_session(connection.id.0);
    }

    /// The wall clock, in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        now_ms(&self.connection.child)
    }

    /// The connection as a recipient of messages.
    pub fn address(&mut self) -> Addr<Connection> {
        self.connection.address(self.ctx)
    }

    /// The leases that were handed out over this connection.
    pub fn leases(&self) -> &ConnectionLeases {
        &self.connection.leases
    }

    /// The connection as the caller of a command of the request.
    pub fn caller(&mut self) -> Caller {
        Caller {
            by: self.connection.principal(self.tag),
            ..self.connection.caller(self.ctx)
        }
    }

    /// The run for which the request speaks.
    pub fn run(&mut self) -> Option<TaskRun> {
        self.identity()?.run.as_ref().map(|it| it.run)
    }

    /// Notifies the host of the run that its agent waits, until the request is answered.
    pub fn waits_as_run(&mut self) {
        if let Some(run) = self.run()
            && let Some(pending) = self.pending()
            && pending.waiting_run.is_none()
        {
            pending.waiting_run = Some(run);
            let waits = RunWaits { run, waiting: true };
            self.hub().leases().do_send(waits);
        }
    }

    /// Begins a request.
    pub(super) fn begin(&mut self, request: Request) {
        match verbs::begin(request, self) {
            Ok(Started::Submit(command, finish)) => {
                self.set_responding(Responding::Once(finish));
                self.submit(CommandPart::First, command);
            }
            Ok(Started::Pending) => {}
            Err(error) => self.refuse(error),
        }
    }

    /// Begins a decision that a client with the hub's key makes, once it is known whether a person sits at its terminal. Without
    /// one it may approve `human` tasks, as the Python version's clients do, and its ticket does not give the right on.
    pub(super) fn begin_of_person(&mut self, request: Request) {
        let process = self.connection.transport.process;
        let found = tokio::task::spawn_blocking(move || process::find(process));
        self.call_ok(found, move |scope, place| {
            let is_person = place.is_ok_and(|place| place.at_terminal);
            match request.method() {
                Method::Approve | Method::WebTicket => {
                    if let Some(pending) = scope.pending() {
                        pending.only_human = !is_person;
                    }
                    scope.begin(request);
                }
                _ if is_person => scope.begin(request),
                method => return scope.refuse(ClientIdentity::needs_person(method)),
            }
            scope.connection.send_commands(scope.ctx);
        });
    }

    /// Whether the request may approve no more than `human` tasks.
    pub fn only_human(&mut self) -> bool {
        let is_keyless = self
            .identity()
            .is_some_and(|it| it.access == Access::Keyless);
        is_keyless || self.pending().is_some_and(|pending| pending.only_human)
    }

    /// Begins a request of a run, once it is known that the tasks that it names are below the run's own. That never changes, so
    /// it does not matter that other requests take effect meanwhile.
    pub(super) fn begin_of_run(&mut self, run: TaskRun, mut request: Request) {
        let below = match run_access::bind(run, &mut request) {
            Ok(below) => below,
            Err(error) => return self.refuse(error),
        };
        if below.is_empty() {
            return self.begin(request);
        }
        let dependencies = run_access::reads_dependencies(&request);
        let query = StoreQuery::FirstOutside(below, run.task_id, dependencies);
        self.query(query, move |scope, reply| match reply {
            QueryReply::Outside(Some(task)) => {
                scope.refuse(run_access::not_below(task, run.task_id));
            }
            QueryReply::Outside(None) => {
                scope.begin(request);
                scope.connection.send_commands(scope.ctx);
            }
            _ => {}
        });
    }

    // Commands for the writer.

    /// The number under which the writer answers the request's first command.
    pub fn first_number(&self) -> u64 {
        command_number(self.tag, CommandPart::First)
    }

    /// Adds a command to the connection's next submission.
    pub fn submit(&mut self, part: CommandPart, command: Command) {
        let number = command_number(self.tag, part);
        let command = self.connection.within_limits(self.tag, command);
        self.connection.set_commands_by(self.tag, self.ctx);
        self.connection.commands.push((number, command));
    }

    /// Adds a command whose outcome changes nothing about the answer.
    pub fn submit_unanswered(&mut self, command: Command) {
        self.connection.commands.push((UNANSWERED, command));
    }

    /// Gives leases back that reach no client.
    pub fn release(&mut self, tasks: &[Task]) {
        self.connection.release(&leases_of(tasks));
    }

    // The state of the request.

    pub fn pending(&mut self) -> Option<&mut PendingRequest> {
        self.connection.responses.get_mut(self.tag)
    }

    pub fn set_responding(&mut self, responding: Responding) {
        if let Some(pending) = self.pending() {
            pending.responding = responding;
        }
    }

    /// Takes the request out of the order of answers: later answers overtake it.
    pub fn detach(&mut self) {
        let connection = &mut *self.connection;
        connection
            .responses
            .park(self.tag, connection.transport.lines());
    }

    /// Refuses a request whose key or token has ended since it began.
    pub fn check_valid(&mut self) -> Result<(), Error> {
        self.connection.check_valid(self.tag)
    }

    /// See [`Connection::check_may_wait`].
    pub fn check_may_wait(&self) -> Result<(), Error> {
        self.connection.check_may_wait()
    }

    /// See [`Connection::allow_park`].
    pub fn allow_park(&mut self, wait_ms: u64) -> Option<ParkId> {
        self.connection.allow_park(self.tag, wait_ms, self.ctx)
    }

    /// The store has parked the request.
    pub fn park(&mut self) {
        self.connection.park(self.tag);
    }

    /// Counts the request as waiting, and runs `end` after `wait_ms` unless the request is answered before.
    pub fn start_wait(&mut self, wait_ms: u64, end: impl FnOnce(&mut RequestScope<'_>) + 'static) {
        let tag = self.tag;
        self.connection
            .start_wait(tag, wait_ms, self.ctx, move |act, ctx| {
                act.step(tag, ctx, end);
            });
    }

    /// Begins to send events, after the answer of this request has left.
    pub fn watch(&mut self, watch: EventWatch) {
        self.connection.watches.insert(self.tag, watch);
    }

    // Answers.

    /// Answers the request.
    pub fn answer(&mut self, result: &impl Serialize) {
        self.cancel_timer();
        self.connection.respond(self.tag, |pending, out| {
            answer::write_result(out, &pending.id, pending.jsonrpc, result)
        });
    }

    /// Answers the request with an error.
    pub fn refuse(&mut self, error: Error) {
        self.cancel_timer();
        self.connection.refuse(self.tag, error);
    }

    /// Answers the request with JSON that is already serialized. A long one is sent in its turn, piece by piece.
    pub fn answer_json(&mut self, json: Vec<u8>) {
        if json.len() > SHORT_ANSWER_BYTES {
            return self.answer_long(LongAnswer::Whole(json));
        }
        self.cancel_timer();
        self.connection.respond(self.tag, |pending, out| {
            answer::open_result(out, &pending.id, pending.jsonrpc);
            out.extend_from_slice(&json);
            answer::close_result(out, pending.jsonrpc);
        });
    }

    /// Answers the request piece by piece.
    pub fn answer_long(&mut self, answer: LongAnswer) {
        self.connection.long_answers.insert(self.tag, answer);
    }

    /// Answers with leased tasks. If the client is gone or the answer cannot be made, the tasks go back to the queue at once,
    /// instead of when their leases expire.
    pub fn answer_leases<A: Serialize + Send + 'static>(
        &mut self,
        mut tasks: Vec<Task>,
        answer: impl FnOnce(Vec<Task>) -> A,
    ) {
        // The wait is over. Its end must not answer the request while a reader still serializes the tasks.
        self.cancel_timer();
        if let Some(pending) = self.pending() {
            pending.park = None;
        }
        if let Err(error) = self.connection.check_valid(self.tag) {
            self.release(&tasks);
            return self.refuse(error);
        }
        if self.connection.transport.is_broken() {
            self.release(&tasks);
            return self.answer(&answer(Vec::new()));
        }
        // Agent hosts have sessions; clients of the Python version know no tokens.
        let gives_tokens = self.session().is_some();
        for task in &mut tasks {
            let (task_id, fence) = (task.task_id, task.fence);
            self.connection.leases.remember(task_id, fence);
            task.run_token = gives_tokens.then(|| self.hub().run_token(TaskRun { task_id, fence }));
        }
        if tasks.iter().map(Task::weight).sum::<usize>() <= HEAVY_BYTES {
            return self.answer(&answer(tasks));
        }
        // The end of the wait may be on its way to the writer. Its outcome must not answer the request, either.
        if let Some(pending) = self.pending()
            && matches!(pending.responding, Responding::Once(_))
        {
            pending.responding = Responding::Elsewhere;
        }
        let leases = leases_of(&tasks);
        let query = StoreQuery::Serialize(DeferredAnswer::new(answer(tasks)));
        let reply = self.hub().readers().query(query);
        self.call_ok(reply, move |scope, reply| {
            let reply = reply.unwrap_or_else(|_| Err(crashed()));
            // The client may have gone meanwhile, or it gets an error instead of its tasks.
            if reply.is_err() || scope.connection.transport.is_broken() {
                scope.connection.release(&leases);
            }
            match reply {
                Ok(reply) => scope.answer_reply(reply),
                Err(error) => scope.refuse(error),
            }
        });
    }

    /// A timer that is left behind would be polled at every wake of this connection until it fires.
    pub fn cancel_timer(&mut self) {
        if let Some(timer) = self.pending().and_then(|pending| pending.timer.take()) {
            self.ctx.cancel_future(timer);
        }
    }

    /// Writes what can be written now, before another actor can end the process.
    pub fn write_now(&mut self) {
        self.connection.write(self.ctx);
    }

    // Work of other actors.

    /// Runs a query on a reader, then `then` with the reply. If the query fails, the request is answered with the error.
    pub fn query(
        &mut self,
        query: StoreQuery,
        then: impl FnOnce(&mut RequestScope<'_>, QueryReply) + 'static,
    ) {
        let reply = self.hub().readers().query(query);
        self.call(reply, move |scope, reply| match reply {
            Ok(reply) => then(scope, reply),
            Err(error) => scope.refuse(error),
        });
    }

    /// Runs a query on a reader, and answers with the JSON of its reply.
    pub fn answer_query(&mut self, query: StoreQuery) {
        self.query(query, |scope, reply| scope.answer_reply(reply));
    }

    /// Answers with the JSON that a reader serialized.
    fn answer_reply(&mut self, reply: QueryReply) {
        if let QueryReply::Json(json) = reply {
            self.answer_json(json);
        }
    }

    /// Waits for other actors, then runs `then` with their result. If one of them crashes, the request is answered with an
    /// error, because its effect is unknown.
    pub fn call<T: 'static>(
        &mut self,
        call: impl Future<Output = Result<T, MailboxError>> + 'static,
        then: impl FnOnce(&mut RequestScope<'_>, T) + 'static,
    ) {
        self.call_ok(call, move |scope, result| match result {
            Ok(result) => then(scope, result),
            Err(_) => scope.fail(crashed()),
        });
    }

    /// Like [`RequestScope::call`], for a future that cannot fail, or whose failure `then` handles.
    pub fn call_ok<T: 'static>(
        &mut self,
        call: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut RequestScope<'_>, T) + 'static,
    ) {
        let tag = self.tag;
        let call = call.into_actor(self.connection);
        let call = call.map(move |result, act: &mut Connection, ctx| {
            act.step(tag, ctx, move |scope| then(scope, result));
        });
        self.ctx.spawn(call);
    }
}

/// The error of a request over which another actor crashed.
fn crashed() -> Error {
    let message = "a part of the hub crashed over this request and was restarted; whether the request took effect is unknown, send it again";
    Error::internal(Effect::Unknown, message)
}

fn leases_of(tasks: &[Task]) -> Vec<(TaskId, Fence)> {
    let leases = tasks.iter().map(|task| (task.task_id, task.fence));
    leases.collect()
}
