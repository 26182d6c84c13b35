//! Inputs of a plan: `--input NAME=VALUE`, checked against the plan.

use crate::cli::{Failure, text};
use kirosu_plan::{InputType, Plan, PlanInput};
use kirosu_protocol::text::{nearest, shorten};
use serde_json::{Map, Value};

/// Characters of a value that a message shows.
const SHOWN_CHARS: usize = 40;

/// An input as it is written on the command line: the name and the value's text.
pub type GivenInput = (String, String);

/// Reads `NAME=VALUE`.
///
/// # Errors
/// There is no `=` or no name; the message says what to write.
pub fn read_given(text: &str) -> Result<GivenInput, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE, such as dir=docs".to_owned()),
    }
}

/// The values of the given inputs. Defaults are not among them.
///
/// # Errors
/// All faults: unknown names, names that are given twice, missing values, values of another type or not allowed.
pub fn read(plan: &Plan, given: &[GivenInput]) -> Result<Map<String, Value>, Failure> {
    let (mut values, mut faults) = (Map::new(), Vec::new());
    for (name, text) in given {
        match plan.inputs.get(name) {
            None => faults.push(unknown(name, plan)),
            Some(_) if values.contains_key(name) => {
                faults.push(format!("the input {name} is given twice"));
            }
            Some(input) => match value(input, text) {
                Ok(value) => {
                    values.insert(name.clone(), value);
                }
                Err(why) => faults.push(format!("the input {name} {why}")),
            },
        }
    }
    for (name, input) in &plan.inputs {
        let is_given = given.iter().any(|(other, _)| other == name);
        if input.required && !is_given {
            let about = input.description.as_ref();
            let about = about.map(|about| format!(" ({})", text::one_line(about)));
            let about = about.unwrap_or_default();
            faults.push(format!(
                "the input {name}{about} has no value: give --input {name}=VALUE"
            ));
        }
    }
    match faults.is_empty() {
        true => Ok(values),
        false => Err(Failure::Local(faults.join("\n  "))),
    }
}

fn unknown(name: &str, plan: &Plan) -> String {
    let known = || plan.inputs.keys().map(String::as_str);
    match (nearest(name, known()), plan.inputs.is_empty()) {
        (_, true) => format!("the plan has no inputs, so there is no {name}"),
        (Some(near), _) => format!("the plan has no input {name}; did you mean {near}?"),
        (None, _) => {
            let known: Vec<&str> = known().collect();
            format!("the plan has no input {name}; it has {}", known.join(", "))
        }
    }
}

/// The value that a text means by the input's type: of an input without a type, that of its default.
fn value(input: &PlanInput, text: &str) -> Result<Value, String> {
    let value = match input.r#type.or_else(|| type_of(input)) {
        None | Some(InputType::Text) => Value::from(text),
        Some(expected) => {
            let value = serde_json::from_str(text.trim()).ok();
            value.filter(|it| expected.takes(it)).ok_or_else(|| {
                let shown = shorten(&text::one_line(text), SHOWN_CHARS);
                format!("is {}, not {shown:?}", in_words(expected))
            })?
        }
    };
    match &input.r#enum {
        Some(allowed) if !allowed.contains(&value) => {
            let allowed: Vec<String> = allowed.iter().map(plain).collect();
            let near = nearest(text, allowed.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near}?"));
            let shown = shorten(&text::one_line(text), SHOWN_CHARS);
            let near = near.unwrap_or_default();
            Err(format!(
                "is one of {}, not {shown:?}{near}",
                allowed.join(", ")
            ))
        }
        _ => Ok(value),
    }
}

/// The type of the default, or of the first allowed value.
fn type_of(input: &PlanInput) -> Option<InputType> {
    let first = || input.r#enum.as_ref().and_then(|allowed| allowed.first());
    let value = input.default.as_ref().or_else(first)?;
    let types = [
        InputType::Text,
        InputType::Number,
        InputType::Boolean,
        InputType::List,
        InputType::Object,
    ];
    types.into_iter().find(|it| it.takes(value))
}

fn in_words(expected: InputType) -> &'static str {
    match expected {
        InputType::Text => "a text",
        InputType::Integer => "a whole number, such as 3",
        InputType::Number => "a number, such as 0.5",
        InputType::Boolean => "true or false",
        InputType::List => "a JSON list, such as [\"a\",\"b\"]",
        InputType::Object => "a JSON object, such as {\"a\":1}",
    }
}

/// A text without quotes, any other value as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_plan::{PlanFormat, compile};
    use serde_json::json;

    fn plan() -> Plan {
        let text = "
inputs:
  dir: { default: docs }
  count: { type: integer, required: true, description: files to read }
  ratio: { default: 0.5 }
  deep: { type: boolean }
  tags: { type: list }
  mode: { enum: [fast, slow] }
pipeline:
  - { id: a, prompt: x }
";
        compile(text, PlanFormat::Yaml).unwrap()
    }

    fn given(words: &[&str]) -> Result<Map<String, Value>, String> {
        let given: Vec<GivenInput> = words.iter().map(|it| read_given(it).unwrap()).collect();
        read(&plan(), &given).map_err(|why| why.to_string())
    }

    #[test]
    fn values_have_the_type_of_their_input() {
        let words = [
            "count=3",
            "dir=a=b",
            "ratio=2",
            "deep=true",
            "tags=[\"x\"]",
            "mode=fast",
        ];
        let values = given(&words).unwrap();
        let expected = json!({
            "count": 3, "dir": "a=b", "ratio": 2, "deep": true, "tags": ["x"], "mode": "fast"
        });
        assert_eq!(Value::Object(values), expected);
        let values = plan().filled(&given(&["count=1"]).unwrap());
        assert_eq!(
            Value::Object(values),
            json!({"count": 1, "dir": "docs", "ratio": 0.5})
        );
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let words = [
            "ratoi=x",
            "count=many",
            "mode=fats",
            "deep=yes",
            "dir=a",
            "dir=b",
        ];
        let message = given(&words).unwrap_err();
        for part in [
            "no input ratoi; did you mean ratio?",
            "count is a whole number, such as 3, not \"many\"",
            "mode is one of fast, slow, not \"fats\"; did you mean fast?",
            "deep is true or false, not \"yes\"",
            "dir is given twice",
        ] {
            assert!(message.contains(part), "{part} is not in\n{message}");
        }
        let message = given(&[]).unwrap_err();
        assert_eq!(
            message,
            "the input count (files to read) has no value: give --input count=VALUE"
        );
        for bad in ["x", "=x", " =x"] {
            assert!(read_given(bad).is_err(), "{bad}");
        }
    }
}
