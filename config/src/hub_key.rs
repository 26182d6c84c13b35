//! The hub's key: chooses between `key` and `key_file`, and warns if other users can read it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::address::{HubAddress, hub_address};
use crate::cross_check::is_loopback;
use crate::fault::ConfigFault;
use crate::options::Purpose;
use crate::origin::{Origin, Origins};
use crate::own_key::own_key;
use crate::secret::Secret;
use crate::settings::Settings;

/// Longest key in bytes. A longer file is most likely the wrong file.
const LONGEST: usize = 4096;

/// Puts the key into `hub.key`: of `key` and `key_file`, the one from the stronger layer. An emptied key
/// (`KIRO_SWARM_KEY=""`) means "no key" and overrides a weaker key file too.
pub(crate) fn choose(
    settings: &mut Settings,
    origins: &mut Origins,
    purpose: Purpose,
    faults: &mut Vec<ConfigFault>,
    warnings: &mut Vec<String>,
) {
    let hub = &mut settings.hub;
    let key_origin = origins.get("hub.key").cloned();
    warn_about(key_origin.as_ref().filter(|_| hub.key.is_some()), warnings);
    let (Some(path), Some(file_origin)) = (&hub.key_file, origins.get("hub.key_file").cloned())
    else {
        // An emptied key is a key that is set.
        if purpose != Purpose::Serve && key_origin.is_none() {
            find_own(settings, origins, warnings);
        }
        return;
    };
    let key_rank = key_origin.as_ref().map(Origin::rank);
    if key_rank > Some(file_origin.rank()) {
        return;
    }
    if key_rank == Some(file_origin.rank()) && hub.key.is_some() {
        let message = "both hub.key and hub.key_file are set here: keep one of them";
        faults.push(ConfigFault::new(
            "hub.key_file",
            Some(&file_origin),
            message,
        ));
        return;
    }
    match read(path) {
        Ok(key) => {
            hub.key = Some(key);
            warn_if_readable(path, warnings);
            origins.0.insert("hub.key".to_owned(), file_origin);
        }
        // A client may find the hub's settings with a key file that only the hub can read. A file that was named on the
        // command line must be readable.
        Err(message) if purpose != Purpose::Serve && !matches!(file_origin, Origin::Flag(_)) => {
            warnings.push(message);
        }
        Err(message) => {
            faults.push(ConfigFault::new(
                "hub.key_file",
                Some(&file_origin),
                message,
            ));
        }
    }
}

/// A client of a hub on this machine takes the key that the hub has made for itself. It is sent to no other machine.
fn find_own(settings: &mut Settings, origins: &Origins, warnings: &mut Vec<String>) {
    match hub_address(settings, origins) {
        Ok(HubAddress::Tcp(host, _)) if !is_loopback(&host) => return,
        Ok(_) => {}
        // The client reports it when it connects.
        Err(_) => return,
    }
    // A client with a certificate speaks for it, and a key would count instead.
    if settings.hub.tls_client_certificate.is_some() {
        return;
    }
    match own_key(&settings.data_dir) {
        Ok(key) => settings.own_key = key,
        Err(message) => warnings.push(message),
    }
}

fn read(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let mut text = String::new();
    // The file may have no end (`/dev/zero`). Reading twice the limit shows that it is exceeded.
    let read =
        File::open(path).and_then(|file| file.take(2 * LONGEST as u64).read_to_string(&mut text));
    read.map_err(|error| format!("cannot read the key from {shown}: {error}"))?;
    match text.trim() {
        "" => Err(format!(
            "cannot take the key from {shown}: the file is empty"
        )),
        key if key.len() > LONGEST || key.contains('\n') => Err(format!(
            "cannot take the key from {shown}: one line of at most {LONGEST} bytes is allowed"
        )),
        key => Ok(Secret::new(key)),
    }
}

fn warn_about(origin: Option<&Origin>, warnings: &mut Vec<String>) {
    match origin {
        Some(Origin::File { path, .. }) => warn_if_readable(path, warnings),
        Some(Origin::Flag(name)) => warnings.push(format!(
            "the key given with {name} is visible to every user of this machine: use KIRO_SWARM_KEY or hub.key_file"
        )),
        _ => {}
    }
}

fn warn_if_readable(path: &Path, warnings: &mut Vec<String>) {
    let readable = fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0);
    if readable {
        warnings.push(format!(
            "{} holds the key and every user of this machine can read it: chmod 600 it",
            path.display()
        ));
    }
}
