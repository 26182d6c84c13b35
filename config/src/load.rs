//! From layers to settings: find the file, read the layers, merge, check; every fault at once.

use std::io::{self, ErrorKind};
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
use crate::{address, client_faults, cross_check, env, file, hub_key, locate, trust, warnings};

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
    /// The SHA-256 of its content, in hexadecimal.
    pub(crate) sha256: Option<String>,
    /// Whether it was found in the working directory, and not named.
    found_here: bool,
    pub(crate) options: LoadOptions,
}

impl Loaded {
    /// Options that read the same layers again, with the same file even if a search would now find another one.
    pub fn again(&self) -> LoadOptions {
        LoadOptions {
            file: self.file.clone().or_else(|| self.options.file.clone()),
            found_here: self.found_here,
            ..self.options.clone()
        }
    }
}

/// A settings file and its text.
pub(crate) struct FoundFile {
    pub path: PathBuf,
    pub text: String,
    /// Whether it was found in the working directory, and not named.
    pub found_here: bool,
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
        let mut settings = match merged.settings(&names) {
            Ok(settings) => settings,
            Err(fault) => {
                faults.push(fault);
                return Err(ConfigFaults(faults));
            }
        };
        // One that is emptied disables the default, too.
        if origins.get("hub.socket").is_none() {
            settings.default_socket = address::default_socket(|name| options.var(name));
        }
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
            warnings.extend(warnings::warnings(&settings, &origins));
        }
        let loaded = Loaded {
            settings,
            origins,
            warnings,
            sha256: found.as_ref().map(|it| trust::hash(it.text.as_bytes())),
            found_here: found.as_ref().is_some_and(|it| it.found_here),
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
    env::of_run(options, &mut reader);
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

/// Adds the pools, providers and targets that only flags define.
fn add_names(leaves: &[Leaf], names: &mut DefinedNames) {
    for leaf in leaves {
        match leaf.path.as_slice() {
            [section, name, ..] if section == "pool" => add(&mut names.pools, name),
            [section, name, ..] if section == "notify" => add(&mut names.targets, name),
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

/// Reads the first file that exists and that the user trusts. `Ok(None)` means that there is no file.
fn find(
    options: &LoadOptions,
    warnings: &mut Vec<String>,
) -> Result<Option<FoundFile>, ConfigFaults> {
    let mut candidates = locate::candidates(options.file.as_deref(), &options.here, |name| {
        options.var(name)
    });
    if let [named] = candidates.as_mut_slice() {
        named.needs_trust |= options.found_here;
    }
    let trusted: Vec<PathBuf> = candidates
        .iter()
        .filter(|it| !it.needs_trust)
        .filter_map(|it| it.path.canonicalize().ok())
        .collect();
    for candidate in candidates {
        let path = candidate.path;
        // In `/etc/kirosu`, the file of the working directory is that of the system.
        let found_here = candidate.needs_trust
            && !(path.canonicalize()).is_ok_and(|canonical| trusted.contains(&canonical));
        // A FIFO that a repository brings would hold every command.
        let is_special = found_here && path.metadata().is_ok_and(|found| !found.is_file());
        let read = match is_special {
            true => Err(io::Error::other("it is not a regular file")),
            false => read_text(&path, FILE_BYTES),
        };
        match read {
            Ok(text) => {
                let doubt = match found_here {
                    true => trust::doubt(options, &path, &text),
                    false => None,
                };
                match doubt {
                    Some(doubt) if options.reads_untrusted => warnings.push(doubt),
                    Some(doubt) if options.purpose == Purpose::Client => {
                        warnings.push(format!("ignored: {doubt}"));
                        continue;
                    }
                    Some(doubt) => {
                        return Err(ConfigFaults(vec![ConfigFault::untrusted(doubt)]));
                    }
                    None => {}
                }
                return Ok(Some(FoundFile {
                    path,
                    text,
                    found_here,
                }));
            }
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
