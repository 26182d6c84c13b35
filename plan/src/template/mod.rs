//! Templates and expressions: minijinja with strict names, without other files, with bounds on time and size.
//!
//! A result of another agent is data: it is inserted once and never rendered.

mod name_use;
pub(crate) mod scan;

use crate::limits::{FUEL, INSERT_BYTES, OUTPUT_BYTES, TEMPLATE_BYTES};
use kirosu_protocol::{size, text};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
pub(crate) use name_use::NameUse;
use scan::{FILE, scan};
use serde_json::Value as Json;
use std::io;

/// The filter that shortens a text.
pub(crate) const CUT: &str = "cut";
/// The filter through which values of agents are inserted. A template cannot name it: it is not in [`FILTERS`].
const INSERT: &str = "insert_result";
/// The filters of templates.
pub(crate) const FILTERS: [&str; 44] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "cut",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
];
/// The tests of templates (`is NAME`).
pub(crate) const TESTS: [&str; 22] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
];
/// The functions of templates.
pub(crate) const FUNCTIONS: [&str; 3] = ["dict", "namespace", "range"];

/// Limits of a rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderLimits {
    /// Bytes of the whole text.
    pub output_bytes: usize,
    /// Bytes of one insertion of a value that comes from an agent, unless it is cut by the filter `cut`.
    pub insert_bytes: usize,
    /// Steps of minijinja, which also counts a step per 64 bytes of data.
    pub fuel: u64,
    /// Whether values that come from agents are put between `<result step="...">` and `</result>`.
    pub fence: bool,
}

impl Default for RenderLimits {
    fn default() -> RenderLimits {
        RenderLimits {
            output_bytes: OUTPUT_BYTES,
            insert_bytes: INSERT_BYTES.default as usize,
            fuel: FUEL,
            fence: false,
        }
    }
}

/// The reason why a template was not rendered, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub String);

/// The syntax of templates: that of minijinja, and a line end at the end of a text stays.
fn syntax() -> SyntaxConfig {
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    syntax.unwrap_or_default()
}

/// Renders a template. Each name that is missing in the context is an error.
///
/// # Errors
/// A fault of the template, a missing name, or a limit.
pub fn render(
    template: &str,
    context: &Json,
    limits: &RenderLimits,
) -> Result<String, RenderError> {
    let template = marked(template)?;
    let environment = environment(limits);
    let compiled = environment.template_from_str(&template).map_err(sentence)?;
    let mut output = Bounded {
        bytes: Vec::new(),
        left: limits.output_bytes,
        is_full: false,
    };
    let outcome = compiled.render_captured_to(Value::from(Serde(context)), &mut output);
    let outcome = outcome.map(|_| ()).map_err(sentence);
    if output.is_full {
        let limit = size::format(limits.output_bytes as u64);
        return Err(RenderError(format!(
            "the rendered text is longer than {limit}"
        )));
    }
    outcome?;
    String::from_utf8(output.bytes).map_err(|why| RenderError(why.to_string()))
}

/// Evaluates an expression, such as that of `if`.
///
/// # Errors
/// A fault of the expression, a missing name, a limit, or a value that JSON does not have.
pub fn evaluate(
    expression: &str,
    context: &Json,
    limits: &RenderLimits,
) -> Result<Json, RenderError> {
    check_size(expression)?;
    if let Some(fault) = scan(expression, true).faults.first() {
        return Err(RenderError(fault.message.clone()));
    }
    let environment = environment(limits);
    let compiled = environment
        .compile_expression(expression)
        .map_err(sentence)?;
    let value = compiled
        .eval(Value::from(Serde(context)))
        .map_err(sentence)?;
    if value.is_undefined() {
        return Err(RenderError(format!(
            "undefined value in {}",
            text::shorten(expression, 80)
        )));
    }
    serde_json::to_value(&value).map_err(|why| RenderError(why.to_string()))
}

/// Evaluates the expression of `if` or `until` as true or false, by the rules of templates: nothing, zero, and an empty text
/// or list are false.
///
/// # Errors
/// As [`evaluate`].
pub fn holds(expression: &str, context: &Json, limits: &RenderLimits) -> Result<bool, RenderError> {
    Ok(match evaluate(expression, context, limits)? {
        Json::Null => false,
        Json::Bool(flag) => flag,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(list) => !list.is_empty(),
        Json::Object(fields) => !fields.is_empty(),
    })
}

/// The names of the context that a template or expression uses, each with the attributes that follow as far as they are constant:
/// `steps.read.result` is `("steps", ["read", "result"])`. Empty for a text with a fault.
pub fn names(text: &str, is_expression: bool) -> Vec<(String, Vec<String>)> {
    let references = scan(text, is_expression).references.into_iter();
    references.map(|name| (name.root, name.path)).collect()
}

fn check_size(template: &str) -> Result<(), RenderError> {
    match template.len() > TEMPLATE_BYTES {
        true => Err(RenderError(format!(
            "a template has at most {TEMPLATE_BYTES} bytes"
        ))),
        false => Ok(()),
    }
}

