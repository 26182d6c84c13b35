//! `list`, `get` and `approvals`: what the readers tell of tasks.

use super::slots::Tag;
use super::{Connection, answers};
use crate::readers::{Ask, Question, Told};
use crate::writer::messages::GetStats;
use actix::prelude::*;
use kirosu_protocol::verbs::approvals::{self, ApprovalsAnswer, ApprovalsAsk};
use kirosu_protocol::verbs::get::GetAsk;
use kirosu_protocol::verbs::list::{ListAnswer, ListAsk, ListStatus};
use kirosu_protocol::{Error, ErrorCode};
use kirosu_store::{ApprovalQuery, ListQuery};

/// Chunks of output that one `get` answers at the most.
const OUTPUT_CHUNKS: u32 = 10_000;

impl Connection {
    pub(super) fn list(&mut self, tag: Tag, ask: ListAsk, ctx: &mut Context<Self>) {
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
            limit: ask.limit.map_or(0, i64::from),
            before_id: ask.before,
            labels: ask.labels,
            ranges: ask.ranges,
        };
        let hub = self.hub.clone();
        let asked = async move {
            let around = hub.surroundings().await;
            let told = hub
                .reader()
                .send(Ask(Question::List(query, around)))
                .await?;
            Ok((told, hub.writer().send(GetStats).await?))
        };
        self.ask_future(asked, tag, ctx, move |act, (told, stats), _| match told {
            Ok(Told::Page(page)) => act.answer(
                tag,
                &ListAnswer {
                    tasks: page.tasks,
                    stats,
                    next: page.next_before,
                },
            ),
            Ok(_) => {}
            Err(error) => act.refuse(tag, error),
        });
    }

    pub(super) fn approvals(&mut self, tag: Tag, ask: ApprovalsAsk, ctx: &mut Context<Self>) {
        let query = ApprovalQuery {
            state: ask.state,
            task_id: ask.task_id,
            limit: ask.limit.unwrap_or(approvals::DEFAULT_LIMIT) as usize,
            cursor: ask.cursor,
        };
        self.ask_reader(Question::Approvals(query), tag, ctx, move |act, told, _| {
            if let Told::Approvals(page) = told {
                let answer = ApprovalsAnswer {
                    approvals: page.approvals,
                    next: page.next.map(|cursor| cursor.to_string()),
                };
                act.answer(tag, &answer);
            }
        });
    }

    pub(super) fn get(&mut self, tag: Tag, ask: GetAsk, ctx: &mut Context<Self>) {
        let (task, attempt) = (ask.task_id, ask.attempt);
        let chunks = if ask.output { OUTPUT_CHUNKS } else { 0 };
        let question = move |around| Question::Get {
            task,
            attempt,
            chunks,
            around,
        };
        self.ask_why(question, tag, ctx, move |act, told, _| match told {
            Told::Detail(Some(detail)) => match answers::detail(*detail, &ask) {
                Ok(answer) => act.answer(tag, &answer),
                Err(error) => act.refuse(tag, error),
            },
            _ => {
                let message = format!("no task has the id {}", ask.task_id);
                act.refuse(tag, Error::new(ErrorCode::UnknownTask, message));
            }
        });
    }
}
