//! The bounds of runs: what this system can enforce for a process that is started from here.

use super::Finding;
use crate::options;
use kirosu_config::Settings;
use kirosu_providers::Cgroups;

const AREA: &str = "Runs";

pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let cgroups = Cgroups::expected();
    let mut findings = vec![group(&cgroups), limits(&cgroups)];
    for pool in &settings.pools {
        if let Err(why) = options::bounds(pool).check(&cgroups) {
            let name = format!("pool {}", pool.name);
            let refused = format!("started from here it would be refused: {why}");
            findings.push(Finding::note(AREA, name, refused));
        }
    }
    findings
}

fn group(cgroups: &Cgroups) -> Finding {
    let name = "cgroup per run";
    match cgroups.missing() {
        None => Finding::ok(AREA, name, "yes"),
        Some(why) => Finding::note(
            AREA,
            name,
            format!("none for a process that is started from here: {why}"),
        )
        .advise("without it, processes of a run are found by group, session and a mark in their environment"),
    }
}

fn limits(cgroups: &Cgroups) -> Finding {
    let name = "limits of runs";
    let missing = cgroups.unlimited();
    if missing.is_empty() {
        return Finding::ok(AREA, name, "memory, processes and cpu can be limited");
    }
    let shown: Vec<String> = missing
        .iter()
        .map(|(key, why)| format!("{key}: {why}"))
        .collect();
    Finding::note(
        AREA,
        name,
        format!("not available from here: {}", shown.join("; ")),
    )
}
