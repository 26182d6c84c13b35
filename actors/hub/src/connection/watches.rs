//! `watch` of one connection: the events it is told, as fast as its client takes them.
//!
//! A watch is sent events by the bus while its client keeps up. When it does not, the watch only remembers where it
//! stands, and asks the bus for the next piece when the client has taken the one before; so it holds no events itself.

use super::Connection;
use super::slots::Tag;
use crate::bus::{Events, Filter, Look, PIECE_BYTES, Unwatch, Watch};
use actix::prelude::*;
use kirosu_protocol::answer::write_notification;
use kirosu_protocol::verbs::watch::{WatchAnswer, WatchParams};
use serde::Serialize;

/// Bytes that may wait for the client before its watches stop taking events.
const UNREAD_BYTES: usize = 1 << 20;

/// A watch.
#[derive(Debug)]
pub(super) struct Watching {
    filter: Filter,
    /// The number of the last event that the client was told, or that the filter left out.
    at: u64,
    /// The number of the newest request to the bus; what comes of an older one is left out.
    turn: u64,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There may be events to ask for.
    Behind,
    /// The bus was asked, or sends them as they come.
    Told,
}

impl Connection {
    pub(super) fn watch(&mut self, tag: Tag, ask: WatchParams, ctx: &mut Context<Self>) {
        let filter = Filter::new(ask.task_id, &ask.kinds);
        let elsewhere = ask
            .boot_id
            .as_deref()
            .is_some_and(|id| id != self.hub.boot_id());
        // Another life of the hub gave that number: all that there is came after it.
        let since = ask.since.map(|since| if elsewhere { 0 } else { since });
        let asked = self.hub.bus().send(Look(since));
        self.ask_actor(asked, tag, ctx, move |act, stand| {
            let watching = Watching {
                filter,
                at: stand.from,
                turn: 0,
                step: Step::Behind,
            };
            act.waits.watches.insert(tag, watching);
            // A number beyond the newest was given by another life of the hub.
            let gap =
                elsewhere || stand.lost > 0 || since.is_some_and(|since| since > stand.newest);
            act.answer(
                tag,
                &WatchAnswer {
                    seq: stand.newest,
                    gap,
                    boot_id: act.hub.boot_id().into(),
                },
            );
        });
    }

    /// Asks for events of watches that are behind, when their answers have left and there is room.
    pub(super) fn catch_up(&mut self, ctx: &mut Context<Self>) {
        if self.waits.watches.is_empty() || !self.can_tell(PIECE_BYTES) {
            return;
        }
        let behind = |(tag, watching): &(&Tag, &Watching)| {
            watching.step == Step::Behind && self.slots.has_left(**tag)
        };
        let Some((tag, watching)) = self.waits.watches.iter().find(behind) else {
            return;
        };
        let tag = *tag;
        let request = Watch {
            id: (self.id, tag),
            filter: watching.filter,
            from: watching.at,
            turn: watching.turn + 1,
            to: self.caller_address(ctx).recipient(),
        };
        if let Some(watching) = self.waits.watches.get_mut(&tag) {
            watching.turn += 1;
            watching.step = Step::Told;
        }
        let asked = self.hub.bus().send(request);
        let asked = asked.into_actor(self).map(move |asked, act, ctx| {
            if asked.is_err() {
                // The bus crashed over it; it is asked again.
                if let Some(watching) = act.waits.watches.get_mut(&tag) {
                    watching.step = Step::Behind;
                }
                act.go_on(ctx);
            }
        });
        ctx.spawn(asked);
    }

    /// Whether events may be written now, with so many bytes waiting at the most.
    fn can_tell(&self, most: usize) -> bool {
        !self.streams.in_line() && self.writing.is_some() && self.out.len() <= most
    }

    /// The events after the last one told are gone: the watch ends, and says from where to watch again.
    fn end_watch(&mut self, tag: Tag, since: u64) {
        #[derive(Serialize)]
        struct Lagged {
            lagged: bool,
            since: u64,
        }
        self.waits.watches.remove(&tag);
        self.hub.bus().do_send(Unwatch((self.id, tag)));
        let lagged = true;
        write_notification(self.out.lines(), "event", &Lagged { lagged, since });
    }
}

impl Handler<Events> for Connection {
    type Result = ();

    fn handle(&mut self, events: Events, ctx: &mut Self::Context) {
        let tag = events.tag;
        let can_tell = self.can_tell(UNREAD_BYTES);
        let watching = self.waits.watches.get_mut(&tag);
        if let Some(watching) = watching
            && watching.step == Step::Told
            && watching.turn == events.turn
        {
            if events.is_gap {
                let since = watching.at;
                self.end_watch(tag, since);
            } else if can_tell {
                watching.at = events.upto;
                if !events.follows {
                    watching.step = Step::Behind;
                }
                for line in &events.lines {
                    self.out.share(line);
                }
            } else {
                watching.step = Step::Behind;
                if events.follows {
                    self.hub.bus().do_send(Unwatch((self.id, tag)));
                }
            }
        }
        self.go_on(ctx);
    }
}
