//! Carries out one turn: lines to the machine and back, events to their reader, questions to whoever decides.
//!
//! Nothing here waits for more than one thing. While events wait for their reader the agent is not read, so that a
//! flooding one waits in its pipe; a cancel is heard all the same.

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
use super::verdict::TurnVerdict;
use crate::cancel::Cancel;
use crate::containment::Mark;
use crate::event::{EventSink, RunEvent};
use crate::invocation::{DRAIN, ExitPatience, PatienceEnd, RunClock};
use crate::outcome::TimeoutKind;
use crate::output::ServiceWait;
use crate::permission::{PermissionDecision, Permissions};
use crate::text::lines::{LINE_BYTES, OutputLine};

/// Warnings about lines that are no message, at most.
const WARNINGS: usize = 8;
/// Characters of such a line that its warning shows.
const SHOWN: usize = 200;
/// Events that may wait while a turn is being cancelled; what comes beyond is dropped.
const WAITING: usize = 256;
/// How long an agent has from then to the prompt: it may start MCP servers in between.
const OPENING: Duration = Duration::from_secs(300);
/// After the answer to the prompt the turn is over when nothing was said for so long.
const QUIET: Duration = Duration::from_millis(250);
/// The same while nothing has come of the turn; and the longest that late updates are waited for at all.
const SETTLING: Duration = Duration::from_secs(2);
/// For ever, as a time that can be waited for.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Bytes that may wait for an agent to read them, beside the prompt.
const BACKLOG: usize = 32 << 20;

/// Why a turn is ended from outside.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum StopCause {
    Cancelled,
    Timeout(TimeoutKind),
    /// It waits by itself for its service.
    Waits(ServiceWait),
}

/// How a turn ended.
#[derive(Debug, PartialEq)]
pub(super) enum TurnEnd {
    /// The agent's own word.
    Reported(TurnVerdict),
    /// We stopped it.
    Stopped(StopCause),
    /// The process is gone.
    Gone,
    /// It breaks the rules; the process is not to be used again.
    Misbehaved(String),
    /// It did not answer in time, by the end of this sentence.
    Unanswered(String),
}

/// What a turn has around it.
pub(super) struct TurnContext<'a> {
    pub(super) events: &'a EventSink,
    pub(super) permissions: &'a Permissions,
    pub(super) clock: &'a RunClock,
    pub(super) cancel: &'a mut Cancel,
    /// How long a cancelled agent may take to answer.
    pub(super) grace: Duration,
    /// How long it may take to answer `initialize`.
    pub(super) initialize: Duration,
    /// `Started` was told.
    pub(super) announced: bool,
}

/// See the module.
struct TurnDriver<'d, 'a> {
    process: &'d mut Process,
    around: &'d mut TurnContext<'a>,
    outbox: VecDeque<RunEvent>,
    decisions: FuturesUnordered<BoxFuture<'d, (String, PermissionDecision)>>,
    clock: &'d RunClock,
    patience: Arc<ExitPatience>,
    bad_lines: usize,
    /// The last thing that was no message, cut.
    last_noise: String,
    begin: Instant,
    /// While the turn settles: when it is over if nothing more is said, and when in any case.
    settling: Option<(Instant, Instant)>,
    /// Something was read since the answer to the prompt.
    has_late: bool,
    ended: Option<TurnEnd>,
    stopped: Option<StopCause>,
    /// When waiting is over: for the answer to a cancel, or for a process that closed its output to leave.
    deadline: Option<Instant>,
}

/// Runs a turn to its end. The machine keeps what came of it.
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
                        None => TurnEnd::Misbehaved("closed its output and stayed".to_owned()),
                    };
                }
                () = sleep_until(due), if self.outbox.is_empty() && !is_stopping && self.ended.is_none() => {
                    self.overdue();
                }
                () = tell(events, clock, next_event), if !self.outbox.is_empty() => {
                    self.outbox.pop_front();
                    if self.settling.is_some() && !self.has_late {
                        // The time that the reader takes is not the agent's.
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

    /// The first event, once the process runs.
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

    /// Asks the turn to end; gives back the end where there is nothing to wait for.
    fn stop(&mut self, cause: StopCause) -> Option<TurnEnd> {
        if self.settling.is_some() && cause != StopCause::Cancelled {
            // It has answered in time.
            self.settle();
            return None;
        }
        // Its own words explain why it ran out of time.
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
                    // What it said last is still to be read; somebody else may hold the pipe open.
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
                "the agent printed what is no message of ACP: {shown}"
            ));
        }
        for message in read.messages {
            let actions = self.process.machine.on(message);
            self.act(actions);
        }
    }

    /// Warns of a line that is no message; after some of them only in the log of the process.
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
                        let message = "asks on and on, and reads no answer".to_owned();
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

    /// The next time at which something must have happened.
    fn due(&self) -> Instant {
        if let Some((quiet, _)) = self.settling {
            return quiet;
        }
        match self.process.machine.stage() {
            TurnStage::Initializing => self.begin + self.around.initialize,
            TurnStage::Opening => self.begin + self.around.initialize + OPENING,
            // The clock of the run counts.
            TurnStage::Prompting | TurnStage::Settling => self.begin + YEAR,
        }
    }

    /// It has not.
    fn overdue(&mut self) {
        let limit = self.around.initialize;
        match self.process.machine.stage() {
            _ if self.settling.is_some() => self.settle(),
            TurnStage::Initializing => {
                let printed = match self.last_noise.as_str() {
                    "" => "it printed nothing that is a message".to_owned(),
                    noise => format!("it printed: {noise}"),
                };
                self.end(TurnEnd::Unanswered(format!(
                    "did not answer the first request (initialize) within {} s, and was ended; {printed}. See whether this command speaks ACP and waits for nothing; a slow one needs a longer initialize_timeout (acp of its provider)",
                    limit.as_secs()
                )));
            }
            TurnStage::Opening => self.end(TurnEnd::Unanswered(format!(
                "did not open a session within {} s, and was ended; see whether its MCP servers start and it is logged in",
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

    /// While the turn settles: it is over when nothing is said from now on.
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

    /// Nothing more of the turn is waited for.
    fn settle(&mut self) {
        self.settling = None;
        let actions = self.process.machine.settled();
        self.act(actions);
    }

    /// The first end counts, but for one that we asked for. After the answer to the prompt there is no other.
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

async fn tell(events: &EventSink, clock: &RunClock, event: Option<RunEvent>) {
    if let Some(event) = event {
        clock.excused(events.send(event)).await;
    }
}
