//! Stops: order, grace, kill, and stops at unusual moments.

use std::time::Duration;

use tokio::time::Instant;

use crate::tests::kit::{
    Fault, Poke, StopBehavior, Which, faulty, root, run, state_is, with_stop, worker,
};
use crate::{ChildSpec, ChildStatus, ExitReason, StopPolicy, SupervisorSpec, testkit};

#[test]
fn children_stop_in_reverse_order_and_are_dropped_one_by_one() {
    run(|log| async move {
        let (a, _) = worker("a", &log);
        let (b, _) = with_stop("b", &log, StopBehavior::After(Duration::from_secs(2)));
        let (c, c_addr) = worker("c", &log);
        let root = root(SupervisorSpec::new("root").child(a).child(b).child(c));
        c_addr.send(Which).await.unwrap();
        assert_eq!(log.take(), ["a started", "b started", "c started"]);
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
        let expected = [
            "c stopped",
            "c dropped",
            "b asked",
            "b stopped",
            "b dropped",
            "a stopped",
            "a dropped",
        ];
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn a_child_that_does_not_stop_within_its_grace_is_killed() {
    run(|log| async move {
        let (deaf, addr) = with_stop("deaf", &log, StopBehavior::Ignore);
        let root = root(
            SupervisorSpec::new("root").child(deaf.stop(StopPolicy::Grace(Duration::from_secs(3)))),
        );
        addr.send(Which).await.unwrap();
        let start = Instant::now();
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(
            log.lines(),
            ["deaf started", "deaf asked", "deaf dropped"],
            "no code but its drop"
        );
    });
}

#[test]
fn kill_gives_no_grace() {
    run(|log| async move {
        let (child, addr) = with_stop("a", &log, StopBehavior::After(Duration::from_secs(2)));
        let root = root(SupervisorSpec::new("root").child(child.stop(StopPolicy::Kill)));
        addr.send(Which).await.unwrap();
        root.handle().stop_child("a").await.unwrap();
        assert_eq!(log.lines(), ["a started", "a dropped"]);
        assert_eq!(
            root.tree().snapshot_at("root/a").unwrap().last_exit,
            Some(ExitReason::Killed)
        );
        root.shutdown().await;
    });
}

#[test]
fn a_stop_during_the_backoff_ends_the_wait() {
    run(|log| async move {
        let (child, addr) = faulty("a", &log, Fault::Handler, 1);
        let slow = crate::tests::kit::steady(3_600_000);
        let root = root(SupervisorSpec::new("root").child(child.backoff(slow)));
        addr.do_send(Poke);
        state_is(&root, "root/a", ChildStatus::BackingOff).await;
        let due = root
            .tree()
            .snapshot_at("root/a")
            .unwrap()
            .next_restart_in_ms
            .unwrap();
        assert!((3_500_000..=3_600_000).contains(&due), "{due}");
        root.handle().stop_child("a").await.unwrap();
        state_is(&root, "root/a", ChildStatus::Stopped).await;
        root.handle().restart_child("a").await.unwrap();
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        root.shutdown().await;
    });
}

#[test]
fn a_stop_before_the_first_start_takes_effect() {
    run(|log| async move {
        let (child, _) = with_stop("a", &log, StopBehavior::After(Duration::from_millis(5)));
        let root = root(SupervisorSpec::new("root").child(child));
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
    });
}

#[test]
fn a_stop_does_not_wait_behind_messages_and_a_token_signals_it_to_other_tasks() {
    run(|log| async move {
        let (send, token) = tokio::sync::oneshot::channel();
        let mut send = Some(send);
        let mut make = crate::tests::kit::factory(&log, None, 0, StopBehavior::Plain);
        let spec = ChildSpec::simple("a", move |child| {
            if let Some(send) = send.take() {
                let _ = send.send(child.stop_token());
            }
            make(child)
        });
        let root = root(
            SupervisorSpec::new("root").child(spec.stop(StopPolicy::Grace(Duration::from_secs(4)))),
        );
        let token = token.await.unwrap();
        assert!(!token.is_requested());
        let watch = tokio::task::spawn_local(token.clone().requested());
        let start = Instant::now();
        root.shutdown().await;
        watch.await.unwrap();
        assert!(token.is_requested());
        assert_eq!(
            start.elapsed().as_secs(),
            4,
            "who takes a token must end by itself"
        );
    });
}

#[test]
fn a_killed_root_kills_all_children() {
    run(|log| async move {
        let (child, addr) = with_stop("a", &log, StopBehavior::Ignore);
        let inner = SupervisorSpec::new("inner").child(child);
        let root = root(SupervisorSpec::new("root").child(ChildSpec::supervisor(inner)));
        addr.send(Which).await.unwrap();
        root.kill();
        assert_eq!(root.ended().await, ExitReason::Killed);
        testkit::eventually("its address is closed", || !addr.connected()).await;
        assert_eq!(log.lines(), ["a started", "a dropped"]);
    });
}
