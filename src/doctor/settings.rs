//! The settings: whether they can be read, and their origin.

use super::Finding;
use kirosu_config::{ConfigFaults, Loaded};

const AREA: &str = "Settings";

pub(super) fn findings(settings: &Result<Loaded, ConfigFaults>) -> Vec<Finding> {
    match settings {
        Ok(loaded) => good(loaded),
        Err(faults) => bad(faults),
    }
}

fn good(loaded: &Loaded) -> Vec<Finding> {
    let from = match &loaded.file {
        Some(file) => file.display().to_string(),
        None => "built in: there is no ./kirosu.toml, ~/.config/kirosu/kirosu.toml or /etc/kirosu/kirosu.toml".to_owned(),
    };
    let mut findings = vec![Finding::ok(AREA, "file", from)];
    for warning in &loaded.warnings {
        findings.push(Finding::note(AREA, "warning", warning));
    }
    let pools = &loaded.settings.pools;
    findings.push(match pools.is_empty() {
        false => {
            let names: Vec<String> = pools
                .iter()
                .map(|pool| format!("{} ({} × {})", pool.name, pool.size, pool.provider))
                .collect();
            Finding::ok(AREA, "pools", names.join(", "))
        }
        true => Finding::note(
            AREA,
            "pools",
            "none: `kirosu up` runs no tasks with these settings",
        )
        .advise("add a [[pool]] (kirosu config example shows one), or run `kirosu agent`"),
    });
    findings
}

fn bad(faults: &ConfigFaults) -> Vec<Finding> {
    let finding = |fault: &kirosu_config::ConfigFault| {
        let place = fault.origin.as_ref().map(ToString::to_string);
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        let finding = Finding::problem(AREA, &fault.key, format!("{}{place}", fault.message));
        match fault.is_untrusted() {
            true => finding,
            false => finding.advise("correct it; `kirosu config check` checks again, `kirosu config example` shows every key"),
        }
    };
    let mut findings: Vec<Finding> = faults.0.iter().map(finding).collect();
    findings.push(Finding::note(
        AREA,
        "rest",
        "hub, store and files were not checked, because the settings have faults; only built-in providers were",
    ));
    findings
}
