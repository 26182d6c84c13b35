//! Runs tests of supervised actors: one thread, paused time, and no child left behind.

use std::future::Future;
use std::time::Duration;

use crate::runner::live_on_this_thread;

/// Runs `test` on one arbiter with paused time: sleeps return at once, in the right order.
///
/// # Panics
/// When the test does, when no runtime can be made, and when a supervised future is still there a
/// (paused) minute after the test's end.
pub fn run<F>(test: F)
where
    F: Future<Output = ()>,
{
    let system = actix_rt::System::with_tokio_rt(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        match runtime {
            Ok(runtime) => runtime,
            Err(error) => panic!("no runtime for the test: {error}"),
        }
    });
    system.block_on(async {
        test.await;
        eventually("every supervised child has ended", || {
            live_on_this_thread() == 0
        })
        .await;
    });
}

/// Waits until `holds`, for at most a paused minute.
///
/// # Panics
/// When it does not hold by then; `what` says what was waited for.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain until {what}");
}
