//! Keeps the model up to date: background tasks that watch the hub and send requests to it.
//!
//! # Theory of operation
//!
//! There is no polling. One connection has a `watch` of all events except output. Each event marks the topics (list,
//! one task, pools, tree, inbox, runs, items, schedules) that it may have changed. Each topic has a refresher, which sends a request when its
//! topic is marked and on the screen. A refresher pauses after each answer, longer after a slow one: a busy hub gets
//! only a few requests per second and topic, and the last change is always shown. A key that changes the screen ends
//! the pause.
//!
//! The link task reports the state of the connection, and marks all topics after a reconnect. The output of the task on
//! the screen has a connection of its own.

pub mod actions;
pub mod fetch;
mod link;
pub mod output;
mod topics;

use super::action::HubAction;
use super::messages::{Interest, Update};
use crate::cli::each::actor;
use crate::cli::{Context, Failure, Globals, HubClient, Screen, StreamItem, WatchStream};
use kirosu_protocol::client::{Client, ClientOptions, ConnectionState, Endpoint};
use kirosu_protocol::{EVENT_KINDS, EventKind, WatchParams};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use topics::{Topics, start_refreshers};

/// Past events that are shown at the start.
const HISTORY: u64 = 300;
/// Updates that can wait for the model; more wait at the hub.
const QUEUE: usize = 256;
/// Pause before an ended watch is started again.
const PAUSE: Duration = Duration::from_millis(500);

/// A message of the feed.
#[derive(Debug)]
pub enum FeedMessage {
    /// An update for the model.
    Update(Box<Update>),
    /// The dashboard cannot continue.
    Failed(Failure),
}

/// Address of the hub, and the channel to the model.
#[derive(Clone)]
pub struct FeedContext {
    context: Arc<Context>,
    endpoint: Endpoint,
    options: ClientOptions,
    messages: mpsc::Sender<FeedMessage>,
}

impl FeedContext {
    /// Opens another connection. The times of its attempts are not reported.
    fn another(&self) -> HubClient {
        let options = ClientOptions {
            delays: link::delays().0,
            ..self.options.clone()
        };
        self.over(options)
    }

    fn over(&self, options: ClientOptions) -> HubClient {
        self.context
            .over(Client::start(self.endpoint.clone(), options))
    }

    async fn update(&self, update: Update) {
        self.report(FeedMessage::Update(update.into())).await;
    }

    async fn report(&self, message: FeedMessage) {
        // The receiver is gone when the dashboard ends.
        let _ = self.messages.send(message).await;
    }

    /// Waits until the hub is connected.
    async fn connected(&self, hub: &HubClient) {
        let mut state = hub.client.state();
        let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected(_));
        if state.wait_for(connected).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The running feed. Its tasks end with the runtime.
pub struct Feed {
    /// Messages of the feed.
    pub messages: mpsc::Receiver<FeedMessage>,
    interest: watch::Sender<Interest>,
    hub: HubClient,
    feed: FeedContext,
    topics: Arc<Topics>,
}

impl Feed {
    /// Starts the feed; the hub may start later.
    ///
    /// # Errors
    /// The settings have a fault.
    pub fn start(globals: &Globals, interest: Interest) -> Result<Feed, Failure> {
        // The dashboard shows the state of the connection; notes on standard error would damage the screen.
        let screen = Screen {
            quiet: true,
            ..Screen::default()
        };
        let context = Context {
            globals: globals.clone(),
            screen,
        };
        let (delays, again) = link::delays();
        let (endpoint, options) = context.address(delays)?;
        let (sender, messages) = mpsc::channel(QUEUE);
        let feed = FeedContext {
            context: Arc::new(context),
            endpoint,
            options,
            messages: sender,
        };
        let hub = feed.over(feed.options.clone());
        let (interest, current) = watch::channel(interest);
        let topics = Arc::new(Topics::default());
        tokio::spawn(link::run(feed.clone(), hub.clone(), again, topics.clone()));
        tokio::spawn(listen(
            feed.clone(),
            hub.clone(),
            topics.clone(),
            current.clone(),
        ));
        tokio::spawn(output::run(feed.clone(), current.clone()));
        start_refreshers(&feed, &hub, &topics, &current);
        Ok(Feed {
            messages,
            interest,
            hub,
            feed,
            topics,
        })
    }

    /// The hub's address, for people.
    pub fn endpoint(&self) -> &str {
        self.hub.client.endpoint()
    }

    /// Changes the data that is kept up to date.
    pub fn set_interest(&self, interest: Interest) {
        self.interest.send_if_modified(|now| {
            let other = *now != interest;
            *now = interest;
            other
        });
    }

    /// Sends an action to the hub; its outcome is reported as an update. All data is read again then, also after a refusal.
    pub fn act(&self, action: HubAction) {
        let (client, feed) = (self.hub.client.clone(), self.feed.clone());
        let topics = self.topics.clone();
        tokio::spawn(async move {
            let outcome = actions::act(&client, action, actor(&None)).await;
            feed.update(outcome).await;
            topics.mark_all();
        });
    }
}

/// Watches the hub until the dashboard ends.
async fn listen(
    feed: FeedContext,
    hub: HubClient,
    topics: Arc<Topics>,
    interest: watch::Receiver<Interest>,
) {
    let mut history = HISTORY;
    while !feed.messages.is_closed() {
        feed.connected(&hub).await;
        // The link task reports broken connections.
        let _ = listen_once(&feed, &hub, &topics, &interest, history).await;
        history = 0;
        sleep(PAUSE).await;
    }
}

async fn listen_once(
    feed: &FeedContext,
    hub: &HubClient,
    topics: &Topics,
    interest: &watch::Receiver<Interest>,
    history: u64,
) -> Result<(), Failure> {
    let mut events = WatchStream::start(hub, since(hub, history).await?).await?;
    topics.mark_all();
    loop {
        match events.next().await? {
            StreamItem::Missed => topics.mark_all(),
            StreamItem::Event(event) => {
                topics.mark(&event, interest.borrow().task);
                // Counts of steps would push all else out of the list of events.
                if !matches!(event.what, EventKind::Step { .. }) {
                    feed.update(Update::Event(event)).await;
                }
            }
        }
    }
}

/// Parameters to watch all events except output, starting `history` events ago.
pub async fn since(hub: &HubClient, history: u64) -> Result<WatchParams, Failure> {
    // A watch of almost no events returns the number of the newest one.
    let params = |kinds: &[&str], since| WatchParams {
        since,
        kinds: kinds.iter().map(ToString::to_string).collect(),
        ..WatchParams::default()
    };
    let newest = hub.request_idempotent(&params(&["hub"], None)).await?.seq;
    let kinds: Vec<&str> = EVENT_KINDS
        .into_iter()
        .filter(|kind| *kind != "output")
        .collect();
    Ok(params(&kinds, Some(newest.saturating_sub(history))))
}
