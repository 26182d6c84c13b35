//! Defaults: the built-in ones, and those that are derived from other keys.

use std::path::{Path, PathBuf};

use config::ValueKind;
use toml::de::DeValue;

use crate::built_in::PROVIDERS;
use crate::check::missing;
use crate::fault::ConfigFault;
use crate::file::{self, DefinedNames};
use crate::layer::{LayerReader, Leaf, Merged};
use crate::locate::xdg;
use crate::origin::Origin;
use crate::raw::RawValue;
use crate::schema::{self, KeyDefault, Section, SettingKey, Shape};
use crate::settings::SECTIONS;

/// Data folder of a service without a home directory.
const SYSTEM_DATA_DIR: &str = "/var/lib/kirosu";

/// The weakest layer: defaults of the sections that exist once, and the built-in providers. A fault here is an error in
/// the schema, and every test shows it.
pub(crate) fn built_in(faults: &mut Vec<ConfigFault>) -> (Vec<Leaf>, DefinedNames) {
    let mut reader = LayerReader::new(None, faults);
    let once = SECTIONS.iter().filter(|it| it.shape == Shape::One);
    for section in once {
        defaults(section, &[section.name.to_owned()], &mut reader);
    }
    let names = file::read(Path::new("built in"), PROVIDERS, &mut reader);
    let mut leaves = reader.leaves;
    for leaf in &mut leaves {
        leaf.origin = Origin::Default;
    }
    let names = names.unwrap_or_else(|wrong| {
        faults.extend(wrong.0);
        DefinedNames::default()
    });
    (leaves, names)
}

fn defaults(section: &Section, prefix: &[String], reader: &mut LayerReader<'_>) {
    for key in section.keys {
        if let KeyDefault::Is(text) = key.default {
            let path = below(prefix, key.name);
            match DeValue::parse(text) {
                Ok(value) => {
                    let raw = RawValue::from_toml(value.get_ref());
                    reader.take_known(key, &path, &raw, Origin::Default);
                }
                Err(error) => reader.fault(&path, &Origin::Default, error.message()),
            }
        }
    }
}

fn below(prefix: &[String], name: &str) -> Vec<String> {
    let mut path = prefix.to_vec();
    path.push(name.to_owned());
    path
}

/// Builds the layer of derived defaults: keys of pools and providers that are not written, and keys whose default
/// depends on other keys.
pub(crate) struct DerivedDefaults<'a> {
    pub written: &'a Merged,
    pub names: &'a DefinedNames,
}

impl DerivedDefaults<'_> {
    /// The layer. A required key that is missing becomes a fault.
    pub fn layer(
        &self,
        var: impl Fn(&str) -> Option<String>,
        faults: &mut Vec<ConfigFault>,
    ) -> Vec<Leaf> {
        let mut reader = LayerReader::new(None, faults);
        self.folders(var, &mut reader);
        // A hub without a TCP port is closed to other users of the machine and to web pages.
        let has_port = self.written.text(&["hub", "port"]) != Some("off");
        put(
            &mut reader,
            &["gateway", "enabled"],
            has_port.into(),
            derived("hub.port"),
        );
        for name in &self.names.providers {
            self.fill("providers", name, &mut reader);
        }
        for name in &self.names.pools {
            self.fill("pool", name, &mut reader);
            self.pool(name, &mut reader);
        }
        for name in &self.names.targets {
            self.fill("notify", name, &mut reader);
            let path = ["notify", name, "name"];
            put(
                &mut reader,
                &path,
                name.as_str().into(),
                derived(&format!("notify.{name}.kind")),
            );
        }
        reader.leaves
    }

    fn folders(&self, var: impl Fn(&str) -> Option<String>, reader: &mut LayerReader<'_>) {
        let (default, origin) = xdg(var, "XDG_DATA_HOME", ".local/share").map_or_else(
            || (PathBuf::from(SYSTEM_DATA_DIR), Origin::Default),
            |(dir, name)| (dir.join("kirosu"), derived(name)),
        );
        let default = default.to_string_lossy().into_owned();
        let data_dir = self.written.text(&["data_dir"]).unwrap_or(&default);
        let store = format!("{}/kirosu.db", data_dir.trim_end_matches('/'));
        put(reader, &["data_dir"], data_dir.into(), origin);
        put(
            reader,
            &["store", "path"],
            store.into(),
            derived("data_dir"),
        );
    }

    fn fill(&self, section: &str, name: &str, reader: &mut LayerReader<'_>) {
        let prefix = [section.to_owned(), name.to_owned()];
        let Some(section) = schema::section(section) else {
            return;
        };
        defaults(section, &prefix, reader);
        for key in section.keys {
            if matches!(key.default, KeyDefault::Required) && key.name != "name" {
                self.require(key, &below(&prefix, key.name), reader);
            }
        }
    }

    /// Adds a fault for a missing key, and a placeholder so that the settings can be deserialised and the other keys
    /// checked. The only such keys are the kinds of providers and targets.
    fn require(&self, key: &SettingKey, path: &[String], reader: &mut LayerReader<'_>) {
        if self.written.contains(path) {
            return;
        }
        let dotted = path.join(".");
        if !reader.faults.iter().any(|fault| fault.key == dotted) {
            reader
                .faults
                .push(ConfigFault::new(dotted, None, missing(key)));
        }
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        put(reader, &path, "command".into(), Origin::Default);
    }

    fn pool(&self, name: &str, reader: &mut LayerReader<'_>) {
        let key = |key| ["pool", name, key];
        let general = |key: [&str; 2]| self.written.text(&key).unwrap_or_default();
        put(reader, &key("name"), name.into(), derived("its first flag"));
        let provider = self.written.text(&key("provider"));
        let provider = provider.unwrap_or_else(|| general(["agent", "provider"]));
        let origin = derived("agent.provider");
        put(reader, &key("provider"), provider.into(), origin);
        if self.written.text(&key("trust")) == Some("all") {
            let origin = derived(&format!("pool.{name}.trust"));
            put(reader, &key("trust_all_tools"), true.into(), origin);
        }
        let lease = general(["lease", "default"]);
        put(
            reader,
            &key("lease"),
            lease.into(),
            derived("lease.default"),
        );
        if let Some(model) = self.written.text(&["providers", provider, "model"]) {
            let origin = derived(&format!("providers.{provider}.model"));
            put(reader, &key("model"), model.into(), origin);
        }
    }
}

fn derived(from: &str) -> Origin {
    Origin::Derived(from.to_owned())
}

fn put(reader: &mut LayerReader<'_>, path: &[&str], value: ValueKind, origin: Origin) {
    reader.leaves.push(Leaf {
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        value,
        origin,
    });
}
