//! Answers that are too long for one piece.
//!
//! Such an answer is read and written piece by piece: the next piece is read when the client's socket has taken the one
//! before, so a connection holds one piece of it, however long it is and however slowly its client reads. Its line
//! begins when all answers before it have left; until it ends, what else is said to the client waits.
//!
//! A task whose texts are longer than a piece is read when there is room for it among the long texts of all connections
//! (`limits.answer_bytes`).

use super::Connection;
use super::lists::{TASKS, Tail};
use super::slots::Tag;
use crate::readers::{Listing, Piece, Question, Told};
use crate::waiting::Surroundings;
use actix::prelude::*;
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::{Error, answer};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Texts of a task, and answers as a whole, that are longer are long ones.
pub(super) const SHORT_ANSWER_BYTES: usize = 64 << 10;
/// Texts of one task that need no room among the long ones.
const SMALL_BYTES: u64 = 256 << 10;

/// An answer that is not complete.
#[derive(Debug)]
pub(super) enum Long {
    /// A list of tasks, of which `json` is read and not written.
    Tasks {
        listing: Box<Listing>,
        json: Vec<u8>,
        needs: Option<u64>,
        tail: Tail,
    },
    /// A task with everything about it, of so many bytes.
    Detail(GetParams, u64, Arc<Surroundings>),
    /// An answer that is there as a whole.
    Whole(Vec<u8>),
}

/// The long answers of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub waiting: BTreeMap<Tag, Long>,
    /// The one that is read and written now.
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    tag: Tag,
    /// None while a reader is asked.
    rest: Option<Long>,
    /// Whether the beginning of its line is written.
    begun: bool,
}

impl Streams {
    /// Whether a line is written in part: nothing else may be written until it ends.
    pub fn in_line(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.begun)
    }

    /// Gives all up; whose answers they were.
    fn take_tags(&mut self) -> Vec<Tag> {
        let waiting = std::mem::take(&mut self.waiting).into_keys();
        let current = self.current.take().map(|current| current.tag);
        waiting.chain(current).collect()
    }
}

impl Connection {
    /// Answers with JSON that is written already.
    pub(super) fn answer_json(&mut self, tag: Tag, json: Vec<u8>) {
        if json.len() > SHORT_ANSWER_BYTES {
            self.streams.waiting.insert(tag, Long::Whole(json));
            return;
        }
        self.close_slot(tag, |asked, out| {
            answer::open_result(out, &asked.id, asked.jsonrpc);
            out.extend_from_slice(&json);
            answer::close_result(out, asked.jsonrpc);
        });
    }

    /// Answers with everything about a task, whose texts have so many bytes.
    pub(super) fn answer_detail(
        &mut self,
        tag: Tag,
        ask: GetParams,
        bytes: u64,
        around: Arc<Surroundings>,
    ) {
        let long = Long::Detail(ask, bytes, around);
        self.streams.waiting.insert(tag, long);
    }

    /// Whether a long answer can go on: the client has taken what was written before.
    pub(super) fn can_stream(&self) -> bool {
        let is_ready = match &self.streams.current {
            Some(current) => current.rest.is_some(),
            None => self.next_stream().is_some(),
        };
        is_ready && self.writing.is_some() && self.wire.is_empty()
    }

    /// The first long answer whose line may begin.
    fn next_stream(&self) -> Option<Tag> {
        let in_turn = |tag: &Tag| self.slots.is_first(*tag) || self.slots.is_parked(*tag);
        self.streams.waiting.keys().copied().find(in_turn)
    }

    /// Goes on with a long answer, where it can.
    pub(super) fn stream(&mut self, ctx: &mut Context<Self>) {
        if self.broken {
            for tag in self.streams.take_tags() {
                self.close_slot(tag, |_, _| {});
            }
            return;
        }
        if !self.can_stream() {
            return;
        }
        if self.streams.current.is_none()
            && let Some(tag) = self.next_stream()
        {
            let rest = self.streams.waiting.remove(&tag);
            let begun = false;
            self.streams.current = Some(Current { tag, rest, begun });
        }
        let Some(current) = self.streams.current.as_mut() else {
            return;
        };
        if let Some(rest) = current.rest.take() {
            let tag = current.tag;
            self.step(tag, rest, ctx);
        }
    }

