//! From layers to settings: find the file, read the layers, merge, check; every fault at once.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::derive::{self, DerivedDefaults};
use crate::fault::{ConfigFault, ConfigFaults};
use crate::file::DefinedNames;
use crate::layer::{LayerReader, Leaf, Merged};
use crate::options::{Flag, LoadOptions, Purpose};
use crate::origin::{Origin, Origins};
use crate::raw::RawValue;
use crate::read_text::read_text;
use crate::settings::Settings;
use crate::{client_faults, cross_check, env, file, hub_key, locate};

/// Largest settings file, in bytes.
const FILE_BYTES: u64 = 4 << 20;

/// Settings with their origins.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Where each value came from.
    pub origins: Origins,
    /// Values that are allowed but probably not intended, as sentences for the log.
    pub warnings: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    options: LoadOptions,
}

impl Loaded {
    /// Options that read the same layers again, with the same file even if a search would now find another one.
    pub fn again(&self) -> LoadOptions {
        LoadOptions {
            file: self.file.clone().or_else(|| self.options.file.clone()),
            ..self.options.clone()
        }
    }
}

/// A settings file and its text.
pub(crate) struct FoundFile {
    pub path: PathBuf,
    pub text: String,
}

impl Settings {
    /// Loads the settings: built-in defaults, the file, the environment and the flags, each stronger than the one before.
    ///
    /// # Errors
    /// Every fault of every layer at once. A file that cannot be read, or is not TOML, is reported alone: without it,
    /// other faults would be misleading.
    pub fn load(options: LoadOptions) -> Result<Loaded, ConfigFaults> {
        let mut warnings = Vec::new();
        let found = find(&options, &mut warnings)?;
        Settings::load_found(options, found, warnings)
    }

    /// Loads the settings from the file that was found. `warnings` are those of the search.
    pub(crate) fn load_found(
        options: LoadOptions,
        found: Option<FoundFile>,
        mut warnings: Vec<String>,
    ) -> Result<Loaded, ConfigFaults> {
        let mut faults = Vec::new();
        let (merged, names) = read_layers(&options, found.as_ref(), &mut faults, &mut warnings)?;
        if options.purpose == Purpose::Client && client_faults::drop_others(&mut faults) > 0 {
            let file = found.as_ref().map(|found| found.path.display().to_string());
            let warning = client_faults::warning(file.as_deref().unwrap_or("the environment"));
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let mut origins = merged.origins();
        let mut settings = match merged.settings(&names.pools) {
            Ok(settings) => settings,
            Err(fault) => {
                faults.push(fault);
                return Err(ConfigFaults(faults));
            }
        };
        let purpose = options.purpose;
        hub_key::choose(
            &mut settings,
            &mut origins,
            purpose,
            &mut faults,
            &mut warnings,
        );
        if purpose == Purpose::Serve {
            cross_check::check(&settings, &origins, &mut faults);
            warnings.extend(cross_check::warnings(&settings, &origins));
        }
        let loaded = Loaded {
            settings,
            origins,
            warnings,
            file: found.map(|found| found.path),
            options,
        };
        if let Some(also) = loaded.options.also {
            cross_check::extend(&mut faults, also(&loaded));
        }
        match faults.is_empty() {
            true => Ok(loaded),
            false => Err(ConfigFaults(faults)),
        }
    }
}

fn read_layers(
    options: &LoadOptions,
    found: Option<&FoundFile>,
    faults: &mut Vec<ConfigFault>,
    warnings: &mut Vec<String>,
) -> Result<(Merged, DefinedNames), ConfigFaults> {
    let home = options.var("HOME").filter(|home| !home.is_empty());
    let home = home.as_deref();
    let mut merged = Merged::default();
    let (built_in, built_in_names) = derive::built_in(faults);
    merged.overlay(built_in);

    let mut reader = LayerReader::new(home, faults);
    let mut names = DefinedNames::default();
    if let Some(found) = found {
        names = match file::read(&found.path, &found.text, &mut reader) {
            Err(_) if options.purpose == Purpose::Client => {
                let path = found.path.display().to_string();
                warnings.push(client_faults::warning(&path));
                let hub_only = client_faults::hub_only(&found.text);
                file::read(&found.path, &hub_only, &mut reader)?
            }
            read => read?,
        };
    }
    for name in &built_in_names.providers {
        add(&mut names.providers, name);
    }
    merged.overlay(reader.leaves);

    let mut reader = LayerReader::new(home, faults);
    env::historical(options, &mut reader);
    warnings.extend(env::current(&options.env, &names, &mut reader));
    merged.overlay(reader.leaves);

    let from_flags = read_flags(&options.flags, LayerReader::new(home, faults));
    add_names(&from_flags, &mut names);
    merged.overlay(from_flags);

    let derived = DerivedDefaults {
        written: &merged,
        names: &names,
    };
    let derived = derived.layer(|name| options.var(name), faults);
    merged.underlay(derived);
    Ok((merged, names))
}

fn read_flags(flags: &[Flag], mut reader: LayerReader<'_>) -> Vec<Leaf> {
    for flag in flags {
        // The fourth part is the name of an environment variable, which may contain dots.
        let path: Vec<String> = flag.key.splitn(4, '.').map(str::to_owned).collect();
        let origin = Origin::Flag(flag.name.clone());
        reader.take(&path, &RawValue::Loose(flag.value.clone()), origin);
    }
    reader.leaves
}

/// Adds the pools and providers that only flags define.
fn add_names(leaves: &[Leaf], names: &mut DefinedNames) {
    for leaf in leaves {
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

/// Reads the first file that exists. `Ok(None)` means that there is no file.
fn find(
    options: &LoadOptions,
    warnings: &mut Vec<String>,
) -> Result<Option<FoundFile>, ConfigFaults> {
    let candidates = locate::candidates(options.file.as_deref(), &options.here, |name| {
        options.var(name)
    });
    for candidate in candidates {
        let path = candidate.path;
        match read_text(&path, FILE_BYTES) {
            Ok(text) => return Ok(Some(FoundFile { path, text })),
            Err(error) if error.kind() == ErrorKind::NotFound && !candidate.must_exist => {}
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                if options.purpose == Purpose::Serve || candidate.must_exist {
                    let fault = ConfigFault::new("configuration file", None, message);
                    return Err(ConfigFaults(vec![fault]));
                }
                warnings.push(format!("{message}; continuing without it"));
                return Ok(None);
            }
        }
    }
    Ok(None)
}
