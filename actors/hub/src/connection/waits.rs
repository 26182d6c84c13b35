//! `wait` and `watch` of one connection: what it waits for, and the events it is told.

use super::dispatch::too_many_wait;
use super::slots::Tag;
use super::{Connection, ConnectionId};
use crate::bus::{Bus, Events, Filter, Unwatch, Watch};
use crate::readers::{Question, Told};
use actix::prelude::*;
use kirosu_protocol::answer::write_notification;
use kirosu_protocol::verbs::wait::{WaitAnswer, WaitAsk};
use kirosu_protocol::verbs::watch::{WatchAnswer, WatchAsk};
use kirosu_protocol::{ApprovalState, Event, EventKind, Group, Notice, TaskId};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// Events kept in memory for a client that does not read; beyond it the watch ends.
const UNREAD_EVENTS_BYTES: usize = 8 << 20;

/// What a connection waits for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    watches: HashMap<Tag, Watching>,
    waits: BTreeMap<Tag, Wait>,
}

/// How far a watch is.
#[derive(Debug)]
enum Watching {
    /// The bus has been asked: what it sends before its answer is told after what was missed.
    Begins(Vec<Event>),
    /// The client has its answer.
    Runs,
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
        for tag in self
            .watches
            .drain()
            .map(|(tag, _)| tag)
            .chain(std::mem::take(&mut self.waits).into_keys())
        {
            bus.do_send(Unwatch((connection, tag)));
        }
    }
}

impl Connection {
    pub(super) fn watch(&mut self, tag: Tag, ask: WatchAsk, ctx: &mut Context<Self>) {
        let filter = Filter {
            tasks: ask.task_id.into_iter().collect(),
            kinds: ask.kinds,
            only_final: false,
        };
        let elsewhere = ask
            .boot_id
            .as_deref()
            .is_some_and(|id| id != self.hub.boot_id());
        // Another life of the hub gave that number: all that there is came after it.
        let since = ask.since.map(|since| if elsewhere { 0 } else { since });
        let request = Watch {
            id: (self.id, tag),
            filter,
            since,
            to: self.caller_address(ctx).recipient(),
        };
        self.waits.watches.insert(tag, Watching::Begins(Vec::new()));
        self.ask_actor(
            self.hub.bus().send(request),
            tag,
            ctx,
            move |act, watched| {
                let begun = act.waits.watches.insert(tag, Watching::Runs);
                // A number beyond the newest was given by another life of the hub.
                let gap = elsewhere
                    || watched.lost > 0
                    || since.is_some_and(|since| since > watched.newest);
                act.answer(
                    tag,
                    &WatchAnswer {
                        seq: watched.newest,
                        gap,
                        boot_id: act.hub.boot_id().to_owned(),
                    },
                );
                act.tell(&watched.missed);
                if let Some(Watching::Begins(meanwhile)) = begun {
                    act.tell(&meanwhile);
                }
            },
        );
    }

    pub(super) fn wait(&mut self, tag: Tag, ask: WaitAsk, ctx: &mut Context<Self>) {
        if self.too_many_wait() {
            return self.refuse(tag, too_many_wait());
        }
        self.begin_wait(tag, ask.task_ids.clone(), None, ask.timeout_ms, ctx);
        self.wait_for(tag, ask.task_ids, ctx);
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
        self.slots.park(tag, &mut self.out);
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
        let filter = Filter {
            tasks: tasks.clone(),
            kinds: Vec::new(),
            only_final: true,
        };
        let request = Watch {
            id: (self.id, tag),
            filter,
            since: None,
            to: self.caller_address(ctx).recipient(),
        };
        let listens = self.hub.bus().send(request);
        self.ask_future(listens, tag, ctx, move |act, _, ctx| {
            act.look(tag, tasks, ctx);
        });
    }

