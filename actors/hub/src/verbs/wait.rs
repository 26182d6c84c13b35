//! `wait`: answers when tasks have ended, or after a time. The tasks are named one by one, or as a group.
//!
//! A group is waited for page by page: when all tasks of a page have ended, the next unfinished ones are looked up.

use super::group::UNFINISHED_STATUSES;
use super::list::{ListTail, answer_listing};
use super::{Begun, RequestScope, Started, StoreQuery};
use crate::answers::no_such_task;
use crate::bus::{Unwatch, WaitFor, WaitedTasksEnded};
use crate::connection::{Connection, Responding};
use crate::readers::{Listing, QueryReply};
use actix::prelude::*;
use kirosu_protocol::{
    Error, Group, Status, Task, TaskId, UNFINISHED_SHOWN, WaitAnswer, WaitParams, WaitTarget,
};
use kirosu_store::GroupQuery;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The largest number of a group's tasks that are waited for at once.
const TASKS_PER_PAGE: u32 = 1000;

/// The state of a wait.
#[derive(Debug)]
pub struct WaitProgress {
    /// The tasks of the request, or of the current page of its group.
    tasks: Vec<TaskId>,
    /// The group of the request. `None`: the client named the tasks.
    group: Option<Group>,
    /// The tasks that have not ended, as far as is known.
    open: HashSet<TaskId>,
    /// Whether the statuses of the tasks have been read since the wait for them began.
    is_read: bool,
    /// Whether the time is over. The request is answered as soon as the statuses have been read.
    timed_out: bool,
}

impl WaitProgress {
    fn new(group: Option<Group>) -> WaitProgress {
        WaitProgress {
            tasks: Vec::new(),
            group,
            open: HashSet::new(),
            is_read: false,
            timed_out: false,
        }
    }

    /// Begins to wait for other tasks.
    fn set_tasks(&mut self, tasks: Vec<TaskId>) {
        self.open = tasks.iter().copied().collect();
        self.tasks = tasks;
        self.is_read = false;
    }

    /// Takes the statuses of the tasks that exist. Returns whether the wait is over, or the first task that does not exist. A
    /// task of a group that was pruned meanwhile counts as ended.
    fn take_statuses(&mut self, statuses: Vec<(TaskId, Status)>) -> Result<bool, TaskId> {
        let statuses: HashMap<TaskId, Status> = statuses.into_iter().collect();
        let unknown = self.tasks.iter().find(|id| !statuses.contains_key(id));
        if let (None, Some(unknown)) = (&self.group, unknown) {
            return Err(*unknown);
        }
        let is_open = |id: &TaskId| statuses.get(id).is_some_and(|status| !status.is_final());
        self.open.retain(is_open);
        self.is_read = true;
        Ok(self.open.is_empty() || self.timed_out)
    }

    /// Takes ends of tasks. Returns whether the wait is over.
    fn take_ends(&mut self, ended: &[TaskId]) -> bool {
        for task in ended {
            self.open.remove(task);
        }
        self.is_read && self.open.is_empty()
    }
}

pub fn begin(params: WaitParams, scope: &mut RequestScope<'_>) -> Begun {
    match params.target {
        WaitTarget::Tasks(tasks) => {
            begin_wait(None, params.timeout_ms, scope)?;
            wait_for(tasks, scope);
        }
        WaitTarget::Group(group) => {
            begin_wait(Some(group), params.timeout_ms, scope)?;
            wait_for_page(scope);
        }
    }
    Ok(Started::Pending)
}

/// Takes the request out of the order of answers, and starts the timer that ends its wait.
fn begin_wait(
    group: Option<Group>,
    timeout_ms: u64,
    scope: &mut RequestScope<'_>,
) -> Result<(), Error> {
    scope.check_may_wait()?;
    let progress = WaitProgress::new(group);
    scope.set_responding(Responding::Wait(Box::new(progress)));
    scope.detach();
    scope.start_wait(timeout_ms, time_out);
    Ok(())
}

fn progress<'a>(scope: &'a mut RequestScope<'_>) -> Option<&'a mut WaitProgress> {
    match &mut scope.pending()?.responding {
        Responding::Wait(progress) => Some(progress),
        _ => None,
    }
}

fn wait_for(tasks: Vec<TaskId>, scope: &mut RequestScope<'_>) {
    let Some(progress) = progress(scope) else {
        return;
    };
    progress.set_tasks(tasks.clone());
    // Subscribe first and read the statuses afterwards: a task that ends in between is then seen at least once.
    let subscribe = WaitFor {
        id: (scope.connection_id(), scope.tag()),
        tasks: tasks.clone(),
        to: scope.address().recipient(),
    };
    let subscribed = scope.hub().bus().send(subscribe);
    scope.call(subscribed, move |scope, ()| read_statuses(tasks, scope));
}

fn read_statuses(tasks: Vec<TaskId>, scope: &mut RequestScope<'_>) {
    scope.query(StoreQuery::Statuses(tasks), move |scope, reply| {
        let (QueryReply::Statuses(statuses), Some(progress)) = (reply, progress(scope)) else {
            return;
        };
        match progress.take_statuses(statuses) {
            Ok(true) => finish(scope),
            Ok(false) => scope.waits_as_run(),
            Err(unknown) => scope.refuse(no_such_task(unknown)),
        }
    });
}

