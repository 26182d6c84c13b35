//! The probe checks whether the pool's provider can run, so that no task is used up to find out.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use kirosu_supervision::{BackoffPolicy, ChildContext, RestartDelays, supervised};
use tokio::time::{Instant, sleep, sleep_until};

use crate::options::{PoolOptions, WorkspaceMode};
use crate::pool::Pool;
use crate::pool::health::{BlockReason, PoolHealth};
use crate::workspace;

/// Time limit of a check; a longer one counts as failed.
const CHECK_LIMIT: Duration = Duration::from_secs(20);

/// Delays between checks for a missing provider, which a person may be installing.
const CHECKS: BackoffPolicy = BackoffPolicy {
    healthy_after: Duration::from_secs(120),
    ..BackoffPolicy::between(Duration::from_secs(2), Duration::from_secs(10))
};

/// Delay between checks for an unusable folder. Such a check is cheap: no program of the provider is started before
/// the folder exists.
const FOLDER_CHECK: Duration = Duration::from_secs(3);

/// Delays between checks for a repository without usable worktrees: each check can take as long as a checkout.
const WORKTREE_CHECKS: BackoffPolicy = BackoffPolicy {
    initial: FOLDER_CHECK,
    max: Duration::from_secs(30),
    factor: 1.3,
    ..CHECKS
};

pub(crate) struct ProviderProbe {
    pool: Arc<Pool>,
}

supervised!(ProviderProbe);

impl ProviderProbe {
    pub(crate) fn new(_: &ChildContext, pool: &Arc<Pool>) -> Self {
        Self { pool: pool.clone() }
    }
}

impl Actor for ProviderProbe {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(watch_over(self.pool.clone()).into_actor(self));
        ctx.spawn(self.pool.swarm.accounts.clone().keep().into_actor(self));
        ctx.spawn(self.pool.clone().keep_allowance().into_actor(self));
    }
}

/// Checks at the start, when the options change, and while something is missing; ends blocks whose time is over.
async fn watch_over(pool: Arc<Pool>) {
    let mut options = pool.watch_options();
    let mut changes = pool.watch_health();
    let mut delays = [CHECKS, WORKTREE_CHECKS].map(|policy| policy.delays());
    let mut ready_since: Option<Instant> = None;
    check(&pool).await;
    loop {
        let health = changes.borrow_and_update().clone();
        match health {
            PoolHealth::Ready => ready_since = ready_since.or_else(|| Some(Instant::now())),
            _ => {
                // A check may succeed where runs fail. Without this, such a pool would alternate at the shortest
                // delay for ever.
                let was_ready = ready_since.take();
                if was_ready.is_some_and(|since| since.elapsed() >= CHECKS.healthy_after) {
                    delays.iter_mut().for_each(RestartDelays::reset);
                }
            }
        }
        let workspace = options.borrow().workspace;
        tokio::select! {
            changed = options.changed() => {
                if changed.is_err() {
                    return;
                }
                delays.iter_mut().for_each(RestartDelays::reset);
                check(&pool).await;
            }
            _ = changes.changed() => {}
            () = due(&health, &mut delays, workspace) => {
                let timed = matches!(health, PoolHealth::Blocked { until: Some(_), .. });
                match timed {
                    true => pool.set_health(PoolHealth::Ready),
                    false => check(&pool).await,
                }
            }
        }
    }
}

/// Resolves when the health has to be checked again or its time is over.
async fn due(
    health: &PoolHealth,
    [delays, worktree]: &mut [RestartDelays; 2],
    workspace: WorkspaceMode,
) {
    match health {
        PoolHealth::Blocked {
            until: Some(until), ..
        } => sleep_until(*until).await,
        PoolHealth::Blocked {
            reason: BlockReason::Missing,
            ..
        } => sleep(delays.next().unwrap_or(CHECKS.max)).await,
        PoolHealth::Blocked {
            reason: BlockReason::NoFolder,
            ..
        } => {
            let delay = match workspace {
                WorkspaceMode::Worktree => worktree.next().unwrap_or(WORKTREE_CHECKS.max),
                _ => FOLDER_CHECK,
            };
            sleep(delay).await;
        }
        PoolHealth::Unknown => sleep(CHECKS.initial).await,
        PoolHealth::Ready | PoolHealth::Blocked { .. } => std::future::pending().await,
    }
}

async fn check(pool: &Pool) {
    let options = pool.options();
    let is_blocked = matches!(
        &*pool.watch_health().borrow(),
        PoolHealth::Blocked {
            reason: BlockReason::NoFolder,
            ..
        }
    );
    let found = check_health(options, is_blocked).await;
    pool.set_health(found);
}

async fn check_health(options: Arc<PoolOptions>, folder_was_bad: bool) -> PoolHealth {
    let name = options.provider.name();
    let blocked = |reason, note| PoolHealth::Blocked {
        reason,
        note,
        until: None,
    };
    if options.provider.dangerous() && !options.trust_all_tools {
        let note = format!(
            "provider '{name}' runs code of tasks on this machine; set trust_all_tools = true on the pool and on the hub to allow it"
        );
        return blocked(BlockReason::NotTrusted, note);
    }
    if let Err(why) = workspace::check(&options, folder_was_bad).await {
        return blocked(BlockReason::NoFolder, why);
    }
    match tokio::time::timeout(CHECK_LIMIT, options.provider.probe()).await {
        Ok(probe) if probe.found => PoolHealth::Ready,
        Ok(probe) => {
            let problem = probe.problem.unwrap_or_else(|| {
                format!(
                    "{} was not found; install it or name another program",
                    probe.command
                )
            });
            blocked(
                BlockReason::Missing,
                format!("provider '{name}': {problem}"),
            )
        }
        Err(_) => {
            let note = format!(
                "provider '{name}' did not answer a version check within {CHECK_LIMIT:?}; run its program by hand to see why"
            );
            blocked(BlockReason::Missing, note)
        }
    }
}
