//! A sheet: one thing's facts, a line each, names aligned.

use super::text::{one_line, width};
use super::{Failure, Paint, Screen};

/// Facts of one thing, in order.
#[derive(Clone, Debug, Default)]
pub struct Sheet(Vec<(&'static str, String)>);

impl Sheet {
    /// Adds a fact, in one harmless line: others may have written it.
    pub fn fact(&mut self, name: &'static str, value: impl AsRef<str>) -> &mut Sheet {
        self.painted(name, one_line(value.as_ref()))
    }

    /// Adds a fact of our own words, painted or not.
    pub fn painted(&mut self, name: &'static str, value: String) -> &mut Sheet {
        self.0.push((name, value));
        self
    }

    /// Adds a fact that may be missing.
    pub fn maybe(&mut self, name: &'static str, value: Option<impl AsRef<str>>) -> &mut Sheet {
        if let Some(value) = value {
            self.fact(name, value);
        }
        self
    }

    /// The facts, name and value.
    pub fn facts(&self) -> &[(&'static str, String)] {
        &self.0
    }

    /// Prints it.
    pub fn print(&self, screen: &Screen) -> Result<(), Failure> {
        let wide = self
            .0
            .iter()
            .map(|(name, _)| width(name))
            .max()
            .unwrap_or(0);
        let line = |(name, value): &(&str, String)| {
            let pad = " ".repeat(wide - width(name) + 2);
            format!("{}{pad}{value}\n", screen.paint(Paint::Dim, name))
        };
        screen.print(&self.0.iter().map(line).collect::<String>())
    }
}
