//! The supervisor of all pools, and the handle on the swarm.

use std::sync::Arc;

use kirosu_supervision::{ChildSpec, Intensity, SupervisorSpec};

use crate::handle::SwarmHandle;
use crate::options::SwarmOptions;
use crate::pool::SwarmContext;
use crate::pool_tree::pool_spec;

/// Returns the spec of the supervisor `pools`, with one supervisor per pool below it, and the handle on the swarm.
///
/// The same swarm runs below a hub's root (in-memory endpoint) and below the root of an agent process (TCP endpoint).
pub fn specs(options: SwarmOptions) -> (ChildSpec, SwarmHandle) {
    let swarm = Arc::new(SwarmContext::new(&options));
    let mut supervisor = SupervisorSpec::new("pools").intensity(Intensity::default());
    for pool in options.pools {
        let (spec, pool) = pool_spec(pool, &swarm);
        swarm.lock().push(pool);
        supervisor = supervisor.child(spec);
    }
    let handle = SwarmHandle::new(swarm, supervisor.handle());
    (ChildSpec::supervisor(supervisor), handle)
}
