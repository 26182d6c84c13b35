//! A sleep whose end may not be set.

use tokio::time::{Instant, sleep_until};

/// Resolves at `at`; `None` means never. Cancel safe.
pub(crate) async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
