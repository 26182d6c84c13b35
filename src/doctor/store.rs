//! The store: opened read-only, unless a hub runs on it.

use super::Finding;
use kirosu_config::Settings;
use kirosu_store::{Inspection, StoreState, inspect};
use rustix::fs::{statfs, statvfs};
use std::path::Path;

const AREA: &str = "Store";
/// Free bytes below which the disk may soon be full.
const LOW: u64 = 1 << 30;
/// Free bytes below which a hub soon refuses tasks.
const FULL: u64 = 100 << 20;
/// Network file systems, by their number in `statfs(2)`.
const REMOTE: [(i64, &str); 5] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x6573_5546, "FUSE"),
];

pub(super) async fn findings(settings: &Settings) -> Vec<Finding> {
    let path = settings.store.path.clone();
    let limit = settings.store.wal_limit;
    // A blocking thread, because the whole file is read.
    let examined = tokio::task::spawn_blocking(move || examine(&path, limit));
    examined.await.unwrap_or_else(|why| {
        vec![Finding::problem(
            AREA,
            "file",
            format!("the check failed: {why}"),
        )]
    })
}

fn examine(path: &Path, wal_limit: u64) -> Vec<Finding> {
    let shown = path.display();
    let mut findings = Vec::new();
    if !path.exists() {
        findings.push(Finding::ok(
            AREA,
            "file",
            format!("{shown} does not exist yet; the hub creates it at its first start"),
        ));
    } else {
        match inspect(path) {
            Ok(inspection) => findings.extend(file_findings(path, &inspection, wal_limit)),
            Err(why) => findings.push(
                Finding::problem(AREA, "file", why.to_string())
                    .advise("check its owner and permissions; if it is not a store, name another with store.path"),
            ),
        }
    }
    let folder = path.ancestors().skip(1).find(|it| it.is_dir());
    if let Some(folder) = folder {
        findings.extend(disk(folder));
    }
    findings
}

fn file_findings(path: &Path, inspection: &Inspection, wal_limit: u64) -> Vec<Finding> {
    let shown = path.display();
    let size = mib(inspection.bytes);
    let restore = "stop all hubs, keep the file, and replace it with the newest of backups/ (docs/operations.md)";
    let mut findings = vec![match &inspection.state {
        StoreState::Held(pid) => Finding::ok(
            AREA,
            "file",
            format!("{shown}, {size}; process {pid} uses it, so its content was not checked"),
        ),
        StoreState::Sound { pending, checked } => {
            let checked = match checked {
                true => "sound",
                false => "too large for a full check (kirosu backup checks its copy)",
            };
            let pending = match pending {
                0 => String::new(),
                _ => "; the next start migrates it".to_owned(),
            };
            Finding::ok(AREA, "file", format!("{shown}, {size}, {checked}{pending}"))
        }
        StoreState::Newer(version) => Finding::problem(
            AREA,
            "file",
            format!("{shown} is from a later version of kirosu (schema {version})"),
        )
        .advise("install that version, or name another file with store.path"),
        StoreState::Damaged(message) => {
            Finding::problem(AREA, "file", format!("{shown} is damaged: {message}")).advise(restore)
        }
    }];
    if inspection.log_bytes > wal_limit.saturating_mul(2) {
        findings.push(
            Finding::note(
                AREA,
                "log",
                format!(
                    "the write-ahead log has {}, more than store.wal_limit",
                    mib(inspection.log_bytes)
                ),
            )
            .advise(
                "a restart of the hub shortens it; if it grows again, examine for a long backup",
            ),
        );
    }
    findings
}

fn disk(folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(disk) = statvfs(folder) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let message = format!("{} free at {}", mib(free), folder.display());
        let free_space = "free some space, or set store.retention to delete finished tasks";
        findings.push(match free {
            0..FULL => Finding::problem(AREA, "disk", message).advise(free_space),
            FULL..LOW => Finding::note(AREA, "disk", message).advise(free_space),
            _ => Finding::ok(AREA, "disk", message),
        });
    }
    let number = statfs(folder).map_or(0, |it| it.f_type & 0xffff_ffff);
    if let Some((_, name)) = REMOTE.iter().find(|(known, _)| *known == number) {
        findings.push(
            Finding::note(
                AREA,
                "file system",
                format!("{name}: locks may not hold there"),
            )
            .advise("keep the store on a disk of this machine (data_dir or store.path)"),
        );
    }
    findings
}

fn mib(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        1_048_576..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
