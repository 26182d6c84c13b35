//! All lanes of a process and the one line before them. Pure: time is told, nothing is asked.
//!
//! Who wants to work stands in one line, first come, first served, whatever its pool. A session asks for a *turn*: leave
//! to lease a task. While a lane has room for all, turns are free and leases are parked for long. Once it is full nobody
//! leases for it; when room comes up, the first in the line gets a *quick* turn with that room kept for it. If it finds
//! no task it goes to the end, *dry*, and the next has a try; when all are dry, there is room for all again. A run that
//! has a task already asks for a *slot* in the same line.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::limits::{Limits, Moment};
use super::standing::{Hold, Lane, Standing, Verdict};

/// A lane, by its number; numbers are never given twice.
pub(crate) type LaneId = usize;
/// Who stands in the line.
pub(crate) type Who = u64;
/// A run under way.
pub(crate) type Ticket = u64;

/// How a session may lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// As long as it likes.
    Long,
    /// A short look, as others wait behind it.
    Quick,
}

/// A run may begin: where, among the lanes it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) place: usize,
    pub(crate) ticket: Ticket,
}

/// No run may begin on any of the lanes, before a time where one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shut {
    pub(crate) until: Option<Moment>,
}

/// What somebody is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// It has a turn.
    Turn(Who, Turn),
    /// It has a slot.
    Slot(Who, Begun),
    /// There is none to be had.
    Shut(Who, Shut),
    /// This lane's standing is another.
    Changed(LaneId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Dry: the round in which it has found nothing.
    Turn {
        dry: Option<u64>,
    },
    Slot,
}

#[derive(Debug)]
struct Waiter {
    who: Who,
    lanes: Arc<[LaneId]>,
    wish: Wish,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct House {
    lanes: Vec<Lane>,
    line: VecDeque<Waiter>,
    /// Room that is kept for quick turns.
    turns: HashMap<Who, LaneId>,
    held: HashMap<Ticket, (LaneId, Hold)>,
    tickets: Ticket,
    /// Begins with each run: when its room comes up again, who found nothing before may find something.
    round: u64,
    news: Vec<News>,
}

impl House {
    /// The lane of this account, made where there is none.
    pub(crate) fn lane(&mut self, account: &str) -> LaneId {
        let found = self.lanes.iter().position(|lane| lane.account == account);
        found.unwrap_or_else(|| {
            self.lanes.push(Lane::new(account));
            self.lanes.len() - 1
        })
    }

    /// How many lanes there are.
    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Puts limits in force.
    pub(crate) fn limit(&mut self, lane: LaneId, limits: Limits, now: Moment) {
        if self.lanes[lane].limits != limits {
            self.lanes[lane].limits = limits;
            self.serve(now);
        }
    }

    /// Asks for a turn; who had a quick one has found nothing with it. None: it is told later.
    pub(crate) fn ask_turn(
        &mut self,
        who: Who,
        lanes: &Arc<[LaneId]>,
        now: Moment,
    ) -> Option<Turn> {
        let dry = self.give_up(who);
        if !dry && lanes.iter().any(|lane| self.lanes[*lane].room(now) > 0) {
            return Some(Turn::Long);
        }
        self.line.push_back(Waiter {
            who,
            lanes: lanes.clone(),
            wish: Wish::Turn {
                dry: dry.then_some(self.round),
            },
        });
        if dry {
            self.serve(now);
        }
        None
    }

    /// Begins a run on the first of these lanes that has room, with what was kept for `who`.
    ///
    /// # Errors
    /// When none has room: whether and until when all are parked.
    pub(crate) fn take(
        &mut self,
        who: Who,
        lanes: &[LaneId],
        now: Moment,
    ) -> Result<Begun, Option<Shut>> {
        let kept = self.give_up(who);
        let begun = self.begin(lanes, now);
        if kept {
            self.serve(now);
        }
        begun.ok_or_else(|| self.shut(lanes))
    }

    /// Stands in the line for a run that may begin at once where there is room.
    pub(crate) fn ask_slot(&mut self, who: Who, lanes: &Arc<[LaneId]>, now: Moment) {
        self.line.push_back(Waiter {
            who,
            lanes: lanes.clone(),
            wish: Wish::Slot,
        });
        self.serve(now);
    }

    /// Leaves the line, and gives up what was kept.
    pub(crate) fn leave(&mut self, who: Who, now: Moment) {
        self.line.retain(|waiter| waiter.who != who);
        if self.give_up(who) {
            self.serve(now);
        }
    }

    /// A run has ended. Unknown tickets change nothing.
    pub(crate) fn end(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        tokens: u64,
        note: &str,
        now: Moment,
    ) {
        let Some((id, hold)) = self.held.remove(&ticket) else {
            return;
        };
        let lane = &mut self.lanes[id];
        let is_news = lane.end(hold, verdict, tokens, now);
        if matches!(verdict, Verdict::Parks { .. }) {
            note.clone_into(&mut lane.note);
        }
        if is_news {
            self.news.push(News::Changed(id));
        }
        self.serve(now);
    }

