//! `usage`: what the readers tell of what was used, and of the budgets.

use super::Connection;
use super::slots::Tag;
use crate::readers::{Question, Told};
use actix::prelude::*;
use kirosu_protocol::verbs::usage::UsageParams;

impl Connection {
    pub(super) fn usage(&mut self, tag: Tag, ask: UsageParams, ctx: &mut Context<Self>) {
        let now = i64::try_from(self.child.clock().now_ms()).unwrap_or(i64::MAX);
        let question = Question::Usage(ask, now);
        self.ask_reader(question, tag, ctx, move |act, told, _| {
            if let Told::Json(json) = told {
                act.answer_json(tag, json);
            }
        });
    }
}