/// The template with [`INSERT`] at each value that comes from an agent.
fn marked(template: &str) -> Result<String, RenderError> {
    check_size(template)?;
    let scanned = scan(template, false);
    if let Some(fault) = scanned.faults.first() {
        return Err(RenderError(fault.message.clone()));
    }
    let mut insertions = scanned.insertions;
    insertions.sort_by_key(|insertion| insertion.at.start);
    let (mut marked, mut done) = (String::new(), 0);
    for insertion in insertions {
        let (Some(before), Some(value)) = (
            template.get(done..insertion.at.start),
            template.get(insertion.at.clone()),
        ) else {
            continue;
        };
        let (origin, is_cut) = (&insertion.origin, insertion.is_cut);
        let (must_exist, is_path) = (insertion.must_exist, insertion.is_path);
        marked += before;
        marked += &format!("({value})|{INSERT}({origin:?}, {is_cut}, {must_exist}, {is_path})");
        done = insertion.at.end;
    }
    Ok(marked + template.get(done..).unwrap_or(""))
}

fn environment(limits: &RenderLimits) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(limits.fuel));
    environment.set_debug(false);
    environment.set_syntax(syntax());
    environment.remove_global("debug");
    environment.add_filter(CUT, |value: String, chars: usize| {
        text::counted(&value, chars)
    });
    let (max, fence) = (limits.insert_bytes, limits.fence);
    environment.add_filter(
        INSERT,
        move |value: Value, origin: String, is_cut: bool, must_exist: bool, is_path: bool| {
            if must_exist && value.is_none() {
                return Err(no_result(&origin, if is_path { FILE } else { "result" }));
            }
            insert(
                &value,
                &origin,
                (!is_cut && !is_path).then_some(max),
                fence && !is_path,
            )
        },
    );
    // A step that was skipped has no result, and JSON has null: both are missing values, too.
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment
}

/// The filter `default`: another value in place of one that is missing or null or, with `is_lax`, false or empty.
fn default(value: Value, other: Option<Value>, is_lax: Option<bool>) -> Value {
    let is_missing = value.is_undefined() || value.is_none();
    match is_missing || (is_lax == Some(true) && !value.is_true()) {
        true => other.unwrap_or_else(|| Value::from("")),
        false => value,
    }
}

/// The error for the result of a step that was skipped or has failed.
fn no_result(origin: &str, attribute: &str) -> Error {
    let message = format!(
        "{origin}.{attribute} has no value: the step has no result; write `{origin}.{attribute} | default(\"...\")` if that may be"
    );
    Error::new(ErrorKind::InvalidOperation, message)
}

/// The text of a value that comes from an agent. Lists and tables are JSON.
fn insert(value: &Value, origin: &str, max: Option<usize>, fence: bool) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let inserted = match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => serde_json::to_string(value)
            .map_err(|why| Error::new(ErrorKind::BadSerialization, why.to_string()))?,
        ValueKind::None => String::new(),
        _ => value.to_string(),
    };
    if let Some(max) = max.filter(|max| inserted.len() > *max) {
        let step = match origin.contains('.') {
            true => origin,
            false => "steps.ID",
        };
        let message = format!(
            "a value of {origin} has {} bytes, and an insertion has at most {}: write `| cut(n)`, or `{step}.file` for the path of a file with the whole result, or raise `limits.max_insert` of the plan",
            inserted.len(),
            size::format(max as u64)
        );
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    Ok(match fence {
        // The text cannot end its own mark.
        true => {
            let inner = inserted.replace("</result", "<\\/result");
            format!("<result step={origin:?}>\n{inner}\n</result>")
        }
        false => inserted,
    })
}

fn sentence(error: Error) -> RenderError {
    let kind = error.kind().to_string();
    let line = error
        .line()
        .map(|line| format!(" (line {line} of the template)"))
        .unwrap_or_default();
    let message = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "the template takes too many steps".to_owned(),
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (_, Some(detail)) => format!("{kind}: {detail}"),
        (_, None) => kind,
    };
    RenderError(format!("{message}{line}"))
}

/// Keeps at most a number of bytes; more is an error.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => self.left = left,
            None => {
                self.is_full = true;
                return Err(io::Error::other("the text is too long"));
            }
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_listed_filters_tests_and_functions_exist() {
        let environment = environment(&RenderLimits::default());
        let exists = |what: &str, name: &str| {
            let text = format!("'{name}' is {what}");
            let expression = environment.compile_expression(&text);
            expression
                .and_then(|it| it.eval(()))
                .map(|value| value.is_true())
        };
        for name in FILTERS {
            assert!(exists("filter", name).is_ok_and(|is| is), "{name}");
        }
        for name in TESTS {
            assert!(exists("test", name).is_ok_and(|is| is), "{name}");
        }
        let globals: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
        assert_eq!(globals, FUNCTIONS);
    }
}
