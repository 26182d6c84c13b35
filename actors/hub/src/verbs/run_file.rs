//! `run_file`: a piece of the result of a step, for the holder of a lease of the same run.

use super::{Begun, RequestScope, Started, StoreQuery};
use crate::leases::{HeldBy, Holder};
use kirosu_protocol::{Error, ErrorCode, HeldLease, RunFileParams};
use serde_json::json;

pub fn begin(params: RunFileParams, scope: &mut RequestScope<'_>) -> Begun {
    let task = params.task_id;
    let fence = params.fence.or_else(|| scope.leases().fence(task));
    let (Some(fence), Some(session)) = (fence, scope.session().cloned()) else {
        return Err(not_held(&params));
    };
    let held = scope.hub().leases().send(HeldBy(Holder::Session(session)));
    scope.call(held, move |scope, held| {
        let lease = HeldLease {
            task_id: task,
            fence,
        };
        match held.contains(&lease) {
            true => scope.answer_query(StoreQuery::RunFile(params)),
            false => scope.refuse(not_held(&params)),
        }
    });
    Ok(Started::Pending)
}

fn not_held(params: &RunFileParams) -> Error {
    let task = params.task_id;
    let message = format!(
        "the session has no such lease of task {task}: results are for the session that runs a task of the same run"
    );
    Error::new(ErrorCode::StaleLease, message).with_data(json!({ "task_id": task }))
}
