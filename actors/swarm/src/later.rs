//! A time that may not be set.

use tokio::time::{Instant, sleep_until};

/// Resolves at that time; never where there is none. Cancel safe.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
