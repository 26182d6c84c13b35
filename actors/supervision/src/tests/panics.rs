//! A panic in every kind of place, and what it must not do: reach a sibling, close an address,
//! run the old value's code, or end the process.

use crate::tests::kit::{
    Log, Note, Poke, Trouble, Which, last_exit, often, quiet, root, run, state_is, troubled,
};
use crate::{ExitReason, State, SupervisorSpec};

/// The child panics once, its address lives on, and its sibling notices nothing.
async fn survives(log: Log, trouble: Trouble, reason: &str) {
    let (child, addr) = troubled("a", &log, trouble, 1);
    let (sibling, sibling_addr) = quiet("b", &log);
    let root = root(SupervisorSpec::new("root").child(child).child(sibling));
    addr.do_send(Poke);
    addr.do_send(Note(7));
    let incarnation = addr.send(Which).await.unwrap();
    assert_eq!(incarnation, 1, "{trouble:?}");
    let reason = ExitReason::Panicked(reason.to_owned());
    assert_eq!(last_exit(&root, "root/a"), Some(reason), "{trouble:?}");
    assert_eq!(sibling_addr.send(Which).await.unwrap(), 0, "{trouble:?}");
    assert_eq!(root.shutdown().await, ExitReason::Stopped, "{trouble:?}");
    assert_eq!(
        log.count("a started"),
        1 + usize::from(trouble != Trouble::Started && trouble != Trouble::Factory)
    );
    assert_eq!(log.count("a note 7"), 1, "{trouble:?}");
}

#[test]
fn in_a_handler() {
    run(|log| survives(log, Trouble::Handler, "handler"));
}

#[test]
fn in_a_timer() {
    run(|log| async move {
        let (child, addr) = troubled("a", &log, Trouble::Timer, 1);
        let root = root(SupervisorSpec::new("root").child(child));
        addr.send(Poke).await.unwrap();
        state_is(&root, "root/a", State::BackingOff).await;
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
        (Trouble::Interval, "interval"),
        (Trouble::Stream, "stream"),
        (Trouble::Spawned, "spawned"),
        (Trouble::Waiting, "waiting"),
        (Trouble::Notified, "notified"),
        (Trouble::Stopping, "stopping"),
        (Trouble::Stopped, "stopped"),
        (Trouble::HandlerAndDrop, "handler"),
        (Trouble::HandlerAndSpawnedDrop, "handler"),
    ];
    for (trouble, reason) in places {
        run(|log| async move {
            let (child, addr) = troubled("a", &log, trouble, 1);
            let root = root(SupervisorSpec::new("root").child(child));
            let _ = addr.send(Poke).await;
            state_is(&root, "root/a", State::BackingOff).await;
            addr.do_send(Note(7));
            assert_eq!(addr.send(Which).await.unwrap(), 1, "{trouble:?}");
            let reason = ExitReason::Panicked(reason.to_owned());
            assert_eq!(last_exit(&root, "root/a"), Some(reason), "{trouble:?}");
            assert_eq!(log.count("a note 7"), 1, "{trouble:?}");
            assert_eq!(root.shutdown().await, ExitReason::Stopped);
        });
    }
}

#[test]
fn in_started() {
    run(|log| survives(log, Trouble::Started, "started"));
}

#[test]
fn in_the_factory() {
    run(|log| survives(log, Trouble::Factory, "factory"));
}

#[test]
fn the_old_value_runs_no_code_and_is_dropped_before_the_backoff() {
    run(|log| async move {
        let (child, addr) = troubled("a", &log, Trouble::Handler, 1);
        let root = root(SupervisorSpec::new("root").child(child));
        assert!(
            addr.send(Poke).await.is_err(),
            "the caller learns that its message is lost"
        );
        state_is(&root, "root/a", State::BackingOff).await;
        assert_eq!(log.take(), ["a started", "a dropped"]);
        root.shutdown().await;
    });
}

#[test]
fn a_factory_that_always_panics_uses_up_the_intensity() {
    run(|log| async move {
        let (child, addr) = troubled("a", &log, Trouble::Factory, u32::MAX);
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
        let (child, addr) = quiet("a", &log);
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
