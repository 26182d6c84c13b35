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
use kirosu_protocol::verbs::wait::WaitAsk;
use kirosu_protocol::{Status, TaskId};
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

    /// Tells the bus that nobody listens here any more.
    pub(super) fn leave(&mut self, connection: ConnectionId, bus: &Addr<Bus>) {
        let watches = std::mem::take(&mut self.watches).into_keys();
        for tag in watches.chain(std::mem::take(&mut self.waits).into_keys()) {
            bus.do_send(Unwatch((connection, tag)));
        }
    }
}

impl Connection {
    pub(super) fn wait(&mut self, tag: Tag, ask: WaitAsk, ctx: &mut Context<Self>) {
        if self.too_many_wait() {
            return self.refuse(tag, too_many_wait());
        }
        let open: HashSet<TaskId> = ask.task_ids.iter().copied().collect();
        self.waits.waits.insert(
            tag,
            Wait {
                asked: ask.task_ids.clone(),
                open,
                seen: false,
                over: false,
            },
        );
        self.slots.park(tag, self.out.lines());
        self.order.finished();
        let timer = ctx.run_later(Duration::from_millis(ask.timeout_ms), move |act, ctx| {
            act.end_time(tag, ctx);
        });
        if let Some(asked) = self.slots.get_mut(tag) {
            asked.timer = Some(timer);
            asked.waits = true;
            self.waiting += 1;
        }
        // Listens first and looks then: an end in between is seen at least once.
        let listens = self.hub.bus().send(WaitFor {
            id: (self.id, tag),
            tasks: ask.task_ids.clone(),
            to: self.caller_address(ctx).recipient(),
        });
        self.ask_future(listens, tag, ctx, move |act, (), ctx| {
            act.look(tag, ask.task_ids, ctx);
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
                if let Some(unknown) = wait.asked.iter().find(|id| !known.contains_key(id)) {
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
            _ => self.finish_wait(tag, ctx),
        }
    }

    /// All have ended, or the time is over: answers with the tasks as they stand.
    fn finish_wait(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let Some(wait) = self.waits.waits.get(&tag) else {
            return;
        };
        let asked = wait.asked.clone();
        self.forget_wait(tag, ctx);
        let tail = Tail::Wait(asked.len());
        let listing = Box::new(Listing::of_tasks(asked));
        self.answer_tasks(tag, listing, Vec::new(), tail, ctx);
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
