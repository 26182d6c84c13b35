//! Restarts below the intensity have no limit.

use std::time::Duration;

use crate::tests::kit::{Fail, Which, often, root, run, worker};
use crate::{ExitReason, SupervisorSpec};

#[test]
fn only_restarts_inside_the_window_count() {
    run(|log| async move {
        let (child, addr) = worker("a", &log);
        let root = root(SupervisorSpec::new("root").intensity(often(2)).child(child));
        for round in 1..=10 {
            addr.do_send(Fail("no luck"));
            assert_eq!(addr.send(Which).await.unwrap(), round);
            tokio::time::sleep(Duration::from_secs(31)).await;
        }
        for _ in 0..3 {
            addr.do_send(Fail("no luck"));
            let _ = addr.send(Which).await;
        }
        assert!(matches!(root.ended().await, ExitReason::GaveUp(_)));
    });
}
