//! The machine: limits of the process, the clock, and programs that the settings need.

use super::Finding;
use kirosu_config::ProviderKind;
use kirosu_config::Settings;
use kirosu_protocol::settings::WorkspaceMode;
use rustix::process::{Resource, getrlimit};
use std::path::Path;
use std::time::SystemTime;

const AREA: &str = "Machine";
/// Files that a hub opens in addition to connections: store, readers, log, pipes of runners.
const OTHER_FILES: u64 = 256;
/// Pipes and sockets per run.
const FILES_PER_RUN: u64 = 8;
/// 2025-01-01 in Unix seconds; no version of this program is older.
const EARLIEST: u64 = 1_735_689_600;

pub(super) fn findings(settings: &Settings, certain: bool) -> Vec<Finding> {
    let mut findings = vec![open_files(settings), clock(&settings.store.path)];
    let pools = settings.pools.iter().filter(|_| certain);
    let python = pools.clone().any(|pool| {
        let kind = settings.providers.get(&pool.provider).map(|it| it.kind);
        pool.trust_all_tools || kind == Some(ProviderKind::Python)
    });
    let git = pools
        .clone()
        .any(|pool| pool.workspace == WorkspaceMode::Worktree);
    findings.push(program("python3", "python tasks", python));
    findings.push(program(
        "git",
        "pools with workspace = \"worktree\" and --accept-diff",
        git,
    ));
    findings
}

/// Maximum number of runs of all pools at the same time.
fn runs(settings: &Settings) -> u64 {
    settings.pools.iter().map(|pool| u64::from(pool.size)).sum()
}

/// A warning if the runs of all pools may need more open files than the limit allows.
pub fn too_few_files(settings: &Settings) -> Option<String> {
    let runs = runs(settings);
    let wanted = runs * FILES_PER_RUN + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile).current?;
    (limit < wanted).then(|| {
        format!("{limit} files may be open, and {runs} concurrent runs may need {wanted}: not all agents can run at the same time; ulimit -n {wanted} before the start (LimitNOFILE= in a unit), or smaller pools")
    })
}

fn open_files(settings: &Settings) -> Finding {
    let limit = getrlimit(Resource::Nofile);
    let runs = runs(settings);
    let connections = u64::from(settings.limits.connections);
    let wanted = connections + runs * FILES_PER_RUN + OTHER_FILES;
    let name = "open files";
    // A hub raises its limit to the maximum.
    match limit.maximum {
        None => Finding::ok(AREA, name, "no limit"),
        Some(now) if now >= wanted => Finding::ok(AREA, name, format!("{now} may be open, at most {wanted} are needed")),
        Some(now) => Finding::note(
            AREA,
            name,
            format!("{now} may be open; {connections} connections and {runs} runs may need {wanted}"),
        )
        .advise(format!(
            "ulimit -n {wanted} before the start (LimitNOFILE= in a unit), or a smaller limits.connections"
        )),
    }
}

fn clock(store: &Path) -> Finding {
    let now = SystemTime::now();
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |it| it.as_secs());
    if since < EARLIEST {
        return Finding::problem(
            AREA,
            "clock",
            "it shows a time before 2025: due times and keys will be wrong",
        )
        .advise("set the clock: timedatectl set-ntp true");
    }
    let written = std::fs::metadata(store).and_then(|meta| meta.modified());
    match written.ok().and_then(|at| at.duration_since(now).ok()) {
        Some(ahead) if ahead.as_secs() > 60 => Finding::note(
            AREA,
            "clock",
            format!(
                "the store was written {} s from now: the clock was set back",
                ahead.as_secs()
            ),
        )
        .advise("check the clock: timedatectl"),
        _ => Finding::ok(AREA, "clock", "plausible"),
    }
}

/// Whether a program is in PATH. It is a problem only if the settings need it.
fn program(name: &str, for_what: &str, needed: bool) -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| {
            file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
        });
    match (found, needed) {
        (Some(file), _) => Finding::ok(AREA, name, file.display().to_string()),
        (None, false) => Finding::ok(
            AREA,
            name,
            format!("not installed; only {for_what} need it"),
        ),
        (None, true) => {
            Finding::problem(AREA, name, format!("not in PATH, and {for_what} need it"))
                .advise(format!("apt install {name}, or the package of your system"))
        }
    }
}
