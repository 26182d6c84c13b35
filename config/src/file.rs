//! The file layer: TOML, with the line of every key.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::check::{allowed, is_name};
use crate::fault::{Fault, Faults};
use crate::layer::Intake;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::schema::{self, Kind, Section, Shape};

type KeySpan<'i> = Spanned<DeString<'i>>;
type Entry<'i> = Spanned<DeValue<'i>>;

/// Names that the file defines.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Pools in the order of the file.
    pub pools: Vec<String>,
    /// Providers.
    pub providers: Vec<String>,
}

/// One file's text, and the way from a byte to its line.
struct Document<'t> {
    path: &'t Path,
    text: &'t str,
}

impl Document<'_> {
    fn origin(&self, byte: usize) -> Origin {
        let before = self.text.as_bytes().get(..byte).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File {
            path: self.path.to_owned(),
            line,
        }
    }
}

/// Reads a file's text into the intake.
///
/// # Errors
/// All syntax errors; then nothing else of the file can be judged.
pub(crate) fn read(path: &Path, text: &str, intake: &mut Intake<'_>) -> Result<Names, Faults> {
    let document = Document { path, text };
    let (root, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let fault = |error: &toml::de::Error| {
        let origin = error.span().map(|span| document.origin(span.start));
        let message = format!("cannot be read as TOML: {}", error.message());
        Fault::new("syntax", origin.as_ref(), message)
    };
    if !errors.is_empty() {
        return Err(Faults(errors.iter().map(fault).collect()));
    }
    let mut names = Names::default();
    for (key, value) in in_order(root.get_ref()) {
        top(&document, key, value, &mut names, intake);
    }
    Ok(names)
}

/// Entries by their place in the file: faults then come in the order in which one reads it.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t KeySpan<'i>, &'t Entry<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn top(
    document: &Document<'_>,
    key: &KeySpan<'_>,
    value: &Entry<'_>,
    names: &mut Names,
    intake: &mut Intake<'_>,
) {
    let name = key.get_ref().to_string();
    let origin = document.origin(key.span().start);
    let Some(section) = schema::section(&name).filter(|section| section.shape != Shape::Top) else {
        // A key of the top level, or a word that nobody knows; `take` says which are known.
        return intake.take(&[name], &Raw::from_toml(value.get_ref()), origin);
    };
    match (section.shape, value.get_ref()) {
        (Shape::One, DeValue::Table(table)) => keys(document, section, &[name], table, intake),
        (Shape::Named, DeValue::Table(table)) => {
            for (key, value) in in_order(table) {
                named(document, section, key, value, names, intake);
            }
        }
        (Shape::Array, DeValue::Array(items)) => {
            let mut lines = BTreeMap::new();
            for (index, item) in items.iter().enumerate() {
                element(document, section, index, item, names, &mut lines, intake);
            }
        }
        (shape, _) => {
            let message = format!("not a section: write {}", heading(section.name, shape));
            intake.fault(&[name], &origin, message);
        }
    }
}

fn heading(name: &str, shape: Shape) -> String {
    match shape {
        Shape::Array => format!("[[{name}]]"),
        Shape::Named => format!("[{name}.NAME]"),
        Shape::One | Shape::Top => format!("[{name}]"),
    }
}

/// The keys of one table; `prefix` is the path of the table.
fn keys(
    document: &Document<'_>,
    section: &Section,
    prefix: &[String],
    table: &DeTable<'_>,
    intake: &mut Intake<'_>,
) {
    for (key, value) in in_order(table) {
        let name = key.get_ref().to_string();
        let origin = document.origin(key.span().start);
        let mut path = prefix.to_vec();
        path.push(name.clone());
        match (section.key(&name), value.get_ref()) {
            (None, _) => intake.fault(&path, &origin, schema::unknown_key(section, &name)),
            (Some(known), DeValue::Table(entries)) if matches!(known.kind, Kind::Map) => {
                for (key, value) in in_order(entries) {
                    let mut path = path.clone();
                    path.push(key.get_ref().to_string());
                    let origin = document.origin(key.span().start);
                    intake.take_known(known, &path, &Raw::from_toml(value.get_ref()), origin);
                }
            }
            (Some(known), _) if matches!(known.kind, Kind::Map) => {
                intake.fault(
                    &path,
                    &origin,
                    format!("{} is allowed", allowed(known.kind)),
                );
            }
            (Some(known), value) => {
                intake.take_known(known, &path, &Raw::from_toml(value), origin);
            }
        }
    }
}

/// `[providers.NAME]`
fn named(
    document: &Document<'_>,
    section: &Section,
    key: &KeySpan<'_>,
    value: &Entry<'_>,
    names: &mut Names,
    intake: &mut Intake<'_>,
) {
    let name = key.get_ref().to_string();
    let origin = document.origin(key.span().start);
    let path = [section.name.to_owned(), name.clone()];
    if !is_name(&name) {
        return intake.fault(
            &path,
            &origin,
            format!("{} is allowed", allowed(Kind::Name)),
        );
    }
    let DeValue::Table(table) = value.get_ref() else {
        let message = format!("not a definition: write [{}.{name}]", section.name);
        return intake.fault(&path, &origin, message);
    };
    keys(document, section, &path, table, intake);
    names.providers.push(name);
}

/// One `[[pool]]`. It is kept under its name, so that a variable or a flag can mean it whatever its place.
fn element(
    document: &Document<'_>,
    section: &Section,
    index: usize,
    item: &Entry<'_>,
    names: &mut Names,
    lines: &mut BTreeMap<String, Origin>,
    intake: &mut Intake<'_>,
) {
    let place = [format!("{}[{index}]", section.name)];
    let origin = document.origin(item.span().start);
    let DeValue::Table(table) = item.get_ref() else {
        let message = format!("not a table: write [[{}]]", section.name);
        return intake.fault(&place, &origin, message);
    };
    let name = table.get("name").and_then(|name| name.get_ref().as_str());
    let Some(name) = name.filter(|name| is_name(name)) else {
        if !table.contains_key("name") {
            let message = format!("needs a key name: {} is allowed", allowed(Kind::Name));
            intake.fault(&place, &origin, message);
        }
        // The other keys are looked at all the same, so that all faults come at once.
        let kept = intake.layer.leaves.len();
        keys(document, section, &place, table, intake);
        return intake.layer.leaves.truncate(kept);
    };
    let path = [section.name.to_owned(), name.to_owned()];
    if let Some(first) = lines.get(name) {
        let message = format!("a second pool of this name (the first: {first}); names are unique");
        return intake.fault(&path, &origin, message);
    }
    keys(document, section, &path, table, intake);
    lines.insert(name.to_owned(), origin);
    names.pools.push(name.to_owned());
}
