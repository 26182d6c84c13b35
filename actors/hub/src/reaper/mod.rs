//! The reaper: one timer for every lease, retry, delay, permission request, schedule and retention in the store.
//!
//! The store's indexes order the deadlines. The reaper sleeps until the next deadline, which the writer sends, and then makes
//! the writer requeue the tasks that are due and fire the schedules, in small batches.

use crate::caller::{Caller, CommandAnswers};
use crate::clock::now_ms;
use crate::leases::lost;
use crate::tuning::Tuning;
use crate::writer::Writer;
use crate::writer::messages::{ReportDeadline, Shrink, Submit};
use actix::prelude::*;
use kirosu_store::{Command, Outcome};
use kirosu_supervision::{ChildContext, supervised};
use std::time::Duration;

/// The largest number of tasks that one command changes, so that no commit takes long.
const BATCH: u32 = 50;
/// The largest number of finished tasks that one prune checks.
const PRUNE_BATCH: u32 = 50;
/// The largest number of events per target of notifications that one command drops.
const NOTICE_BATCH: u32 = 500;
/// The largest number of entries of the audit trail that one command deletes.
const AUDIT_BATCH: u32 = 500;
/// Pause between two rounds, in which requests of clients are served and lease actors end.
const ROUND_PAUSE: Duration = Duration::from_millis(3);
/// Pause between two steps of retention.
const PRUNE_PAUSE: Duration = Duration::from_millis(3);
/// Interval at which retention removes old tasks.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// Pause between two steps that give free pages back.
const SHRINK_PAUSE: Duration = Duration::from_millis(200);
/// The longest sleep. Deadlines are wall time, and the wall clock may be set. (The writer then moves the deadlines of leases.)
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Pause after a round that failed, in milliseconds.
const RETRY_AFTER_MS: i64 = 1000;

/// Bits of a command's number that hold its kind.
const KIND_BITS: u32 = 3;
const EXPIRE: u64 = 0;
const PROMOTE: u64 = 1;
const PRUNE: u64 = 2;
const DENY: u64 = 3;
const PRUNE_AUDIT: u64 = 4;
const FIRE: u64 = 5;
const PRUNE_NOTICES: u64 = 6;

/// The next deadline in Unix milliseconds. `None`: nothing is ever due.
#[derive(Message)]
#[rtype(result = "()")]
pub struct NextDeadline(pub Option<i64>);

/// The actor that requeues the tasks that are due and fires the schedules.
pub struct Reaper {
    child: ChildContext,
    writer: Addr<Writer>,
    rules: Tuning,
    /// The sweep of retention that is under way: it removes tasks that ended before this time, in Unix milliseconds.
    sweep: Option<i64>,
    /// The number of tasks that the sweep has removed.
    pruned: u64,
    /// The time before which the sweep of the audit trail that is under way deletes entries, in Unix milliseconds.
    audit_sweep: Option<i64>,
    /// The same of events for targets of notifications.
    notice_sweep: Option<i64>,
    deadline: Option<i64>,
    timer: Option<SpawnHandle>,
    round: ReaperRound,
}

/// One round requeues everything that is due, with one command per kind. Rounds follow one another and never overlap, however
/// often the writer sends a deadline meanwhile: overlapping rounds would run without pauses.
#[derive(Default)]
struct ReaperRound {
    /// Whether commands are unanswered, or the pause before the next round lasts. No other round may begin.
    under_way: bool,
    /// The number of unanswered commands.
    unanswered: usize,
    /// Whether a command left tasks that are due.
    more: bool,
    /// Whether a command failed.
    failed: bool,
}

supervised!(Reaper);

impl Reaper {
    /// A reaper that gets its first deadline from the writer.
    pub(crate) fn new(child: ChildContext, writer: Addr<Writer>, rules: Tuning) -> Reaper {
        Reaper {
            child,
            writer,
            rules,
            sweep: None,
            pruned: 0,
            audit_sweep: None,
            notice_sweep: None,
            deadline: None,
            timer: None,
            round: ReaperRound::default(),
        }
    }

    fn now_ms(&self) -> i64 {
        now_ms(&self.child)
    }

    /// Sends commands to the writer, each with its kind. The numbers contain the incarnation, because the mailbox survives a
    /// crash of this actor, and an answer to a round of the crashed incarnation would end a command of the present round.
    fn submit(&self, ctx: &mut Context<Self>, commands: Vec<(u64, Command)>) {
        let caller = Caller::hub(ctx.address().recipient());
        let incarnation = u64::from(self.child.incarnation());
        let number = |(kind, command)| (incarnation << KIND_BITS | kind, command);
        let commands = commands.into_iter().map(number).collect();
        self.writer.do_send(Submit::new(caller, commands));
    }

    /// The kind of an answered command; `None` for one of an earlier incarnation.
    fn kind_of(&self, number: u64) -> Option<u64> {
        let is_own = number >> KIND_BITS == u64::from(self.child.incarnation());
        is_own.then_some(number & ((1 << KIND_BITS) - 1))
    }

