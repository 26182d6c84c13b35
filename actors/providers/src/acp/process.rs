//! One agent process under its runner, from its first job to its end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{ChildStderr, ChildStdout};

use super::machine::AcpMachine;
use super::stderr_filter::StderrFilter;
use crate::containment::{
    Contained, ContainedEnd, Containment, Exit, LaunchError, LaunchSpec, Mark, RunnerNotice,
    RunnerReport, StartError,
};
use crate::invocation::MARGIN;
use crate::output::{Outlook, StderrWatch};
use crate::runner::GIVE_UP;
use crate::text::lines::{LINE_BYTES, OutputLine, OutputLines, PARTIAL_PATIENCE};
use crate::text::{Decoder, StderrTail};

/// Bytes per read.
const BUFFER: usize = 16 * 1024;
/// A line that is longer than this is not a message, and the agent is ended.
const ENDLESS: usize = 8 * LINE_BYTES;

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProcessEnd {
    Exit(Exit),
    NotStarted(StartError, String),
    RunnerLost,
}

/// The result of one read of stdout or stderr.
pub(super) enum ProcessRead {
    Lines(Vec<OutputLine>),
    /// Text from stderr, and the program's activity according to it.
    Stderr(String, Outlook),
    /// Stdout has ended.
    End,
    /// A line that is longer than [`ENDLESS`].
    Endless,
}

/// A running agent. Dropping it makes the runner end everything, without waiting for it.
pub(super) struct Process {
    /// The program and its surroundings. Another process is started when any of them differs.
    pub(super) settings: LaunchSpec,
    pub(super) machine: AcpMachine,
    pub(super) pid: Option<u32>,
    pub(super) gone: Option<ProcessEnd>,
    /// Processes that could not be ended.
    pub(super) alive: u32,
    /// The time of the last prompt.
    pub(super) prompted: Option<Mark>,
    contained: Contained,
    stdin: Option<pipe::Sender>,
    stdout: ChildStdout,
    stdout_ended: bool,
    stderr: ChildStderr,
    stderr_ended: bool,
    lines: OutputLines,
    /// Whether the last read filled its buffer, so that more output is ready.
    pub(super) is_flooding: bool,
    /// Bytes since the last line end.
    unended: usize,
    decoder: Decoder,
    quiet: StderrFilter,
    /// Looks for waits in stderr.
    watch: Option<StderrWatch>,
    tail: StderrTail,
    outgoing: Vec<u8>,
    written: usize,
    buffers: Box<[[u8; BUFFER]; 2]>,
}

impl Process {
    pub(super) fn start(
        settings: LaunchSpec,
        machine: AcpMachine,
        watch: Option<StderrWatch>,
        quiet: StderrFilter,
        containment: &Containment,
    ) -> Result<Self, LaunchError> {
        let (contained, streams) = Contained::start(&settings, containment)?;
        Ok(Self {
            settings,
            machine,
            pid: None,
            gone: None,
            alive: 0,
            prompted: None,
            contained,
            stdin: Some(streams.stdin),
            stdout: streams.stdout,
            stdout_ended: false,
            stderr: streams.stderr,
            stderr_ended: false,
            lines: OutputLines::new(LINE_BYTES),
            is_flooding: false,
            unended: 0,
            decoder: Decoder::default(),
            quiet,
            watch,
            tail: StderrTail::default(),
            outgoing: Vec::new(),
            written: 0,
            buffers: Box::new([[0; BUFFER]; 2]),
        })
    }

    /// Queues a message, as one line.
    pub(super) fn send(&mut self, message: &serde_json::Value) {
        self.outgoing.extend(message.to_string().into_bytes());
        self.outgoing.push(b'\n');
    }

    /// Queued bytes that the agent has not read.
    pub(super) fn backlog(&self) -> usize {
        self.outgoing.len() - self.written
    }

    /// The end of stderr since the last call.
    pub(super) fn take_stderr(&mut self) -> String {
        std::mem::take(&mut self.tail).finish()
    }

