//! The hub's key: which of `key` and `key_file` counts, and whether others can read it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::fault::Fault;
use crate::options::Purpose;
use crate::origin::{Origin, Origins};
use crate::secret::Secret;
use crate::settings::Settings;

/// Longest key in bytes: a file that is longer is most likely the wrong file.
const LONGEST: usize = 4096;

/// Puts the key that counts into `hub.key`: of `key` and `key_file`, the one from the stronger layer. An emptied key
/// (`KIRO_SWARM_KEY=""`) overrides a weaker key file too: it says "no key".
pub(crate) fn settle(
    settings: &mut Settings,
    origins: &mut Origins,
    purpose: Purpose,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) {
    let hub = &mut settings.hub;
    let key_origin = origins.get("hub.key").cloned();
    warn_about(key_origin.as_ref().filter(|_| hub.key.is_some()), warnings);
    let (Some(path), Some(file_origin)) = (&hub.key_file, origins.get("hub.key_file").cloned())
    else {
        return;
    };
    let rank = |origin: &Origin| origin.rank();
    let by_key = key_origin.as_ref().map(rank);
    if by_key > Some(file_origin.rank()) {
        return;
    }
    if by_key == Some(file_origin.rank()) && hub.key.is_some() {
        let message = "both hub.key and hub.key_file are set here: keep one of them";
        faults.push(Fault::new("hub.key_file", Some(&file_origin), message));
        return;
    }
    match read(path) {
        Ok(key) => {
            hub.key = Some(key);
            warn_if_open(path, warnings);
            origins.0.insert("hub.key".to_owned(), file_origin);
        }
        // A client may well find a file that is the hub's alone, but not one that was named with the command.
        Err(message) if purpose != Purpose::Serve && !matches!(file_origin, Origin::Flag(_)) => {
            warnings.push(message);
        }
        Err(message) => faults.push(Fault::new("hub.key_file", Some(&file_origin), message)),
    }
}

fn read(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let mut text = String::new();
    // Not the whole of what may have no end; a little more than the longest, so that too much is seen.
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
        Some(Origin::File { path, .. }) => warn_if_open(path, warnings),
        Some(Origin::Flag(name)) => warnings.push(format!(
            "the key given with {name} is visible to every user of this machine: use KIRO_SWARM_KEY or hub.key_file"
        )),
        _ => {}
    }
}

fn warn_if_open(path: &Path, warnings: &mut Vec<String>) {
    let open = fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0);
    if open {
        warnings.push(format!(
            "{} holds the key and every user of this machine can read it: chmod 600 it",
            path.display()
        ));
    }
}
