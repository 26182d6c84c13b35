//! The loop of one turn: passes lines between process and machine, sends events, and forwards permission requests.
//!
//! The loop waits for everything at once. While events wait for their reader, the agent's output is not read: a flooding
//! agent blocks on its pipe, and a cancel is still handled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::machine::{AcpAction, TurnStage};
use super::process::{Process, ProcessRead};
use super::rpc;
use super::turn::TurnStart;
use super::verdict::{StopCause, TurnEnd};
use crate::cancel::Cancel;
use crate::containment::Mark;
use crate::event::{EventSink, RunEvent};
use crate::invocation::{DRAIN, ExitPatience, PatienceEnd, RunClock};
use crate::permission::{PermissionDecision, Permissions};
use crate::text::lines::{LINE_BYTES, OutputLine};

/// Warnings about lines that are not messages, at most. Later lines are dropped silently.
const WARNINGS: usize = 8;
/// Characters of such a line that its warning shows.
const SHOWN: usize = 200;
/// Events that can wait while a turn is being cancelled. Output is not read beyond that.
const WAITING: usize = 256;
/// Time between the limit for `initialize` and the prompt: the agent may start MCP servers in between.
const OPENING: Duration = Duration::from_secs(300);
/// After the response to the prompt, the turn is over when the agent has been silent for this time.
const QUIET: Duration = Duration::from_millis(250);
/// The same while the turn has no output; also the longest wait for late updates.
const SETTLING: Duration = Duration::from_secs(2);
/// A deadline that is never reached.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Bytes that can wait for the agent to read them, without the prompt.
const BACKLOG: usize = 32 << 20;

/// The surroundings of a turn: channels, limits and cancellation.
pub(super) struct TurnContext<'a> {
    pub(super) events: &'a EventSink,
    pub(super) permissions: &'a Permissions,
    pub(super) clock: &'a RunClock,
    pub(super) cancel: &'a mut Cancel,
    /// Time that a cancelled agent has to respond.
    pub(super) grace: Duration,
    /// Time that the agent has to respond to `initialize`.
    pub(super) initialize: Duration,
    /// Whether `Started` was sent.
    pub(super) announced: bool,
}

/// The state of the loop.
struct TurnDriver<'d, 'a> {
    process: &'d mut Process,
    around: &'d mut TurnContext<'a>,
    outbox: VecDeque<RunEvent>,
    decisions: FuturesUnordered<BoxFuture<'d, (String, PermissionDecision)>>,
    clock: &'d RunClock,
    patience: Arc<ExitPatience>,
    bad_lines: usize,
    /// The last output that was not a message, cut to `SHOWN` characters.
    last_noise: String,
    begin: Instant,
    /// While the turn settles: the end if the agent stays silent, and the end in any case.
    settling: Option<(Instant, Instant)>,
    /// Whether output came after the response to the prompt.
    has_late: bool,
    ended: Option<TurnEnd>,
    stopped: Option<StopCause>,
    /// The end of the wait for the response to a cancel, or for a process that closed its output.
    deadline: Option<Instant>,
}

/// Runs a turn to its end. The machine keeps the results.
pub(super) async fn turn(
    process: &mut Process,
    start: TurnStart,
    around: &mut TurnContext<'_>,
) -> TurnEnd {
    let clock = around.clock;
    let actions = process.machine.begin(start);
    let mut driver = TurnDriver {
        process,
        around,
        outbox: VecDeque::new(),
        decisions: FuturesUnordered::new(),
        clock,
        patience: Arc::default(),
        bad_lines: 0,
        last_noise: String::new(),
        begin: Instant::now(),
        settling: None,
        has_late: false,
        ended: None,
        stopped: None,
        deadline: None,
    };
    driver.act(actions);
    driver.run().await
}

