//! Paths and positions of the values of a plan.

/// The position of a value and its path as the text has it: with aliases.
#[derive(Debug)]
pub(crate) struct Spot {
    /// The byte of the key, or of the value in a list.
    pub start: usize,
    pub shown: String,
}

/// A template or expression of a plan.
#[derive(Debug)]
pub(crate) struct TemplateUse {
    pub path: String,
    pub text: String,
    pub is_expression: bool,
    /// The range of the value in the text, in bytes.
    pub start: usize,
    pub end: usize,
}

/// A path with the names of the table, and as the text has it.
#[derive(Clone)]
pub(super) struct Path {
    pub canonical: String,
    pub shown: String,
}

impl Path {
    pub fn key(&self, canonical: &str, shown: &str) -> Path {
        let join = |path: &str, key: &str| match path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        Path {
            canonical: join(&self.canonical, canonical),
            shown: join(&self.shown, shown),
        }
    }

    pub fn index(&self, index: usize) -> Path {
        Path {
            canonical: format!("{}[{index}]", self.canonical),
            shown: format!("{}[{index}]", self.shown),
        }
    }
}
