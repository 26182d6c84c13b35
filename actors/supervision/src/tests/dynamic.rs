//! The dynamic supervisor.

use std::time::Duration;

use tokio::time::Instant;

use crate::tests::kit::{
    Fail, Fault, Finish, Log, Note, Poke, StopBehavior, Which, factory, often, root, run, state_is,
    steady,
};
use crate::{
    ChildSpec, ChildStatus, DynamicHandle, DynamicSpec, ExitReason, Restart, Root, SpawnError,
    SupervisorSpec, testkit,
};

async fn started(spec: DynamicSpec) -> (Root, DynamicHandle) {
    let handle = spec.handle();
    assert!(!handle.is_open());
    let root =
        root(SupervisorSpec::new("root").child(ChildSpec::dynamic(spec).backoff(steady(100))));
    testkit::eventually("the door is open", || handle.is_open()).await;
    (root, handle)
}

fn plain(log: &Log) -> impl FnMut(&crate::ChildContext) -> crate::tests::kit::Worker + use<> {
    factory(log, None, 0, StopBehavior::Plain)
}

#[test]
fn children_are_seen_while_they_live_and_counted_when_they_left() {
    run(|log| async move {
        let (root, handle) = started(DynamicSpec::new("leases").kind("lease")).await;
        let one = handle.spawn(1, plain(&log)).unwrap();
        let two = handle.spawn("two", plain(&log)).unwrap();
        assert_eq!(
            handle.spawn(1, plain(&log)).unwrap_err(),
            SpawnError::Duplicate
        );
        assert_eq!(one.send(Which).await.unwrap(), 0);
        let node = root.tree().snapshot_at("root/leases").unwrap();
        assert_eq!(node.children.len(), 2);
        assert_eq!(&*node.children[0].kind, "lease");
        assert_eq!(
            root.tree().snapshot_at("root/leases/two").unwrap().state,
            ChildStatus::Running
        );
        one.send(Finish).await.unwrap();
        let _ = two.send(Fail("no luck")).await;
        testkit::eventually("both have left", || handle.is_empty()).await;
        assert!(!one.connected() && !two.connected());
        let past = root
            .tree()
            .snapshot_at("root/leases")
            .unwrap()
            .past
            .unwrap();
        assert_eq!((past.spawned, past.ended, past.ended_abnormally), (2, 2, 1));
        root.shutdown().await;
    });
}

#[test]
fn a_panic_ends_only_its_own_child() {
    run(|log| async move {
        let (root, handle) = started(DynamicSpec::new("leases")).await;
        let bad = handle
            .spawn(
                1,
                factory(&log, Some(Fault::Handler), 1, StopBehavior::Plain),
            )
            .unwrap();
        let good = handle.spawn(2, plain(&log)).unwrap();
        let drops = handle
            .spawn(
                3,
                factory(&log, Some(Fault::HandlerAndDrop), 1, StopBehavior::Plain),
            )
            .unwrap();
        let factory = handle
            .spawn(
                4,
                factory(&log, Some(Fault::Factory), 1, StopBehavior::Plain),
            )
            .unwrap();
        assert!(bad.send(Poke).await.is_err());
        assert!(drops.send(Poke).await.is_err());
        assert!(factory.send(Poke).await.is_err());
        good.send(Which).await.unwrap();
        assert!(root.tree().inject_panic("root/leases/2"));
        testkit::eventually("all have left", || handle.is_empty()).await;
        assert_eq!(
            root.tree()
                .snapshot_at("root/leases")
                .unwrap()
                .past
                .unwrap()
                .ended_abnormally,
            4
        );
        root.shutdown().await;
    });
}

#[test]
fn transient_children_are_restarted_with_their_queue() {
    run(|log| async move {
        let spec = DynamicSpec::new("d")
            .restart(Restart::Transient)
            .backoff(steady(500));
        let (root, handle) = started(spec).await;
        let addr = handle
            .spawn(
                1,
                factory(&log, Some(Fault::Handler), 1, StopBehavior::Plain),
            )
            .unwrap();
        addr.do_send(Poke);
        addr.do_send(Note(4));
        state_is(&root, "root/d/1", ChildStatus::BackingOff).await;
        assert_eq!(
            root.tree()
                .snapshot_at("root/d/1")
                .unwrap()
                .next_restart_in_ms
                .map(|ms| ms > 400),
            Some(true)
        );
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        assert_eq!(log.count("1 note 4"), 1);
        assert_eq!(
            root.tree()
                .snapshot_at("root/d")
                .unwrap()
                .past
                .unwrap()
                .restarts,
            1
        );
        addr.send(Finish).await.unwrap();
        testkit::eventually("it has left", || handle.is_empty()).await;
        root.shutdown().await;
    });
}

#[test]
fn too_many_restarts_make_it_give_up_and_its_parent_restarts_it_empty() {
    run(|log| async move {
        let spec = DynamicSpec::new("d")
            .restart(Restart::Transient)
            .backoff(steady(1))
            .intensity(often(3));
        let (root, handle) = started(spec).await;
        let good = handle.spawn(2, plain(&log)).unwrap();
        let _bad = handle
            .spawn(
                1,
                factory(&log, Some(Fault::Started), u32::MAX, StopBehavior::Plain),
            )
            .unwrap();
        state_is(&root, "root/d", ChildStatus::BackingOff).await;
        assert!(handle.is_empty() && !good.connected());
        assert!(matches!(
            root.tree().snapshot_at("root/d").unwrap().last_exit,
            Some(ExitReason::GaveUp(_))
        ));
        assert_eq!(
            handle.spawn(3, plain(&log)).unwrap_err(),
            SpawnError::Closed
        );
        testkit::eventually("the door is open again", || handle.is_open()).await;
        handle
            .spawn(3, plain(&log))
            .unwrap()
            .send(Which)
            .await
            .unwrap();
        root.shutdown().await;
    });
}

