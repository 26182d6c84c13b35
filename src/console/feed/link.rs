//! State of the connection, and the time of the next attempt.

use super::{FeedContext, FeedMessage, Topics};
use crate::cli::HubClient;
use crate::console::messages::{LinkState, Update};
use crate::terminal::time;
use kirosu_protocol::ErrorCode;
use kirosu_protocol::client::{CallError, ConnectionState, Delays};
use kirosu_supervision::BackoffPolicy;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Pauses between attempts to connect, and the Unix seconds of the next attempt. A person is watching, so the pauses
/// stay short.
pub fn delays() -> (Delays, watch::Receiver<Option<f64>>) {
    let (sender, again) = watch::channel(None);
    let policy = BackoffPolicy {
        max: Duration::from_secs(5),
        ..BackoffPolicy::default()
    };
    let delays = move || -> Box<dyn Iterator<Item = Duration> + Send> {
        let sender = sender.clone();
        let report = move |delay: &Duration| {
            sender.send_replace(Some(time::now() + delay.as_secs_f64()));
        };
        Box::new(policy.delays().inspect(report))
    };
    (Arc::new(delays), again)
}

/// Reports each change; never returns while the hub can come back.
pub(super) async fn run(
    feed: FeedContext,
    hub: HubClient,
    mut again: watch::Receiver<Option<f64>>,
    topics: Arc<Topics>,
) {
    let mut state = hub.client.state();
    loop {
        let now = state.borrow_and_update().clone();
        let again_at = *again.borrow_and_update();
        match now {
            ConnectionState::Connecting(None) => {}
            ConnectionState::Connecting(Some(CallError::Refused(refusal)))
                if is_final(refusal.code) =>
            {
                let failure = CallError::Refused(refusal).into();
                return feed.report(FeedMessage::Failed(failure)).await;
            }
            ConnectionState::Connecting(Some(why)) => {
                let (why, again) = (why.to_string(), again_at);
                feed.update(Update::Link(LinkState::Away { why, again }))
                    .await;
            }
            ConnectionState::Connected(hello) => {
                let version = hello.version.clone();
                feed.update(Update::Link(LinkState::Up { version })).await;
                topics.mark_all();
            }
            ConnectionState::Closed => return,
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                return;
            },
            // The delay of an attempt is known shortly after its failure.
            _ = again.changed() => {}
        }
    }
}

/// Whether another attempt is useless. A hub that is full or shutting down may accept a later one.
fn is_final(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::Busy | ErrorCode::ShuttingDown)
}
