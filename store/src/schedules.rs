//! Schedules: their rows, and how their values are stored. Times are Unix milliseconds.

use crate::backend::{Result, StoreFault};
use kirosu_protocol::{
    Error, Limits, MissedPolicy, NewTask, OverlapPolicy, Params, ScheduleSpec, Status, TaskId, Verb,
};
use serde::Serialize;

/// The characters of a prompt that lists show.
const PROMPT_CHARS: usize = 200;

/// A schedule to add.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSchedule {
    /// Its unique name.
    pub name: String,
    /// Its times.
    pub spec: ScheduleSpec,
    /// The task that each firing adds.
    pub task: Box<NewTask>,
    /// The treatment of times that passed while the hub was down.
    pub missed: MissedPolicy,
    /// The behaviour while the last task is unfinished.
    pub overlap: OverlapPolicy,
    /// The most milliseconds by which a firing is delayed.
    pub jitter_ms: u64,
    /// Whether it replaces a schedule of the same name.
    pub replace: bool,
}

/// A change of schedules by a client.
#[derive(Clone, Debug, PartialEq)]
pub enum ScheduleCommand {
    /// Adds a schedule. Refused if its name is in use for another definition, unless it replaces that. Answer:
    /// [`Outcome::Scheduled`](crate::Outcome).
    Add(NewSchedule),
    /// Pauses a schedule, or lets it go on from now. Repeating it is harmless. Answer: `Ok`.
    Set {
        /// Its name.
        name: String,
        /// Whether it is paused.
        paused: bool,
    },
    /// Adds its task now; its next time stays. Answer: [`Outcome::Enqueued`](crate::Outcome).
    Run {
        /// Its name.
        name: String,
    },
    /// Removes it. Answer: `Ok`.
    Remove {
        /// Its name.
        name: String,
    },
}

impl ScheduleCommand {
    /// The name of the schedule.
    pub(crate) fn name(&self) -> &str {
        match self {
            ScheduleCommand::Add(new) => &new.name,
            ScheduleCommand::Set { name, .. }
            | ScheduleCommand::Run { name }
            | ScheduleCommand::Remove { name } => name,
        }
    }
}

/// A schedule as it is stored. Specification and policies are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredSchedule {
    pub id: i64,
    pub name: String,
    pub spec: String,
    pub task: String,
    pub accept: Option<String>,
    pub missed: String,
    pub overlap: String,
    pub jitter_ms: i64,
    pub paused: bool,
    pub next_at: Option<i64>,
    pub last_at: Option<i64>,
    pub last_task: Option<TaskId>,
    pub fired: i64,
    pub skipped: i64,
    pub error: Option<String>,
    pub created_at: i64,
}

impl StoredSchedule {
    /// Its times.
    ///
    /// # Errors
    /// A later version has written it.
    pub fn spec(&self) -> Result<ScheduleSpec, Error> {
        serde_json::from_str(&self.spec).map_err(|_| unreadable("spec"))
    }

    /// The treatment of times that passed.
    ///
    /// # Errors
    /// A later version has written it.
    pub fn missed(&self) -> Result<MissedPolicy, Error> {
        self.missed.parse().map_err(|_| unreadable("missed"))
    }

    /// The behaviour while the last task is unfinished.
    ///
    /// # Errors
    /// A later version has written it.
    pub fn overlap(&self) -> Result<OverlapPolicy, Error> {
        OverlapPolicy::from_name(&self.overlap).ok_or_else(|| unreadable("overlap"))
    }

    /// Its task, which has passed the limits of the hub that stored it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn task(&self) -> Result<NewTask, Error> {
        let limits = Limits {
            batch: usize::MAX,
            prompt_bytes: usize::MAX,
            metadata_bytes: usize::MAX,
            name_bytes: usize::MAX,
            ..Limits::default()
        };
        let mut new = NewTask::read(&Params::parse(&self.task)?, &limits)?;
        if let Some(accept) = &self.accept {
            let accept = serde_json::from_str(accept).map_err(|_| unreadable("accept"))?;
            new.accept = Some(Box::new(accept));
        }
        Ok(new)
    }

    /// Whether it has the definition of a new one.
    pub fn is_same(&self, new: &StoredTexts) -> bool {
        let own = (&self.spec, &self.task, &self.accept, &self.missed);
        own == (&new.spec, &new.task, &new.accept, &new.missed)
            && self.overlap == new.overlap
            && self.jitter_ms == new.jitter_ms
    }
}

fn unreadable(field: &str) -> Error {
    Error::invalid_params(format!("its `{field}` cannot be read by this version"))
}

/// The values of a new schedule, as they are stored.
pub(crate) struct StoredTexts {
    pub spec: String,
    pub task: String,
    /// Apart from the task, so that no firing compiles it again.
    pub accept: Option<String>,
    pub prompt: String,
    pub missed: String,
    pub overlap: &'static str,
    pub jitter_ms: i64,
}

impl StoredTexts {
    /// The values of a new schedule.
    ///
    /// # Errors
    /// A value cannot be serialized.
    pub fn of(new: &NewSchedule) -> Result<StoredTexts> {
        let task = NewTask {
            accept: None,
            ..(*new.task).clone()
        };
        Ok(StoredTexts {
            spec: json(&new.spec)?,
            task: json(&task)?,
            accept: new.task.accept.as_ref().map(json).transpose()?,
            prompt: task.prompt.chars().take(PROMPT_CHARS).collect(),
            missed: new.missed.to_string(),
            overlap: new.overlap.as_str(),
            jitter_ms: i64::try_from(new.jitter_ms).map_err(StoreFault::value)?,
        })
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(StoreFault::value)
}

/// A schedule for lists. Specification and policies are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleEntry {
    /// Its name.
    pub name: String,
    /// Its times: a [`ScheduleSpec`] as JSON.
    pub spec: String,
    /// The treatment of times that passed while the hub was down.
    pub missed: String,
    /// The behaviour while the last task is unfinished.
    pub overlap: String,
    /// The most milliseconds by which a firing is delayed.
    pub jitter_ms: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// The queue of its task.
    pub queue: String,
    /// The type of its task.
    pub task_type: String,
    /// The beginning of its task's prompt.
    pub prompt: String,
    /// The next firing. `None` means that it is finished.
    pub due_at: Option<i64>,
    /// The newest time for which a task was added.
    pub last_at: Option<i64>,
    /// The newest task; it may have been pruned.
    pub last_task: Option<TaskId>,
    /// The status of the newest task.
    pub last_status: Option<Status>,
    /// The number of tasks that it has added.
    pub fired: u64,
    /// The number of times that were left out, as the last task was unfinished.
    pub skipped: u64,
    /// The reason why no task was added at its newest time, or why it was paused.
    pub error: Option<String>,
    /// The time when it was added or replaced.
    pub created_at: i64,
}
