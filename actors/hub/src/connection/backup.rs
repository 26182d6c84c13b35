//! `backup`: a copy of the store into the hub's folder of backups.
//!
//! A client gives a plain file name at most: where the hub writes is for whoever configures it to say. One copy is made at
//! a time, on a thread of its own; it goes on when its client leaves.

use super::Connection;
use super::slots::Tag;
use crate::hub::Hub;
use actix::prelude::*;
use kirosu_protocol::verbs::backup::{BackupAnswer, BackupParams};
use kirosu_protocol::{Effect, Error, ErrorCode};
use kirosu_store::BackupError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::sync::oneshot;

impl Connection {
    pub(super) fn backup(&mut self, tag: Tag, ask: BackupParams, ctx: &mut Context<Self>) {
        if self.hub.backing_up().swap(true, Ordering::AcqRel) {
            let message = "another backup is being made; try again when it has ended";
            return self.refuse(tag, Error::new(ErrorCode::Busy, message));
        }
        // It takes its time: what this client asks meanwhile need not wait for it.
        self.slots.park(tag, self.out.lines());
        self.order.finished();
        let name = ask
            .name
            .unwrap_or_else(|| name_of(self.child.clock().now_ms()));
        let hub = self.hub.clone();
        let (done, made) = oneshot::channel();
        // No thread of the runtime's: the hub must be able to stop while a large store is copied.
        let thread = std::thread::Builder::new().name("backup".into());
        let started = thread.spawn(move || {
            let under_way = UnderWay(hub);
            let made = copy(&under_way.0, name);
            drop(under_way);
            // The client may have left.
            let _ = done.send(made);
        });
        if let Err(error) = started {
            self.hub.backing_up().store(false, Ordering::Release);
            let message = format!("cannot start a thread for the backup: {error}; try again later");
            return self.refuse(tag, Error::internal(Effect::None, message));
        }
        ctx.spawn(made.into_actor(self).map(move |made, act, ctx| {
            match made {
                Ok(Ok(answer)) => act.answer(tag, &answer),
                Ok(Err(error)) => act.refuse(tag, error),
                Err(_) => {
                    let message = "the backup crashed; please report it";
                    act.refuse(tag, Error::internal(Effect::Unknown, message));
                }
            }
            act.go_on(ctx);
        }));
    }
}

/// A backup is being made as long as this lives.
struct UnderWay(Hub);

impl Drop for UnderWay {
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
        Err(error @ BackupError::Exists(_)) => {
            Err(Error::new(ErrorCode::WrongState, error.to_string()))
        }
        Err(error) => {
            tracing::error!(%error, "no backup was made");
            Err(Error::internal(Effect::None, error.to_string()))
        }
    }
}

/// `kirosu-20261122T173905Z.db`.
fn name_of(now_ms: u64) -> String {
    let now = UNIX_EPOCH + Duration::from_millis(now_ms);
    let stamp = humantime::format_rfc3339_seconds(now).to_string();
    format!("kirosu-{}.db", stamp.replace(['-', ':'], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_without_a_name_is_named_after_its_second() {
        assert_eq!(name_of(1_700_000_000_999), "kirosu-20231114T221320Z.db");
    }
}
