//! Schedules: their changes, and their firings.
//!
//! A firing adds the task and moves the schedule to its next time in one commit: after a crash both have happened or neither
//! has. A wall clock that is set back finds the next time in the future, so that nothing fires twice.

use crate::backend::Result;
use crate::core::{CommandError, CommandResult, Core};
use crate::deadlines::Deadline;
use crate::outcome::{EnqueuedTask, Outcome};
use crate::rules::schedule::{ScheduleRule, Times, step};
use crate::schedules::{NewSchedule, ScheduleCommand, StoredSchedule, StoredTexts};
use crate::sql::schedule::{
    CountSchedules, DeleteSchedule, PutSchedule, SelectDueSchedules, SelectSchedule,
    SelectScheduleById, SetSchedule,
};
use kirosu_protocol::schedule::{SCHEDULE_TASK_BYTES, SCHEDULES};
use kirosu_protocol::{
    Error, ErrorCode, EventKind, MissedPolicy, NewTask, OverlapPolicy, ScheduleSpec, TaskId,
};

/// Bytes of tasks after which a commit fires no further schedule.
const FIRED_BYTES: usize = 256 << 10;

/// A schedule whose values are read.
struct ReadSchedule {
    times: Times,
    missed: MissedPolicy,
    overlap: OverlapPolicy,
    task: NewTask,
}

impl StoredSchedule {
    fn read(&self) -> Result<ReadSchedule, Error> {
        Ok(ReadSchedule {
            times: Times::new(&self.spec()?, self.created_at)?,
            missed: self.missed()?,
            overlap: self.overlap()?,
            task: self.task()?,
        })
    }

    fn rule<'a>(&'a self, times: &'a Times, missed: MissedPolicy) -> ScheduleRule<'a> {
        ScheduleRule {
            times,
            name: &self.name,
            jitter_ms: self.jitter_ms,
            missed,
        }
    }
}

impl Core {
    /// Carries a client's change of schedules out.
    pub(crate) fn schedule(&mut self, command: &ScheduleCommand) -> CommandResult<Outcome> {
        match command {
            ScheduleCommand::Add(new) => self.add_schedule(new),
            ScheduleCommand::Set { name, paused } => self.set_schedule(name, *paused),
            ScheduleCommand::Run { name } => self.run_schedule(name),
            ScheduleCommand::Remove { name } => {
                let id = self.known_schedule(name)?.id;
                self.write(DeleteSchedule { id })?;
                self.report_schedule(name, "removed", None);
                Ok(Outcome::Ok)
            }
        }
    }

    fn known_schedule(&mut self, name: &str) -> CommandResult<StoredSchedule> {
        match self.db.schedule(SelectSchedule { name }.into())? {
            Some(found) => Ok(found),
            None => {
                let message =
                    format!("there is no schedule `{name}`; `kirosu schedule list` lists them");
                Err(Error::new(ErrorCode::NotFound, message).into())
            }
        }
    }

    /// The task of the schedule that a command names. `None` means that there is no such schedule.
    pub(crate) fn task_of_schedule(
        &mut self,
        command: &ScheduleCommand,
    ) -> CommandResult<Option<NewTask>> {
        let name = command.name();
        match self.db.schedule(SelectSchedule { name }.into())? {
            Some(found) => Ok(Some(found.task()?)),
            None => Ok(None),
        }
    }

