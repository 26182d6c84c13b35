//! What the hub measures, and how the verb `metrics` tells it.
//!
//! Nothing is measured twice and nothing is shared: each figure is kept by the actor that owns the fact (the writer its
//! commits, the store the life of tasks, the kernel its restarts), as plain numbers without a lock, and read when somebody
//! asks. [`answer`] is a pure function from those [`Facts`] to what is told; `docs/metrics.md` has a row for each name.

mod accounts;
mod commits;
mod families;

pub use commits::Commits;

use families::Families;
use kirosu_protocol::Stats;
use kirosu_protocol::verbs::metrics::MetricsAnswer;
use kirosu_protocol::verbs::pools::PoolInfo;
use kirosu_store::{Histogram, Oldest, QueueDepth, QueueStats, TaskStats};
use kirosu_supervision::Restarts;
use std::collections::BTreeMap;

/// What the writer and its store measured since they started.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Commits.
    pub commits: Commits,
    /// Size of the write-ahead log in bytes.
    pub wal_bytes: u64,
    /// Lease requests that wait for a task.
    pub parked: usize,
    /// Bytes of the names that these wait for.
    pub parked_bytes: usize,
    /// The life of tasks.
    pub task_stats: TaskStats,
    /// How full each queue is.
    pub depths: Vec<QueueDepth>,
    /// The counters of `stats`.
    pub stats: Stats,
}

/// What clients make the hub keep in memory, in bytes, and the questions that wait for readers.
pub(crate) struct Memory {
    /// Events that are kept for watchers.
    pub events: usize,
    /// Long texts that are read for answers.
    pub answers: u64,
    /// Requests that wait for those before them on their connection.
    pub requests: usize,
    pub questions: usize,
}

/// All that is told.
pub(crate) struct Facts {
    pub measured: Measured,
    /// The oldest waiting tasks, where the readers answered.
    pub oldest: Vec<Oldest>,
    pub restarts: Vec<Restarts>,
    /// The pools beside the hub.
    pub pools: Vec<PoolInfo>,
    /// Sessions that are known, and those of them with a connection.
    pub sessions: (usize, usize),
    pub connections: usize,
    /// Connections that were ended as their clients did not read.
    pub unread: u64,
    pub in_flight: usize,
    pub memory: Memory,
    pub draining: bool,
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// What `metrics` answers.
pub(crate) fn answer(facts: &Facts) -> MetricsAnswer {
    let mut families = Families::default();
    tasks(&mut families, facts);
    let queues: Vec<(&str, &QueueStats)> = facts.measured.task_stats.queues().collect();
    lives(&mut families, &queues);
    runs(&mut families, &facts.measured.task_stats);
    used(&mut families, &facts.measured.task_stats);
    hub(&mut families, facts);
    actors(&mut families, &facts.restarts);
    accounts::accounts(&mut families, &facts.pools);
    families.into_answer()
}

fn tasks(families: &mut Families, facts: &Facts) {
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

/// A figure of a queue that only grows.
type Count = fn(&QueueStats) -> u64;
/// A distribution of a queue.
type Spread = fn(&QueueStats) -> &Histogram;

fn lives(families: &mut Families, queues: &[(&str, &QueueStats)]) {
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
        "Leases that ended without a word of their holder, by reason.",
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
        "Tokens that attempts told with their ends, by provider, model and kind.",
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
        "US dollars that attempts told with their ends, or that their tokens cost by the prices, by provider and model.",
    );
    for (provider, model, used) in task_stats.used() {
        let labels = [("provider", provider), ("model", model)];
        cost.add(&labels, used.micros as f64 / 1e6);
    }
}

fn hub(families: &mut Families, facts: &Facts) {
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
        "Sessions that are known, by whether their connection stands.",
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
            "Connections that stand.",
            facts.connections as f64,
        ),
        (
            "kirosu_requests_in_flight",
            "Requests that are not answered, waiting ones included.",
            facts.in_flight as f64,
        ),
        (
            "kirosu_waiting_lease_bytes",
            "Bytes of the names of queues and types that waiting lease requests name.",
            measured.parked_bytes as f64,
        ),
        (
            "kirosu_waiting_request_bytes",
            "Bytes of requests that wait for those before them on their connection.",
            facts.memory.requests as f64,
        ),
        (
            "kirosu_answer_bytes",
            "Bytes of long texts that were read for answers and not taken by their clients.",
            facts.memory.answers as f64,
        ),
        (
            "kirosu_event_bytes",
            "Bytes of the events that are kept for watchers.",
            facts.memory.events as f64,
        ),
        (
            "kirosu_questions_waiting",
            "Questions that the readers have not answered.",
            facts.memory.questions as f64,
        ),
        (
            "kirosu_draining",
            "1 while leases are held back until the hub stops.",
            f64::from(u8::from(facts.draining)),
        ),
    ];
    for (name, help, value) in gauges {
        families.gauge(name, help).add(&[], value);
    }
    families
        .counter(
            "kirosu_connections_unread_total",
            "Connections that were ended as their clients did not read their answers.",
        )
        .add(&[], facts.unread as f64);
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
        "Actors that crashed and by design are not restarted, such as connections, by actor and kind.",
    );
    for place in places.iter().filter(|place| place.dynamic) {
        let labels = [("actor", &*actor(&place.place)), ("kind", &*place.kind)];
        lost.add(&labels, place.lost as f64);
    }
}
