//! The structure of a plan: known keys, types, ranges, required fields and defaults, by the table of fields.

use super::path::{Path, Spot, TemplateUse};
use super::scalar::{QUOTED_CHARS, name, scalar, text};
use crate::fault::PlanFault;
use crate::fields::{Field, KINDS, Kind, Preset, SOURCE, STEP, TableSpec};
use crate::node::{Node, NodeEntry, NodeValue};
use crate::place::Lines;
use kirosu_protocol::text::{nearest, shorten};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Reader<'a> {
    lines: &'a Lines<'a>,
    pub faults: Vec<PlanFault>,
    pub spots: BTreeMap<String, Spot>,
    pub templates: Vec<TemplateUse>,
    /// The paths of fields that a misspelt key probably means.
    pub misspelt: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub fn new(lines: &'a Lines<'a>) -> Reader<'a> {
        Reader {
            lines,
            faults: Vec::new(),
            spots: BTreeMap::new(),
            templates: Vec::new(),
            misspelt: BTreeSet::new(),
        }
    }

    /// Reads the whole plan. Faulty values are replaced by empty ones and recorded.
    pub fn plan(&mut self, root: &Node, spec: &'static TableSpec) -> Value {
        let top = Path {
            canonical: String::new(),
            shown: String::new(),
        };
        let table = self.value(root, &Kind::Table(spec), &top);
        table.unwrap_or_else(|| self.placeholder(&Kind::Table(spec)))
    }

    fn fault(&mut self, at: usize, path: &Path, message: impl Into<String>, nearest: Option<&str>) {
        self.faults.push(PlanFault {
            place: self.lines.place(at),
            path: path.shown.clone(),
            message: message.into(),
            nearest: nearest.map(str::to_owned),
        });
    }

    fn table(&mut self, node: &Node, spec: &'static TableSpec, path: &Path) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut given: BTreeMap<&str, String> = BTreeMap::new();
        let mut misspelt = Vec::new();
        let none = Vec::new();
        let entries = match &node.value {
            NodeValue::Table(entries) => entries,
            _ => &none,
        };
        for (entry, shown) in flat(entries, spec) {
            let Some(field) = spec.field(&entry.key) else {
                let meant = self.unknown_key(entry, &shown, spec, path);
                misspelt.extend(meant.map(|field| path.key(field.name, &shown).canonical));
                continue;
            };
            let path = path.key(field.name, &shown);
            if let Some(first) = given.insert(field.name, shown.clone()) {
                let message = format!("the same field is given as {first} already");
                self.fault(entry.key_start, &path, message, None);
                continue;
            }
            // `model:` without a value is a field that is not given.
            if entry.node.value == NodeValue::Null && !matches!(field.kind, Kind::Json) {
                given.remove(field.name);
                continue;
            }
            let spot = Spot {
                start: entry.key_start,
                shown: path.shown.clone(),
            };
            self.spots.insert(path.canonical.clone(), spot);
            let value = self.value(&entry.node, &field.kind, &path);
            if let Some(value) = value.or_else(|| self.instead(field)) {
                fields.insert(field.stored(), value);
            }
        }
        for field in spec
            .fields
            .iter()
            .filter(|field| !given.contains_key(field.name))
        {
            let is_misspelt = misspelt.contains(&path.key(field.name, "").canonical);
            if field.required && !is_misspelt {
                let message = format!("the field {} is missing: {}", field.name, lower(field.doc));
                self.fault(node.start, path, message, None);
            }
            if let Some(value) = self.instead(field) {
                fields.insert(field.stored(), value);
            }
        }
        self.misspelt.extend(misspelt);
        fields
    }

    /// The value of a field that is missing or faulty.
    fn instead(&mut self, field: &'static Field) -> Option<Value> {
        match field.preset {
            Some(Preset::Whole(number)) => Some(number.into()),
            Some(Preset::Word(word)) => Some(word.into()),
            Some(Preset::Flag(flag)) => Some(flag.into()),
            None => field.required.then(|| self.placeholder(&field.kind)),
        }
    }

    /// Records an unknown key. Returns the field that is probably meant.
    fn unknown_key(
        &mut self,
        entry: &NodeEntry,
        shown: &str,
        spec: &'static TableSpec,
        path: &Path,
    ) -> Option<&'static Field> {
        let key = shorten(&entry.key, QUOTED_CHARS);
        let near = nearest(&entry.key, spec.keys());
        let path = path.key(&entry.key, shown);
        if key == "<<" {
            let message = "merge keys are not supported; repeat the fields";
            self.fault(entry.key_start, &path, message, None);
            return None;
        }
        let known = match near {
            Some(_) => String::new(),
            None => format!("; known are {}", spec.keys().collect::<Vec<_>>().join(", ")),
        };
        self.fault(
            entry.key_start,
            &path,
            format!("unknown field {key}{known}"),
            near,
        );
        spec.field(near?)
    }

    /// An empty value of this kind, without faults.
    fn placeholder(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Text | Kind::Template | Kind::Expression | Kind::Name | Kind::Json => "".into(),
            Kind::Word(words) => words.first().copied().unwrap_or_default().into(),
            Kind::Flag => false.into(),
            Kind::Whole(low, _) => (*low).into(),
            Kind::Float(low, _) => (*low).into(),
            Kind::Duration | Kind::Size(_) => 0.into(),
            Kind::Percent => json!({ "percent": 0.0 }),
            Kind::Schema | Kind::Map(_) => json!({}),
            Kind::List(_) | Kind::OneOrMore(_) => json!([]),
            Kind::Either(kinds) => kinds
                .first()
                .map_or(Value::Null, |kind| self.placeholder(kind)),
            Kind::Table(spec) => {
                let empty = Node {
                    start: 0,
                    end: 0,
                    value: NodeValue::Table(Vec::new()),
                };
                let path = Path {
                    canonical: "?".into(),
                    shown: "?".into(),
                };
                let faults = self.faults.len();
                let value = self.value(&empty, &Kind::Table(spec), &path);
                self.faults.truncate(faults);
                value.unwrap_or_default()
            }
        }
    }

    /// Reads a value. `None` means that it has a fault, which is recorded.
    fn value(&mut self, node: &Node, kind: &Kind, path: &Path) -> Option<Value> {
        if !kind.takes(node) {
            let message = format!("this must be {}, not {}", kind.rule(), node.kind());
            self.fault(node.start, path, message, None);
            return None;
        }
        match (kind, &node.value) {
            (Kind::Table(spec), _) => {
                let fields = self.table(node, spec, path);
                Some(match *spec {
                    spec if std::ptr::eq(spec, &STEP) => self.step(node, fields, path),
                    spec if std::ptr::eq(spec, &SOURCE) => self.source(node, fields, path),
                    _ => Value::Object(fields),
                })
            }
            (Kind::Either(kinds), _) => {
                let kind = kinds.iter().find(|kind| kind.takes(node))?;
                self.value(node, kind, path)
            }
            (Kind::List(kind), NodeValue::List(list)) => {
                if list.is_empty() {
                    self.fault(node.start, path, "this list must not be empty", None);
                }
                Some(self.list(list, kind, path))
            }
            (Kind::OneOrMore(kind), NodeValue::List(list)) => Some(self.list(list, kind, path)),
            (Kind::OneOrMore(kind), _) => Some(Value::Array(vec![self.value(node, kind, path)?])),
            (Kind::Map(kind), NodeValue::Table(entries)) => Some(self.map(entries, kind, path)),
            (Kind::Template | Kind::Expression, _) => {
                let text = text(node)?;
                self.templates.push(TemplateUse {
                    path: path.canonical.clone(),
                    text: text.clone(),
                    is_expression: matches!(kind, Kind::Expression),
                    start: node.start,
                    end: node.end,
                });
                Some(text.into())
            }
            (Kind::Text, _) => Some(text(node)?.into()),
            (Kind::Json | Kind::Schema, _) => Some(node.to_json()),
            (Kind::Flag, NodeValue::Flag(flag)) => Some((*flag).into()),
            _ => match scalar(node, kind) {
                Ok(value) => Some(value),
                Err((message, near)) => {
                    self.fault(node.start, path, message, near);
                    None
                }
            },
        }
    }

    fn list(&mut self, list: &[Node], kind: &Kind, path: &Path) -> Value {
        let mut values = Vec::new();
        for (index, node) in list.iter().enumerate() {
            let path = path.index(index);
            let spot = Spot {
                start: node.start,
                shown: path.shown.clone(),
            };
            self.spots.insert(path.canonical.clone(), spot);
            let value = self.value(node, kind, &path);
            // An entry keeps its index, also if it is faulty.
            values.push(match (value, kind) {
                (Some(value), _) => value,
                (None, Kind::Table(spec)) => match std::ptr::eq(*spec, &STEP) {
                    true => self.placeholder(&Kind::Table(&STEP)),
                    false => json!({}),
                },
                (None, _) => "".into(),
            });
        }
        Value::Array(values)
    }

    fn map(&mut self, entries: &[NodeEntry], kind: &Kind, path: &Path) -> Value {
        let mut fields = Map::new();
        for entry in entries {
            let path = path.key(&entry.key, &entry.key);
            let spot = Spot {
                start: entry.key_start,
                shown: path.shown.clone(),
            };
            self.spots.insert(path.canonical.clone(), spot);
            if let Err(message) = name(&entry.key) {
                self.fault(entry.key_start, &path, message, None);
            }
            // `model:` without a value is an input without a default.
            let empty = Node {
                value: NodeValue::Table(Vec::new()),
                ..entry.node.clone()
            };
            let node = match (&entry.node.value, kind) {
                (NodeValue::Null, Kind::Table(_)) => &empty,
                _ => &entry.node,
            };
            if let Some(value) = self.value(node, kind, &path) {
                fields.insert(entry.key.clone(), value);
            }
        }
        Value::Object(fields)
    }

    /// Checks that a source of items has one field.
    fn source(&mut self, node: &Node, fields: Map<String, Value>, path: &Path) -> Value {
        if fields.len() == 1 {
            return Value::Object(fields);
        }
        let names: Vec<&str> = SOURCE.fields.iter().map(|field| field.name).collect();
        let message = format!("a source of items has one of {}", names.join(", "));
        self.fault(node.start, path, message, None);
        json!({ "files": "" })
    }

    /// Puts the fields of the step's kind into `work`.
    fn step(&mut self, node: &Node, mut fields: Map<String, Value>, path: &Path) -> Value {
        let (steps, shell, inputs) = (
            fields.remove("steps"),
            fields.remove("shell"),
            fields.remove("inputs"),
        );
        let mut kinds = KINDS
            .iter()
            .filter_map(|kind| Some((*kind, fields.remove(*kind)?)));
        let first = kinds.next();
        let others: Vec<&str> = kinds.map(|(kind, _)| kind).collect();
        if let (Some((kind, _)), false) = (&first, others.is_empty()) {
            let message = format!(
                "a step has one kind, and this one has {kind} and {}",
                others.join(" and ")
            );
            self.fault(node.start, path, message, None);
        }
        let work = match first {
            None => "task".into(),
            Some(("loop", Value::Object(mut work))) => {
                work.entry("max").or_insert(0.into());
                work.insert("steps".into(), steps.clone().unwrap_or_else(|| json!([])));
                json!({ "loop": work })
            }
            Some(("run", words)) => {
                json!({"run": {"words": words, "shell": shell.unwrap_or(false.into())}})
            }
            Some(("pipeline", plan)) => {
                json!({"pipeline": {"plan": plan, "inputs": inputs.unwrap_or_else(|| json!({}))}})
            }
            Some((kind, work)) => json!({ kind: work }),
        };
        // A planner reads texts of other agents.
        let is_planner = work.get("plan").is_some();
        if is_planner && !self.spots.contains_key(&path.key("fence", "").canonical) {
            fields.insert("fence".into(), true.into());
        }
        fields.insert("work".into(), work);
        if fields.get("result") == Some(&"each".into()) {
            fields.insert("result".into(), json!({ "each": true }));
        }
        if let Some(Value::String(module)) = fields.get_mut("module") {
            // The original planner writes `agents.coder`.
            *module = module.rsplit('.').next().unwrap_or_default().to_owned();
        }
        Value::Object(fields)
    }
}

/// The entries with their keys as they are shown. Those of a step's `config`, which the original planner writes, count as
/// the step's own.
fn flat<'n>(entries: &'n [NodeEntry], spec: &'static TableSpec) -> Vec<(&'n NodeEntry, String)> {
    let mut all = Vec::new();
    for entry in entries {
        match &entry.node.value {
            NodeValue::Table(inner) if entry.key == "config" && std::ptr::eq(spec, &STEP) => {
                all.extend(
                    inner
                        .iter()
                        .map(|inner| (inner, format!("config.{}", inner.key))),
                );
            }
            _ => all.push((entry, entry.key.clone())),
        }
    }
    all
}

fn lower(doc: &str) -> String {
    let mut chars = doc.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}