    fn add_schedule(&mut self, new: &NewSchedule) -> CommandResult<Outcome> {
        let name = new.name.as_str();
        let texts = StoredTexts::of(new)?;
        let bytes = texts.task.len() + texts.accept.as_ref().map_or(0, String::len);
        if bytes > SCHEDULE_TASK_BYTES {
            let message = format!(
                "the task of a schedule may have {SCHEDULE_TASK_BYTES} bytes of JSON, this has {bytes}"
            );
            return Err(Error::new(ErrorCode::TooLarge, message).into());
        }
        let now = self.now();
        let times = Times::new(&new.spec, now)?;
        let before = self.db.schedule(SelectSchedule { name }.into())?;
        match &before {
            Some(same) if same.is_same(&texts) => {
                let read = same.read()?;
                let rule = same.rule(&read.times, read.missed);
                let next_ms = same.next_at.map(|at| rule.due(at));
                return Ok(scheduled(name, next_ms));
            }
            Some(_) if !new.replace => {
                let message = format!(
                    "there is a schedule `{name}` with another definition; replace it (`replace`, `--replace`) or choose another name"
                );
                return Err(Error::new(ErrorCode::WrongState, message).into());
            }
            Some(_) => {}
            None => {
                let count = self.db.number(CountSchedules {}.into())?.unwrap_or(0);
                if count >= SCHEDULES as i64 {
                    let message =
                        format!("there are {SCHEDULES} schedules, which is the most; remove some");
                    return Err(Error::new(ErrorCode::TooLarge, message).into());
                }
            }
        }
        let Some(next) = times.next(now) else {
            return Err(never(&new.spec).into());
        };
        // The task is checked as if it were added now.
        self.check(&[(&*new.task).into()])?;
        let rule = ScheduleRule {
            times: &times,
            name,
            jitter_ms: texts.jitter_ms,
            missed: new.missed,
        };
        let due = rule.due(next);
        let paused = before.as_ref().is_some_and(|it| it.paused);
        self.write(PutSchedule {
            name,
            spec: &texts.spec,
            task: &texts.task,
            accept: texts.accept.as_deref(),
            queue: &new.task.queue,
            task_type: &new.task.task_type,
            prompt: &texts.prompt,
            missed: &texts.missed,
            overlap: texts.overlap,
            jitter_ms: texts.jitter_ms,
            paused: i64::from(paused),
            next_at: Some(next),
            due_at: Some(due),
            last_at: before.as_ref().and_then(|it| it.last_at),
            last_task: before.as_ref().and_then(|it| it.last_task),
            fired: before.as_ref().map_or(0, |it| it.fired),
            skipped: before.as_ref().map_or(0, |it| it.skipped),
            error: None,
            created_at: now,
        })?;
        self.deadlines.add(Deadline::Schedule, Some(due));
        self.report_schedule(name, "added", None);
        Ok(scheduled(name, Some(due)))
    }

    fn set_schedule(&mut self, name: &str, paused: bool) -> CommandResult<Outcome> {
        let mut found = self.known_schedule(name)?;
        if found.paused == paused {
            return Ok(Outcome::Ok);
        }
        let now = self.now();
        let read = found.read()?;
        found.paused = paused;
        if !paused {
            // Times that passed during the pause are left out.
            found.error = None;
            if found.next_at.is_some_and(|at| at <= now) {
                found.next_at = read.times.next(now);
            }
        }
        let due = found
            .next_at
            .map(|at| found.rule(&read.times, read.missed).due(at));
        self.put_state(&found, due)?;
        let state = if paused { "paused" } else { "resumed" };
        self.report_schedule(name, state, None);
        Ok(Outcome::Ok)
    }

    fn report_schedule(&mut self, name: &str, state: &str, task_id: Option<TaskId>) {
        self.batch.report(EventKind::Schedule {
            name: name.to_owned(),
            state: state.to_owned(),
            task_id,
        });
    }

    /// Writes the state of a schedule; `due` is its next time with the jitter.
    fn put_state(&mut self, it: &StoredSchedule, due: Option<i64>) -> Result<()> {
        self.write(SetSchedule {
            paused: i64::from(it.paused),
            next_at: it.next_at,
            due_at: due,
            last_at: it.last_at,
            last_task: it.last_task,
            fired: it.fired,
            skipped: it.skipped,
            error: it.error.as_deref(),
            id: it.id,
        })?;
        let due = due.filter(|_| !it.paused);
        self.deadlines.add(Deadline::Schedule, due);
        Ok(())
    }

    fn run_schedule(&mut self, name: &str) -> CommandResult<Outcome> {
        let mut found = self.known_schedule(name)?;
        let read = found.read()?;
        if read.overlap == OverlapPolicy::Skip
            && let Some(task) = self.unfinished(found.last_task)?
        {
            let message = format!(
                "the last task of the schedule `{name}`, task {task}, is unfinished, and its `overlap` is `skip`; wait for it or cancel it"
            );
            let error = Error::new(ErrorCode::WrongState, message);
            return Err(error
                .with_data(serde_json::json!({ "task_id": task }))
                .into());
        }
        let made = self.fire_task(&found, &read)?;
        let now = self.now();
        note_fired(&mut found, now, made.task_id);
        let due = found
            .next_at
            .map(|at| found.rule(&read.times, read.missed).due(at));
        self.put_state(&found, due)?;
        self.report_schedule(name, "fired", Some(made.task_id));
        Ok(Outcome::Enqueued(made))
    }

