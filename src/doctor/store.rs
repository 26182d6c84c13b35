//! The store: from outside while a hub has it, else by a read-only look into the file.

use super::Finding;
use kirosu_config::Settings;
use kirosu_store::{Inspection, StoreState, inspect};
use rustix::fs::{statfs, statvfs};
use std::path::Path;

const AREA: &str = "Store";
/// Below it the next hours may end badly.
const LITTLE: u64 = 1 << 30;
/// Below it a hub is about to refuse tasks.
const NONE: u64 = 100 << 20;
/// File systems of other machines, by their number in `statfs(2)`.
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
    // A large file is read through.
    let looking = tokio::task::spawn_blocking(move || look(&path, limit));
    looking.await.unwrap_or_else(|why| {
        vec![Finding::problem(
            AREA,
            "file",
            format!("the look at it failed: {why}"),
        )]
    })
}

fn look(path: &Path, wal_limit: u64) -> Vec<Finding> {
    let shown = path.display();
    let mut findings = Vec::new();
    if !path.exists() {
        findings.push(Finding::ok(
            AREA,
            "file",
            format!("{shown} is not there yet; the hub makes it at its first start"),
        ));
    } else {
        match inspect(path) {
            Ok(seen) => findings.extend(seen_findings(path, &seen, wal_limit)),
            Err(why) => findings.push(
                Finding::problem(AREA, "file", why.to_string())
                    .advise("look at its owner and permissions; if it is no store, name another with store.path"),
            ),
        }
    }
    let folder = path.ancestors().skip(1).find(|it| it.is_dir());
    if let Some(folder) = folder {
        findings.extend(disk(folder));
    }
    findings
}

fn seen_findings(path: &Path, seen: &Inspection, wal_limit: u64) -> Vec<Finding> {
    let shown = path.display();
    let size = mib(seen.bytes);
    let restore = "stop all hubs, keep the file, and put the newest of backups/ in its place (docs/operations.md)";
    let mut findings = vec![match &seen.state {
        StoreState::Held(pid) => Finding::ok(
            AREA,
            "file",
            format!("{shown}, {size}; process {pid} has it, so only the hub looks into it"),
        ),
        StoreState::Sound { pending, checked } => {
            let checked = match checked {
                true => "sound",
                false => "too large to be read through (kirosu backup checks its copy)",
            };
            let pending = match pending {
                0 => String::new(),
                _ => "; the next start brings it up to date".to_owned(),
            };
            Finding::ok(AREA, "file", format!("{shown}, {size}, {checked}{pending}"))
        }
        StoreState::Newer(version) => Finding::problem(
            AREA,
            "file",
            format!("{shown} is from a later version of kirosu (schema {version})"),
        )
        .advise("install that version, or name another file with store.path"),
        StoreState::Damaged(said) => {
            Finding::problem(AREA, "file", format!("{shown} is damaged: {said}")).advise(restore)
        }
    }];
    if seen.log_bytes > wal_limit.saturating_mul(2) {
        findings.push(
            Finding::note(
                AREA,
                "log",
                format!(
                    "the write-ahead log has {}, more than store.wal_limit",
                    mib(seen.log_bytes)
                ),
            )
            .advise("a hub that starts cuts it back; if it grows again, look for a long backup"),
        );
    }
    findings
}

fn disk(folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(disk) = statvfs(folder) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let message = format!("{} free at {}", mib(free), folder.display());
        let make_room = "make room, or set store.retention so that finished tasks go";
        findings.push(match free {
            0..NONE => Finding::problem(AREA, "disk", message).advise(make_room),
            NONE..LITTLE => Finding::note(AREA, "disk", message).advise(make_room),
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
