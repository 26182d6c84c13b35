//! The measurements of the hub, for the verb `metrics`.
//!
//! Each value is measured once, by the actor that owns the fact (the writer its commits, the store the life of tasks, the
//! supervision its restarts), in plain numbers without locks, and read when a client requests the metrics. [`answer`] is a pure
//! function of these [`MetricFacts`]. `docs/metrics.md` has a row for each name.

mod accounts;
mod commits;
mod families;

pub use commits::Commits;

use families::Families;
use kirosu_protocol::{MetricsAnswer, PoolInfo, Stats};
use kirosu_store::{Histogram, Oldest, QueueDepth, QueueStats, TargetRow, TaskStats};
use kirosu_supervision::Restarts;
use std::collections::BTreeMap;

/// The measurements of the writer and its store since they started.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Durations and sizes of commits.
    pub commits: Commits,
    /// Size of the write-ahead log, in bytes.
    pub wal_bytes: u64,
    /// The number of lease requests that wait for a task.
    pub parked: usize,
    /// Bytes of the queue and type names in these requests.
    pub parked_bytes: usize,
    /// Durations and counts of the tasks' lives.
    pub task_stats: TaskStats,
    /// Unfinished tasks per queue.
    pub depths: Vec<QueueDepth>,
    /// The counters of `stats`.
    pub stats: Stats,
}

/// The memory that clients occupy, in bytes, and the queries that wait for readers.
pub(crate) struct Memory {
    /// Events that are kept for watchers.
    pub events: usize,
    /// Long texts in answers.
    pub answers: u64,
    /// Requests that wait for earlier requests on their connection.
    pub requests: usize,
    /// The number of queries that the readers have not answered.
    pub queries: usize,
}

