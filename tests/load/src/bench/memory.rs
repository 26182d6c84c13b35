//! Memory of an idle hub with no, a thousand and ten thousand connections.

use super::{Bench, Report, Row, Target};
use crate::Fault;
use crate::machine::{open_files, raise_open_files, resident_bytes};
use crate::wire::Wire;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long the hub may take to accept all connections.
const PATIENCE: Duration = Duration::from_secs(30);

/// All connections are open at once, none says a word.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let allowed = raise_open_files();
    let hub = bench.hub()?;
    let pid = hub.server.pid();
    // One answered question first: a hub that has never worked is not the hub of every day.
    Wire::connect(hub.server.address)?.call("stats", serde_json::json!({}))?;
    let files_before = open_files(pid);
    let mut idle: Vec<TcpStream> = Vec::new();
    for (connections, target) in [
        (0, None),
        (1_000, None),
        (10_000, Some(Target::AtMost(120.0))),
    ] {
        if allowed < connections as u64 + 200 {
            eprintln!(
                "  skipped {connections} connections: only {allowed} open files are allowed; raise `ulimit -n`"
            );
            continue;
        }
        while idle.len() < connections {
            idle.push(TcpStream::connect(hub.server.address)?);
        }
        wait_until_accepted(pid, files_before + connections)?;
        let mib = resident_bytes(pid)? as f64 / 1e6;
        let mut row = Row::new(
            format!("memory with {connections} idle connections"),
            "MB",
            mib,
        );
        row.target = target;
        report.add(row);
    }
    Ok(())
}

fn wait_until_accepted(pid: u32, files: usize) -> Result<(), Fault> {
    let begun = Instant::now();
    // A connection or two may have come and gone; the last few do not change the figure.
    while open_files(pid) + 8 < files {
        if begun.elapsed() > PATIENCE {
            let open = open_files(pid);
            return Err(Fault::new(format!(
                "the hub holds {open} open files, {files} were expected"
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // Accepted is not yet served: let the hub come to rest, seen by its memory.
    let mut before = resident_bytes(pid)?;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        let now = resident_bytes(pid)?;
        if now == before {
            break;
        }
        before = now;
    }
    Ok(())
}
