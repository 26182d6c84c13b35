//! SIGHUP: the configuration is read again. What can change while the house runs changes; a bad file changes nothing.

use crate::boot::{House, Rooms};
use crate::cli::log;
use crate::options;
use kirosu_config::{Loaded, Pool, Settings, reload};

/// Reads the same layers again and puts pools and limits in force.
pub async fn reload(house: &House, loaded: &mut Loaded, rooms: Rooms) {
    let mut fresh = match Settings::load(loaded.again()) {
        Ok(fresh) => fresh,
        Err(faults) => {
            tracing::error!(
                "the configuration was not reloaded, the last good one stays in force: {faults}"
            );
            return;
        }
    };
    if rooms == Rooms::Pools {
        // `kirosu agent` runs the pools that it was started for, whatever else the file has.
        let ours = |pool: &Pool| loaded.settings.pools.iter().any(|it| it.name == pool.name);
        fresh.settings.pools.retain(ours);
    }
    let change = reload::diff(&loaded.settings, &fresh.settings);
    if change.is_empty() {
        tracing::info!("the configuration was read again; nothing has changed");
        return;
    }
    for key in &change.needs_restart {
        tracing::warn!(%key, "changed in the configuration, but takes effect only after a restart");
    }
    if let Err(error) = log::set_level(&fresh.settings.log.level) {
        tracing::error!(%error, "the log's level was not changed");
    }
    if let Some(hub) = house.hub() {
        hub.set_limits(options::limits(&fresh.settings));
        hub.tune(options::rules(&fresh.settings));
    }
    if rooms != Rooms::Hub
        && let Err(error) = house.reload_pools(&fresh.settings).await
    {
        tracing::error!(%error, "the pools were not reloaded, the last good ones stay");
        return;
    }
    tracing::info!("the configuration was reloaded");
    *loaded = fresh;
}
