//! `wait` of one connection: what it waits for.

use super::dispatch::too_many_wait;
use super::lists::Tail;
use super::slots::Tag;
use super::watches::Watching;
use super::{Connection, ConnectionId};
use crate::answers::no_such_task;
use crate::bus::{Bus, Ended, Unwatch, WaitFor};
use crate::readers::{Listing, Question, Told};
use actix::prelude::*;
use kirosu_protocol::verbs::wait::{WaitParams, WaitTarget};
use kirosu_protocol::{Group, Status, TaskId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// What a connection waits for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub watches: BTreeMap<Tag, Watching>,
    waits: BTreeMap<Tag, Wait>,
}

#[derive(Debug)]
struct Wait {
    asked: Vec<TaskId>,
    /// The group whose tasks these are; none: they were asked for one by one.
    group: Option<Group>,
    /// Tasks that have not ended, as far as is known.
    open: HashSet<TaskId>,
    /// Whether the tasks' state at the beginning is known.
    seen: bool,
    /// Whether its time is over: it is answered as soon as that state is known.
    over: bool,
}

impl Waits {
    /// Whether the client watches.
    pub(super) fn watches(&self) -> bool {
        !self.watches.is_empty()
    }

    /// The group that a wait is for.
    pub(super) fn group(&self, tag: Tag) -> Option<&Group> {
        self.waits.get(&tag)?.group.as_ref()
    }

    /// Whether the time of a wait is over.
    pub(super) fn is_over(&self, tag: Tag) -> bool {
        self.waits.get(&tag).is_some_and(|wait| wait.over)
    }

    /// Tells the bus that nobody listens here any more.
    pub(super) fn leave(&mut self, connection: ConnectionId, bus: &Addr<Bus>) {
        let watches = std::mem::take(&mut self.watches).into_keys();
        for tag in watches.chain(std::mem::take(&mut self.waits).into_keys()) {
            bus.do_send(Unwatch((connection, tag)));
        }
    }
}

impl Connection {
    pub(super) fn wait(&mut self, tag: Tag, ask: WaitParams, ctx: &mut Context<Self>) {
        if self.too_many_wait() {
            return self.refuse(tag, too_many_wait());
        }
        match ask.target {
            WaitTarget::Tasks(task_ids) => {
                self.begin_wait(tag, task_ids.clone(), None, ask.timeout_ms, ctx);
                self.wait_for(tag, task_ids, ctx);
            }
            WaitTarget::Group(group) => {
                self.begin_wait(tag, Vec::new(), Some(group), ask.timeout_ms, ctx);
                self.wait_for_page(tag, ctx);
            }
        }
    }

    /// Takes the request out of the order of answers, and sets the timer that ends its wait.
    pub(super) fn begin_wait(
        &mut self,
        tag: Tag,
        asked: Vec<TaskId>,
        group: Option<Group>,
        timeout_ms: u64,
        ctx: &mut Context<Self>,
    ) {
        self.waits.waits.insert(
            tag,
            Wait {
                asked,
                group,
                open: HashSet::new(),
                seen: false,
                over: false,
            },
        );
        self.slots.park(tag, self.out.lines());
        self.order.finished();
        let timer = ctx.run_later(Duration::from_millis(timeout_ms), move |act, ctx| {
            act.end_time(tag, ctx);
        });
        if let Some(asked) = self.slots.get_mut(tag) {
            asked.timer = Some(timer);
            asked.waits = true;
            self.waiting += 1;
        }
    }

    /// Waits for these tasks, under a wait that has begun.
    pub(super) fn wait_for(&mut self, tag: Tag, tasks: Vec<TaskId>, ctx: &mut Context<Self>) {
        let Some(wait) = self.waits.waits.get_mut(&tag) else {
            return;
        };
        wait.open = tasks.iter().copied().collect();
        wait.asked = tasks.clone();
        wait.seen = false;
        // Listens first and looks then: an end in between is seen at least once.
        let listens = self.hub.bus().send(WaitFor {
            id: (self.id, tag),
            tasks: tasks.clone(),
            to: self.caller_address(ctx).recipient(),
        });
        self.ask_future(listens, tag, ctx, move |act, (), ctx| {
            act.look(tag, tasks, ctx);
        });
    }

    /// Looks how the tasks of a wait stand.
    fn look(&mut self, tag: Tag, tasks: Vec<TaskId>, ctx: &mut Context<Self>) {
        self.ask_reader(
            Question::Statuses(tasks),
            tag,
            ctx,
            move |act, told, ctx| {
                let (Told::Statuses(known), Some(wait)) = (told, act.waits.waits.get_mut(&tag))
                else {
                    return;
                };
                let known: HashMap<TaskId, Status> = known.into_iter().collect();
                if wait.group.is_some() {
                    // One of a group that was pruned since has ended.
                    wait.open.retain(|id| known.contains_key(id));
                } else if let Some(unknown) = wait.asked.iter().find(|id| !known.contains_key(id)) {
                    let error = no_such_task(*unknown);
                    act.forget_wait(tag, ctx);
                    return act.refuse(tag, error);
                }
                wait.open
                    .retain(|id| known.get(id).is_none_or(|status| !status.is_final()));
                wait.seen = true;
                if wait.open.is_empty() || wait.over {
                    act.finish_wait(tag, ctx);
                }
            },
        );
    }

    /// The time is over. Not before the tasks have been looked at: whoever waits no time at all still learns how they stand,
    /// and which there are not.
    fn end_time(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        match self.waits.waits.get_mut(&tag) {
            Some(wait) if !wait.seen => wait.over = true,
            Some(wait) => {
                wait.over = true;
                self.finish_wait(tag, ctx);
            }
            None => {}
        }
    }

    /// All have ended, or the time is over: answers with the tasks as they stand.
    fn finish_wait(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(wait) = self.waits.waits.get(&tag) else {
            return;
        };
        if wait.group.is_some() {
            return match wait.over {
                true => self.answer_wait_group(tag, ctx),
                // More tasks of the group may be unfinished.
                false => self.wait_for_page(tag, ctx),
            };
        }
        let asked = wait.asked.clone();
        self.forget_wait(tag, ctx);
        let tail = Tail::Wait(asked.len());
        self.explain_tasks(tag, Listing::of_tasks(asked), tail, ctx);
    }

    /// Forgets a `wait` or a `watch`; a request of another kind is fine.
    pub(super) fn forget_wait(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let wait = self.waits.waits.remove(&tag).is_some();
        let watch = self.waits.watches.remove(&tag).is_some();
        if wait || watch {
            self.cancel_timer(tag, ctx);
            self.hub.bus().do_send(Unwatch((self.id, tag)));
        }
    }
}

impl Handler<Ended> for Connection {
    type Result = ();

    fn handle(&mut self, Ended { tag, tasks }: Ended, ctx: &mut Self::Context) {
        if let Some(wait) = self.waits.waits.get_mut(&tag) {
            match tasks {
                Some(tasks) => {
                    for task in tasks {
                        wait.open.remove(&task);
                    }
                    if wait.seen && wait.open.is_empty() {
                        self.finish_wait(tag, ctx);
                    }
                }
                // Else it is looked at for the first time, which is early enough.
                None if wait.seen => {
                    let asked = wait.asked.clone();
                    self.look(tag, asked, ctx);
                }
                None => {}
            }
        }
        self.go_on(ctx);
    }
}
