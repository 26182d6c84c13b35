//! From layers to settings: locate, read, merge, validate; every fault at once.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::bounded::read_text;
use crate::derive::{self, Deriver, Effective, overlay};
use crate::fault::{Fault, Faults};
use crate::file::Names;
use crate::layer::{Intake, Layer};
use crate::options::{Flag, LoadOptions, Purpose};
use crate::origin::{Origin, Origins};
use crate::raw::Raw;
use crate::settings::Settings;
use crate::{concern, cross, env, file, key, locate, merge};

/// Most bytes of a settings file.
const FILE_BYTES: u64 = 4 << 20;

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
    asked: LoadOptions,
}

impl Loaded {
    /// What to load to read the same layers again: the same file even if a search would now find another one.
    pub fn again(&self) -> LoadOptions {
        LoadOptions {
            file: self.file.clone().or_else(|| self.asked.file.clone()),
            ..self.asked.clone()
        }
    }
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
    /// A file that cannot be read at all is reported alone, as the rest would be measured against half of the truth.
    pub fn load(options: LoadOptions) -> Result<Loaded, Faults> {
        let mut faults = Vec::new();
        let mut warnings = Vec::new();
        let found = find(&options, &mut warnings)?;
        let layers = Layers::read(&options, found.as_ref(), &mut faults, &mut warnings)?;
        if options.purpose == Purpose::Client && concern::drop_others(&mut faults) > 0 {
            let file = found.as_ref().map(|found| found.path.display().to_string());
            let warning = concern::warning(&file.unwrap_or_else(|| "the environment".to_owned()));
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let mut settings = merge::settings(&layers.all, &layers.pools).map_err(|fault| {
            let earlier = std::mem::take(&mut faults);
            Faults(earlier.into_iter().chain([fault]).collect())
        })?;
        let mut origins = layers.origins();
        let purpose = options.purpose;
        key::settle(
            &mut settings,
            &mut origins,
            purpose,
            &mut faults,
            &mut warnings,
        );
        if purpose == Purpose::Serve {
            cross::check(&settings, &origins, &mut faults);
            warnings.extend(cross::warnings(&settings, &origins));
        }
        let loaded = Loaded {
            settings,
            origins,
            warnings,
            file: found.map(|found| found.path),
            asked: options,
        };
        if let Some(also) = loaded.asked.also {
            cross::extend(&mut faults, also(&loaded));
        }
        match faults.is_empty() {
            true => Ok(loaded),
            false => Err(Faults(faults)),
        }
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
    ) -> Result<Self, Faults> {
        let home = options.var("HOME").filter(|home| !home.is_empty());
        let home = home.as_deref();
        let (built_in, built_in_names) = derive::built_in(faults);

        let mut intake = Intake::new(home, faults);
        let mut names = Names::default();
        if let Some(found) = found {
            names = match file::read(&found.path, &found.text, &mut intake) {
                Err(_) if options.purpose == Purpose::Client => {
                    let path = found.path.display().to_string();
                    warnings.push(concern::warning(&path));
                    file::read(&found.path, &concern::hub_only(&found.text), &mut intake)?
                }
                read => read?,
            };
        }
        for name in built_in_names.providers {
            add(&mut names.providers, &name);
        }
        let from_file = intake.layer;

        let mut intake = Intake::new(home, faults);
        env::historical(options, &mut intake);
        warnings.extend(env::current(&options.env, &names, &mut intake));
        let from_env = intake.layer;

        let mut intake = Intake::new(home, faults);
        flags(&options.flags, &mut names, &mut intake);
        let from_flags = intake.layer;

        let mut effective = Effective::new();
        for layer in [&built_in, &from_file, &from_env, &from_flags] {
            overlay(&mut effective, layer);
        }
        let deriver = Deriver {
            effective: &effective,
            pools: &names.pools,
            providers: &names.providers,
        };
        let derived = deriver.layer(|name| options.var(name), faults);
        overlay(&mut effective, &derived);
        Ok(Self {
            all: vec![built_in, derived, from_file, from_env, from_flags],
            effective,
            pools: names.pools,
        })
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

/// The layer of flags. They may bring pools and providers of their own.
fn flags(flags: &[Flag], names: &mut Names, intake: &mut Intake<'_>) {
    for flag in flags {
        // What follows a third dot is the name of a variable for the run, dots and all.
        let path: Vec<String> = flag.key.splitn(4, '.').map(str::to_owned).collect();
        let origin = Origin::Flag(flag.name.clone());
        intake.take(&path, &Raw::Loose(flag.value.clone()), origin);
    }
    for leaf in &intake.layer.leaves {
        match leaf.path.as_slice() {
            [section, name, ..] if section == "pool" => add(&mut names.pools, name),
            [section, name, ..] if section == "providers" => add(&mut names.providers, name),
            _ => {}
        }
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

fn find(options: &LoadOptions, warnings: &mut Vec<String>) -> Result<Option<Found>, Faults> {
    let places = locate::candidates(options.file.as_deref(), &options.here, |name| {
        options.var(name)
    });
    for place in places {
        let path = place.path;
        match read_text(&path, FILE_BYTES) {
            Ok(text) => return Ok(Some(Found { path, text })),
            Err(error) if error.kind() == ErrorKind::NotFound && !place.asked_for => {}
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                if options.purpose == Purpose::Serve || place.asked_for {
                    let fault = Fault::new("configuration file", None, message);
                    return Err(Faults(vec![fault]));
                }
                warnings.push(format!("{message}; going on without it"));
                return Ok(None);
            }
        }
    }
    Ok(None)
}
