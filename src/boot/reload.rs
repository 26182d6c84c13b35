//! SIGHUP and `kirosu reload`: the settings are read again. What can change in a running process changes; settings with a
//! fault change nothing.

use super::{House, Rooms};
use crate::cli::log;
use crate::options;
use futures_util::future::BoxFuture;
use kirosu_config::reload::Reload as Change;
use kirosu_config::{Loaded, Pool, Settings, reload};
use kirosu_hub::{Hub, Reload};
use kirosu_protocol::verbs::pools::PoolsParams;
use kirosu_protocol::verbs::reload::ReloadAnswer;
use kirosu_protocol::{Error, ErrorCode};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Reload requests of clients that may wait for their turn.
const BACKLOG: usize = 16;

type Reply = oneshot::Sender<Result<ReloadAnswer, Error>>;

/// Clients that ask for a reload.
pub(super) struct Requests(mpsc::Receiver<Reply>);

impl Requests {
    /// Those of a hub; without one, none ever comes.
    pub(super) fn of(hub: Option<&Hub>) -> Self {
        let (ask, asked) = mpsc::channel(BACKLOG);
        if let Some(hub) = hub {
            hub.set_reload(Arc::new(Asker(ask)));
        }
        Self(asked)
    }

    /// The next one, to be answered.
    pub(super) async fn next(&mut self) -> Reply {
        match self.0.recv().await {
            Some(reply) => reply,
            None => std::future::pending().await,
        }
    }
}

struct Asker(mpsc::Sender<Reply>);

impl Reload for Asker {
    fn reload(&self) -> BoxFuture<'static, Result<ReloadAnswer, Error>> {
        let ask = self.0.clone();
        Box::pin(async move {
            let stopping = || Error::new(ErrorCode::ShuttingDown, "the hub is stopping");
            let (reply, answer) = oneshot::channel();
            ask.send(reply).await.map_err(|_| stopping())?;
            answer.await.unwrap_or_else(|_| Err(stopping()))
        })
    }
}

/// Reads the same layers again and puts pools and limits in force.
///
/// # Errors
/// The settings have faults, or a pool cannot be built of them; the last good ones stay in force.
pub(super) async fn reload(
    house: &House,
    loaded: &mut Loaded,
    rooms: Rooms,
) -> Result<ReloadAnswer, Error> {
    // Whoever rotates the log sends SIGHUP, and a fault in the settings must not keep the old file open.
    if let Err(error) = log::reopen() {
        tracing::error!("{error}; the log goes on in the file that is open");
    }
    let mut fresh = Settings::load(loaded.again()).map_err(|faults| refused(&faults))?;
    if rooms == Rooms::Pools {
        // `kirosu agent` runs the pools that it was started for, whatever else the file has.
        let ours = |pool: &Pool| loaded.settings.pools.iter().any(|it| it.name == pool.name);
        fresh.settings.pools.retain(ours);
    }
    let change = reload::diff(&loaded.settings, &fresh.settings);
    let mut changed = keys(&change);
    let resized = resized(house, &fresh.settings).await;
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
        tracing::warn!(%key, "changed in the configuration, but takes effect only after a restart");
    }
    if answer.changed.is_empty() && answer.needs_restart.is_empty() {
        tracing::info!("the configuration was read again; nothing has changed");
        return Ok(answer);
    }
    // Built before anything changes: what cannot be built must not leave half of the settings in force.
    let pools = options::pools(&fresh.settings, &house.containment);
    let pools = pools.map_err(|error| refused(&error))?;
    if let Err(error) = log::set_level(&fresh.settings.log.level) {
        tracing::error!(%error, "the log's level was not changed");
    }
    if let Some(hub) = house.hub() {
        hub.set_limits(options::limits(&fresh.settings));
        hub.tune(options::rules(&fresh.settings));
    }
    if let Some(swarm) = &house.swarm {
        // Last, as it waits for the tasks of pools that have left.
        swarm.reload(pools).await;
    }
    tracing::info!(
        changed = answer.changed.join(", "),
        "the configuration was reloaded"
    );
    *loaded = fresh;
    Ok(answer)
}

fn refused(why: &dyn std::fmt::Display) -> Error {
    let message =
        format!("the configuration was not reloaded, the last good one stays in force: {why}");
    tracing::error!("{message}");
    Error::new(ErrorCode::WrongState, message)
}

/// The keys that take effect, a pool that comes or goes by its name.
fn keys(change: &Change) -> Vec<String> {
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
    // Several pools may have the provider that has changed.
    keys.sort();
    keys.dedup();
    keys
}

/// Sizes that `kirosu pool resize` has set and the file does not say.
async fn resized(house: &House, fresh: &Settings) -> Vec<String> {
    let Some(swarm) = &house.swarm else {
        return Vec::new();
    };
    let running = swarm
        .pools(PoolsParams::default())
        .await
        .unwrap_or_default();
    let differs = |pool: &&Pool| {
        let found = running.pools.iter().find(|it| it.name == pool.name);
        found.is_some_and(|it| it.size != pool.size)
    };
    let pools = fresh.pools.iter().filter(differs);
    pools
        .map(|pool| format!("pool.{}.size", pool.name))
        .collect()
}
