//! `kirosu-torture`: faults under load, again and again, then the checker.

use clap::{Parser, ValueEnum};
use kirosu_load::Fault;
use kirosu_load::bench::folder_or_temp;
use kirosu_load::torture::history::Event;
use kirosu_load::torture::nemesis::{Kind, USUAL};
use kirosu_load::torture::remote::Role;
use kirosu_load::torture::{Torture, Verdict, clients, up};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Does to a hub at work what the world does, and checks that nothing is lost, doubled or left behind
///
/// Starts the binary on a fresh file, lets producers and workers (or the hub's own pools) at it, and lets faults strike at
/// random points: kills, stopped workers, cut and held wires, a disk that takes nothing, requests sent twice, a backup
/// that is put back. Then drains, ends the hub with SIGTERM, and compares what was seen with what the file holds.
/// Exit code 1 when a promise was broken; the folder is kept then.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  kirosu-torture\n  kirosu-torture --mode clients --tasks 2000 --kills 20 --seed 7\n  kirosu-torture --mode clients --nemesis stop,cut --strikes 10"
)]
struct Args {
    /// The binary to kill
    #[arg(long, default_value = "target/dist/kirosu")]
    binary: PathBuf,
    /// Which workers do the work
    #[arg(long, value_enum, default_value_t = Mode::Both)]
    mode: Mode,
    /// Tasks to enqueue
    #[arg(long, default_value_t = 10_000)]
    tasks: u64,
    /// Times the hub is killed
    #[arg(long, default_value_t = 5)]
    kills: u32,
    /// Faults, separated by commas; mode `up` has `kill` and `restore` [default: all that need no file system of their
    /// own]
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = USUAL, hide_default_value = true)]
    nemesis: Vec<Kind>,
    /// Times that each fault but `kill` strikes
    #[arg(long, default_value_t = 3)]
    strikes: u32,
    /// Workers
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    workers: u32,
    /// Decides when the hub is killed and what every speaker does [default: random, printed]
    #[arg(long)]
    seed: Option<u64>,
    /// Where the files lie [default: the system's temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A setting for the hub, as key=value; may be repeated
    #[arg(long = "set")]
    settings: Vec<String>,
    /// Works as a single worker for the hub at this address, and prints its calls
    #[arg(long, hide = true)]
    worker: Option<SocketAddr>,
    #[arg(long, hide = true, default_value_t = 0)]
    speaker: u32,
    /// Keeps the folder with database, log and histories in any case
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// This tool's own workers lease and ack over TCP
    Clients,
    /// The pools of `kirosu up`
    Up,
    /// One after the other
    Both,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("kirosu-torture: {fault}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool, Fault> {
    if let Some(address) = args.worker {
        let role = Role {
            speaker: args.speaker,
            address,
            seed: args.seed.unwrap_or(0),
        };
        return role.play().map(|()| true);
    }
    let binary = args.binary.canonicalize().map_err(|e| {
        Fault::new(format!(
            "cannot find {}: {e}; build it with `make build`",
            args.binary.display()
        ))
    })?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    println!("seed {seed}; {} tasks", args.tasks);
    let mut clean = true;
    for mode in [Mode::Clients, Mode::Up] {
        if args.mode != Mode::Both && args.mode != mode {
            continue;
        }
        let root = tempfile::Builder::new()
            .prefix("kirosu-torture-")
            .tempdir_in(folder_or_temp(args.dir.as_deref()))?;
        let torture = Torture {
            binary: binary.clone(),
            folder: root.path().to_path_buf(),
            tasks: args.tasks.max(1),
            kills: args.kills,
            strikes: args.strikes,
            nemeses: args.nemesis.clone(),
            tool: std::env::current_exe()?,
            workers: args.workers,
            seed,
            settings: args.settings.clone(),
        };
        let outcome = match mode {
            Mode::Up => up::run(&torture),
            _ => clients::run(&torture),
        };
        let broken = !matches!(&outcome, Ok((verdict, _)) if verdict.violations.is_empty());
        if broken || args.keep {
            let kept = root.keep();
            println!("kept {}", kept.display());
            if let Ok((verdict, events)) = &outcome {
                write_history(&kept, events)?;
                std::fs::write(kept.join("broken.txt"), verdict.violations.join("\n"))?;
            }
        }
        let (verdict, _) = outcome?;
        print(mode, &verdict);
        clean &= verdict.violations.is_empty();
    }
    Ok(clean)
}

fn write_history(folder: &Path, events: &[Event]) -> Result<(), Fault> {
    let file = std::fs::File::create(folder.join("history.jsonl"))?;
    let mut file = std::io::BufWriter::new(file);
    for event in events {
        serde_json::to_writer(&mut file, event).map_err(std::io::Error::from)?;
        writeln!(file)?;
    }
    Ok(file.flush()?)
}

fn print(mode: Mode, verdict: &Verdict) {
    println!("\nmode {}", format!("{mode:?}").to_lowercase());
    for (what, count) in &verdict.counts {
        println!("{count:>9}  {what}");
    }
    println!("{:>9}  broken promises", verdict.violations.len());
    for sentence in verdict.violations.iter().take(50) {
        println!("  BROKEN: {sentence}");
    }
}
