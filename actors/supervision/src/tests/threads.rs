//! Children on other threads, in real time.

use std::time::Duration;

use crate::tests::kit::{Fault, Log, Poke, StopBehavior, Which, faulty, often, with_stop, worker};
use crate::{Clock, ExitReason, Root, StopPolicy, SupervisorSpec, ThreadRegistry, testkit};

fn real_time<T: Future<Output = ()>>(test: T) {
    actix_rt::System::new().block_on(test);
}

#[test]
fn a_child_elsewhere_is_restarted_stopped_and_its_thread_joined() {
    real_time(async {
        let log = Log::default();
        let threads = ThreadRegistry::new();
        let store = threads.start("store").unwrap();
        let (child, addr) = faulty("a", &log, Fault::Handler, 1);
        let (deaf, deaf_addr) = with_stop("deaf", &log, StopBehavior::Ignore);
        let spec = SupervisorSpec::new("root")
            .intensity(often(5))
            .child(child.on(&store))
            .child(
                deaf.on(&store)
                    .stop(StopPolicy::Grace(Duration::from_millis(50))),
            );
        let root = Root::start(spec, Clock::system());
        assert!(addr.send(Poke).await.is_err());
        assert_eq!(addr.send(Which).await.unwrap(), 1);
        deaf_addr.send(Which).await.unwrap();
        let node = root.tree().snapshot_at("root/a").unwrap();
        assert_eq!(node.thread.as_deref(), Some("store"));
        assert_eq!(root.shutdown().await, ExitReason::Stopped);
        let last: Vec<_> = log.lines().split_off(log.lines().len() - 2);
        assert_eq!(last, ["a stopped", "a dropped"]);
        assert!(threads.stop(Duration::from_secs(5)).await.is_empty());
    });
}

#[test]
fn a_hung_thread_is_seen_and_does_not_hold_up_the_tree_or_the_stop() {
    real_time(async {
        let log = Log::default();
        let threads = ThreadRegistry::new();
        let (busy, idle) = (
            threads.start("busy").unwrap(),
            threads.start("idle").unwrap(),
        );
        let (child, addr) = worker("a", &log);
        let root = Root::start(
            SupervisorSpec::new("root").child(child.on(&busy).stop(StopPolicy::Kill)),
            Clock::system(),
        );
        addr.send(Which).await.unwrap();
        threads.adopt();
        let (release, hold) = std::sync::mpsc::channel::<()>();
        busy.spawn_fn(move || {
            let _ = hold.recv();
        });
        let pulses = threads.pulse(Duration::from_millis(200)).await;
        assert_eq!(
            pulses
                .iter()
                .map(|p| p.after_ms.is_some())
                .collect::<Vec<_>>(),
            [false, true, true]
        );
        assert_eq!(root.tree().snapshot().count(), 2);
        assert_eq!(
            root.shutdown().await,
            ExitReason::Stopped,
            "after a second without an answer"
        );
        release.send(()).unwrap();
        assert!(threads.stop(Duration::from_secs(5)).await.is_empty());
        drop(idle);
    });
}

#[test]
fn a_lost_thread_makes_the_supervisor_give_up() {
    real_time(async {
        let log = Log::default();
        let threads = ThreadRegistry::new();
        let store = threads.start("store").unwrap();
        let (child, addr) = worker("a", &log);
        let root = Root::start(
            SupervisorSpec::new("root").child(child.on(&store)),
            Clock::system(),
        );
        addr.send(Which).await.unwrap();
        store.stop();
        let end = tokio::time::timeout(Duration::from_secs(5), root.ended())
            .await
            .unwrap();
        assert!(matches!(end, ExitReason::GaveUp(why) if why.contains("root/a")));
        threads.stop(Duration::from_secs(5)).await;
        testkit::eventually("nobody is left", || crate::live_on_this_thread() == 0).await;
    });
}
