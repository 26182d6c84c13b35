//! The terminal dashboard.
//!
//! # Theory of operation
//!
//! As in Elm: [`model`] is everything on the screen as one value, [`update`] takes keys in, [`views`] draws the value and
//! changes nothing. None of them waits or looks at a clock. [`feed`] speaks to the hub and tells news; [`terminal`] holds
//! the terminal and gives it back however we end. The loop below passes keys, news and time to the model, tells the feed
//! what is on the screen now, and draws: at once when the last frame is old enough, otherwise when it is, and never when
//! nothing has changed. Ages grow by themselves once a second.
//!
//! What tasks print and ask is not trusted: [`clean`] takes out whatever could steer a terminal.

pub mod clean;
mod feed;
mod frames;
mod list;
pub mod model;
mod news;
mod pane;
mod plain;
mod query;
mod rate;
mod row;
mod tasks;
mod terminal;
#[cfg(test)]
mod tests;
pub mod transcript;
mod update;
mod views;

pub use plain::{Plain, plain};

use crate::cli::connect::Context;
use crate::cli::failure::Failure;
use crate::cli::show::time;
use feed::{Feed, Told};
use frames::Frames;
use jiff::tz::TimeZone;
use kirosu_protocol::TaskId;
use model::{Model, View};
use news::Effect;
use query::Query;
use std::time::Duration;
use terminal::{Input, Screen};
use tokio::time::{Instant, sleep_until};

/// News taken in before a frame that is due is drawn.
const GULP: usize = 512;
/// From one look at the clock to the next.
const TICK: Duration = Duration::from_secs(1);

/// What the dashboard begins with.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// The screen.
    pub view: View,
    /// The task looked at.
    pub task: Option<TaskId>,
    /// The screen's filter.
    pub filter: String,
    /// The zone of the times that are shown; `None`: UTC.
    pub zone: Option<TimeZone>,
}

impl Begin {
    /// The model at the beginning.
    fn model(&self, hub: &str, size: (u16, u16)) -> Result<Model, Failure> {
        let mut model = Model::new(hub, self.view, size, time::now());
        model.zone.clone_from(&self.zone);
        if self.view == View::Tasks {
            let query = Query::read(&self.filter)
                .map_err(|why| Failure::Usage(format!("cannot read --filter: {why}")))?;
            model.tasks.filter(query);
        }
        model.filters[self.view as usize].clone_from(&self.filter);
        if let Some(id) = self.task {
            model.open(id);
        }
        Ok(model)
    }
}

/// Shows it until somebody leaves, or it cannot go on.
pub async fn run(begin: &Begin, context: &Context) -> Result<u8, Failure> {
    let model = begin.model("", (80, 24))?;
    let feed = Feed::start(&context.globals, model.want())?;
    let screen = Screen::open(context.screen.colour)?;
    Console::new(begin, feed, screen)?.run().await
}

/// The running dashboard.
struct Console {
    model: Model,
    feed: Feed,
    screen: Screen,
    frames: Frames,
}

impl Console {
    fn new(begin: &Begin, feed: Feed, screen: Screen) -> Result<Console, Failure> {
        Ok(Console {
            model: begin.model(feed.endpoint(), screen.size())?,
            feed,
            screen,
            frames: Frames::default(),
        })
    }

    async fn run(mut self) -> Result<u8, Failure> {
        let mut news = Vec::with_capacity(GULP);
        let mut tick = Instant::now();
        loop {
            self.feed.want(self.model.want());
            let draw = self.frames.due();
            tokio::select! {
                biased;
                input = self.screen.next() => if let Some(code) = self.input(input?)? {
                    return Ok(code);
                },
                () = sleep_until(draw.unwrap_or_else(Instant::now)), if draw.is_some() => {
                    self.screen.draw(&mut self.model)?;
                    self.frames.drawn(Instant::now());
                }
                count = self.feed.news.recv_many(&mut news, GULP) => {
                    if count == 0 {
                        return Ok(0);
                    }
                    self.hear(&mut news)?;
                }
                () = sleep_until(tick) => {
                    tick = Instant::now() + TICK;
                    self.change();
                }
            }
        }
    }

    /// Something is different: time has passed too.
    fn change(&mut self) {
        self.model.pass(time::now());
        self.frames.changed();
    }

    fn hear(&mut self, news: &mut Vec<Told>) -> Result<(), Failure> {
        self.change();
        for told in news.drain(..) {
            match told {
                Told::News(news) => self.model.hear(*news),
                Told::Failed(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Takes in a key or a new size; an exit code when that ends it.
    fn input(&mut self, input: Input) -> Result<Option<u8>, Failure> {
        self.change();
        let effect = match input {
            Input::Key(key) => update::key(&mut self.model, key),
            Input::Size(size) => {
                self.model.resize(size);
                None
            }
            Input::Terminated => Some(Effect::Interrupt),
        };
        match effect {
            None => {}
            Some(Effect::Quit) => return Ok(Some(0)),
            Some(Effect::Interrupt) => return Err(Failure::Interrupted),
            Some(Effect::Redraw) => self.screen.clear()?,
            Some(Effect::Act(act, subject)) => self.feed.act(act, subject),
            Some(Effect::Answer(task_id, text)) => self.feed.answer(task_id, text),
        }
        Ok(None)
    }
}