    /// Sets the timer to the deadline, or to now if it has passed.
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
                    // The longest sleep is over. If the clock was set back, so was the deadline.
                    reaper.writer.do_send(ReportDeadline);
                    reaper.arm(ctx);
                }
            }
        }));
    }

    /// Begins a round, unless one is under way: that one requests the deadline when it ends.
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
            (FIRE, Command::FireSchedules { limit: BATCH }),
        ];
        self.round = ReaperRound {
            under_way: true,
            unanswered: commands.len(),
            ..ReaperRound::default()
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
            self.round = ReaperRound::default();
            self.deadline = Some(self.now_ms() + RETRY_AFTER_MS);
            self.arm(ctx);
        } else if round.more {
            ctx.run_later(ROUND_PAUSE, |reaper, ctx| reaper.begin_round(ctx));
        } else {
            self.round = ReaperRound::default();
            self.writer.do_send(ReportDeadline);
        }
    }

    /// Begins a sweep of retention, unless one is under way.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        if self.sweep.is_none()
            && let Some(retention) = self.rules.get().retention
        {
            self.sweep = Some(self.before(retention));
            self.prune(ctx);
        }
        if self.audit_sweep.is_none() {
            self.audit_sweep = Some(self.before(self.rules.get().audit_retention));
            self.prune_audit(ctx);
        }
        if self.notice_sweep.is_none() {
            self.notice_sweep = Some(self.before(self.rules.get().notify_retention));
            self.prune_notices(ctx);
        }
    }

    /// The time before which everything is older than `age`, in Unix milliseconds.
    fn before(&self, age: Duration) -> i64 {
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.now_ms().saturating_sub(age_ms)
    }

    /// Runs the next step of the sweep.
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
    /// Runs the next step of the sweep of the audit trail.
    fn prune_audit(&mut self, ctx: &mut Context<Self>) {
        if let Some(before_ms) = self.audit_sweep {
            let limit = AUDIT_BATCH;
            let prune = Command::PruneAudit { before_ms, limit };
            self.submit(ctx, vec![(PRUNE_AUDIT, prune)]);
        }
    }

    /// Runs the next step of the sweep of events for targets of notifications.
    fn prune_notices(&mut self, ctx: &mut Context<Self>) {
        if let Some(before_ms) = self.notice_sweep {
            let limit = NOTICE_BATCH;
            let prune = Command::PruneNotices { before_ms, limit };
            self.submit(ctx, vec![(PRUNE_NOTICES, prune)]);
        }
    }

    /// Continues that sweep after one step, or ends it.
    fn end_prune_notices(&mut self, ctx: &mut Context<Self>, more: bool) {
        if more {
            ctx.run_later(PRUNE_PAUSE, |reaper, ctx| reaper.prune_notices(ctx));
        } else {
            self.notice_sweep = None;
        }
    }

    /// Continues the sweep of the audit trail after one step, or ends it.
    fn end_prune_audit(&mut self, ctx: &mut Context<Self>, more: bool) {
        if more {
            ctx.run_later(PRUNE_PAUSE, |reaper, ctx| reaper.prune_audit(ctx));
        } else {
            self.audit_sweep = None;
        }
    }

    /// Continues the sweep after one step, or ends it. A failed sweep begins anew at the next interval.
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

    /// Gives the pages that a sweep freed back to the disk, in short steps, so that no request waits long.
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
        // Tasks may have become due while the hub was down. The end of this round requests the next deadline.
        self.reap(ctx);
        self.sweep(ctx);
        ctx.run_interval(PRUNE_INTERVAL, |reaper, ctx| reaper.sweep(ctx));
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

impl Handler<CommandAnswers> for Reaper {
    type Result = ();

    fn handle(&mut self, answers: CommandAnswers, ctx: &mut Self::Context) {
        for (number, answer) in answers.take() {
            let Some(kind) = self.kind_of(number) else {
                continue;
            };
            let (count, more, failed) = match answer {
                Ok(Outcome::Ended { leases, more }) => {
                    lost::log(&leases, "no sign of life until its lease expired");
                    (leases.len() as u64, more, false)
                }
                Ok(Outcome::Counted { count, more }) => (count, more, false),
                Ok(_) => (0, false, false),
                Err(error) => {
                    tracing::error!(%error, "the store could not requeue, add or prune the tasks that are due; trying again later");
                    (0, false, true)
                }
            };
            match kind {
                PRUNE => self.end_prune(ctx, count, more, failed),
                PRUNE_AUDIT => self.end_prune_audit(ctx, more),
                PRUNE_NOTICES => self.end_prune_notices(ctx, more),
                FIRE if count > 0 => tracing::debug!(count, "schedules have added tasks"),
                PROMOTE if count > 0 => tracing::debug!(count, "scheduled tasks are due"),
                DENY if count > 0 => {
                    tracing::info!(count, "permission requests waited too long and were denied");
                }
                _ => {}
            }
            if !matches!(kind, PRUNE | PRUNE_AUDIT | PRUNE_NOTICES) {
                self.end_command(ctx, more, failed);
            }
        }
    }
}
