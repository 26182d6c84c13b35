//! What a run tells, on its way to the hub: in order, in batches, and never in the run's way.
//!
//! What a person should read goes as pieces of output. One piece is under way at a time, under a number that stays the
//! same when it is sent again. What comes meanwhile is kept, which is bounded by the pool's limit for the whole run; the
//! run itself never waits for the hub. Beside it goes the run's progress (tools, model, figures), the newest alone, a
//! document a second at most, and none for a run of less than a second.
//!
//! Figures are told inside this process, too, as they come: `Flow::usage` is the sending side of a
//! `tokio::sync::watch::Receiver<Option<kirosu_providers::RunUsage>>`, totals of this run, `None` before the first.

use std::time::Duration;

use kirosu_protocol::ErrorCode;
use kirosu_protocol::client::CallError;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::verbs::output::OutputParams;
use kirosu_protocol::verbs::progress::ProgressParams;
use kirosu_providers::{EventStream, RunEvent, RunUsage};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::batch::OutputBatch;
use super::printed::Printed;
use super::progress::RunProgress;
use crate::link::HubLink;
use crate::sleep_until::sleep_until_some;

/// How long the first byte of a piece waits for others, and from one piece to the next: who watches sees a run within
/// 100 ms of what it prints (docs/dashboard.md).
const BATCH_TIME: Duration = Duration::from_millis(50);
/// Pause before a piece is sent again.
const RESEND_PAUSE: Duration = Duration::from_millis(250);
/// From the run's start to its first progress, and from one to the next.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// Where a run's events go.
pub(super) struct Flow {
    pub(super) link: HubLink,
    pub(super) lease: HeldLease,
    /// Bytes of output to keep over the whole run.
    pub(super) limit: usize,
    /// Whether people see the model's reasoning.
    pub(super) thoughts: bool,
    /// Told what the run has used, whenever it tells.
    pub(super) usage: watch::Sender<Option<RunUsage>>,
}

/// Pumps until the run has ended and all is told, or the hub says that the lease is another's.
pub(super) async fn pump(mut events: EventStream, flow: Flow) {
    let Flow { link, lease, .. } = &flow;
    let mut batch = OutputBatch::new(flow.limit);
    let mut printed = Printed::new(flow.thoughts);
    let mut progress = RunProgress::default();
    let mut chunk = 0;
    let mut due: Option<Instant> = None;
    let mut next_piece = Instant::now();
    let mut open = true;
    let sending = futures_util::future::OptionFuture::from(None);
    tokio::pin!(sending);
    let mut busy = false;
    let mut progress_due = Instant::now() + PROGRESS_PAUSE;
    let mut progressed = false;
    let reporting = futures_util::future::OptionFuture::from(None);
    tokio::pin!(reporting);
    let mut reports = false;
    loop {
        if !busy && !batch.is_empty() {
            let now = due.is_none_or(|due| due <= Instant::now());
            if now || batch.is_full() || !open {
                let params = piece(*lease, chunk, batch.take());
                chunk += 1;
                sending.set(Some(send(link.clone(), params)).into());
                busy = true;
                due = None;
                next_piece = Instant::now() + BATCH_TIME;
            }
        }
        if !reports && progress.has_news() {
            // What a short run has to tell comes with its end.
            let last = !open && progressed;
            if last || (open && progress_due <= Instant::now()) {
                let params = so_far(*lease, &mut progress);
                reporting.set(Some(report(link.clone(), params)).into());
                (reports, progressed) = (true, true);
                progress_due = Instant::now() + PROGRESS_PAUSE;
            }
        }
        if !open && !busy && !reports && batch.is_empty() {
            return;
        }
        tokio::select! {
            event = events.recv(), if open => match event {
                Some(event) => {
                    if let RunEvent::Usage { usage } = &event {
                        flow.usage.send_replace(Some(usage.clone()));
                    }
                    progress.take(&event);
                    let text = printed.text(&event);
                    if !text.is_empty() {
                        batch.push(&text);
                        due = due.or_else(|| Some(next_piece.max(Instant::now() + BATCH_TIME)));
                    }
                }
                None => open = false,
            },
            goes_on = &mut sending, if busy => {
                busy = false;
                sending.set(None.into());
                if goes_on == Some(false) {
                    break;
                }
                // Without anything to send there is nothing to wait for: a time that has passed would wake us for ever.
                due = (!batch.is_empty()).then_some(next_piece);
            }
            told = &mut reporting, if reports => {
                reports = false;
                reporting.set(None.into());
                match told {
                    Some(ProgressResult::No) if open => progress.not_told(),
                    Some(ProgressResult::Unwanted) => break,
                    _ => {}
                }
            }
            () = sleep_until_some(due), if !busy && due.is_some() && !batch.is_empty() => {}
            () = sleep_until(progress_due), if open && !reports && progress.has_news() => {}
        }
    }
    // Nobody wants it any more; the run must not wait for a reader. Its figures are wanted here.
    while let Some(event) = events.recv().await {
        if let RunEvent::Usage { usage } = event {
            flow.usage.send_replace(Some(usage));
        }
    }
}

fn piece(lease: HeldLease, chunk: u64, text: String) -> OutputParams {
    OutputParams {
        task_id: lease.task_id,
        fence: Some(lease.fence),
        worker_id: None,
        chunk: Some(chunk),
        text,
    }
}

fn so_far(lease: HeldLease, progress: &mut RunProgress) -> ProgressParams {
    ProgressParams {
        task_id: lease.task_id,
        fence: Some(lease.fence),
        worker_id: None,
        data: progress.tell(),
    }
}

/// What became of a document.
enum ProgressResult {
    Yes,
    /// The next one says it again.
    No,
    /// The lease is another's.
    Unwanted,
}

/// Sends one document, once.
async fn report(link: HubLink, params: ProgressParams) -> ProgressResult {
    match link.client().request(&params).await {
        Ok(_) | Err(CallError::BadAnswer { .. }) => ProgressResult::Yes,
        Err(CallError::Refused(error)) => match error.code {
            ErrorCode::StaleLease | ErrorCode::UnknownTask | ErrorCode::WrongState => {
                ProgressResult::Unwanted
            }
            ErrorCode::Busy => ProgressResult::No,
            _ => {
                tracing::debug!(%error, "the hub does not take how far the run is");
                ProgressResult::Yes
            }
        },
        Err(_) => ProgressResult::No,
    }
}

/// Sends a piece until it is answered. False when no further piece is wanted.
async fn send(link: HubLink, params: OutputParams) -> bool {
    loop {
        match link.client().request(&params).await {
            Ok(_) => return true,
            Err(CallError::Refused(error)) => match error.code {
                ErrorCode::StaleLease | ErrorCode::UnknownTask | ErrorCode::WrongState => {
                    return false;
                }
                ErrorCode::Busy => sleep(RESEND_PAUSE).await,
                _ => {
                    tracing::debug!(%error, "the hub does not take a piece of output");
                    return true;
                }
            },
            Err(CallError::BadAnswer { .. }) => return true,
            Err(_) => sleep(RESEND_PAUSE).await,
        }
    }
}
