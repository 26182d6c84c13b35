//! The records of runs, and the commands that change them.

use kirosu_protocol::{
    Budget, Fence, NewTask, PlanText, RunRetryParams, RunState, SourceId, StepState, TaskId,
};
use serde::{Deserialize, Serialize};

/// The id of a step's row.
pub type StepId = i64;

/// The worker that holds the leases of runs.
pub const CONDUCTOR: &str = "conductor";

/// A run of a plan. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRun {
    /// Its task.
    pub task_id: TaskId,
    /// The state; of an ended one as its task's status.
    pub state: RunState,
    /// The reason for the state.
    pub reason: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The hash of the compiled plan; `None` before it is compiled.
    pub hash: Option<String>,
    /// The number of tasks that its steps have made.
    pub made: i64,
    /// A JSON list of [`RunWish`] that are not carried out yet.
    pub wishes: Option<String>,
    /// The time when the hub began it.
    pub started_ms: i64,
    /// The time of its end.
    pub ended_ms: Option<i64>,
    /// How often a person has let waiting steps go on, since the conductor has carried it out.
    pub agreed: i64,
    /// How often a person has raised the budget, since then.
    pub raised: i64,
}

/// A step of a run. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStep {
    /// The row's id.
    pub id: StepId,
    /// The task of the run.
    pub run_id: TaskId,
    /// The id of the step behind those around it.
    pub path: String,
    /// The kind of step.
    pub kind: String,
    /// Whether the result of a task is a list with one element per item.
    pub each: bool,
    /// Whether the items of a task share its result.
    pub shared: bool,
    /// The state.
    pub state: StepState,
    /// The reason for the state, or what it waits for.
    pub reason: Option<String>,
    /// The number of times that it was begun anew.
    pub generation: i64,
    /// The number of decisions about it.
    pub version: i64,
    /// The number of items; `None`: not known yet.
    pub total: Option<i64>,
    /// The number of items that have a row.
    pub cursor: i64,
    /// Items whose tasks are to be made again.
    pub waiting: i64,
    /// Items whose tasks have not ended.
    pub open: i64,
    /// Items that are done.
    pub done: i64,
    /// Items that failed.
    pub failed: i64,
    /// Items whose tasks were cancelled.
    pub cancelled: i64,
    /// The newest ends of items in a row that failed with the class `class`.
    pub streak: i64,
    /// See `streak`.
    pub class: Option<String>,
    /// Where the result is, as JSON.
    pub result: Option<String>,
    /// The time when it began.
    pub started_ms: i64,
    /// The time of its end.
    pub ended_ms: Option<i64>,
    /// Of a reduce that began while the step went on whose results it merges: the path of that step.
    pub merges: Option<String>,
}

/// A change of runs of plans. Each answers [`Outcome::Plan`](crate::Outcome), unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanOrder {
    /// Takes queued tasks of the type `plan`, those with the highest priority first. Answer:
    /// [`Outcome::Leased`](crate::Outcome).
    Take {
        /// At most this many.
        limit: u32,
        /// Whether only those that a step of another run has made.
        below: bool,
    },
    /// Changes a run that the caller has taken. Without effect if the fence or a version is not the present one.
    Change {
        /// The run.
        run: TaskId,
        /// The fence of its lease.
        fence: Fence,
        /// The change.
        change: PlanChange,
    },
    /// A client's wish about a run, which is refused if its state does not allow it.
    Control {
        /// The run.
        run: TaskId,
        /// The wish.
        control: RunControl,
    },
    /// Adds a piece to a source. Answer: [`Outcome::Source`](crate::Outcome).
    AddItems {
        /// The source; `None` makes a new one.
        source: Option<SourceId>,
        /// The position of the first item.
        first: i64,
        /// A JSON list.
        items: String,
        /// The number of items in it.
        count: i64,
    },
}

/// A client's wish about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunControl {
    /// Nothing new starts.
    Pause,
    /// It goes on.
    Resume,
    /// The budget of a run above it was raised.
    Raised,
    /// Something is repeated.
    Retry(RunRetryParams),
    /// It goes on with another plan. Refused while tasks of these steps run.
    Replan {
        /// The plan.
        plan: PlanText,
        /// Ids of steps.
        unless_running: Vec<String>,
    },
}

/// A client's wish that the conductor carries out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunWish {
    /// The steps or items to repeat; not used with `plan`.
    #[serde(flatten)]
    pub retry: RunRetryParams,
    /// The plan with which the run goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanText>,
    /// With `plan`: whether what failed in steps that it keeps is repeated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats_failed: bool,
}

