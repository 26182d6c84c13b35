//! The probe: looks whether the pool's provider can run, so that no task is burnt to find out.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use kirosu_supervision::{BackoffPolicy, ChildContext, Delays, supervised};
use tokio::time::{Instant, sleep, sleep_until};

use crate::options::{PoolOptions, Workspace};
use crate::pool::Pool;
use crate::pool::health::{Block, Health};
use crate::workspace;

/// A look that takes longer counts as failed.
const LOOK_LIMIT: Duration = Duration::from_secs(20);

/// Delays between looks for a provider that is missing: somebody may be installing it.
const LOOKS: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(2),
    max: Duration::from_secs(10),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::from_secs(120),
};

/// Delay between looks for a folder that cannot be used. Such a look is cheap: no provider's program is started before the
/// folder is there.
const FOLDER_LOOK: Duration = Duration::from_secs(3);

/// Delays between looks for a repository that can have no worktrees: each can take as long as a checkout.
const WORKTREE_LOOKS: BackoffPolicy = BackoffPolicy {
    initial: FOLDER_LOOK,
    max: Duration::from_secs(30),
    factor: 1.3,
    ..LOOKS
};

/// The actor.
pub(crate) struct Probe {
    pool: Arc<Pool>,
}

supervised!(Probe);

impl Probe {
    pub(crate) fn new(_: &ChildContext, pool: &Arc<Pool>) -> Self {
        Self { pool: pool.clone() }
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(watch_over(self.pool.clone()).into_actor(self));
        ctx.spawn(self.pool.common.lanes.clone().keep().into_actor(self));
        ctx.spawn(self.pool.clone().keep_allowance().into_actor(self));
    }
}

/// Looks at the start, when the options change, and while something is missing; ends blocks whose time is over.
async fn watch_over(pool: Arc<Pool>) {
    let mut options = pool.watch_options();
    let mut health = pool.watch_health();
    let mut delays = [LOOKS, WORKTREE_LOOKS].map(|policy| policy.delays());
    let mut ready_since: Option<Instant> = None;
    look(&pool).await;
    loop {
        let standing = health.borrow_and_update().clone();
        match standing {
            Health::Ready => ready_since = ready_since.or_else(|| Some(Instant::now())),
            _ => {
                // What is found by a look and missed by a run is not looked for in ever the same pace.
                let was_ready = ready_since.take();
                if was_ready.is_some_and(|since| since.elapsed() >= LOOKS.healthy_after) {
                    delays.iter_mut().for_each(Delays::reset);
                }
            }
        }
        let workspace = options.borrow().workspace;
        tokio::select! {
            changed = options.changed() => {
                if changed.is_err() {
                    return;
                }
                delays.iter_mut().for_each(Delays::reset);
                look(&pool).await;
            }
            _ = health.changed() => {}
            () = due(&standing, &mut delays, workspace) => {
                let timed = matches!(standing, Health::Blocked { until: Some(_), .. });
                match timed {
                    true => pool.set_health(Health::Ready),
                    false => look(&pool).await,
                }
            }
        }
    }
}

/// Resolves when something is to be done about this standing.
async fn due(standing: &Health, [delays, worktree]: &mut [Delays; 2], workspace: Workspace) {
    match standing {
        Health::Blocked {
            until: Some(until), ..
        } => sleep_until(*until).await,
        Health::Blocked {
            word: Block::Missing,
            ..
        } => sleep(delays.next().unwrap_or(LOOKS.max)).await,
        Health::Blocked {
            word: Block::NoFolder,
            ..
        } => {
            let delay = match workspace {
                Workspace::Worktree => worktree.next().unwrap_or(WORKTREE_LOOKS.max),
                _ => FOLDER_LOOK,
            };
            sleep(delay).await;
        }
        Health::Unknown => sleep(LOOKS.initial).await,
        Health::Ready | Health::Blocked { .. } => std::future::pending().await,
    }
}

async fn look(pool: &Pool) {
    let options = pool.options();
    let is_blocked = matches!(
        &*pool.watch_health().borrow(),
        Health::Blocked {
            word: Block::NoFolder,
            ..
        }
    );
    let found = standing_of(options, is_blocked).await;
    pool.set_health(found);
}

async fn standing_of(options: Arc<PoolOptions>, folder_was_bad: bool) -> Health {
    let name = options.provider.name();
    let blocked = |word, note| Health::Blocked {
        word,
        note,
        until: None,
    };
    if options.provider.dangerous() && !options.trust_all_tools {
        let note = format!(
            "provider '{name}' runs code of tasks on this machine; set trust_all_tools = true on the pool and on the hub to allow it"
        );
        return blocked(Block::NotTrusted, note);
    }
    if let Err(why) = workspace::check(&options, folder_was_bad).await {
        return blocked(Block::NoFolder, why);
    }
    match tokio::time::timeout(LOOK_LIMIT, options.provider.probe()).await {
        Ok(probe) if probe.found => Health::Ready,
        Ok(probe) => {
            let problem = probe.problem.unwrap_or_else(|| {
                format!(
                    "{} was not found; install it or name another program",
                    probe.command
                )
            });
            blocked(Block::Missing, format!("provider '{name}': {problem}"))
        }
        Err(_) => {
            let note = format!(
                "provider '{name}' did not answer a look at its version within {LOOK_LIMIT:?}; run its program by hand to see why"
            );
            blocked(Block::Missing, note)
        }
    }
}
