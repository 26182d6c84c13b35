//! Specs of a pool and of its sessions.

use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use kirosu_supervision::{
    BackoffPolicy, ChildSpec, DynamicSpec, Intensity, Restart, StopPolicy, SupervisorSpec, mailbox,
};

use crate::options::PoolOptions;
use crate::pool::drain::DrainCoordinator;
use crate::pool::probe::ProviderProbe;
use crate::pool::{CrashSession, KILL_TIME, Pool, PoolSupervisors, SESSIONS, SwarmContext};
use crate::session::Session;

/// Delays before all sessions of a pool restart after their supervisor gave up.
const AFTER_GIVING_UP: BackoffPolicy = BackoffPolicy {
    healthy_after: Duration::from_secs(120),
    ..BackoffPolicy::between(Duration::from_secs(2), Duration::from_secs(60))
};

/// Returns the spec of a pool, and the pool that its actors share. Children in start order: the probe of the
/// provider, the invocations, the sessions, and the drain coordinator, which is stopped first and stops all sessions
/// at the same time.
pub(crate) fn pool_spec(options: PoolOptions, swarm: &Arc<SwarmContext>) -> (ChildSpec, Arc<Pool>) {
    let invocations = DynamicSpec::new("invocations")
        .kind("invocation")
        .grace(KILL_TIME);
    let sessions = SupervisorSpec::new(SESSIONS).intensity(options.intensity);
    // A failing pool must not stop the hub. The supervisor of its sessions does give up, and is restarted after
    // `AFTER_GIVING_UP`.
    let pool_supervisor =
        SupervisorSpec::new(options.name.as_str()).intensity(Intensity::UNLIMITED);
    let supervisors = PoolSupervisors {
        pool: pool_supervisor.handle(),
        sessions: sessions.handle(),
        invocations: invocations.handle(),
    };
    let pool = Pool::new(options, swarm, supervisors, session_spec);
    let members = (1..=pool.size()).map(|index| pool.new_session(index));
    let sessions = ChildSpec::supervisor(sessions.children(members)).backoff(AFTER_GIVING_UP);
    let probed = pool.clone();
    let probe = ChildSpec::simple("probe", move |child| ProviderProbe::new(child, &probed));
    let led = pool.clone();
    let drain = ChildSpec::simple("drain", move |child| DrainCoordinator::new(child, &led))
        .stop(StopPolicy::Grace(swarm.drain + KILL_TIME * 2));
    let supervisor = pool_supervisor
        .child(probe)
        .child(ChildSpec::dynamic(invocations).backoff(BackoffPolicy::immediate()))
        .child(sessions)
        .child(drain);
    (ChildSpec::supervisor(supervisor).kind("pool"), pool)
}

/// Returns the spec of one session.
fn session_spec(pool: &Arc<Pool>, index: u32) -> (ChildSpec, Recipient<CrashSession>) {
    let (place, addr) = mailbox();
    let options = pool.options();
    let restart: Restart = options.restart;
    let owner = pool.clone();
    let spec = ChildSpec::new(index.to_string(), place, move |child| {
        Session::new(child, &owner, index)
    })
    .kind("session")
    .restart(restart)
    .backoff(options.backoff)
    .stop(StopPolicy::Grace(pool.swarm.drain + KILL_TIME));
    (spec, addr.recipient())
}
