//! The inputs of a session, as streams of one type.

use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use kirosu_protocol::client::{Client, ConnectionState};
use kirosu_protocol::notice::Notice;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};

use crate::account::LeaseTurn;
use crate::options::PoolOptions;
use crate::pool::health::PoolHealth;

/// One input.
pub(super) enum SessionSignal {
    /// The state of the client of this number changed.
    Link { number: u32, state: ConnectionState },
    /// A notice of the hub.
    Notice(Notice),
    /// Whether the pool takes tasks.
    Health(bool),
    /// The pool may have a slot for this session.
    Room,
    /// The admission queue gave the session a turn.
    Turn(LeaseTurn),
    /// The options of the pool changed.
    Options,
    /// The drain is to be skipped.
    Hurry,
}

/// The states of a client, the present one first. Ends with the client.
pub(super) fn link(client: &Client, number: u32) -> impl Stream<Item = SessionSignal> + use<> {
    values(client.state()).map(move |state| SessionSignal::Link { number, state })
}

/// The hub's notices. Ends with the client.
pub(super) fn notices(client: &Client) -> impl Stream<Item = SessionSignal> + use<> {
    stream::unfold(client.notifications(), |mut notices| async move {
        loop {
            match notices.recv().await {
                Ok(notification) => {
                    if let Some(notice) = notification.notice() {
                        return Some((SessionSignal::Notice(notice), notices));
                    }
                }
                // The next heartbeat reports a cancel that was missed.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

/// Whether the pool takes tasks, the present state first.
pub(super) fn health(health: watch::Receiver<PoolHealth>) -> impl Stream<Item = SessionSignal> {
    values(health).map(|health| SessionSignal::Health(health.is_ready()))
}

/// Signals that the pool may have slots.
pub(super) fn room(room: watch::Receiver<()>) -> impl Stream<Item = SessionSignal> {
    values(room).map(|()| SessionSignal::Room)
}

/// Signals changes of the pool's options.
pub(super) fn options(
    options: watch::Receiver<Arc<PoolOptions>>,
) -> impl Stream<Item = SessionSignal> {
    stream::unfold(options, |mut options| async move {
        options.changed().await.ok()?;
        options.mark_unchanged();
        Some((SessionSignal::Options, options))
    })
}

/// The session's turns. Ends with its handle on the queue.
pub(super) fn turns(
    turns: mpsc::UnboundedReceiver<LeaseTurn>,
) -> impl Stream<Item = SessionSignal> {
    stream::unfold(turns, |mut turns| async move {
        let turn = turns.recv().await?;
        Some((SessionSignal::Turn(turn), turns))
    })
}

/// Signals that the drain is to be skipped.
pub(super) fn hurry(hurry: watch::Receiver<bool>) -> impl Stream<Item = SessionSignal> {
    values(hurry).filter_map(|hurry| std::future::ready(hurry.then_some(SessionSignal::Hurry)))
}

/// The values of a watch, the present one first.
fn values<T: Clone>(mut watch: watch::Receiver<T>) -> impl Stream<Item = T> {
    watch.mark_changed();
    stream::unfold(watch, |mut watch| async move {
        watch.changed().await.ok()?;
        let value = watch.borrow_and_update().clone();
        Some((value, watch))
    })
}
