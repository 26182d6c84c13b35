//! `accept`: the conditions under which a task counts as done, whatever its agent reports.
//!
//! [`Accept::read`] refuses clauses that cannot be checked when the task is enqueued, with all their faults in one error. The
//! worker checks the clauses when the run has ended, in the order of [`Accept::CLAUSES`]. Checks that need neither a directory
//! nor a process, [`answer_matches`] and [`schema_faults`], are in this module, so that hub and worker read a regex and
//! a schema in the same way.

use crate::limits::DAY_MS;
use crate::text::shorten;
use crate::{Error, Fence, Params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Component, Path};

mod compiling;

pub use compiling::{COMPILE_LIMIT, read_known, read_unchecked, read_within};
use compiling::{ValidTexts, is_due};

/// The longest regex, in bytes.
const REGEX_BYTES: usize = 4 << 10;
/// The largest compiled regex, in bytes.
const REGEX_SIZE: usize = 1 << 20;
/// The longest schema, in bytes.
const SCHEMA_BYTES: usize = 32 << 10;
/// The largest compiled regex of a schema, in bytes.
const PATTERN_SIZE: usize = 256 << 10;
/// The longest command, in bytes of all its arguments.
const COMMAND_BYTES: usize = 32 << 10;
/// The most files of a clause.
const FILES: usize = 100;
/// The most faults of an answer that [`schema_faults`] returns.
const FAULTS: usize = 5;
/// The longest fault of an answer, in characters. A fault may quote the whole answer.
const FAULT_CHARS: usize = 300;

/// The default limit of a run of `command`, in milliseconds: 5 minutes.
pub const COMMAND_LIMIT_MS: u64 = 300_000;

/// The conditions for a task to be done: at least one clause. All given clauses must hold.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Accept {
    /// Files that must exist, as relative paths inside the workspace. A request may give one file as a string.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file: Vec<String>,
    /// Whether the run must have changed something in its git work tree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub diff: bool,
    /// A regular expression that must match somewhere in the answer.
    pub regex: Option<String>,
    /// A JSON schema that the answer, read as JSON, must match.
    pub schema: Option<Value>,
    /// Program and arguments that must exit with 0 in the workspace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The longest run of `command`, in milliseconds; on the wire `timeout_seconds`. `None` means 5 minutes.
    #[serde(rename = "timeout_seconds", default, with = "in_seconds")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub timeout_ms: Option<u64>,
}

impl Accept {
    /// The approximate memory of the clauses, in bytes.
    pub fn weight(&self) -> usize {
        let texts = self.file.iter().chain(&self.command).chain(&self.regex);
        size_of::<Accept>()
            + texts
                .map(|text| size_of::<String>() + text.len())
                .sum::<usize>()
            + self.schema.as_ref().map_or(0, crate::weight::weight)
    }
}

/// A result that was not accepted, for the next attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotAccepted {
    /// The attempt's fence.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub fence: Fence,
    /// The clauses that did not hold, and the reasons.
    pub reason: String,
    /// The end of the result.
    pub answer: String,
    /// Whether the result was longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl Accept {
    /// The names of the clauses, in the order in which they are checked and reported.
    pub const CLAUSES: [&str; 5] = ["file", "diff", "regex", "schema", "command"];

    /// Reads the parameter `accept`. `None` if it is missing.
    ///
    /// # Errors
    /// `invalid_params` with every fault: an unknown clause, a path outside the workspace, a regex or schema that does not
    /// compile, a text beyond its limit, or no clause at all.
    pub fn read(params: &Params<'_>) -> Result<Option<Accept>, Error> {
        let Some(given) = params.object("accept")? else {
            return Ok(None);
        };
        let mut faults = ClauseFaults::default();
        faults.names(&given);
        let accept = Accept {
            file: faults.note(read_files(&given)),
            diff: faults.note(given.flag("diff", false)),
            regex: faults.note(read_regex(&given)),
            schema: faults.note(read_schema(&given)),
            command: faults.note(read_command(&given)),
            timeout_ms: faults.note(given.opt_seconds("timeout_seconds", 1..=DAY_MS)),
        };
        if faults.0.is_empty() && accept.is_empty() {
            let rule = format!("an object with one of {}", words(&Accept::CLAUSES));
            return Err(params.refuse("accept", &rule));
        }
        if faults.0.is_empty() && accept.timeout_ms.is_some() && accept.command.is_empty() {
            faults.0.push(format!(
                "`{}` is for `{}`, which is not given",
                given.full_name("timeout_seconds"),
                given.full_name("command")
            ));
        }
        match faults.0.is_empty() {
            true => Ok(Some(accept)),
            false => Err(Error::invalid_params(format!(
                "invalid params: {}",
                faults.0.join("; ")
            ))),
        }
    }

    /// Whether no clause is given.
    pub fn is_empty(&self) -> bool {
        let Accept {
            file,
            diff,
            regex,
            schema,
            command,
            timeout_ms: _,
        } = self;
        file.is_empty() && !diff && regex.is_none() && schema.is_none() && command.is_empty()
    }
}

