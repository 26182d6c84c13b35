//! The file layer: TOML, with the line of every key.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::check::is_name;
use crate::fault::{ConfigFault, ConfigFaults};
use crate::layer::LayerReader;
use crate::origin::Origin;
use crate::raw::RawValue;
use crate::schema::{self, Allowed, Section, Shape};

type TomlKey<'i> = Spanned<DeString<'i>>;
type TomlValue<'i> = Spanned<DeValue<'i>>;

/// Names of pools, providers and targets of notifications that are defined.
#[derive(Debug, Default)]
pub(crate) struct DefinedNames {
    /// Pools in the order in which they are written.
    pub pools: Vec<String>,
    /// Providers.
    pub providers: Vec<String>,
    /// Targets of notifications in the order in which they are written.
    pub targets: Vec<String>,
}

impl DefinedNames {
    /// The names in a section of the shape [`Shape::Array`].
    pub fn of_array(&self, section: &str) -> &Vec<String> {
        match section {
            "notify" => &self.targets,
            _ => &self.pools,
        }
    }
}

/// Reads the text of a file.
///
/// # Errors
/// All syntax errors. Nothing else of the file is checked then.
pub(crate) fn read(
    path: &Path,
    text: &str,
    reader: &mut LayerReader<'_>,
) -> Result<DefinedNames, ConfigFaults> {
    let mut file = FileReader {
        path,
        text,
        names: DefinedNames::default(),
        first_lines: BTreeMap::new(),
        reader,
    };
    let (root, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let fault = |error: &toml::de::Error| {
        let origin = error.span().map(|span| file.origin(span.start));
        let message = format!("cannot be read as TOML: {}", error.message());
        ConfigFault::new("syntax", origin.as_ref(), message)
    };
    if !errors.is_empty() {
        return Err(ConfigFaults(errors.iter().map(fault).collect()));
    }
    for (key, value) in in_order(root.get_ref()) {
        file.top(key, value);
    }
    Ok(file.names)
}

struct FileReader<'t, 'r, 'f> {
    path: &'t Path,
    text: &'t str,
    names: DefinedNames,
    /// Where each pool and each target was defined first, by path.
    first_lines: BTreeMap<[String; 2], Origin>,
    reader: &'r mut LayerReader<'f>,
}

