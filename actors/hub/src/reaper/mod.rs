//! The reaper: one timer for every lease, retry, delay, tool question and retention in the store.
//!
//! The store's indexes are the timer wheel; the reaper only sleeps until the next deadline that the writer names, and
//! then asks the writer to requeue what is due, in small batches.

use crate::leases::lost;
use crate::tuning::Tuning;
use crate::writer::Writer;
use crate::writer::messages::{Answers, Caller, Shrink, Submit, TellDeadline};
use actix::prelude::*;
use kirosu_store::{Command, Outcome};
use kirosu_supervision::{ChildContext, supervised};
use std::time::Duration;

/// Tasks touched by one command, so that no commit grows long.
const BATCH: u32 = 500;
/// Finished tasks looked at by one prune.
const PRUNE_BATCH: u32 = 500;
/// How often retention looks for old tasks.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Pause between two steps that give free pages back.
const SHRINK_PAUSE: Duration = Duration::from_millis(200);
/// Longest sleep: the wall clock may be set, and deadlines are wall time. (The writer then moves those of leases.)
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

const EXPIRE: u64 = 0;
const PROMOTE: u64 = 1;
const PRUNE: u64 = 2;
const DENY: u64 = 3;

/// Unix milliseconds at which something is due next; none: nothing is.
#[derive(Message)]
#[rtype(result = "()")]
pub struct NextDeadline(pub Option<i64>);

/// The actor.
pub struct Reaper {
    child: ChildContext,
    writer: Addr<Writer>,
    rules: Tuning,
    /// Whether this sweep of retention has removed anything.
    pruned: bool,
    deadline: Option<i64>,
    timer: Option<SpawnHandle>,
}

supervised!(Reaper);

impl Reaper {
    /// A reaper that learns the first deadline from the writer.
    pub(crate) fn new(child: ChildContext, writer: Addr<Writer>, rules: Tuning) -> Reaper {
        Reaper {
            child,
            writer,
            rules,
            pruned: false,
            deadline: None,
            timer: None,
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.child.clock().now_ms()).unwrap_or(i64::MAX)
    }

    fn submit(&self, ctx: &mut Context<Self>, commands: Vec<(u64, Command)>) {
        let caller = Caller::hub(ctx.address().recipient());
        self.writer.do_send(Submit::new(caller, commands));
    }

    /// Sleeps until the deadline, or looks now.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(deadline) = self.deadline else {
            return;
        };
        let wait = u64::try_from(deadline.saturating_sub(self.now_ms())).unwrap_or(0);
        let wait = Duration::from_millis(wait).min(LONGEST_SLEEP);
        self.timer = Some(ctx.run_later(wait, |reaper, ctx| {
            reaper.timer = None;
            match reaper.deadline {
                Some(deadline) if deadline <= reaper.now_ms() => reaper.reap(ctx),
                _ => {
                    // Slept as long as it may: perhaps the clock was set back, and the deadline with it.
                    reaper.writer.do_send(TellDeadline);
                    reaper.arm(ctx);
                }
            }
        }));
    }

    fn reap(&mut self, ctx: &mut Context<Self>) {
        // The writer names the next deadline after this commit; until then there is nothing to wait for.
        self.deadline = None;
        self.submit(
            ctx,
            vec![
                (EXPIRE, Command::ExpireDue { limit: BATCH }),
                (PROMOTE, Command::PromoteDue { limit: BATCH }),
                (DENY, Command::ExpireQuestions { limit: BATCH }),
            ],
        );
    }

    fn prune(&mut self, ctx: &mut Context<Self>) {
        let Some(retention) = self.rules.get().retention else {
            return;
        };
        let keep_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.now_ms().saturating_sub(keep_ms);
        self.submit(
            ctx,
            vec![(
                PRUNE,
                Command::Prune {
                    before_ms,
                    limit: PRUNE_BATCH,
                },
            )],
        );
    }
}

impl Reaper {
    /// After a sweep: gives what it freed back to the disk, step by step, so that nobody waits for long.
    fn shrink(&mut self, ctx: &mut Context<Self>) {
        let step = self.writer.send(Shrink).into_actor(self);
        ctx.spawn(step.map(|more, _, ctx| {
            if let Ok(true) = more {
                ctx.run_later(SHRINK_PAUSE, |reaper, ctx| reaper.shrink(ctx));
            }
        }));
    }
}

impl Actor for Reaper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Looks once at the start: whatever fell due while nobody watched is due now, and the answer brings the next deadline.
        self.reap(ctx);
        self.prune(ctx);
        ctx.run_interval(PRUNE_EVERY, |reaper, ctx| reaper.prune(ctx));
    }
}

impl Handler<NextDeadline> for Reaper {
    type Result = ();

    fn handle(&mut self, NextDeadline(deadline): NextDeadline, ctx: &mut Self::Context) {
        self.child.handled();
        self.deadline = deadline;
        self.arm(ctx);
    }
}

impl Handler<Answers> for Reaper {
    type Result = ();

    fn handle(&mut self, answers: Answers, ctx: &mut Self::Context) {
        for (tag, answer) in answers.take() {
            let (count, more) = match answer {
                Ok(Outcome::Ended { leases, more }) => {
                    lost::tell(&leases, "no sign of life until its lease expired");
                    (leases.len() as u64, more)
                }
                Ok(Outcome::Counted { count, more }) => (count, more),
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(%error, "the store refused to requeue what is due; trying again in a second");
                    self.deadline = Some(self.now_ms() + 1000);
                    self.arm(ctx);
                    continue;
                }
            };
            match tag {
                PROMOTE if count > 0 => tracing::debug!(count, "scheduled tasks are due"),
                DENY if count > 0 => {
                    tracing::info!(count, "tool questions waited too long and are denied")
                }
                PRUNE if count > 0 => tracing::info!(count, "old tasks pruned"),
                _ => {}
            }
            match tag {
                EXPIRE if more => {
                    self.submit(ctx, vec![(EXPIRE, Command::ExpireDue { limit: BATCH })])
                }
                PROMOTE if more => {
                    self.submit(ctx, vec![(PROMOTE, Command::PromoteDue { limit: BATCH })])
                }
                DENY if more => {
                    self.submit(ctx, vec![(DENY, Command::ExpireQuestions { limit: BATCH })])
                }
                PRUNE => {
                    self.pruned |= count > 0;
                    match more {
                        true => self.prune(ctx),
                        false if std::mem::take(&mut self.pruned) => self.shrink(ctx),
                        false => {}
                    }
                }
                _ => {}
            }
        }
        if self.deadline.is_none() {
            self.writer.do_send(TellDeadline);
        }
    }
}
