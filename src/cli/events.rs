//! A stream of the hub's events that survives reconnects.

use super::{Failure, HubClient};
use kirosu_protocol::client::{CallError, ConnectionState, Notification};
use kirosu_protocol::{Event, Notice, WatchParams};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// An item of the stream.
#[derive(Debug)]
pub enum StreamItem {
    /// Something happened.
    Event(Event),
    /// Some events are lost; the state must be read again.
    Missed,
}

/// The events since [`start`](WatchStream::start).
pub struct WatchStream {
    hub: HubClient,
    notifications: broadcast::Receiver<Arc<Notification>>,
    state: watch::Receiver<ConnectionState>,
    /// `since` is the number of the last event seen, `boot_id` the hub process that numbered it.
    params: WatchParams,
}

impl WatchStream {
    /// Subscribes to events. State that is read from the hub after this call can be combined with the events without a
    /// gap.
    ///
    /// # Errors
    /// The hub refuses, or does not come back after a broken connection.
    pub async fn start(hub: &HubClient, params: WatchParams) -> Result<WatchStream, Failure> {
        let mut events = WatchStream {
            hub: hub.clone(),
            notifications: hub.client.notifications(),
            state: hub.client.state(),
            params,
        };
        events.subscribe().await?;
        Ok(events)
    }

    /// Waits for the next item, also while the hub is away.
    ///
    /// # Errors
    /// The hub does not come back within a minute, or the client is closed.
    pub async fn next(&mut self) -> Result<StreamItem, Failure> {
        loop {
            tokio::select! {
                // Events that arrived before the connection broke come first.
                biased;
                notification = self.notifications.recv() => match notification {
                    Ok(notification) if notification.params["lagged"] == true => {
                        // The hub dropped a watch that was not read in time; subscribe again.
                        if self.subscribe().await? {
                            return Ok(StreamItem::Missed);
                        }
                    }
                    Ok(notification) => if let Some(event) = self.fresh(&notification) {
                        return Ok(StreamItem::Event(event));
                    },
                    Err(broadcast::error::RecvError::Lagged(_)) => return Ok(StreamItem::Missed),
                    Err(broadcast::error::RecvError::Closed) => return Err(self.closed()),
                },
                changed = self.state.changed() => {
                    if changed.is_err() {
                        return Err(self.closed());
                    }
                    if self.subscribe().await? {
                        return Ok(StreamItem::Missed);
                    }
                }
            }
        }
    }

    fn closed(&self) -> Failure {
        let endpoint = self.hub.client.endpoint().to_owned();
        CallError::Closed { endpoint }.into()
    }

    /// The event of a notification; `None` if it was returned before.
    fn fresh(&mut self, notification: &Notification) -> Option<Event> {
        let Some(Notice::Event(event)) = notification.notice() else {
            return None;
        };
        if self.params.since.is_some_and(|seen| event.seq <= seen) {
            return None;
        }
        self.params.since = Some(event.seq);
        Some(event)
    }

    /// Subscribes on the current connection. Returns whether events were lost before it.
    async fn subscribe(&mut self) -> Result<bool, Failure> {
        loop {
            let state = self.state.borrow_and_update().clone();
            let broken = match state {
                ConnectionState::Closed => return Err(self.closed()),
                ConnectionState::Connecting(why) => why.unwrap_or(CallError::Closed {
                    endpoint: self.hub.client.endpoint().to_owned(),
                }),
                ConnectionState::Connected(hello) => {
                    match self.hub.client.request(&self.params).await {
                        Ok(answer) => {
                            if self
                                .params
                                .boot_id
                                .as_ref()
                                .is_some_and(|old| *old != hello.boot_id)
                            {
                                // Another hub process counts from the start again, and sends all events that it has.
                                self.params.since = Some(0);
                            }
                            self.params.boot_id = Some(hello.boot_id.clone());
                            self.params.since.get_or_insert(answer.seq);
                            return Ok(answer.gap);
                        }
                        Err(broken @ CallError::Disconnected { .. }) => broken,
                        Err(other) => return Err(other.into()),
                    }
                }
            };
            self.hub.reconnected(broken).await?;
        }
    }
}
