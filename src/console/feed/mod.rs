//! What keeps the model up to date: tasks in the background that listen to the hub and ask it.
//!
//! # Theory of operation
//!
//! Nothing is polled. One connection carries a `watch` of everything but output; each event marks the topics (list, one
//! task, agents, tree) that it may have changed, and a keeper for each topic asks the hub anew when its mark is set and
//! the topic is on the screen. A keeper rests after each answer, longer after a slow one: however much happens, a topic
//! is asked for a few times a second, and the last change is always seen. A key that wants something else ends the rest.
//!
//! The link's task tells how the connection stands, and marks everything when it stands again. The output of the task
//! that is looked at has a connection of its own.

pub mod fetch;
mod link;
pub mod output;
mod topics;

use super::model::Act;
use super::news::{News, Want};
use crate::cli::connect::{Context, Hub};
use crate::cli::each::actor;
use crate::cli::events::{Events, Heard};
use crate::cli::failure::Failure;
use crate::cli::globals::Globals;
use crate::cli::show::Screen;
use kirosu_protocol::client::{Client, ClientOptions, ConnectionState, Endpoint};
use kirosu_protocol::verbs::answer::AnswerParams;
use kirosu_protocol::verbs::watch::{KINDS, WatchParams};
use kirosu_protocol::{Subject, TaskId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use topics::{Topics, keep};

/// Events of before that are shown at the start.
const HISTORY: u64 = 300;
/// News that may wait to be taken in; more wait at the hub.
const QUEUE: usize = 256;
/// Before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_millis(500);

/// What the feed tells.
#[derive(Debug)]
pub enum Told {
    /// For the model.
    News(Box<News>),
    /// It cannot go on.
    Failed(Failure),
}

/// How to reach the hub, and whom to tell.
#[derive(Clone)]
pub struct Line {
    context: Arc<Context>,
    endpoint: Endpoint,
    options: ClientOptions,
    news: mpsc::Sender<Told>,
}

impl Line {
    /// One more connection; its pauses are told nobody.
    fn another(&self) -> Hub {
        let options = ClientOptions {
            delays: link::delays().0,
            ..self.options.clone()
        };
        self.over(options)
    }

    fn over(&self, options: ClientOptions) -> Hub {
        self.context
            .over(Client::start(self.endpoint.clone(), options))
    }

    async fn tell(&self, told: Told) {
        // Nobody listens any more when the dashboard ends.
        let _ = self.news.send(told).await;
    }

    /// Waits until the connection stands.
    async fn stands(&self, hub: &Hub) {
        let mut state = hub.client.state();
        let stands = |state: &ConnectionState| matches!(state, ConnectionState::Connected(_));
        if state.wait_for(stands).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The running feed; dropped, it ends with the runtime.
pub struct Feed {
    /// What it tells.
    pub news: mpsc::Receiver<Told>,
    want: watch::Sender<Want>,
    hub: Hub,
    line: Line,
}

impl Feed {
    /// Starts to listen; the hub may come later.
    pub fn start(globals: &Globals, want: Want) -> Result<Feed, Failure> {
        // What it has to tell of the connection stands on the screen, not in between.
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
        let (told, news) = mpsc::channel(QUEUE);
        let line = Line {
            context: Arc::new(context),
            endpoint,
            options,
            news: told,
        };
        let hub = line.over(line.options.clone());
        let (want, wanted) = watch::channel(want);
        let topics = Arc::new(Topics::default());
        tokio::spawn(link::run(line.clone(), hub.clone(), again, topics.clone()));
        tokio::spawn(listen(
            line.clone(),
            hub.clone(),
            topics.clone(),
            wanted.clone(),
        ));
        tokio::spawn(output::run(line.clone(), wanted.clone()));
        keep(&line, &hub, &topics, &wanted);
        Ok(Feed {
            news,
            want,
            hub,
            line,
        })
    }

    /// The hub's address, for people.
    pub fn endpoint(&self) -> &str {
        self.hub.client.endpoint()
    }

    /// Something else is on the screen.
    pub fn want(&self, want: Want) {
        self.want.send_if_modified(|now| {
            let other = *now != want;
            *now = want;
            other
        });
    }

    /// Asks the hub for an action; what came of it is told.
    pub fn act(&self, act: Act, subject: Subject) {
        let (client, line) = (self.hub.client.clone(), self.line.clone());
        tokio::spawn(async move {
            let news = fetch::act(&client, act, subject, actor(&None)).await;
            line.tell(Told::News(news.into())).await;
        });
    }

    /// Sends an answer to a `human` task; the outcome is reported as news.
    pub fn answer(&self, task_id: TaskId, text: String) {
        let (client, line) = (self.hub.client.clone(), self.line.clone());
        tokio::spawn(async move {
            let by = actor(&None);
            let news = fetch::answer(&client, AnswerParams { task_id, text, by }).await;
            line.tell(Told::News(news.into())).await;
        });
    }
}

/// Listens to the hub, for ever.
async fn listen(line: Line, hub: Hub, topics: Arc<Topics>, want: watch::Receiver<Want>) {
    let mut history = HISTORY;
    while !line.news.is_closed() {
        line.stands(&hub).await;
        // The link tells of a broken connection.
        let _ = listen_once(&line, &hub, &topics, &want, history).await;
        history = 0;
        sleep(PAUSE).await;
    }
}

async fn listen_once(
    line: &Line,
    hub: &Hub,
    topics: &Topics,
    want: &watch::Receiver<Want>,
    history: u64,
) -> Result<(), Failure> {
    let mut events = Events::start(hub, since(hub, history).await?).await?;
    topics.mark_all();
    loop {
        match events.next().await? {
            Heard::Missed => topics.mark_all(),
            Heard::Event(event) => {
                topics.mark(&event, want.borrow().task);
                line.tell(Told::News(News::Event(event).into())).await;
            }
        }
    }
}

/// A watch of everything but output, from so many events ago on.
pub async fn since(hub: &Hub, history: u64) -> Result<WatchParams, Failure> {
    // A watch that hears nearly nothing says which number is the newest.
    let ask = |kinds: &[&str], since| WatchParams {
        since,
        kinds: kinds.iter().map(ToString::to_string).collect(),
        ..WatchParams::default()
    };
    let newest = hub.insist(&ask(&["hub"], None)).await?.seq;
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| *kind != "output").collect();
    Ok(ask(&kinds, Some(newest.saturating_sub(history))))
}
