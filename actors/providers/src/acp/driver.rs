//! Carries out one turn: lines to the machine and back, events to their reader, questions to whoever decides.
//!
//! Nothing here waits for more than one thing. While events wait for their reader the agent is not read, so that a
//! flooding one waits in its pipe; a cancel is heard all the same.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::machine::Action;
use super::process::{Process, Read};
use super::rpc;
use super::turn::Start;
use super::verdict::Verdict;
use crate::cancel::Cancel;
use crate::event::{Event, EventSink};
use crate::invocation::{Clock, DRAIN};
use crate::outcome::TimeoutKind;
use crate::output::lines::{LINE_BYTES, Line};
use crate::permission::{Decision, Permissions};

/// Warnings about lines that are no message, at most.
const WARNINGS: usize = 8;
/// Characters of such a line that its warning shows.
const SHOWN: usize = 200;
/// Events that may wait while a turn is being cancelled; what comes beyond is dropped.
const WAITING: usize = 256;
/// Bytes that may wait for an agent to read them, beside the prompt.
const BACKLOG: usize = 32 << 20;

/// Why a turn is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Cancelled,
    Timeout(TimeoutKind),
}

/// How a turn ended.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    /// The agent's own word.
    Said(Verdict),
    /// We stopped it.
    Stopped(Cause),
    /// The process is gone.
    Gone,
    /// It breaks the rules; the process is not to be used again.
    Misbehaved(String),
}

/// What a turn has around it.
pub(super) struct Surroundings<'a> {
    pub(super) events: &'a EventSink,
    pub(super) permissions: &'a Permissions,
    pub(super) clock: &'a Clock,
    pub(super) cancel: &'a mut Cancel,
    /// How long a cancelled agent may take to answer.
    pub(super) grace: Duration,
    /// `Started` was told.
    pub(super) announced: bool,
}

/// See the module.
struct Driver<'d, 'a> {
    process: &'d mut Process,
    around: &'d mut Surroundings<'a>,
    outbox: VecDeque<Event>,
    decisions: FuturesUnordered<BoxFuture<'d, (String, Decision)>>,
    clock: &'d Clock,
    bad_lines: usize,
    ended: Option<Ended>,
    stopped: Option<Cause>,
    /// When waiting is over: for the answer to a cancel, or for a process that closed its output to leave.
    deadline: Option<Instant>,
}

/// Runs a turn to its end. The machine keeps what came of it.
pub(super) async fn turn(
    process: &mut Process,
    start: Start,
    around: &mut Surroundings<'_>,
) -> Ended {
    let clock = around.clock;
    let actions = process.machine.begin(start);
    let mut driver = Driver {
        process,
        around,
        outbox: VecDeque::new(),
        decisions: FuturesUnordered::new(),
        clock,
        bad_lines: 0,
        ended: None,
        stopped: None,
        deadline: None,
    };
    driver.act(actions);
    driver.run().await
}

impl Driver<'_, '_> {
    async fn run(&mut self) -> Ended {
        loop {
            self.announce();
            if std::mem::take(&mut self.process.is_flooding) {
                // Whoever shares this thread comes first.
                tokio::task::yield_now().await;
            }
            if self.outbox.is_empty()
                && let Some(ended) = self.ended.take()
            {
                return ended;
            }
            let is_stopping = self.stopped.is_some();
            let reading = self.ended.is_none()
                && (self.outbox.is_empty() || is_stopping && self.outbox.len() < WAITING);
            if self.process.gone.is_some() && !is_stopping && !self.outbox.is_empty() {
                // The time that its reader takes is not the pipe's.
                self.deadline = Some(Instant::now() + DRAIN);
            }
            let (events, clock) = (self.around.events, self.clock);
            let next_event = self.outbox.front().cloned();
            tokio::select! {
                biased;
                () = self.around.cancel.cancelled(), if !is_stopping => {
                    if let Some(ended) = self.stop(Cause::Cancelled) { return ended; }
                }
                which = clock.expired(), if !is_stopping => {
                    if let Some(ended) = self.stop(Cause::Timeout(which)) { return ended; }
                }
                () = sleep_until(self.deadline.unwrap_or_else(Instant::now)), if self.deadline.is_some() && (is_stopping || self.ended.is_none() && self.outbox.is_empty()) => {
                    return match self.stopped {
                        Some(cause) => Ended::Stopped(cause),
                        None if self.process.gone.is_some() => Ended::Gone,
                        None => Ended::Misbehaved("closed its output and stayed".to_owned()),
                    };
                }
                () = tell(events, clock, next_event), if !self.outbox.is_empty() => {
                    self.outbox.pop_front();
                }
                Some((key, decision)) = self.decisions.next(), if !self.decisions.is_empty() => {
                    let actions = self.process.machine.decided(&key, &decision);
                    self.act(actions);
                }
                read = self.process.next(reading), if self.process.has_more() && self.ended.is_none() => {
                    self.read(read);
                }
            }
        }
    }

