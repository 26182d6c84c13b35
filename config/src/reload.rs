//! Compares two sets of settings for a reload. Pure.

use serde_json::Value;

use crate::schema::Shape;
use crate::settings::{PoolSection, SECTIONS, Settings};

/// The difference between two sets of settings, by the action that it needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettingsDiff {
    /// Pools to start.
    pub pools_added: Vec<PoolSection>,
    /// Names of pools to stop.
    pub pools_removed: Vec<String>,
    /// Pools to change.
    pub pools_changed: Vec<PoolChange>,
    /// Changed keys outside of pools that take effect now (`limits.connections`, `lease.default`, ...).
    pub live: Vec<String>,
    /// Changed keys that take effect only after a restart.
    pub needs_restart: Vec<String>,
}

/// A pool that is in both sets and differs.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolChange {
    /// The new pool.
    pub pool: PoolSection,
    /// Whether only the size differs, so that running sessions are not restarted.
    pub resized_only: bool,
    /// Keys that differ. `providers.NAME` means a change of its provider.
    pub keys: Vec<String>,
}

impl SettingsDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares two sets of settings. The order of pools is ignored.
pub fn diff(old: &Settings, new: &Settings) -> SettingsDiff {
    let mut diff = SettingsDiff::default();
    sections(old, new, &mut diff);
    let named =
        |pools: &[PoolSection], name: &str| pools.iter().find(|pool| pool.name == name).cloned();
    for pool in &new.pools {
        match named(&old.pools, &pool.name) {
            None => diff.pools_added.push(pool.clone()),
            Some(before) => diff
                .pools_changed
                .extend(pool_change((old, &before), (new, pool))),
        }
    }
    diff.live.extend(changed_targets(old, new));
    let gone = old
        .pools
        .iter()
        .filter(|pool| named(&new.pools, &pool.name).is_none());
    diff.pools_removed = gone.map(|pool| pool.name.clone()).collect();
    diff
}

/// The targets of notifications that were added, removed or changed.
fn changed_targets(old: &Settings, new: &Settings) -> Vec<String> {
    let differs = |of: &Settings, than: &Settings| -> Vec<String> {
        let targets = of.targets.iter().filter(|it| !than.targets.contains(it));
        targets.map(|it| format!("notify.{}", it.name)).collect()
    };
    let mut changed = differs(old, new);
    changed.extend(differs(new, old));
    changed.sort();
    changed.dedup();
    changed
}

fn sections(old: &Settings, new: &Settings, diff: &mut SettingsDiff) {
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
            match key.needs_restart {
                true => diff.needs_restart.push(dotted),
                false => diff.live.push(dotted),
            }
        }
    }
    // The comparison above sees `***` for both keys.
    let key = "hub.key".to_owned();
    if old.hub.key != new.hub.key && !diff.needs_restart.contains(&key) {
        diff.needs_restart.push(key);
    }
}

fn pool_change(
    old: (&Settings, &PoolSection),
    new: (&Settings, &PoolSection),
) -> Option<PoolChange> {
    let (before, after) = (json(old.1), json(new.1));
    let names = PoolSection::SECTION.keys.iter().map(|key| key.name);
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
