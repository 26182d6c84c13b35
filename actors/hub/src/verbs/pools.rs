//! `pools`: the pools of this process; resizes or probes one.

use super::{Begun, RequestScope, Started};
use kirosu_protocol::{Error, ErrorCode, PoolsAnswer, PoolsParams};

pub fn begin(params: PoolsParams, scope: &mut RequestScope<'_>) -> Begun {
    let Some(pools) = scope.hub().pools().cloned() else {
        if params.resize.is_none() && params.probe.is_none() {
            scope.answer(&PoolsAnswer::default());
            return Ok(Started::Pending);
        }
        let message = "this hub runs without pools; start one with `kirosu up`";
        return Err(Error::new(ErrorCode::NotFound, message));
    };
    let answer = async move { pools.pools(params).await };
    scope.call_ok(answer, |scope, answer| match answer {
        Ok(answer) => finish(answer, scope),
        Err(error) => scope.refuse(error),
    });
    Ok(Started::Pending)
}

fn finish(mut answer: PoolsAnswer, scope: &mut RequestScope<'_>) {
    if scope.hub().is_draining() {
        // The hub leases no more tasks to a pool that runs.
        let pools = answer.pools.iter_mut();
        for pool in pools.filter(|pool| pool.state == "running") {
            pool.state = "draining".to_owned();
        }
    }
    scope.answer(&answer);
}