/// The faults of all clauses, in their order.
#[derive(Default)]
struct ClauseFaults(Vec<String>);

impl ClauseFaults {
    fn note<T: Default>(&mut self, read: Result<T, Error>) -> T {
        read.unwrap_or_else(|error| {
            let text = error.message.trim_start_matches("invalid params: ");
            self.0.push(text.to_owned());
            T::default()
        })
    }

    /// Unlike elsewhere, an unknown name is a fault: its condition would not be checked.
    fn names(&mut self, given: &Params<'_>) {
        let known = |name: &str| Accept::CLAUSES.contains(&name) || name == "timeout_seconds";
        for name in given.given().filter(|name| !known(name)) {
            let all = words(&Accept::CLAUSES);
            let name = given.full_name(name);
            self.0
                .push(format!("`{name}` is not a clause; there are {all}"));
        }
    }
}

fn words(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn strings(raw: &str) -> Option<Vec<String>> {
    serde_json::from_str(raw).ok()
}

fn read_files(given: &Params<'_>) -> Result<Vec<String>, Error> {
    let Some(raw) = given.raw("file") else {
        return Ok(Vec::new());
    };
    let list = match raw.starts_with('"') {
        true => serde_json::from_str(raw).ok().map(|one| vec![one]),
        false => strings(raw),
    };
    match list {
        Some(list) if list.len() <= FILES && list.iter().all(|path| stays_inside(path)) => Ok(list),
        _ => Err(given.refuse(
            "file",
            &format!(
                "a path inside the workspace (relative, without `..`), or a list of at most {FILES}"
            ),
        )),
    }
}

/// Whether a path, judged by its components alone, leads to a file below the directory that it is joined to.
fn stays_inside(path: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let named = |part: Component<'_>| matches!(part, Component::Normal(_));
    let parts = || Path::new(path).components();
    path.len() <= 4096 && !path.contains('\0') && parts().all(plain) && parts().any(named)
}

fn read_command(given: &Params<'_>) -> Result<Vec<String>, Error> {
    let Some(raw) = given.raw("command") else {
        return Ok(Vec::new());
    };
    let fits = |argv: &Vec<String>| {
        let bytes: usize = argv.iter().map(|arg| arg.len() + 1).sum();
        bytes <= COMMAND_BYTES
            && argv.iter().all(|arg| !arg.contains('\0'))
            && argv.first().is_some_and(|program| !program.is_empty())
    };
    strings(raw).filter(fits).ok_or_else(|| {
        let rule = format!(
            "a list of program and arguments, such as [\"make\", \"test\"], of at most {COMMAND_BYTES} bytes; there is no shell"
        );
        given.refuse("command", &rule)
    })
}

fn read_regex(given: &Params<'_>) -> Result<Option<String>, Error> {
    let Some(text) = given.opt_text_within("regex", REGEX_BYTES)? else {
        return Ok(None);
    };
    if KNOWN_REGEXES.has(&text) {
        return Ok(Some(text));
    }
    match is_due().and_then(|due| {
        if due {
            compiled(&text).map(Some)
        } else {
            Ok(None)
        }
    }) {
        Ok(compiled) => {
            if compiled.is_some() {
                KNOWN_REGEXES.keep(&text);
            }
            Ok(Some(text))
        }
        Err(why) => Err(Error::invalid_params(format!(
            "`{}` cannot be used: {why}",
            given.full_name("regex")
        ))),
    }
}

fn compiled(text: &str) -> Result<regex::Regex, String> {
    let mut builder = regex::RegexBuilder::new(text);
    let built = builder.size_limit(REGEX_SIZE).build();
    built.map_err(|why| match why {
        // The last line of the message is the reason; the lines before it point into the regex.
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
        regex::Error::CompiledTooBig(_) => "it is too large once compiled".to_owned(),
        other => other.to_string(),
    })
}

/// Whether the regex matches somewhere in the answer. Takes time linear in the length of the answer.
///
/// # Errors
/// The reason why the regex cannot be compiled.
pub fn answer_matches(regex: &str, answer: &str) -> Result<bool, String> {
    Ok(compiled(regex)?.is_match(answer))
}

static KNOWN_REGEXES: ValidTexts = ValidTexts::new();
static KNOWN_SCHEMAS: ValidTexts = ValidTexts::new();

fn read_schema(given: &Params<'_>) -> Result<Option<Value>, Error> {
    let Some(raw) = given.raw("schema") else {
        return Ok(None);
    };
    let known = KNOWN_SCHEMAS.has(raw);
    let Some(schema) = given.json("schema", SCHEMA_BYTES)? else {
        return Ok(None);
    };
    if !schema.is_object() {
        return Err(given.refuse("schema", "a JSON schema: an object"));
    }
    if known {
        return Ok(Some(schema));
    }
    let cannot = |why: String| {
        let name = given.full_name("schema");
        Error::invalid_params(format!("`{name}` cannot be used: {}", short(&why)))
    };
    if is_due().map_err(cannot)? {
        // The compilation of a schema cannot be interrupted. So its patterns are compiled one by one before it, within the time.
        try_patterns(&schema).map_err(cannot)?;
        validator(&schema).map_err(cannot)?;
        KNOWN_SCHEMAS.keep(raw);
    }
    Ok(Some(schema))
}

/// Compiles the patterns of a schema to check that they compile within the time. Ignores a pattern that does not compile: the
/// schema's own compiler reports it.
fn try_patterns(schema: &Value) -> Result<(), String> {
    let mut rest = vec![schema];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let keys = match member {
                        Value::Object(inner) if name == "patternProperties" => {
                            inner.keys().collect()
                        }
                        _ => Vec::new(),
                    };
                    let text = member.as_str().filter(|_| name == "pattern");
                    for pattern in text.into_iter().chain(keys.into_iter().map(String::as_str)) {
                        if is_due()? {
                            let mut builder = regex::RegexBuilder::new(pattern);
                            let _ = builder.size_limit(PATTERN_SIZE).build();
                        }
                    }
                    rest.push(member);
                }
            }
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    is_due().map(drop)
}

