//! `list`, `get` and `approvals`: what the readers tell of tasks.

use super::Connection;
use super::lists::Tail;
use super::slots::Tag;
use super::streams::SHORT_ANSWER_BYTES;
use crate::readers::{Listing, Question, Told};
use crate::writer::messages::GetStats;
use actix::prelude::*;
use kirosu_protocol::verbs::approvals::{self, ApprovalsParams};
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::verbs::list::{ListAnswer, ListParams, ListStatus};
use kirosu_store::{ApprovalQuery, ListQuery, Texts};
use std::sync::Arc;

impl Connection {
    pub(super) fn list(&mut self, tag: Tag, ask: ListParams, ctx: &mut Context<Self>) {
        let status = match ask.status {
            ListStatus::Any => None,
            ListStatus::Is(status) => Some(status),
            ListStatus::Unknown => {
                return self.ask_actor(
                    self.hub.writer().send(GetStats),
                    tag,
                    ctx,
                    move |act, stats| {
                        act.answer(
                            tag,
                            &ListAnswer {
                                tasks: Vec::new(),
                                stats,
                                next: None,
                            },
                        );
                    },
                );
            }
        };
        let query = ListQuery {
            status,
            queue: ask.queue,
            task_type: ask.task_type,
            parent_id: ask.parent_id,
            limit: 0,
            before_id: ask.before,
            labels: ask.labels,
            ranges: ask.ranges,
        };
        let texts = match ask.preview_bytes.unwrap_or(self.limits.preview_bytes) {
            0 => Texts::Whole,
            bytes => Texts::Preview(bytes as usize),
        };
        let listing = Listing::of_query(query, ask.limit, texts);
        self.explain_tasks(tag, listing, Tail::List, ctx);
    }

    /// Answers with the tasks of a list, and why those wait that do.
    pub(super) fn explain_tasks(
        &mut self,
        tag: Tag,
        listing: Listing,
        tail: Tail,
        ctx: &mut Context<Self>,
    ) {
        let hub = self.hub.clone();
        let around = async move { Ok(Arc::new(hub.surroundings().await)) };
        self.ask_future(around, tag, ctx, move |act, around, ctx| {
            let listing = Box::new(listing.explained(around));
            act.answer_tasks(tag, listing, Vec::new(), tail, ctx);
        });
    }

    pub(super) fn approvals(&mut self, tag: Tag, ask: ApprovalsParams, ctx: &mut Context<Self>) {
        let query = ApprovalQuery {
            state: ask.state,
            task_id: ask.task_id,
            limit: ask.limit.unwrap_or(approvals::DEFAULT_LIMIT) as usize,
            cursor: ask.cursor,
        };
        self.ask_reader(Question::Approvals(query), tag, ctx, move |act, told, _| {
            if let Told::Json(json) = told {
                act.answer_json(tag, json);
            }
        });
    }

    pub(super) fn get(&mut self, tag: Tag, ask: GetParams, ctx: &mut Context<Self>) {
        let hub = self.hub.clone();
        let around = async move { Ok(Arc::new(hub.surroundings().await)) };
        self.ask_future(around, tag, ctx, move |act, around, ctx| {
            let (room, then) = (SHORT_ANSWER_BYTES as u64, around.clone());
            let question = Question::Get(ask.clone(), room, around);
            act.ask_reader(question, tag, ctx, move |act, told, _| match told {
                Told::Json(json) => act.answer_json(tag, json),
                Told::Needs(bytes) => act.answer_detail(tag, ask, bytes, then),
                _ => {}
            });
        });
    }
}
