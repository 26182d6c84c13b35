//! `cancel`, `retry` and `wait` of a group of tasks.
//!
//! A group is gone through page by page, newest first: a reader names the tasks, the writer changes them in one commit,
//! then comes the next page. So neither memory nor the time of a commit grows with the group. Where what the tasks depend on
//! is to come back too, that comes before the tasks of its page, the oldest first, in commits of the same size.

use super::Connection;
use super::along::Along;
use super::dispatch::{FIRST, SECOND, number};
use super::settle::Settling;
use super::slots::Tag;
use crate::readers::{Question, Told};
use actix::prelude::*;
use kirosu_protocol::verbs::cancel::CancelAnswer;
use kirosu_protocol::verbs::retry::{RetryAnswer, RetryParams};
use kirosu_protocol::verbs::wait::{UNFINISHED, WaitAnswer};
use kirosu_protocol::{Effect, Error, ErrorCode, Group, IdRange, Status, Target, TaskId};
use kirosu_store::{Command, GroupQuery, Outcome};

/// Tasks that are changed in one commit: some milliseconds.
pub(super) const CHANGED_AT_ONCE: u32 = 100;
/// Tasks that are waited for at once.
const WAITED_AT_ONCE: u32 = 1000;

/// The statuses of tasks that have not ended.
const UNFINISHED_STATUSES: [Status; 5] = [
    Status::Queued,
    Status::Blocked,
    Status::Scheduled,
    Status::AwaitingApproval,
    Status::Leased,
];

/// What is done to the tasks of a group.
#[derive(Clone, Debug)]
enum Change {
    Cancel {
        by: Option<String>,
        reason: Option<String>,
    },
    Retry {
        /// Whether what the tasks depend on comes back before them.
        along: bool,
    },
    /// A group of this one task, whose own answer is that of the request; with what it depends on.
    RetryOne(TaskId),
}

/// How far the change of a group is.
#[derive(Debug)]
pub(super) struct GroupPart {
    change: Change,
    query: GroupQuery,
    /// Whether there may be more tasks than this page's.
    more: bool,
    /// Tasks of this page that are not answered.
    pending: usize,
    /// Tasks of the group that were changed.
    done: u64,
    /// Tasks beside these that came back, as others depend on them.
    dependencies: u64,
    /// The tasks of this page that are to come back, in their order.
    along: Option<Along>,
    /// The answer of [`Change::RetryOne`].
    own: Option<Result<Outcome, Error>>,
    /// Why the hub could not change one.
    failed: Option<Error>,
}

impl GroupPart {
    /// Takes the answer about one task: of the group, or (as the second part) one that others depend on. Answers whether it
    /// was the last of its commit.
    pub(super) fn take(&mut self, part: u64, answer: Result<Outcome, Error>) -> bool {
        self.pending = self.pending.saturating_sub(1);
        match answer {
            answer if part == FIRST && matches!(self.change, Change::RetryOne(_)) => {
                self.own = Some(answer);
            }
            // It failed again at once, as one that it depends on is forgotten.
            Ok(Outcome::Retried {
                status: Status::Failed,
                ..
            }) if self.along.is_some() => {}
            Ok(_) if part == SECOND => self.dependencies += 1,
            Ok(_) => self.done += 1,
            // It ended, or was changed or pruned by another request, since the page was read.
            Err(error) if matches!(error.code, ErrorCode::WrongState | ErrorCode::UnknownTask) => {}
            Err(error) => self.failed = Some(error),
        }
        self.pending == 0
    }
}

impl Connection {
    pub(super) fn cancel_group(
        &mut self,
        tag: Tag,
        group: Group,
        by: Option<String>,
        reason: Option<String>,
        ctx: &mut Context<Self>,
    ) {
        let change = Change::Cancel { by, reason };
        self.change_group(tag, change, group, UNFINISHED_STATUSES.to_vec(), ctx);
    }

    pub(super) fn retry(&mut self, tag: Tag, ask: RetryParams, ctx: &mut Context<Self>) {
        let group = match ask.target {
            Target::Task(task) => return self.retry_along(tag, task, ctx),
            Target::Group(group) => group,
        };
        let mut statuses = vec![Status::Failed];
        statuses.extend((!ask.failed).then_some(Status::Cancelled));
        let change = Change::Retry {
            along: ask.with_dependencies,
        };
        self.change_group(tag, change, group, statuses, ctx);
    }

    /// Retries one task with what it depends on.
    fn retry_along(&mut self, tag: Tag, task: TaskId, ctx: &mut Context<Self>) {
        let group = Group {
            ranges: vec![IdRange {
                first: task,
                last: task,
            }],
            ..Group::default()
        };
        let statuses = vec![Status::Failed, Status::Cancelled];
        self.change_group(tag, Change::RetryOne(task), group, statuses, ctx);
    }

    fn change_group(
        &mut self,
        tag: Tag,
        change: Change,
        group: Group,
        statuses: Vec<Status>,
        ctx: &mut Context<Self>,
    ) {
        let Some(asked) = self.slots.get_mut(tag) else {
            return;
        };
        let query = GroupQuery {
            group,
            statuses,
            before: None,
            limit: CHANGED_AT_ONCE,
        };
        asked.settling = Settling::Group(Box::new(GroupPart {
            change,
            query,
            more: true,
            pending: 0,
            done: 0,
            dependencies: 0,
            along: None,
            own: None,
            failed: None,
        }));
        self.change_page(tag, ctx);
    }

