//! The hub's side of one runner: starts it, sends orders, reads reports.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::time::{Instant, sleep_until};

use super::Containment;
use super::bounds::{Confinement, LimitReached};
use super::cgroup::{CgroupEnd, RunCgroup};
use super::descriptors::{limit_of_programs, spare_reserve};
use super::environment::Surroundings;
use super::launch::{LaunchError, LaunchSpec};
use super::leftovers::{self, Leftovers, Mark};
use super::run_temp::RunTemp;
use super::sweep::sweep_run;
use super::wire::{RunnerOrder, RunnerReport};

/// How often a runner is checked for a stop.
const STOP_CHECK: Duration = Duration::from_secs(1);
/// A runner that is stopped more often than this is killed: its run does it on purpose.
const STOPS_MAX: u32 = 3;

/// A program under its runner. Dropping it makes the runner end everything, without waiting for it.
pub(crate) struct Contained {
    control: UnixStream,
    /// Bytes of reports without a line end yet.
    pending: Vec<u8>,
    runner: Child,
    runner_pid: Option<u32>,
    run: String,
    /// When the runner is next checked for a stop.
    next_check: Instant,
    /// How often it was found stopped.
    stops: u32,
    /// The cgroup of the run. `None` where the system allows none.
    group: Option<RunCgroup>,
    /// Its folder for temporary files, in a sandbox.
    temp: Option<RunTemp>,
}

/// The end of everything that a program has started.
#[derive(Debug, Default)]
pub(crate) struct ContainedEnd {
    /// Processes that could not be ended, by the kernel's list of the run's processes.
    pub(crate) alive: u32,
    /// The limit of the pool that the run has reached.
    pub(crate) limit: Option<LimitReached>,
    /// Whether the kernel confirms that no process of the run is left.
    pub(crate) is_certain: bool,
}

/// The program's three streams.
pub(crate) struct ProgramStreams {
    pub(crate) stdin: pipe::Sender,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

/// A message from the runner.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RunnerNotice {
    Report(RunnerReport),
    /// The runner died without its last report; its processes were swept. Fields count processes.
    Lost {
        ended: u32,
        alive: u32,
    },
}

impl Contained {
    pub(crate) fn start(
        launch: &LaunchSpec,
        containment: &Containment,
    ) -> Result<(Self, ProgramStreams), LaunchError> {
        let at = |step: &str| {
            let step = step.to_owned();
            move |source| LaunchError::new(&step, source, &launch.workdir)
        };
        let (ours, theirs) = StdUnixStream::pair().map_err(at("make a control socket"))?;
        spare_reserve(&theirs).map_err(at("make a control socket"))?;
        let (program_stdin, stdin) = io::pipe().map_err(at("make a pipe"))?;
        send_start(&ours, program_stdin.into()).map_err(at("hand over stdin"))?;
        ours.set_nonblocking(true)
            .map_err(at("use a control socket"))?;

        let run = new_run_id();
        let bounds = containment.bounds.as_ref();
        let group = bounds.map(|it| it.group(&run)).transpose();
        let group = group.map_err(at("make a cgroup for the run"))?.flatten();
        let sandboxed = bounds.filter(|it| it.sandbox.is_some());
        let temp = sandboxed.map(|_| RunTemp::make()).transpose();
        let temp = temp
            .and_then(|temp| {
                let given = temp.as_ref().map(|it| containment.give(it.path()));
                given.transpose().map(|_| temp)
            })
            .map_err(at("make a folder for temporary files"))?;
        let surroundings = Surroundings::of(launch, containment, &run, temp.as_ref());
        let mut further = launch.writes.clone();
        further.extend(temp.iter().map(|it| it.path().to_owned()));
        if sandboxed.is_some() {
            further.extend(surroundings.state_of(launch, containment));
        }
        let confinement = Confinement {
            groups: group.as_ref().map(RunCgroup::entries).unwrap_or_default(),
            kill: group.as_ref().and_then(RunCgroup::kill_file),
            user: bounds.and_then(|it| Some(it.user.as_ref()?.ids().clone())),
            sandbox: bounds
                .and_then(|it| Some(it.sandbox.as_ref()?.rules(&launch.workdir, &further))),
        };
        let confinement = serde_json::to_string(&confinement)
            .map_err(|error| at("describe the bounds of the run")(error.into()))?;
        let mut runner = command(
            launch,
            containment,
            (surroundings, &confinement),
            theirs.into(),
        )
        .spawn()
        .map_err(at(&format!(
            "start the runner {}",
            containment.runner.program.display()
        )))?;
        let (Some(stdout), Some(stderr)) = (runner.stdout.take(), runner.stderr.take()) else {
            return Err(at("read the runner's output")(
                io::ErrorKind::BrokenPipe.into(),
            ));
        };
        let streams = ProgramStreams {
            stdin: pipe::Sender::from_owned_fd(stdin.into()).map_err(at("use a pipe"))?,
            stdout,
            stderr,
        };
        let contained = Self {
            control: UnixStream::from_std(ours).map_err(at("use a control socket"))?,
            pending: Vec::new(),
            runner_pid: runner.id(),
            runner,
            run,
            next_check: Instant::now() + STOP_CHECK,
            stops: 0,
            group,
            temp,
        };
        Ok((contained, streams))
    }

