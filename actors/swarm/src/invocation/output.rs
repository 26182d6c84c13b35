//! Sends a run's output to the hub: in order, in pieces, without delaying the run.
//!
//! The text for people goes as numbered pieces of output. One piece is sent at a time; it keeps its number when it is
//! sent again. Text that arrives meanwhile is buffered, up to the pool's limit for the whole run; the run never waits for
//! the hub. The run's progress (tools, model, usage) goes separately: only the newest, at most one document per second,
//! and none for a run shorter than a second.
//!
//! Usage is published inside this process, too: [`OutputFlow::usage`] holds the totals of the run, `None` before the
//! first.

use std::time::Duration;

use kirosu_protocol::client::CallError;
use kirosu_protocol::{ErrorCode, HeldLease, OutputParams, ProgressParams};
use kirosu_providers::{EventStream, RunEvent, RunUsage};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::batch::OutputBatch;
use super::printed::Printed;
use super::progress::RunProgress;
use crate::link::SessionLink;
use crate::sleep_until::sleep_until_some;

/// How long the first byte of a piece waits for more, and the pause between pieces: a person who watches sees output
/// within 100 ms (docs/dashboard.md).
const BATCH_TIME: Duration = Duration::from_millis(50);
/// Pause before a piece is sent again.
const RESEND_PAUSE: Duration = Duration::from_millis(250);
/// Time before the first progress document, and between two.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// The destination of a run's events.
pub(super) struct OutputFlow {
    pub(super) link: SessionLink,
    pub(super) lease: HeldLease,
    /// Maximum output of the whole run, in bytes.
    pub(super) limit: usize,
    /// Whether the output contains the model's reasoning.
    pub(super) thoughts: bool,
    /// Receives the run's usage whenever the provider reports it.
    pub(super) usage: watch::Sender<Option<RunUsage>>,
}

/// Sends output and progress until the run has ended and all is sent, or the hub says that another session has the
/// lease.
pub(super) async fn pump(mut events: EventStream, flow: OutputFlow) {
    let OutputFlow { link, lease, .. } = &flow;
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
        if !reports && progress.has_changes() {
            // The progress of a short run is part of its end.
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
                // With an empty batch no timer may run: one that is over would wake this loop for ever.
                due = (!batch.is_empty()).then_some(next_piece);
            }
            result = &mut reporting, if reports => {
                reports = false;
                reporting.set(None.into());
                match result {
                    Some(ProgressResult::No) if open => progress.mark_unsent(),
                    Some(ProgressResult::Unwanted) => break,
                    _ => {}
                }
            }
            () = sleep_until_some(due), if !busy && due.is_some() && !batch.is_empty() => {}
            () = sleep_until(progress_due), if open && !reports && progress.has_changes() => {}
        }
    }
    // The hub wants no more output. The events are still received, as the run must not wait and the budget needs the
    // usage.
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
        data: progress.document(),
    }
}

/// The result of sending a progress document.
enum ProgressResult {
    Yes,
    /// Not sent; the next one contains the same.
    No,
    /// Another session has the lease.
    Unwanted,
}

/// Sends one document, once.
async fn report(link: SessionLink, params: ProgressParams) -> ProgressResult {
    match link.client().request(&params).await {
        Ok(_) | Err(CallError::BadAnswer { .. }) => ProgressResult::Yes,
        Err(CallError::Refused(error)) => match error.code {
            ErrorCode::StaleLease | ErrorCode::UnknownTask | ErrorCode::WrongState => {
                ProgressResult::Unwanted
            }
            ErrorCode::Busy => ProgressResult::No,
            _ => {
                tracing::debug!(%error, "the hub refused a progress document");
                ProgressResult::Yes
            }
        },
        Err(_) => ProgressResult::No,
    }
}

/// Sends a piece until it is answered. Returns false if no more pieces are wanted.
async fn send(link: SessionLink, params: OutputParams) -> bool {
    loop {
        match link.client().request(&params).await {
            Ok(_) => return true,
            Err(CallError::Refused(error)) => match error.code {
                ErrorCode::StaleLease | ErrorCode::UnknownTask | ErrorCode::WrongState => {
                    return false;
                }
                ErrorCode::Busy => sleep(RESEND_PAUSE).await,
                _ => {
                    tracing::debug!(%error, "the hub refused a piece of output");
                    return true;
                }
            },
            Err(CallError::BadAnswer { .. }) => return true,
            Err(_) => sleep(RESEND_PAUSE).await,
        }
    }
}
