//! The terminal dashboard.
//!
//! # Theory of operation
//!
//! The structure is that of Elm: [`model`] is everything on the screen as one value, [`update`] handles keys, [`views`]
//! draws the value. None of them waits or reads a clock. [`feed`] talks to the hub and sends updates; [`terminal`] owns
//! the terminal and restores it however the process ends. The loop below passes keys, updates and the time to the model
//! and reports to the feed which data is on the screen. It draws a frame after a change, at a limited rate. Ages are
//! drawn again once a second.
//!
//! Output and questions of tasks are not trusted: `crate::terminal` removes everything that could control the terminal.

mod action;
mod cursor;
mod feed;
mod frames;
mod messages;
pub mod model;
mod pane;
mod plain;
mod query;
mod rate;
mod row;
mod run_pane;
mod tasks;
mod terminal;
#[cfg(test)]
mod tests;
pub mod transcript;
mod update;
pub mod view;
mod views;

pub use plain::{PlainOptions, plain};

use crate::cli::{Context, Failure};
use crate::terminal::time;
use feed::{Feed, FeedMessage};
use frames::FrameClock;
use jiff::tz::TimeZone;
use kirosu_protocol::TaskId;
use messages::KeyEffect;
use model::Model;
use query::TaskFilter;
use std::time::Duration;
use terminal::{TerminalScreen, UserInput};
use tokio::time::{Instant, sleep_until};
use view::View;

/// Maximum number of updates that are applied before a due frame is drawn.
const MAX_UPDATES: usize = 512;
/// Time between two readings of the clock.
const TICK: Duration = Duration::from_secs(1);

/// Options of the dashboard at its start.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// The first screen.
    pub view: View,
    /// The task to open.
    pub task: Option<TaskId>,
    /// The filter of the first screen.
    pub filter: String,
    /// The zone of times; `None` means UTC.
    pub zone: Option<TimeZone>,
}

impl StartOptions {
    /// The model at the start.
    fn model(&self, hub: &str, size: (u16, u16)) -> Result<Model, Failure> {
        let mut model = Model::new(hub, self.view, size, time::now());
        model.zone.clone_from(&self.zone);
        if self.view == View::Tasks {
            let query = TaskFilter::read(&self.filter)
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

/// Shows the dashboard until the user quits or it cannot continue.
///
/// # Errors
/// The filter or the settings have a fault, the hub refuses, or the terminal fails.
pub async fn run(begin: &StartOptions, context: &Context) -> Result<u8, Failure> {
    let model = begin.model("", (80, 24))?;
    let feed = Feed::start(&context.globals, model.interest())?;
    let screen = TerminalScreen::open(context.screen.colour)?;
    Console::new(begin, feed, screen)?.run().await
}

/// The running dashboard.
struct Console {
    model: Model,
    feed: Feed,
    screen: TerminalScreen,
    frames: FrameClock,
}

impl Console {
    fn new(begin: &StartOptions, feed: Feed, screen: TerminalScreen) -> Result<Console, Failure> {
        Ok(Console {
            model: begin.model(feed.endpoint(), screen.size())?,
            feed,
            screen,
            frames: FrameClock::default(),
        })
    }

    async fn run(mut self) -> Result<u8, Failure> {
        let mut messages = Vec::with_capacity(MAX_UPDATES);
        let mut tick = Instant::now();
        loop {
            self.feed.set_interest(self.model.interest());
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
                count = self.feed.messages.recv_many(&mut messages, MAX_UPDATES) => {
                    if count == 0 {
                        return Ok(0);
                    }
                    self.apply(&mut messages)?;
                }
                () = sleep_until(tick) => {
                    tick = Instant::now() + TICK;
                    self.change();
                }
            }
        }
    }

    /// Marks the screen as out of date and updates the time.
    fn change(&mut self) {
        self.model.pass(time::now());
        self.frames.changed();
    }

    fn apply(&mut self, messages: &mut Vec<FeedMessage>) -> Result<(), Failure> {
        self.change();
        for message in messages.drain(..) {
            match message {
                FeedMessage::Update(update) => self.model.apply(*update),
                FeedMessage::Failed(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Handles a key or a new size. Returns the exit code if the dashboard ends.
    fn input(&mut self, input: UserInput) -> Result<Option<u8>, Failure> {
        self.change();
        let effect = match input {
            UserInput::Key(key) => update::key(&mut self.model, key),
            UserInput::Size(size) => {
                self.model.resize(size);
                None
            }
            UserInput::Paste(text) => {
                update::paste(&mut self.model, &text);
                None
            }
            UserInput::Terminated => Some(KeyEffect::Interrupt),
        };
        match effect {
            None => {}
            Some(KeyEffect::Quit) => return Ok(Some(0)),
            Some(KeyEffect::Interrupt) => return Err(Failure::Interrupted),
            Some(KeyEffect::Redraw) => self.screen.clear()?,
            Some(KeyEffect::Act(action)) => self.feed.act(action),
        }
        Ok(None)
    }
}
