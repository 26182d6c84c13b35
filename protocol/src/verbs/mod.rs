//! One file per verb: its parameters and how they are read, its answer, and an example.
//!
//! [`for_each_verb`] is the only list of the verbs. [`Method`] and [`Request`](crate::Request) are made from it.

/// Defines the parameters of a verb that takes none, for the variant `$method` of [`Method`].
macro_rules! no_params {
    ($params:ident, $method:ident -> $answer:ty) => {
        /// No parameters; a client's are ignored.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $params {}

        impl crate::Verb for $params {
            const METHOD: crate::Method = crate::Method::$method;
            type Answer = $answer;

            fn read(_: &crate::Params<'_>, _: &crate::Limits) -> Result<$params, crate::Error> {
                Ok($params {})
            }
        }
    };
}

pub mod ack;
pub mod agents;
pub mod answer;
pub mod approvals;
pub mod approve;
pub mod ask;
pub mod audit;
pub mod backup;
pub mod cancel;
pub mod drain;
pub mod enqueue;
pub mod enqueue_batch;
pub mod get;
pub mod heartbeat;
pub mod hello;
pub mod key_add;
pub mod key_list;
pub mod key_revoke;
pub mod lease;
pub mod list;
pub mod metrics;
pub mod notify_list;
pub mod notify_take;
pub mod notify_test;
pub mod output;
pub mod pause;
pub mod ping;
pub mod pool_down;
pub mod pools;
pub mod progress;
pub mod reject;
pub mod release;
pub mod reload;
pub mod reserve;
pub mod resume;
pub mod retry;
pub mod retry_failed;
pub mod run;
pub mod run_file;
pub mod run_items;
pub mod run_pause;
pub mod run_resume;
pub mod run_retry;
pub mod runs;
pub mod schedule_add;
pub mod schedule_list;
pub mod schedule_remove;
pub mod schedule_run;
pub mod schedule_set;
pub mod shutdown;
pub mod source;
pub mod stats;
pub mod tree;
pub mod usage;
pub mod wait;
pub mod wait_children;
pub mod watch;
pub mod web_login;
pub mod web_logout;
pub mod web_ticket;

