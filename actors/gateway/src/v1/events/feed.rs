//! One subscription to the hub's events per key, for all clients with this key.

use super::item::{GapReason, SseItem, StreamPosition};
use super::ring::{EventRing, ReadItems};
use crate::link::{HubError, HubLink, RequestSlot};
use kirosu_protocol::client::{Client, ConnectionState, Notification};
use kirosu_protocol::{ErrorCode, WatchAnswer, WatchParams};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;

/// A subscription without clients ends after this time: a page that is loaded again finds its events.
const LINGER: Duration = Duration::from_secs(60);
/// Events before the number of the first client that are read too, for others that come back with it.
const EARLIER: u64 = 10_000;
/// Most notifications that are taken at once.
const BATCH: usize = 1000;
/// Maximum wait for the hub's answer to the first subscription.
const FIRST_TIMEOUT: Duration = Duration::from_secs(20);

/// The subscriptions by key. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EventFeeds {
    feeds: Arc<Mutex<HashMap<Option<String>, Arc<EventFeed>>>>,
    streams: Arc<AtomicUsize>,
    /// Most streams at once.
    most: usize,
}

impl EventFeeds {
    /// For a server with this number of connections, of which a quarter is left to other requests.
    pub(crate) fn new(connections: usize) -> EventFeeds {
        EventFeeds {
            feeds: Arc::default(),
            streams: Arc::default(),
            most: (connections - connections / 4).max(1),
        }
    }

    /// Reserves a place for a stream.
    ///
    /// # Errors
    /// `Refused` with `busy` if there is none.
    pub(super) fn enter(&self) -> Result<RequestSlot, HubError> {
        RequestSlot::take(&self.streams, self.most).ok_or_else(|| {
            let most = self.most;
            let message = format!(
                "the gateway serves {most} streams of events, its limit; try again later, or raise `connections` in [gateway]"
            );
            HubError::Refused(kirosu_protocol::Error::new(ErrorCode::Busy, message))
        })
    }

    /// The subscription for a key. A new one begins before `since`, if the hub still has those events.
    ///
    /// # Errors
    /// The hub refuses the subscription, or is unreachable.
    pub(super) async fn find(
        &self,
        key: Option<String>,
        hub: &HubLink,
        since: Option<&StreamPosition>,
    ) -> Result<Arc<EventFeed>, HubError> {
        // Fails immediately with a sentence when the hub is unreachable.
        hub.connected().await?;
        let feed = {
            let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
            feeds.retain(|_, feed| !feed.is_over());
            let start = || EventFeed::start(hub.new_client(), since.cloned());
            feeds.entry(key).or_insert_with(start).clone()
        };
        feed.ready().await?;
        Ok(feed)
    }
}

/// The state of a subscription.
#[derive(Clone, Debug)]
enum FeedState {
    Opening,
    Open,
    Ended(HubError),
}

/// A subscription, and the newest events.
pub(super) struct EventFeed {
    ring: Mutex<EventRing>,
    /// The position after the newest item.
    end: watch::Sender<u64>,
    state: watch::Sender<FeedState>,
    clients: AtomicUsize,
}

impl EventFeed {
    fn start(client: Client, since: Option<StreamPosition>) -> Arc<EventFeed> {
        let feed = Arc::new(EventFeed {
            ring: Mutex::default(),
            end: watch::Sender::new(0),
            state: watch::Sender::new(FeedState::Opening),
            clients: AtomicUsize::new(0),
        });
        let first = since.map(|since| StreamPosition {
            seq: since.seq.saturating_sub(EARLIER),
            ..since
        });
        let subscription = Subscription {
            feed: feed.clone(),
            client,
            resume: first,
            newest: 0,
        };
        tokio::spawn(subscription.run());
        feed
    }

    fn is_over(&self) -> bool {
        matches!(*self.state.borrow(), FeedState::Ended(_))
    }

