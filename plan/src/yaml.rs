//! YAML, and with it JSON, as a tree of nodes.

use crate::limits::{ALIAS_BYTES, NESTING_MAX, VALUES_MAX};
use crate::node::{Node, NodeEntry, NodeValue};
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag, options};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A collection that is being read.
enum Open {
    List(Vec<Node>),
    Table {
        entries: Vec<NodeEntry>,
        keys: BTreeSet<String>,
        /// A key that has no value yet.
        key: Option<(String, usize)>,
    },
}

struct Building {
    stack: Vec<(Open, usize, usize)>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    values: usize,
    copied: usize,
    faults: Vec<(usize, String)>,
}

/// Reads one YAML document. Duplicate keys are faults; so are copies by aliases beyond [`ALIAS_BYTES`], more than
/// [`VALUES_MAX`] values and nesting beyond [`NESTING_MAX`].
///
/// # Errors
/// All faults up to the first after which nothing can be read, each with the byte at which it is.
pub(crate) fn read(text: &str) -> Result<Node, Vec<(usize, String)>> {
    let mut options = options! {
        flow_nesting_limit: NESTING_MAX,
        block_nesting_limit: NESTING_MAX,
        disallow_directives: true,
    };
    options.set_emit_comments(false);
    let mut building = Building {
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        root: None,
        values: 0,
        copied: 0,
        faults: Vec::new(),
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let outcome = match next {
            Ok((event, span)) => building.event(event, &span),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                Err((at, format!("this is not valid YAML: {}", error.info())))
            }
        };
        if let Err(fault) = outcome {
            building.faults.push(fault);
            return Err(building.faults);
        }
    }
    match building.root {
        Some(root) if building.faults.is_empty() => Ok(root),
        Some(_) => Err(building.faults),
        None => Err(vec![(0, "the plan is empty".to_owned())]),
    }
}

fn start(span: &Span) -> usize {
    span.start.byte_offset().unwrap_or(0)
}

fn end(span: &Span) -> usize {
    span.end.byte_offset().unwrap_or(0)
}

impl Building {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), (usize, String)> {
        let at = start(span);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err((
                at,
                "a plan is one YAML document; this begins a second one".to_owned(),
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(text, style, tag.as_deref());
                let node = Node {
                    start: at,
                    end: end(span),
                    value,
                };
                self.anchor(anchor, &node);
                self.add(node)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Open::List(Vec::new()), anchor, at),
            Event::MappingStart(_, anchor, _) => {
                let table = Open::Table {
                    entries: Vec::new(),
                    keys: BTreeSet::new(),
                    key: None,
                };
                self.open(table, anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(end(span)),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id) else {
                    return Err((
                        at,
                        "this alias is inside of the value that it names".to_owned(),
                    ));
                };
                self.copied += node.weight();
                if self.copied > ALIAS_BYTES {
                    let limit = ALIAS_BYTES >> 20;
                    return Err((at, format!("aliases copy more than {limit} MiB")));
                }
                let node = node.clone();
                self.values += count(&node);
                self.add(node)
            }
            _ => Ok(()),
        }
    }

    fn anchor(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn open(&mut self, open: Open, anchor: usize, at: usize) -> Result<(), (usize, String)> {
        // Flow and block collections may alternate, so the parser's own limits do not bound their sum.
        if self.stack.len() >= NESTING_MAX {
            return Err((
                at,
                format!("a plan nests at most {NESTING_MAX} levels deep"),
            ));
        }
        self.stack.push((open, anchor, at));
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), (usize, String)> {
        let Some((open, anchor, start)) = self.stack.pop() else {
            return Ok(());
        };
        let value = match open {
            Open::List(list) => NodeValue::List(list),
            Open::Table { entries, .. } => NodeValue::Table(entries),
        };
        let node = Node { start, end, value };
        self.anchor(anchor, &node);
        self.add(node)
    }

    /// Adds a complete value to the collection that is being read.
    fn add(&mut self, node: Node) -> Result<(), (usize, String)> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err((
                node.start,
                format!("a plan has at most {VALUES_MAX} values"),
            ));
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some((Open::List(list), _, _)) => list.push(node),
            Some((Open::Table { entries, keys, key }, _, _)) => match key.take() {
                None => {
                    let at = node.start;
                    let name = key_text(node).ok_or((at, "a key must be a text".to_owned()))?;
                    *key = Some((name, at));
                }
                Some((name, key_start)) => {
                    if keys.insert(name.clone()) {
                        entries.push(NodeEntry {
                            key: name,
                            key_start,
                            node,
                        });
                    } else {
                        self.faults
                            .push((key_start, format!("the key {name} is given twice")));
                    }
                }
            },
        }
        Ok(())
    }
}

