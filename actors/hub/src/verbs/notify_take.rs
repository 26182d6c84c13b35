//! `notify_take`: the next events for a target of notifications.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use crate::connection::{CommandPart, Responding};
use kirosu_protocol::text::head;
use kirosu_protocol::{NOTICES_LIMIT, NOTIFY_ERROR_BYTES, NotifyTakeAnswer, NotifyTakeParams};
use kirosu_store::TakeNotices;
use std::time::Duration;
use tokio::time::timeout;

pub fn begin(params: NotifyTakeParams, scope: &mut RequestScope<'_>) -> Begun {
    let take = Command::TakeNotices(Box::new(TakeNotices {
        name: params.name,
        done: params.done,
        error: params
            .error
            .map(|error| head(&error, NOTIFY_ERROR_BYTES).to_owned()),
        next_ms: params.next_ms,
        limit: params.limit.unwrap_or(NOTICES_LIMIT),
    }));
    let Some(known) = params.known.filter(|_| params.wait_ms > 0) else {
        return Ok(Started::Submit(take, finish));
    };
    scope.check_may_wait()?;
    scope.detach();
    let mut newest = scope.hub().notices().subscribe();
    let news = async move {
        // Either ends the wait; the sender cannot be gone while the connection has the hub.
        let above = newest.wait_for(|newest| *newest > known);
        let _ = timeout(Duration::from_millis(params.wait_ms), above).await;
    };
    scope.call_ok(news, |scope, ()| {
        if let Err(ended) = scope.check_valid() {
            return scope.refuse(ended);
        }
        scope.set_responding(Responding::Once(finish));
        scope.submit(CommandPart::First, take);
    });
    Ok(Started::Pending)
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Notices { notices, known } => {
            scope.answer(&NotifyTakeAnswer { notices, known });
        }
        outcome => refuse_unexpected(&outcome, scope),
    }
}
