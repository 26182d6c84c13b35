//! `lease`: takes the best ready tasks, or waits for one.

use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::heads::HeadPlace;
use crate::outcome::Outcome;
use crate::parked::{ParkId, lanes_of};
use crate::row::{Flags, LaneId, TaskInput};
use crate::rules::transition::{self, LeaseHolder};
use crate::sql::attempt::CountAttempts;
use crate::sql::task::SelectReady;
use crate::task::task_of;
use kirosu_protocol::{Error, ErrorCode, LeaseParams, Status, Task, TaskId};
use std::sync::Arc;

/// Ready tasks of a lane that are read at once.
const REFILL: usize = 256;
/// Tasks after which a commit serves no further waiter; the next commits serve the rest.
pub(crate) const MAX_SERVED: usize = 400;
/// Approximate bytes of a leased task beyond its texts.
const TASK_BYTES: usize = 256;

impl Core {
    /// Takes tasks, parks the request, or answers with an empty list.
    pub(crate) fn lease(
        &mut self,
        ask: &LeaseParams,
        session: Option<&str>,
        park: Option<ParkId>,
        spent: usize,
    ) -> CommandResult<Outcome> {
        if self.parked.has_news() {
            // Waiters come before this request.
            self.wake()?;
        }
        let lanes = lanes_of(ask, &self.lanes);
        let may_wait = park.is_some() && ask.wait_ms > 0;
        let tasks = match self.parked.has_news() && may_wait {
            // Some waiters are not served yet: this request waits behind them for the next commits.
            true => {
                self.parked.note_waiting(&lanes);
                Vec::new()
            }
            false => {
                let key = self.work_key();
                self.grant(ask, session, key, &lanes, ask.max_tasks as usize, spent)?
            }
        };
        match park {
            Some(park) if tasks.is_empty() && ask.wait_ms > 0 => {
                let most = self.options.waiting_names_bytes;
                if !self.parked.has_room(ask, most) {
                    return Err(too_many_names(most).into());
                }
                let holder = (session.map(str::to_owned), self.work_key());
                self.parked.park(park, ask.clone(), holder, &self.lanes);
                Ok(Outcome::Parked)
            }
            _ => Ok(Outcome::Leased(tasks)),
        }
    }

    /// Serves parked requests from the ready tasks, in the order of their arrival, until the commit is full.
    pub(crate) fn wake(&mut self) -> Result<()> {
        if self.parked.is_full() && self.parked.len() > 0 {
            return Ok(());
        }
        let ready = self.parked.take_ready();
        if self.parked.len() == 0 {
            return Ok(());
        }
        let mut line = self.parked.line(&self.lanes, ready);
        while let Some((filter, waiter)) = self.parked.next(&self.lanes, &mut line) {
            if self.parked.is_full() {
                self.parked.postpone(&line);
                break;
            }
            let (park, ask, session) = (waiter.park, waiter.ask.clone(), waiter.session.clone());
            let key = waiter.key.clone();
            let lanes = self.parked.lanes(filter);
            // A waiter for very many tasks gets those that fit.
            let most = self.parked.room().min(ask.max_tasks as usize);
            let tasks = self.grant(&ask, session.as_deref(), key, &lanes, most, 0)?;
            if tasks.is_empty() {
                line.leave_out(filter);
            } else {
                self.parked.serve(park, tasks);
            }
        }
        Ok(())
    }

