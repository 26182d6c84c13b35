//! `backup`: writes a consistent copy of the store into the hub's directory of backups.
//!
//! ```text
//! {"id":1,"method":"backup","params":{"name":"before-upgrade.db"}}
//! {"id":1,"result":{"name":"before-upgrade.db","path":"/var/lib/kirosu/backups/before-upgrade.db","bytes":409600,"seconds":0.021},"error":null}
//! ```

use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest file name, in bytes.
const NAME_BYTES: usize = 200;

/// The name of the copy.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BackupParams {
    /// A file name without a directory. `None` means a name made of the current time.
    pub name: Option<String>,
}

fn is_plain(name: &str) -> bool {
    name.len() <= NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// The copy, which is checked and synced to the disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BackupAnswer {
    /// The file name.
    pub name: String,
    /// The path on the hub's machine.
    pub path: String,
    /// The size, in bytes.
    pub bytes: u64,
    /// The duration of the copy, in seconds.
    pub seconds: f64,
}

impl Verb for BackupParams {
    const METHOD: Method = Method::Backup;
    type Answer = BackupAnswer;

    /// A path is refused: a client must not choose the directory in which the hub writes.
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

    /// A day: the copy of a large store takes long.
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
