//! The systemd units.

use super::Finding;
use kirosu_providers::{Cancel, Containment, EventSink, Program, ProgramEnd};
use std::path::{Path, PathBuf};
use std::time::Duration;

const AREA: &str = "systemd";
/// Exists if systemd runs this machine.
const RUNS: &str = "/run/systemd/system";
/// Folders of units, in order of precedence.
const FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const UNITS: [&str; 3] = [
    "kirosu.service",
    "kirosu-hub.service",
    "kirosu-agent@.service",
];
/// Time limit of one call of systemd's programs.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn findings(containment: &Containment) -> Vec<Finding> {
    if !Path::new(RUNS).exists() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for unit in UNITS {
        let installed = FOLDERS.iter().map(|folder| Path::new(folder).join(unit));
        match installed.into_iter().find(|path| path.exists()) {
            Some(path) => findings.push(installed_unit(unit, path, containment).await),
            None if unit == UNITS[0] => findings.push(Finding::ok(
                AREA,
                unit,
                "not installed; `make install` installs the units",
            )),
            None => {}
        }
    }
    findings
}

async fn installed_unit(unit: &str, path: PathBuf, containment: &Containment) -> Finding {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let verified = call(&["systemd-analyze", "verify", &shown], containment).await;
    let active = match unit.contains('@') {
        true => String::new(),
        false => {
            let end = call(&["systemctl", "is-active", unit], containment).await;
            format!(", {}", end.stdout.lines().next().unwrap_or("state unknown"))
        }
    };
    let message = format!("{shown}{active}");
    let complaint = verified.stderr.trim();
    if !verified.is_good() && !complaint.is_empty() {
        let first = complaint.lines().next().unwrap_or_default();
        return Finding::problem(
            AREA,
            unit,
            format!("{message}; systemd refuses it: {first}"),
        )
        .advise(format!("systemd-analyze verify {shown}"));
    }
    if text
        .lines()
        .any(|line| line.trim_start().starts_with("WatchdogSec="))
    {
        return Finding::ok(AREA, unit, format!("{message}; with a watchdog"));
    }
    Finding::note(AREA, unit, format!("{message}; without a watchdog"))
        .advise("set WatchdogSec=1min, so that systemd restarts a hub that hangs")
}

async fn call(argv: &[&str], containment: &Containment) -> ProgramEnd {
    let program = Program {
        limit: PATIENCE,
        ..Program::new(argv.iter().map(|it| (*it).to_owned()).collect(), "/")
    };
    program
        .run(containment, &EventSink::discard(), Cancel::never())
        .await
}