/// Compiles a schema. Its regexes take linear time. References to other documents fail: the crate `jsonschema` is built
/// without access to network and files.
fn validator(schema: &Value) -> Result<jsonschema::Validator, String> {
    let patterns = jsonschema::PatternOptions::regex().size_limit(PATTERN_SIZE);
    let options = jsonschema::options().with_pattern_options(patterns);
    options.build(schema).map_err(|why| match why.to_string() {
        text if text.contains("is not present in a registry") || text.contains("meta-schema") => {
            format!("{text}; a schema must hold all that it refers to")
        }
        text => format!("{text} (at {})", place(&why.instance_path().to_string())),
    })
}

/// The reasons why an answer does not match the schema, at most [`FAULTS`]. Empty if it matches.
///
/// Some schemas take unlimited time: call this in a process or thread that can be stopped.
pub fn schema_faults(schema: &Value, answer: &str) -> Vec<String> {
    let answer: Value = match serde_json::from_str(answer.trim()) {
        Ok(answer) => answer,
        Err(why) => return vec![format!("the answer is not JSON: {why}")],
    };
    let validator = match validator(schema) {
        Ok(validator) => validator,
        Err(why) => return vec![format!("the schema cannot be used: {}", short(&why))],
    };
    let faults = validator.iter_errors(&answer).take(FAULTS);
    let describe = |fault: jsonschema::ValidationError<'_>| {
        let at = place(&fault.instance_path().to_string());
        format!("at {at}: {}", short(&fault.to_string()))
    };
    faults.map(describe).collect()
}

fn place(pointer: &str) -> String {
    match pointer {
        "" => "the top".to_owned(),
        pointer => short(pointer),
    }
}

fn short(text: &str) -> String {
    shorten(text, FAULT_CHARS)
}

/// Milliseconds in the type, seconds on the wire and in files.
mod in_seconds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(ms: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        ms.map(|ms| ms as f64 / 1000.0).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        // A cast from a float saturates.
        Ok(seconds.map(|seconds| (seconds * 1000.0).round() as u64))
    }
}

#[cfg(test)]
mod tests;
