//! From layers to settings: locate, read, merge, validate; every fault at once.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::derive::{self, Deriver, Effective, overlay};
use crate::fault::{Fault, Faults};
use crate::file::Names;
use crate::layer::{Intake, Layer};
use crate::origin::{Origin, Origins};
use crate::raw::Raw;
use crate::settings::Settings;
use crate::{cross, env, file, key, locate, merge};

/// What the settings are loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To run a hub or agents: everything has to fit together.
    #[default]
    Serve,
    /// To speak to a hub: checks that only concern serving are left out (a client may well name a distant host without
    /// a key), and a system file or key file that this user may not read is a warning.
    Client,
}

/// One flag of the command line that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user wrote it, for messages: `--port`.
    pub name: String,
    /// Dotted key: `hub.port`, `pool.coders.size`. A pool that the file does not have is created by its first flag.
    pub key: String,
    /// The value's text, read as in a variable: lists are words between commas or TOML lists.
    pub value: String,
}

impl Flag {
    /// A flag with a name of its own, such as `--port 9000` for `hub.port`.
    pub fn new(name: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key: key.into(),
            value: value.into(),
        }
    }

    /// The general flag `--set KEY=VALUE`.
    pub fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new("--set", key, value)
    }
}

/// Everything that [`Settings::load`] looks at besides the file system.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The file to read (`--config`); `None` searches.
    pub file: Option<PathBuf>,
    /// The environment: names and values. The last of two equal names counts.
    pub env: Vec<(String, String)>,
    /// Flags, the later stronger.
    pub flags: Vec<Flag>,
    /// Folder in which `kirosu.toml` is looked for; empty means the working directory.
    pub here: PathBuf,
    /// What the settings are for.
    pub purpose: Purpose,
}

impl LoadOptions {
    /// Options with an environment and nothing else.
    pub fn with_env<K: Into<String>, V: Into<String>>(
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let env = env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            env: env.collect(),
            ..Self::default()
        }
    }

    /// Options with this process's environment: the one place of the crate that reads it. Bytes that are not UTF-8
    /// are replaced, so that a foreign variable cannot stop the start.
    pub fn from_process() -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::with_env(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
    }

    fn var(&self, name: &str) -> Option<String> {
        let found = self.env.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }
}

/// Settings, and how they came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings themselves.
    pub settings: Settings,
    /// Where each value came from.
    pub origins: Origins,
    /// Things that are allowed and yet worth a line in the log.
    pub warnings: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// One file as found.
struct Found {
    path: PathBuf,
    text: String,
}

impl Settings {
    /// Loads the settings: built-in defaults, the file, the environment, the flags, each stronger than the one before.
    ///
    /// # Errors
    /// Every fault of every layer at once. No settings come of a load with a fault.
    pub fn load(options: LoadOptions) -> Result<Loaded, Faults> {
        let mut faults = Vec::new();
        let mut warnings = Vec::new();
        let found = find(&options, &mut faults, &mut warnings);
        let layers = Layers::read(&options, found.as_ref(), &mut faults, &mut warnings);
        let merged = merge::settings(&layers.all, &layers.pools);
        let mut origins = layers.origins();
        let mut settings = match merged {
            Ok(settings) => settings,
            Err(fault) => {
                faults.push(fault);
                return Err(Faults(faults));
            }
        };
        key::settle(
            &mut settings,
            &mut origins,
            options.purpose,
            &mut faults,
            &mut warnings,
        );
        if options.purpose == Purpose::Serve {
            cross::check(&settings, &origins, &mut faults);
        }
        warnings.extend(cross::warnings(&settings, &origins));
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        Ok(Loaded {
            settings,
            origins,
            warnings,
            file: found.map(|found| found.path),
        })
    }
}

/// All layers, weakest first.
struct Layers {
    all: Vec<Layer>,
    effective: Effective,
    pools: Vec<String>,
}

impl Layers {
    fn read(
        options: &LoadOptions,
        found: Option<&Found>,
        faults: &mut Vec<Fault>,
        warnings: &mut Vec<String>,
    ) -> Self {
        let home = options.var("HOME").filter(|home| !home.is_empty());
        let home = home.as_deref();
        let built_in = derive::built_in(faults);

        let mut intake = Intake::new(home, faults);
        let mut names = Names::default();
        if let Some(found) = found {
            names = file::read(&found.path, &found.text, &mut intake);
        }
        names.providers.extend(derive::built_in_providers());
        let from_file = intake.layer;

        let mut intake = Intake::new(home, faults);
        env::historical(&options.env, &mut intake);
        warnings.extend(env::current(&options.env, &names, &mut intake));
        let from_env = intake.layer;

        let mut intake = Intake::new(home, faults);
        for flag in &options.flags {
            let path: Vec<String> = flag.key.splitn(4, '.').map(str::to_owned).collect();
            let origin = Origin::Flag(flag.name.clone());
            intake.take(&path, &Raw::Loose(flag.value.clone()), origin);
        }
        let from_flags = intake.layer;

        let mut effective = Effective::new();
        for layer in [&built_in, &from_file, &from_env, &from_flags] {
            overlay(&mut effective, layer);
        }
        add_names(&from_flags, &mut names);
        let deriver = Deriver {
            effective: &effective,
            pools: &names.pools,
            providers: &names.providers,
        };
        let derived = deriver.layer(|name| options.var(name), faults);
        overlay(&mut effective, &derived);
        Self {
            all: vec![built_in, derived, from_file, from_env, from_flags],
            effective,
            pools: names.pools,
        }
    }

    /// Origins of what is set; a key that was emptied on purpose counts as set by whoever emptied it.
    fn origins(&self) -> Origins {
        let pairs = self.effective.iter();
        Origins(
            pairs
                .map(|(path, leaf)| (path.join("."), leaf.origin.clone()))
                .collect(),
        )
    }
}

/// Flags may bring pools and providers of their own.
fn add_names(flags: &Layer, names: &mut Names) {
    for leaf in &flags.leaves {
        let (list, name) = match leaf.path.as_slice() {
            [section, name, ..] if section == "pool" => (&mut names.pools, name),
            [section, name, ..] if section == "providers" => (&mut names.providers, name),
            _ => continue,
        };
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
}

fn find(
    options: &LoadOptions,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) -> Option<Found> {
    let places = locate::candidates(options.file.as_deref(), &options.here, |name| {
        options.var(name)
    });
    for place in places {
        match std::fs::read_to_string(&place.path) {
            Ok(text) => {
                return Some(Found {
                    path: place.path,
                    text,
                });
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !place.asked_for => {}
            Err(error) => {
                let message = unreadable(&place.path, &error);
                if options.purpose == Purpose::Client && !place.asked_for {
                    warnings.push(format!("{message}; going on without it"));
                } else {
                    faults.push(Fault::new("configuration file", None, message));
                }
                return None;
            }
        }
    }
    None
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}
