//! The values of one layer, and the layers merged into settings.

use std::collections::BTreeMap;

use config::{Config, Map, Value, ValueKind};

use crate::check::check;
use crate::fault::ConfigFault;
use crate::file::DefinedNames;
use crate::origin::{Origin, Origins};
use crate::raw::RawValue;
use crate::schema::{self, SettingKey};
use crate::settings::Settings;

/// One checked value.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub path: Vec<String>,
    pub value: ValueKind,
    pub origin: Origin,
}

/// Collects the values of one layer in the order in which they were written, and the faults of all others.
#[derive(Debug)]
pub(crate) struct LayerReader<'a> {
    /// Home directory for `~/`.
    pub home: Option<&'a str>,
    pub faults: &'a mut Vec<ConfigFault>,
    pub leaves: Vec<Leaf>,
}

impl<'a> LayerReader<'a> {
    pub fn new(home: Option<&'a str>, faults: &'a mut Vec<ConfigFault>) -> Self {
        Self {
            home,
            faults,
            leaves: Vec::new(),
        }
    }

    /// Looks up the key of the path, checks the value and keeps it.
    pub fn take(&mut self, path: &[String], raw: &RawValue, origin: Origin) {
        match schema::resolve(path) {
            Ok(key) => self.take_known(key, path, raw, origin),
            Err(message) => self.fault(path, &origin, message),
        }
    }

    /// As [`LayerReader::take`], for a key that was looked up before.
    pub fn take_known(
        &mut self,
        key: &SettingKey,
        path: &[String],
        raw: &RawValue,
        origin: Origin,
    ) {
        match check(key, raw, self.home) {
            Ok(value) => self.leaves.push(Leaf {
                path: path.to_vec(),
                value,
                origin,
            }),
            Err(faults) => {
                let path = path.join(".");
                for (below, message) in faults {
                    let key = format!("{path}{below}");
                    self.faults
                        .push(ConfigFault::new(key, Some(&origin), message));
                }
            }
        }
    }

    /// Adds a fault of this layer.
    pub fn fault(&mut self, path: &[String], origin: &Origin, message: impl Into<String>) {
        self.faults
            .push(ConfigFault::new(path.join("."), Some(origin), message));
    }
}

/// The values in force by path: of all layers, the strongest.
///
/// It is the one source that the `config` crate deserialises. That crate merges sources itself, but it does not keep the
/// origin of the stronger value, and it merges tables that one key holds as a whole (`trust` of a provider).
#[derive(Debug, Clone, Default)]
pub(crate) struct Merged(BTreeMap<Vec<String>, Leaf>);

impl Merged {
    /// Adds a layer that is stronger than the ones before.
    pub fn overlay(&mut self, layer: Vec<Leaf>) {
        let entries = layer.into_iter().map(|leaf| (leaf.path.clone(), leaf));
        self.0.extend(entries);
    }

    /// Adds a layer that is weaker than all others. Of two values for one path in it, the later counts.
    pub fn underlay(&mut self, layer: Vec<Leaf>) {
        for leaf in layer.into_iter().rev() {
            self.0.entry(leaf.path.clone()).or_insert(leaf);
        }
    }

    pub fn contains(&self, path: &[String]) -> bool {
        self.0.contains_key(path)
    }

    /// The text at the path. `None` means that no text is set there.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        match &self.0.get(&path)?.value {
            ValueKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The origin of every value. A key that was unset with an empty text has the origin of that text.
    pub fn origins(&self) -> Origins {
        let pairs = self.0.iter();
        Origins(
            pairs
                .map(|(path, leaf)| (path.join("."), leaf.origin.clone()))
                .collect(),
        )
    }

    /// Deserialises the settings; `names` has the order of pools and targets.
    ///
    /// # Errors
    /// A checked value does not fit its type, which the schema's tests exclude.
    pub fn settings(self, names: &DefinedNames) -> Result<Settings, ConfigFault> {
        let config = Config::builder().add_source(self).build();
        let mut settings: Settings = config.and_then(Config::try_deserialize).map_err(|error| {
            ConfigFault::new("settings", None, format!("cannot be merged: {error}"))
        })?;
        let place = |all: &[String], name: &str| all.iter().position(|it| it == name);
        settings
            .pools
            .sort_by_key(|pool| place(&names.pools, &pool.name));
        settings
            .targets
            .sort_by_key(|target| place(&names.targets, &target.name));
        Ok(settings)
    }
}

impl config::Source for Merged {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    /// Nested tables. Each value carries its origin, so that an error of the `config` crate names the place too.
    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let mut root = Map::new();
        for leaf in self.0.values() {
            let value = Value::new(Some(&leaf.origin.to_string()), leaf.value.clone());
            insert(&mut root, &leaf.path, value);
        }
        Ok(root)
    }
}

fn insert(table: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            table.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let below = table
                .entry(name.clone())
                .or_insert_with(|| Value::new(None, ValueKind::Table(Map::new())));
            if let ValueKind::Table(below) = &mut below.kind {
                insert(below, rest, value);
            }
        }
    }
}
