//! `agents`: the sessions and their leases, and the connections.

use super::{Begun, RequestScope, Started, StoreQuery};
use crate::answers;
use crate::leases::ListHeld;
use crate::readers::DeferredAnswer;
use crate::sessions::ListAgents;
use kirosu_protocol::{AGENTS_LIMIT, AgentsParams};

pub fn begin(params: AgentsParams, scope: &mut RequestScope<'_>) -> Begun {
    let (sessions, leases) = (scope.hub().sessions().clone(), scope.hub().leases().clone());
    let lists = async move {
        Ok((
            sessions.send(ListAgents).await?,
            leases.send(ListHeld).await?,
        ))
    };
    scope.call(lists, move |scope, (agents, held)| {
        let limit = params.limit.unwrap_or(AGENTS_LIMIT) as usize;
        let after = params.after.unwrap_or(0);
        let connections = params
            .all
            .then(|| scope.hub().connections().page(after, limit));
        // A reader builds the answer: with thousands of sessions it takes milliseconds, which would delay other connections.
        let answer = DeferredAnswer::build(move || {
            let mut answer = answers::agents(agents, held);
            if let Some((page, next)) = connections {
                (answer.connections, answer.next) = (Some(page), next);
            }
            answer
        });
        scope.answer_query(StoreQuery::Serialize(answer));
    });
    Ok(Started::Pending)
}
