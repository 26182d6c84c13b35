//! What a new set of settings means for a hub that runs: pure comparison.

use serde_json::Value;

use crate::keys::SECTIONS;
use crate::pool::Pool;
use crate::schema::{Change, Shape};
use crate::settings::Settings;

/// The difference between two sets of settings, sorted by what has to be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reload {
    /// Pools to start.
    pub pools_added: Vec<Pool>,
    /// Names of pools to stop.
    pub pools_removed: Vec<String>,
    /// Pools to bring into a new form.
    pub pools_changed: Vec<PoolChange>,
    /// Keys outside pools that a running hub takes at once (`limits.connections`, `lease.default`, ...).
    pub live: Vec<String>,
    /// Keys that changed and only count after a restart.
    pub needs_restart: Vec<String>,
}

/// One pool that is in both sets and not the same.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolChange {
    /// The pool as it shall be.
    pub pool: Pool,
    /// Only its size differs: running sessions need not be started anew.
    pub resized_only: bool,
    /// Its keys that differ; those of its provider as `providers.NAME`.
    pub keys: Vec<String>,
}

impl Reload {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a key of `[limits]` is among the live ones.
    pub fn limits_changed(&self) -> bool {
        self.live.iter().any(|key| key.starts_with("limits."))
    }
}

/// Compares. The order of pools does not count.
pub fn diff(old: &Settings, new: &Settings) -> Reload {
    let mut reload = Reload::default();
    sections(old, new, &mut reload);
    let named = |pools: &[Pool], name: &str| pools.iter().find(|pool| pool.name == name).cloned();
    for pool in &new.pools {
        match named(&old.pools, &pool.name) {
            None => reload.pools_added.push(pool.clone()),
            Some(before) => reload
                .pools_changed
                .extend(pool_change((old, &before), (new, pool))),
        }
    }
    let gone = old
        .pools
        .iter()
        .filter(|pool| named(&new.pools, &pool.name).is_none());
    reload.pools_removed = gone.map(|pool| pool.name.clone()).collect();
    reload
}

fn sections(old: &Settings, new: &Settings, reload: &mut Reload) {
    let (before, after) = (json(old), json(new));
    for section in SECTIONS
        .iter()
        .filter(|section| matches!(section.shape, Shape::Top | Shape::One))
    {
        let (before, after) = match section.shape {
            Shape::Top => (&before, &after),
            _ => (&before[section.name], &after[section.name]),
        };
        for key in section
            .keys
            .iter()
            .filter(|key| before[key.name] != after[key.name])
        {
            let dotted = [section.name, key.name]
                .join(".")
                .trim_start_matches('.')
                .to_owned();
            match key.change {
                Change::Live => reload.live.push(dotted),
                Change::Restart => reload.needs_restart.push(dotted),
            }
        }
    }
    // Both keys read `***` above.
    let key = "hub.key".to_owned();
    if old.hub.key != new.hub.key && !reload.needs_restart.contains(&key) {
        reload.needs_restart.push(key);
    }
}

fn pool_change(old: (&Settings, &Pool), new: (&Settings, &Pool)) -> Option<PoolChange> {
    let (before, after) = (json(old.1), json(new.1));
    let names = SECTIONS
        .iter()
        .filter(|section| section.shape == Shape::Array);
    let names = names.flat_map(|section| section.keys.iter().map(|key| key.name));
    let mut keys: Vec<String> = names
        .filter(|name| before[*name] != after[*name])
        .map(str::to_owned)
        .collect();
    if old.0.provider_of(old.1) != new.0.provider_of(new.1) && old.1.provider == new.1.provider {
        keys.push(format!("providers.{}", new.1.provider));
    }
    (!keys.is_empty()).then(|| PoolChange {
        pool: new.1.clone(),
        resized_only: keys == ["size"],
        keys,
    })
}

fn json(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}
