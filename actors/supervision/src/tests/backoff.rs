//! Restart delays, as the tree shows them.

use std::time::Duration;

use crate::tests::kit::{
    Fault, Log, Note, Poke, Which, factory, last_exit, often, root, run, state_is,
};
use crate::{
    BackoffPolicy, ChildChange, ChildSpec, ChildStatus, ExitReason, SupervisorSpec, mailbox,
};

fn policy() -> BackoffPolicy {
    BackoffPolicy {
        initial: Duration::from_millis(100),
        max: Duration::from_millis(1000),
        factor: 2.0,
        jitter: 0.0,
        healthy_after: Duration::from_secs(30),
    }
}

#[test]
fn it_grows_and_is_forgotten_after_health() {
    run(|log: Log| async move {
        let (place, addr) = mailbox();
        let spec = ChildSpec::new(
            "a",
            place,
            factory(&log, Some(Fault::Handler), u32::MAX, Default::default()),
        );
        let root = root(
            SupervisorSpec::new("root")
                .intensity(often(50))
                .child(spec.backoff(policy())),
        );
        let mut events = root.tree().subscribe();
        let mut delays = Vec::new();
        for round in 0..7 {
            addr.send(Which).await.unwrap();
            if round == 5 {
                tokio::time::sleep(Duration::from_secs(31)).await;
            }
            let _ = addr.send(Poke).await;
            state_is(&root, "root/a", ChildStatus::BackingOff).await;
            while let Ok(event) = events.try_recv() {
                if let ChildChange::Exited { restart_in_ms, .. } = event.change {
                    delays.extend(restart_in_ms);
                }
            }
        }
        assert_eq!(delays, [100, 200, 400, 800, 1000, 100, 200]);
        root.shutdown().await;
    });
}

#[test]
fn what_is_sent_during_it_is_handled_after_it() {
    run(|log: Log| async move {
        let (place, addr) = mailbox();
        let spec = ChildSpec::new(
            "a",
            place,
            factory(&log, Some(Fault::Handler), 1, Default::default()),
        );
        let root = root(SupervisorSpec::new("root").child(spec.backoff(policy())));
        for n in 0..3 {
            addr.do_send(Note(n));
        }
        addr.do_send(Poke);
        for n in 3..6 {
            addr.do_send(Note(n));
        }
        state_is(&root, "root/a", ChildStatus::BackingOff).await;
        addr.do_send(Note(6));
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        let notes: Vec<_> = log
            .lines()
            .into_iter()
            .filter(|l| l.contains("note"))
            .collect();
        let expected: Vec<_> = (0..7).map(|n| format!("a note {n}")).collect();
        assert_eq!(notes, expected, "all but the message it panicked in");
        assert_eq!(
            last_exit(&root, "root/a"),
            Some(ExitReason::Panicked("handler".into()))
        );
        root.shutdown().await;
    });
}