fn key_text(node: Node) -> Option<String> {
    match node.value {
        NodeValue::Text(text) => Some(text),
        NodeValue::Null => Some("null".to_owned()),
        NodeValue::Flag(flag) => Some(flag.to_string()),
        NodeValue::Whole(number) => Some(number.to_string()),
        NodeValue::Float(number) => Some(number.to_string()),
        NodeValue::List(_) | NodeValue::Table(_) => None,
    }
}

fn count(node: &Node) -> usize {
    match &node.value {
        NodeValue::List(list) => list.iter().map(|node| 1 + count(node)).sum(),
        NodeValue::Table(entries) => entries.iter().map(|entry| 1 + count(&entry.node)).sum(),
        _ => 0,
    }
}

/// A scalar by the core schema of YAML 1.2 (<https://yaml.org/spec/1.2.2/#103-core-schema>): quoted ones are texts.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> NodeValue {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
    if style != ScalarStyle::Plain || is_text {
        return NodeValue::Text(text.into_owned());
    }
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return NodeValue::Null,
        "true" | "True" | "TRUE" => return NodeValue::Flag(true),
        "false" | "False" | "FALSE" => return NodeValue::Flag(false),
        _ => {}
    }
    whole(&text)
        .map(NodeValue::Whole)
        .or_else(|| float(&text).map(NodeValue::Float))
        .unwrap_or_else(|| NodeValue::Text(text.into_owned()))
}

fn whole(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with(['+', '-']));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8)
            .ok()
            .filter(|_| !digits.starts_with(['+', '-']));
    }
    text.parse().ok()
}

fn float(text: &str) -> Option<f64> {
    let is_number = text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse::<f64>()
        .ok()
        .filter(|number| is_number && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_have_the_types_of_the_core_schema() {
        let node =
            read("[1, -2, 0x10, 0o17, 1.5, 1e3, true, null, ~, yes, 2%, '1', 1_000]").unwrap();
        let expected = serde_json::json!([
            1, -2, 16, 15, 1.5, 1000.0, true, null, null, "yes", "2%", "1", "1_000"
        ]);
        assert_eq!(node.to_json(), expected);
    }

    #[test]
    fn json_is_read_too() {
        let text = "{\n\t\"a\": [1, {\"b\": \"\\u00e9\\ud83d\\ude00\\/\"}],\n\t\"c\": {}\n}";
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(read(text).unwrap().to_json(), expected);
    }

    #[test]
    fn aliases_and_nesting_are_bounded() {
        let line = |name: &str, of: &str| {
            format!(
                "{name}: &{name} [{}]\n",
                vec![format!("*{of}"); 9].join(", ")
            )
        };
        let mut bomb = format!("a: &a [{}]\n", vec!["x".repeat(99); 9].join(", "));
        for (name, of) in [
            ("b", "a"),
            ("c", "b"),
            ("d", "c"),
            ("e", "d"),
            ("f", "e"),
            ("g", "f"),
        ] {
            bomb += &line(name, of);
        }
        let faults = read(&bomb).unwrap_err();
        assert!(faults[0].1.starts_with("aliases copy more"), "{faults:?}");
        for deep in ["[".repeat(500), "- ".repeat(500), "{a: ".repeat(500)] {
            assert!(read(&deep).is_err());
        }
        assert!(read("a: &a [*a]").is_err());
        let twice = read("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(twice, [(10, "the key a is given twice".to_owned())]);
    }
}