    /// Waits for the next event: a report of the runner, a read (where `reading`), a write. Returns a read, or `None` for
    /// the others. Cancel safe.
    pub(super) async fn next(&mut self, reading: bool) -> Option<ProcessRead> {
        let writes = self.stdin.is_some() && self.written < self.outgoing.len();
        let [out, err] = &mut *self.buffers;
        let stdin = self.stdin.as_mut();
        let write = async {
            match stdin {
                Some(stdin) => stdin.write(&self.outgoing[self.written..]).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            notice = self.contained.notice(), if self.gone.is_none() => {
                self.noticed(notice);
                None
            }
            written = write, if writes => {
                self.wrote(written.ok());
                None
            }
            count = self.stdout.read(out), if reading && !self.stdout_ended => {
                Some(self.read_stdout(count.unwrap_or(0)))
            }
            count = self.stderr.read(err), if reading && !self.stderr_ended => {
                self.read_stderr(count.unwrap_or(0))
            }
            () = tokio::time::sleep(PARTIAL_PATIENCE), if reading && !self.stdout_ended && self.lines.has_partial() => {
                self.lines.whole_object().map(|line| ProcessRead::Lines(vec![line]))
            }
            // The process is gone, and its last output waits for its reader.
            else => std::future::pending().await,
        }
    }

    /// Whether [`Process::next`] can return again.
    pub(super) fn has_more(&self) -> bool {
        self.gone.is_none() || !self.stdout_ended
    }

    fn noticed(&mut self, notice: RunnerNotice) {
        let (gone, alive) = match notice {
            RunnerNotice::Report(RunnerReport::Started { pid }) => {
                self.pid = Some(pid);
                return;
            }
            RunnerNotice::Report(RunnerReport::Failed { error, message }) => {
                (ProcessEnd::NotStarted(error, message), 0)
            }
            RunnerNotice::Report(RunnerReport::Ended { exit, alive, .. }) => {
                (ProcessEnd::Exit(exit), alive)
            }
            RunnerNotice::Lost { alive, .. } => (ProcessEnd::RunnerLost, alive),
        };
        self.gone = Some(gone);
        self.alive = alive;
    }

    fn wrote(&mut self, count: Option<usize>) {
        match count {
            Some(count) => self.written += count,
            // The agent closed its stdin. If it stops working, the silence timeout ends it.
            None => self.stdin = None,
        }
        if self.written == self.outgoing.len() {
            self.outgoing = Vec::new();
            self.written = 0;
        }
    }

    fn read_stdout(&mut self, count: usize) -> ProcessRead {
        self.is_flooding = count == BUFFER;
        if count == 0 {
            if let Some(line) = self.lines.end() {
                // The last line has no line end. The next read sees the end of the pipe again.
                return ProcessRead::Lines(vec![line]);
            }
            self.stdout_ended = true;
            return ProcessRead::End;
        }
        let bytes = &self.buffers[0][..count];
        self.unended = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => count - at - 1,
            None => self.unended + count,
        };
        if self.unended > ENDLESS {
            return ProcessRead::Endless;
        }
        ProcessRead::Lines(self.lines.push(bytes))
    }

    fn read_stderr(&mut self, count: usize) -> Option<ProcessRead> {
        self.is_flooding = count == BUFFER;
        if count == 0 {
            self.stderr_ended = true;
            let rest = self.quiet.rest();
            return (!rest.is_empty()).then_some(ProcessRead::Stderr(rest, Outlook::Unchanged));
        }
        let bytes = &self.buffers[1][..count];
        self.tail.push(bytes);
        let outlook = self.watch.as_mut().map(|watch| watch.push(bytes));
        let text = self.quiet.pass(self.decoder.push(bytes));
        Some(ProcessRead::Stderr(text, outlook.unwrap_or_default()))
    }

    /// Ends the agent and everything it started, now.
    pub(super) async fn end(mut self, containment: &Containment) -> ContainedEnd {
        self.contained.stop();
        let patience = containment.grace + GIVE_UP + MARGIN;
        if !self.over(patience).await {
            self.contained.kill_runner();
            self.over(patience).await;
        }
        let mut end = self.contained.finish(containment).await;
        end.alive = match end.is_certain {
            true => 0,
            false => self.alive.max(end.alive),
        };
        let alive = end.alive;
        if alive > 0 {
            tracing::warn!(
                program = self.settings.argv[0],
                alive,
                "processes of an agent could not be ended"
            );
        }
        end
    }

    /// Ends the processes that a turn left running, which began at `mark`. Returns the number of those that continue.
    pub(super) async fn end_leftovers(&self, mark: Mark) -> u32 {
        let Some(pid) = self.pid.filter(|_| self.gone.is_none()) else {
            return 0;
        };
        let left = self.contained.end_leftovers(pid, mark).await;
        if left.ended > 0 {
            let (program, ended) = (&self.settings.argv[0], left.ended);
            tracing::info!(program, ended, "ended processes that a task left running");
        }
        left.alive
    }

    /// Closes stdin, which asks an agent to exit, and ends the agent if it does not.
    pub(super) async fn close(mut self, containment: &Containment) {
        self.stdin = None;
        let left = self.over(containment.grace);
        if !left.await {
            tracing::debug!(
                program = self.settings.argv[0],
                "an agent did not exit by itself"
            );
        }
        self.end(containment).await;
    }

    /// Waits for the end and reads the remaining output. False when the process does not end in time.
    async fn over(&mut self, patience: Duration) -> bool {
        let gone = async {
            while self.gone.is_none() {
                self.next(true).await;
            }
        };
        tokio::time::timeout(patience, gone).await.is_ok()
    }
}
