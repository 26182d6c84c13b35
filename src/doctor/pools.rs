//! The pools: folder, repository and hooks of each. Without this check, a pool reports these faults only when it runs.

use super::Finding;
use crate::worktrees::{Git, base};
use kirosu_config::{PoolSection, Settings};
use kirosu_protocol::settings::WorkspaceMode;
use kirosu_providers::{Containment, find_program};
use rustix::fs::{Access, access};
use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const AREA: &str = "Pools";

pub(super) async fn findings(settings: &Settings, containment: &Containment) -> Vec<Finding> {
    let git = Git::new(containment.clone());
    let mut findings = Vec::new();
    for pool in &settings.pools {
        let folder = folder(settings, pool);
        let problem = match (usable(pool, &folder), pool.workspace) {
            (Ok(()), WorkspaceMode::Worktree) => repository(&git, pool, &folder).await.err(),
            (found, _) => found.err(),
        };
        let is_good = problem.is_none();
        findings.push(match problem {
            Some((why, advice)) => Finding::problem(AREA, &pool.name, why).advise(advice),
            None => Finding::ok(AREA, &pool.name, works_in(pool, &folder)),
        });
        // A relative hook is looked up in the pool's folder.
        findings.extend(hooks(pool, is_good.then_some(&*folder)));
    }
    findings
}

/// A fault and advice for the user.
type PoolFault = (String, String);

fn folder(settings: &Settings, pool: &PoolSection) -> PathBuf {
    let default = || match pool.workspace {
        WorkspaceMode::Shared | WorkspaceMode::Worktree => env::current_dir().unwrap_or_default(),
        WorkspaceMode::Isolated | WorkspaceMode::Ephemeral => settings.workspaces_dir(),
    };
    pool.workdir.clone().unwrap_or_else(default)
}

fn works_in(pool: &PoolSection, folder: &Path) -> String {
    let folder = folder.display();
    match pool.workspace {
        WorkspaceMode::Shared => format!("works in {folder}"),
        WorkspaceMode::Isolated => format!("works in a folder for each agent under {folder}"),
        WorkspaceMode::Ephemeral => format!("works in a folder for each task under {folder}"),
        WorkspaceMode::Worktree => format!("works in worktrees of the repository at {folder}"),
    }
}

/// Whether runs can work in the folder. The pool creates private folders itself, so the nearest existing parent must be
/// writable.
fn usable(pool: &PoolSection, folder: &Path) -> Result<(), PoolFault> {
    let is_made = matches!(
        pool.workspace,
        WorkspaceMode::Isolated | WorkspaceMode::Ephemeral
    );
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    for place in whole.ancestors() {
        let shown = place.display();
        match place.metadata() {
            Ok(found) if !found.is_dir() => {
                return Err((
                    format!("{shown} is not a folder"),
                    "name a folder as workdir".to_owned(),
                ));
            }
            Ok(_) if access(place, Access::WRITE_OK | Access::EXEC_OK).is_err() => {
                return Err((
                    format!("this user may not write to {shown}"),
                    "make it writable, or name another workdir".to_owned(),
                ));
            }
            Ok(_) => return Ok(()),
            Err(why) if why.kind() == ErrorKind::NotFound && is_made => {}
            Err(why) => {
                return Err((
                    format!("the folder {shown} cannot be used: {why}"),
                    format!("mkdir -p {shown}, or name another workdir"),
                ));
            }
        }
    }
    Ok(())
}

async fn repository(git: &Git, pool: &PoolSection, folder: &Path) -> Result<(), PoolFault> {
    base(git, folder, pool.base.as_deref())
        .await
        .map_err(|fault| {
            let advice = "the pool takes no tasks until this is fixed; it checks again by itself";
            (fault.to_string(), advice.to_owned())
        })
}

/// Findings about hooks whose program does not exist. A relative path is in the folder of each run, which exists here
/// only for a shared workspace.
fn hooks(pool: &PoolSection, folder: Option<&Path>) -> Vec<Finding> {
    let hooks = pool.hooks();
    let variables: Vec<(String, String)> = pool.env.clone().into_iter().collect();
    let named = [("before", &hooks.before), ("after", &hooks.after)];
    let named = named
        .into_iter()
        .filter_map(|(name, argv)| Some((name, argv.first()?)));
    named
        .filter_map(|(name, program)| {
            let is_relative = program.contains('/') && !program.starts_with('/');
            let place = match (is_relative, pool.workspace, folder) {
                (false, _, _) => program.clone(),
                (true, WorkspaceMode::Shared, Some(folder)) => {
                    let folder = std::path::absolute(folder).unwrap_or_default();
                    folder.join(program).display().to_string()
                }
                (true, _, _) => return None,
            };
            if find_program(&place, &variables).is_some() {
                return None;
            }
            let what = format!(
                "the program of hooks.{name}, {place}, does not exist or is not executable"
            );
            let advice = "install it, or correct hooks: runs of this pool fail without it";
            Some(Finding::problem(AREA, &pool.name, what).advise(advice))
        })
        .collect()
}
