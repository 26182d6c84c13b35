//! How the connection stands, and when it is tried again.

use super::{Line, Told, Topics};
use crate::cli::connect::Hub;
use crate::cli::show::time;
use crate::console::news::{Link, News};
use kirosu_protocol::ErrorCode;
use kirosu_protocol::client::{CallError, ConnectionState, Delays};
use kirosu_supervision::BackoffPolicy;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Pauses between attempts to connect, which tell when the next one is due (Unix seconds). Somebody looks on: they stay
/// short.
pub fn delays() -> (Delays, watch::Receiver<Option<f64>>) {
    let (tell, again) = watch::channel(None);
    let policy = BackoffPolicy {
        max: Duration::from_secs(5),
        ..BackoffPolicy::default()
    };
    let delays = move || -> Box<dyn Iterator<Item = Duration> + Send> {
        let tell = tell.clone();
        let told = move |delay: &Duration| {
            tell.send_replace(Some(time::now() + delay.as_secs_f64()));
        };
        Box::new(policy.delays().inspect(told))
    };
    (Arc::new(delays), again)
}

/// Tells of each change, for ever.
pub(super) async fn run(
    line: Line,
    hub: Hub,
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
                return line.tell(Told::Failed(failure)).await;
            }
            ConnectionState::Connecting(Some(why)) => {
                let link = Link::Away {
                    why: why.to_string(),
                    again: again_at,
                };
                line.tell(Told::News(News::Link(link).into())).await;
            }
            ConnectionState::Connected(hello) => {
                let version = hello.version.clone();
                line.tell(Told::News(News::Link(Link::Up { version }).into()))
                    .await;
                topics.mark_all();
            }
            ConnectionState::Closed => return,
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                return;
            },
            // The delay of an attempt is known a moment after its failure.
            _ = again.changed() => {}
        }
    }
}

/// Whether trying again cannot help: not so with a hub that is full or on its way down.
fn is_final(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::Busy | ErrorCode::ShuttingDown)
}
