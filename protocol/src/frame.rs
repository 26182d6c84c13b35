//! Reads a line as a request's frame: its id, its method and its parameters.
//!
//! Two passes allocate almost nothing. The first checks the nesting: it counts brackets, and scans exactly only lines with
//! many of them. The second reads the top level and leaves everything below it as text.

use crate::limits::NESTING_MAX;
use crate::params::{Entries, decode, why_json};
use crate::{Error, ErrorCode, Limits, Params};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A request's id as JSON text, as the client wrote it. The answer repeats it byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawId(Box<str>);

impl RawId {
    /// The id of a request that has none.
    pub fn null() -> RawId {
        RawId("null".into())
    }

    /// An id that is a number.
    pub fn number(n: u64) -> RawId {
        RawId(n.to_string().into())
    }

    /// The id as JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses an id that some JSON parsers cannot read in the answer: a number beyond a 64-bit float, a lone surrogate.
    fn read(text: &str) -> Result<RawId, Error> {
        let readable = match text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => text.parse::<f64>().is_ok_and(f64::is_finite),
            Some(b'"') => !text.contains("\\u") || decode(text).is_ok(),
            Some(b'[' | b'{') => serde_json::from_str::<serde_json::Value>(text).is_ok(),
            _ => true,
        };
        match readable {
            true => Ok(RawId(text.into())),
            false => Err(invalid_request(
                "`id` holds a number beyond the range of a 64-bit float, or a lone surrogate",
            )),
        }
    }
}

/// A well-formed request whose parameters are not read yet.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The id, `null` when missing.
    pub id: RawId,
    /// Whether it has `"jsonrpc": "2.0"`. Its answer is strict JSON-RPC 2.0 then.
    pub jsonrpc: bool,
    /// The method's name, which may be unknown.
    pub method: Cow<'a, str>,
    /// The parameters.
    pub params: Params<'a>,
    /// `params.auth_token`, if it is a string.
    pub auth: Option<Cow<'a, str>>,
}

/// A line that is not a request. Answer `error` under `id`.
#[derive(Debug)]
pub struct BadLine {
    /// The id, or `null` if it could not be read.
    pub id: RawId,
    /// Whether the answer is strict JSON-RPC 2.0.
    pub jsonrpc: bool,
    /// The error to answer.
    pub error: Error,
}

impl BadLine {
    /// The answer to a line longer than the limit.
    pub fn too_long(limits: &Limits) -> BadLine {
        let message = format!(
            "the line is longer than {} bytes and was skipped",
            limits.line_bytes
        );
        BadLine::of(Error::new(ErrorCode::TooLarge, message))
    }

    fn of(error: Error) -> BadLine {
        BadLine {
            id: RawId::null(),
            jsonrpc: false,
            error,
        }
    }
}

