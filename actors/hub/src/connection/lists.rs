//! Lists of tasks, as `list` and `wait` answer them: at once where they are short, else as a stream.

use super::Connection;
use super::slots::Tag;
use super::streams::{Long, SHORT_ANSWER_BYTES};
use crate::readers::{Listing, Piece, Question, Told};
use crate::writer::messages::GetStats;
use actix::prelude::*;

/// How the answers to `list` and `wait` begin.
pub(super) const TASKS: &[u8] = b"{\"tasks\":[";

/// What ends a list of tasks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tail {
    /// `stats` and `next`.
    List,
    /// `finished`, of so many tasks that were asked for.
    Wait(usize),
}

impl Connection {
    /// Answers with a list of tasks: at once when it is short, else in pieces.
    pub(super) fn answer_tasks(
        &mut self,
        tag: Tag,
        listing: Box<Listing>,
        json: Vec<u8>,
        tail: Tail,
        ctx: &mut Context<Self>,
    ) {
        let question = Question::List(listing, SHORT_ANSWER_BYTES as u64);
        self.ask_reader(question, tag, ctx, move |act, told, ctx| {
            let Told::Piece(piece) = told else { return };
            let Piece {
                json: more,
                listing,
                needs,
            } = piece;
            let mut json = json;
            if json.is_empty() {
                json = more;
            } else {
                json.extend_from_slice(&more);
            }
            if listing.is_over() {
                act.end_short(tag, listing, json, tail, ctx);
            } else if needs.is_none() && json.len() < SHORT_ANSWER_BYTES {
                act.answer_tasks(tag, listing, json, tail, ctx);
            } else {
                let long = Long::Tasks {
                    listing,
                    json,
                    needs,
                    tail,
                };
                act.streams.waiting.insert(tag, long);
            }
        });
    }

    fn end_short(
        &mut self,
        tag: Tag,
        listing: Box<Listing>,
        json: Vec<u8>,
        tail: Tail,
        ctx: &mut Context<Self>,
    ) {
        self.with_tail(tag, listing, tail, ctx, move |act, tail, _| {
            act.answer_json(tag, [TASKS, &json, &tail].concat());
        });
    }

    /// Makes the end of a list's JSON.
    pub(super) fn with_tail(
        &mut self,
        tag: Tag,
        listing: Box<Listing>,
        tail: Tail,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Vec<u8>, &mut Context<Self>) + 'static,
    ) {
        match tail {
            Tail::Wait(asked) => {
                let finished = listing.listed == asked && listing.ended == asked;
                then(
                    self,
                    format!("],\"finished\":{finished}}}").into_bytes(),
                    ctx,
                );
            }
            Tail::List => {
                let stats = self.hub.writer().send(GetStats);
                self.ask_future(stats, tag, ctx, move |act, stats, ctx| {
                    let mut end = b"],\"stats\":".to_vec();
                    // Numbers and names cannot fail to be written into memory.
                    let _ = serde_json::to_writer(&mut end, &stats);
                    if let Some(next) = listing.next {
                        end.extend_from_slice(format!(",\"next\":{next}").as_bytes());
                    }
                    end.push(b'}');
                    then(act, end, ctx);
                });
            }
        }
    }
}