    /// A person wants to know whether a parked lane works again.
    pub(crate) fn probe(&mut self, id: LaneId, now: Moment) {
        if self.lanes[id].probe() {
            self.news.push(News::Changed(id));
            self.serve(now);
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Moment) {
        for id in 0..self.lanes.len() {
            if self.lanes[id].tick(now) {
                self.news.push(News::Changed(id));
            }
        }
        self.serve(now);
    }

    /// When [`tick`](Self::tick) is to be called.
    pub(crate) fn next(&self) -> Option<Moment> {
        let mut due = None;
        for (id, lane) in self.lanes.iter().enumerate() {
            // Asked first, as few lanes have an answer and the line may be long.
            let Some(next) = lane.next() else { continue };
            let parked = matches!(lane.standing(), Standing::Parked { .. });
            if parked || self.line.iter().any(|waiter| waiter.lanes.contains(&id)) {
                due = [due, Some(next)].into_iter().flatten().min();
            }
        }
        due
    }

    /// What somebody is to be told, and has not been.
    pub(crate) fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// How many stand before it in the line for one of its lanes; none where it does not stand there.
    pub(crate) fn before(&self, who: Who) -> Option<usize> {
        let at = self.line.iter().position(|waiter| waiter.who == who)?;
        let own = &self.line[at].lanes;
        let rival = |waiter: &&Waiter| waiter.lanes.iter().any(|lane| own.contains(lane));
        Some(self.line.iter().take(at).filter(rival).count())
    }

    /// How many stand in the line for this lane.
    pub(crate) fn waiting(&self, id: LaneId) -> usize {
        let wants = |waiter: &&Waiter| waiter.lanes.contains(&id);
        self.line.iter().filter(wants).count()
    }

    pub(crate) fn standing(&self, id: LaneId) -> Standing {
        self.lanes[id].standing()
    }

    pub(crate) fn note(&self, id: LaneId) -> &str {
        &self.lanes[id].note
    }

    pub(crate) fn account(&self, id: LaneId) -> &str {
        &self.lanes[id].account
    }

    pub(crate) fn limits(&self, id: LaneId) -> Limits {
        self.lanes[id].limits
    }

    pub(crate) fn running(&self, id: LaneId) -> u32 {
        self.lanes[id].running
    }

    /// Where all of these are parked: until the first of them opens, where that is known.
    pub(crate) fn shut(&self, lanes: &[LaneId]) -> Option<Shut> {
        let mut first = None;
        for id in lanes {
            match self.lanes[*id].standing() {
                Standing::Parked { until, .. } => {
                    first = [first, until].into_iter().flatten().min();
                }
                _ => return None,
            }
        }
        Some(Shut { until: first })
    }

    /// Gives back the room that is kept for `who`. Whether there was any.
    fn give_up(&mut self, who: Who) -> bool {
        let kept = self.turns.remove(&who);
        if let Some(id) = kept {
            self.lanes[id].reserved -= 1;
        }
        kept.is_some()
    }

    fn begin(&mut self, lanes: &[LaneId], now: Moment) -> Option<Begun> {
        let place = lanes.iter().position(|id| self.lanes[*id].room(now) > 0)?;
        let id = lanes[place];
        self.round += 1;
        self.tickets += 1;
        let ticket = self.tickets;
        self.held.insert(ticket, (id, self.lanes[id].begin(now)));
        Some(Begun { place, ticket })
    }

    fn is_dry(&self, waiter: &Waiter) -> bool {
        waiter.wish
            == Wish::Turn {
                dry: Some(self.round),
            }
    }

    /// Gives what room there is to the line.
    fn serve(&mut self, now: Moment) {
        if self.line.is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        for waiter in line {
            let Waiter { who, lanes, wish } = &waiter;
            let given = match wish {
                Wish::Turn { .. } if self.is_dry(&waiter) => false,
                Wish::Turn { .. } => self.serve_turn(*who, lanes, now),
                Wish::Slot => self.serve_slot(*who, lanes, now),
            };
            if !given {
                self.line.push_back(waiter);
            }
        }
        // Where only dry ones are left before a lane with room, there is room for all.
        let line = std::mem::take(&mut self.line);
        for waiter in line {
            if self.is_dry(&waiter) && waiter.lanes.iter().any(|id| self.lanes[*id].room(now) > 0) {
                self.news.push(News::Turn(waiter.who, Turn::Long));
            } else {
                self.line.push_back(waiter);
            }
        }
    }

    fn serve_turn(&mut self, who: Who, lanes: &[LaneId], now: Moment) -> bool {
        let free = lanes.iter().find(|id| self.lanes[**id].room(now) > 0);
        let Some(id) = free.copied() else {
            return false;
        };
        self.lanes[id].reserved += 1;
        self.turns.insert(who, id);
        self.news.push(News::Turn(who, Turn::Quick));
        true
    }

    fn serve_slot(&mut self, who: Who, lanes: &[LaneId], now: Moment) -> bool {
        if let Some(begun) = self.begin(lanes, now) {
            self.news.push(News::Slot(who, begun));
            return true;
        }
        if let Some(shut) = self.shut(lanes) {
            self.news.push(News::Shut(who, shut));
            return true;
        }
        false
    }
}
