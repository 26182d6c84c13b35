//! Faults of hub, workers and the connections between them: one file per fault, each with a start and a heal.

mod cut;
mod fill;
mod full;
mod restore;
mod stall;
mod stop;

use super::history::now_ns;
use super::link::{Link, Shared};
use super::proxy::Gates;
use super::remote::Remote;
use super::{Torture, Verdict, kills};
use crate::Fault;
use crate::server::{Plan, Server};
use clap::ValueEnum;
use std::path::PathBuf;
use std::time::Duration;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// SIGKILL of the hub, and its restart
    Kill,
    /// SIGSTOP of worker processes past their leases; their acks come as those of zombies
    Stop,
    /// The wire between worker processes and hub swallows what comes: one direction, or both
    Cut,
    /// Readers that do not read: the workers, and a client that has asked thousands of questions
    Stall,
    /// The hub cannot write to any file, from one byte to the next (its limit of file size is set)
    Full,
    /// A backup in the middle of the work, and a little later a restore of it: what came in between is undone
    Restore,
    /// Every request that may be repeated is sent twice at once, over two connections
    Twice,
    /// The file system is full; needs --dir on a small one of its own
    Fill,
}

/// All that need no file system of their own.
pub const USUAL: [Kind; 7] = [
    Kind::Kill,
    Kind::Stop,
    Kind::Cut,
    Kind::Stall,
    Kind::Full,
    Kind::Restore,
    Kind::Twice,
];

/// The parts that a fault may affect.
pub struct Field<'a> {
    /// How the hub is started.
    pub plan: &'a Plan,
    /// The hub.
    pub server: &'a mut Server,
    /// State shared by all clients.
    pub shared: &'a Shared,
    /// Speaks for the tool itself, and writes down the starts of the hub.
    pub tool: Link<'a>,
    /// The files that each restore replaced, oldest first.
    pub replaced: Vec<PathBuf>,
    /// The wire to the worker processes.
    pub gates: &'a Gates,
    /// The worker processes.
    pub remotes: &'a [Remote],
    /// Decides the details.
    pub rng: &'a mut fastrand::Rng,
    /// Violations found during the run.
    pub verdict: &'a mut Verdict,
    /// The longest that a hub has needed to start again.
    pub slowest_start: Duration,
}

impl Field<'_> {
    /// SIGKILL, a look at the file, and a new start.
    pub fn kill(&mut self) -> Result<(), Fault> {
        let mut gone = 0;
        kills::kill_and_restart(self.server, self.plan, self.rng, self.verdict, |_| {
            gone = now_ns();
            Ok(())
        })?;
        self.started(gone, None)
    }

    /// The hub was started, after the one before was gone at this moment.
    fn started(&mut self, gone: u64, restored: Option<String>) -> Result<(), Fault> {
        self.shared.moved(self.server.address);
        self.tool.started(gone, restored)?;
        self.slowest_start = self.slowest_start.max(self.server.started_in);
        Ok(())
    }
}

/// A fault that lasts for a while.
pub trait Nemesis {
    /// How long it lasts, at least and at most, in milliseconds.
    fn lasts_ms(&self) -> (u64, u64);
    /// Begins it.
    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault>;
    /// Ends it, and looks at what it has left.
    fn heal(&mut self, field: &mut Field<'_>) -> Result<(), Fault>;
}

impl Kind {
    /// A fault of this kind.
    pub fn nemesis(self) -> Box<dyn Nemesis> {
        match self {
            Kind::Kill => Box::new(Kill),
            Kind::Stop => Box::<stop::Stop>::default(),
            Kind::Cut => Box::new(cut::Cut),
            Kind::Stall => Box::<stall::Stall>::default(),
            Kind::Full => Box::new(full::Full),
            Kind::Restore => Box::<restore::Restore>::default(),
            Kind::Twice => Box::new(Twice),
            Kind::Fill => Box::new(fill::Fill),
        }
    }

    /// Whether the hub may be killed while this lasts: not where that would keep this tool from looking at the file.
    pub fn bears_a_kill(self) -> bool {
        !matches!(self, Kind::Kill | Kind::Full | Kind::Fill)
    }

    /// How often it strikes.
    pub fn times(self, torture: &Torture) -> u32 {
        match self {
            Kind::Kill => torture.kills,
            _ => torture.strikes,
        }
    }

    /// Its name, as on the command line.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

struct Kill;

impl Nemesis for Kill {
    fn lasts_ms(&self) -> (u64, u64) {
        (0, 0)
    }

    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        field.kill()
    }

    fn heal(&mut self, _: &mut Field<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

struct Twice;

impl Nemesis for Twice {
    fn lasts_ms(&self) -> (u64, u64) {
        (500, 1_000)
    }

    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        let twice = &field.shared.twice;
        twice.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    fn heal(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        let twice = &field.shared.twice;
        twice.store(false, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}
