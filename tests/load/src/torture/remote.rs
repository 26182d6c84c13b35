//! Workers in processes of their own, which can be stopped in the middle of a run, behind the proxy.
//!
//! Each is this tool again. It prints every call when it has ended, as one line; the end of its standard input ends it.

use super::history::{Call, Event, Outcome};
use super::link::Shared;
use super::{history, worker};
use crate::Fault;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread::{Scope, ScopedJoinHandle};

/// Arguments of a worker process: its name and the hub's address.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its number among all speakers.
    pub speaker: u32,
    /// Where it connects to.
    pub address: SocketAddr,
    /// Decides how its runs end.
    pub seed: u64,
}

impl Role {
    /// The process's side: works until its standard input ends.
    pub fn play(&self) -> Result<(), Fault> {
        let mut shared = Shared::new(self.address, 0);
        shared.tells = true;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // An error is an end as well.
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
                shared.over.store(true, Ordering::Relaxed);
            });
            worker::run(
                &shared,
                self.speaker,
                self.speaker.is_multiple_of(2),
                self.seed,
            );
        });
        Ok(())
    }
}

/// A running worker process; killed when dropped.
#[derive(Debug)]
pub struct Remote {
    child: Child,
    /// Closed, it ends the process.
    input: Option<ChildStdin>,
}

impl Remote {
    /// Starts the process `tool` in a role.
    pub fn start(tool: &std::path::Path, role: &Role) -> Result<(Remote, ChildStdout), Fault> {
        let mut child = Command::new(tool)
            .arg("--worker")
            .arg(role.address.to_string())
            .args(["--speaker", &role.speaker.to_string()])
            .args(["--seed", &role.seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| Fault::new(format!("cannot start {}: {e}", tool.display())))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or_else(|| Fault::new("a worker's process has no output"))?;
        Ok((Remote { child, input }, output))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<(), Fault> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Tells it to end, and waits.
    pub fn end(&mut self) -> Result<(), Fault> {
        drop(self.input.take());
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(Fault::new(format!(
                "a worker's process ended with {status}"
            ))),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Ended already: both calls fail, and that is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the output of a worker process until its end, and counts the accepted acks.
pub fn listen<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    shared: &'env Shared,
    output: ChildStdout,
) -> ScopedJoinHandle<'scope, Vec<Event>> {
    scope.spawn(move || {
        let mut events = Vec::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let Ok(event) = serde_json::from_str::<history::Event>(&line) else {
                eprintln!("a worker's process said {line:?}");
                continue;
            };
            if matches!(event.call, Call::Ack { .. }) && event.outcome == Outcome::Ok {
                shared.acked.fetch_add(1, Ordering::Relaxed);
            }
            events.push(event);
        }
        events
    })
}