    /// Looks how the tasks of a wait stand.
    fn look(&mut self, tag: Tag, tasks: Vec<TaskId>, ctx: &mut Context<Self>) {
        self.ask_reader(Question::Many(tasks), tag, ctx, move |act, told, ctx| {
            let (Told::Tasks(tasks), Some(wait)) = (told, act.waits.waits.get_mut(&tag)) else {
                return;
            };
            let known: HashSet<TaskId> = tasks.iter().map(|task| task.task_id).collect();
            if wait.group.is_some() {
                // One of a group that was pruned since has ended.
                wait.open.retain(|id| known.contains(id));
            } else if let Some(unknown) = wait.asked.iter().find(|id| !known.contains(id)) {
                let error = kirosu_protocol::Error::new(
                    kirosu_protocol::ErrorCode::UnknownTask,
                    format!("no task has the id {unknown}"),
                );
                act.forget_wait(tag, ctx);
                return act.refuse(tag, error);
            }
            for task in tasks.iter().filter(|task| task.status.is_final()) {
                wait.open.remove(&task.task_id);
            }
            wait.seen = true;
            if wait.open.is_empty() || wait.over {
                act.finish_wait(tag, ctx);
            }
        });
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
        let tasks = asked.clone();
        self.ask_why(
            |around| Question::Explained(tasks, around),
            tag,
            ctx,
            move |act, told, _| {
                if let Told::Tasks(tasks) = told {
                    let finished = tasks.len() == asked.len()
                        && tasks.iter().all(|task| task.status.is_final());
                    act.answer(tag, &WaitAnswer { tasks, finished });
                }
            },
        );
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

    fn tell(&mut self, events: &[Event]) {
        for event in events {
            write_notification(&mut self.out, "event", event);
            if let Some(notice) = question_in(&event.what) {
                notice.write(&mut self.out);
            }
        }
    }

    /// Ends a watch: its client may watch again from the event with number `since` on.
    fn end_watch(&mut self, tag: Tag, since: u64) {
        #[derive(Serialize)]
        struct Lagged {
            lagged: bool,
            since: u64,
        }
        self.waits.watches.remove(&tag);
        self.hub.bus().do_send(Unwatch((self.id, tag)));
        write_notification(
            &mut self.out,
            "event",
            &Lagged {
                lagged: true,
                since,
            },
        );
    }
}

/// What a person is asked by an event.
fn question_in(what: &EventKind) -> Option<Notice> {
    match what {
        EventKind::Task {
            task_id,
            fence,
            question: Some(question),
            ..
        } => Some(Notice::Approval {
            approval_id: None,
            task_id: *task_id,
            fence: *fence,
            question: question.clone(),
        }),
        EventKind::Approval {
            approval_id,
            task_id,
            fence,
            state: ApprovalState::Open,
            tool,
            title,
            ..
        } => Some(Notice::Approval {
            approval_id: Some(*approval_id),
            task_id: *task_id,
            fence: *fence,
            question: format!("may {tool} run? {title}"),
        }),
        _ => None,
    }
}

impl Handler<Events> for Connection {
    type Result = ();

    fn handle(
        &mut self,
        Events {
            tag,
            events,
            lost_after,
        }: Events,
        ctx: &mut Self::Context,
    ) {
        if let Some(wait) = self.waits.waits.get_mut(&tag) {
            if lost_after.is_some() && wait.seen {
                let asked = wait.asked.clone();
                self.look(tag, asked, ctx);
                return self.go_on(ctx);
            }
            for event in &events {
                if let EventKind::Task { task_id, .. } = event.what {
                    wait.open.remove(&task_id);
                }
            }
            if wait.seen && wait.open.is_empty() {
                self.finish_wait(tag, ctx);
            }
        } else {
            let unread = self.out.len();
            match self.waits.watches.get_mut(&tag) {
                None => {}
                Some(Watching::Begins(meanwhile)) => meanwhile.extend(events),
                Some(Watching::Runs) if lost_after.is_some() => {
                    self.end_watch(tag, lost_after.unwrap_or_default());
                }
                Some(Watching::Runs) if unread > UNREAD_EVENTS_BYTES => {
                    let first = events.first().map_or(0, |event| event.seq);
                    self.end_watch(tag, first.saturating_sub(1));
                }
                Some(Watching::Runs) => self.tell(&events),
            }
        }
        self.go_on(ctx);
    }
}
