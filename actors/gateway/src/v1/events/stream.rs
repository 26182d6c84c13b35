//! The events of one client.

use super::coalesce::coalesce;
use super::feed::FeedClient;
use super::item::{GapReason, ItemName, SseItem, StreamPosition, write_alive, write_frame};
use crate::link::RequestSlot;
use actix_web::web::{Bytes, BytesMut};
use kirosu_protocol::TaskId;
use kirosu_supervision::StopToken;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Longest time without a byte: proxies and clients take a longer silence for a dead connection.
const ALIVE: Duration = Duration::from_secs(15);
/// Time between two reads, per client of the same subscription: many clients get events in larger pieces.
const PAUSE_PER_CLIENT: Duration = Duration::from_micros(200);
/// Longest time between two reads.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// Most bytes of events in one read.
const READ_BYTES: usize = 256 << 10;
/// Most bytes of events in one batch.
const BATCH_BYTES: usize = 8 << 20;

/// The events that a client wants.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamFilter {
    pub(super) task_id: Option<TaskId>,
    /// Empty means all.
    pub(super) kinds: Vec<String>,
}

impl StreamFilter {
    pub(super) fn takes(&self, item: &SseItem) -> bool {
        if matches!(item.name, ItemName::Gap(_)) {
            return true;
        }
        let is_kind = |kind: &String| *kind == *item.kind;
        (self.kinds.is_empty() || self.kinds.iter().any(is_kind))
            && self
                .task_id
                .is_none_or(|wanted| item.task_id == Some(wanted))
    }
}

/// A client's stream.
pub(super) struct SseClientStream {
    pub(super) feed: FeedClient,
    /// The position of the next item.
    pub(super) at: u64,
    pub(super) filter: StreamFilter,
    /// Time between two batches. `None`: each event for itself.
    pub(super) coalesce: Option<Duration>,
    /// The beginning of the stream.
    pub(super) first: Option<Bytes>,
    pub(super) last: Instant,
    pub(super) _slot: RequestSlot,
    pub(super) stop: StopToken,
}

impl SseClientStream {
    /// The next bytes. `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            self.last = Instant::now();
            return Some(first);
        }
        let stop = self.stop.clone();
        let next = self.wait_and_read();
        tokio::select! {
            () = stop.requested() => None,
            bytes = next => bytes,
        }
    }

    async fn wait_and_read(&mut self) -> Option<Bytes> {
        let alive = self.last + ALIVE;
        sleep_until(self.last + self.pause()).await;
        loop {
            let bytes = self.read();
            if !bytes.is_empty() {
                self.last = Instant::now();
                return Some(bytes);
            }
            tokio::select! {
                has_grown = self.feed.grown(self.at) => {
                    if !has_grown {
                        return None;
                    }
                }
                () = sleep_until(alive) => {
                    self.last = Instant::now();
                    let mut out = BytesMut::new();
                    let newest = self.feed.lock().newest();
                    write_alive(&mut out, Some(&newest));
                    return Some(out.freeze());
                }
            }
        }
    }

    fn pause(&self) -> Duration {
        self.coalesce.unwrap_or_else(|| {
            let clients = u32::try_from(self.feed.clients()).unwrap_or(u32::MAX);
            PAUSE_PER_CLIENT.saturating_mul(clients).min(PAUSE_MAX)
        })
    }

    /// The frames of the items that are there.
    fn read(&mut self) -> Bytes {
        let bytes = match self.coalesce {
            None => READ_BYTES,
            Some(_) => BATCH_BYTES,
        };
        let (read, newest) = self
            .feed
            .read(self.at, bytes, |item| self.filter.takes(item));
        self.at = read.at;
        let mut out = BytesMut::new();
        let is_known = matches!(
            read.items.first().map(|item| item.name),
            Some(ItemName::Gap(_))
        );
        if read.missed && !is_known {
            write_gap(&mut out, GapReason::Slow, None);
        }
        match self.coalesce {
            None => write_items(&mut out, &newest.boot_id, &read.items),
            Some(_) => write_batch(&mut out, &newest.boot_id, &read.items),
        }
        out.freeze()
    }
}

/// Appends the event `gap`.
pub(super) fn write_gap(out: &mut BytesMut, reason: GapReason, from: Option<&StreamPosition>) {
    let item = SseItem::gap(reason);
    let id = from.map(|from| from as &dyn std::fmt::Display);
    write_frame(out, id, "gap", &item.data);
}

fn write_items(out: &mut BytesMut, boot_id: &Arc<str>, items: &[Arc<SseItem>]) {
    for item in items {
        let position = item.seq.map(|seq| StreamPosition {
            boot_id: boot_id.clone(),
            seq,
        });
        let id = position.as_ref().map(|it| it as &dyn std::fmt::Display);
        let name = match item.name {
            ItemName::Event => "event",
            ItemName::Approval => "approval",
            ItemName::Gap(_) => "gap",
        };
        write_frame(out, id, name, &item.data);
    }
}

/// Appends the items as one event `batch`, with what is not an event before it.
fn write_batch(out: &mut BytesMut, boot_id: &Arc<str>, items: &[Arc<SseItem>]) {
    let (events, others): (Vec<_>, Vec<_>) = items
        .iter()
        .cloned()
        .partition(|item| item.name == ItemName::Event);
    write_items(out, boot_id, &others);
    let Some(seq) = events.last().and_then(|item| item.seq) else {
        return;
    };
    let position = StreamPosition {
        boot_id: boot_id.clone(),
        seq,
    };
    write_frame(out, Some(&position), "batch", &coalesce(&events).data());
}
