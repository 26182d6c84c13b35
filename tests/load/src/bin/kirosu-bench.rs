//! `kirosu-bench`: one table of the hub's costs, compared with Redis in the same run.

use clap::Parser;
use kirosu_load::bench::{Bench, NAMES, Report, folder_or_temp, pretend_agent};
use kirosu_load::{Fault, machine, server};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures a `kirosu` binary from outside and prints one table
///
/// Starts the binary on fresh files, drives it over TCP from this process, and does the same with Redis where it is
/// installed. Ends what it started and removes its files. A whole run takes some minutes; keep the machine quiet.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  kirosu-bench\n  kirosu-bench --only a,c --seconds 2 --runs 1\n  kirosu-bench --json > figures.json"
)]
struct Args {
    /// The binary to measure
    #[arg(long, default_value = "target/dist/kirosu")]
    binary: PathBuf,
    /// Where the files under measurement lie [default: the system's temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Length of one run of a throughput workload
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Runs of which the median is taken
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    runs: u16,
    /// Only these measurements
    #[arg(long, value_delimiter = ',', value_parser = NAMES)]
    only: Vec<String>,
    /// The lease with 10 million tasks behind, too (some 5 GB of disk)
    #[arg(long)]
    full: bool,
    /// Shrinks fills and sample counts for a trial of the tool; figures then mean little
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// A setting for every hub, as key=value; may be repeated
    #[arg(long = "set")]
    settings: Vec<String>,
    /// One JSON document instead of the table
    #[arg(long)]
    json: bool,
    /// Prints the output of an agent of the measurement `sessions` for this number of seconds
    #[arg(long, hide = true)]
    pretend_agent: Option<u64>,
    /// Exit code 1 when a target is missed
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(seconds) = args.pretend_agent {
        pretend_agent(Duration::from_secs(seconds));
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(report) => {
            match args.json {
                true => println!("{:#}", report.json()),
                false => println!("\n{}", report.table()),
            }
            ExitCode::from(u8::from(args.strict && report.missed() > 0))
        }
        Err(fault) => {
            eprintln!("kirosu-bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<Report, Fault> {
    let binary = args.binary.canonicalize().map_err(|e| {
        Fault::new(format!(
            "cannot find {}: {e}; build it with `make build`",
            args.binary.display()
        ))
    })?;
    let root = tempfile::Builder::new()
        .prefix("kirosu-bench-")
        .tempdir_in(folder_or_temp(args.dir.as_deref()))?;
    let redis = server::redis_version();
    if redis.is_none() {
        eprintln!(
            "redis-server is not installed, so there are no ratios to it (Debian: apt install redis-server)"
        );
    }
    let bench = Bench {
        binary,
        folder: root.path().to_path_buf(),
        seconds: args.seconds.clamp(0.1, 600.0),
        runs: usize::from(args.runs),
        redis: redis.is_some(),
        full: args.full,
        scale: args.scale.clamp(0.0001, 1.0),
        settings: args.settings.clone(),
    };
    let mut report = Report::default();
    circumstances(&bench, redis, &mut report);
    let chosen = NAMES
        .iter()
        .filter(|name| args.only.is_empty() || args.only.iter().any(|it| it == *name));
    for name in chosen {
        eprintln!("{name}:");
        bench.measure(name, &mut report)?;
    }
    report
        .circumstances
        .push(("load average after", machine::load_average()));
    Ok(report)
}

/// The conditions of the measurement, without which a figure means nothing.
fn circumstances(bench: &Bench, redis: Option<String>, report: &mut Report) {
    let durability = bench
        .settings
        .iter()
        .find_map(|s| s.strip_prefix("store.durability="))
        .unwrap_or("full (the default: synced before the answer)");
    let settings = match bench.settings.as_slice() {
        [] => "defaults".to_owned(),
        some => some.join(" "),
    };
    report.circumstances = vec![
        ("kirosu", server::kirosu_version(&bench.binary)),
        ("durability", durability.to_owned()),
        ("settings", settings),
        (
            "redis",
            redis.map_or_else(
                || "not installed".into(),
                |v| format!("{v}, appendonly, appendfsync always"),
            ),
        ),
        (
            "cores",
            format!("{}, shared with the load", machine::cores()),
        ),
        ("kernel", machine::kernel()),
        ("file system", machine::file_system(&bench.folder)),
        (
            "runs",
            format!("{} of {} s, medians", bench.runs, bench.seconds),
        ),
        ("load average before", machine::load_average()),
    ];
}