/// The facts behind the metrics.
pub(crate) struct MetricFacts {
    pub measured: Measured,
    /// The oldest waiting tasks. Empty if the readers failed.
    pub oldest: Vec<Oldest>,
    pub restarts: Vec<Restarts>,
    /// The targets of notifications. Empty if the readers failed.
    pub targets: Vec<TargetRow>,
    /// The pools of this process.
    pub pools: Vec<PoolInfo>,
    /// The numbers of known sessions, and of connected ones.
    pub sessions: (usize, usize),
    pub connections: usize,
    /// The number of connections that were ended because their clients did not read.
    pub unread: u64,
    /// The number of wrong keys.
    pub wrong_keys: u64,
    pub in_flight: usize,
    pub memory: Memory,
    pub draining: bool,
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// The answer to `metrics`.
pub(crate) fn answer(facts: &MetricFacts) -> MetricsAnswer {
    let mut families = Families::default();
    tasks(&mut families, facts);
    let queues: Vec<(&str, &QueueStats)> = facts.measured.task_stats.queues().collect();
    task_lives(&mut families, &queues);
    runs(&mut families, &facts.measured.task_stats);
    used(&mut families, &facts.measured.task_stats);
    hub(&mut families, facts);
    actors(&mut families, &facts.restarts);
    accounts::accounts(&mut families, &facts.pools);
    targets(&mut families, &facts.targets);
    families.into_answer()
}

fn tasks(families: &mut Families, facts: &MetricFacts) {
    let stats = &facts.measured.stats;
    let states = [
        ("queued", stats.queued),
        ("blocked", stats.blocked),
        ("scheduled", stats.scheduled),
        ("awaiting_approval", stats.awaiting_approval),
        ("leased", stats.leased),
        ("done", stats.done),
        ("failed", stats.failed),
        ("cancelled", stats.cancelled),
    ];
    let mut all = families.gauge(
        "kirosu_tasks",
        "Tasks by state, over all queues; finished ones include those already pruned.",
    );
    for (state, count) in states {
        all.add(&[("state", state)], count as f64);
    }
    let mut depths = families.gauge("kirosu_queue_tasks", "Unfinished tasks by queue and state.");
    for depth in &facts.measured.depths {
        for (state, count) in depth.tasks {
            let labels = [("queue", &*depth.queue), ("state", state.as_str())];
            depths.add(&labels, count as f64);
        }
    }
    let labels = facts.measured.task_stats.queue_labels();
    let mut ages: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for oldest in &facts.oldest {
        let key = (labels.label(&oldest.queue), oldest.status.as_str());
        let age = (facts.now_ms - oldest.since_ms).max(0) as f64 / 1000.0;
        let known = ages.entry(key).or_insert(age);
        *known = known.max(age);
    }
    let mut oldest = families.gauge(
        "kirosu_queue_oldest_task_seconds",
        "Age of the oldest unfinished task by queue and state: queued since it was enqueued or due, else in its state.",
    );
    for ((queue, state), age) in ages {
        oldest.add(&[("queue", queue), ("state", state)], age);
    }
}

/// Reads a counter of a queue.
type Count = fn(&QueueStats) -> u64;
/// Reads a histogram of a queue.
type Spread = fn(&QueueStats) -> &Histogram;

fn task_lives(families: &mut Families, queues: &[(&str, &QueueStats)]) {
    let mut enqueued = families.counter("kirosu_tasks_enqueued_total", "Tasks enqueued, by queue.");
    for (queue, task_stats) in queues {
        enqueued.add(&[("queue", queue)], task_stats.enqueued as f64);
    }
    let ends: [(&str, Count); 3] = [
        ("done", |task_stats| task_stats.completed.count()),
        ("failed", |task_stats| task_stats.failed),
        ("cancelled", |task_stats| task_stats.cancelled),
    ];
    let mut finished = families.counter(
        "kirosu_tasks_finished_total",
        "Tasks that reached a final state, by queue and state.",
    );
    for (queue, task_stats) in queues {
        for (state, count) in ends {
            finished.add(
                &[("queue", queue), ("state", state)],
                count(task_stats) as f64,
            );
        }
    }
    let spreads: [(&str, &str, Spread); 3] = [
        (
            "kirosu_task_wait_seconds",
            "Time from ready to leased, by queue.",
            |task_stats| &task_stats.waited,
        ),
        (
            "kirosu_task_run_seconds",
            "Time from leased to the ack, done or failed, by queue.",
            |task_stats| &task_stats.ran,
        ),
        (
            "kirosu_task_completion_seconds",
            "Time from enqueued to done, by queue.",
            |task_stats| &task_stats.completed,
        ),
    ];
    for (name, help, spread) in spreads {
        let mut family = families.histogram(name, help);
        for (queue, task_stats) in queues {
            family.add_histogram(&[("queue", queue)], spread(task_stats));
        }
    }
}

fn runs(families: &mut Families, task_stats: &TaskStats) {
    let mut runs = families.counter(
        "kirosu_invocations_total",
        "Provider runs that ended with an ack, by provider and outcome.",
    );
    for (provider, outcome, count) in task_stats.runs() {
        let labels = [("provider", provider), ("outcome", outcome)];
        runs.add(&labels, count as f64);
    }
    let mut lost = families.counter(
        "kirosu_leases_lost_total",
        "Leases that ended without their holder, by reason.",
    );
    for (reason, count) in task_stats.lost() {
        lost.add(&[("reason", reason)], count as f64);
    }
    families
        .counter(
            "kirosu_leases_released_total",
            "Leases that their holders gave back.",
        )
        .add(&[], task_stats.released() as f64);
}

fn used(families: &mut Families, task_stats: &TaskStats) {
    let mut tokens = families.counter(
        "kirosu_tokens_total",
        "Tokens that attempts reported at their ends, by provider, model and kind.",
    );
    for (provider, model, used) in task_stats.used() {
        let kinds = ["input", "cache_read", "cache_write", "output"];
        for (kind, count) in kinds.into_iter().zip(used.tokens) {
            let labels = [("provider", provider), ("model", model), ("kind", kind)];
            tokens.add(&labels, count as f64);
        }
    }
    let mut cost = families.counter(
        "kirosu_cost_usd_total",
        "US dollars that attempts reported at their ends, or that their tokens cost by the prices, by provider and model.",
    );
    for (provider, model, used) in task_stats.used() {
        let labels = [("provider", provider), ("model", model)];
        cost.add(&labels, used.micros as f64 / 1e6);
    }
}

fn hub(families: &mut Families, facts: &MetricFacts) {
    let measured = &facts.measured;
    families
        .histogram(
            "kirosu_commit_seconds",
            "Time of a commit of the store, from taking its commands to the end of its sync.",
        )
        .add_histogram(&[], &measured.commits.seconds);
    families
        .histogram("kirosu_commit_commands", "Commands in a commit.")
        .add_histogram(&[], &measured.commits.commands);
    let (known, connected) = facts.sessions;
    let mut sessions = families.gauge(
        "kirosu_sessions",
        "Known sessions, by whether they are connected.",
    );
    sessions.add(&[("connected", "true")], connected as f64);
    sessions.add(&[("connected", "false")], (known - connected) as f64);
    let gauges = [
        (
            "kirosu_wal_bytes",
            "Size of the store's write-ahead log.",
            measured.wal_bytes as f64,
        ),
        (
            "kirosu_waiting_leases",
            "Lease requests that wait for a task: idle workers.",
            measured.parked as f64,
        ),
        (
            "kirosu_connections",
            "Open connections.",
            facts.connections as f64,
        ),
        (
            "kirosu_requests_in_flight",
            "Unanswered requests, waiting ones included.",
            facts.in_flight as f64,
        ),
        (
            "kirosu_waiting_lease_bytes",
            "Bytes of the queue and type names in waiting lease requests.",
            measured.parked_bytes as f64,
        ),
        (
            "kirosu_waiting_request_bytes",
            "Bytes of requests that wait for earlier requests on their connection.",
            facts.memory.requests as f64,
        ),
        (
            "kirosu_answer_bytes",
            "Bytes of long texts in answers that their clients have not read.",
            facts.memory.answers as f64,
        ),
        (
            "kirosu_event_bytes",
            "Bytes of the events kept for watchers.",
            facts.memory.events as f64,
        ),
        (
            "kirosu_questions_waiting",
            "Queries that the readers have not answered.",
            facts.memory.queries as f64,
        ),
        (
            "kirosu_draining",
            "1 while the hub leases no tasks until it stops.",
            f64::from(u8::from(facts.draining)),
        ),
    ];
    for (name, help, value) in gauges {
        families.gauge(name, help).add(&[], value);
    }
    families
        .counter(
            "kirosu_connections_unread_total",
            "Connections that were ended because their clients did not read their answers.",
        )
        .add(&[], facts.unread as f64);
    families
        .counter("kirosu_wrong_keys_total", "Requests with a wrong key.")
        .add(&[], facts.wrong_keys as f64);
}

/// Reads one value of a target of notifications.
type TargetValue = fn(&TargetRow) -> f64;

fn targets(families: &mut Families, targets: &[TargetRow]) {
    let gauges: [(&str, &str, TargetValue); 3] = [
        (
            "kirosu_notify_pending",
            "Events that a target of notifications has not got yet.",
            |target| target.pending as f64,
        ),
        (
            "kirosu_notify_failures",
            "Failed deliveries in a row to a target of notifications.",
            |target| {
                target
                    .failing()
                    .map_or(0.0, |failing| failing.failures as f64)
            },
        ),
        (
            "kirosu_notify_lost",
            "Events that were dropped because a target of notifications had not got them in time, or because too many waited.",
            |target| target.lost as f64,
        ),
    ];
    for (name, help, value) in gauges {
        let mut gauge = families.gauge(name, help);
        for target in targets {
            gauge.add(&[("target", &*target.name)], value(target));
        }
    }
}

fn actors(families: &mut Families, places: &[Restarts]) {
    let actor = |place: &str| place.strip_prefix("root/").unwrap_or(place).to_owned();
    let mut restarts = families.counter(
        "kirosu_actor_restarts_total",
        "Restarts by actor: its path in the tree without numbers, and its kind.",
    );
    for place in places {
        let labels = [("actor", &*actor(&place.place)), ("kind", &*place.kind)];
        restarts.add(&labels, place.restarts as f64);
    }
    let mut lost = families.counter(
        "kirosu_actor_losses_total",
        "Crashed actors that are not restarted by design, such as connections, by actor and kind.",
    );
    for place in places.iter().filter(|place| place.dynamic) {
        let labels = [("actor", &*actor(&place.place)), ("kind", &*place.kind)];
        lost.add(&labels, place.lost as f64);
    }
}
