//! `cancel`: cancels a task, or a group of tasks.

use super::group::{self, GroupChange, UNFINISHED_STATUSES};
use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::{CancelParams, Target};

pub fn begin(params: CancelParams, scope: &mut RequestScope<'_>) -> Begun {
    let CancelParams { target, by, reason } = params;
    match target {
        Target::Task(task) => {
            // A session that gives no name is recorded by its id.
            let by = by.or_else(|| scope.session().map(|session| session.to_string()));
            let command = Command::Cancel { task, by, reason };
            Ok(Started::Submit(command, finish_ok))
        }
        Target::Group(group) => {
            let change = GroupChange::Cancel { by, reason };
            group::begin(change, group, UNFINISHED_STATUSES.to_vec(), scope);
            Ok(Started::Pending)
        }
    }
}