    /// Orders the end of everything. A runner that is gone needs no order.
    pub(crate) fn stop(&self) {
        self.wake();
        drop(self.control.try_write(&[RunnerOrder::Stop.byte()]));
    }

    /// Ends the processes that the program with this id started since `mark` and left running. The program continues.
    pub(crate) async fn end_leftovers(&self, program: u32, mark: Mark) -> Leftovers {
        let Some(runner) = self.runner_pid else {
            return Leftovers::default();
        };
        let look = move || leftovers::end_leftovers(runner, program, mark);
        // When the search itself fails, no leftovers are known.
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Kills a runner that did not carry out its order. [`RunnerNotice::Lost`] follows.
    pub(crate) fn kill_runner(&mut self) {
        tracing::warn!(run = %self.run, "a runner does not respond; killing it");
        drop(self.runner.start_kill());
    }

    /// Continues the runner: the program could have stopped it with a signal, and a stopped runner obeys no order.
    fn wake(&self) {
        let raw = self.runner.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = raw.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::CONT);
        }
    }

    /// Waits for the next message from the runner. Cancel safe until the runner is lost; then the sweep continues in the
    /// background.
    pub(crate) async fn notice(&mut self) -> RunnerNotice {
        loop {
            if let Some(report) = self.take_report() {
                return RunnerNotice::Report(report);
            }
            let read = tokio::select! {
                read = self.control.read_buf(&mut self.pending) => read,
                () = sleep_until(self.next_check) => {
                    self.check_stop();
                    continue;
                }
            };
            match read {
                Ok(1..) => {}
                Ok(0) | Err(_) => return self.lost().await,
            }
        }
    }

    /// Continues a runner that is stopped, and kills one that is stopped again and again: a run could otherwise hold its
    /// task for ever, as a stopped runner reports no end.
    fn check_stop(&mut self) {
        self.next_check = Instant::now() + STOP_CHECK;
        let raw = self.runner.id().and_then(|id| i32::try_from(id).ok());
        let Some(pid) = raw.and_then(Pid::from_raw) else {
            return;
        };
        let question = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if !matches!(waitid(WaitId::Pid(pid), question), Ok(Some(_))) {
            return;
        }
        self.stops += 1;
        match self.stops > STOPS_MAX {
            true => self.kill_runner(),
            false => {
                tracing::warn!(run = %self.run, "a runner was stopped by a signal, which only its run or a person can have sent; it is continued");
                self.wake();
            }
        }
    }

    /// Takes the first complete report. Lines that are not reports are skipped.
    fn take_report(&mut self) -> Option<RunnerReport> {
        while let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            if let Ok(report) = serde_json::from_slice(&line) {
                return Some(report);
            }
        }
        None
    }

    async fn lost(&mut self) -> RunnerNotice {
        // The socket may close an instant before the process ends.
        drop(self.runner.start_kill());
        drop(self.runner.wait().await);
        let (run, pid) = (self.run.clone(), self.runner_pid);
        let swept = tokio::task::spawn_blocking(move || sweep_run(&run, pid))
            .await
            .unwrap_or_default();
        tracing::warn!(run = %self.run, ended = swept.ended, "a runner was lost; ended its processes");
        RunnerNotice::Lost {
            ended: swept.ended,
            alive: swept.alive,
        }
    }

    /// Reaps the runner after its last report, and waits until the kernel confirms the end of the run.
    pub(crate) async fn finish(mut self, containment: &Containment) -> ContainedEnd {
        drop(self.runner.wait().await);
        drop(self.temp.take());
        let Some(group) = self.group.take() else {
            return ContainedEnd::default();
        };
        let ended = tokio::task::spawn_blocking(move || group.finish()).await;
        let Ok(end) = ended else {
            return ContainedEnd::default();
        };
        let CgroupEnd { ended, alive, .. } = end;
        if ended > 0 {
            tracing::warn!(run = %self.run, ended, "ended processes of a run that its runner did not see");
        }
        let bounds = containment.bounds.as_ref();
        ContainedEnd {
            alive,
            limit: bounds.and_then(|bounds| bounds.reached(end)),
            is_certain: alive == 0,
        }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.wake();
    }
}

fn command(
    launch: &LaunchSpec,
    containment: &Containment,
    (surroundings, confinement): (Surroundings, &str),
    control: OwnedFd,
) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(&containment.runner.program);
    command
        .arg0("kirosu-runner")
        .args(&containment.runner.args)
        .arg(containment.grace.as_millis().to_string())
        .arg(containment.linger.as_millis().to_string())
        .arg(launch.stop.word())
        .arg(limit_of_programs().map_or_else(|| "-".to_owned(), |limit| limit.to_string()))
        .arg(confinement)
        .args(&launch.argv)
        .current_dir(&launch.workdir)
        .env_clear()
        .envs(surroundings.0)
        .stdin(Stdio::from(control))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Sends the first message: one byte, with the read end of the program's stdin attached.
fn send_start(control: &StdUnixStream, stdin: OwnedFd) -> io::Result<()> {
    let fds = [stdin.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let byte = [RunnerOrder::Start.byte()];
    let message = [IoSlice::new(&byte)];
    sendmsg(control, &message, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// An id that is unique on this machine, also across restarts.
fn new_run_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since_epoch.map_or(0, |it| it.as_nanos());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:x}-{number:x}", std::process::id(), nanos)
}
