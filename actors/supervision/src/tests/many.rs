//! A thousand children of one supervisor.

use crate::tests::kit::{Which, often, root, run, worker};
use crate::{ChildStatus, ExitReason, Strategy, SupervisorSpec, testkit};

#[test]
fn a_thousand_children_are_started_killed_restarted_and_stopped() {
    run(|log| async move {
        let children: Vec<_> = (0..1000).map(|n| worker(&format!("c{n}"), &log)).collect();
        let (specs, addrs): (Vec<_>, Vec<_>) = children.into_iter().unzip();
        let spec = SupervisorSpec::new("root")
            .intensity(often(2000))
            .children(specs);
        let root = root(spec);
        for addr in &addrs {
            assert_eq!(addr.send(Which).await.unwrap(), 0);
        }
        assert_eq!(root.tree().snapshot().count(), 1001);
        for n in 0..1000 {
            assert!(root.tree().inject_panic(&format!("root/c{n}")));
        }
        testkit::eventually("all are up again", || {
            let tree = root.tree().snapshot();
            tree.children
                .iter()
                .all(|c| c.state == ChildStatus::Running && c.restarts == 1)
        })
        .await;
        for addr in &addrs {
            assert_eq!(addr.send(Which).await.unwrap(), 1);
        }
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
        assert!(addrs.iter().all(|addr| !addr.connected()));
    });
}

#[test]
fn a_group_of_many_restarts_as_one() {
    run(|log| async move {
        let children: Vec<_> = (0..300).map(|n| worker(&format!("c{n}"), &log)).collect();
        let (specs, addrs): (Vec<_>, Vec<_>) = children.into_iter().unzip();
        let spec = SupervisorSpec::new("root")
            .strategy(Strategy::OneForAll)
            .children(specs);
        let root = root(spec);
        addrs[299].send(Which).await.unwrap();
        assert!(root.tree().inject_panic("root/c150"));
        testkit::eventually("all are up again", || {
            let tree = root.tree().snapshot();
            tree.children
                .iter()
                .all(|c| c.state == ChildStatus::Running && c.restarts == 1)
        })
        .await;
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
    });
}
