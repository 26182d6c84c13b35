//! Panics in every kind of place. A panic must not reach a sibling, close an address, run code of
//! the old actor, or end the process.

use crate::tests::kit::{
    Fault, Log, Note, Poke, Which, faulty, last_exit, often, root, run, state_is, worker,
};
use crate::{ChildStatus, ExitReason, SupervisorSpec};

/// The child panics once; its address stays valid, and its sibling is not affected.
async fn survives(log: Log, fault: Fault, reason: &str) {
    let (child, addr) = faulty("a", &log, fault, 1);
    let (sibling, sibling_addr) = worker("b", &log);
    let root = root(SupervisorSpec::new("root").child(child).child(sibling));
    addr.do_send(Poke);
    addr.do_send(Note(7));
    let incarnation = addr.send(Which).await.unwrap();
    assert_eq!(incarnation, 1, "{fault:?}");
    let reason = ExitReason::Panicked(reason.to_owned());
    assert_eq!(last_exit(&root, "root/a"), Some(reason), "{fault:?}");
    assert_eq!(sibling_addr.send(Which).await.unwrap(), 0, "{fault:?}");
    assert_eq!(root.shutdown().await, ExitReason::Stopped, "{fault:?}");
    assert_eq!(
        log.count("a started"),
        1 + usize::from(fault != Fault::Started && fault != Fault::Factory)
    );
    assert_eq!(log.count("a note 7"), 1, "{fault:?}");
}

#[test]
fn in_a_handler() {
    run(|log| survives(log, Fault::Handler, "handler"));
}

#[test]
fn in_a_timer() {
    run(|log| async move {
        let (child, addr) = faulty("a", &log, Fault::Timer, 1);
        let root = root(SupervisorSpec::new("root").child(child));
        addr.send(Poke).await.unwrap();
        state_is(&root, "root/a", ChildStatus::BackingOff).await;
        addr.do_send(Note(7));
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        assert_eq!(
            last_exit(&root, "root/a"),
            Some(ExitReason::Panicked("timer".into()))
        );
        root.shutdown().await;
    });
}

#[test]
fn everywhere_else_in_actix() {
    let places = [
        (Fault::Interval, "interval"),
        (Fault::Stream, "stream"),
        (Fault::Spawned, "spawned"),
        (Fault::ContextWait, "waiting"),
        (Fault::Notified, "notified"),
        (Fault::Stopping, "stopping"),
        (Fault::Stopped, "stopped"),
        (Fault::HandlerAndDrop, "handler"),
        (Fault::HandlerAndSpawnedDrop, "handler"),
    ];
    for (fault, reason) in places {
        run(|log| async move {
            let (child, addr) = faulty("a", &log, fault, 1);
            let root = root(SupervisorSpec::new("root").child(child));
            let _ = addr.send(Poke).await;
            state_is(&root, "root/a", ChildStatus::BackingOff).await;
            addr.do_send(Note(7));
            assert_eq!(addr.send(Which).await.unwrap(), 1, "{fault:?}");
            let reason = ExitReason::Panicked(reason.to_owned());
            assert_eq!(last_exit(&root, "root/a"), Some(reason), "{fault:?}");
            assert_eq!(log.count("a note 7"), 1, "{fault:?}");
            assert_eq!(root.shutdown().await, ExitReason::Stopped);
        });
    }
}

#[test]
fn in_started() {
    run(|log| survives(log, Fault::Started, "started"));
}

#[test]
fn in_the_factory() {
    run(|log| survives(log, Fault::Factory, "factory"));
}

#[test]
fn the_old_value_runs_no_code_and_is_dropped_before_the_backoff() {
    run(|log| async move {
        let (child, addr) = faulty("a", &log, Fault::Handler, 1);
        let root = root(SupervisorSpec::new("root").child(child));
        assert!(
            addr.send(Poke).await.is_err(),
            "the caller learns that its message is lost"
        );
        state_is(&root, "root/a", ChildStatus::BackingOff).await;
        assert_eq!(log.take(), ["a started", "a dropped"]);
        root.shutdown().await;
    });
}

#[test]
fn a_factory_that_always_panics_uses_up_the_intensity() {
    run(|log| async move {
        let (child, addr) = faulty("a", &log, Fault::Factory, u32::MAX);
        let root = root(SupervisorSpec::new("root").child(child).intensity(often(3)));
        let ExitReason::GaveUp(why) = root.ended().await else {
            panic!("the root has not given up");
        };
        assert!(why.contains("root/a") && why.contains("factory"), "{why}");
        assert!(addr.send(Which).await.is_err(), "nobody will ever answer");
    });
}

#[test]
fn injected_into_any_child() {
    run(|log| async move {
        let (child, addr) = worker("a", &log);
        let root = root(SupervisorSpec::new("root").child(child));
        assert_eq!(addr.send(Which).await.unwrap(), 0);
        assert!(root.tree().inject_panic("root/a"));
        assert!(!root.tree().inject_panic("root/nobody"));
        crate::testkit::eventually("it is restarted", || {
            root.tree()
                .snapshot_at("root/a")
                .is_some_and(|node| node.restarts == 1)
        })
        .await;
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        assert_eq!(
            last_exit(&root, "root/a"),
            Some(ExitReason::Panicked("injected fault".into()))
        );
        root.shutdown().await;
    });
}
