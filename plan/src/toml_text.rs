//! TOML as a tree of nodes.

use crate::limits::VALUES_MAX;
use crate::node::{Node, NodeEntry, NodeValue};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a TOML document. The parser refuses duplicate keys and nesting beyond 80 levels.
///
/// # Errors
/// All faults, each with the byte at which it is.
pub(crate) fn read(text: &str) -> Result<Node, Vec<(usize, String)>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let fault = |error: &toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            (at, format!("this is not valid TOML: {}", error.message()))
        };
        return Err(errors.iter().map(fault).collect());
    }
    let range = root.span();
    let mut values = 0;
    let node = table(root.get_ref(), range, &mut values);
    match values > VALUES_MAX {
        true => Err(vec![(0, format!("a plan has at most {VALUES_MAX} values"))]),
        false => Ok(node),
    }
}

fn table(table: &DeTable<'_>, range: Range<usize>, values: &mut usize) -> Node {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        NodeEntry {
            key: key.get_ref().to_string(),
            key_start: key.span().start,
            node: node(value, values),
        }
    };
    let mut entries: Vec<NodeEntry> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.key_start);
    Node {
        start: range.start,
        end: range.end,
        value: NodeValue::Table(entries),
    }
}

fn node(spanned: &Spanned<DeValue<'_>>, values: &mut usize) -> Node {
    *values += 1;
    let range = spanned.span();
    let value = match spanned.get_ref() {
        DeValue::Table(inner) => return table(inner, range, values),
        DeValue::String(text) => NodeValue::Text(text.to_string()),
        DeValue::Boolean(flag) => NodeValue::Flag(*flag),
        DeValue::Datetime(moment) => NodeValue::Text(moment.to_string()),
        DeValue::Array(list) => {
            NodeValue::List(list.iter().map(|value| node(value, values)).collect())
        }
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => NodeValue::Whole(number),
            Err(_) => NodeValue::Text(number.as_str().to_owned()),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => NodeValue::Float(number),
            _ => NodeValue::Text(number.as_str().to_owned()),
        },
    };
    Node {
        start: range.start,
        end: range.end,
        value,
    }
}
