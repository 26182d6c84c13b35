//! The repositories of pools with `workspace = "worktree"`: git settings that agents may have changed.

use super::Finding;
use crate::worktrees::{Git, concerns};
use kirosu_config::Settings;
use kirosu_protocol::settings::WorkspaceMode;
use kirosu_providers::Containment;

const AREA: &str = "Repositories";

pub(super) async fn findings(settings: &Settings, containment: &Containment) -> Vec<Finding> {
    let git = Git::new(containment.clone());
    let mut findings = Vec::new();
    for pool in &settings.pools {
        let here = std::env::current_dir().unwrap_or_default();
        let workdir = pool.workdir.as_deref().unwrap_or(&here);
        if pool.workspace != WorkspaceMode::Worktree {
            continue;
        }
        let name = format!("of pool {}", pool.name);
        match concerns(&git, &settings.workspaces_dir(), workdir).await {
            Ok(found) if found.is_empty() => {
                findings.push(Finding::ok(
                    AREA,
                    name,
                    "no git settings hinder people in their checkout",
                ));
            }
            Ok(found) => findings.extend(
                found
                    .into_iter()
                    .map(|it| Finding::note(AREA, &name, it.what).advise(it.advice)),
            ),
            // The area of pools reports this as a problem.
            Err(_) => {}
        }
    }
    findings
}
