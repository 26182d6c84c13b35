//! Restarts that come slowly enough are borne for ever.

use std::time::Duration;

use crate::tests::kit::{Fail, Which, often, quiet, root, run};
use crate::{ExitReason, SupervisorSpec};

#[test]
fn only_restarts_inside_the_window_count() {
    run(|log| async move {
        let (child, addr) = quiet("a", &log);
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
