//! Parameters that are text.

use super::Params;
use crate::error::{Error, ErrorCode};
use crate::limits::Limits;

impl Params<'_> {
    /// A string that must be there; may be empty.
    pub fn text(&self, name: &str) -> Result<String, Error> {
        match self.opt_text(name)? {
            Some(text) => Ok(text),
            None => Err(Error::invalid_params(format!(
                "invalid params: `{}{name}` must be a string",
                self.path
            ))),
        }
    }

    /// A string, or `None` when missing or null.
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

    /// Text that clients may also send as a number or a boolean, which is kept as it was written: `5` is "5". `None` when
    /// missing or null. A list or an object is `invalid_params`.
    pub fn opt_scalar_text(&self, name: &str) -> Result<Option<String>, Error> {
        match self.raw(name) {
            Some(raw) if raw.starts_with(['[', '{']) => {
                Err(self.refuse(name, "a string, a number, true or false"))
            }
            _ => self.opt_text_or_json(name),
        }
    }

    /// Text, or any other JSON, which is kept as its JSON text: `{"a":1}` is "{\"a\":1}". `None` when missing or null.
    pub fn opt_text_or_json(&self, name: &str) -> Result<Option<String>, Error> {
        match self.raw(name) {
            Some(raw) if !raw.starts_with('"') => Ok(Some(raw.to_owned())),
            _ => self.opt_text(name),
        }
    }

    /// As [`opt_scalar_text`](Params::opt_scalar_text), of at most `max` bytes, or `too_large`.
    pub fn opt_scalar_text_within(&self, name: &str, max: usize) -> Result<Option<String>, Error> {
        let text = self.opt_scalar_text(name)?;
        self.within(name, text, max)
    }

    /// A string of at most `max` bytes, or `too_large`.
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

    /// A name (worker, queue, type, session, key): null, 0, false and "" mean none.
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

/// Decodes a JSON string; the reason when it holds a lone surrogate or a bad escape.
pub(crate) fn decode(raw: &str) -> Result<String, String> {
    serde_json::from_str(raw).map_err(|e| why_json(&e))
}

/// serde_json's reason, with the words a caller knows.
pub(crate) fn why_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Only the part before the position: lines are one line here, and columns count from the fragment's start.
    let reason = text.split(" at line ").next().unwrap_or_default();
    match reason {
        r if r.contains("surrogate") || r.contains("unexpected end of hex escape") => {
            "a lone surrogate (\\ud800 to \\udfff without its pair) is no character".into()
        }
        r if r.contains("number out of range") => {
            "a number is beyond the range of a 64-bit float".into()
        }
        r => r.to_owned(),
    }
}
