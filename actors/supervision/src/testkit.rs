//! A test runtime for supervised actors: one thread, paused time, and a check for leaked children.

use std::future::Future;
use std::time::Duration;

use crate::runner::live_on_this_thread;

/// Runs `test` on one arbiter with paused time: sleeps return immediately, in the right order.
///
/// # Panics
/// When the test panics, when the runtime cannot be created, and when a supervised future still
/// exists a (paused) minute after the test's end.
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

/// Waits until `holds` returns true, for at most a paused minute.
///
/// # Panics
/// When `holds` is still false then. The message contains `what`.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain until {what}");
}
