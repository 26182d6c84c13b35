//! The description of all fields of a plan. The reader takes known keys, types, ranges and defaults from it, the schema for
//! editors is made from it, and a test compares it with `docs/plans.md`.

mod kinds;
mod plan;
mod step;

pub(crate) use kinds::SOURCE;
pub(crate) use plan::PLAN;
pub(crate) use step::{KINDS, STEP};

use crate::node::{Node, NodeValue};

/// A table of a plan.
#[derive(Debug)]
pub(crate) struct TableSpec {
    /// Its name in the schema.
    pub name: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field],
}

/// A field of a table.
#[derive(Debug)]
pub(crate) struct Field {
    pub name: &'static str,
    pub alias: Option<&'static str>,
    pub kind: Kind,
    pub required: bool,
    pub preset: Option<Preset>,
    pub doc: &'static str,
}

/// The value of a field that is not given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Preset {
    Whole(u64),
    Word(&'static str),
    Flag(bool),
}

/// The values that a field takes.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    /// A text that is rendered, so its templates are checked.
    Template,
    /// An expression over the same names as in templates, without braces.
    Expression,
    /// An id or a name: letters, digits, `_` and `-`.
    Name,
    Word(&'static [&'static str]),
    Flag,
    /// A whole number in a range.
    Whole(i64, i64),
    /// A number in a range.
    Float(f64, f64),
    /// Such as `90s` or `2h`; in the compiled plan milliseconds.
    Duration,
    /// Such as `64 KiB`, up to this number of bytes; in the compiled plan bytes.
    Size(u64),
    /// A number with a percent sign.
    Percent,
    /// Any value.
    Json,
    /// A table of any content that is a JSON schema.
    Schema,
    Table(&'static TableSpec),
    /// A list with at least one value.
    List(&'static Kind),
    /// One value, or a list of them.
    OneOrMore(&'static Kind),
    /// A table with free keys.
    Map(&'static Kind),
    /// The first kind that takes this type of value.
    Either(&'static [Kind]),
}

/// A field that may be missing and has no default.
pub(crate) const fn field(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        name,
        alias: None,
        kind,
        required: false,
        preset: None,
        doc,
    }
}

impl Field {
    pub const fn alias(mut self, alias: &'static str) -> Field {
        self.alias = Some(alias);
        self
    }

    pub const fn required(mut self) -> Field {
        self.required = true;
        self
    }

    pub const fn preset(mut self, preset: Preset) -> Field {
        self.preset = Some(preset);
        self
    }

    /// The name in the compiled plan: with the unit of durations and sizes.
    pub fn stored(&self) -> String {
        let unit = match self.kind {
            Kind::Duration => "_ms",
            Kind::Size(_) if self.name != "bytes" => "_bytes",
            _ => "",
        };
        format!("{}{unit}", self.name)
    }

    /// Whether this key of a plan means the field.
    pub fn is_called(&self, key: &str) -> bool {
        self.name == key || self.alias == Some(key)
    }
}

impl TableSpec {
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.is_called(key))
    }

    /// All keys that the table knows, aliases included.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.fields
            .iter()
            .flat_map(|field| std::iter::once(field.name).chain(field.alias))
    }
}

impl Kind {
    /// Whether a value of this type can be meant; its content may still have a fault.
    pub fn takes(&self, node: &Node) -> bool {
        let value = &node.value;
        match self {
            Kind::Percent => {
                matches!(value, NodeValue::Text(text) if text.trim_end().ends_with('%'))
            }
            Kind::Text | Kind::Template | Kind::Name => {
                matches!(
                    value,
                    NodeValue::Text(_) | NodeValue::Whole(_) | NodeValue::Float(_)
                )
            }
            Kind::Expression | Kind::Word(_) => matches!(value, NodeValue::Text(_)),
            Kind::Duration => matches!(value, NodeValue::Text(_)),
            Kind::Size(_) => matches!(value, NodeValue::Text(_) | NodeValue::Whole(_)),
            Kind::Flag => matches!(value, NodeValue::Flag(_)),
            Kind::Whole(..) => matches!(value, NodeValue::Whole(_)),
            Kind::Float(..) => matches!(value, NodeValue::Whole(_) | NodeValue::Float(_)),
            Kind::Json => true,
            Kind::Schema | Kind::Table(_) | Kind::Map(_) => matches!(value, NodeValue::Table(_)),
            Kind::List(_) => matches!(value, NodeValue::List(_)),
            Kind::OneOrMore(kind) => matches!(value, NodeValue::List(_)) || kind.takes(node),
            Kind::Either(kinds) => kinds.iter().any(|kind| kind.takes(node)),
        }
    }

    /// The allowed values, for messages.
    pub fn rule(&self) -> String {
        match self {
            Kind::Text | Kind::Template => "a text".into(),
            Kind::Expression => "an expression".into(),
            Kind::Name => "a name".into(),
            Kind::Word(words) => words.join(" or "),
            Kind::Flag => "true or false".into(),
            Kind::Whole(low, high) => format!("a whole number from {low} to {high}"),
            Kind::Float(low, high) => format!("a number from {low} to {high}"),
            Kind::Duration => "a duration with its unit, such as 90s or 2h".into(),
            Kind::Size(_) => "a size, such as 64 KiB".into(),
            Kind::Percent => "a percentage, such as 2%".into(),
            Kind::Json => "any value".into(),
            Kind::Schema => "a JSON schema, as table".into(),
            Kind::Table(_) | Kind::Map(_) => "a table".into(),
            Kind::List(Kind::Json) => "a list".into(),
            Kind::List(kind) => format!("a list, each entry {}", kind.rule()),
            Kind::OneOrMore(kind) => format!("{}, or a list", kind.rule()),
            Kind::Either(kinds) => {
                let rules: Vec<String> = kinds.iter().map(Kind::rule).collect();
                rules.join(", or ")
            }
        }
    }
}
