//! The reaper: one timer for every lease, retry, delay, tool question and retention in the store.
//!
//! The store's indexes are the timer wheel; the reaper only sleeps until the next deadline that the writer names, and
//! then asks the writer to requeue what is due, in small batches.

use crate::leases::lost;
use crate::tuning::Tuning;
use crate::writer::Writer;
use crate::writer::messages::{Answers, Caller, ReportDeadline, Shrink, Submit};
use actix::prelude::*;
use kirosu_store::{Command, Outcome};
use kirosu_supervision::{ChildContext, supervised};
use std::time::Duration;

/// Tasks touched by one command, so that no commit grows long.
const BATCH: u32 = 50;
/// Finished tasks looked at by one prune.
const PRUNE_BATCH: u32 = 50;
/// Pause between two rounds, in which the requests of clients and the ends of lease actors take their turn.
const TURN: Duration = Duration::from_millis(3);
/// The same for retention, which is in no hurry.
const PRUNE_PAUSE: Duration = Duration::from_millis(3);
/// How often retention looks for old tasks.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Pause between two steps that give free pages back.
const SHRINK_PAUSE: Duration = Duration::from_millis(200);
/// Longest sleep: the wall clock may be set, and deadlines are wall time. (The writer then moves those of leases.)
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Pause after a round that failed, in milliseconds.
const RETRY_AFTER_MS: i64 = 1000;

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
    /// The sweep of retention that is under way: it removes what ended before this (Unix milliseconds).
    sweep: Option<i64>,
    /// Tasks that it has removed.
    pruned: u64,
    deadline: Option<i64>,
    timer: Option<SpawnHandle>,
    round: Round,
}

/// One round asks the writer for everything that is due, one command for each kind. Rounds follow one another and never
/// overlap, however often the writer names a deadline meanwhile: each would go on beside the others, without a pause.
#[derive(Default)]
struct Round {
    /// Commands that are not answered yet, or the pause before the next round: no other round may begin.
    under_way: bool,
    /// Commands that are not answered yet.
    unanswered: usize,
    /// A command left more of what is due.
    more: bool,
    /// A command failed.
    failed: bool,
}

supervised!(Reaper);

impl Reaper {
    /// A reaper that learns the first deadline from the writer.
    pub(crate) fn new(child: ChildContext, writer: Addr<Writer>, rules: Tuning) -> Reaper {
        Reaper {
            child,
            writer,
            rules,
            sweep: None,
            pruned: 0,
            deadline: None,
            timer: None,
            round: Round::default(),
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
                    reaper.writer.do_send(ReportDeadline);
                    reaper.arm(ctx);
                }
            }
        }));
    }

    /// Begins a round, unless one is under way: that one asks for the deadline when it ends.
    fn reap(&mut self, ctx: &mut Context<Self>) {
        self.deadline = None;
        if !self.round.under_way {
            self.begin_round(ctx);
        }
    }

    fn begin_round(&mut self, ctx: &mut Context<Self>) {
        let commands = vec![
            (EXPIRE, Command::ExpireDue { limit: BATCH }),
            (PROMOTE, Command::PromoteDue { limit: BATCH }),
            (DENY, Command::ExpirePermissions { limit: BATCH }),
        ];
        self.round = Round {
            under_way: true,
            unanswered: commands.len(),
            ..Round::default()
        };
        self.submit(ctx, commands);
    }

    /// Counts the answer to one command of the round. After the last one the next round follows, or the reaper sleeps.
    fn end_command(&mut self, ctx: &mut Context<Self>, more: bool, failed: bool) {
        let round = &mut self.round;
        round.more |= more;
        round.failed |= failed;
        round.unanswered = round.unanswered.saturating_sub(1);
        if round.unanswered > 0 {
            return;
        }
        if round.failed {
            self.round = Round::default();
            self.deadline = Some(self.now_ms() + RETRY_AFTER_MS);
            self.arm(ctx);
        } else if round.more {
            ctx.run_later(TURN, |reaper, ctx| reaper.begin_round(ctx));
        } else {
            self.round = Round::default();
            self.writer.do_send(ReportDeadline);
        }
    }

    /// Begins a sweep of retention, unless one is under way.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        if self.sweep.is_none()
            && let Some(retention) = self.rules.get().retention
        {
            let keep_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
            self.sweep = Some(self.now_ms().saturating_sub(keep_ms));
            self.prune(ctx);
        }
    }

    /// The next step of the sweep.
    fn prune(&mut self, ctx: &mut Context<Self>) {
        let Some(before_ms) = self.sweep else {
            return;
        };
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
    /// After one step of the sweep: the next one, or the end of the sweep. A failed sweep begins anew at the next interval.
    fn end_prune(&mut self, ctx: &mut Context<Self>, count: u64, more: bool, failed: bool) {
        self.pruned += count;
        if more {
            ctx.run_later(PRUNE_PAUSE, |reaper, ctx| reaper.prune(ctx));
            return;
        }
        self.sweep = None;
        let count = std::mem::take(&mut self.pruned);
        if count > 0 && !failed {
            tracing::info!(count, "old tasks pruned");
            self.shrink(ctx);
        }
    }

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
        self.sweep(ctx);
        ctx.run_interval(PRUNE_EVERY, |reaper, ctx| reaper.sweep(ctx));
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
            let (count, more, failed) = match answer {
                Ok(Outcome::Ended { leases, more }) => {
                    lost::tell(&leases, "no sign of life until its lease expired");
                    (leases.len() as u64, more, false)
                }
                Ok(Outcome::Counted { count, more }) => (count, more, false),
                Ok(_) => (0, false, false),
                Err(error) => {
                    tracing::error!(%error, "the store refused to requeue or to prune what is due; trying again later");
                    (0, false, true)
                }
            };
            match tag {
                PRUNE => self.end_prune(ctx, count, more, failed),
                PROMOTE if count > 0 => tracing::debug!(count, "scheduled tasks are due"),
                DENY if count > 0 => {
                    tracing::info!(count, "tool questions waited too long and are denied");
                }
                _ => {}
            }
            if tag != PRUNE {
                self.end_command(ctx, more, failed);
            }
        }
    }
}