impl<'a> Frame<'a> {
    /// Reads one line, without its line end.
    ///
    /// # Errors
    /// `parse_error` if the line is not JSON or not UTF-8, `too_large` if it is nested too deep, `invalid_request` or
    /// `invalid_params` if it is not the object of a request.
    pub fn read(line: &'a [u8], limits: &Limits) -> Result<Frame<'a>, Box<BadLine>> {
        let entries = top_level(line, limits).map_err(|e| Box::new(BadLine::of(e)))?;
        let find = |name: &str| {
            entries
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, raw): &(_, &'a RawValue)| raw.get())
        };
        let (jsonrpc, version) = match find("jsonrpc") {
            None | Some("null") => (false, Ok(())),
            Some("\"2.0\"") => (true, Ok(())),
            Some(_) => (
                true,
                Err(invalid_request("`jsonrpc` must be \"2.0\" or left out")),
            ),
        };
        let id = RawId::read(find("id").unwrap_or("null")).map_err(|error| {
            Box::new(BadLine {
                id: RawId::null(),
                jsonrpc,
                error,
            })
        })?;
        let rest = version.and_then(|()| {
            Ok((
                method(find("method"))?,
                Params::parse(find("params").unwrap_or("null"))?,
            ))
        });
        match rest {
            Ok((method, params)) => {
                let auth = params.raw("auth_token").and_then(text);
                Ok(Frame {
                    id,
                    jsonrpc,
                    method,
                    params,
                    auth,
                })
            }
            Err(error) => Err(Box::new(BadLine { id, jsonrpc, error })),
        }
    }
}

/// Checks that a hub with these limits reads the line, without its line end, as a request. A hub answers a line beyond its
/// limits without an id, so that the client could not match the answer.
///
/// # Errors
/// `too_large` for a line that is too long or nested too deep.
#[cfg(feature = "client")]
pub(crate) fn fits(line: &[u8], limits: &Limits) -> Result<(), Error> {
    if line.len() > limits.line_bytes {
        let message = format!(
            "the request has {} bytes as a line, the hub takes {}",
            line.len(),
            limits.line_bytes
        );
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    match nests_deeper(line, deepest(limits)) {
        true => Err(too_deep(limits)),
        false => Ok(()),
    }
}

/// Not more than [`NESTING_MAX`], whatever the operator sets: a client could not read the answers.
fn deepest(limits: &Limits) -> usize {
    limits.nesting.min(NESTING_MAX)
}

fn too_deep(limits: &Limits) -> Error {
    let deepest = deepest(limits);
    let message = format!("the request is nested deeper than {deepest} levels");
    Error::new(ErrorCode::TooLarge, message)
}

fn top_level<'a>(
    line: &'a [u8],
    limits: &Limits,
) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Error> {
    let line = std::str::from_utf8(line)
        .map_err(|e| parse_error(format!("bad UTF-8 at byte {}", e.valid_up_to())))?;
    if nests_deeper(line.as_bytes(), deepest(limits)) {
        return Err(too_deep(limits));
    }
    match line.trim_start().as_bytes().first() {
        Some(b'{') => Ok(serde_json::from_str::<Entries<'a>>(line)
            .map_err(|e| parse_error(why_line(line, &e)))?
            .0),
        _ => Err(not_an_object(line)),
    }
}

fn not_an_object(line: &str) -> Error {
    match serde_json::from_str::<serde::de::IgnoredAny>(line) {
        Err(e) => parse_error(why_line(line, &e)),
        Ok(_) if line.trim_start().starts_with('[') => {
            invalid_request("batches (arrays of requests) are not taken; send one request a line")
        }
        Ok(_) => invalid_request("a request must be a JSON object"),
    }
}

fn method<'a>(raw: Option<&'a str>) -> Result<Cow<'a, str>, Error> {
    raw.and_then(text)
        .ok_or_else(|| invalid_request("`method` must be a string"))
}

/// Decodes a JSON string; borrows it if it has no escapes. `None` for any other JSON.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        false => Some(Cow::Borrowed(inner)),
        true => decode(raw).ok().map(Cow::Owned),
    }
}

/// Whether arrays and objects outside strings are nested deeper than `limit` levels.
fn nests_deeper(line: &[u8], limit: usize) -> bool {
    // A line with at most `limit` opening brackets cannot be nested deeper. `[` and `{` differ in one bit.
    let opened = line.iter().filter(|b| **b | 0x20 == b'{').count();
    if opened <= limit {
        return false;
    }
    let (mut depth, mut rest) = (0_usize, line.iter());
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => rest = after_string(rest.as_slice()).iter(),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

/// The bytes after the end of a string that has begun just before.
fn after_string(mut text: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', text) {
        let is_end = text[at] == b'"';
        text = text
            .get(at + 1 + usize::from(!is_end)..)
            .unwrap_or_default();
        if is_end {
            return text;
        }
    }
    &[]
}

fn why_line(line: &str, error: &serde_json::Error) -> String {
    let at = error.column().saturating_sub(1);
    let word = line.get(at..).unwrap_or_default();
    let word = word.trim_start_matches('-');
    for name in ["NaN", "Infinity"] {
        if word.starts_with(name) {
            return format!("{name} is not a JSON number");
        }
    }
    format!("{} at byte {}", why_json(error), error.column())
}

fn parse_error(why: String) -> Error {
    Error::new(
        ErrorCode::ParseError,
        format!("the line is not JSON: {why}"),
    )
}

fn invalid_request(why: &str) -> Error {
    Error::new(ErrorCode::InvalidRequest, format!("invalid request: {why}"))
}
