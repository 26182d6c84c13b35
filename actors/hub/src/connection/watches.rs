//! The watches of one connection, and the events that they send to its client.
//!
//! The bus sends events to a watch while its client keeps up. When the client does not, the watch only remembers its position,
//! and asks the bus for the next piece when the client has taken the one before. So a watch holds no events in memory.

use super::Connection;
use super::responses::Tag;
use crate::bus::{EventFilter, PIECE_BYTES, Unwatch, Watch, WatchedEvents};
use crate::clock::now_ms;
use crate::identity::ClientIdentity;
use actix::prelude::*;
use kirosu_protocol::answer::write_notification;
use serde::Serialize;
use std::sync::Arc;

/// Bytes that may wait for the client before its watches stop taking events.
const UNREAD_BYTES: usize = 1 << 20;

/// A watch of events.
#[derive(Debug)]
pub struct EventWatch {
    filter: EventFilter,
    /// The number of the last event that was sent to the client, or that the filter left out.
    at: u64,
    /// The number of the newest request to the bus. Events that follow from an older one are dropped.
    turn: u64,
    /// The party that began it. When its key or run has ended, the watch ends.
    by: Option<Arc<ClientIdentity>>,
    /// Whether a request to the bus is under way, or the bus sends events as they come. If not, there may be events to request.
    is_following: bool,
}

impl EventWatch {
    /// A watch of the events after number `from`, of this party.
    pub fn new(filter: EventFilter, from: u64, by: Option<Arc<ClientIdentity>>) -> EventWatch {
        EventWatch {
            filter,
            at: from,
            turn: 0,
            by,
            is_following: false,
        }
    }

    fn is_valid(&self, now_ms: i64) -> bool {
        self.by.as_ref().is_none_or(|by| by.is_valid(now_ms))
    }
}

impl Connection {
    /// Asks the bus for the events of a watch that is behind, if the answer to its request has left and the client reads.
    pub(super) fn advance_watches(&mut self, ctx: &mut Context<Self>) {
        if self.watches.is_empty() || !self.can_send_events(PIECE_BYTES) {
            return;
        }
        let behind = |(tag, watch): &(&Tag, &mut EventWatch)| {
            !watch.is_following && self.responses.has_left(**tag)
        };
        let Some((tag, watch)) = self.watches.iter_mut().find(behind) else {
            return;
        };
        let tag = *tag;
        watch.turn += 1;
        watch.is_following = true;
        let (filter, from, turn) = (watch.filter, watch.at, watch.turn);
        let request = Watch {
            id: (self.id, tag),
            filter,
            from,
            turn,
            to: self.address(ctx).recipient(),
        };
        let sent = self.hub.bus().send(request).into_actor(self);
        ctx.spawn(sent.map(move |sent, act, ctx| {
            if sent.is_err() {
                // The bus crashed over the request. Ask again.
                if let Some(watch) = act.watches.get_mut(&tag) {
                    watch.is_following = false;
                }
                act.advance(ctx);
            }
        }));
    }

    /// Whether events may be written now: at most `limit` bytes wait for the client.
    fn can_send_events(&self, limit: usize) -> bool {
        !self.long_answers.in_line()
            && self.transport.is_idle()
            && self.transport.waiting_bytes() <= limit
    }

    /// Ends the watches whose party has no rights any more.
    pub(super) fn end_watches_of_ended(&mut self, now_ms: i64) {
        // One whose answer has not left ends with its first events: the notification must not overtake the answer.
        let is_over = |(tag, watch): (&Tag, &EventWatch)| {
            let is_over = !watch.is_valid(now_ms) && self.responses.has_left(*tag);
            is_over.then_some((*tag, watch.at))
        };
        let over: Vec<(Tag, u64)> = self.watches.iter().filter_map(is_over).collect();
        for (tag, since) in over {
            self.end_watch(tag, since);
        }
    }

    /// Ends a watch whose next events are no longer kept, or whose party has no rights any more. The notification contains the
    /// number from which the client may watch again, or learns the reason why not.
    fn end_watch(&mut self, tag: Tag, since: u64) {
        #[derive(Serialize)]
        struct Lagged {
            lagged: bool,
            since: u64,
        }
        self.watches.remove(&tag);
        self.hub.bus().do_send(Unwatch((self.id, tag)));
        let lagged = true;
        let out = self.transport.lines();
        write_notification(out, "event", &Lagged { lagged, since });
    }

    fn take_events(&mut self, events: WatchedEvents) {
        let tag = events.tag;
        let (can_send, now_ms) = (self.can_send_events(UNREAD_BYTES), now_ms(&self.child));
        let Some(watch) = self.watches.get_mut(&tag) else {
            return;
        };
        if !watch.is_following || watch.turn != events.turn {
            return;
        }
        if events.is_gap || !watch.is_valid(now_ms) {
            let since = watch.at;
            self.end_watch(tag, since);
        } else if can_send {
            watch.at = events.upto;
            watch.is_following = events.follows;
            for line in &events.lines {
                self.transport.share(line);
            }
        } else {
            watch.is_following = false;
            if events.follows {
                self.hub.bus().do_send(Unwatch((self.id, tag)));
            }
        }
    }
}

impl Handler<WatchedEvents> for Connection {
    type Result = ();

    fn handle(&mut self, events: WatchedEvents, ctx: &mut Self::Context) {
        self.take_events(events);
        self.advance(ctx);
    }
}