    /// The first event, once the process runs.
    fn announce(&mut self) {
        if self.around.announced || self.process.pid.is_none() {
            return;
        }
        self.around.announced = true;
        self.outbox.push_front(Event::Started {
            pid: self.process.pid,
            session: None,
            model: None,
        });
    }

    /// Asks the turn to end; gives back the end where there is nothing to wait for.
    fn stop(&mut self, cause: Cause) -> Option<Ended> {
        self.stopped = Some(cause);
        if !self.process.machine.is_prompting() || self.process.gone.is_some() {
            return Some(Ended::Stopped(cause));
        }
        self.deadline = Some(Instant::now() + self.around.grace);
        let actions = self.process.machine.cancel();
        self.act(actions);
        None
    }

    fn read(&mut self, read: Option<Read>) {
        match read {
            None => {
                if self.process.gone.is_some() && self.deadline.is_none() {
                    // What it said last is still to be read; somebody else may hold the pipe open.
                    self.deadline = Some(Instant::now() + DRAIN);
                }
            }
            Some(Read::Lines(lines)) => {
                self.clock.touch();
                for line in lines {
                    self.line(line);
                }
            }
            Some(Read::Stderr(text)) => {
                self.clock.touch();
                if !text.is_empty() {
                    self.outbox.push_back(Event::Stderr { text });
                }
            }
            Some(Read::Endless) => {
                let message = format!("sent a line of more than {} MiB", (8 * LINE_BYTES) >> 20);
                self.end(Ended::Misbehaved(message));
            }
            Some(Read::End) => {
                let now = Instant::now();
                self.deadline = self.deadline.or(Some(now + self.around.grace));
            }
        }
        if !self.process.has_more() {
            self.end(Ended::Gone);
        }
    }

    fn line(&mut self, line: Line) {
        let message = match &line {
            Line::Whole(bytes) if bytes.trim_ascii().is_empty() => return,
            Line::Whole(bytes) => match rpc::read(bytes) {
                Some(message) => {
                    let actions = self.process.machine.on(message);
                    return self.act(actions);
                }
                None => {
                    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN)]);
                    let shown: String = shown.chars().take(SHOWN).collect();
                    format!("a line that is no message of ACP: {shown}")
                }
            },
            Line::TooLong => {
                format!("a line of more than {LINE_BYTES} bytes was dropped: too long to read")
            }
        };
        self.bad_lines += 1;
        if self.bad_lines <= WARNINGS {
            self.outbox.push_back(Event::Warning { message });
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(message) => {
                    let is_asked = self.process.backlog() > 0;
                    self.process.send(&message);
                    if is_asked && self.process.backlog() > BACKLOG {
                        let message = "asks on and on, and reads no answer".to_owned();
                        self.end(Ended::Misbehaved(message));
                    }
                }
                Action::Tell(event) => self.outbox.push_back(event),
                Action::Ask(key, ask) => {
                    let decision = self.around.permissions.decide(ask);
                    let clock = self.clock;
                    self.decisions.push(Box::pin(
                        async move { (key, clock.excused(decision).await) },
                    ));
                }
                Action::Withdraw => self.decisions.clear(),
                Action::End(verdict) => self.end(Ended::Said(verdict)),
            }
        }
    }

    /// The first end counts, but for one that we asked for.
    fn end(&mut self, ended: Ended) {
        let ended = match self.stopped {
            Some(cause) => Ended::Stopped(cause),
            None => ended,
        };
        self.ended.get_or_insert(ended);
    }
}

async fn tell(events: &EventSink, clock: &Clock, event: Option<Event>) {
    if let Some(event) = event {
        clock.excused(events.send(event)).await;
    }
}
