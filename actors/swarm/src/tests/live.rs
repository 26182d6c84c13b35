//! Live provider sessions that are kept from task to task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kirosu_providers::{
    BoxFuture, Cancel, EventSink, Finished, Job, ProbeReport, Provider, ProviderSession,
    RunFailure, SessionOptions,
};

use super::kit::{Call, Swarm, eventually, grant, pool_of, run, task};

/// Numbers of live sessions opened, closed, and dropped.
#[derive(Default)]
struct Counts {
    opened: AtomicU32,
    closed: AtomicU32,
    gone: AtomicU32,
}

/// A provider whose live sessions number themselves and their jobs.
struct Living(Arc<Counts>);

impl Provider for Living {
    fn name(&self) -> &str {
        "living"
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        Box::pin(std::future::ready(ProbeReport {
            found: true,
            version: None,
            command: "living".into(),
            problem: None,
        }))
    }

    fn run(&self, _: Job, _: EventSink, _: Cancel) -> BoxFuture<'_, Result<Finished, RunFailure>> {
        panic!("it has live sessions")
    }

    fn live_session(
        &self,
        _: SessionOptions,
    ) -> Option<BoxFuture<'_, Result<Box<dyn ProviderSession>, RunFailure>>> {
        let number = self.0.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let session: Box<dyn ProviderSession> = Box::new(Life {
            counts: self.0.clone(),
            number,
            jobs: 0,
        });
        Some(Box::pin(std::future::ready(Ok(session))))
    }
}

struct Life {
    counts: Arc<Counts>,
    number: u32,
    jobs: u32,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.counts.gone.fetch_add(1, Ordering::Relaxed);
    }
}

impl ProviderSession for Life {
    fn run(
        &mut self,
        job: Job,
        _: EventSink,
        mut cancel: Cancel,
    ) -> BoxFuture<'_, Result<Finished, RunFailure>> {
        self.jobs += 1;
        let text = format!("life {} job {}", self.number, self.jobs);
        Box::pin(async move {
            if job.prompt == "wait" {
                cancel.cancelled().await;
            }
            Ok(Finished {
                text,
                usage: None,
                truncated: false,
                conversation: None,
                doubt: None,
            })
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.counts.closed.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

/// Gives a task to a parked lease request; returns its result and the next lease request.
async fn work(swarm: &mut Swarm, lease: Call, id: i64) -> (String, Call) {
    lease.answer(grant(task(id, 1, "x")));
    let ack = swarm.hub.expect("ack").await;
    let result = ack.param("result").to_owned();
    ack.ok();
    (result, swarm.hub.expect("lease").await)
}

#[test]
fn a_live_session_serves_task_after_task_until_its_session_or_its_provider_changes() {
    run(async {
        let counts = Arc::new(Counts::default());
        let pool = || pool_of("p", Arc::new(Living(counts.clone())));
        let count = |it: &AtomicU32| it.load(Ordering::Relaxed);
        let mut swarm = Swarm::start(vec![pool()]);
        let lease = swarm.hub.park().await;
        let (result, lease) = work(&mut swarm, lease, 1).await;
        assert_eq!(result, "life 1 job 1");
        let (result, _) = work(&mut swarm, lease, 2).await;
        assert_eq!(result, "life 1 job 2");

        swarm.handle.kill_session("p", 1).unwrap();
        let lease = swarm.hub.park().await;
        assert_eq!(count(&counts.gone), 1, "a crash of the session ends it");
        let (result, lease) = work(&mut swarm, lease, 3).await;
        assert_eq!(result, "life 2 job 1");

        // The session crashes while its live session is lent to a run.
        lease.answer(grant(task(4, 1, "wait")));
        eventually("it runs", || {
            swarm.node("root/pools/p/invocations/4.1").is_some()
        })
        .await;
        swarm.handle.kill_session("p", 1).unwrap();
        let lease = swarm.hub.park().await;
        eventually("it is gone", || count(&counts.gone) == 2).await;

        let (result, lease) = work(&mut swarm, lease, 5).await;
        assert_eq!(result, "life 3 job 1");
        swarm.handle.reload(vec![pool()]).await;
        let (result, _) = work(&mut swarm, lease, 6).await;
        assert_eq!(result, "life 4 job 1");
        assert_eq!((count(&counts.closed), count(&counts.gone)), (1, 3));

        // An unused one is closed, and nothing is left for the end.
        tokio::time::sleep(std::time::Duration::from_secs(290)).await;
        assert_eq!(count(&counts.closed), 1);
        eventually("it is closed", || count(&counts.closed) == 2).await;

        let stopped = swarm.root.clone();
        stopped.shutdown().await;
        assert_eq!((count(&counts.closed), count(&counts.gone)), (2, 4));
    });
}
