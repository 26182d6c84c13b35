//! What a run prints, on its way to the hub: in order, in batches, and never in the run's way.
//!
//! One piece is under way at a time, under a number that stays the same when it is sent again. What comes meanwhile is
//! kept, which is bounded by the pool's limit for the whole run; the run itself never waits for the hub.

use std::time::Duration;

use kirosu_protocol::ErrorCode;
use kirosu_protocol::client::CallError;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::verbs::output::OutputAsk;
use kirosu_providers::{Event, EventStream};
use tokio::time::{Instant, sleep, sleep_until};

use crate::session::link::Line;

/// How long the first byte of a piece waits for others.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// A piece of this size leaves at once, and none is longer.
const BATCH_BYTES: usize = 16 << 10;
/// Pause before a piece is sent again.
const RESEND_PAUSE: Duration = Duration::from_millis(250);

/// The text between the run and the hub.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: String,
    /// Bytes taken so far, over the whole run.
    taken: usize,
    limit: usize,
    cut: bool,
}

impl Batch {
    /// Takes at most `limit` bytes over the whole run.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        if self.cut {
            return;
        }
        if self.taken.saturating_add(text.len()) > self.limit {
            self.cut = true;
            let room = floor(text, self.limit - self.taken);
            self.text.push_str(&text[..room]);
            let mark = format!(
                "\n[kirosu: output beyond {} bytes is not shown]\n",
                self.limit
            );
            self.text.push_str(&mark);
            return;
        }
        self.taken += text.len();
        self.text.push_str(text);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn is_full(&self) -> bool {
        self.text.len() >= BATCH_BYTES
    }

    /// The next piece, at most [`BATCH_BYTES`] long, cut between characters.
    pub(super) fn take(&mut self) -> String {
        let end = floor(&self.text, BATCH_BYTES);
        let rest = self.text.split_off(end);
        std::mem::replace(&mut self.text, rest)
    }
}

/// The greatest border between characters that is not beyond `at`.
fn floor(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    (0..=at)
        .rev()
        .find(|index| text.is_char_boundary(*index))
        .unwrap_or(0)
}

/// Pumps until the run has ended and all is told, or the hub says that the lease is another's.
pub(super) async fn pump(mut events: EventStream, line: Line, lease: HeldLease, limit: usize) {
    let mut batch = Batch::new(limit);
    let mut chunk = 0;
    let mut due: Option<Instant> = None;
    let mut open = true;
    let sending = futures_util::future::OptionFuture::from(None);
    tokio::pin!(sending);
    let mut busy = false;
    loop {
        if !busy && !batch.is_empty() {
            let now = due.is_none_or(|due| due <= Instant::now());
            if now || batch.is_full() || !open {
                let ask = piece(lease, chunk, batch.take());
                chunk += 1;
                sending.set(Some(send(line.clone(), ask)).into());
                busy = true;
                due = None;
            }
        }
        if !open && !busy && batch.is_empty() {
            return;
        }
        tokio::select! {
            event = events.recv(), if open => match event {
                Some(event) => {
                    if let Some(text) = printed(&event) {
                        batch.push(text);
                        due = due.or_else(|| Some(Instant::now() + BATCH_TIME));
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
                due = Some(Instant::now());
            }
            () = until(due), if !busy && due.is_some() => {}
        }
    }
    // Nobody wants it any more; the run must not wait for a reader.
    while events.recv().await.is_some() {}
}

async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}

fn piece(lease: HeldLease, chunk: u64, text: String) -> OutputAsk {
    OutputAsk {
        task_id: lease.task_id,
        fence: Some(lease.fence),
        worker_id: None,
        chunk: Some(chunk),
        text,
    }
}

/// What a person who watches the run should read.
fn printed(event: &Event) -> Option<&str> {
    match event {
        Event::Text { text } | Event::Stderr { text } => Some(text),
        Event::Warning { message } => Some(message),
        _ => None,
    }
}

/// Sends a piece until it is answered. False when no further piece is wanted.
async fn send(line: Line, ask: OutputAsk) -> bool {
    loop {
        match line.client().request(&ask).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn all(batch: &mut Batch) -> Vec<String> {
        let mut pieces = Vec::new();
        while !batch.is_empty() {
            pieces.push(batch.take());
        }
        pieces
    }

    #[test]
    fn pieces_are_bounded_and_cut_between_characters() {
        let text = "wörter ".repeat(5000);
        let mut batch = Batch::new(usize::MAX);
        batch.push(&text);
        let pieces = all(&mut batch);
        assert!(pieces.len() > 1 && pieces.iter().all(|p| p.len() <= BATCH_BYTES));
        assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn what_waits_for_the_hub_is_kept_up_to_the_limit() {
        let mut batch = Batch::new(1 << 20);
        batch.push(&"a".repeat(1 << 19));
        batch.take();
        batch.push(&"b".repeat(1 << 19));
        let rest = all(&mut batch).concat();
        assert_eq!(rest.len(), (1 << 20) - BATCH_BYTES);
    }

    #[test]
    fn output_beyond_the_limit_is_cut_once() {
        let mut batch = Batch::new(4);
        batch.push("abö");
        batch.push("öx");
        batch.push("y");
        let shown = all(&mut batch).concat();
        assert_eq!(shown, "abö\n[kirosu: output beyond 4 bytes is not shown]\n");
    }
}
