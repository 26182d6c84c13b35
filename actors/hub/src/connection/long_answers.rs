//! Answers that are too long to be sent at once.
//!
//! Such an answer is read and written piece by piece: the next piece is read when the client's socket has taken the one
//! before. So a connection holds one piece in memory, however long the answer is and however slowly its client reads. The line
//! of the answer begins when all answers before it have left; until it ends, other lines for the client wait.
//!
//! A task whose texts are longer than a piece is read when there is memory for it among the long texts of all connections
//! (`limits.answer_bytes`).

use super::Connection;
use super::responses::Tag;
use super::scope::RequestScope;
use crate::readers::{ListPiece, Listing, QueryReply, StoreQuery};
use crate::verbs::list::{ListTail, TASKS, with_tail};
use crate::waiting::WaitContext;
use actix::prelude::*;
use kirosu_protocol::{Error, GetParams, answer};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The longest answer that is sent at once, and the longest texts of a task in it.
pub const SHORT_ANSWER_BYTES: usize = 64 << 10;
/// The longest texts of one task that are read without a share of the memory for long texts.
const SMALL_BYTES: u64 = 256 << 10;

/// The rest of a long answer.
#[derive(Debug)]
pub enum LongAnswer {
    /// A list of tasks.
    Tasks {
        listing: Box<Listing>,
        /// Serialized tasks that are not written yet.
        json: Vec<u8>,
        /// Bytes of the next task's texts, if they need a share of the memory for long texts.
        needs: Option<u64>,
        tail: ListTail,
    },
    /// A task with its details. The number is the bytes of its texts.
    Detail(GetParams, u64, Arc<WaitContext>),
    /// An answer that is serialized as a whole.
    Whole(Vec<u8>),
}

/// The long answers of a connection.
#[derive(Debug, Default)]
pub(super) struct LongAnswers {
    /// Answers whose turn has not come.
    waiting: BTreeMap<Tag, LongAnswer>,
    /// The one that is read and written now.
    current: Option<CurrentAnswer>,
}

#[derive(Debug)]
struct CurrentAnswer {
    tag: Tag,
    /// `None` while another actor works on it.
    rest: Option<LongAnswer>,
    /// Whether the beginning of its line is written.
    begun: bool,
}

impl LongAnswers {
    /// Adds an answer, which is written in its turn.
    pub fn insert(&mut self, tag: Tag, answer: LongAnswer) {
        self.waiting.insert(tag, answer);
    }

    /// Whether a line is written in part: nothing else may be written until it ends.
    pub fn in_line(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.begun)
    }

    /// Drops all answers; returns the requests they belong to.
    fn take_tags(&mut self) -> Vec<Tag> {
        let waiting = std::mem::take(&mut self.waiting).into_keys();
        let current = self.current.take().map(|current| current.tag);
        waiting.chain(current).collect()
    }

    fn current_of(&mut self, tag: Tag) -> Option<&mut CurrentAnswer> {
        let current = self.current.as_mut();
        current.filter(|current| current.tag == tag)
    }
}

impl Connection {
    /// Whether the next piece of a long answer may be read: the client has taken everything that was written before.
    pub(super) fn can_send_part(&self) -> bool {
        let is_ready = match &self.long_answers.current {
            Some(current) => current.rest.is_some(),
            None => self.next_long_answer().is_some(),
        };
        is_ready && self.transport.takes_part()
    }

    /// The first long answer whose line may begin.
    fn next_long_answer(&self) -> Option<Tag> {
        let in_turn = |tag: &Tag| self.responses.is_first(*tag) || self.responses.is_parked(*tag);
        let waiting = &self.long_answers.waiting;
        waiting.keys().copied().find(in_turn)
    }

    /// Takes the next step of a long answer, if one is possible.
    pub(super) fn advance_long_answer(&mut self, ctx: &mut Context<Self>) {
        if self.transport.is_broken() {
            for tag in self.long_answers.take_tags() {
                self.respond(tag, |_, _| {});
            }
            return;
        }
        if !self.can_send_part() {
            return;
        }
        if self.long_answers.current.is_none()
            && let Some(tag) = self.next_long_answer()
        {
            let rest = self.long_answers.waiting.remove(&tag);
            let begun = false;
            self.long_answers.current = Some(CurrentAnswer { tag, rest, begun });
        }
        let Some(current) = self.long_answers.current.as_mut() else {
            return;
        };
        let tag = current.tag;
        if let Some(rest) = current.rest.take() {
            RequestScope {
                connection: self,
                tag,
                ctx,
            }
            .send_part(rest);
        }
    }
}

