//! Handlers of the writer's messages other than commands.

use super::Writer;
use super::messages::{
    Drain, GetMetrics, GetStats, ReportDeadline, ReportLeases, Settle, Shrink, StoreRecords,
    Submit, Tune,
};
use crate::bus::Publish;
use crate::caller::{Caller, CommandAnswers, GiveBack};
use crate::measure::Measured;
use actix::prelude::*;
use kirosu_protocol::{ErrorCode, EventKind, Stats};
use kirosu_store::Command;
use std::future::ready;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// The longest time for which refusals and uses of keys wait for a commit.
const RECORD_PAUSE: Duration = Duration::from_secs(1);
/// Free pages that one step gives back to the disk. A step takes some milliseconds.
const SHRINK_PAGES: u32 = 256;
/// Free pages that the store keeps for new tasks (2 MiB in new files).
const SPARE_PAGES: u32 = 1024;

impl Handler<GiveBack> for Writer {
    type Result = ();

    fn handle(&mut self, GiveBack(leases): GiveBack, ctx: &mut Self::Context) {
        let release = |(task, fence)| Command::Release {
            task,
            fence,
            delay_ms: 0,
            reason: None,
        };
        let commands = leases.into_iter().map(|lease| (0, release(lease)));
        let caller = Caller::hub(ctx.address().recipient());
        self.receive(Submit::new(caller, commands.collect()), ctx);
    }
}

/// Answers to the writer's own commands, which release leases that reached no client.
impl Handler<CommandAnswers> for Writer {
    type Result = ();

    fn handle(&mut self, answers: CommandAnswers, _: &mut Self::Context) {
        for (_, answer) in answers.take() {
            // Other errors mean that another command has ended the lease before.
            if let Err(error) = answer
                && error.code == ErrorCode::Internal
            {
                tracing::error!(%error, "a lease whose client is gone was not given back; it ends when it expires");
            }
        }
    }
}

impl Handler<Settle> for Writer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Settle, _: &mut Self::Context) -> Self::Result {
        if self.queue.is_empty() {
            return Box::pin(ready(()));
        }
        let (waits, settled) = oneshot::channel();
        self.settling.push((self.queue.arrivals(), waits));
        // If the writer crashes, it drops the sender. The submissions are answered then, too.
        Box::pin(async move { settled.await.unwrap_or_default() })
    }
}

impl Handler<GetStats> for Writer {
    type Result = MessageResult<GetStats>;

    fn handle(&mut self, _: GetStats, _: &mut Self::Context) -> Self::Result {
        let now_ms = self.now_ms();
        let stats = self.store.as_ref();
        let stats = stats.map_or_else(Stats::default, |store| store.stats(now_ms));
        MessageResult(Stats {
            draining: self.draining(),
            ..stats
        })
    }
}

impl Handler<GetMetrics> for Writer {
    type Result = MessageResult<GetMetrics>;

    fn handle(&mut self, _: GetMetrics, _: &mut Self::Context) -> Self::Result {
        let now_ms = self.now_ms();
        let mut measured = Measured {
            commits: self.commits.clone(),
            parked: self.parked.0.len(),
            ..Measured::default()
        };
        if let Some(store) = &mut self.store {
            measured.wal_bytes = store.wal_bytes();
            measured.parked_bytes = store.waiting_names_bytes();
            measured.task_stats = store.task_stats();
            measured.depths = store.depths();
            measured.stats = store.stats(now_ms);
        }
        MessageResult(Box::new(measured))
    }
}

impl Handler<Drain> for Writer {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) {
        self.drain_is_asked |= drain.is_asked;
        if self.factory.draining.swap(true, Ordering::Relaxed) {
            return;
        }
        self.factory.bus.do_send(Publish(vec![EventKind::Hub {
            state: "draining".into(),
        }]));
        // If no task is running, the hub has drained.
        self.flush();
        // Parked requests stay parked here until their wait is over. They leave the store, where an enqueue would wake them.
        let Some((caller, _)) = self.parked.0.values().next().cloned() else {
            return;
        };
        let unpark = self
            .parked
            .0
            .keys()
            .map(|park| (u64::MAX, Command::Unpark(*park)))
            .collect();
        self.receive(Submit::new(caller, unpark), ctx);
    }
}

impl Handler<Tune> for Writer {
    type Result = ();

    fn handle(&mut self, _: Tune, _: &mut Self::Context) {
        let options = self.factory.tuning.get().of_store(&self.factory.store);
        if let Some(store) = self.store.as_mut() {
            store.tune(options);
        }
        self.flush();
    }
}

impl Handler<Shrink> for Writer {
    type Result = bool;

    fn handle(&mut self, _: Shrink, _: &mut Self::Context) -> bool {
        let shrunk = self
            .store
            .as_mut()
            .map(|store| store.shrink(SHRINK_PAGES, SPARE_PAGES));
        match shrunk {
            Some(Ok(more)) => more,
            Some(Err(error)) => {
                tracing::warn!(%error, "free pages could not be given back to the disk");
                false
            }
            None => false,
        }
    }
}

impl Handler<StoreRecords> for Writer {
    type Result = ();

    fn handle(&mut self, _: StoreRecords, ctx: &mut Self::Context) {
        if std::mem::replace(&mut self.record_scheduled, true) {
            return;
        }
        ctx.run_later(RECORD_PAUSE, |writer, _| {
            writer.record_scheduled = false;
            writer.flush();
        });
    }
}

impl Handler<ReportLeases> for Writer {
    type Result = ();

    fn handle(&mut self, _: ReportLeases, _: &mut Self::Context) {
        self.send_leases();
    }
}

impl Handler<ReportDeadline> for Writer {
    type Result = ();

    fn handle(&mut self, _: ReportDeadline, _: &mut Self::Context) {
        // Without requests no commit checks the clock. This flush does.
        if self.queue.is_empty() {
            self.flush();
        }
        self.send_deadline();
    }
}
