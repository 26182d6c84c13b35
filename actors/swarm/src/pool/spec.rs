//! The recipes of a pool and of its sessions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::Addr;
use kirosu_supervision::{
    BackoffPolicy, ChildSpec, DynamicSpec, Intensity, Restart, Stop, SupervisorSpec, mailbox,
};
use tokio::sync::watch;

use crate::conversations::Conversations;
use crate::invocation::activity::Excuses;
use crate::invocation::live::Lives;
use crate::options::PoolOptions;
use crate::pool::foreman::Foreman;
use crate::pool::health::Health;
use crate::pool::probe::Probe;
use crate::pool::{Pool, SESSIONS};
use crate::session::Session;
use crate::swarm::{Common, KILL_TIME};

/// A pool's supervisor never gives up: a pool that cannot live must not take the hub with it. Its sessions'
/// supervisor does give up, and is started again after the delays below.
const NEVER: Intensity = Intensity {
    restarts: u32::MAX,
    period: Duration::from_secs(1),
};

/// Delays before all sessions of a pool start again after their supervisor gave up.
const AFTER_GIVING_UP: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(2),
    max: Duration::from_secs(60),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::from_secs(120),
};

/// The recipe of a pool, and the pool that its actors will share. Its children, in start order: the probe of the
/// provider, the invocations, the sessions, and the foreman, who is stopped first and stops the sessions side by side.
pub(crate) fn pool_spec(options: PoolOptions, common: &Arc<Common>) -> (ChildSpec, Arc<Pool>) {
    let invocations = DynamicSpec::new("invocations")
        .kind("invocation")
        .grace(KILL_TIME);
    let sessions = SupervisorSpec::new(SESSIONS).intensity(options.intensity);
    let pool_supervisor = SupervisorSpec::new(options.name.as_str()).intensity(NEVER);
    common.lanes.configure(&options.accounts);
    let lanes = common.lanes.of(&options.provider.routes());
    let pool = Arc::new(Pool {
        lanes: Mutex::new(lanes),
        name: options.name.clone(),
        common: common.clone(),
        size: AtomicU32::new(options.size),
        options: watch::Sender::new(Arc::new(options)),
        health: watch::Sender::new(Health::Unknown),
        allowance: Mutex::default(),
        room: watch::Sender::new(()),
        leaving: AtomicBool::new(false),
        sessions: Mutex::new(BTreeMap::new()),
        fitting: tokio::sync::Mutex::new(()),
        supervisor: pool_supervisor.handle(),
        session_supervisor: sessions.handle(),
        invocations: invocations.handle(),
        conversations: Conversations::default(),
        excuses: Excuses::default(),
        lives: Lives::default(),
    });
    let members = (1..=pool.size()).map(|index| {
        let (spec, addr) = session_spec(&pool, index);
        pool.sessions().insert(index, addr);
        spec
    });
    let sessions = ChildSpec::supervisor(sessions.children(members)).backoff(AFTER_GIVING_UP);
    let probed = pool.clone();
    let probe = ChildSpec::simple("probe", move |child| Probe::new(child, &probed));
    let led = pool.clone();
    let foreman = ChildSpec::simple("foreman", move |child| Foreman::new(child, &led))
        .stop(Stop::Grace(common.drain + KILL_TIME * 2));
    let supervisor = pool_supervisor
        .child(probe)
        .child(ChildSpec::dynamic(invocations).backoff(BackoffPolicy::immediate()))
        .child(sessions)
        .child(foreman);
    (ChildSpec::supervisor(supervisor).kind("pool"), pool)
}

/// The recipe of one session.
pub(crate) fn session_spec(pool: &Arc<Pool>, index: u32) -> (ChildSpec, Addr<Session>) {
    let (place, addr) = mailbox();
    let options = pool.options();
    let restart: Restart = options.restart;
    let owner = pool.clone();
    let spec = ChildSpec::new(index.to_string(), place, move |child| {
        Session::new(child, &owner, index)
    })
    .restart(restart)
    .backoff(options.backoff)
    .stop(Stop::Grace(pool.common.drain + KILL_TIME));
    (spec, addr)
}