impl FileReader<'_, '_, '_> {
    fn origin(&self, byte: usize) -> Origin {
        let before = self.text.as_bytes().get(..byte).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File {
            path: self.path.to_owned(),
            line,
        }
    }

    /// A section, or a key of the top level.
    fn top(&mut self, key: &TomlKey<'_>, value: &TomlValue<'_>) {
        let name = key.get_ref().to_string();
        let origin = self.origin(key.span().start);
        let section = schema::section(&name).filter(|section| section.shape != Shape::Top);
        let Some(section) = section else {
            // An unknown name is refused there.
            let raw = RawValue::from_toml(value.get_ref());
            return self.reader.take(&[name], &raw, origin);
        };
        match (section.shape, value.get_ref()) {
            (Shape::One, DeValue::Table(table)) => self.keys(section, &[name], table),
            (Shape::Named, DeValue::Table(table)) => {
                for (key, value) in in_order(table) {
                    self.named(section, key, value);
                }
            }
            (Shape::Array, DeValue::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.element(section, index, item);
                }
            }
            (shape, _) => {
                let message = format!("not a section: write {}", heading(section.name, shape));
                self.reader.fault(&[name], &origin, message);
            }
        }
    }

    /// The keys of one table; `prefix` is the path of the table.
    fn keys(&mut self, section: &Section, prefix: &[String], table: &DeTable<'_>) {
        for (key, value) in in_order(table) {
            let name = key.get_ref().to_string();
            let origin = self.origin(key.span().start);
            let mut path = prefix.to_vec();
            path.push(name.clone());
            let Some(known) = section.key(&name) else {
                let message = schema::unknown_key(section.keys, &name);
                self.reader.fault(&path, &origin, message);
                continue;
            };
            match (known.allowed, value.get_ref()) {
                // Each entry of a map has an origin of its own.
                (Allowed::Map, DeValue::Table(entries)) => {
                    for (key, value) in in_order(entries) {
                        let mut path = path.clone();
                        path.push(key.get_ref().to_string());
                        let origin = self.origin(key.span().start);
                        let raw = RawValue::from_toml(value.get_ref());
                        self.reader.take_known(known, &path, &raw, origin);
                    }
                }
                (Allowed::Map, _) => {
                    let message = format!("{} is allowed", known.allowed);
                    self.reader.fault(&path, &origin, message);
                }
                (_, value) => {
                    let raw = RawValue::from_toml(value);
                    self.reader.take_known(known, &path, &raw, origin);
                }
            }
        }
    }

    /// `[providers.NAME]`
    fn named(&mut self, section: &Section, key: &TomlKey<'_>, value: &TomlValue<'_>) {
        let name = key.get_ref().to_string();
        let origin = self.origin(key.span().start);
        let path = [section.name.to_owned(), name.clone()];
        if !is_name(&name) {
            let message = format!("{} is allowed", Allowed::Name);
            return self.reader.fault(&path, &origin, message);
        }
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("not a definition: write [{}.{name}]", section.name);
            return self.reader.fault(&path, &origin, message);
        };
        self.keys(section, &path, table);
        self.names.providers.push(name);
    }

    /// One `[[pool]]` or `[[notify]]`. Its keys are kept under its name, so that a variable or a flag can change it wherever it is
    /// written.
    fn element(&mut self, section: &Section, index: usize, item: &TomlValue<'_>) {
        let place = [format!("{}[{index}]", section.name)];
        let origin = self.origin(item.span().start);
        let DeValue::Table(table) = item.get_ref() else {
            let message = format!("not a table: write [[{}]]", section.name);
            return self.reader.fault(&place, &origin, message);
        };
        let text = |key| table.get(key).and_then(|name| name.get_ref().as_str());
        // The only target of its kind needs no name.
        let is_unnamed = section.name == "notify" && !table.contains_key("name");
        let name = text(if is_unnamed { "kind" } else { "name" });
        let Some(name) = name.filter(|name| is_name(name)) else {
            if is_unnamed {
                if !table.contains_key("kind") {
                    let message = "needs a key kind: webhook, command or desktop".to_owned();
                    self.reader.fault(&place, &origin, message);
                }
            } else if !table.contains_key("name") {
                let message = format!("needs a key name: {} is allowed", Allowed::Name);
                self.reader.fault(&place, &origin, message);
            }
            // Check the other keys too, so that all faults are reported at once, and drop their values.
            let kept = self.reader.leaves.len();
            self.keys(section, &place, table);
            return self.reader.leaves.truncate(kept);
        };
        let path = [section.name.to_owned(), name.to_owned()];
        if let Some(first) = self.first_lines.get(&path) {
            let what = match section.name {
                "notify" => "target",
                _ => "pool",
            };
            let mut message =
                format!("a second {what} of this name (the first: {first}); names are unique");
            if is_unnamed {
                message.push_str(
                    ", and a target without a key name has that of its kind: give it one",
                );
            }
            return self.reader.fault(&path, &origin, message);
        }
        self.keys(section, &path, table);
        self.first_lines.insert(path, origin);
        match section.name {
            "notify" => self.names.targets.push(name.to_owned()),
            _ => self.names.pools.push(name.to_owned()),
        }
    }
}

/// The entries in the order of the file, so that faults are reported in that order.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t TomlKey<'i>, &'t TomlValue<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn heading(name: &str, shape: Shape) -> String {
    match shape {
        Shape::Array => format!("[[{name}]]"),
        Shape::Named => format!("[{name}.NAME]"),
        Shape::One | Shape::Top => format!("[{name}]"),
    }
}
