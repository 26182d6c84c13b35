//! Concurrent orders: each caller receives an answer, and the last order counts.

use std::time::Duration;

use crate::tests::kit::{Fault, faulty};
use crate::tests::kit::{
    Poke, StopBehavior, Which, root, run, state_is, steady, with_stop, worker,
};
use crate::{ChildSpec, ChildStatus, ExitReason, StopPolicy, SupervisorError, SupervisorSpec};

/// Longer than any of these tests, in paused time.
const GRACE: StopPolicy = StopPolicy::Grace(Duration::from_secs(30));

fn slow() -> StopBehavior {
    StopBehavior::After(Duration::from_secs(2))
}

#[test]
fn a_stop_behind_a_restart_answers_both_callers() {
    run(|log| async move {
        let (child, addr) = with_stop("b", &log, slow());
        let root = root(SupervisorSpec::new("root").child(child.stop(GRACE)));
        addr.send(Which).await.unwrap();
        let handle = root.handle();
        let (restarted, stopped) = tokio::join!(handle.restart_child("b"), handle.stop_child("b"));
        assert_eq!(
            restarted,
            Err(SupervisorError::NotStarted(ExitReason::Stopped))
        );
        assert_eq!(stopped, Ok(()));
        state_is(&root, "root/b", ChildStatus::Stopped).await;
        assert_eq!(log.count("b started"), 1);
        root.shutdown().await;
    });
}

#[test]
fn a_restart_behind_a_stop_answers_both_callers() {
    run(|log| async move {
        let (child, addr) = with_stop("b", &log, slow());
        let root = root(SupervisorSpec::new("root").child(child.stop(GRACE)));
        addr.send(Which).await.unwrap();
        let handle = root.handle();
        let both = tokio::join!(handle.stop_child("b"), handle.restart_child("b"));
        assert_eq!(both, (Ok(()), Ok(())));
        assert_eq!(addr.send(Which).await, Ok(1));
        root.shutdown().await;
    });
}

#[test]
fn a_child_that_is_removed_takes_no_more_orders() {
    run(|log| async move {
        let (child, addr) = with_stop("b", &log, slow());
        let root = root(SupervisorSpec::new("root").child(child.stop(GRACE)));
        addr.send(Which).await.unwrap();
        let handle = root.handle();
        let (removed, restarted, stopped) = tokio::join!(
            handle.remove_child("b"),
            handle.restart_child("b"),
            handle.stop_child("b")
        );
        assert_eq!(
            (removed, restarted, stopped),
            (Ok(()), Err(SupervisorError::Unknown), Ok(()))
        );
        assert!(root.tree().snapshot_at("root/b").is_none());
        root.shutdown().await;
    });
}

#[test]
fn a_child_that_is_stopped_before_its_start_answers_both_callers() {
    run(|log| async move {
        let (slow_start, _) = worker("a", &log);
        let root = root(SupervisorSpec::new("root").child(slow_start));
        let handle = root.handle();
        let (child, _) = with_stop("b", &log, slow());
        let (started, stopped) = tokio::join!(
            handle.start_child(child.stop(GRACE)),
            handle.stop_child("b")
        );
        assert_eq!(
            started,
            Err(SupervisorError::NotStarted(ExitReason::Stopped))
        );
        assert_eq!(stopped, Ok(()));
        root.shutdown().await;
    });
}

/// A child `a` in a backoff of one second, and a sibling `b` that takes two seconds to stop.
fn backing_off(
    log: &crate::tests::kit::Log,
) -> (SupervisorSpec, actix::Addr<crate::tests::kit::Worker>) {
    let (a, to_a) = faulty("a", log, Fault::Handler, 1);
    let (b, _) = with_stop("b", log, slow());
    let spec = SupervisorSpec::new("branch")
        .child(a.backoff(steady(1_000)))
        .child(b.stop(GRACE));
    (spec, to_a)
}

#[test]
fn a_child_in_backoff_is_not_started_while_its_supervisor_stops() {
    run(|log| async move {
        let (branch, to_a) = backing_off(&log);
        let (c, _) = worker("c", &log);
        let spec = SupervisorSpec::new("root").child(ChildSpec::supervisor(branch));
        let root = root(spec.child(c));
        to_a.send(Which).await.unwrap();
        to_a.do_send(Poke);
        state_is(&root, "root/branch/a", ChildStatus::BackingOff).await;
        log.take();
        root.handle().stop_child("branch").await.unwrap();
        assert_eq!(log.take(), ["b asked", "b stopped", "b dropped"]);
        // Children that were stopped by an order keep their slots: a restart starts both.
        root.handle().restart_child("branch").await.unwrap();
        to_a.send(Which).await.unwrap();
        root.shutdown().await;
    });
}

#[test]
fn a_child_in_backoff_is_not_started_while_the_root_stops() {
    run(|log| async move {
        let (branch, to_a) = backing_off(&log);
        let root = root(branch);
        to_a.send(Which).await.unwrap();
        to_a.do_send(Poke);
        state_is(&root, "branch/a", ChildStatus::BackingOff).await;
        log.take();
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
        assert_eq!(log.count("a started"), 0, "{:?}", log.lines());
    });
}