    fn step(&mut self, tag: Tag, rest: Long, ctx: &mut Context<Self>) {
        match rest {
            Long::Whole(json) => {
                self.write_piece(tag, json, None);
                self.end_stream(tag, ctx);
            }
            Long::Detail(ask, bytes, around) => {
                self.read_long(
                    tag,
                    Question::Get(ask.clone(), bytes, around.clone()),
                    bytes,
                    ctx,
                    move |act, told, room, ctx| match told {
                        Told::Json(json) => {
                            act.write_piece(tag, json, room);
                            act.end_stream(tag, ctx);
                        }
                        Told::Needs(bytes) => act.rest_of(tag, Long::Detail(ask, bytes, around)),
                        _ => {}
                    },
                );
            }
            Long::Tasks {
                listing,
                json,
                needs,
                tail,
            } if !json.is_empty() => {
                self.begin_list(tag);
                self.write_piece(tag, json, None);
                self.rest_of(
                    tag,
                    Long::Tasks {
                        listing,
                        json: Vec::new(),
                        needs,
                        tail,
                    },
                );
                self.write(ctx);
            }
            Long::Tasks { listing, tail, .. } if listing.is_over() => {
                self.with_tail(tag, listing, tail, ctx, move |act, end, ctx| {
                    act.begin_list(tag);
                    act.write_piece(tag, end, None);
                    act.end_stream(tag, ctx);
                });
            }
            Long::Tasks {
                listing,
                needs,
                tail,
                ..
            } => {
                let bytes = needs.unwrap_or(0).max(SMALL_BYTES);
                self.read_long(
                    tag,
                    Question::List(listing, bytes),
                    bytes,
                    ctx,
                    move |act, told, room, ctx| {
                        let Told::Piece(Piece {
                            json,
                            listing,
                            needs,
                        }) = told
                        else {
                            return;
                        };
                        if !json.is_empty() {
                            act.begin_list(tag);
                            act.write_piece(tag, json, room);
                        }
                        act.rest_of(
                            tag,
                            Long::Tasks {
                                listing,
                                json: Vec::new(),
                                needs,
                                tail,
                            },
                        );
                        act.write(ctx);
                    },
                );
            }
        }
    }

    fn rest_of(&mut self, tag: Tag, rest: Long) {
        if let Some(current) = self.current_of(tag) {
            current.rest = Some(rest);
        }
    }

    fn current_of(&mut self, tag: Tag) -> Option<&mut Current> {
        let current = self.streams.current.as_mut();
        current.filter(|current| current.tag == tag)
    }

    /// Asks a reader for the current answer's next piece, once there is room for so many bytes of texts.
    fn read_long(
        &mut self,
        tag: Tag,
        question: Question,
        bytes: u64,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Told, Option<OwnedSemaphorePermit>, &mut Context<Self>) + 'static,
    ) {
        let hub = self.hub.clone();
        let asked = async move {
            let room = match bytes > SMALL_BYTES {
                true => hub.answer_room(bytes).await,
                false => None,
            };
            Ok((hub.readers().ask(question).await?, room))
        };
        self.ask_future(asked, tag, ctx, move |act, (told, room), ctx| {
            if act.current_of(tag).is_none() {
                return;
            }
            match told {
                Ok(told) => then(act, told, room, ctx),
                Err(error) => act.fail(tag, error, ctx),
            }
        });
    }

    /// A request fails; where a part of its answer is written, the connection ends.
    pub(super) fn fail(&mut self, tag: Tag, error: Error, ctx: &mut Context<Self>) {
        let begun = self.current_of(tag).map(|current| current.begun);
        if begun.is_some() {
            self.streams.current = None;
        }
        if begun != Some(true) {
            return self.refuse(tag, error);
        }
        // A line that has begun cannot become an error any more.
        tracing::error!(connection = self.id.0, peer = self.peer, %error, "an answer could not be finished; its connection is ended");
        self.close_slot(tag, |_, _| {});
        self.give_up(&std::io::ErrorKind::BrokenPipe.into(), ctx);
    }

    /// Writes how a list of tasks begins, before its first piece.
    fn begin_list(&mut self, tag: Tag) {
        if !self.streams.in_line() {
            self.write_piece(tag, TASKS.to_vec(), None);
        }
    }

    /// Writes a piece of the current answer, the beginning of the line before its first.
    fn write_piece(&mut self, tag: Tag, json: Vec<u8>, room: Option<OwnedSemaphorePermit>) {
        let Some(current) = self
            .streams
            .current
            .as_mut()
            .filter(|current| current.tag == tag)
        else {
            return;
        };
        if !std::mem::replace(&mut current.begun, true) {
            self.wire.append(&mut self.out);
            if let Some(asked) = self.slots.get_mut(tag) {
                answer::open_result(self.wire.lines(), &asked.id, asked.jsonrpc);
            }
        }
        self.wire.push(json, room);
    }

    /// The current answer is complete.
    fn end_stream(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        if self.current_of(tag).is_none() {
            return;
        }
        if let Some(asked) = self.slots.get_mut(tag) {
            answer::close_result(self.wire.lines(), asked.jsonrpc);
        }
        self.streams.current = None;
        self.close_slot(tag, |_, _| {});
        self.write(ctx);
    }
}
