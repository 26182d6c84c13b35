//! Parameters that are text.

use super::Params;
use crate::{Error, ErrorCode, Limits};
use std::str::FromStr;
use strum::VariantNames;

impl Params<'_> {
    /// A required string, which may be empty.
    pub fn text(&self, name: &str) -> Result<String, Error> {
        match self.opt_text(name)? {
            Some(text) => Ok(text),
            None => Err(Error::invalid_params(format!(
                "invalid params: `{}{name}` must be a string",
                self.path
            ))),
        }
    }

    /// A string.
    pub fn opt_text(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        if !raw.starts_with('"') {
            return Err(self.refuse(name, "a string"));
        }
        decode(raw).map(Some).map_err(|why| {
            Error::invalid_params(format!(
                "invalid params: `{}{name}` is not valid text: {why}",
                self.path
            ))
        })
    }

    /// The name of a value of the enum `T`. `None` for "" too.
    pub(crate) fn opt_word<T: FromStr + VariantNames>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Error> {
        let Some(word) = self.opt_text(name)?.filter(|word| !word.is_empty()) else {
            return Ok(None);
        };
        let refused = |_| self.refuse(name, &format!("one of {}", T::VARIANTS.join(", ")));
        word.parse().map(Some).map_err(refused)
    }

    /// A string, a number, true or false. A value that is not a string becomes its JSON text: `5` is "5".
    pub fn opt_scalar_text(&self, name: &str) -> Result<Option<String>, Error> {
        match self.raw(name) {
            Some(raw) if raw.starts_with(['[', '{']) => {
                Err(self.refuse(name, "a string, a number, true or false"))
            }
            _ => self.opt_text_or_json(name),
        }
    }

    /// A string or any other JSON, which becomes its JSON text: `{"a":1}` is "{\"a\":1}".
    pub fn opt_text_or_json(&self, name: &str) -> Result<Option<String>, Error> {
        match self.raw(name) {
            Some(raw) if !raw.starts_with('"') => Ok(Some(raw.to_owned())),
            _ => self.opt_text(name),
        }
    }

    /// As [`opt_scalar_text`](Params::opt_scalar_text), with a limit.
    ///
    /// # Errors
    /// `too_large` for more than `max` bytes.
    pub fn opt_scalar_text_within(&self, name: &str, max: usize) -> Result<Option<String>, Error> {
        let text = self.opt_scalar_text(name)?;
        self.within(name, text, max)
    }

    /// A string with a limit.
    ///
    /// # Errors
    /// `too_large` for more than `max` bytes.
    pub fn opt_text_within(&self, name: &str, max: usize) -> Result<Option<String>, Error> {
        let text = self.opt_text(name)?;
        self.within(name, text, max)
    }

    fn within(
        &self,
        name: &str,
        text: Option<String>,
        max: usize,
    ) -> Result<Option<String>, Error> {
        match &text {
            Some(t) if t.len() > max => Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "`{}{name}` has {} bytes, the hub takes {max}",
                    self.path,
                    t.len()
                ),
            )),
            _ => Ok(text),
        }
    }

    /// A name of at most `Limits::name_bytes`: of a worker, queue, type, session, provider, model, or a key. `None` for 0,
    /// false and "" too.
    pub fn opt_name(&self, name: &str, limits: &Limits) -> Result<Option<String>, Error> {
        if self.is_blank(name) {
            return Ok(None);
        }
        let text = self.opt_text(name)?;
        match &text {
            Some(t) if t.len() > limits.name_bytes => Err(self.refuse(
                name,
                &format!("a string of at most {} bytes", limits.name_bytes),
            )),
            _ => Ok(text),
        }
    }
}

/// Decodes a JSON string.
///
/// # Errors
/// The reason, if it contains a lone surrogate or an invalid escape.
pub(crate) fn decode(raw: &str) -> Result<String, String> {
    serde_json::from_str(raw).map_err(|e| why_json(&e))
}

/// The reason of a `serde_json` error in terms that a client knows, without a position.
pub(crate) fn why_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // The position would mislead: columns are counted from the start of the parameter, not of the line.
    let reason = text.split(" at line ").next().unwrap_or_default();
    match reason {
        r if r.contains("surrogate") || r.contains("unexpected end of hex escape") => {
            "a lone surrogate (\\ud800 to \\udfff without its pair) is not a character".into()
        }
        r if r.contains("number out of range") => {
            "a number is beyond the range of a 64-bit float".into()
        }
        r => r.to_owned(),
    }
}
