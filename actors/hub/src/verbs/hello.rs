//! `hello`: introduces a client, and opens or resumes its session.

use super::{Begun, RequestScope, Started, StoreQuery};
use crate::caller::Notify;
use crate::identity::ClientIdentity;
use crate::leases::{HeldBy, Holder};
use crate::readers::DeferredAnswer;
use crate::sessions::OpenSession;
use crate::sessions::table::{SessionHello, SessionOwner};
use crate::writer::messages::Settle;
use actix::{MailboxError, Recipient};
use kirosu_protocol::{Error, ErrorCode, HeldLease, HelloAnswer, HelloParams, PROTOCOL_VERSION};
use std::sync::Arc;

/// An answer with more leases than this is serialized by a reader.
const MANY_LEASES: usize = 1000;

pub fn begin(params: HelloParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.greet();
    let Some(session) = params.session_id else {
        let answer = answer(None, false, Vec::new(), scope);
        scope.answer(&answer);
        return Ok(Started::Pending);
    };
    if scope.session().is_some_and(|present| **present != *session) {
        let message =
            "this connection has a session already; open another connection for another session";
        return Err(Error::new(ErrorCode::WrongState, message));
    }
    let owner = SessionOwner {
        key: scope.identity().and_then(ClientIdentity::work_key),
        secret: params.session_secret,
    };
    let hello = SessionHello {
        session: session.clone(),
        name: params.name.unwrap_or_else(|| session.clone()),
        peer: scope.peer().to_owned(),
        owner,
        connection: scope.connection_id().0,
        notify: scope.address().recipient(),
        resume: params.resume,
    };
    let session: Arc<str> = session.into();
    scope.set_session(session.clone());
    open(hello, session, scope);
    Ok(Started::Pending)
}

/// Opens the session, and answers when its leases are known.
fn open(hello: SessionHello<Recipient<Notify>>, session: Arc<str>, scope: &mut RequestScope<'_>) {
    let resume = hello.resume;
    let hub = scope.hub().clone();
    let holder = Holder::Session(session.clone());
    let opened = async move {
        let opened = match hub.sessions().send(OpenSession(hello)).await? {
            Ok(opened) => opened,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Some(superseded) = opened.superseded {
            // Leases may be on their way to the superseded connection. Its last requests are committed first (the first
            // `Settle`), then the releases that follow from their answers (the second). Only then is the list of leases
            // complete. An error means that the connection's actor has ended, which serves as well.
            let _ = superseded.await;
            let _ = hub.writer().send(Settle).await;
            let _ = hub.writer().send(Settle).await;
        }
        if let Some(released) = opened.released {
            // The leases of the session's previous incarnation end in steps. Leases from now on belong to the new one.
            released.await.map_err(|_| MailboxError::Closed)?;
        }
        let held = match resume {
            true => hub.leases().send(HeldBy(holder)).await?,
            false => Vec::new(),
        };
        Ok(Ok((opened.resumed, held)))
    };
    scope.call(opened, move |scope, opened| {
        let (resumed, leases) = match opened {
            Ok(opened) => opened,
            Err(refused) => {
                scope.clear_session();
                return scope.refuse(refused);
            }
        };
        let is_long = leases.len() > MANY_LEASES;
        let answer = answer(Some(session.to_string()), resumed, leases, scope);
        match is_long {
            true => {
                let answer = DeferredAnswer::new(answer);
                scope.answer_query(StoreQuery::Serialize(answer));
            }
            false => scope.answer(&answer),
        }
    });
}

fn answer(
    session_id: Option<String>,
    resumed: bool,
    leases: Vec<HeldLease>,
    scope: &mut RequestScope<'_>,
) -> HelloAnswer {
    let identity = scope.identity();
    let (name, role, rights) = identity.map_or_else(Default::default, |it| {
        (it.who.to_string(), it.role().to_owned(), it.rights())
    });
    HelloAnswer {
        protocol: PROTOCOL_VERSION,
        server: "kirosu".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        limits: (**scope.limits()).clone(),
        session_id,
        resumed,
        leases,
        boot_id: scope.hub().boot_id().into(),
        name,
        role,
        rights,
    }
}