    /// Goes on with the next commit, or answers.
    pub(super) fn change_page(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(part) = self.group_part(tag) else {
            return;
        };
        if let Some(error) = part.failed.take() {
            let message = format!(
                "{} tasks were changed, then: {error}; send it again for the others",
                part.done + part.dependencies
            );
            return self.refuse(tag, Error::internal(Effect::Unknown, message));
        }
        if let Some(along) = &mut part.along {
            let next = along.next();
            if !next.is_empty() {
                return self.change_all(tag, &next, ctx);
            }
            if let Some((of, above, limit)) = along.question() {
                let question = Question::FailedDependencies(of, above, limit);
                return self.ask_reader(question, tag, ctx, move |act, told, ctx| {
                    let (Told::Dependencies(ids), Some(part)) = (told, act.group_part(tag)) else {
                        return;
                    };
                    if let Some(along) = &mut part.along {
                        along.found(&ids);
                    }
                    act.change_page(tag, ctx);
                });
            }
            part.along = None;
        }
        if !part.more {
            return self.answer_group(tag, ctx);
        }
        let question = Question::Group(part.query.clone());
        self.ask_reader(question, tag, ctx, move |act, told, ctx| {
            let (Told::Ids(page), Some(part)) = (told, act.group_part(tag)) else {
                return;
            };
            (part.more, part.query.before) = (page.next.is_some(), page.next);
            match part.change {
                Change::Retry { along: true } => part.along = Some(Along::of(page.ids)),
                Change::RetryOne(_) if !page.ids.is_empty() => {
                    part.along = Some(Along::of(page.ids));
                }
                // It has not ended: its answer says so, and nothing else changes.
                Change::RetryOne(task) => part.along = Some(Along::alone(task)),
                _ if page.ids.is_empty() => {}
                _ => {
                    let next: Vec<_> = page.ids.iter().map(|id| (FIRST, *id)).collect();
                    return act.change_all(tag, &next, ctx);
                }
            }
            act.change_page(tag, ctx);
        });
    }

    /// Changes these tasks in one commit.
    fn change_all(&mut self, tag: Tag, tasks: &[(u64, TaskId)], ctx: &mut Context<Self>) {
        let Some(part) = self.group_part(tag) else {
            return;
        };
        part.pending = tasks.len();
        let commands = tasks.iter();
        let commands = commands.map(|(which, id)| (number(tag, *which), part.change.of(*id)));
        let commands: Vec<_> = commands.collect();
        self.submit.extend(commands);
        self.send_commands(ctx);
    }

    /// All is done.
    fn answer_group(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(part) = self.group_part(tag) else {
            return;
        };
        let (done, dependencies) = (part.done, part.dependencies);
        match part.change {
            Change::Cancel { .. } => {
                let answer = CancelAnswer {
                    ok: true,
                    cancelled: Some(done),
                };
                self.answer(tag, &answer);
            }
            Change::Retry { along } => {
                let answer = RetryAnswer {
                    ok: true,
                    retried: Some(done),
                    dependencies: along.then_some(dependencies),
                    ..RetryAnswer::default()
                };
                self.answer(tag, &answer);
            }
            Change::RetryOne(_) => {
                let own = part.own.take().unwrap_or_else(|| {
                    let message = "the writer gave no answer about the task; send it again";
                    Err(Error::internal(Effect::Unknown, message))
                });
                if let Some(asked) = self.slots.get_mut(tag) {
                    asked.settling = Settling::Plain;
                }
                self.settle_one(tag, own, ctx);
            }
        }
    }

    fn group_part(&mut self, tag: Tag) -> Option<&mut GroupPart> {
        match &mut self.slots.get_mut(tag)?.settling {
            Settling::Group(part) => Some(part),
            _ => None,
        }
    }

    /// Looks for unfinished tasks of the group and waits for these, or answers when there are none or the time is over.
    pub(super) fn wait_for_page(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(group) = self.waits.group(tag) else {
            return;
        };
        let question = Question::Group(GroupQuery {
            group: group.clone(),
            statuses: UNFINISHED_STATUSES.to_vec(),
            before: None,
            limit: WAITED_AT_ONCE,
        });
        self.ask_reader(question, tag, ctx, move |act, told, ctx| {
            let Told::Ids(page) = told else { return };
            if act.waits.is_over(tag) || (page.ids.is_empty() && page.next.is_none()) {
                return act.answer_wait_group(tag, ctx);
            }
            act.wait_for(tag, page.ids, ctx);
        });
    }

    /// Answers a wait for a group, as it stands.
    pub(super) fn answer_wait_group(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(group) = self.waits.group(tag).cloned() else {
            return;
        };
        self.forget_wait(tag, ctx);
        let query = GroupQuery {
            group,
            statuses: UNFINISHED_STATUSES.to_vec(),
            before: None,
            limit: UNFINISHED as u32,
        };
        let question = |around| Question::GroupStands(query, around);
        self.ask_why(question, tag, ctx, move |act, told, _| {
            let Told::GroupStands { counts, tasks } = told else {
                return;
            };
            let states = Status::ALL.into_iter().zip(counts);
            let counts = states.filter_map(|(status, count)| {
                let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
                Some((status, count))
            });
            let answer = WaitAnswer {
                finished: tasks.is_empty(),
                tasks,
                counts: Some(counts.collect()),
            };
            act.answer(tag, &answer);
        });
    }
}

impl Change {
    fn of(&self, task: TaskId) -> Command {
        match self {
            Change::Cancel { by, reason } => Command::Cancel {
                task,
                by: by.clone(),
                reason: reason.clone(),
            },
            Change::Retry { .. } | Change::RetryOne(_) => Command::Retry { task },
        }
    }
}
