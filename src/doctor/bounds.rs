//! The bounds of runs: what this system can enforce for a process that is started from here.

use super::Finding;
use crate::options;
use kirosu_config::Settings;
use kirosu_providers::{Cgroups, RunBounds, RunUser, Sandbox, signals_missing};

const AREA: &str = "Runs";

pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let cgroups = Cgroups::expected();
    let mut findings = vec![group(&cgroups), limits(&cgroups), sandbox(), user()];
    for pool in &settings.pools {
        let bounds = options::bounds(settings, pool);
        if let Err(why) = bounds.and_then(|bounds| bounds.check(&cgroups)) {
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

fn sandbox() -> Finding {
    let name = "sandbox of runs";
    let open = RunBounds {
        sandbox: Some(Sandbox {
            network: true,
            ..Sandbox::default()
        }),
        ..RunBounds::default()
    };
    let closed = RunBounds {
        sandbox: Some(Sandbox::default()),
        ..RunBounds::default()
    };
    let cgroups = Cgroups::expected();
    match (
        open.check(&cgroups),
        closed.check(&cgroups),
        signals_missing(),
    ) {
        (Err(why), _, _) => Finding::note(AREA, name, why),
        (Ok(()), Err(why), _) => {
            Finding::note(AREA, name, format!("files, but not the network: {why}"))
        }
        (Ok(()), Ok(()), Some(why)) => Finding::note(
            AREA,
            name,
            format!("files and network, but not signals: {why}"),
        ),
        (Ok(()), Ok(()), None) => Finding::ok(AREA, name, "files, network and signals"),
    }
}

fn user() -> Finding {
    let name = "runs as another user";
    match RunUser::missing_rights() {
        missing if missing.is_empty() => Finding::ok(AREA, name, "possible"),
        missing => Finding::ok(
            AREA,
            name,
            format!("not from here: this process lacks {}", missing.join(", ")),
        ),
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