    /// Leases at most `most` tasks of these lanes. `key`: that of the worker, if it has the role `work`. `bytes`: those that the
    /// request has taken before.
    fn grant(
        &mut self,
        ask: &LeaseParams,
        session: Option<&str>,
        key: Option<Arc<str>>,
        lanes: &[LaneId],
        most: usize,
        mut bytes: usize,
    ) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        let mut holder: Option<LeaseHolder> = None;
        let lease_ms = ask.lease_ms.unwrap_or(self.options.lease_ms_default) as i64;
        while tasks.len() < most && bytes < self.options.lease_bytes {
            let Some((lane, place)) = self.best(lanes)? else {
                break;
            };
            let queued = self.row(place.id)?;
            let Some(row) = queued.filter(|row| row.state == Status::Queued) else {
                // The head contradicts the row: drop the heads of the lane, and read them again.
                if let Some(lane) = self.lanes.get_mut(lane) {
                    lane.heads.clear();
                }
                continue;
            };
            let is_first = row.fence == 0;
            let holder = holder.get_or_insert_with(|| LeaseHolder {
                worker: Arc::from(ask.worker_id.as_str()),
                session: session.map(Arc::from),
                key: key.clone(),
            });
            let (holder, at) = (holder.clone(), (self.fence_base, self.now()));
            self.change(place.id, |row| transition::lease(row, holder, lease_ms, at));
            self.report(place.id, "leased");
            if let Some(task) = self.leased_task(place.id, is_first)? {
                bytes += leased_bytes(&task);
                tasks.push(task);
            }
        }
        Ok(tasks)
    }

    /// The best ready task of these lanes.
    fn best(&mut self, lanes: &[LaneId]) -> Result<Option<(LaneId, HeadPlace)>> {
        let mut best: Option<(LaneId, HeadPlace)> = None;
        for id in lanes.iter().copied() {
            let Some(lane) = self.lanes.get(id).filter(|lane| lane.is_ready()) else {
                continue;
            };
            if lane.heads.needs_refill() {
                self.refill(id)?;
            }
            let head = self.lanes.get(id).and_then(|lane| lane.heads.best());
            if let Some(head) = head
                && best.is_none_or(|(_, place)| head < place)
            {
                best = Some((id, head));
            }
        }
        Ok(best)
    }

    fn refill(&mut self, lane: LaneId) -> Result<()> {
        self.flush_rows()?;
        let limit = REFILL as i64;
        let rows = self.db.tasks(SelectReady { lane, limit }.into())?;
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.heads.refill(
                rows.iter().map(|row| HeadPlace::of(row.priority, row.id)),
                REFILL,
            );
        }
        for row in rows {
            self.tasks.cache(row);
        }
        Ok(())
    }

    /// A task that was just leased.
    pub(crate) fn leased_task(&mut self, id: TaskId, is_first: bool) -> Result<Option<Task>> {
        let cached = self.tasks.input_for_lease(id);
        let is_cached = cached.is_some();
        let input = match cached.and_then(TaskInput::whole) {
            Some(input) => Some(input),
            None => {
                if is_cached {
                    // Long texts that an earlier start has stored; the input itself may not be written yet.
                    self.flush_rows()?;
                }
                self.db.input(id)?
            }
        };
        let Some((row, input)) = self.tasks.get(id).zip(input) else {
            return Ok(None);
        };
        let Some(lane) = self.lanes.get(row.lane) else {
            return Ok(None);
        };
        let waited = row.flags.has(Flags::WAITED_CHILDREN);
        let mut task = task_of(row, input, &lane.queue, &lane.task_type, None, None);
        if !is_first {
            // Every ended attempt has a row, whether it counts or not.
            let ended = self.db.number(CountAttempts { task_id: id }.into())?;
            let number = ended.and_then(|ended| u32::try_from(ended + 1).ok());
            task.attempt = number.filter(|number| *number != task.attempts);
        }
        // Only a task with an `accept` clause, and only after its first attempt, costs this query.
        if task.accept.is_some() && task.fence > 1 {
            task.not_accepted = self.db.not_accepted(id)?.map(Box::new);
        }
        if waited {
            self.add_children(&mut task)?;
        }
        Ok(Some(task))
    }
}

/// The bytes for which a leased task counts.
pub fn leased_bytes(task: &Task) -> usize {
    task.weight() + TASK_BYTES
}

fn too_many_names(most: usize) -> Error {
    let message = format!(
        "the leases that wait name queues and types of {most} bytes, which is the limit; this one was not parked; \
         ask without `wait_seconds`, or name fewer queues"
    );
    Error::new(ErrorCode::Busy, message)
}
