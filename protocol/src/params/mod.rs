//! Reads parameters leniently, with errors that name the parameter, the rule and the given value.
//!
//! The methods `opt_*` return `None` for a parameter that is missing or null. Every method that returns `Result` fails with
//! `invalid_params` for a value of another type or out of range; some name further errors.

mod entries;
mod nested;
mod number;
mod text;

pub(crate) use entries::Entries;
pub(crate) use text::{decode, why_json};

use crate::text::shorten;
use crate::{Error, ErrorCode};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The parameters of a request, borrowed from its line. A value is decoded only when a verb reads it, so that an unknown
/// parameter costs nothing. If a name is given twice, the last value counts.
#[derive(Debug, Default)]
pub struct Params<'a> {
    /// The prefix of the names in messages: empty, or as `tasks[3].`.
    path: String,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Params<'a> {
    /// No parameters.
    pub fn empty() -> Params<'a> {
        Params::default()
    }

    /// Reads the text of a JSON object; `null` is empty.
    ///
    /// # Errors
    /// `invalid_params` for any other JSON.
    pub fn parse(text: &'a str) -> Result<Params<'a>, Error> {
        Params::parse_at(text, String::new())
    }

    fn parse_at(text: &'a str, path: String) -> Result<Params<'a>, Error> {
        let entries = match text.as_bytes().first() {
            Some(b'{') => {
                serde_json::from_str::<Entries<'a>>(text)
                    .map_err(|e| {
                        Error::invalid_params(format!("invalid params: {}", why_json(&e)))
                    })?
                    .0
            }
            Some(b'n') => Vec::new(),
            _ if path.is_empty() => {
                return Err(Error::invalid_params(
                    "invalid params: `params` must be an object, with each parameter by its name",
                ));
            }
            _ => {
                return Err(Error::invalid_params(format!(
                    "invalid params: `{}` must be an object",
                    path.trim_end_matches('.')
                )));
            }
        };
        Ok(Params { path, entries })
    }

    /// The names of the parameters that are not null.
    pub(crate) fn given(&self) -> impl Iterator<Item = &str> {
        let given = self.entries.iter().filter(|(_, raw)| raw.get() != "null");
        given.map(|(name, _)| name.as_ref())
    }

    /// The JSON text of a parameter. `None` if it is missing or null.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, raw) = self.entries.iter().rev().find(|(key, _)| key == name)?;
        Some(raw.get()).filter(|text| *text != "null")
    }

    /// A parameter's name with its prefix: `tasks[1].accept.regex`.
    pub(crate) fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// An `invalid_params` error for one parameter: "invalid params: `name` must be RULE (got VALUE)".
    pub fn refuse(&self, name: &str, rule: &str) -> Error {
        let got = match self.raw(name) {
            Some(raw) => shorten(raw, 40),
            None => "nothing".into(),
        };
        Error::invalid_params(format!(
            "invalid params: `{}{name}` must be {rule} (got {got})",
            self.path
        ))
    }

    /// Checks that none of these parameters is given.
    ///
    /// # Errors
    /// `unsupported` if one is given.
    pub fn unsupported(&self, names: &[&str]) -> Result<(), Error> {
        match names.iter().find(|name| self.raw(name).is_some()) {
            None => Ok(()),
            Some(name) => Err(Error::new(
                ErrorCode::Unsupported,
                format!(
                    "`{}{name}` is part of the protocol but not built in this hub; leave it out",
                    self.path
                ),
            )),
        }
    }

    /// `true` or `false`; `default` if missing or null.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.raw(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(self.refuse(name, "true or false")),
        }
    }
}
