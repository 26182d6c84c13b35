//! What the hub knows, in the protocol's words.

use crate::hub::Hub;
use crate::leases::Holder;
use crate::writer::messages::WriterMetrics;
use kirosu_protocol::Stats;
use kirosu_protocol::verbs::agents::{AgentInfo, AgentsAnswer};
use kirosu_protocol::verbs::get::{AttemptOutput, GetAnswer};
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::verbs::metrics::{Metric, MetricsAnswer};
use kirosu_protocol::verbs::tree::{TreeAnswer, TreeNode};
use kirosu_store::{LaneDepth, OutputChunk, TaskDetail};
use kirosu_supervision::{Node, State};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// The tree, as `tree` answers it.
pub(super) fn tree(root: &Node) -> TreeAnswer {
    TreeAnswer { tree: branch(root) }
}

fn branch(node: &Node) -> TreeNode {
    let seconds = |ms: u64| ms as f64 / 1000.0;
    TreeNode {
        name: node.id.to_string(),
        state: state(node.state).into(),
        kind: node.kind.to_string(),
        restarts: u64::from(node.restarts) + node.past.map_or(0, |past| past.restarts),
        last_exit: node.last_exit.as_ref().map(ToString::to_string),
        next_restart_in: node.next_restart_in_ms.map(seconds),
        mailbox: node.mailbox_len,
        handled: Some(node.handled),
        uptime: node.up_for_ms.map(seconds),
        children: node.children.iter().map(branch).collect(),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::BackingOff => "backing_off",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
        State::GaveUp => "gave_up",
    }
}

/// One task with everything about it, as `get` answers it.
pub(super) fn detail(detail: TaskDetail, with_output: bool) -> GetAnswer {
    GetAnswer {
        task: detail.task,
        attempts: detail.attempts,
        depends_on: detail.depends_on,
        progress: detail.progress,
        output: with_output.then(|| by_attempt(detail.output)),
    }
}

fn by_attempt(chunks: Vec<OutputChunk>) -> Vec<AttemptOutput> {
    let mut attempts: Vec<AttemptOutput> = Vec::new();
    for chunk in chunks {
        if attempts.last().is_none_or(|last| last.fence != chunk.fence) {
            attempts.push(AttemptOutput {
                fence: chunk.fence,
                ..AttemptOutput::default()
            });
        }
        if let Some(attempt) = attempts.last_mut() {
            attempt.text.push_str(&chunk.text);
            attempt.next_chunk = Some(chunk.chunk + 1);
        }
    }
    attempts
}

/// Who works for the hub, as `agents` answers it: sessions, and connections that hold leases without one.
pub(super) fn agents(mut agents: Vec<AgentInfo>, held: Vec<(Holder, HeldLease)>) -> AgentsAnswer {
    let mut loose: BTreeMap<u64, Vec<HeldLease>> = BTreeMap::new();
    for (holder, lease) in held {
        match holder {
            Holder::Session(id) => {
                let session = agents
                    .iter_mut()
                    .find(|agent| agent.session_id.as_deref() == Some(&*id));
                if let Some(agent) = session {
                    agent.leases.push(lease);
                }
            }
            Holder::Connection(connection) => loose.entry(connection.0).or_default().push(lease),
        }
    }
    agents.extend(loose.into_iter().map(|(connection, leases)| AgentInfo {
        name: match connection {
            0 => "leased before the hub was restarted".into(),
            number => format!("connection {number}"),
        },
        leases,
        ..AgentInfo::default()
    }));
    agents.sort_by(|a, b| a.since.total_cmp(&b.since));
    AgentsAnswer { agents }
}

/// Counters and gauges, as `metrics` answers them.
pub(super) fn metrics(
    hub: &Hub,
    writer: &WriterMetrics,
    stats: &Stats,
    lanes: &[LaneDepth],
) -> MetricsAnswer {
    let mut metrics = vec![
        counter(
            "kirosu_commits_total",
            "Commits of the store.",
            writer.commits as f64,
        ),
        counter(
            "kirosu_commands_total",
            "Commands in all commits of the store.",
            writer.commands as f64,
        ),
        counter(
            "kirosu_commit_seconds_total",
            "Seconds spent in commits of the store.",
            writer.commit_us as f64 / 1e6,
        ),
        gauge(
            "kirosu_commit_largest_commands",
            "Commands of the largest commit.",
            writer.largest_commit as f64,
        ),
        gauge(
            "kirosu_wal_bytes",
            "Size of the store's write-ahead log.",
            writer.wal_bytes as f64,
        ),
        gauge(
            "kirosu_connections",
            "Connections that stand.",
            hub.connections() as f64,
        ),
        gauge(
            "kirosu_requests_in_flight",
            "Requests that are not answered.",
            hub.in_flight().load(Ordering::Relaxed) as f64,
        ),
        gauge(
            "kirosu_draining",
            "Whether leases are held back.",
            f64::from(u8::from(hub.is_draining())),
        ),
    ];
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
    metrics.extend(states.map(|(state, count)| {
        labelled(
            gauge("kirosu_tasks", "Tasks by state.", count as f64),
            &[("state", state)],
        )
    }));
    for lane in lanes {
        let labels = [
            ("queue", lane.queue.as_str()),
            ("type", lane.task_type.as_str()),
        ];
        metrics.push(labelled(
            gauge(
                "kirosu_queue_ready",
                "Tasks ready to be leased.",
                lane.queued as f64,
            ),
            &labels,
        ));
        metrics.push(labelled(
            gauge(
                "kirosu_queue_leased",
                "Tasks held by workers.",
                lane.leased as f64,
            ),
            &labels,
        ));
    }
    MetricsAnswer { metrics }
}

fn counter(name: &str, help: &str, value: f64) -> Metric {
    Metric {
        name: name.into(),
        kind: "counter".into(),
        help: help.into(),
        value,
        ..Metric::default()
    }
}

fn gauge(name: &str, help: &str, value: f64) -> Metric {
    Metric {
        kind: "gauge".into(),
        ..counter(name, help, value)
    }
}

fn labelled(mut metric: Metric, labels: &[(&str, &str)]) -> Metric {
    metric.labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    metric
}