/// The time is over. The request is not answered before the statuses have been read: a client that waits for 0 seconds still
/// gets the tasks as they are, or the error about an unknown one.
fn time_out(scope: &mut RequestScope<'_>) {
    if let Some(progress) = progress(scope) {
        progress.timed_out = true;
        if progress.is_read {
            finish(scope);
        }
    }
}

/// All tasks have ended, or the time is over.
fn finish(scope: &mut RequestScope<'_>) {
    if let Err(ended) = scope.check_valid() {
        end_wait(scope);
        return scope.refuse(ended);
    }
    let Some(progress) = progress(scope) else {
        return;
    };
    match (&progress.group, progress.timed_out) {
        (None, _) => {
            let tasks = std::mem::take(&mut progress.tasks);
            let tail = ListTail::Wait(tasks.len());
            end_wait(scope);
            answer_listing(Listing::of_tasks(tasks), tail, scope);
        }
        (Some(_), true) => answer_group(scope),
        // More tasks of the group may be unfinished.
        (Some(_), false) => wait_for_page(scope),
    }
}

/// Ends the subscription. Its later messages are ignored; the request is still to be answered.
fn end_wait(scope: &mut RequestScope<'_>) {
    scope.cancel_timer();
    scope.set_responding(Responding::Elsewhere);
    let id = (scope.connection_id(), scope.tag());
    scope.hub().bus().do_send(Unwatch(id));
}

/// Looks up unfinished tasks of the group, and waits for them. Answers if there are none, or if the time is over.
fn wait_for_page(scope: &mut RequestScope<'_>) {
    let Some(group) = progress(scope).and_then(|progress| progress.group.clone()) else {
        return;
    };
    let query = unfinished(group, TASKS_PER_PAGE);
    scope.query(StoreQuery::Group(query), |scope, reply| {
        let (QueryReply::Ids(page), Some(progress)) = (reply, progress(scope)) else {
            return;
        };
        let is_over = page.ids.is_empty() && page.next.is_none();
        match progress.timed_out || is_over {
            true => answer_group(scope),
            false => wait_for(page.ids, scope),
        }
    });
}

fn unfinished(group: Group, limit: u32) -> GroupQuery {
    GroupQuery {
        group,
        statuses: UNFINISHED_STATUSES.to_vec(),
        before: None,
        limit,
    }
}

/// Answers with the counts of the group, and its first unfinished tasks.
fn answer_group(scope: &mut RequestScope<'_>) {
    let Some(group) = progress(scope).and_then(|progress| progress.group.take()) else {
        return;
    };
    end_wait(scope);
    let query = unfinished(group, UNFINISHED_SHOWN as u32);
    let hub = scope.hub().clone();
    let reply = async move {
        let context = Arc::new(hub.wait_context().await);
        let query = StoreQuery::GroupSummary(query, context);
        hub.readers().query(query).await
    };
    scope.call(reply, |scope, reply| match reply {
        Ok(QueryReply::GroupSummary { counts, tasks }) => {
            scope.answer(&group_answer(&counts, tasks));
        }
        Ok(_) => {}
        Err(error) => scope.refuse(error),
    });
}

fn group_answer(counts: &[i64; 8], tasks: Vec<Task>) -> WaitAnswer {
    let counts = Status::ALL.into_iter().zip(counts);
    let counts = counts.filter_map(|(status, count)| {
        let count = u64::try_from(*count).ok().filter(|count| *count > 0)?;
        Some((status, count))
    });
    WaitAnswer {
        finished: tasks.is_empty(),
        counts: Some(counts.collect()),
        tasks,
    }
}

impl Handler<WaitedTasksEnded> for Connection {
    type Result = ();

    fn handle(&mut self, ended: WaitedTasksEnded, ctx: &mut Self::Context) {
        self.step(ended.tag, ctx, |scope| {
            let Some(progress) = progress(scope) else {
                return;
            };
            match ended.tasks {
                Some(tasks) if progress.take_ends(&tasks) => finish(scope),
                Some(_) => {}
                // The bus crashed and may have missed ends: read the statuses again. If they have not been read at all, they
                // are about to be.
                None if progress.is_read => {
                    let tasks = progress.tasks.clone();
                    read_statuses(tasks, scope);
                }
                None => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_before_the_statuses_are_read_does_not_end_the_wait() {
        let mut wait = WaitProgress::new(None);
        wait.set_tasks(vec![1, 2]);
        assert!(!wait.take_ends(&[1]));
        assert_eq!(
            wait.take_statuses(vec![(1, Status::Done), (2, Status::Leased)]),
            Ok(false)
        );
        assert!(wait.take_ends(&[2]));
    }

    #[test]
    fn an_unknown_task_is_an_error_unless_it_belongs_to_a_group() {
        let mut wait = WaitProgress::new(None);
        wait.set_tasks(vec![1, 2]);
        assert_eq!(wait.take_statuses(vec![(1, Status::Done)]), Err(2));
        let mut wait = WaitProgress::new(Some(Group::default()));
        wait.set_tasks(vec![1, 2]);
        assert_eq!(wait.take_statuses(vec![(1, Status::Done)]), Ok(true));
    }

    #[test]
    fn a_wait_whose_time_is_over_ends_when_the_statuses_are_read() {
        let mut wait = WaitProgress::new(None);
        wait.set_tasks(vec![1]);
        wait.timed_out = true;
        assert_eq!(wait.take_statuses(vec![(1, Status::Queued)]), Ok(true));
    }
}