impl TurnDriver<'_, '_> {
    async fn run(&mut self) -> TurnEnd {
        loop {
            self.announce();
            if std::mem::take(&mut self.process.is_flooding) {
                // A flood must not starve the other tasks of this thread.
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
                // The pipe's deadline does not run while the reader of the events is slow.
                self.deadline = Some(Instant::now() + DRAIN);
            }
            let (events, clock) = (self.around.events, self.clock);
            let next_event = self.outbox.front().cloned();
            let due = self.due();
            let patience = self.patience.clone();
            tokio::select! {
                biased;
                () = self.around.cancel.cancelled(), if !is_stopping => {
                    if let Some(ended) = self.stop(StopCause::Cancelled) { return ended; }
                }
                which = clock.expired(), if !is_stopping => {
                    if let Some(ended) = self.stop(StopCause::Timeout(which)) { return ended; }
                }
                over = patience.over(), if !is_stopping && self.ended.is_none() => {
                    if let PatienceEnd::Waits(wait) = over
                        && let Some(ended) = self.stop(StopCause::Waits(wait))
                    {
                        return ended;
                    }
                }
                () = sleep_until(self.deadline.unwrap_or_else(Instant::now)), if self.deadline.is_some() && (is_stopping || self.ended.is_none() && self.outbox.is_empty()) => {
                    return match self.stopped.clone() {
                        Some(cause) => TurnEnd::Stopped(cause),
                        None if self.process.gone.is_some() => TurnEnd::Gone,
                        None => TurnEnd::Misbehaved("closed its output but did not exit".to_owned()),
                    };
                }
                () = sleep_until(due), if self.outbox.is_empty() && !is_stopping && self.ended.is_none() => {
                    self.overdue();
                }
                () = send_event(events, clock, next_event), if !self.outbox.is_empty() => {
                    self.outbox.pop_front();
                    if self.settling.is_some() && !self.has_late {
                        // The settling time does not run while the reader of the events is slow.
                        self.settle_from_now();
                    }
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

    /// Queues the first event, once the process runs.
    fn announce(&mut self) {
        if self.around.announced || self.process.pid.is_none() {
            return;
        }
        self.around.announced = true;
        self.outbox.push_front(RunEvent::Started {
            pid: self.process.pid,
            session: None,
            model: None,
        });
    }

    /// Requests the end of the turn. Returns the end where there is nothing to wait for.
    fn stop(&mut self, cause: StopCause) -> Option<TurnEnd> {
        if self.settling.is_some() && cause != StopCause::Cancelled {
            // The agent has responded in time.
            self.settle();
            return None;
        }
        // A reported wait explains a timeout better than the timeout itself.
        let cause = match (cause, self.patience.waiting()) {
            (StopCause::Timeout(_), Some(wait)) => StopCause::Waits(wait),
            (cause, _) => cause,
        };
        self.stopped = Some(cause.clone());
        if !self.process.machine.is_prompting() || self.process.gone.is_some() {
            return Some(TurnEnd::Stopped(cause));
        }
        self.deadline = Some(Instant::now() + self.around.grace);
        let actions = self.process.machine.cancel();
        self.act(actions);
        None
    }

    fn read(&mut self, read: Option<ProcessRead>) {
        match read {
            None => {
                if self.process.gone.is_some() && self.deadline.is_none() {
                    // Output may still be in the pipe, and another process may hold the pipe open.
                    self.deadline = Some(Instant::now() + DRAIN);
                }
            }
            Some(ProcessRead::Lines(lines)) => {
                self.clock.touch();
                self.has_late = self.settling.is_some();
                self.quiet_from_now();
                for line in lines {
                    self.line(line);
                }
            }
            Some(ProcessRead::Stderr(text, outlook)) => {
                self.clock.touch();
                self.patience.stderr(outlook);
                if !text.is_empty() {
                    self.outbox.push_back(RunEvent::Stderr { text });
                }
            }
            Some(ProcessRead::Endless) => {
                let message = format!("sent a line of more than {} MiB", (8 * LINE_BYTES) >> 20);
                self.end(TurnEnd::Misbehaved(message));
            }
            Some(ProcessRead::End) => {
                let now = Instant::now();
                self.deadline = self.deadline.or(Some(now + self.around.grace));
            }
        }
        if !self.process.has_more() {
            self.end(TurnEnd::Gone);
        }
    }

    fn line(&mut self, line: OutputLine) {
        let bytes = match &line {
            OutputLine::Whole(bytes) => bytes,
            OutputLine::TooLong => {
                let message = format!("a line of more than {LINE_BYTES} bytes was dropped");
                return self.complain(message);
            }
        };
        let read = rpc::read(bytes);
        if !read.noise.is_empty() {
            let shown: String = read.noise.chars().take(SHOWN).collect();
            self.last_noise.clone_from(&shown);
            self.complain(format!(
                "the agent printed something that is not an ACP message: {shown}"
            ));
        }
        for message in read.messages {
            let actions = self.process.machine.on(message);
            self.act(actions);
        }
    }

    /// Warns about a line that is not a message, at most [`WARNINGS`] times.
    fn complain(&mut self, message: String) {
        self.bad_lines += 1;
        if self.bad_lines <= WARNINGS {
            self.outbox.push_back(RunEvent::Warning { message });
        }
    }

    fn act(&mut self, actions: Vec<AcpAction>) {
        for action in actions {
            match action {
                AcpAction::Send(message) => {
                    if self.process.machine.is_prompting() && self.process.prompted.is_none() {
                        self.process.prompted = Some(Mark::now());
                    }
                    let is_asked = self.process.backlog() > 0;
                    self.process.send(&message);
                    if is_asked && self.process.backlog() > BACKLOG {
                        let message = "sends requests without end and reads no response".to_owned();
                        self.end(TurnEnd::Misbehaved(message));
                    }
                }
                AcpAction::Emit(event) => self.outbox.push_back(event),
                AcpAction::Observe(outlook) => self.patience.stdout(outlook),
                AcpAction::RequestPermission(key, ask) => {
                    let decision = self.around.permissions.decide(ask);
                    let clock = self.clock;
                    self.decisions.push(Box::pin(
                        async move { (key, clock.excused(decision).await) },
                    ));
                }
                AcpAction::WithdrawRequests => self.decisions.clear(),
                AcpAction::Settle if self.stopped.is_some() => self.settle(),
                AcpAction::Settle => self.settle_from_now(),
                AcpAction::End(verdict) => self.end(TurnEnd::Reported(verdict)),
            }
        }
    }

    /// The deadline of the current stage.
    fn due(&self) -> Instant {
        if let Some((quiet, _)) = self.settling {
            return quiet;
        }
        match self.process.machine.stage() {
            TurnStage::Initializing => self.begin + self.around.initialize,
            TurnStage::Opening => self.begin + self.around.initialize + OPENING,
            // The clock of the run applies.
            TurnStage::Prompting | TurnStage::Settling => self.begin + YEAR,
        }
    }

    /// Handles a deadline that has passed.
    fn overdue(&mut self) {
        let limit = self.around.initialize;
        match self.process.machine.stage() {
            _ if self.settling.is_some() => self.settle(),
            TurnStage::Initializing => {
                let printed = match self.last_noise.as_str() {
                    "" => "it printed no message".to_owned(),
                    noise => format!("it printed: {noise}"),
                };
                self.end(TurnEnd::Unanswered(format!(
                    "did not answer the first request (initialize) within {} s, and was ended; {printed}. Check that this command speaks ACP and waits for no input; a slow one needs a longer initialize_timeout (acp of its provider)",
                    limit.as_secs()
                )));
            }
            TurnStage::Opening => self.end(TurnEnd::Unanswered(format!(
                "did not open a session within {} s, and was ended; check that its MCP servers start and it is logged in",
                (limit + OPENING).as_secs()
            ))),
            TurnStage::Prompting | TurnStage::Settling => {}
        }
    }

    fn settle_from_now(&mut self) {
        let longest = Instant::now() + SETTLING;
        self.settling = Some((longest, longest));
        self.quiet_from_now();
    }

    /// While the turn settles: restarts the silence that ends it.
    fn quiet_from_now(&mut self) {
        let Some((quiet, longest)) = &mut self.settling else {
            return;
        };
        let now = Instant::now();
        *quiet = match self.process.machine.has_output() {
            true => (now + QUIET).min(*longest),
            false => *longest,
        };
    }

    /// Ends the wait for late updates.
    fn settle(&mut self) {
        self.settling = None;
        let actions = self.process.machine.settled();
        self.act(actions);
    }

    /// Sets the end. The first end counts, except that a stop which was requested overrides it; after the response to the
    /// prompt the turn can only settle.
    fn end(&mut self, ended: TurnEnd) {
        if self.settling.is_some() {
            return self.settle();
        }
        let ended = match self.stopped.clone() {
            Some(cause) => TurnEnd::Stopped(cause),
            None => ended,
        };
        self.ended.get_or_insert(ended);
    }
}

async fn send_event(events: &EventSink, clock: &RunClock, event: Option<RunEvent>) {
    if let Some(event) = event {
        clock.excused(events.send(event)).await;
    }
}
