//! A model of worktrees: random sequences of what agents do in them and of what a person does around them, against the
//! built binary and the git of this machine. The invariant: every byte that the person had, or that an agent left at the
//! end of an attempt which the person did not discard, can be found again at a place that Kirosu named: the person's
//! repository, a branch or commit that it printed, or a folder that it listed.
//!
//! Each write is a mark of its own, so that "found again" is a search. Continuous integration runs a few sequences of
//! random seeds. By hand:
//!
//! ```text
//! KIROSU_MODEL_SEQUENCES=2000 cargo test --test worktree_model
//! KIROSU_MODEL_SEED=4711 KIROSU_MODEL_SEQUENCES=1 cargo test --test worktree_model -- --nocapture
//! ```

mod agent;
mod person;

use fastrand::Rng;
use person::World;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The program that lists marks.
const LEDGER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/end_to_end/worktree_model/ledger.py"
);

/// Sequences of one run of the test.
const SEQUENCES: u64 = 8;
/// Sequences that run side by side: they wait for processes most of the time.
const SIDE_BY_SIDE: u64 = 4;
/// Sequences between two lines of progress.
const REPORT_EVERY: u64 = 20;

/// The real Python behind `python3`: a shim would start twenty processes per call.
pub fn python() -> &'static str {
    static PYTHON: LazyLock<String> = LazyLock::new(|| {
        let ask = ["-c", "import sys; print(sys.executable)"];
        let said = Command::new("python3").args(ask).output();
        let said = said.expect("python3 is missing: apt install python3");
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    });
    &PYTHON
}

/// Hands out marks, each once.
#[derive(Debug, Default)]
pub struct Marks(u32);

impl Marks {
    fn new_mark(&mut self) -> String {
        self.0 += 1;
        format!("KM{:06}", self.0)
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: a number is expected")),
    )
}

#[test]
fn every_byte_can_be_found_again() {
    let sequences = number("KIROSU_MODEL_SEQUENCES").unwrap_or(SEQUENCES);
    let first = number("KIROSU_MODEL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
    let progress = Progress::default();
    let failed: Vec<String> = std::thread::scope(|scope| {
        let lanes = SIDE_BY_SIDE.min(sequences);
        let runs: Vec<_> = (0..lanes)
            .map(|lane| {
                let seeds = (first + lane..first + sequences).step_by(lanes as usize);
                let progress = &progress;
                let one = move |seed| progress.ended(seed, sequence(seed));
                scope.spawn(move || seeds.filter_map(one).collect::<Vec<_>>())
            })
            .collect();
        runs.into_iter()
            .flat_map(|run| run.join().unwrap())
            .collect()
    });
    assert!(
        failed.is_empty(),
        "{} of {sequences} sequences failed:\n\n{}",
        failed.len(),
        failed.join("\n\n")
    );
}

/// Reports long runs while they go on: each failure at once, and every so often the number of sequences that have ended.
#[derive(Default)]
struct Progress {
    ended: AtomicU64,
    failed: AtomicU64,
}

impl Progress {
    fn ended(&self, seed: u64, fault: Option<String>) -> Option<String> {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(fault) = &fault {
            self.failed.fetch_add(1, Ordering::Relaxed);
            eprintln!("FAILED {fault}\n");
        }
        if ended.is_multiple_of(REPORT_EVERY) {
            let failed = self.failed.load(Ordering::Relaxed);
            eprintln!("{ended} sequences ended, {failed} failed, last seed {seed}");
        }
        fault
    }
}

/// One sequence; what went wrong, with the steps that led there.
fn sequence(seed: u64) -> Option<String> {
    let run = std::panic::catch_unwind(|| {
        let mut world = World::new(Rng::with_seed(seed));
        let faults = world.live();
        (!faults.is_empty()).then(|| format!("{}\n{}", faults.join("\n"), world.story()))
    });
    let fault = match run {
        Ok(fault) => fault?,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
            format!("panicked: {}", text.unwrap_or_default())
        }
    };
    Some(format!(
        "KIROSU_MODEL_SEED={seed} KIROSU_MODEL_SEQUENCES=1\n{fault}"
    ))
}
