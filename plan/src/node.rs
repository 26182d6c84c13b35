//! The text of a plan as a tree of values with positions, whatever its format.

/// A value and its range in the text, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub start: usize,
    pub end: usize,
    pub value: NodeValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeValue {
    Null,
    Flag(bool),
    Whole(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<NodeEntry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodeEntry {
    pub key: String,
    /// The byte at which the key starts.
    pub key_start: usize,
    pub node: Node,
}

impl Node {
    /// The kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "nothing",
            NodeValue::Flag(_) => "true or false",
            NodeValue::Whole(_) | NodeValue::Float(_) => "a number",
            NodeValue::Text(_) => "a text",
            NodeValue::List(_) => "a list",
            NodeValue::Table(_) => "a table",
        }
    }

    /// The value without positions. A number that JSON cannot express becomes null.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            NodeValue::Null => serde_json::Value::Null,
            NodeValue::Flag(flag) => (*flag).into(),
            NodeValue::Whole(number) => (*number).into(),
            NodeValue::Float(number) => (*number).into(),
            NodeValue::Text(text) => text.as_str().into(),
            NodeValue::List(list) => list.iter().map(Node::to_json).collect(),
            NodeValue::Table(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
        }
    }

    /// The bytes of all texts below this value, and one for each value.
    pub fn weight(&self) -> usize {
        match &self.value {
            NodeValue::Text(text) => 1 + text.len(),
            NodeValue::List(list) => 1 + list.iter().map(Node::weight).sum::<usize>(),
            NodeValue::Table(entries) => {
                let weights = entries
                    .iter()
                    .map(|entry| entry.key.len() + entry.node.weight());
                1 + weights.sum::<usize>()
            }
            _ => 1,
        }
    }
}