use crate::{Error, Limits, Method, Params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

/// Passes the table of the verbs to the macro `$callback`.
///
/// A row is `module: Variant(Params), effect, right;`, after a doc comment with the verb's purpose. The module's name is the
/// verb's name on the wire. `Variant` is the variant of [`Method`] and [`Request`](crate::Request), `Params` a type in
/// the module that implements [`Verb`]. The rows are in the order of the reference, `docs/protocol.md`.
///
/// A `match` or a list that a callback generates has every verb, so a new row that lacks its counterpart does not compile:
///
/// ```
/// macro_rules! count {
///     ($($(#[$doc:meta])* $module:ident: $variant:ident($params:ident), $effect:ident, $right:ident;)*) => {
///         [$(stringify!($module)),*].len()
///     };
/// }
/// assert_eq!(kirosu_protocol::for_each_verb!(count), kirosu_protocol::Method::ALL.len());
/// ```
#[macro_export]
macro_rules! for_each_verb {
    ($callback:ident) => {
        $callback! {
            /// Authenticates the connection and opens or resumes a session.
            hello: Hello(HelloParams), Change, Connect;
            /// Adds one task.
            enqueue: Enqueue(EnqueueRequest), Change, Enqueue;
            /// Adds several tasks, all or none.
            enqueue_batch: EnqueueBatch(EnqueueBatchParams), Change, Enqueue;
            /// Leases tasks, or waits for one.
            lease: Lease(LeaseParams), Change, Work;
            /// Reports the end of runs; may lease the next tasks.
            ack: Ack(AckParams), Change, Work;
            /// Extends a lease.
            heartbeat: Heartbeat(HeartbeatParams), Change, Work;
            /// Reports the progress of a run.
            progress: Progress(ProgressParams), Change, Work;
            /// Appends to the output of a run.
            output: Output(OutputParams), Change, Work;
            /// Lets the task of a run wait for its children once the run has ended.
            wait_children: WaitChildren(WaitChildrenParams), Change, Work;
            /// Reserves budget for a run.
            reserve: Reserve(ReserveParams), Change, Work;
            /// Gives a lease back; the attempt does not count.
            release: Release(ReleaseParams), Change, Work;
            /// Lists tasks, newest first.
            list: List(ListParams), Read, Observe;
            /// Returns one task with its attempts.
            get: Get(GetParams), Read, Observe;
            /// Waits until tasks, or a group, have ended.
            wait: Wait(WaitParams), Read, Observe;
            /// Cancels a task or a group.
            cancel: Cancel(CancelParams), Change, Enqueue;
            /// Queues a failed or cancelled task, or a group, again.
            retry: Retry(RetryParams), Change, Enqueue;
            /// Queues every failed task again.
            retry_failed: RetryFailed(RetryFailedParams), Change, Enqueue;
            /// Approves a task or a permission request.
            approve: Approve(ApproveParams), Change, Person;
            /// Answers a `human` task.
            answer: Answer(AnswerParams), Change, Person;
            /// Rejects a task or a permission request.
            reject: Reject(RejectParams), Change, Person;
            /// Opens a permission request, or waits for its decision.
            ask: Ask(AskRequest), Change, Work;
            /// Lists permission requests and tasks that wait for a person.
            approvals: Approvals(ApprovalsParams), Read, Observe;
            /// Stops leasing from a queue, or from all.
            pause: Pause(PauseParams), Change, Admin;
            /// Leases from a paused queue, or from all, again.
            resume: Resume(ResumeParams), Change, Admin;
            /// Subscribes the connection to events.
            watch: Watch(WatchParams), Read, Observe;
            /// Returns the counters of tasks.
            stats: Stats(StatsParams), Read, Observe;
            /// Sums up tokens and cost, and returns the budgets.
            usage: Usage(UsageParams), Read, Observe;
            /// Lists sessions and connections.
            agents: Agents(AgentsParams), Read, Observe;
            /// Lists the pools; resizes one or probes an account.
            pools: Pools(PoolsParams), Read, Observe;
            /// Returns the supervision tree.
            tree: Tree(TreeParams), Read, Observe;
            /// Returns the hub's metrics.
            metrics: Metrics(MetricsParams), Read, Observe;
            /// Shows that the hub answers.
            ping: Ping(PingParams), Read, Connect;
            /// Writes a copy of the store.
            backup: Backup(BackupParams), Read, Admin;
            /// Adds a key for a client.
            key_add: KeyAdd(KeyAddParams), Change, Admin;
            /// Lists the keys of clients.
            key_list: KeyList(KeyListParams), Read, Admin;
            /// Ends the validity of a key.
            key_revoke: KeyRevoke(KeyRevokeParams), Change, Admin;
            /// Makes a ticket with which a browser logs in to the web page once.
            web_ticket: WebTicket(WebTicketParams), Read, Observe;
            /// Begins a session of a browser.
            web_login: WebLogin(WebLoginParams), Change, Connect;
            /// Ends a session of a browser.
            web_logout: WebLogout(WebLogoutParams), Change, Connect;
            /// Lists changes and refused requests.
            audit: Audit(AuditParams), Read, Admin;
            /// Stores items for a map of a plan.
            source: Source(SourceParams), Change, Enqueue;
            /// Lists runs of plans, newest first.
            runs: Runs(RunsParams), Read, Observe;
            /// Returns a run of a plan with its steps.
            run: Run(RunParams), Read, Observe;
            /// Lists the items of a run.
            run_items: RunItems(RunItemsParams), Read, Observe;
            /// Reads the result of a step for a task of the same run.
            run_file: RunFile(RunFileParams), Read, Work;
            /// Pauses a run.
            run_pause: RunPause(RunPauseParams), Change, Enqueue;
            /// Lets a paused or waiting run go on, or any run with another plan.
            run_resume: RunResume(RunResumeParams), Change, Enqueue;
            /// Repeats what failed in a run.
            run_retry: RunRetry(RunRetryParams), Change, Enqueue;
            /// Adds a schedule, by which the hub adds tasks.
            schedule_add: ScheduleAdd(ScheduleAddParams), Change, Enqueue;
            /// Lists the schedules.
            schedule_list: ScheduleList(ScheduleListParams), Read, Observe;
            /// Pauses a schedule, or lets it go on.
            schedule_set: ScheduleSet(ScheduleSetParams), Change, Enqueue;
            /// Adds the task of a schedule now.
            schedule_run: ScheduleRun(ScheduleRunParams), Change, Enqueue;
            /// Removes a schedule.
            schedule_remove: ScheduleRemove(ScheduleRemoveParams), Change, Enqueue;
            /// Lists the targets of notifications.
            notify_list: NotifyList(NotifyListParams), Read, Observe;
            /// Sends a test to a target of notifications.
            notify_test: NotifyTest(NotifyTestParams), Change, Admin;
            /// Reports deliveries to a target of notifications, and returns its next events.
            notify_take: NotifyTake(NotifyTakeParams), Change, Admin;
            /// Reports that a pool cannot run tasks.
            pool_down: PoolDown(PoolDownParams), Change, Work;
            /// Reads the configuration again.
            reload: Reload(ReloadParams), Read, Admin;
            /// Stops leasing until the next start; running tasks go on.
            drain: Drain(DrainParams), Read, Admin;
            /// Drains and stops the hub.
            shutdown: Shutdown(ShutdownParams), Read, Admin;
        }
    };
}

/// The time that a client waits longer for the change of a group than for that of a single task.
pub(crate) const GROUP_TIME: Duration = Duration::from_secs(600);

/// The parameters of a verb. Serialises as `params` of a request.
pub trait Verb: Serialize + Sized {
    /// The verb's method.
    const METHOD: Method;
    /// The type of `result`.
    type Answer: Serialize + DeserializeOwned;

    /// Reads the parameters of a request and checks them against the hub's limits.
    ///
    /// # Errors
    /// `invalid_params` for a parameter that is missing, of the wrong type or out of range; the message names it.
    /// `too_large` for a text or list beyond its limit.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<Self, Error>;

    /// The longest time for which the hub may delay the answer on purpose. A client adds it to its timeout.
    fn parked(&self) -> Duration {
        Duration::ZERO
    }
}

impl<V: Verb> Verb for Box<V> {
    const METHOD: Method = V::METHOD;
    type Answer = V::Answer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<Box<V>, Error> {
        V::read(params, limits).map(Box::new)
    }

    fn parked(&self) -> Duration {
        V::parked(self)
    }
}

/// The answer of verbs without further data: `{"ok":true}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Done {
    /// Always true; a refusal is an error.
    pub ok: bool,
}

/// The only value of [`Done`].
pub const DONE: Done = Done { ok: true };

/// Serialises milliseconds as seconds.
pub(crate) fn seconds<S: Serializer>(ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*ms as f64 / 1000.0)
}

/// Serialises optional milliseconds as seconds.
pub(crate) fn seconds_or_null<S: Serializer, T: Copy + Millis>(
    ms: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    ms.map(|ms| ms.float() / 1000.0).serialize(serializer)
}

/// Whether a field can be left out because its value, 0, is the default.
pub(crate) fn skip_zero(ms: &u64) -> bool {
    *ms == 0
}

/// An integer type for milliseconds.
pub(crate) trait Millis {
    /// The number as a float; exact up to 2^53.
    fn float(self) -> f64;
}

impl Millis for u64 {
    fn float(self) -> f64 {
        self as f64
    }
}

impl Millis for i64 {
    fn float(self) -> f64 {
        self as f64
    }
}
