//! `backup`: a sound copy of the store, into the hub's own folder of backups.
//!
//! ```text
//! {"id":1,"method":"backup","params":{"name":"before-upgrade.db"}}
//! {"id":1,"result":{"name":"before-upgrade.db","path":"/var/lib/kirosu/backups/before-upgrade.db","bytes":409600,"seconds":0.021},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest file name.
const NAME_BYTES: usize = 200;

/// What the copy shall be called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BackupParams {
    /// A file name without any folder; one made of the time when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn is_plain(name: &str) -> bool {
    name.len() <= NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// The copy, checked and on the disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BackupAnswer {
    /// Its file name.
    pub name: String,
    /// Where it is on the hub's machine.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Verb for BackupParams {
    const METHOD: Method = Method::Backup;
    type Answer = BackupAnswer;

    /// Reads the parameters. A path is refused: a client must not choose where the hub writes.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<BackupParams, Error> {
        let name = params.opt_name("name", limits)?;
        match &name {
            Some(text) if !is_plain(text) => Err(params.refuse(
                "name",
                "a file name of letters, digits, `.`, `-` and `_` that begins with a letter or digit; \
                 the hub keeps backups in a folder of its own",
            )),
            _ => Ok(BackupParams { name }),
        }
    }

    /// A large store takes its time.
    fn parked(&self) -> Duration {
        Duration::from_secs(24 * 3600)
    }
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_a_plain_file_name_is_taken() {
        assert!(is_plain("kirosu-2026-11-22.db"));
        for bad in ["../x", "a/b", ".hidden", "", "a b", "a\0b", "-x", "c:\\x"] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
