//! Reload of the settings, on SIGHUP and `kirosu reload`. Settings that can change in a running process take effect;
//! settings with a fault change nothing.

use super::{App, Role, keep_code_to_python_tasks};
use crate::log;
use crate::options;
use futures_util::future::BoxFuture;
use kirosu_config::{Loaded, PoolSection, Settings, SettingsDiff};
use kirosu_hub::{Hub, ReloadSettings};
use kirosu_protocol::{Error, ErrorCode, PoolsParams, ReloadAnswer};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Maximum number of reload requests that wait for their turn.
const BACKLOG: usize = 16;

type ReloadReply = oneshot::Sender<Result<ReloadAnswer, Error>>;

/// Reload requests of clients.
pub(super) struct ReloadRequests(mpsc::Receiver<ReloadReply>);

impl ReloadRequests {
    /// The requests of a hub's clients; without a hub there are none.
    pub(super) fn of(hub: Option<&Hub>) -> Self {
        let (sender, requests) = mpsc::channel(BACKLOG);
        if let Some(hub) = hub {
            hub.set_reload(Arc::new(ReloadSender(sender)));
        }
        Self(requests)
    }

    /// Waits for the next request and returns its reply channel.
    pub(super) async fn next(&mut self) -> ReloadReply {
        match self.0.recv().await {
            Some(reply) => reply,
            None => std::future::pending().await,
        }
    }
}

struct ReloadSender(mpsc::Sender<ReloadReply>);

impl ReloadSettings for ReloadSender {
    fn reload(&self) -> BoxFuture<'static, Result<ReloadAnswer, Error>> {
        let requests = self.0.clone();
        Box::pin(async move {
            let stopping = || Error::new(ErrorCode::ShuttingDown, "the hub is stopping");
            let (reply, answer) = oneshot::channel();
            requests.send(reply).await.map_err(|_| stopping())?;
            answer.await.unwrap_or_else(|_| Err(stopping()))
        })
    }
}

/// Reads the settings again from the same layers and applies them.
///
/// # Errors
/// The settings have faults, or a pool cannot be built from them. The previous settings then stay in force.
pub(super) async fn reload(
    app: &App,
    loaded: &mut Loaded,
    role: Role,
) -> Result<ReloadAnswer, Error> {
    // First, because a log rotation sends SIGHUP: a fault in the settings must not keep the old file open.
    if let Err(error) = log::reopen() {
        tracing::error!("{error}; the log continues in the file that is open");
    }
    let mut fresh = Settings::load(loaded.again()).map_err(|faults| refused(&faults))?;
    if role == Role::Pools {
        // `kirosu agent` runs only the pools for which it was started.
        let ours = |pool: &PoolSection| loaded.settings.pools.iter().any(|it| it.name == pool.name);
        fresh.settings.pools.retain(ours);
        let kept = keep_code_to_python_tasks(&mut fresh.settings);
        kept.map_err(|fault| refused(&fault))?;
    }
    // Settings with a certificate that cannot be used were refused above; the files may have changed since.
    let certificates = app.tls.reload().map_err(|fault| refused(&fault))?;
    let change = kirosu_config::diff(&loaded.settings, &fresh.settings);
    let mut changed = keys(&change);
    changed.extend(certificates);
    let resized = resized(app, &fresh.settings).await;
    changed.extend(
        resized
            .into_iter()
            .filter(|key| !changed.contains(key))
            .collect::<Vec<_>>(),
    );
    let answer = ReloadAnswer {
        file: fresh.file.as_ref().map(|file| file.display().to_string()),
        changed,
        needs_restart: change.needs_restart,
    };
    for key in &answer.needs_restart {
        tracing::warn!(%key, "the changed setting takes effect only after a restart");
    }
    if answer.changed.is_empty() && answer.needs_restart.is_empty() {
        tracing::info!("the configuration was read again and has not changed");
        return Ok(answer);
    }
    // Built before anything changes, so that a failure does not leave half of the settings in force.
    let pools = options::pools(&fresh.settings, &app.containment);
    let pools = pools.map_err(|error| refused(&error))?;
    if let Err(error) = log::set_level(&fresh.settings.log.level) {
        tracing::error!(%error, "the log's level was not changed");
    }
    if let Some(hub) = app.hub() {
        hub.set_limits(options::limits(&fresh.settings));
        hub.tune(options::rules(&fresh.settings));
    }
    if let Some(notices) = &app.notices {
        // After the hub knows them. Those that wait after a failure try again at once.
        notices.set(options::notify_targets(&fresh.settings)).await;
    }
    if let Some(swarm) = &app.swarm {
        // Last, because it waits for the tasks of removed pools.
        swarm.reload(pools).await;
    }
    tracing::info!(
        changed = answer.changed.join(", "),
        "the configuration was reloaded"
    );
    *loaded = fresh;
    Ok(answer)
}

fn refused(fault: &dyn std::fmt::Display) -> Error {
    let message =
        format!("the configuration was not reloaded, the last good one stays in force: {fault}");
    tracing::error!("{message}");
    Error::new(ErrorCode::WrongState, message)
}

/// The changed keys that take effect; an added or removed pool is one key with its name.
fn keys(change: &SettingsDiff) -> Vec<String> {
    let pool = |name: &str| format!("pool.{name}");
    let added = change.pools_added.iter().map(|it| pool(&it.name));
    let removed = change.pools_removed.iter().map(|name| pool(name));
    let changed = change.pools_changed.iter().flat_map(|it| {
        let name = pool(&it.pool.name);
        it.keys
            .iter()
            .map(move |key| match key.starts_with("providers.") {
                true => key.clone(),
                false => format!("{name}.{key}"),
            })
    });
    let mut keys: Vec<String> = change
        .live
        .iter()
        .cloned()
        .chain(added)
        .chain(removed)
        .chain(changed)
        .collect();
    // Several pools may use a changed provider.
    keys.sort();
    keys.dedup();
    keys
}

/// The keys of pool sizes that differ from the file because of `kirosu pool resize`.
async fn resized(app: &App, fresh: &Settings) -> Vec<String> {
    let Some(swarm) = &app.swarm else {
        return Vec::new();
    };
    let running = swarm
        .pools(PoolsParams::default())
        .await
        .unwrap_or_default();
    let differs = |pool: &&PoolSection| {
        let found = running.pools.iter().find(|it| it.name == pool.name);
        found.is_some_and(|it| it.size != pool.size)
    };
    let pools = fresh.pools.iter().filter(differs);
    pools
        .map(|pool| format!("pool.{}.size", pool.name))
        .collect()
}
