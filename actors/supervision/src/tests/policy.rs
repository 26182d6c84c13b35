//! Restart policies and strategies.

use std::time::Duration;

use crate::tests::kit::{
    Fail, Fault, Finish, Note, Poke, Which, faulty, last_exit, often, root, run, state_is, worker,
};
use crate::{ChildStatus, ExitReason, Restart, Strategy, SupervisorSpec, testkit};

#[test]
fn permanent_children_are_restarted_after_every_end() {
    run(|log| async move {
        let (child, addr) = worker("a", &log);
        let root = root(SupervisorSpec::new("root").child(child));
        addr.do_send(Finish);
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        addr.do_send(Fail("no luck"));
        assert_eq!(addr.send(Which).await.unwrap(), 2);
        assert_eq!(
            last_exit(&root, "root/a"),
            Some(ExitReason::Failed("no luck".into()))
        );
        root.shutdown().await;
    });
}

#[test]
fn transient_children_are_restarted_only_after_a_failure() {
    run(|log| async move {
        let (child, addr) = worker("a", &log);
        let root = root(SupervisorSpec::new("root").child(child.restart(Restart::Transient)));
        addr.do_send(Fail("no luck"));
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        addr.do_send(Finish);
        state_is(&root, "root/a", ChildStatus::Stopped).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(log.count("a started"), 2);
        addr.do_send(Note(1));
        root.handle().restart_child("a").await.unwrap();
        assert_eq!(addr.send(Which).await.unwrap(), 2);
        assert_eq!(
            log.count("a note 1"),
            1,
            "what was sent meanwhile is handled"
        );
        root.shutdown().await;
    });
}

#[test]
fn temporary_children_leave_the_tree_and_close_their_address() {
    run(|log| async move {
        let (child, addr) = worker("a", &log);
        let root = root(SupervisorSpec::new("root").child(child.restart(Restart::Temporary)));
        assert_eq!(addr.send(Which).await.unwrap(), 0);
        addr.do_send(Fail("no luck"));
        testkit::eventually("it has left", || {
            root.tree().snapshot_at("root/a").is_none()
        })
        .await;
        assert!(addr.send(Which).await.is_err());
        assert_eq!(log.lines(), ["a started", "a stopped", "a dropped"]);
        root.shutdown().await;
    });
}

#[test]
fn one_for_all_stops_in_reverse_and_starts_in_order() {
    run(|log| async move {
        let (a, _a) = worker("a", &log);
        let (b, b_addr) = faulty("b", &log, Fault::Handler, 1);
        let (c, c_addr) = worker("c", &log);
        let spec = SupervisorSpec::new("root").strategy(Strategy::OneForAll);
        let root = root(spec.child(a).child(b).child(c));
        c_addr.send(Which).await.unwrap();
        log.take();
        b_addr.do_send(Poke);
        c_addr.do_send(Note(1));
        testkit::eventually("all are up again", || log.count("c started") == 1).await;
        let starts: Vec<_> = log
            .take()
            .into_iter()
            .filter(|line| !line.contains("dropped"))
            .collect();
        assert_eq!(
            starts,
            [
                "c note 1",
                "c stopped",
                "a stopped",
                "a started",
                "b started",
                "c started"
            ]
        );
        assert_eq!(b_addr.send(Which).await.unwrap(), 1);
        root.shutdown().await;
    });
}

#[test]
fn rest_for_one_keeps_the_children_before_it() {
    run(|log| async move {
        let (a, a_addr) = worker("a", &log);
        let (b, b_addr) = faulty("b", &log, Fault::Handler, 1);
        let (c, c_addr) = worker("c", &log);
        let (d, d_addr) = worker("d", &log);
        let spec = SupervisorSpec::new("root").strategy(Strategy::RestForOne);
        let root = root(spec.child(a).child(b).child(c).child(d));
        d_addr.send(Which).await.unwrap();
        log.take();
        b_addr.do_send(Poke);
        testkit::eventually("the rest is up again", || log.count("d started") == 1).await;
        let starts: Vec<_> = log
            .take()
            .into_iter()
            .filter(|line| !line.contains("dropped"))
            .collect();
        assert_eq!(
            starts,
            [
                "d stopped",
                "c stopped",
                "b started",
                "c started",
                "d started"
            ]
        );
        assert_eq!(a_addr.send(Which).await.unwrap(), 0);
        assert_eq!(c_addr.send(Which).await.unwrap(), 1);
        root.shutdown().await;
    });
}

#[test]
fn a_group_tolerates_a_child_that_fails_again_while_it_starts() {
    run(|log| async move {
        let (a, _) = worker("a", &log);
        let (b, b_addr) = faulty("b", &log, Fault::Started, 3);
        let (c, c_addr) = worker("c", &log);
        let spec = SupervisorSpec::new("root")
            .strategy(Strategy::OneForAll)
            .intensity(often(9));
        let root = root(spec.child(a).child(b).child(c));
        assert_eq!(b_addr.send(Which).await.unwrap(), 3);
        c_addr.send(Which).await.unwrap();
        assert_eq!(log.count("c started"), 1, "it never had its turn before");
        assert_eq!(log.count("a started"), 4);
        root.shutdown().await;
    });
}

#[test]
fn children_are_added_and_removed_at_run_time() {
    run(|log| async move {
        let root = root(SupervisorSpec::new("root"));
        let handle = root.handle();
        let (child, addr) = worker("a", &log);
        handle.start_child(child).await.unwrap();
        assert_eq!(addr.send(Which).await.unwrap(), 0);
        let (twin, _) = worker("a", &log);
        assert_eq!(
            handle.start_child(twin).await,
            Err(crate::SupervisorError::Duplicate)
        );
        handle.stop_child("a").await.unwrap();
        assert_eq!(handle.children()[0].state, ChildStatus::Stopped);
        addr.do_send(Note(3));
        handle.restart_child("a").await.unwrap();
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        assert_eq!(log.count("a note 3"), 1);
        handle.remove_child("a").await.unwrap();
        testkit::eventually("its address is closed", || !addr.connected()).await;
        assert!(handle.children().is_empty());
        assert_eq!(
            handle.stop_child("a").await,
            Err(crate::SupervisorError::Unknown)
        );
        let (bad, _) = faulty("bad", &log, Fault::Started, 1);
        let refused = handle.start_child(bad).await;
        assert_eq!(
            refused,
            Err(crate::SupervisorError::NotStarted(ExitReason::Panicked(
                "started".into()
            )))
        );
        root.shutdown().await;
        let (late, _) = worker("late", &log);
        assert!(handle.start_child(late).await.is_err());
    });
}

#[test]
fn a_temporary_child_stopped_with_its_group_does_not_come_back() {
    run(|log| async move {
        let (a, a_addr) = worker("a", &log);
        let (once, once_addr) = worker("once", &log);
        let spec = SupervisorSpec::new("root").strategy(Strategy::OneForAll);
        let root = root(spec.child(once.restart(Restart::Temporary)).child(a));
        once_addr.send(Which).await.unwrap();
        a_addr.do_send(Fail("no luck"));
        assert_eq!(a_addr.send(Which).await.unwrap(), 1);
        assert!(!once_addr.connected());
        assert_eq!(root.tree().snapshot().count(), 2);
        root.shutdown().await;
    });
}
