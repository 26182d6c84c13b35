//! A line becomes a request's frame: who asks, what, with which parameters.
//!
//! Two passes that allocate next to nothing: the nesting is bounded first (a count that the compiler vectorises, and an
//! exact scan only for lines with many brackets), then the top level is read with everything below left as text.

use crate::error::{Error, ErrorCode};
use crate::limits::Limits;
use crate::params::{Entries, Params, decode, why_json};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A request's id as it was written; echoed byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawId(Box<str>);

impl RawId {
    /// The id of a request that has none.
    pub fn null() -> RawId {
        RawId("null".into())
    }

    /// A number, as our own client uses.
    pub fn number(n: u64) -> RawId {
        RawId(n.to_string().into())
    }

    /// Its JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses what could not be echoed as JSON that others can read: a number beyond a 64-bit float, a lone surrogate.
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

/// A well-formed request, its parameters still unread.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The id, `null` when missing.
    pub id: RawId,
    /// Whether it said `"jsonrpc": "2.0"`: the answer is strict JSON-RPC 2.0.
    pub jsonrpc: bool,
    /// The method's name, known or not.
    pub method: Cow<'a, str>,
    /// The parameters.
    pub params: Params<'a>,
    /// `params.auth_token`, when it is a string.
    pub auth: Option<Cow<'a, str>>,
}

/// A line that is no request: answer `error` under `id`.
#[derive(Debug)]
pub struct BadLine {
    /// The id where it could be read, else `null`.
    pub id: RawId,
    /// The form of the answer.
    pub jsonrpc: bool,
    /// What is wrong.
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
    /// Reads one line (without its line end).
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

/// Whether a hub with these limits reads the line (without its line end) as a request; a hub that does not cannot say
/// whose request it was.
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
    match nests_deeper(line, limits.nesting) {
        true => Err(too_deep(limits)),
        false => Ok(()),
    }
}

fn too_deep(limits: &Limits) -> Error {
    let message = format!(
        "the request is nested deeper than {} levels",
        limits.nesting
    );
    Error::new(ErrorCode::TooLarge, message)
}

fn top_level<'a>(
    line: &'a [u8],
    limits: &Limits,
) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Error> {
    let line = std::str::from_utf8(line)
        .map_err(|e| parse_error(format!("bad UTF-8 at byte {}", e.valid_up_to())))?;
    if nests_deeper(line.as_bytes(), limits.nesting) {
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

/// Decodes a JSON string, borrowing when it has no escapes; `None` for anything else.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        false => Some(Cow::Borrowed(inner)),
        true => decode(raw).ok().map(Cow::Owned),
    }
}

/// Whether arrays and objects nest deeper than `limit`, outside of strings.
fn nests_deeper(line: &[u8], limit: usize) -> bool {
    // `[` and `{` differ in one bit.
    let opened = line.iter().filter(|b| **b | 0x20 == b'{').count();
    if opened <= limit {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
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