#[test]
fn all_children_stop_at_the_same_time_within_one_grace() {
    run(|log| async move {
        let (root, handle) = started(DynamicSpec::new("d").grace(Duration::from_secs(3))).await;
        let slow = StopBehavior::After(Duration::from_secs(2));
        let mut addrs: Vec<_> = (0..100)
            .map(|n| handle.spawn(n, factory(&log, None, 0, slow)).unwrap())
            .collect();
        addrs.push(
            handle
                .spawn("deaf", factory(&log, None, 0, StopBehavior::Ignore))
                .unwrap(),
        );
        for addr in &addrs {
            addr.send(Which).await.unwrap();
        }
        let start = Instant::now();
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
        assert_eq!(start.elapsed().as_secs(), 3);
        assert!(handle.is_empty());
        assert_eq!(log.count("deaf dropped"), 1);
        assert_eq!(log.count("deaf stopped"), 0);
        assert_eq!(
            handle.spawn(7, plain(&log)).unwrap_err(),
            SpawnError::Closed
        );
    });
}

#[test]
fn one_child_can_be_stopped_or_killed() {
    run(|log| async move {
        let (root, handle) = started(DynamicSpec::new("d").grace(Duration::from_secs(3))).await;
        let deaf = handle
            .spawn(1, factory(&log, None, 0, StopBehavior::Ignore))
            .unwrap();
        let plain_one = handle.spawn(2, plain(&log)).unwrap();
        let killed = handle.spawn(3, plain(&log)).unwrap();
        for addr in [&deaf, &plain_one, &killed] {
            addr.send(Which).await.unwrap();
        }
        let start = Instant::now();
        assert!(handle.stop(1) && handle.stop(2) && handle.kill(3) && !handle.stop(4));
        testkit::eventually("two have left", || handle.len() == 1).await;
        assert!(start.elapsed() < Duration::from_secs(1));
        testkit::eventually("all have left", || handle.is_empty()).await;
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!((log.count("2 stopped"), log.count("3 stopped")), (1, 0));
        root.shutdown().await;
    });
}

#[test]
fn a_stop_before_the_first_step_has_its_deadline_too() {
    run(|log| async move {
        let (root, handle) = started(DynamicSpec::new("d").grace(Duration::from_secs(3))).await;
        let _deaf = handle
            .spawn(1, factory(&log, None, 0, StopBehavior::Ignore))
            .unwrap();
        assert!(handle.stop(1));
        let start = Instant::now();
        testkit::eventually("it has left", || handle.is_empty()).await;
        assert_eq!(start.elapsed().as_secs(), 3);
        root.shutdown().await;
    });
}

#[test]
fn a_panicked_dynamic_supervisor_kills_its_children_and_is_restarted() {
    run(|log| async move {
        let (root, handle) = started(DynamicSpec::new("d")).await;
        let addr = handle
            .spawn(1, factory(&log, None, 0, StopBehavior::Ignore))
            .unwrap();
        addr.send(Which).await.unwrap();
        assert!(root.tree().inject_panic("root/d"));
        testkit::eventually("its child is gone", || handle.is_empty()).await;
        testkit::eventually("the door is open again", || handle.is_open()).await;
        handle
            .spawn(1, plain(&log))
            .unwrap()
            .send(Which)
            .await
            .unwrap();
        root.shutdown().await;
    });
}

#[test]
fn a_child_without_an_address_ends() {
    run(|log| async move {
        let (root, handle) = started(DynamicSpec::new("d")).await;
        drop(handle.spawn(1, plain(&log)).unwrap());
        testkit::eventually("it has left", || handle.is_empty()).await;
        assert_eq!(log.lines(), ["1 started", "1 stopped", "1 dropped"]);
        root.shutdown().await;
    });
}

#[test]
fn restarts_are_counted_by_place() {
    run(|log| async move {
        let spec = DynamicSpec::new("leases").kind("lease");
        let (root, handle) = started(spec.restart(Restart::Transient)).await;
        let one = handle.spawn(1, plain(&log)).unwrap();
        let two = handle.spawn(2, plain(&log)).unwrap();
        for child in [&one, &two] {
            let _ = child.send(Fail("no luck")).await;
        }
        let of = |kind: &str| {
            let all = root.tree().restarts();
            let found = all.into_iter().find(|one| &*one.kind == kind);
            found.unwrap()
        };
        testkit::eventually("both are restarted", || of("lease").restarts == 2).await;
        let lease = of("lease");
        assert_eq!((lease.place.as_str(), lease.dynamic), ("root/leases", true));
        assert_eq!(lease.lost, 0);
        one.send(Finish).await.unwrap();
        testkit::eventually("one has left", || handle.len() == 1).await;
        assert_eq!(of("lease").restarts, 2);
        root.shutdown().await;
    });
}
