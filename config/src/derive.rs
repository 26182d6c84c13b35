//! Defaults: the built-in ones, and those that follow from what was written elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::ValueKind;
use toml::de::DeValue;

use crate::check::check;
use crate::fault::Fault;
use crate::file::{self, Names};
use crate::keys::{BUILT_IN_PROVIDERS, SECTIONS};
use crate::layer::{Intake, Layer, Leaf};
use crate::locate::xdg;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::schema::{self, Key, Preset, Section, Shape};

/// Where a service without a home keeps its data.
const LAST_DATA_DIR: &str = "/var/lib/kirosu";

/// The values that count, by path: of all layers, the strongest.
pub(crate) type Effective = BTreeMap<Vec<String>, Leaf>;

/// Lays a layer over what is there.
pub(crate) fn overlay(effective: &mut Effective, layer: &Layer) {
    for leaf in &layer.leaves {
        effective.insert(leaf.path.clone(), leaf.clone());
    }
}

/// The layer under all others: the fixed sections, and the built-in providers' definitions. Faults can only come of a
/// mistake in `keys.rs`, and every test would show them.
pub(crate) fn built_in(faults: &mut Vec<Fault>) -> (Layer, Names) {
    let mut intake = Intake::new(None, faults);
    for section in SECTIONS
        .iter()
        .filter(|section| section.shape == Shape::One)
    {
        presets(section, &[section.name.to_owned()], &mut intake);
    }
    let names = file::read(Path::new("built in"), BUILT_IN_PROVIDERS, &mut intake);
    let mut layer = intake.layer;
    for leaf in &mut layer.leaves {
        leaf.origin = Origin::Default;
    }
    let names = names.unwrap_or_else(|wrong| {
        faults.extend(wrong.0);
        Names::default()
    });
    (layer, names)
}

fn presets(section: &Section, prefix: &[String], intake: &mut Intake<'_>) {
    for key in section.keys {
        if let Preset::Is(text) = key.preset {
            let mut path = prefix.to_vec();
            path.push(key.name.to_owned());
            match DeValue::parse(text) {
                Ok(value) => {
                    intake.take_known(
                        key,
                        &path,
                        &Raw::from_toml(value.get_ref()),
                        Origin::Default,
                    );
                }
                Err(error) => intake.fault(&path, &Origin::Default, error.message()),
            }
        }
    }
}

/// The second layer: what pools and providers are when they do not say, and what follows from other keys.
pub(crate) struct Deriver<'a> {
    pub effective: &'a Effective,
    pub pools: &'a [String],
    pub providers: &'a [String],
}

impl Deriver<'_> {
    /// Builds the layer. Required keys that nobody wrote become faults.
    pub fn layer(&self, var: impl Fn(&str) -> Option<String>, faults: &mut Vec<Fault>) -> Layer {
        let mut intake = Intake::new(None, faults);
        self.folders(var, &mut intake);
        for name in self.providers {
            self.fill("providers", name, &mut intake);
        }
        for name in self.pools {
            self.fill("pool", name, &mut intake);
            self.pool(name, &mut intake);
        }
        let written = |leaf: &Leaf| !self.effective.contains_key(&leaf.path);
        let mut layer = intake.layer;
        layer.leaves.retain(written);
        layer
    }

    fn folders(&self, var: impl Fn(&str) -> Option<String>, intake: &mut Intake<'_>) {
        let (built_in, from) = xdg(var, "XDG_DATA_HOME", ".local/share").map_or_else(
            || (PathBuf::from(LAST_DATA_DIR), Origin::Default),
            |(dir, name)| (dir.join("kirosu"), Origin::Derived(name.to_owned())),
        );
        let built_in = built_in.to_string_lossy().into_owned();
        let data_dir = self.text(&["data_dir"]).unwrap_or(&built_in).to_owned();
        self.put(&["data_dir"], data_dir.clone().into(), from, intake);
        let path = format!("{}/kirosu.db", data_dir.trim_end_matches('/'));
        self.put(
            &["store", "path"],
            path.into(),
            Origin::Derived("data_dir".into()),
            intake,
        );
    }

    fn fill(&self, section: &str, name: &str, intake: &mut Intake<'_>) {
        let prefix = [section.to_owned(), name.to_owned()];
        let Some(section) = schema::section(section) else {
            return;
        };
        presets(section, &prefix, intake);
        for key in section.keys {
            if matches!(key.preset, Preset::Required) && key.name != "name" {
                self.require(key, &prefix, intake);
            }
        }
    }

    /// A missing key gets a stand-in besides its fault, so that the rest can still be looked at.
    fn require(&self, key: &Key, prefix: &[String], intake: &mut Intake<'_>) {
        let mut path = prefix.to_vec();
        path.push(key.name.to_owned());
        if self.effective.contains_key(&path) {
            return;
        }
        let allowed = crate::check::allowed(key.kind);
        let dotted = path.join(".");
        if !intake.faults.iter().any(|fault| fault.key == dotted) {
            let message = format!("has to be set: {allowed} is allowed");
            intake.faults.push(Fault::new(dotted, None, message));
        }
        if let Ok(value) = check(key, &Raw::Text("command".into()), None) {
            self.put_path(path, value, Origin::Default, intake);
        }
    }

    fn pool(&self, name: &str, intake: &mut Intake<'_>) {
        let derived = |from: &str| Origin::Derived(from.to_owned());
        self.put(
            &["pool", name, "name"],
            name.into(),
            derived("its first flag"),
            intake,
        );
        let usual = self.text(&["agent", "provider"]).unwrap_or_default();
        let provider = self.text(&["pool", name, "provider"]).unwrap_or(usual);
        let from = derived("agent.provider");
        self.put(&["pool", name, "provider"], provider.into(), from, intake);
        if self.text(&["pool", name, "trust"]) == Some("all") {
            let from = derived(&format!("pool.{name}.trust"));
            let key = ["pool", name, "trust_all_tools"];
            self.put(&key, true.into(), from, intake);
        }
        let lease = self.text(&["lease", "default"]).unwrap_or_default();
        self.put(
            &["pool", name, "lease"],
            lease.into(),
            derived("lease.default"),
            intake,
        );
        if let Some(model) = self.text(&["providers", provider, "model"]) {
            let from = derived(&format!("providers.{provider}.model"));
            self.put(&["pool", name, "model"], model.into(), from, intake);
        }
    }

    fn text(&self, path: &[&str]) -> Option<&str> {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        match &self.effective.get(&path)?.value {
            ValueKind::String(text) => Some(text),
            _ => None,
        }
    }

    fn put(&self, path: &[&str], value: ValueKind, origin: Origin, intake: &mut Intake<'_>) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.put_path(path, value, origin, intake);
    }

    fn put_path(
        &self,
        path: Vec<String>,
        value: ValueKind,
        origin: Origin,
        intake: &mut Intake<'_>,
    ) {
        intake.layer.leaves.push(Leaf {
            path,
            value,
            origin,
        });
    }
}
