//! `hello`: who is at the other end, and its session.

use super::Connection;
use super::slots::Tag;
use crate::leases::{HeldBy, Holder};
use crate::readers::{Question, Told, Unwritten};
use crate::sessions::Open;
use crate::sessions::table::SessionHello;
use crate::writer::messages::Settle;
use actix::prelude::*;
use kirosu_protocol::verbs::hello::{HeldLease, HelloAnswer, HelloParams, PROTOCOL};
use kirosu_protocol::{Error, ErrorCode};
use std::sync::Arc;

/// With more leases than this, a reader writes the answer.
const LONG: usize = 1000;

impl Connection {
    pub(super) fn hello(&mut self, tag: Tag, ask: HelloParams, ctx: &mut Context<Self>) {
        self.greeted = true;
        let Some(session) = ask.session_id else {
            let answer = self.hello_answer(None, false, Vec::new());
            return self.answer(tag, &answer);
        };
        if self
            .session
            .as_deref()
            .is_some_and(|present| present != session)
        {
            let message = "this connection has a session already; open another connection for another session";
            return self.refuse(tag, Error::new(ErrorCode::WrongState, message));
        }
        let who = SessionHello {
            session: session.clone(),
            name: ask.name.unwrap_or_else(|| session.clone()),
            peer: self.peer.clone(),
            connection: self.id.0,
            notify: self.caller_address(ctx).recipient(),
            resume: ask.resume,
        };
        let session: Arc<str> = session.into();
        self.session = Some(session.clone());
        self.hub.roll().opened(self.id.0, session.clone());
        let (sessions, leases) = (self.hub.sessions().clone(), self.hub.leases().clone());
        let writer = self.hub.writer().clone();
        let holder = Holder::Session(session.clone());
        let asked = async move {
            let opened = sessions.send(Open(who)).await?;
            if let Some(replaced) = opened.replaced {
                // Leases that were on their way to the connection before go back to the queue: its last requests are
                // committed first, then the releases that follow from their answers. An error means that the actor has
                // ended (or crashed), which is as good.
                let _ = replaced.await;
                let _ = writer.send(Settle).await;
                let _ = writer.send(Settle).await;
            }
            if let Some(released) = opened.released {
                // Leases of a former life end in steps. What is leased from now on belongs to the new one.
                released.await.map_err(|_| MailboxError::Closed)?;
            }
            let held = match ask.resume {
                true => leases.send(HeldBy(holder)).await?,
                false => Vec::new(),
            };
            Ok((opened.resumed, held))
        };
        self.ask_future(asked, tag, ctx, move |act, (resumed, leases), ctx| {
            let is_long = leases.len() > LONG;
            let answer = act.hello_answer(Some(session.to_string()), resumed, leases);
            if !is_long {
                return act.answer(tag, &answer);
            }
            let question = Question::Write(Unwritten::new(answer));
            act.ask_reader(question, tag, ctx, move |act, told, _| {
                if let Told::Json(json) = told {
                    act.answer_json(tag, json);
                }
            });
        });
    }

    fn hello_answer(
        &self,
        session_id: Option<String>,
        resumed: bool,
        leases: Vec<HeldLease>,
    ) -> HelloAnswer {
        HelloAnswer {
            protocol: PROTOCOL,
            server: "kirosu".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            limits: (*self.limits).clone(),
            session_id,
            resumed,
            leases,
            boot_id: self.hub.boot_id().into(),
        }
    }
}
