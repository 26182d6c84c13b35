//! A restore in the middle of the work: the tool takes a backup, the work goes on, the hub is stopped or killed, and the
//! backup takes the place of its store. All clients come back with leases and ids of a future that never was.
//!
//! Cases that the clients hit by chance, the tool forces: it holds one lease from before the backup, whose end is undone, and one
//! from after it. The ack of the first must be accepted again, that of the second must be refused.

use super::{Field, Nemesis};
use crate::Fault;
use crate::torture::history::{Call, Leased, OWN_QUEUE, now_ns, prompt_of};
use crate::torture::kills;
use crate::torture::link::{Link, Sending};
use crate::torture::worker::{ack, leased};
use serde_json::{Value, json};

/// A queue that no other worker leases from.
const QUEUE: &str = "restored";

/// Longer than the fault lasts: what is refused is not refused for the time alone.
const LEASE_SECONDS: u64 = 60;

/// The numbers of the tool's own tasks.
const NUMBERS: u64 = 3 * OWN_QUEUE;

#[derive(Default)]
pub(super) struct Restore {
    backup: String,
    /// Leases from before and after the backup.
    held: Option<(Leased, Leased)>,
}

impl Nemesis for Restore {
    fn lasts_ms(&self) -> (u64, u64) {
        // The names of the files that are replaced have seconds in them.
        (1_000, 2_000)
    }

    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        let number = NUMBERS + 2 * field.replaced.len() as u64;
        let tool = &mut field.tool;
        enqueue(tool, number, None);
        let before = lease(tool)?;
        self.backup = format!("torture-{}.db", field.replaced.len());
        tool.back_up(&self.backup)?;
        ack(tool, before, true);
        enqueue(tool, number + 1, None);
        self.held = Some((before, lease(tool)?));
        Ok(())
    }

    fn heal(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        let mut gone = 0;
        let (server, plan, rng) = (&mut *field.server, field.plan, &mut *field.rng);
        let file = kills::restore(server, plan, &self.backup, rng, field.verdict, |_| {
            gone = now_ns();
        })?;
        field.replaced.push(file);
        field.started(gone, Some(std::mem::take(&mut self.backup)))?;
        if let Some((before, after)) = self.held.take() {
            ack(&mut field.tool, after, true);
            ack(&mut field.tool, before, true);
            // It depends on a task that is gone, so it must be refused.
            let number = NUMBERS + OWN_QUEUE + field.replaced.len() as u64;
            enqueue(&mut field.tool, number, Some(after.task));
        }
        Ok(())
    }
}

fn enqueue(tool: &mut Link<'_>, number: u64, after: Option<u64>) {
    let depends_on: Vec<u64> = after.into_iter().collect();
    let params = json!({"prompt": prompt_of(number), "queue": QUEUE, "depends_on": depends_on});
    tool.say("enqueue", &params, Sending::Once, |answer| {
        let made = answer.and_then(|answer| answer["task_id"].as_u64());
        Call::Enqueue {
            numbers: vec![number],
            keyed: false,
            after,
            priority: 0,
            ids: made.into_iter().collect(),
        }
    });
}

fn lease(tool: &mut Link<'_>) -> Result<Leased, Fault> {
    let params = json!({"worker_id": "tool", "queues": [QUEUE], "lease_seconds": LEASE_SECONDS});
    let mut taken = None;
    let outcome = tool.say("lease", &params, Sending::Once, |answer| {
        let tasks = answer.and_then(|answer: &Value| answer["tasks"].as_array());
        taken = tasks.and_then(|tasks| tasks.first()).map(leased);
        Call::Lease {
            session: false,
            most: 1,
            tasks: taken.into_iter().collect(),
        }
    });
    taken.ok_or_else(|| Fault::new(format!("a lease of the tool's own ended as {outcome:?}")))
}
