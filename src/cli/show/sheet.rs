//! A sheet: the fields of one object, one line per field, with aligned names.

use super::{Failure, Screen};
use crate::terminal::paint::Paint;
use crate::terminal::text::{one_line, width};

/// Names and values, in order.
#[derive(Clone, Debug, Default)]
pub struct Sheet(Vec<(&'static str, String)>);

impl Sheet {
    /// Adds a field whose value others may have written, as one sanitized line.
    pub fn fact(&mut self, name: &'static str, value: impl AsRef<str>) -> &mut Sheet {
        self.painted(name, one_line(value.as_ref()))
    }

    /// Adds a field whose value is safe and may be painted.
    pub fn painted(&mut self, name: &'static str, value: String) -> &mut Sheet {
        self.0.push((name, value));
        self
    }

    /// Adds a field if it has a value.
    pub fn maybe(&mut self, name: &'static str, value: Option<impl AsRef<str>>) -> &mut Sheet {
        if let Some(value) = value {
            self.fact(name, value);
        }
        self
    }

    /// Names and values.
    pub fn facts(&self) -> &[(&'static str, String)] {
        &self.0
    }

    /// Prints the sheet.
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