    async fn ready(&self) -> Result<(), HubError> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, FeedState::Opening));
        match tokio::time::timeout(FIRST_TIMEOUT, settled).await {
            Ok(Ok(state)) => match &*state {
                FeedState::Ended(why) => Err(why.clone()),
                _ => Ok(()),
            },
            _ => Err(HubError::TimedOut(
                "the hub did not answer `watch` in time; try again later".to_owned(),
            )),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, EventRing> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the items from a position on, and the position of the newest event.
    pub(super) fn read(
        &self,
        at: u64,
        bytes: usize,
        takes: impl Fn(&SseItem) -> bool,
    ) -> (ReadItems, StreamPosition) {
        let ring = self.lock();
        (ring.read(at, bytes, takes), ring.newest())
    }

    /// Resolves when there are items after a position. `false` if there will be none.
    pub(super) async fn grown(&self, at: u64) -> bool {
        let (mut end, mut state) = (self.end.subscribe(), self.state.subscribe());
        let over = state.wait_for(|state| matches!(state, FeedState::Ended(_)));
        tokio::select! {
            grown = end.wait_for(|end| *end > at) => grown.is_ok(),
            _ = over => false,
        }
    }

    /// Counts a client until the returned value is dropped.
    pub(super) fn enter(self: &Arc<EventFeed>) -> FeedClient {
        self.clients.fetch_add(1, Ordering::Relaxed);
        FeedClient(self.clone())
    }

    /// The number of clients.
    pub(super) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    fn push(&self, items: impl IntoIterator<Item = SseItem>) {
        let mut ring = self.lock();
        items.into_iter().for_each(|item| ring.push(item));
        let end = ring.end();
        drop(ring);
        self.end.send_if_modified(|known| {
            let has_grown = *known != end;
            *known = end;
            has_grown
        });
    }
}

/// A client of a subscription.
pub(super) struct FeedClient(Arc<EventFeed>);

impl std::ops::Deref for FeedClient {
    type Target = EventFeed;

    fn deref(&self) -> &EventFeed {
        &self.0
    }
}

impl Drop for FeedClient {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The task that subscribes, again after each loss of the connection, and fills the ring.
struct Subscription {
    feed: Arc<EventFeed>,
    client: Client,
    /// The number after which events are missing.
    resume: Option<StreamPosition>,
    /// The newest event's number when the hub answered. Clients can go on once it is here.
    newest: u64,
}

/// The reason why a subscription over one connection is over.
enum Interruption {
    /// The connection broke, or the hub has dropped the subscription: subscribe again.
    Again,
    /// No further events can come.
    For(HubError),
}

impl Subscription {
    async fn run(mut self) {
        let why = loop {
            match self.once().await {
                Interruption::Again => {}
                Interruption::For(why) => break why,
            }
        };
        tracing::debug!(reason = %why, "a subscription to events has ended");
        self.feed.state.send_replace(FeedState::Ended(why));
        self.feed.lock().clear();
    }

    /// Subscribes over the next connection, and reads its events until it breaks.
    async fn once(&mut self) -> Interruption {
        let mut state = self.client.state();
        if let Err(why) = connected(&mut state).await {
            return Interruption::For(why);
        }
        let mut notifications = self.client.notifications();
        let (early, answer) = match self.subscribe(&mut notifications).await {
            Ok(subscribed) => subscribed,
            Err(why @ HubError::Refused(_)) => return Interruption::For(why),
            // The client reconnects by itself.
            Err(_) => {
                self.client.reconnect();
                let _ = tokio::time::timeout(LINGER, state.changed()).await;
                return Interruption::Again;
            }
        };
        self.begin(&answer);
        if self.take(&early) {
            return Interruption::Again;
        }
        self.follow(notifications, state).await
    }