    /// Fires schedules that are due, at most `limit`.
    pub(crate) fn fire_schedules(&mut self, limit: u32) -> Result<Outcome> {
        let (now, limit) = (self.now(), i64::from(limit.max(1)));
        let mut count = 0;
        if !self.deadlines.has_schedule_due(now) {
            return Ok(Outcome::Counted { count, more: false });
        }
        let mut bytes = 0;
        for id in self
            .db
            .ids(SelectDueSchedules { until: now, limit }.into())?
        {
            if let Some(due) = self.db.schedule(SelectScheduleById { id }.into())? {
                bytes += due.task.len();
                count += u64::from(self.take_step(due)?);
            }
            if bytes > FIRED_BYTES {
                break;
            }
        }
        self.deadlines.read(&mut *self.db, Deadline::Schedule)?;
        let more = self.deadlines.has_schedule_due(now);
        Ok(Outcome::Counted { count, more })
    }

    /// Carries out one step of a schedule that is due. Returns whether it has added a task.
    fn take_step(&mut self, mut it: StoredSchedule) -> Result<bool> {
        let read = match it.read() {
            Ok(read) => read,
            Err(error) => {
                // It would fail again and again.
                (it.paused, it.error) = (true, Some(format!("paused: {}", error.message)));
                self.put_state(&it, it.next_at)?;
                self.report_schedule(&it.name, "paused", None);
                return Ok(false);
            }
        };
        let Some(at) = it.next_at else {
            return self.put_state(&it, None).map(|()| false);
        };
        let done = step(it.rule(&read.times, read.missed), at, self.now());
        it.next_at = done.next;
        let (mut state, mut fired) = ("skipped", None);
        if let Some(at) = done.fire {
            let is_busy = self.unfinished(it.last_task)?.is_some();
            if is_busy && read.overlap == OverlapPolicy::Skip {
                it.skipped += 1;
            } else {
                match self.fire_task(&it, &read) {
                    Ok(made) => {
                        note_fired(&mut it, at, made.task_id);
                        (state, fired) = ("fired", Some(made.task_id));
                    }
                    Err(CommandError::Refused(error)) => {
                        (state, it.error) = ("failed", Some(error.message));
                    }
                    Err(CommandError::StoreFault(fault)) => return Err(fault),
                }
            }
        }
        let due = it
            .next_at
            .map(|at| it.rule(&read.times, read.missed).due(at));
        self.put_state(&it, due)?;
        self.report_schedule(&it.name, state, fired);
        Ok(fired.is_some())
    }

    /// The task, if it exists and has not ended.
    fn unfinished(&mut self, task: Option<TaskId>) -> Result<Option<TaskId>> {
        let Some(id) = task else {
            return Ok(None);
        };
        let row = self.row(id)?;
        Ok(row.filter(|row| !row.state.is_final()).map(|row| row.id))
    }

    /// Adds the task of a schedule; with `overlap = cancel`, the last one is cancelled.
    fn fire_task(
        &mut self,
        it: &StoredSchedule,
        read: &ReadSchedule,
    ) -> CommandResult<EnqueuedTask> {
        self.check(&[(&read.task).into()])?;
        if read.overlap == OverlapPolicy::Cancel
            && let Some(last) = self.unfinished(it.last_task)?
        {
            let reason = format!("the schedule {} adds the next task", it.name);
            if let Outcome::Ended { leases, .. } = self.cancel(last, None, Some(&reason))? {
                self.works.leases.extend(leases);
            }
        }
        self.enqueue(&read.task)
    }
}

fn scheduled(name: &str, next_ms: Option<i64>) -> Outcome {
    Outcome::Scheduled {
        name: name.to_owned(),
        next_ms,
    }
}

fn note_fired(it: &mut StoredSchedule, at: i64, task: TaskId) {
    it.last_at = Some(at);
    it.last_task = Some(task);
    it.fired += 1;
    it.error = None;
}

/// The refusal of a schedule that would never fire.
fn never(spec: &ScheduleSpec) -> Error {
    let message = match spec {
        ScheduleSpec::At { .. } => "invalid params: `at` is over; name a moment in the future",
        ScheduleSpec::Cron { .. } => {
            "invalid params: `cron`: no day is like that, such as 30 February; the schedule would never fire"
        }
        ScheduleSpec::Every { .. } => {
            "invalid params: `every_seconds` leads beyond the last moment; make it shorter"
        }
    };
    Error::invalid_params(message)
}
