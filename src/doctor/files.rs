//! Files and folders: owners and permissions.

use super::Finding;
use kirosu_config::Settings;
use rustix::fs::{Access, access};
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

const AREA: &str = "Files";

pub(super) fn findings(settings: &Settings, fix: bool) -> Vec<Finding> {
    let mut findings = vec![data_dir(&settings.data_dir, fix)];
    let store = &settings.store.path;
    for suffix in ["", "-wal"] {
        let mut path = store.clone().into_os_string();
        path.push(suffix);
        findings.extend(private("store", &PathBuf::from(path), fix));
    }
    if let Some(path) = &settings.hub.key_file {
        findings.extend(private("key file", path, fix));
    }
    let hub = &settings.hub;
    if let Some(path) = hub.socket.as_ref().or(settings.default_socket.as_ref()) {
        findings.push(socket(path, fix));
    }
    findings
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn data_dir(path: &Path, fix: bool) -> Finding {
    let shown = path.display();
    let name = "data folder";
    let Ok(meta) = fs::metadata(path) else {
        let missing = format!("{shown} does not exist; the hub creates it at its start");
        if !fix {
            return Finding::note(AREA, name, missing).advise("or create it with --fix");
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        return match made {
            Ok(()) => Finding::note(AREA, name, missing).fixed(format!("created {shown}")),
            Err(why) => Finding::problem(AREA, name, format!("cannot create {shown}: {why}"))
                .advise("make its parent writable, or set another data_dir"),
        };
    };
    if !meta.is_dir() {
        return Finding::problem(AREA, name, format!("{shown} is not a folder"))
            .advise("set another data_dir");
    }
    if access(path, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::problem(AREA, name, format!("this user may not write to {shown}")).advise(
            format!(
                "run as its owner (user {}), or set another data_dir",
                meta.uid()
            ),
        );
    }
    if meta.mode() & 0o022 == 0 || meta.mode() & 0o1000 != 0 {
        return Finding::ok(AREA, name, format!("{shown}"));
    }
    let open = Finding::problem(
        AREA,
        name,
        format!(
            "other users may put files into {shown} (mode {:o})",
            meta.mode() & 0o7777
        ),
    );
    restrict(open, path, &meta, meta.mode() & 0o7777 & !0o022, fix)
}

/// Checks a file that only its owner should use; `None` if it does not exist.
fn private(name: &str, path: &Path, fix: bool) -> Option<Finding> {
    let shown = path.display();
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return None,
        Err(why) => {
            let finding = Finding::problem(AREA, name, format!("cannot examine {shown}: {why}"));
            return Some(finding.advise("check the permissions of its folders"));
        }
    };
    if access(path, Access::READ_OK).is_err() {
        let finding = Finding::problem(AREA, name, format!("this user may not read {shown}"));
        return Some(finding.advise(format!("run as its owner (user {})", meta.uid())));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o007 != 0 {
        let open = format!("all users of this machine may read {shown} (mode {mode:o})");
        let open = match mode & 0o002 {
            0 => open,
            _ => format!("all users of this machine may change {shown} (mode {mode:o})"),
        };
        let finding = Finding::problem(AREA, name, open);
        return Some(restrict(finding, path, &meta, 0o600, fix));
    }
    if mode & 0o070 != 0 {
        let text = format!("the group {} may use {shown} (mode {mode:o})", meta.gid());
        return Some(Finding::note(AREA, name, text));
    }
    Some(Finding::ok(AREA, name, format!("{shown} (mode {mode:o})")))
}

/// Removes permissions of others, if `fix` is set and the file belongs to this user.
fn restrict(finding: Finding, path: &Path, meta: &Metadata, mode: u32, fix: bool) -> Finding {
    let shown = path.display();
    let by_hand = format!("chmod {mode:o} {shown}");
    let finding = finding.advise(format!("{by_hand}, or --fix"));
    if !fix {
        return finding;
    }
    if meta.uid() != own_user() {
        return finding.advise(format!("{by_hand}, as its owner (user {})", meta.uid()));
    }
    match fs::set_permissions(path, Permissions::from_mode(mode)) {
        Ok(()) => finding.fixed(by_hand),
        Err(why) => finding.advise(format!("{by_hand} ({why})")),
    }
}

fn socket(path: &Path, fix: bool) -> Finding {
    let shown = path.display();
    let name = "socket";
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Finding::ok(
            AREA,
            name,
            format!("{shown} does not exist: no hub runs on it"),
        );
    };
    if !meta.file_type().is_socket() {
        return Finding::problem(AREA, name, format!("{shown} exists and is not a socket"))
            .advise("move it away, or set another hub.socket");
    }
    match UnixStream::connect(path) {
        Ok(_) => Finding::ok(AREA, name, format!("{shown}: a hub listens")),
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
            let left = format!("{shown} is unused: no hub listens");
            let finding = Finding::note(AREA, name, left);
            let finding = finding.advise("a hub that starts replaces it; --fix removes it");
            if !fix {
                return finding;
            }
            match fs::remove_file(path) {
                Ok(()) => finding.fixed(format!("removed {shown}")),
                Err(why) => finding.advise(format!("remove it ({why})")),
            }
        }
        Err(why) => Finding::problem(AREA, name, format!("cannot use {shown}: {why}")).advise(
            format!("run as its owner (user {}), or join its group", meta.uid()),
        ),
    }
}
