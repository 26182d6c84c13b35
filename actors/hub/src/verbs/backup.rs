//! `backup`: copies the store into the hub's folder for backups.
//!
//! A client gives at most a plain file name: the operator decides where the hub writes. One backup runs at a time, on a thread
//! of its own. It continues if its client leaves.

use super::{Begun, RequestScope, Started};
use crate::hub::Hub;
use kirosu_protocol::{BackupAnswer, BackupParams, Effect, Error, ErrorCode};
use kirosu_store::BackupError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::sync::oneshot;

pub fn begin(params: BackupParams, scope: &mut RequestScope<'_>) -> Begun {
    let running = RunningBackup::begin(scope.hub().clone())?;
    // A backup takes long: the client's later requests do not wait for it.
    scope.detach();
    let now_ms = u64::try_from(scope.now_ms()).unwrap_or(0);
    let name = params.name.unwrap_or_else(|| name_at(now_ms));
    let (done, made) = oneshot::channel();
    // Not a thread of the runtime, which would keep the hub from stopping while a large store is copied.
    let thread = std::thread::Builder::new().name("backup".into());
    let started = thread.spawn(move || {
        let made = copy(&running.0, name);
        drop(running);
        // The client may have left.
        let _ = done.send(made);
    });
    if let Err(error) = started {
        let message = format!("cannot start a thread for the backup: {error}; try again later");
        return Err(Error::internal(Effect::None, message));
    }
    scope.call_ok(made, |scope, made| match made {
        Ok(Ok(answer)) => scope.answer(&answer),
        Ok(Err(error)) => scope.refuse(error),
        Err(_) => {
            let message = "the backup crashed; please report it";
            scope.refuse(Error::internal(Effect::Unknown, message));
        }
    });
    Ok(Started::Pending)
}

/// Marks the hub as making a backup, until it is dropped.
struct RunningBackup(Hub);

impl RunningBackup {
    /// Fails with `busy` if another backup runs.
    fn begin(hub: Hub) -> Result<RunningBackup, Error> {
        if hub.backing_up().swap(true, Ordering::AcqRel) {
            let message = "another backup is being made; try again when it has ended";
            return Err(Error::new(ErrorCode::Busy, message));
        }
        Ok(RunningBackup(hub))
    }
}

impl Drop for RunningBackup {
    fn drop(&mut self) {
        self.0.backing_up().store(false, Ordering::Release);
    }
}

fn copy(hub: &Hub, name: String) -> Result<BackupAnswer, Error> {
    let path = hub.options().backup_dir.join(&name);
    let began = Instant::now();
    let made = kirosu_store::backup(&hub.options().store_path, &path);
    let seconds = began.elapsed().as_secs_f64();
    match made {
        Ok(bytes) => {
            tracing::info!(path = %path.display(), bytes, seconds, "backup made");
            Ok(BackupAnswer {
                name,
                path: path.display().to_string(),
                bytes,
                seconds: (seconds * 1000.0).round() / 1000.0,
            })
        }
        Err(error @ BackupError::Name(_)) => Err(Error::invalid_params(error.to_string())),
        Err(error @ BackupError::Exists(_)) => {
            Err(Error::new(ErrorCode::WrongState, error.to_string()))
        }
        Err(error) => {
            tracing::error!(%error, "no backup was made");
            Err(Error::internal(Effect::None, error.to_string()))
        }
    }
}

/// The default name of a backup, such as `kirosu-20261122T173905Z.db`.
fn name_at(now_ms: u64) -> String {
    let now = UNIX_EPOCH + Duration::from_millis(now_ms);
    let stamp = humantime::format_rfc3339_seconds(now).to_string();
    format!("kirosu-{}.db", stamp.replace(['-', ':'], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_without_a_name_is_named_after_its_second() {
        assert_eq!(name_at(1_700_000_000_999), "kirosu-20231114T221320Z.db");
    }
}