    /// Sends `watch`, and collects the events that come before its answer is read.
    async fn subscribe(
        &self,
        notifications: &mut Receiver<Arc<Notification>>,
    ) -> Result<(Vec<Arc<Notification>>, WatchAnswer), HubError> {
        let watch = WatchParams {
            since: self.resume.as_ref().map(|it| it.seq),
            boot_id: self.resume.as_ref().map(|it| it.boot_id.to_string()),
            ..WatchParams::default()
        };
        let mut early = Vec::new();
        let answer = self.client.request(&watch);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return Ok((early, answer?)),
                Ok(notification) = notifications.recv() => early.push(notification),
            }
        }
    }

    fn begin(&mut self, answer: &WatchAnswer) {
        let boot_id = answer.boot_id.as_str();
        let is_same = |it: &&StreamPosition| *it.boot_id == *boot_id;
        let mut ring = self.feed.lock();
        let had_events = match (&self.resume, answer.gap) {
            (None, _) => ring.begin(boot_id, answer.seq, true),
            (Some(_), false) if ring.is_of(boot_id) => false,
            (Some(resume), false) => ring.begin(boot_id, resume.seq, true),
            // The hub sends the events that it still has; after another start of it, all since then.
            (resume, true) => {
                let known = resume.as_ref().filter(is_same).map_or(0, |it| it.seq);
                // A client may name a number that the hub has not reached.
                let known = if known > answer.seq { 0 } else { known };
                ring.begin(boot_id, known, false)
            }
        };
        let is_restart = self.resume.as_ref().filter(is_same).is_none();
        self.resume = Some(ring.newest());
        self.newest = answer.seq;
        drop(ring);
        if had_events {
            let reason = match is_restart {
                true => GapReason::Restarted,
                false => GapReason::Expired,
            };
            self.feed.push([SseItem::gap(reason)]);
        }
    }

    async fn follow(
        &mut self,
        mut notifications: Receiver<Arc<Notification>>,
        mut state: watch::Receiver<ConnectionState>,
    ) -> Interruption {
        let mut idle_since = None;
        let mut tick = tokio::time::interval(LINGER / 4);
        loop {
            tokio::select! {
                biased;
                received = notifications.recv() => match received {
                    Ok(first) => {
                        let more = std::iter::from_fn(|| notifications.try_recv().ok());
                        let all: Vec<_> = std::iter::once(first).chain(more.take(BATCH)).collect();
                        if self.take(&all) {
                            return Interruption::Again;
                        }
                    }
                    Err(RecvError::Lagged(_)) => {
                        // The lost ones come again over a new connection.
                        self.client.reconnect();
                        return Interruption::Again;
                    }
                    Err(RecvError::Closed) => return Interruption::For(closed()),
                },
                _ = state.changed() => return Interruption::Again,
                _ = tick.tick() => {
                    let now = Instant::now();
                    let since = match self.feed.clients() {
                        0 => *idle_since.get_or_insert(now),
                        _ => {
                            idle_since = None;
                            now
                        }
                    };
                    if now.duration_since(since) >= LINGER {
                        return Interruption::For(closed());
                    }
                }
            }
        }
    }

    /// Takes notifications. Returns whether the hub has ended the subscription.
    fn take(&mut self, notifications: &[Arc<Notification>]) -> bool {
        let mut is_over = false;
        let items = notifications.iter().filter_map(|notification| {
            let params = &notification.params;
            match notification.method.as_str() {
                "event" if params["lagged"] == true => {
                    is_over = true;
                    None
                }
                "event" => SseItem::event(params),
                "approval" => Some(SseItem::approval(params)),
                _ => None,
            }
        });
        let items: Vec<SseItem> = items.collect();
        self.feed.push(items);
        let newest = self.feed.lock().newest();
        if newest.seq >= self.newest {
            self.feed.state.send_if_modified(|state| {
                let is_new = matches!(state, FeedState::Opening);
                *state = FeedState::Open;
                is_new
            });
        }
        self.resume = Some(newest);
        is_over
    }
}

fn closed() -> HubError {
    HubError::Unreachable("the stream of events was closed; connect again".to_owned())
}

/// Waits for a connection.
///
/// # Errors
/// `Refused` if the hub does not know the key any more.
async fn connected(state: &mut watch::Receiver<ConnectionState>) -> Result<(), HubError> {
    let settled = state.wait_for(|state| match state {
        ConnectionState::Connected(_) | ConnectionState::Closed => true,
        ConnectionState::Connecting(Some(error)) => error
            .refusal()
            .is_some_and(|refusal| refusal.code == ErrorCode::Unauthorized),
        ConnectionState::Connecting(None) => false,
    });
    match settled.await.as_deref() {
        Ok(ConnectionState::Connected(_)) => Ok(()),
        Ok(ConnectionState::Connecting(Some(error))) => Err(error.clone().into()),
        _ => Err(closed()),
    }
}
