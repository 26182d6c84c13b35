//! How the hub is killed, or ended for a restore, and what its file looks like at that moment.

use super::Verdict;
use crate::Fault;
use crate::server::{Plan, Server};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The progress at which each fault comes: anywhere between the first twentieth and the last tenth.
pub fn points(tasks: u64, count: usize, rng: &mut fastrand::Rng) -> Vec<u64> {
    let (from, to) = (tasks / 20, tasks * 9 / 10);
    let mut points: Vec<u64> = (0..count).map(|_| rng.u64(from..=to)).collect();
    points.sort_unstable();
    points
}

/// Kills the hub at some instant of the next milliseconds, checks a copy of its file, and starts it again.
pub fn kill_and_restart(
    server: &mut Server,
    plan: &Plan,
    rng: &mut fastrand::Rng,
    verdict: &mut Verdict,
    after_kill: impl FnOnce(&mut Verdict) -> Result<(), Fault>,
) -> Result<(), Fault> {
    std::thread::sleep(Duration::from_micros(rng.u64(0..20_000)));
    server.kill()?;
    after_kill(verdict)?;
    check_copy(plan, verdict)?;
    *server = Server::hub(plan)?;
    Ok(())
}

/// Ends the hub, in good order or not, puts a backup in the place of its store, and starts it again. Returns the name that
/// the file has now which was there before.
pub fn restore(
    server: &mut Server,
    plan: &Plan,
    backup: &str,
    rng: &mut fastrand::Rng,
    verdict: &mut Verdict,
    after_end: impl FnOnce(&mut Verdict),
) -> Result<PathBuf, Fault> {
    match rng.bool() {
        true => server.kill()?,
        false => {
            let status = server.stop()?;
            if !status.success() {
                let sentence = format!("SIGTERM ended the hub with {status}, not with code 0");
                verdict.violation(sentence);
            }
        }
    }
    after_end(verdict);
    check_copy(plan, verdict)?;
    let replaced = plan.restore(backup)?.into_iter().next();
    check_copy(plan, verdict)?;
    *server = Server::hub(plan)?;
    replaced.ok_or_else(|| Fault::new("a restore replaced no file"))
}

/// SQLite alone must find the file that the hub left intact, before another hub has opened it.
fn check_copy(plan: &Plan, verdict: &mut Verdict) -> Result<(), Fault> {
    let copy = plan.folder.join("copy.db");
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", plan.database().display());
        let to = format!("{}{suffix}", copy.display());
        match std::fs::copy(&from, &to) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let _ = std::fs::remove_file(&to);
            }
            copied => drop(copied?),
        }
    }
    let found = integrity(&copy)?;
    if found != "ok" {
        verdict.violation(format!("integrity_check while no hub runs says: {found}"));
    }
    Ok(())
}

/// The result of `PRAGMA integrity_check` in Python's SQLite.
pub fn integrity(database: &Path) -> Result<String, Fault> {
    let script = "import sqlite3,sys\n\
                  for row in sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check'): print(row[0])";
    python(script, database).map(|text| text.trim().to_owned())
}

/// Runs a Python script on a file and returns its output.
pub fn python(script: &str, database: &Path) -> Result<String, Fault> {
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(database)
        .output()
        .map_err(|e| {
            Fault::new(format!(
                "cannot run python3, which reads the file afterwards: {e}"
            ))
        })?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Fault::new(format!(
            "python3 could not read {}: {}",
            database.display(),
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
