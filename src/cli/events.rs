//! The hub's events, as a stream that survives reconnects.

use super::connect::Hub;
use super::failure::Failure;
use kirosu_protocol::client::{CallError, ConnectionState, Notification};
use kirosu_protocol::verbs::watch::WatchParams;
use kirosu_protocol::{Event, Notice};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// What comes out of the stream.
#[derive(Debug)]
pub enum Heard {
    /// Something happened.
    Event(Event),
    /// Some events are lost for good: the state has to be read anew.
    Missed,
}

/// Events from the moment of [`start`](Events::start) on.
pub struct Events {
    hub: Hub,
    notifications: broadcast::Receiver<Arc<Notification>>,
    state: watch::Receiver<ConnectionState>,
    /// `since` is the last event seen, and `boot_id` the hub that numbered it.
    ask: WatchParams,
}

impl Events {
    /// Starts to listen. What is read from the hub after this returned can be combined with the events without a gap.
    pub async fn start(hub: &Hub, ask: WatchParams) -> Result<Events, Failure> {
        let mut events = Events {
            hub: hub.clone(),
            notifications: hub.client.notifications(),
            state: hub.client.state(),
            ask,
        };
        events.subscribe().await?;
        Ok(events)
    }

    /// The next one. Waits for a hub that went away to come back, though not for ever.
    pub async fn next(&mut self) -> Result<Heard, Failure> {
        loop {
            tokio::select! {
                // What came before a break is told before it.
                biased;
                told = self.notifications.recv() => match told {
                    Ok(told) if told.params["lagged"] == true => {
                        // The hub has dropped a watch that was not read in time: it is asked for anew.
                        if self.subscribe().await? {
                            return Ok(Heard::Missed);
                        }
                    }
                    Ok(told) => if let Some(event) = self.fresh(&told) {
                        return Ok(Heard::Event(event));
                    },
                    Err(broadcast::error::RecvError::Lagged(_)) => return Ok(Heard::Missed),
                    Err(broadcast::error::RecvError::Closed) => return Err(self.closed()),
                },
                changed = self.state.changed() => {
                    if changed.is_err() {
                        return Err(self.closed());
                    }
                    if self.subscribe().await? {
                        return Ok(Heard::Missed);
                    }
                }
            }
        }
    }

    fn closed(&self) -> Failure {
        let endpoint = self.hub.client.endpoint().to_owned();
        CallError::Closed { endpoint }.into()
    }

    /// An event that was not told before.
    fn fresh(&mut self, told: &Notification) -> Option<Event> {
        let Some(Notice::Event(event)) = told.notice() else {
            return None;
        };
        if self.ask.since.is_some_and(|seen| event.seq <= seen) {
            return None;
        }
        self.ask.since = Some(event.seq);
        Some(event)
    }

    /// Asks for the events on the present connection; whether some were lost before it.
    async fn subscribe(&mut self) -> Result<bool, Failure> {
        loop {
            let state = self.state.borrow_and_update().clone();
            let broken = match state {
                ConnectionState::Closed => return Err(self.closed()),
                ConnectionState::Connecting(why) => why.unwrap_or(CallError::Closed {
                    endpoint: self.hub.client.endpoint().to_owned(),
                }),
                ConnectionState::Connected(hello) => {
                    match self.hub.client.request(&self.ask).await {
                        Ok(answer) => {
                            if self
                                .ask
                                .boot_id
                                .as_ref()
                                .is_some_and(|old| *old != hello.boot_id)
                            {
                                // Another hub process counts its events anew, and sends all that it has.
                                self.ask.since = Some(0);
                            }
                            self.ask.boot_id = Some(hello.boot_id.clone());
                            self.ask.since.get_or_insert(answer.seq);
                            return Ok(answer.gap);
                        }
                        Err(broken @ CallError::Disconnected { .. }) => broken,
                        Err(other) => return Err(other.into()),
                    }
                }
            };
            self.hub.returned(broken).await?;
        }
    }
}