impl RequestScope<'_> {
    fn send_part(&mut self, rest: LongAnswer) {
        match rest {
            LongAnswer::Whole(json) => {
                self.write_part(json, None);
                self.end_long_answer();
            }
            LongAnswer::Detail(params, bytes, context) => self.send_detail(params, bytes, context),
            LongAnswer::Tasks {
                listing,
                json,
                needs,
                tail,
            } if !json.is_empty() => {
                self.begin_list();
                self.write_part(json, None);
                self.keep_tasks(listing, needs, tail);
                self.write_now();
            }
            LongAnswer::Tasks { listing, tail, .. } if listing.is_over() => {
                with_tail(self, &listing, tail, |scope, end| {
                    scope.begin_list();
                    scope.write_part(end, None);
                    scope.end_long_answer();
                });
            }
            LongAnswer::Tasks {
                listing,
                needs,
                tail,
                ..
            } => self.send_tasks(listing, needs, tail),
        }
    }

    fn send_detail(&mut self, params: GetParams, bytes: u64, context: Arc<WaitContext>) {
        let query = StoreQuery::Get(params.clone(), bytes, context.clone());
        self.query_with_memory(query, bytes, move |scope, reply, memory| match reply {
            QueryReply::Json(json) => {
                scope.write_part(json, memory);
                scope.end_long_answer();
            }
            // The task has grown since; the next step asks for more memory.
            QueryReply::Needs(bytes) => {
                scope.keep_rest(LongAnswer::Detail(params, bytes, context));
            }
            _ => {}
        });
    }

    fn send_tasks(&mut self, listing: Box<Listing>, needs: Option<u64>, tail: ListTail) {
        let bytes = needs.unwrap_or(0).max(SMALL_BYTES);
        let query = StoreQuery::List(listing, bytes);
        self.query_with_memory(query, bytes, move |scope, reply, memory| {
            let QueryReply::Piece(ListPiece {
                json,
                listing,
                needs,
            }) = reply
            else {
                return;
            };
            if !json.is_empty() {
                scope.begin_list();
                scope.write_part(json, memory);
            }
            scope.keep_tasks(listing, needs, tail);
            scope.write_now();
        });
    }

    /// Runs a query for the current answer's next piece, after reserving memory for the texts of `bytes` length.
    fn query_with_memory(
        &mut self,
        query: StoreQuery,
        bytes: u64,
        then: impl FnOnce(&mut RequestScope<'_>, QueryReply, Option<OwnedSemaphorePermit>) + 'static,
    ) {
        let hub = self.hub().clone();
        let call = async move {
            let memory = match bytes > SMALL_BYTES {
                true => hub.reserve_answer_memory(bytes).await,
                false => None,
            };
            Ok((hub.readers().query(query).await?, memory))
        };
        self.call(call, move |scope, (reply, memory)| {
            let tag = scope.tag;
            // The answer was given up meanwhile.
            if scope.connection.long_answers.current_of(tag).is_none() {
                return;
            }
            match reply {
                Ok(reply) => then(scope, reply, memory),
                Err(error) => scope.fail(error),
            }
        });
    }

    fn keep_tasks(&mut self, listing: Box<Listing>, needs: Option<u64>, tail: ListTail) {
        self.keep_rest(LongAnswer::Tasks {
            listing,
            json: Vec::new(),
            needs,
            tail,
        });
    }

    fn keep_rest(&mut self, rest: LongAnswer) {
        let tag = self.tag;
        if let Some(current) = self.connection.long_answers.current_of(tag) {
            current.rest = Some(rest);
        }
    }

    /// Answers the request with an error. If a part of its answer is written, ends the connection: the line can no longer
    /// become an error.
    pub(super) fn fail(&mut self, error: Error) {
        let tag = self.tag;
        let long_answers = &mut self.connection.long_answers;
        let begun = long_answers.current_of(tag).map(|current| current.begun);
        if begun.is_some() {
            long_answers.current = None;
        }
        if begun != Some(true) {
            return self.refuse(error);
        }
        tracing::error!(connection = self.connection.id.0, peer = self.peer(), %error, "an answer could not be finished; its connection is ended");
        self.connection.respond(tag, |_, _| {});
        self.connection
            .give_up(&std::io::ErrorKind::BrokenPipe.into(), self.ctx);
    }

    /// Writes the beginning of a list of tasks, before its first piece.
    fn begin_list(&mut self) {
        if !self.connection.long_answers.in_line() {
            self.write_part(TASKS.to_vec(), None);
        }
    }

    /// Writes a piece of the current answer. The beginning of the line comes before its first piece.
    fn write_part(&mut self, json: Vec<u8>, memory: Option<OwnedSemaphorePermit>) {
        let tag = self.tag;
        let connection = &mut *self.connection;
        let Some(current) = connection.long_answers.current_of(tag) else {
            return;
        };
        if !std::mem::replace(&mut current.begun, true) {
            let out = connection.transport.begin_line();
            if let Some(pending) = connection.responses.get_mut(tag) {
                answer::open_result(out, &pending.id, pending.jsonrpc);
            }
        }
        connection.transport.push_part(json, memory);
    }

    /// Ends the line of the current answer, which is complete.
    fn end_long_answer(&mut self) {
        let tag = self.tag;
        let connection = &mut *self.connection;
        if connection.long_answers.current_of(tag).is_none() {
            return;
        }
        if let Some(pending) = connection.responses.get_mut(tag) {
            answer::close_result(connection.transport.line_part(), pending.jsonrpc);
        }
        connection.long_answers.current = None;
        connection.respond(tag, |_, _| {});
        connection.write(self.ctx);
    }
}
