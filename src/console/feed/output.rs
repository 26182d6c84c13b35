//! The output of the task on the screen. It has a connection of its own, because a watch ends only with its connection:
//! otherwise the output of every task that was ever opened would arrive.

use super::{FeedContext, PAUSE};
use crate::cli::logs::{ChunkOrder, OutputPosition};
use crate::cli::{Failure, HubClient, StreamItem, WatchStream};
use crate::console::messages::{Interest, OutputUpdate, Update};
use crate::console::view::View;
use kirosu_protocol::{EventKind, GetParams, TaskId, WatchParams};
use tokio::sync::watch;
use tokio::time::sleep;

/// Follows the task on the screen until the dashboard ends.
pub async fn run(feed: FeedContext, mut interest: watch::Receiver<Interest>) {
    let shown = |interest: &Interest| interest.task.filter(|_| interest.view == View::Task);
    loop {
        let task = shown(&interest.borrow_and_update());
        let changed = interest.wait_for(|interest| shown(interest) != task);
        let Some(task) = task else {
            if changed.await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            changed = changed => if changed.is_err() {
                return;
            },
            () = follow(&feed, task) => {}
        }
    }
}

/// Follows one task until the dashboard ends.
async fn follow(feed: &FeedContext, task: TaskId) {
    let hub = feed.another();
    while !feed.messages.is_closed() {
        feed.connected(&hub).await;
        // The link task reports broken connections.
        let _ = follow_once(feed, &hub, task).await;
        sleep(PAUSE).await;
    }
}

async fn follow_once(feed: &FeedContext, hub: &HubClient, task_id: TaskId) -> Result<(), Failure> {
    let params = WatchParams {
        task_id: Some(task_id),
        kinds: vec!["output".into()],
        ..WatchParams::default()
    };
    let mut events = WatchStream::start(hub, params).await?;
    let mut at = whole(feed, hub, task_id).await?;
    loop {
        let StreamItem::Event(event) = events.next().await? else {
            at = whole(feed, hub, task_id).await?;
            continue;
        };
        let EventKind::Output {
            fence, chunk, text, ..
        } = event.what
        else {
            continue;
        };
        let cut = false;
        let output = match at.compare(fence, chunk) {
            ChunkOrder::Known => continue,
            ChunkOrder::Gap => {
                at = whole(feed, hub, task_id).await?;
                continue;
            }
            ChunkOrder::NewAttempt => OutputUpdate::Whole { fence, text, cut },
            ChunkOrder::Next => OutputUpdate::More(text),
        };
        (at.fence, at.chunk) = (fence, chunk + 1);
        feed.update(Update::Output(task_id, output)).await;
    }
}

/// Reads the newest attempt's whole output and returns its end.
async fn whole(
    feed: &FeedContext,
    hub: &HubClient,
    task_id: TaskId,
) -> Result<OutputPosition, Failure> {
    let (output, at) = read(hub, task_id).await?;
    feed.update(Update::Output(task_id, output)).await;
    Ok(at)
}

/// The newest attempt's whole output, and its end.
pub async fn read(
    hub: &HubClient,
    task_id: TaskId,
) -> Result<(OutputUpdate, OutputPosition), Failure> {
    let params = GetParams {
        task_id,
        output: true,
        ..GetParams::default()
    };
    let answer = hub.request_idempotent(&params).await?;
    let newest = answer.output.into_iter().flatten().next_back();
    let newest = newest.unwrap_or_default();
    let at = OutputPosition {
        fence: newest.fence,
        chunk: newest.next_chunk.unwrap_or(0),
        ..OutputPosition::default()
    };
    let output = OutputUpdate::Whole {
        fence: newest.fence,
        text: newest.text,
        cut: newest.cut,
    };
    Ok((output, at))
}
