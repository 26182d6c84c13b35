//! Values of one layer, each with its key and its origin.

use config::{Map, Value, ValueKind};

use crate::check::check;
use crate::fault::Fault;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::schema::{self, Key};

/// One checked value.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub path: Vec<String>,
    pub value: ValueKind,
    pub origin: Origin,
}

/// The values of one layer, in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    pub leaves: Vec<Leaf>,
}

/// Where the readers of layers put what they find: good values into the layer, everything else into the faults.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    /// Home directory for `~/`.
    pub home: Option<&'a str>,
    pub faults: &'a mut Vec<Fault>,
    pub layer: Layer,
}

impl<'a> Intake<'a> {
    pub fn new(home: Option<&'a str>, faults: &'a mut Vec<Fault>) -> Self {
        Self {
            home,
            faults,
            layer: Layer::default(),
        }
    }

    /// Looks the path up, checks the value, keeps it.
    pub fn take(&mut self, path: &[String], raw: &Raw, origin: Origin) {
        match schema::resolve(path) {
            Ok(key) => self.take_known(key, path, raw, origin),
            Err(message) => self.fault(path, &origin, message),
        }
    }

    /// As [`Intake::take`], for a key that was looked up already.
    pub fn take_known(&mut self, key: &Key, path: &[String], raw: &Raw, origin: Origin) {
        match check(key, raw, self.home) {
            Ok(value) => self.layer.leaves.push(Leaf {
                path: path.to_vec(),
                value,
                origin,
            }),
            Err(message) => self.fault(path, &origin, message),
        }
    }

    /// Notes a fault of this layer.
    pub fn fault(&mut self, path: &[String], origin: &Origin, message: impl Into<String>) {
        self.faults
            .push(Fault::new(path.join("."), Some(origin), message));
    }
}

/// A layer is a source of the `config` crate: nested tables whose values carry their origin's text, so that its own
/// errors, should one get through our checks, name the place too.
impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let mut root = Map::new();
        for leaf in &self.leaves {
            let value = Value::new(Some(&leaf.origin.to_string()), leaf.value.clone());
            put(&mut root, &leaf.path, value);
        }
        Ok(root)
    }
}

fn put(table: &mut Map<String, Value>, path: &[String], value: Value) {
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
                put(below, rest, value);
            }
        }
    }
}
