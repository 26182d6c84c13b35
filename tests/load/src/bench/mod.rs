//! The measurements, one file each, and the table they end in.

mod bounds;
mod depth;
mod latency;
mod life_cycle;
mod memory;
mod prompt_size;
mod report;
mod runs;
mod sessions;
mod stalls;
mod start_up;
mod verbs;

pub use report::{Report, Row, Target};
pub use sessions::pretend_agent;

use crate::Fault;
use crate::server::{Plan, Server};
use crate::wire::Wire;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Every measurement by its name, in the order they run.
pub const NAMES: [&str; 14] = [
    "a", "b", "c", "batched", "latency", "lease", "memory", "start", "prompt", "verbs", "bounds",
    "stalls", "sessions", "runs",
];

/// The selected measurements and their number of runs.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The `kirosu` binary.
    pub binary: PathBuf,
    /// Folder for the files under measurement.
    pub folder: PathBuf,
    /// Length of one measured run of a throughput workload.
    pub seconds: f64,
    /// Runs of which the median is taken.
    pub runs: usize,
    /// Whether Redis is installed.
    pub redis: bool,
    /// Lease cost with 10 million tasks behind, too.
    pub full: bool,
    /// Multiplies sample counts and sizes; 1 for a real measurement, less for a trial.
    pub scale: f64,
    /// Settings for every hub, as `key=value`.
    pub settings: Vec<String>,
}

impl Bench {
    /// Runs one measurement by its name.
    pub fn measure(&self, name: &str, report: &mut Report) -> Result<(), Fault> {
        match name {
            "a" | "b" | "c" | "batched" => life_cycle::measure(self, name, report),
            "latency" => latency::measure(self, report),
            "lease" => depth::measure(self, report),
            "memory" => memory::measure(self, report),
            "start" => start_up::measure(self, report),
            "prompt" => prompt_size::measure(self, report),
            "verbs" => verbs::measure(self, report),
            "bounds" => bounds::measure(self, report),
            "stalls" => stalls::measure(self, report),
            "sessions" => sessions::measure(self, report),
            "runs" => runs::measure(self, report),
            _ => Err(Fault::new(format!(
                "no measurement is called {name:?}; there are {}",
                NAMES.join(", ")
            ))),
        }
    }

    /// A hub on a fresh file. Its folder goes when the value is dropped.
    fn hub(&self) -> Result<Fresh, Fault> {
        self.hub_with(&[])
    }

    /// The same with further settings, as `key=value`.
    fn hub_with(&self, settings: &[&str]) -> Result<Fresh, Fault> {
        let folder = self.fresh_folder()?;
        let mut plan = Plan::hub(&self.binary, folder.path());
        plan.settings.clone_from(&self.settings);
        plan.settings
            .extend(settings.iter().map(|&it| it.to_owned()));
        let server = Server::hub(&plan)?;
        Ok(Fresh {
            server,
            plan,
            _folder: folder,
        })
    }

    /// A Redis on a fresh folder.
    fn redis(&self) -> Result<(Server, tempfile::TempDir), Fault> {
        let folder = self.fresh_folder()?;
        Ok((Server::redis(folder.path())?, folder))
    }

    fn fresh_folder(&self) -> Result<tempfile::TempDir, Fault> {
        Ok(tempfile::tempdir_in(&self.folder)?)
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// A count for a real measurement, scaled down for a trial.
    fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.scale) as usize).max(1)
    }
}

/// A hub, its plan, its folder; dropped in this order.
struct Fresh {
    server: Server,
    plan: Plan,
    _folder: tempfile::TempDir,
}

/// The folder of a path that may be relative to nothing.
pub fn folder_or_temp(folder: Option<&Path>) -> PathBuf {
    folder.map_or_else(std::env::temp_dir, Path::to_path_buf)
}

/// Enqueues `count` tasks with prompts of 200 bytes, in batches.
fn fill(wire: &mut Wire, count: usize) -> Result<(), Fault> {
    let mut done = 0;
    while done < count {
        let size = (count - done).min(5000);
        let tasks: Vec<_> = (done..done + size)
            .map(|n| serde_json::json!({"prompt": crate::talk::prompt(n as u64, 200)}))
            .collect();
        wire.call("enqueue_batch", serde_json::json!({"tasks": tasks}))?;
        done += size;
    }
    Ok(())
}

/// Times requests, each over and over on a connection of its own, while some work is done.
fn beside(
    address: SocketAddr,
    requests: &[(&str, &str, Value)],
    work: impl FnOnce() -> Result<(), Fault>,
) -> Result<Vec<Vec<f64>>, Fault> {
    let end = AtomicBool::new(false);
    let end = &end;
    std::thread::scope(|scope| {
        let ask = |method: &str, params: &Value| -> Result<Vec<f64>, Fault> {
            let mut wire = Wire::connect(address)?;
            let mut times = Vec::new();
            while !end.load(Ordering::Relaxed) {
                let begun = Instant::now();
                wire.call(method, params.clone())?;
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(times)
        };
        let asking: Vec<_> = requests
            .iter()
            .map(|(_, method, params)| scope.spawn(move || ask(method, params)))
            .collect();
        let worked = work();
        end.store(true, Ordering::Relaxed);
        let times = asking.into_iter().map(|asking| match asking.join() {
            Ok(times) => times,
            Err(_) => Err(Fault::new("a thread that asked panicked")),
        });
        let times = times.collect();
        worked.and(times)
    })
}

/// The value below which the share `p` (0 to 1) of the samples lies. Sorts them; 0 of none.
fn percentile(samples: &mut [f64], p: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let at = (last as f64 * p).round() as usize;
    samples.get(at).copied().unwrap_or(0.0)
}

fn median(samples: &mut [f64]) -> f64 {
    percentile(samples, 0.5)
}