/// A change of a run that is under way.
#[derive(Clone, Debug, PartialEq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PlanChange {
    /// Names the plan.
    Name {
        /// The name.
        name: Option<String>,
        /// The hash of the compiled plan.
        hash: String,
        /// The budget that the plan sets for all its tasks, unless its own task has one.
        budget: Option<Budget>,
    },
    /// Begins a step. Without effect if it has begun.
    Open(NewStep),
    /// Makes tasks for items of a step, all or none.
    Expand(Expansion),
    /// Changes a step; ends it, if the state is final.
    Set(StepChange),
    /// Cancels tasks of a step's open items, at most this many.
    CancelTasks {
        /// The step.
        step: StepId,
        /// The reason, shown to people.
        reason: String,
        /// At most this many items.
        limit: u32,
    },
    /// Takes tasks of a step that have not begun out of the queue; their items are made again later.
    Withdraw {
        /// The step.
        step: StepId,
        /// At most this many items.
        limit: u32,
    },
    /// Lets tasks of a step run that wait for a budget.
    LetRun {
        /// The step.
        step: StepId,
        /// At most this many.
        limit: u32,
    },
    /// Prepares items of a step for being made again.
    Reset {
        /// The step.
        step: StepId,
        /// The version on which this was decided.
        version: i64,
        /// The items.
        items: ResetItems,
        /// At most this many items.
        limit: u32,
    },
    /// Changes the state of the run; `Open` and `Waiting` only, and not while it is paused.
    SetRun {
        /// The state.
        state: RunState,
        /// The reason.
        reason: Option<String>,
    },
    /// Decisions of people are carried out, unless there were further ones meanwhile.
    Decided {
        /// [`PlanRun::agreed`] as it was.
        agreed: i64,
        /// [`PlanRun::raised`] as it was.
        raised: i64,
    },
    /// Removes the oldest wish, which is carried out.
    Fulfil,
    /// The run goes on with the plan of the oldest wish, which is carried out.
    Replan {
        /// The hash of that plan.
        hash: String,
        /// The budget that it sets, for a run without one.
        budget: Option<Budget>,
    },
}

impl PlanChange {
    /// The names of all changes.
    pub const NAMES: &'static [&'static str] = <PlanChange as strum::VariantNames>::VARIANTS;
}

/// A step to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct NewStep {
    /// Its path.
    pub path: String,
    /// Its kind.
    pub kind: String,
    /// Whether the result of a task is a list with one element per item.
    pub each: bool,
    /// Whether the items of a task share its result.
    pub shared: bool,
    /// Its state: open, or one that it ends in at once.
    pub state: StepState,
    /// The reason for the state.
    pub reason: Option<String>,
    /// The number of items; `None`: not known yet.
    pub total: Option<i64>,
    /// See [`RunStep::merges`].
    pub merges: Option<String>,
}

/// Items of a step to make, with their tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// The step.
    pub step: StepId,
    /// The version and the cursor on which this was decided.
    pub version: i64,
    /// See `version`.
    pub cursor: i64,
    /// The items: those from the cursor on, or some that wait.
    pub items: Vec<NewItem>,
    /// The tasks; a task belongs to all items that name its position here.
    pub tasks: Vec<NewTask>,
    /// Of a step with a cache, the entry of each task; else empty.
    pub cache: Vec<CacheEntry>,
}

/// The identity of a task whose result later ones may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheEntry {
    /// Equal for tasks that may have each other's results.
    pub fingerprint: String,
    /// Equal for the tasks of one item in the scope of the cache, whatever they get.
    pub place: String,
    /// Short hashes of the parts of the fingerprint, in their order.
    pub parts: String,
}

/// An item to make.
#[derive(Clone, Debug, PartialEq)]
pub struct NewItem {
    /// Its position in the step.
    pub index: i64,
    /// Its key.
    pub key: String,
    /// Its position among the items of its task, from 0.
    pub position: i64,
    /// The position of its task in [`Expansion::tasks`]; `None`: it is done without one.
    pub task: Option<usize>,
    /// The task of an earlier item whose result it has.
    pub cached: Option<TaskId>,
}

/// A change of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepChange {
    /// The step.
    pub step: StepId,
    /// The version on which this was decided.
    pub version: i64,
    /// The ended items on which this was decided; `None`: they do not matter.
    pub ended: Option<i64>,
    /// The state.
    pub state: StepState,
    /// The reason.
    pub reason: Option<String>,
    /// The number of items; `None` leaves it.
    pub total: Option<i64>,
    /// Where the result is, as JSON; `None` leaves it.
    pub result: Option<String>,
    /// See [`RunStep::merges`]; for a step that begins.
    pub merges: Option<String>,
}

/// Items to make again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetItems {
    /// Those that failed or were cancelled.
    Lost,
    /// All are removed: the step is pending again. Only of a step without open items.
    All,
    /// The one with this key.
    Key(String),
}

/// Whether a [`PlanOrder`] was carried out. If not, its guard did not hold, and nothing was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOutcome {
    /// See above.
    pub applied: bool,
}
