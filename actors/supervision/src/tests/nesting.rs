//! Supervisors below supervisors.

use std::time::Duration;

use crate::tests::kit::{Fault, Note, Which, faulty, last_exit, often, root, run, steady, worker};
use crate::{BackoffPolicy, ChildSpec, ChildStatus, ExitReason, SupervisorSpec, testkit};

fn immediate(spec: SupervisorSpec) -> ChildSpec {
    ChildSpec::supervisor(spec).backoff(BackoffPolicy::immediate())
}

#[test]
fn a_restart_storm_escalates_through_two_levels() {
    run(|log| async move {
        let (bad, _) = faulty("bad", &log, Fault::Started, u32::MAX);
        let (good, good_addr) = worker("good", &log);
        let low = SupervisorSpec::new("low")
            .intensity(often(2))
            .child(good)
            .child(bad);
        let middle = SupervisorSpec::new("middle")
            .intensity(often(1))
            .child(immediate(low));
        let (other, other_addr) = worker("other", &log);
        let spec = SupervisorSpec::new("root")
            .intensity(often(1))
            .child(other)
            .child(immediate(middle));
        let root = root(spec);
        let mut events = root.tree().subscribe();
        let ExitReason::GaveUp(why) = root.ended().await else {
            panic!("the root has not given up");
        };
        assert!(why.contains("root/middle"), "{why}");
        // `low` gives up at its 3rd failure, `middle` at the 2nd end of `low`, the root at the 2nd
        // end of `middle`.
        assert_eq!(log.count("good started"), 4);
        assert_eq!(
            log.count("other started"),
            1,
            "the rest of the tree never noticed"
        );
        assert!(!good_addr.connected() && !other_addr.connected());
        let mut gave_up = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let crate::ChildChange::Exited {
                reason: ExitReason::GaveUp(_),
                restart_in_ms,
            } = event.change
            {
                gave_up.push((event.path, restart_in_ms));
            }
        }
        let low = || "root/middle/low".to_owned();
        let middle = || "root/middle".to_owned();
        let expected = [
            (low(), Some(0)),
            (low(), None),
            (middle(), Some(0)),
            (low(), Some(0)),
            (low(), None),
            (middle(), None),
        ];
        assert_eq!(gave_up, expected);
    });
}

#[test]
fn a_panicked_supervisor_is_restarted_with_its_children_and_their_addresses() {
    run(|log| async move {
        let (a, a_addr) = worker("a", &log);
        let (b, b_addr) = worker("b", &log);
        let inner = SupervisorSpec::new("inner").child(a).child(b);
        let child = ChildSpec::supervisor(inner).backoff(steady(100));
        let root = root(SupervisorSpec::new("root").child(child));
        b_addr.send(Which).await.unwrap();
        log.take();
        assert!(root.tree().inject_panic("root/inner"));
        testkit::eventually("the children are dead", || log.count("a dropped") == 1).await;
        assert_eq!(
            log.take(),
            ["b dropped", "a dropped"],
            "at once, not after the backoff"
        );
        a_addr.do_send(Note(5));
        assert_eq!(b_addr.send(Which).await.unwrap(), 1);
        assert_eq!(log.take(), ["a started", "a note 5", "b started"]);
        assert_eq!(
            last_exit(&root, "root/inner"),
            Some(ExitReason::Panicked("injected fault".into()))
        );
        root.shutdown().await;
    });
}

#[test]
fn a_supervisor_hit_while_it_starts_and_again_while_it_restarts_recovers_completely() {
    run(|log| async move {
        let children: Vec<_> = (0..10).map(|n| worker(&format!("c{n}"), &log)).collect();
        let (specs, addrs): (Vec<_>, Vec<_>) = children.into_iter().unzip();
        let inner = SupervisorSpec::new("inner").children(specs);
        let child = ChildSpec::supervisor(inner).backoff(BackoffPolicy::immediate());
        let root = root(
            SupervisorSpec::new("root")
                .intensity(often(100))
                .child(child),
        );
        for round in 0..20 {
            testkit::eventually("it runs", || root.tree().inject_panic("root/inner")).await;
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
        }
        for addr in &addrs {
            addr.send(Which).await.unwrap();
        }
        let node = root.tree().snapshot_at("root/inner").unwrap();
        assert!(
            node.children
                .iter()
                .all(|child| child.state == ChildStatus::Running)
        );
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
    });
}

#[test]
fn a_panicked_root_leaks_no_child() {
    run(|log| async move {
        let (a, a_addr) = worker("a", &log);
        let root = root(SupervisorSpec::new("root").child(a));
        a_addr.send(Which).await.unwrap();
        assert!(root.tree().inject_panic("root"));
        assert_eq!(
            root.ended().await,
            ExitReason::Panicked("injected fault".into())
        );
        testkit::eventually("its child is gone", || !a_addr.connected()).await;
    });
}

#[test]
fn a_supervisor_may_be_added_resized_and_removed() {
    run(|log| async move {
        let root = root(SupervisorSpec::new("root"));
        let pool = SupervisorSpec::new("pool");
        let handle = pool.handle();
        root.handle()
            .start_child(ChildSpec::supervisor(pool))
            .await
            .unwrap();
        let mut addrs = Vec::new();
        for n in 0..4 {
            let (spec, addr) = worker(&format!("agent-{n}"), &log);
            handle.start_child(spec).await.unwrap();
            addrs.push(addr);
        }
        handle.remove_child("agent-3").await.unwrap();
        assert_eq!(handle.children().len(), 3);
        root.handle().restart_child("pool").await.unwrap();
        assert_eq!(addrs[0].send(Which).await.unwrap(), 1);
        root.handle().remove_child("pool").await.unwrap();
        testkit::eventually("the addresses are closed", || {
            addrs.iter().all(|a| !a.connected())
        })
        .await;
        assert_eq!(
            handle.stop_child("agent-0").await,
            Err(crate::SupervisorError::Gone)
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
        root.shutdown().await;
    });
}
